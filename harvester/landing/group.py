"""Publishing: slices that have ended become files and commits, several together as one group.

Every changed day of every slice is written out of sight and made durable; the marks of these days are withdrawn; the
ledger says in one transaction what is going to be replaced; the files are replaced; the ledger says in another one that
the slices are harvested. A crash before the ledger's first word leaves everything as it was; after it, the next run
finishes what was begun (`recovery.py`).

A group costs few waits for the disk more than a slice of it would by itself: days are written side by side, and what
they share, the ledger and the folders of days, is synced once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from harvester.disk import storage, sync_directory
from harvester.errors import DamagedError, StorageError
from harvester.landing import steps
from harvester.landing.ledger import Known
from harvester.landing.part import Part
from harvester.landing.place import Landing
from harvester.landing.publication import DayChange, Publication
from harvester.landing.publish import Reading, prepare, put_in_place
from harvester.landing.steps import Step
from harvester.landing.threads import Threads
from harvester.model import End, Outcome, Status

_NO_DAYS: Final[dict[date, Known]] = {}
LayDown = Callable[["Ended"], None]


@dataclass(slots=True, kw_only=True)
class Ended:
    """A slice that has ended, and what becomes of it.

    Attributes:
        end: What the walk says.
        part: Its calls.
        publication: What is to be done, and what was.
    """

    end: End
    part: Part
    publication: Publication

    def fail(self, error: DamagedError) -> None:
        """Its part cannot be read back: nothing of it can be relied on."""
        self.publication = replace(
            self.publication, status=Status.FAILED, reason=f"{error}: it is read again", receipt=None, days=()
        )

    @property
    def is_published(self) -> bool:
        """Whether its walk came to its end, and its calls can be had."""
        return self.publication.receipt is not None


class Publisher:
    """Publishes groups of slices, one group after the other. Not interrupted by cancellation: it is done in a thread.

    Args:
        landing: Where.
        threads: Days at a time.
        lay_down: Keeps what the next run can go on with of a walk that did not come to its end.
    """

    def __init__(self, landing: Landing, threads: int, lay_down: LayDown) -> None:
        self._landing = landing
        self._threads = Threads(threads)
        self._lay_down = lay_down

    def close(self) -> None:
        """Ends its threads."""
        self._threads.close()

    def publish(self, group: Sequence[Ended]) -> list[Outcome]:
        """Makes of slices what their ends say, and commits that.

        Args:
            group: In the order of their ends; each of an account of its own.

        Returns:
            What became of each, in this order.

        Raises:
            StorageError: It cannot be done. Either nothing that can be seen has changed, or the next run finishes it.
        """
        landing = self._landing
        for one in group:
            if one.end.receipt is None:
                self._lay_down(one)
        with self._clearing():
            self._prepare([one for one in group if one.is_published])
        published = [one for one in group if one.is_published]
        known = [self._known(one.publication) for one in published]
        for one, days in zip(published, known, strict=True):
            noted = (_with_gone(day, days.get(day.day)) for day in one.publication.days)
            one.publication = replace(one.publication, days=tuple(noted))
        self._replace_files(published, known)
        landing.marks.expect({day.day for one in published for day in one.publication.days})
        landing.ledger.commit_all([one.publication for one in group], landing.now())
        for one, days in zip(published, known, strict=True):
            steps.passed(Step.SLICE_COMMITTED)
            before = {day: there.complete for day, there in days.items()}
            now = {day.day: day.complete for day in one.publication.days}
            landing.marks.account_committed(one.publication.account, before, now)
        for one in group:
            if one.end.receipt is not None:
                with storage(one.part.path, "remove"):
                    one.part.discard()
                steps.passed(Step.PART_REMOVED)
        return [one.publication.outcome(one.end.slice) for one in group]

    def _known(self, publication: Publication) -> dict[date, Known]:
        account = publication.account
        return self._landing.ledger.known(publication.window, [account]).get(account, _NO_DAYS)

    def _prepare(self, group: Sequence[Ended]) -> None:
        """Stages every day, those without a call too: the calls that are in their files are missing tonight."""
        zone = self._landing.zone
        for one in group:
            with self._failing(one):
                self._quarantine(one)
        self._stage([one for one in group if one.is_published], unproven=False)
        lacking = [one for one in group if one.is_published and _lacks(one.publication)]
        for one in lacking:
            zone.unstage(_staged([one]))
            reason = f"{_here(one.publication)} different calls landed, but {_counted(one)} were counted while reading"
            one.publication = replace(one.publication, status=Status.SHORT, reason=reason)
        self._stage(lacking, unproven=True)
        if any(_staged(group)):
            with storage(zone.scratch, "prepare"):
                sync_directory(zone.scratch)
        for one in group:
            if one.is_published:
                steps.passed(Step.SLICE_STAGED)

    def _quarantine(self, one: Ended) -> None:
        if strays := one.part.strays():
            self._landing.zone.quarantine(one.publication.account, strays)
            quarantined = len({stray.key for stray in strays})
            one.publication = replace(one.publication, quarantined=quarantined)

    def _stage(self, group: Sequence[Ended], *, unproven: bool) -> None:
        """Stages the days of slices side by side; of large ones, which are on disk, one by one: that takes memory.

        Args:
            group: Whose days.
            unproven: Whether nothing of them is proven, whatever the walk says.
        """
        readings = [(one, reading) for one in group for reading in self._readings(one, unproven=unproven)]
        apart = [place for place, (one, _) in enumerate(readings) if not one.part.is_large]
        alone = [place for place, (one, _) in enumerate(readings) if one.part.is_large]
        work = partial(self._prepared, readings)
        found = dict(zip(apart, self._threads.side_by_side(work, apart), strict=True))
        found |= {place: work(place) for place in alone}
        days: dict[int, list[DayChange]] = {id(one): [] for one in group}
        errors: dict[int, DamagedError] = {}
        for place, (one, _) in enumerate(readings):
            change = found[place]
            if isinstance(change, DamagedError):
                errors.setdefault(id(one), change)
            else:
                days[id(one)].append(change)
        for one in group:
            one.publication = replace(one.publication, days=tuple(days[id(one)]))
            if error := errors.get(id(one)):
                self._fail(one, error)

    def _prepared(self, readings: Sequence[tuple[Ended, Reading]], place: int) -> DayChange | DamagedError:
        try:
            return prepare(self._landing.zone, readings[place][1])
        except DamagedError as error:  # the part, not a landed file
            return error

    def _readings(self, one: Ended, *, unproven: bool) -> Iterator[Reading]:
        publication, receipt = one.publication, one.end.receipt
        short_days = receipt.short_days if receipt else frozenset()
        drop = publication.status is Status.COMPLETE and not self._landing.keep_missing
        for day in sorted({*map(date.fromisoformat, one.part.days), *publication.window}):
            proven = not unproven and day not in short_days
            yield Reading(
                account=publication.account,
                day=day,
                gathered=one.part.gathered(day.isoformat()),
                complete=proven and day < publication.read_on,
                drop_missing=drop and proven,
            )

    @contextmanager
    def _failing(self, one: Ended) -> Iterator[None]:
        """A part that cannot be read back harms no other slice."""
        try:
            yield
        except DamagedError as error:
            self._fail(one, error)

    def _fail(self, one: Ended, error: DamagedError) -> None:
        self._landing.zone.unstage(_staged([one]))
        one.fail(error)
        self._landing.ledger.forget_checkpoint(one.publication.account, one.publication.window)

    def _replace_files(self, group: Sequence[Ended], known: Sequence[dict[date, Known]]) -> None:
        """From what is staged to what is seen, durably."""
        landing = self._landing
        changing = [one.publication for one in group if any(day.touches for day in one.publication.days)]
        with self._clearing():
            for one, days in zip(group, known, strict=True):
                if touched := [day.day for day in one.publication.days if _is_touched(day, days.get(day.day))]:
                    landing.marks.withdraw(touched)
            if changing:
                landing.ledger.intend(*changing)
            for _ in changing:
                steps.passed(Step.PUBLICATION_INTENDED)
        days_changed = [day for one in changing for day in one.days if day.touches]
        folders = [put_in_place(landing.zone, day) for day in days_changed]
        self._threads.side_by_side(_synced, list(dict.fromkeys(folder for folder in folders if folder)))

    @contextmanager
    def _clearing(self) -> Iterator[None]:
        """What is staged goes when it will not be published: the disk may be full."""
        try:
            yield
        except StorageError:
            self._landing.zone.clear_staged()
            raise


def _synced(folder: Path) -> None:
    with storage(folder, "publish"):
        sync_directory(folder)


def _staged(group: Iterable[Ended]) -> Iterator[str]:
    return (day.staged for one in group for day in one.publication.days if day.staged)


def _here(publication: Publication) -> int:
    return sum(day.calls for day in publication.days) + publication.quarantined


def _counted(one: Ended) -> int:
    return one.end.receipt.distinct if one.end.receipt else 0


def _lacks(publication: Publication) -> bool:
    """Whether fewer calls are here than the walk of a complete slice counted."""
    receipt = publication.receipt
    return receipt is not None and publication.status is Status.COMPLETE and _here(publication) < receipt.distinct


def _is_touched(change: DayChange, known: Known | None) -> bool:
    """Whether what a mark says of the day may not hold any more."""
    if change.touches or known is None:
        return change.touches
    return (known.complete and not change.complete) or known.in_file != change.in_file


def _with_gone(change: DayChange, known: Known | None) -> DayChange:
    """Notes that a file is gone which the ledger knows of; what it held and was not read tonight is lost."""
    if known is None or not known.in_file or change.note:
        return change
    if change.missing or change.new < change.calls:
        return change  # it was there: some of its calls were
    read = f"{change.calls:,} were read tonight"
    return replace(change, note=f"{change.path} was gone, and {known.in_file:,} calls with it; {read}")

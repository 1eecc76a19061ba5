"""The writer: drains the queue, collects each slice's calls, makes checkpoints of them, publishes and commits.

**Checkpoint**: the calls go to the part's file, the file to the disk, and then the ledger says in one transaction how
far the part is good and how the walk goes on from there.

**Publish**: every changed day is written out of sight and made durable; the marks of these days are withdrawn; the
ledger says what is going to be replaced; the files are replaced; the ledger says that the slice is harvested. A crash
before the ledger's first word leaves everything as it was; after it, the next run finishes what was begun
(`recovery.py`). Neither checkpoint nor publication is interrupted by cancellation.

Only whole slices are published: a file that is replaced before its slice is proven might lack calls that the old one
held ready for a warehouse. What a slice costs meanwhile is memory, bounded over all slices, and then disk.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Final, TypeVar, assert_never

import anyio
from msgspec.structs import replace

from harvester.disk import storage, sync_directory
from harvester.errors import DamagedError, StorageError
from harvester.landing import steps
from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.marks import Marks
from harvester.landing.part import Part
from harvester.landing.partition import Zone
from harvester.landing.publication import DayChange, Publication
from harvester.landing.publish import Reading, carry_out, prepare
from harvester.landing.steps import Step
from harvester.model import BEIJING, Batch, End, Outcome, Receipt, Slice, Status

T = TypeVar("T")
U = TypeVar("U")
THREADS: int = 8
"""Days that are published side by side."""
MEMORY_BYTES: Final = 16 * 2**20
"""What the calls of all open slices may hold in memory; beyond it the largest slice goes to disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """Where a writer works.

    Attributes:
        zone: Where files land.
        ledger: Where commits are recorded.
        marks: What says which days are complete.
        run_id: Of this run.
        wall: Unix seconds.
        keep_missing: Whether calls stay that landed once and are not returned any more.
    """

    zone: Zone
    ledger: Ledger
    marks: Marks
    run_id: str
    wall: Callable[[], float]
    keep_missing: bool = True

    def now(self) -> datetime:
        """Beijing time, in whole seconds."""
        return datetime.fromtimestamp(self.wall(), BEIJING).replace(microsecond=0)


class Writer:
    """The only receiver of the queue.

    Args:
        landing: Where it works.
        report: Told of every slice that ended, in the order of their commits.
        adopted: What earlier runs left of slices that this one goes on with.
    """

    def __init__(
        self, landing: Landing, report: Callable[[Outcome], None], adopted: Mapping[Slice, Part] | None = None
    ) -> None:
        self._landing = landing
        self._report = report
        self._parts = dict(adopted or {})
        self._resumed = set(self._parts)
        self._today = landing.now().date()
        self._made = 0

    async def drain(self, get: Callable[[], Awaitable[Batch | End | None]]) -> None:
        """Works until the queue is closed and empty.

        Args:
            get: The queue's next message; `None` at its end.

        Raises:
            StorageError: Files or ledger cannot be written: the run must end.

        Cancellation: between two messages; what has a checkpoint is there for the next run.
        """
        while message := await get():
            match message:
                case Batch():
                    await self._collect(message)
                case End():
                    self._report(await self._uninterrupted(partial(self._finish, message)))
                case _:
                    assert_never(message)

    async def _uninterrupted(self, work: Callable[[], T]) -> T:
        with anyio.CancelScope(shield=True):
            done = await anyio.to_thread.run_sync(work)
        return done  # noqa: RET504 - out here, for the type: a scope might have swallowed it

    async def _collect(self, batch: Batch) -> None:
        if batch.was is not None:
            self._narrow(batch.was, batch.slice)
        part = self._part_of(batch.slice)
        part.add(batch.calls, batch.strays)
        if batch.state is not None:
            await self._uninterrupted(partial(self._checkpoint, batch.slice, part, batch.state))
            if batch.was is not None:
                steps.passed(Step.SLICE_NARROWED)
        elif sum(part.memory_bytes for part in self._parts.values()) > MEMORY_BYTES:
            largest = max(self._parts.values(), key=lambda part: part.memory_bytes)
            await self._uninterrupted(partial(self._spill, largest))

    def _part_of(self, one: Slice) -> Part:
        if one not in self._parts:
            self._made += 1
            path = self._landing.zone.scratch / f"{self._landing.run_id}-{self._made}.part"
            self._parts[one] = Part(path, self._today)
        return self._parts[one]

    def _narrow(self, before: Slice, after: Slice) -> None:
        """A slice goes on under fewer days; the checkpoint that follows takes the place of the one it had."""
        self._parts[after] = self._part_of(before)
        del self._parts[before]
        if before in self._resumed:
            self._resumed.add(after)

    def _spill(self, part: Part) -> None:
        with storage(part.path, "write to"):
            part.spill()

    def _checkpoint(self, one: Slice, part: Part, state: bytes) -> None:
        with storage(part.path, "write to"):
            part.make_durable()
        self._landing.ledger.save_checkpoint(
            Checkpoint(
                account_id=one.account.id,
                first_day=one.window.start,
                last_day=one.window.end,
                part=part.path.name,
                size_bytes=part.file_bytes,
                calls=part.calls,
                state=state,
                read_on=part.read_on,
                at=self._landing.now(),
            )
        )
        steps.passed(Step.CHECKPOINT_COMMITTED)

    def _finish(self, end: End) -> Outcome:
        part = self._part_of(end.slice)
        publication = Publication(
            run_id=self._landing.run_id,
            account_id=end.slice.account.id,
            first_day=end.slice.window.start,
            last_day=end.slice.window.end,
            status=end.status,
            reason=end.reason,
            receipt=end.receipt,
            read_on=part.read_on,
            resumed=end.slice in self._resumed,
        )
        del self._parts[end.slice]
        if end.receipt is None:
            self._lay_down(end, part)
            self._landing.ledger.commit(publication, self._landing.now())
        else:
            publication = self._publish(publication, end.receipt, part)
            with storage(part.path, "remove"):
                part.discard()
            steps.passed(Step.PART_REMOVED)
        return publication.outcome(end.slice)

    def _lay_down(self, end: End, part: Part) -> None:
        """Of a walk that did not come to its end: keeps what the next run can go on with."""
        if end.state is not None:
            self._checkpoint(end.slice, part, end.state)
        elif end.afresh:
            self._landing.ledger.forget_checkpoint(end.slice.account.id, end.slice.window)
            with storage(part.path, "remove"):
                part.discard()

    def _publish(self, publication: Publication, receipt: Receipt, part: Part) -> Publication:
        landing = self._landing
        try:
            with self._clearing():
                publication = self._prepared(publication, receipt, part)
        except DamagedError as error:  # the part, not a landed file: nothing of it can be relied on
            landing.ledger.forget_checkpoint(publication.account, publication.window)
            failed = replace(publication, status=Status.FAILED, reason=f"{error}: it is read again", receipt=None)
            landing.ledger.commit(failed, landing.now())
            return failed
        known = landing.ledger.known(publication.window, [publication.account]).get(publication.account, {})
        before = {day: one.complete for day, one in known.items()}
        publication = replace(publication, days=tuple(_with_gone(day, known.get(day.day)) for day in publication.days))
        changes = any(day.touches for day in publication.days)
        with self._clearing():
            if touched := [day.day for day in publication.days if _is_touched(day, known.get(day.day))]:
                landing.marks.withdraw(touched)
            if changes:
                landing.ledger.intend(publication)
                steps.passed(Step.PUBLICATION_INTENDED)
        if changes:
            _side_by_side(partial(carry_out, landing.zone), publication.days, THREADS)
        landing.ledger.commit(publication, landing.now())
        steps.passed(Step.SLICE_COMMITTED)
        now = {day.day: day.complete for day in publication.days}
        landing.marks.account_committed(publication.account, before, now)
        return publication

    def _prepared(self, publication: Publication, receipt: Receipt, part: Part) -> Publication:
        """Stages every day, those without a call too: the calls that are in their files are missing tonight."""
        landing = self._landing
        strays = part.strays()
        if strays:
            landing.zone.quarantine(publication.account, strays)
            quarantined = len({stray.key for stray in strays})
            publication = replace(publication, quarantined=quarantined)
        proven = publication.status is Status.COMPLETE
        days = self._stage(publication, receipt.short_days, part, drop=proven and not landing.keep_missing)
        here = sum(day.calls for day in days) + publication.quarantined
        if proven and here < receipt.distinct:
            landing.zone.clear_staged()
            reason = f"{here} different calls landed, but {receipt.distinct} were counted while reading"
            publication = replace(publication, status=Status.SHORT, reason=reason)
            days = self._stage(publication, frozenset(publication.window), part, drop=False)
        if any(day.staged for day in days):
            with storage(landing.zone.scratch, "prepare"):
                sync_directory(landing.zone.scratch)
        steps.passed(Step.SLICE_STAGED)
        return replace(publication, days=tuple(days))

    def _stage(
        self, publication: Publication, short_days: frozenset[date], part: Part, *, drop: bool
    ) -> list[DayChange]:
        days = sorted({*map(date.fromisoformat, part.days), *publication.window})
        readings = []
        for day in days:
            proven = day not in short_days
            readings.append(
                Reading(
                    account=publication.account,
                    day=day,
                    calls=partial(part.calls_of, day.isoformat()),
                    complete=proven and day < publication.read_on,
                    drop_missing=drop and proven,
                )
            )
        # what is on disk goes one by one: each day that is read back takes memory
        return _side_by_side(partial(prepare, self._landing.zone), readings, 1 if part.spilled else THREADS)

    @contextmanager
    def _clearing(self) -> Iterator[None]:
        """What is staged goes when it will not be published: the disk may be full."""
        try:
            yield
        except StorageError:
            self._landing.zone.clear_staged()
            raise


def _side_by_side(work: Callable[[T], U], what: Sequence[T], threads: int) -> list[U]:
    """Works on days side by side: most of the time is waiting for the disk."""
    if threads == 1 or len(what) == 1:
        return [work(one) for one in what]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, what))


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

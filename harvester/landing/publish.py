"""Publishing a day: tonight's calls and those that are in its file → a new file out of sight, then in its place."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

from msgspec.structs import replace

from harvester.disk import storage, sync_directory
from harvester.landing import steps
from harvester.landing.files import is_staged, move, stage, take_off
from harvester.landing.landed import Difference, Landed, digest_if_same
from harvester.landing.merge import BEFORE_ALL, merged
from harvester.landing.partition import Zone
from harvester.landing.publication import DayChange, Publication
from harvester.landing.runs import Gathered, Text
from harvester.landing.steps import Step
from harvester.model import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What tonight's walk brought of one day.

    Attributes:
        account: Whose.
        day: Which.
        gathered: Its calls; asked more than once.
        complete: Whether the day was over when it was read, and is proven.
        drop_missing: Whether calls of the file that were not read go.
    """

    account: AccountId
    day: date
    gathered: Gathered
    complete: bool
    drop_missing: bool = False


def prepare(zone: Zone, reading: Reading) -> DayChange:
    """Stages a day's new file, if anything changes; the day's own file is not touched.

    A call that is in the file and was not read tonight stays, unless that is to be dropped: the API may forget, the
    landing zone does not. A damaged file is replaced too, with what can still be read of it; it is kept elsewhere.

    Raises:
        DamagedError: Tonight's calls cannot be read back.
        StorageError: The new file cannot be written.
    """
    path, there = zone.look(reading.account, reading.day.isoformat())
    change = DayChange(day=reading.day, path="/".join(path.parts[-3:]), complete=reading.complete, calls=0, in_file=0)
    text = reading.gathered.text()
    if not there:
        return _prepare_first(zone, change, text)
    if digest := digest_if_same(path, text):
        return replace(change, calls=text.calls, in_file=text.calls, digest=digest)
    return _prepare_next(zone, change, reading)


def _prepare_first(zone: Zone, change: DayChange, text: Text) -> DayChange:
    """A day without a file: without calls it gets none."""
    blocks = iter(text)
    first = next(blocks, None)
    if first is None:
        return change
    staged, digest = _staged(zone, change, chain([first], blocks))
    calls = text.calls
    return replace(change, calls=calls, in_file=calls, new=calls, staged=staged, digest=digest)


def _prepare_next(zone: Zone, change: DayChange, reading: Reading) -> DayChange:
    """A day whose file holds other calls than were read tonight."""
    day, path = reading.day.isoformat(), zone.root / change.path
    landed = Landed.at(path, day)
    found = Difference.between(reading.gathered.calls(), landed.calls(day))
    missing = len(found.missing)
    dropped = missing if reading.drop_missing else 0
    change = replace(
        change,
        calls=found.calls,
        in_file=found.calls + missing - dropped,
        digest=landed.digest,
        new=found.new,
        changed=found.changed,
        missing=missing,
        dropped=dropped,
    )
    if not (found.new or found.changed or dropped or landed.trouble):
        return change
    if landed.trouble and landed.digest:
        kept_as = zone.keep_damaged(path, landed.digest)
        others = f" and the {missing:,} other calls that could still be read, unproven" if missing else ""
        note = f"{landed.trouble}: replaced by what was read tonight{others}; it is kept as {kept_as}"
        change = replace(change, note=note)
    if not change.in_file:
        return replace(change, digest=None, removed=True)
    kept = () if dropped else found.missing
    staged, digest = _staged(zone, change, _together(reading.gathered, landed, day, kept))
    return replace(change, staged=staged, digest=digest)


def _together(gathered: Gathered, landed: Landed, day: str, kept: Collection[str]) -> Iterator[bytes]:
    """The text of tonight's calls and of those that stay."""
    if not kept:
        return iter(gathered.text())
    stay = (block.where([one in kept for one in block.ids]) for block in landed.calls(day))
    both = merged([(BEFORE_ALL, gathered.calls), (BEFORE_ALL, lambda: stay)])
    return (block.lines_joined() for block in both)


def _staged(zone: Zone, change: DayChange, blocks: Iterator[bytes]) -> tuple[str, bytes]:
    """The name of a day's new file, and its digest."""
    path = zone.root / change.path
    with storage(path, "publish"):
        staged, digest = stage(path, blocks, scratch=zone.scratch)
    steps.passed(Step.DAY_STAGED)
    return staged.name, digest


def carry_out(zone: Zone, change: DayChange, *, again: bool = False) -> None:
    """Makes a day what was prepared, durably.

    Args:
        zone: Where.
        change: What was prepared.
        again: Whether that was begun before and may have been stopped anywhere: what is done, or lost, is not missed.

    Raises:
        StorageError: It cannot be done now; the file is as it was, or as it should be.
    """
    if not change.touches:
        return
    path = zone.root / change.path
    with storage(path, "publish"):
        if not again or change.removed or is_staged(zone.scratch / (change.staged or ""), path):
            sync_directory(_replaced(zone, change))
        if again:  # what was done before may not be durable
            for folder in (path.parent, path.parent.parent, zone.root):
                if folder.is_dir():
                    sync_directory(folder)
    steps.passed(Step.DAY_REPLACED)


def put_in_place(zone: Zone, change: DayChange) -> Path | None:
    """As `carry_out`, but for the last step: gives the folder to sync, which days have in common; `None` for none."""
    if not change.touches:
        return None
    with storage(zone.root / change.path, "publish"):
        folder = _replaced(zone, change)
    steps.passed(Step.DAY_REPLACED)
    return folder


def _replaced(zone: Zone, change: DayChange) -> Path:
    path = zone.root / change.path
    return take_off(path) if change.removed else move(zone.scratch / (change.staged or ""), path)


def as_on_disk(zone: Zone, publication: Publication) -> Publication:
    """A publication with the days whose files are not what was prepared, whyever, taken for not complete.

    Raises:
        StorageError: A file cannot be read.
    """
    days = []
    for change in publication.days:
        landed = Landed.at(zone.root / change.path, change.day.isoformat()) if change.touches else None
        if landed and landed.digest != change.digest:
            change = replace(change, digest=landed.digest, in_file=landed.count, complete=False)  # noqa: PLW2901
        days.append(replace(change, staged=None, removed=False))
    return replace(publication, days=tuple(days))

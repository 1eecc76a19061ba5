"""Publishing a day: tonight's calls and those that are in its file → a new file out of sight, then in its place."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from harvester.calls import Call
from harvester.disk import storage, sync_directory
from harvester.landing import steps
from harvester.landing.encode import to_lines
from harvester.landing.files import is_staged, put, stage, take_away
from harvester.landing.landed import Landed
from harvester.landing.partition import Zone
from harvester.landing.publication import DayChange, Publication
from harvester.landing.steps import Step
from harvester.model import AccountId

_BLOCK_CALLS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What tonight's walk brought of one day.

    Attributes:
        account: Whose.
        day: Which.
        calls: Gives its calls in order of start and id; asked more than once. A `call_id` may come more than once, the
            first one counts.
        complete: Whether the day was over when it was read, and is proven.
        drop_missing: Whether calls of the file that were not read go.
    """

    account: AccountId
    day: date
    calls: Callable[[], Iterator[Call]]
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
    day = reading.day.isoformat()
    path = zone.partition(reading.account, day)
    landed = Landed.at(path, day)
    if landed.digest is None:
        return _prepare_first(zone, reading, path)
    tonight = {call.id: hash(call.line) for call in _each_once(reading.calls())}
    common = tonight.keys() & landed.hashes.keys()
    new, missing = len(tonight) - len(common), len(landed.hashes) - len(common)
    changed = sum(1 for key in common if tonight[key] != landed.hashes[key])
    dropped = missing if reading.drop_missing else 0
    in_file = len(tonight) + missing - dropped
    change = DayChange(
        day=reading.day,
        path=str(path.relative_to(zone.root)),
        complete=reading.complete,
        calls=len(tonight),
        in_file=in_file,
        digest=landed.digest,
        new=new,
        changed=changed,
        missing=missing,
        dropped=dropped,
    )
    if not (new or changed or dropped or landed.trouble):
        return change
    if landed.trouble:
        kept_as = zone.keep_damaged(path, landed.digest)
        others = f" and the {missing:,} other calls that could still be read, unproven" if missing else ""
        note = f"{landed.trouble}: replaced by what was read tonight{others}; it is kept as {kept_as}"
        change = replace(change, note=note)
    if not in_file:
        return replace(change, digest=None, removed=True)
    kept = (call for call in (() if dropped else landed.calls(day)) if call.id not in tonight)
    together = _each_once(merge(reading.calls(), kept, key=attrgetter("start", "id")))
    with storage(path, "publish"):
        staged, digest = stage(path, _blocks(together), scratch=zone.scratch)
    steps.passed(Step.DAY_STAGED)
    return replace(change, staged=staged.name, digest=digest)


def _prepare_first(zone: Zone, reading: Reading, path: Path) -> DayChange:
    """A day without a file: without calls it gets none."""
    change = DayChange(
        day=reading.day, path=str(path.relative_to(zone.root)), complete=reading.complete, calls=0, in_file=0
    )
    counted = _Counted(_each_once(reading.calls()))
    blocks = _blocks(counted)
    first = next(blocks, None)
    if first is None:
        return change
    with storage(path, "publish"):
        staged, digest = stage(path, chain([first], blocks), scratch=zone.scratch)
    steps.passed(Step.DAY_STAGED)
    calls = counted.calls
    return replace(change, calls=calls, in_file=calls, new=calls, staged=staged.name, digest=digest)


def carry_out(zone: Zone, change: DayChange, *, again: bool = False) -> None:
    """Makes a day what was prepared.

    Args:
        zone: Where.
        change: What was prepared.
        again: Whether that was begun before and may have been stopped anywhere: what is done, or lost, is not missed.

    Raises:
        StorageError: It cannot be done now; the file is as it was, or as it should be.
    """
    if not change.touches:
        return
    path, staged = zone.root / change.path, zone.scratch / (change.staged or "")
    with storage(path, "publish"):
        if change.removed:
            take_away(path)
        elif not again or is_staged(staged, path):
            put(staged, path)
        if again:  # what was done before may not be durable
            for folder in (path.parent, path.parent.parent, zone.root):
                if folder.is_dir():
                    sync_directory(folder)
    steps.passed(Step.DAY_REPLACED)


def as_on_disk(zone: Zone, publication: Publication) -> Publication:
    """A publication with the days whose files are not what was prepared, whyever, taken for not complete.

    Raises:
        StorageError: A file cannot be read.
    """
    days = []
    for change in publication.days:
        landed = Landed.at(zone.root / change.path, change.day.isoformat()) if change.touches else None
        if landed and landed.digest != change.digest:
            change = replace(change, digest=landed.digest, in_file=len(landed.hashes), complete=False)  # noqa: PLW2901
        days.append(replace(change, staged=None, removed=False))
    return replace(publication, days=tuple(days))


class _Counted:
    """Counts calls as they pass."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._source = calls
        self.calls = 0

    def __iter__(self) -> Iterator[Call]:
        for call in self._source:
            self.calls += 1
            yield call


def _each_once(calls: Iterable[Call]) -> Iterator[Call]:
    seen: set[str] = set()
    for call in calls:
        if call.id not in seen:
            seen.add(call.id)
            yield call


def _blocks(calls: Iterable[Call]) -> Iterator[bytes]:
    source = iter(calls)
    while block := list(islice(source, _BLOCK_CALLS)):
        yield to_lines(block)

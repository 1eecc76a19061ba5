"""A partition: one account's Beijing day, one file. How it is published, and what changed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Final

from harvester.errors import DamagedError
from harvester.landing.encode import to_lines, to_quarantine
from harvester.landing.files import SUFFIXES, make_directory, read_lines, remove, replace_whole, storage
from harvester.landing.lock import hold
from harvester.model import AccountId, Call, Stray
from harvester.record import read_record

_BLOCK_CALLS: Final = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """What publishing a day did.

    Attributes:
        landed: Different calls of tonight's reading.
        new: Those of them that were not in the file.
        changed: Those whose bytes differ from the file's.
        missing: Calls of the file that tonight's reading did not bring; they are kept.
    """

    landed: int = 0
    new: int = 0
    changed: int = 0
    missing: int = 0

    def __add__(self, other: "Change") -> "Change":
        return Change(
            self.landed + other.landed,
            self.new + other.new,
            self.changed + other.changed,
            self.missing + other.missing,
        )


class Zone:
    """The landing zone.

    Args:
        root: `[output] dir`.
        compression: Of files that are new; a file that is there keeps its own, so that a day never has two.
    """

    def __init__(self, root: Path, compression: str) -> None:
        self._root = root
        self._new_name = f"calls.ndjson{SUFFIXES[compression]}"
        self.scratch = root / ".harvester" / "unfinished"
        """For unfinished files: of the same file system as the zone, wherever the state directory is."""

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Holds the zone for a run, whatever its state directory, and clears what a dead run left unfinished.

        Raises:
            LockedError: A run with another state directory writes to this zone.
            StorageError: It cannot be written.
        """
        with storage(self.scratch, "prepare"):
            make_directory(self.scratch)
            lock = hold(self.scratch.parent / "zone.lock")
        with lock:
            with storage(self.scratch, "clear"):
                for left in self.scratch.iterdir():
                    remove(left)
            yield

    def partition(self, account: AccountId, day: str) -> Path:
        """The file of a day: the one that is there, else the one that will be."""
        folder = self._root / f"dt={day}" / f"account_id={account}"
        there = (folder / f"calls.ndjson{suffix}" for suffix in SUFFIXES.values())
        return next((path for path in there if path.exists()), folder / self._new_name)

    def publish(self, account: AccountId, day: str, read: Callable[[], Iterator[Call]]) -> Change:
        """Puts a day's calls into its file, atomically; the file is not touched if nothing changed.

        A call that is in the file and was not read tonight stays: the API may forget, the landing zone does not.

        Args:
            account: Whose.
            day: `YYYY-MM-DD`.
            read: Gives tonight's calls, in order of start and id; may be asked more than once. A `call_id` may come
                more than once, the first one counts. Without any, no file is made.

        Raises:
            DamagedError: The file that is there cannot be read.
            StorageError: The file cannot be written; it is as it was.
        """
        path = self.partition(account, day)
        with storage(path, "publish"):
            if path.exists():
                return self._republish(path, read)
            counted = _Counted(_each_once(read()))
            blocks = _blocks(counted)
            if first := next(blocks, None):
                replace_whole(path, chain([first], blocks), scratch=self.scratch)
            return Change(landed=counted.calls, new=counted.calls)

    def _republish(self, path: Path, read: Callable[[], Iterator[Call]]) -> Change:
        tonight = {call.id: hash(call.line) for call in _each_once(read())}
        there = {call.id: hash(call.line) for call in _landed(path)}
        common = tonight.keys() & there.keys()
        change = Change(
            landed=len(tonight),
            new=len(tonight) - len(common),
            changed=sum(1 for key in common if tonight[key] != there[key]),
            missing=len(there) - len(common),
        )
        if change.new or change.changed:
            kept = (call for call in _landed(path) if call.id not in tonight)
            together = merge(read(), kept, key=attrgetter("start", "id"))
            replace_whole(path, _blocks(_each_once(together)), scratch=self.scratch)
        return change

    def quarantine(self, account: AccountId, strays: Iterable[Stray]) -> None:
        """Adds records that cannot be placed to the account's quarantine, each once.

        Raises:
            StorageError: It cannot be read or written; it is as it was.
        """
        path = self._root / "quarantine" / f"account_id={account}" / "calls.ndjson"
        with storage(path, "quarantine"):
            there = dict.fromkeys(read_lines(path)) if path.exists() else {}
            lines = there | dict.fromkeys(to_quarantine(stray) for stray in strays)
            if len(lines) > len(there):
                replace_whole(path, (line + b"\n" for line in lines), scratch=self.scratch)


class _Counted:
    """Counts calls as they pass."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._source = calls
        self.calls = 0

    def __iter__(self) -> Iterator[Call]:
        for call in self._source:
            self.calls += 1
            yield call


def _landed(path: Path) -> Iterator[Call]:
    for line in read_lines(path):
        record = read_record(line)
        if not isinstance(record, Call):
            raise DamagedError(f"{path} is damaged ({record.reason} in a line): move it away and run again")
        yield record


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

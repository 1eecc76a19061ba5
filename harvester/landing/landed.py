"""What lies in a partition's file: read through once, and again as often as it is needed; and how tonight's differs."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import lt
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from harvester.calls import Call, Calls
from harvester.disk import storage
from harvester.errors import DamagedError
from harvester.landing.encode import in_order
from harvester.landing.files import DIGEST_BYTES, digest_of
from harvester.landing.ids import Ids
from harvester.landing.merge import BEFORE_ALL, aligned, key_at
from harvester.landing.ndjson import LARGE_BLOCK_BYTES, decompressed, read_blocks, read_lines
from harvester.landing.runs import whole_lines
from harvester.record import read_record, read_text

_TONIGHT: Final = 0
_THERE: Final = 1


@dataclass(frozen=True, slots=True)
class Landed:
    """A partition's file.

    Attributes:
        path: Where it is.
        count: The calls that can be read of it.
        digest: Of the file; `None` when there is none.
        trouble: Why it is not a file as harvester writes them; `None` when it is.
    """

    path: Path
    count: int = 0
    digest: bytes | None = None
    trouble: str | None = None

    @classmethod
    def at(cls, path: Path, day: str) -> Self:
        """Reads a file through, if it is there.

        Args:
            path: The file.
            day: The only day its calls may be of, `YYYY-MM-DD`.

        Raises:
            StorageError: It cannot be read; a damaged one can, as far as that goes.
        """
        if not path.exists():
            return cls(path)
        trouble: str | None = None
        count = 0
        try:
            count = sum(map(len, checked_calls(path, day)))
        except DamagedError as error:
            trouble = str(error)
        with storage(path, "read"):
            found = digest_of(path)
        if trouble:
            count = len(salvaged_calls(path, day))
        return cls(path, count, found, trouble)

    def calls(self, day: str) -> Iterator[Calls]:
        """Its calls in order of start and id, each id once; of a damaged file those that can still be read."""
        if self.digest is None:
            return iter(())
        return iter([salvaged_calls(self.path, day)]) if self.trouble else checked_calls(self.path, day)


@dataclass(frozen=True, slots=True)
class Difference:
    """How tonight's calls of a day differ from those in its file.

    Attributes:
        calls: Different ones of tonight.
        new: Those that are not in the file.
        changed: Those whose line, or place, is another one there.
        missing: The ids of those in the file that were not read tonight.
    """

    calls: int
    new: int
    changed: int
    missing: set[str]

    @classmethod
    def between(cls, tonight: Iterator[Calls], there: Iterator[Calls]) -> Self:
        """Compares calls in order, each id once; only the ids of those that differ are held."""
        calls = 0
        ours: set[str] = set()
        theirs: set[str] = set()
        for taken in aligned([(BEFORE_ALL, lambda: tonight), (BEFORE_ALL, lambda: there)]):
            sides = dict(taken)
            now, before = sides.get(_TONIGHT), sides.get(_THERE)
            calls += len(now or ())
            if now and before and now.lines == before.lines:
                continue
            same = set(now.lines).intersection(before.lines) if now and before else set()
            ours.update(_others(now, same))
            theirs.update(_others(before, same))
        changed = len(ours & theirs)
        theirs -= ours
        return cls(calls, len(ours) - changed, changed, theirs)


def _others(calls: Calls | None, same: set[bytes]) -> Iterator[str]:
    """The ids of calls whose lines are not among these."""
    if calls is None:
        return iter(())
    return (one for one, line in zip(calls.ids, calls.lines, strict=True) if line not in same)


def digest_if_same(path: Path, texts: Iterable[bytes]) -> bytes | None:
    """The digest of a file that holds exactly this; `None` when it holds anything else, or is damaged.

    Args:
        path: The file; it is there.
        texts: NDJSON as harvester writes it, cut anywhere.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        with storage(path, "read"), path.open("rb", buffering=0) as raw:
            digesting = _Digesting(raw)
            content = decompressed(cast("BinaryIO", digesting), path.suffix, LARGE_BLOCK_BYTES)
            return digesting.digest() if _is_same(content, iter(texts)) else None
    except DamagedError:
        return None


class _Digesting:
    """Digests what is read."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._hash = hashlib.blake2b(digest_size=DIGEST_BYTES)

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> bytes:
        return self._hash.digest()


def _is_same(one: Iterator[bytes], other: Iterator[bytes]) -> bool:
    text, at = b"", 0
    for block in one:
        if len(text) - at < len(block):
            rest, missing = [text[at:]], len(block) - len(text) + at
            while missing > 0:
                piece = next(other, None)
                if piece is None:
                    return False
                rest.append(piece)
                missing -= len(piece)
            text, at = b"".join(rest), 0
        if not text.startswith(block, at):
            return False
        at += len(block)
    return bool(text) and at == len(text) and not any(other)


def checked_calls(path: Path, day: str) -> Iterator[Calls]:
    """A partition's calls, in blocks.

    Raises, while it is read:
        DamagedError: It is not a file as harvester writes them: it cannot be decompressed, a line is no call, a call
            is of another day, ids come twice, calls are out of order.
        StorageError: It cannot be read.
    """
    check = _Check(path, day)
    with storage(path, "read"):
        for text in whole_lines(read_blocks(path)):
            yield from check.of(text)


class _Check:
    """What a file must be: as far as it was read, every line was a call of the day, its id new, and in order."""

    def __init__(self, path: Path, day: str) -> None:
        self._path = path
        self._day = day
        self._ids = Ids()
        self._last = BEFORE_ALL
        self._lines = 0

    def of(self, text: bytes) -> Iterator[Calls]:
        """The calls of the lines that come next; raises `DamagedError` behind those that are sound."""
        block = read_text(text)
        if block is not None and self._are_sound(block):
            self._last = key_at(block, -1)
            self._lines += len(block)
            yield block
            return
        sound: list[Call] = []
        try:
            sound.extend(map(self._one, text.removesuffix(b"\n").split(b"\n")))
        except DamagedError:
            yield Calls.of(sound)
            raise
        yield Calls.of(sound)

    def _are_sound(self, block: Calls) -> bool:
        keys = [self._last, *zip(block.starts, block.ids, strict=True)]
        in_order = all(map(lt, keys, islice(keys, 1, None)))
        of_day = block.starts[0][:10] == block.starts[-1][:10] == self._day
        return in_order and of_day and self._ids.take(block.ids)

    def _one(self, line: bytes) -> Call:
        self._lines += 1
        record, number = read_record(line), self._lines
        if not isinstance(record, Call):
            raise self._damaged(f"{record.reason} in line {number}")
        if record.day != self._day:
            raise self._damaged(f"line {number} is a call of {record.day}")
        if not self._ids.take_one(record.id):
            raise self._damaged(f"the call of line {number} was there before")
        key = (record.start, record.id)
        if key < self._last:
            raise self._damaged(f"line {number} is out of order")
        self._last = key
        return record

    def _damaged(self, why: str) -> DamagedError:
        return DamagedError(f"{self._path} is damaged ({why})")


def salvaged_calls(path: Path, day: str) -> Calls:
    """What can still be read of a damaged file: the day's calls, in order, each id once."""
    found: dict[str, Call] = {}
    try:
        with storage(path, "read"):
            for line in read_lines(path):
                record = read_record(line)
                if isinstance(record, Call) and record.day == day:
                    found.setdefault(record.id, record)
    except DamagedError:
        pass  # that is why it is being salvaged
    return Calls.of(in_order(found.values()))

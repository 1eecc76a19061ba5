"""A part: the calls of a slice that is still being walked, in memory and, when they are many or must last, on disk.

The file is a sequence of *runs*: some of a day's calls in order, one zstd frame, behind a skippable frame (RFC 8878)
that says whose they are. So it needs no index to be read back, and any zstd tool reads it.
"""

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from heapq import heappop, heappush
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final
from zlib import crc32

import msgspec
import orjson
import zstandard

from harvester.calls import Call, Calls, Stray
from harvester.disk import storage, sync_directory
from harvester.errors import DamagedError
from harvester.landing import steps
from harvester.landing.encode import in_order, to_lines
from harvester.landing.ndjson import read_frames, split_lines
from harvester.landing.steps import Step
from harvester.record import read_record

_LEVEL: Final = 1
_HEADER: Final = struct.Struct("<III")
_SKIPPABLE: Final = 0x184D2A50
"""What a skippable zstd frame begins with; its size follows, then, as its content, the head's CRC-32 and the head."""
_CRC_BYTES: Final = 4
_HEAD_MAX_BYTES: Final = 2**20
_STRAYS: Final = "strays"

Key = tuple[str, str]
"""A call's place in the order of a file: start and id."""


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands before a run: the day, or that it holds strays; the first call's key; the size of its frame."""

    day: str
    first: Key
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Some of a day's calls on disk, in order."""

    first: Key
    offset: int
    size_bytes: int


class Part:
    """Collects a slice's calls by day until they are published.

    Args:
        path: Where calls go that memory has no room for, or that a checkpoint makes last; made only then.
        read_on: The Beijing day on which the walk began: later days were not over when they were read.
    """

    def __init__(self, path: Path, read_on: date) -> None:
        self.path = path
        self.read_on = read_on
        self.calls = 0
        """Taken in, each as often as it was read."""
        self.memory_bytes = 0
        self.file_bytes = 0
        self._calls: dict[str, list[Call]] = {}
        self._strays: list[Stray] = []
        self._runs: dict[str, list[_Run]] = {}
        self._name_is_durable = False

    @classmethod
    def adopt(cls, path: Path, size_bytes: int, read_on: date) -> "Part":
        """The part that a dead run left, cut to its last checkpoint; every run of it is read through.

        Raises:
            DamagedError: It is not what was made durable.
            OSError: It cannot be read or cut.
        """
        part = cls(path, read_on)
        with path.open("r+b") as file:
            while part.file_bytes < size_bytes:
                part._take_over(file)
            if part.file_bytes != size_bytes:
                raise DamagedError(f"{path} is damaged (a run ends behind the last checkpoint)")
            file.truncate(size_bytes)
            os.fsync(file.fileno())
        part._name_is_durable = True
        steps.passed(Step.PART_ADOPTED)
        return part

    def _take_over(self, file: BinaryIO) -> None:
        with storage(self.path, "read"):
            begin = file.read(_HEADER.size)
            if len(begin) < _HEADER.size:
                raise EOFError("it is cut short")
            magic, length, check = _HEADER.unpack(begin)
            text = file.read(max(0, min(length - _CRC_BYTES, _HEAD_MAX_BYTES)))
            if magic != _SKIPPABLE or crc32(text) != check:
                raise EOFError("a run has no head")
            try:
                head = msgspec.json.decode(text, type=_Head)
            except msgspec.DecodeError as error:
                raise EOFError("a run is not of this harvester") from error
            run = _Run(head.first, self.file_bytes + len(begin) + len(text), head.size_bytes)
            lines = sum(1 for _ in self._lines(run))
        file.seek(run.size_bytes, os.SEEK_CUR)
        self.file_bytes = run.offset + run.size_bytes
        self._runs.setdefault(head.day, []).append(run)
        self.calls += lines if head.day != _STRAYS else 0

    @property
    def days(self) -> list[str]:
        """The Beijing days that have calls, `YYYY-MM-DD`, in order."""
        return sorted({*self._calls, *self._runs} - {_STRAYS})

    @property
    def spilled(self) -> bool:
        """Whether some of it is on disk."""
        return bool(self._runs)

    def add(self, calls: Calls, strays: Sequence[Stray] = ()) -> None:
        """Takes calls and strays in."""
        self.memory_bytes += calls.memory_bytes + sum(stray.memory_bytes for stray in strays)
        self.calls += len(calls)
        self._strays += strays
        for call in calls:
            day = call.start[:10]
            if day in self._calls:
                self._calls[day].append(call)
            else:
                self._calls[day] = [call]

    def spill(self) -> None:
        """Moves everything from memory to disk; raises `OSError`."""
        with self.path.open("ab") as file:
            for day, calls in self._calls.items():
                ordered = in_order(reversed(calls))
                self._write(file, day, (ordered[0].start, ordered[0].id), to_lines(ordered))
            if self._strays:
                lines = [b"%b\t%b\n" % (orjson.dumps([one.key, one.reason]), one.line) for one in self._strays]
                self._write(file, _STRAYS, ("", ""), b"".join(lines))
        self._calls.clear()
        self._strays.clear()
        self.memory_bytes = 0

    def _write(self, file: BinaryIO, day: str, first: Key, lines: bytes) -> None:
        frame = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(lines)
        head = msgspec.json.encode(_Head(day, first, len(frame)))
        begin = file.write(_HEADER.pack(_SKIPPABLE, _CRC_BYTES + len(head), crc32(head)) + head)
        self._runs.setdefault(day, []).append(_Run(first, self.file_bytes + begin, len(frame)))
        self.file_bytes += begin + file.write(frame)

    def make_durable(self) -> None:
        """Moves everything to disk, and waits until the disk has it; raises `OSError`."""
        self.spill()
        steps.passed(Step.PART_WRITTEN)
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        if not self._name_is_durable:
            sync_directory(self.path.parent)
            self._name_is_durable = True
        steps.passed(Step.PART_DURABLE)

    def calls_of(self, day: str) -> Iterator[Call]:
        """A day's calls in order of start and id; a `call_id` may come again, its newest reading comes first.

        Raises, while it is read:
            DamagedError: What went to disk cannot be read back.
            StorageError: Nor can the file.
        """
        memory = in_order(reversed(self._calls.get(day, ())))
        runs = self._runs.get(day)
        if not runs:
            return iter(memory)
        sources: list[tuple[Key, Callable[[], Iterator[Call]]]] = []
        if memory:
            sources.append(((memory[0].start, memory[0].id), lambda: iter(memory)))
        sources += [(run.first, lambda run=run: self._read(run)) for run in reversed(runs)]  # type: ignore[misc]
        return _merged(sources)

    def strays(self) -> list[Stray]:
        """Everything that cannot be placed; a stray may come again. Raises as `calls_of`."""
        lines = (line.split(b"\t", 1) for run in self._runs.get(_STRAYS, ()) for line in self._lines(run))
        there = ((orjson.loads(words), line) for words, line in lines)
        return [Stray(key, reason, line) for (key, reason), line in there] + self._strays

    def _read(self, run: _Run) -> Iterator[Call]:
        for line in self._lines(run):
            record = read_record(line)
            if isinstance(record, Call):
                yield record

    def _lines(self, run: _Run) -> Iterator[bytes]:
        with storage(self.path, "read"):  # or the damage would be told of the file that is being published
            with self.path.open("rb") as file:
                file.seek(run.offset)
                frame = file.read(run.size_bytes)
            if len(frame) < run.size_bytes:
                raise EOFError("it is cut short")
            yield from split_lines(read_frames(BytesIO(frame)))

    def forget_day(self, day: str) -> None:
        """Frees the memory of a day that is published."""
        self._calls.pop(day, None)

    def discard(self) -> None:
        """Removes what is on disk; raises `OSError`."""
        self.path.unlink(missing_ok=True)


def _merged(sources: Sequence[tuple[Key, Callable[[], Iterator[Call]]]]) -> Iterator[Call]:
    """Ordered sources → one, in order; of equal keys that of the earlier source first.

    A source is opened when its first key's turn comes: a walk goes one way, so few of its runs overlap.
    """
    waiting = sorted(((first, rank, source) for rank, (first, source) in enumerate(sources)), key=lambda one: one[:2])
    waiting.reverse()
    heap: list[tuple[Key, int, Call, Iterator[Call]]] = []
    while heap or waiting:
        while waiting and (not heap or waiting[-1][0] <= heap[0][0]):
            _, rank, source = waiting.pop()
            _push(heap, rank, source())
        if heap:
            _, rank, call, rest = heappop(heap)
            yield call
            _push(heap, rank, rest)


def _push(heap: list[tuple[Key, int, Call, Iterator[Call]]], rank: int, source: Iterator[Call]) -> None:
    if call := next(source, None):
        heappush(heap, ((call.start, call.id), rank, call, source))

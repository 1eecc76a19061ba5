"""A part: the calls of a slice that is still being walked, in memory and, when they are many or must last, on disk.

The file is a sequence of *runs*: some of a day's calls in order, one zstd frame, behind a skippable frame (RFC 8878)
that says whose they are. So it needs no index to be read back, and any zstd tool reads it.
"""

import os
import struct
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final
from zlib import crc32

import msgspec
import orjson

from harvester.calls import Calls, Stray
from harvester.disk import storage, sync_directory
from harvester.errors import DamagedError
from harvester.landing import steps
from harvester.landing.merge import BEFORE_ALL, Key, Source
from harvester.landing.ndjson import compressed, read_frames, split_lines
from harvester.landing.runs import Gathered, Run, Spilled, calls_of, merged_run
from harvester.landing.steps import Step

_HEADER: Final = struct.Struct("<III")
_SKIPPABLE: Final = 0x184D2A50
"""What a skippable zstd frame begins with; its size follows, then, as its content, the head's CRC-32 and the head."""
_CRC_BYTES: Final = 4
_HEAD_MAX_BYTES: Final = 2**20
_STRAYS: Final = "strays"
_READ_BYTES: Final = 2**12
"""Of a run on disk, decompressed at a time: some hundred calls; many runs may be read at once."""

_HASHES_MAX: Final = 2**15
"""Of ids of calls that went to disk, 8 bytes each: so many are remembered by a part."""
_LARGE_CALLS: Final = 10_000
_RUNS_MAX: Final = 64
"""Of a day in memory, that overlap; more are made one."""


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands before a run: the day, or that it holds strays; the first call's key; the size of its frame."""

    day: str
    first: Key
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """A run on disk.

    Attributes:
        first: Its first call's key, or an earlier one.
        offset: Where its zstd frame begins.
        size_bytes: Of that.
        last: Its last call's key.
        hashes: Of its ids; `None` when neither is known.
    """

    first: Key
    offset: int
    size_bytes: int
    last: Key = BEFORE_ALL
    hashes: "array[int] | None" = None


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
        self._runs: dict[str, list[Run]] = {}
        self._strays: list[Stray] = []
        self._frames: dict[str, list[_Frame]] = {}
        self._hashes_kept = 0
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
            frame = _Frame(head.first, self.file_bytes + len(begin) + len(text), head.size_bytes)
            lines = sum(1 for _ in split_lines(self._content(frame)))
        file.seek(frame.size_bytes, os.SEEK_CUR)
        self.file_bytes = frame.offset + frame.size_bytes
        self._frames.setdefault(head.day, []).append(frame)
        self.calls += lines if head.day != _STRAYS else 0

    @property
    def days(self) -> list[str]:
        """The Beijing days that have calls, `YYYY-MM-DD`, in order."""
        return sorted({*self._runs, *self._frames} - {_STRAYS})

    @property
    def is_large(self) -> bool:
        """Whether reading several of its days back at once takes too much memory."""
        return bool(self._frames) and self.calls > _LARGE_CALLS

    def add(self, calls: Calls, strays: Sequence[Stray] = ()) -> None:
        """Takes calls and strays in."""
        self._strays += strays
        self.memory_bytes += sum(stray.memory_bytes for stray in strays)
        self.calls += len(calls)
        for day, some in calls.days_in_order():
            runs = self._runs.setdefault(day, [])
            before_bytes = sum(run.memory_bytes for run in runs)
            run = Run(some)
            if not runs or not runs[-1].take(run):
                runs.append(run)
            if len(runs) > _RUNS_MAX:
                runs[:] = [merged_run(runs)]
            self.memory_bytes += sum(run.memory_bytes for run in runs) - before_bytes

    def spill(self) -> None:
        """Moves everything from memory to disk; raises `OSError`."""
        with self.path.open("ab") as file:
            for day, runs in self._runs.items():
                run = merged_run(runs)
                self._write(file, day, run.first, run.texts)
                self._remember(day, run)
            if self._strays:
                lines = [b"%b\t%b\n" % (orjson.dumps([one.key, one.reason]), one.line) for one in self._strays]
                self._write(file, _STRAYS, BEFORE_ALL, lines)
        self._runs.clear()
        self._strays.clear()
        self.memory_bytes = 0

    def _write(self, file: BinaryIO, day: str, first: Key, texts: Collection[bytes]) -> None:
        content = compressed(texts)
        head = msgspec.json.encode(_Head(day, first, len(content)))
        begin = file.write(_HEADER.pack(_SKIPPABLE, _CRC_BYTES + len(head), crc32(head)) + head)
        self._frames.setdefault(day, []).append(_Frame(first, self.file_bytes + begin, len(content)))
        self.file_bytes += begin + file.write(content)

    def _remember(self, day: str, run: Run) -> None:
        """Of what has just gone to disk, as long as that is not too much: then it is not looked at again."""
        if self._hashes_kept + len(run) <= _HASHES_MAX:
            self._hashes_kept += len(run)
            frames = self._frames[day]
            frames[-1] = replace(frames[-1], last=run.last, hashes=run.hashes)

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

    def gathered(self, day: str) -> Gathered:
        """A day's calls; a `call_id` may come again.

        What it gives raises, while it is read:
            DamagedError: What went to disk cannot be read back.
            StorageError: Nor can the file.
        """
        memory, frames = Gathered.of(self._runs.get(day, ())), self._frames.get(day)
        if not frames:
            return memory
        sources: list[Source] = [*memory.sources, *((one.first, partial(self._read, one)) for one in reversed(frames))]
        known = [
            Spilled(one.first, one.last, one.hashes, partial(self._content, one))
            for one in frames
            if one.hashes is not None
        ]
        return Gathered(sources, [*(memory.runs or ()), *known] if len(known) == len(frames) else None)

    def strays(self) -> list[Stray]:
        """Everything that cannot be placed; a stray may come again. Raises as `gathered`."""
        there = (line for frame in self._frames.get(_STRAYS, ()) for line in split_lines(self._content(frame)))
        found = ((orjson.loads(words), line) for words, line in (one.split(b"\t", 1) for one in there))
        return [Stray(key, reason, line) for (key, reason), line in found] + self._strays

    def _read(self, frame: _Frame) -> Iterator[Calls]:
        return calls_of(self._content(frame))

    def _content(self, frame: _Frame) -> Iterator[bytes]:
        with storage(self.path, "read"):  # or the damage would be told of the file that is being published
            with self.path.open("rb") as file:
                file.seek(frame.offset)
                content = file.read(frame.size_bytes)
            if len(content) < frame.size_bytes:
                raise EOFError("it is cut short")
            yield from read_frames(BytesIO(content), _READ_BYTES)

    def discard(self) -> None:
        """Removes what is on disk; raises `OSError`."""
        self.path.unlink(missing_ok=True)

"""A part: the calls of a slice that is still being walked, in memory and, when they are many, on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Final

import zstandard

from harvester.landing.encode import in_order, to_lines
from harvester.landing.files import read_frames, split_lines, storage
from harvester.model import Call, Stray, memory_bytes
from harvester.record import read_record

_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Some of a day's calls on disk, in order: a zstd frame of the part's file."""

    offset: int
    size_bytes: int


class Part:
    """Collects a slice's calls by day until they are published.

    Args:
        path: Where calls go that memory has no room for; made only then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._calls: dict[str, list[Call]] = {}
        self._runs: dict[str, list[Run]] = {}
        self._file_bytes = 0
        self.strays: list[Stray] = []
        self.memory_bytes = 0

    @property
    def days(self) -> list[str]:
        """The Beijing days that have calls, `YYYY-MM-DD`, in order."""
        return sorted({*self._calls, *self._runs})

    @property
    def spilled(self) -> bool:
        """Whether some of it is on disk."""
        return bool(self._runs)

    def add(self, calls: Sequence[Call]) -> None:
        """Takes calls in."""
        self.memory_bytes += memory_bytes(calls)
        for call in calls:
            day = call.start[:10]
            if day in self._calls:
                self._calls[day].append(call)
            else:
                self._calls[day] = [call]

    def spill(self) -> None:
        """Moves everything from memory to disk; raises `OSError`."""
        with self._path.open("ab") as file:
            for day, calls in self._calls.items():
                frame = zstandard.ZstdCompressor(level=_LEVEL).compress(to_lines(in_order(reversed(calls))))
                self._runs.setdefault(day, []).append(Run(self._file_bytes, len(frame)))
                self._file_bytes += file.write(frame)
        self._calls.clear()
        self.memory_bytes = 0

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
        return merge(memory, *(self._read(run) for run in reversed(runs)), key=attrgetter("start", "id"))

    def _read(self, run: Run) -> Iterator[Call]:
        with storage(self._path, "read"):  # or the damage would be told of the file that is being published
            with self._path.open("rb") as file:
                file.seek(run.offset)
                frame = file.read(run.size_bytes)
            for line in split_lines(read_frames(BytesIO(frame))):
                record = read_record(line)
                if isinstance(record, Call):
                    yield record

    def forget_day(self, day: str) -> None:
        """Frees the memory of a day that is published."""
        self._calls.pop(day, None)

    def discard(self) -> None:
        """Removes what is on disk; raises `OSError`."""
        self._path.unlink(missing_ok=True)

"""What lies in a partition's file: read through once, and again as often as it is needed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from harvester.calls import Call
from harvester.disk import storage
from harvester.errors import DamagedError
from harvester.landing.encode import in_order
from harvester.landing.files import digest_of
from harvester.landing.ndjson import read_lines
from harvester.record import read_record


@dataclass(frozen=True, slots=True)
class Landed:
    """A partition's file.

    Attributes:
        path: Where it is.
        hashes: Of each call's line, by `call_id`; within this process only.
        digest: Of the file; `None` when there is none.
        trouble: Why it is not a file as harvester writes them; `None` when it is.
    """

    path: Path
    hashes: dict[str, int] = field(default_factory=dict)
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
        hashes: dict[str, int] = {}
        trouble: str | None = None
        try:
            for call in checked_calls(path, day):
                hashes[call.id] = hash(call.line)
        except DamagedError as error:
            trouble = str(error)
        with storage(path, "read"):
            found = digest_of(path)
        if trouble:
            hashes = {call.id: hash(call.line) for call in salvaged_calls(path, day)}
        return cls(path, hashes, found, trouble)

    def calls(self, day: str) -> Iterator[Call]:
        """Its calls in order of start and id, each id once; of a damaged file those that can still be read."""
        if self.digest is None:
            return iter(())
        return salvaged_calls(self.path, day) if self.trouble else checked_calls(self.path, day)


def checked_calls(path: Path, day: str) -> Iterator[Call]:
    """A partition's calls.

    Raises, while it is read:
        DamagedError: It is not a file as harvester writes them: it cannot be decompressed, a line is no call, a call
            is of another day, ids come twice, calls are out of order.
        StorageError: It cannot be read.
    """
    ids: set[str] = set()
    before = ("", "")
    with storage(path, "read"):
        for number, line in enumerate(read_lines(path), start=1):
            record = read_record(line)
            if not isinstance(record, Call):
                raise DamagedError(f"{path} is damaged ({record.reason} in line {number})")
            if record.day != day:
                raise DamagedError(f"{path} is damaged (line {number} is a call of {record.day})")
            if record.id in ids:
                raise DamagedError(f"{path} is damaged (the call of line {number} was there before)")
            key = (record.start, record.id)
            if key < before:
                raise DamagedError(f"{path} is damaged (line {number} is out of order)")
            ids.add(record.id)
            before = key
            yield record


def salvaged_calls(path: Path, day: str) -> Iterator[Call]:
    """What can still be read of a damaged file: the day's calls, in order, each id once. They are held in memory."""
    found: dict[str, Call] = {}
    try:
        with storage(path, "read"):
            for line in read_lines(path):
                record = read_record(line)
                if isinstance(record, Call) and record.day == day:
                    found.setdefault(record.id, record)
    except DamagedError:
        pass  # that is why it is being salvaged
    return iter(in_order(found.values()))

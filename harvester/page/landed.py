"""The landed calls, read file by file, block by block: nothing is held but counts."""

import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from harvester.disk import storage
from harvester.errors import DamagedError, StorageError
from harvester.landing.ledger.overview import Overview
from harvester.landing.ndjson import read_blocks
from harvester.landing.partition import Zone
from harvester.landing.runs import whole_lines
from harvester.landing.upkeep.survey import survey_day
from harvester.model import AccountId, Window
from harvester.page.counting import Counts, seen_in
from harvester.page.values import Reading
from harvester.page.words import shown

log = logging.getLogger(__name__)

_TOLD_EVERY_S: Final = 10.0
_AT_ONCE_BYTES: Final = 2**20
"""Of text that is looked at in one go, about."""


@dataclass(slots=True)
class _Sum:
    """What has been read so far."""

    counts: Counts = field(default_factory=Counts)
    files: int = 0
    absent: int = 0
    damaged: int = 0
    first_damaged: str | None = None


def read_landed(zone: Zone, ledger: Overview | None, accounts: Collection[AccountId], window: Window) -> Reading:
    """Reads the calls of some days.

    Args:
        zone: Where they are.
        ledger: What should be there; `None` when there is no ledger.
        accounts: Whose.
        window: Which days.

    Raises:
        StorageError: A folder, or the ledger, cannot be read. A file that cannot be is counted, and named.
    """
    found, whose, told_at = _Sum(), frozenset(accounts), time.monotonic()
    for place, day in enumerate(window):
        known = ledger.on(day) if ledger else {}
        expected = {account for account, one in known.items() if one.in_file and account in whose}
        there = {account: paths[0] for account, paths in survey_day(zone, day).partitions.items() if account in whose}
        found.absent += len(expected - there.keys())
        _read_day(zone, day, there, found)
        if time.monotonic() - told_at > _TOLD_EVERY_S:
            told_at = time.monotonic()
            log.info("calls of %d of %d days read, %d so far", place + 1, len(window), found.counts.calls)
    return Reading(
        window=window,
        counts=found.counts,
        files=found.files,
        absent=found.absent,
        damaged=found.damaged,
        first_damaged=found.first_damaged,
    )


def _read_day(zone: Zone, day: date, there: Mapping[AccountId, Path], found: _Sum) -> None:
    for path in there.values():
        try:
            seen = _seen_in_file(path)
        except (DamagedError, StorageError):
            if not path.exists():  # it went, or changed its place, while this was read
                found.absent += 1
                continue
            found.damaged += 1
            found.first_damaged = found.first_damaged or shown(path.relative_to(zone.root))
        else:
            found.files += 1
            found.counts.add(day, seen)


def _seen_in_file(path: Path) -> "Counter[tuple[str, object, object, object]]":
    """Raises `DamagedError` when it is not as harvester writes it, `StorageError` when it cannot be read."""
    seen: Counter[tuple[str, object, object, object]] = Counter()
    pending: list[bytes] = []
    size = 0
    with storage(path, "read"):
        try:
            for text in whole_lines(read_blocks(path)):
                pending.append(text)
                size += len(text)
                if size >= _AT_ONCE_BYTES:
                    seen += seen_in(b"".join(pending))
                    pending, size = [], 0
            return seen + seen_in(b"".join(pending))
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise DamagedError(f"{path} is damaged ({error})") from error

"""What lies in the landing zone, whoever put it there: the names among the days, and what is in a file."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from harvester.disk import storage
from harvester.errors import DamagedError, StorageError
from harvester.inspection import Cure, Finding, Kind
from harvester.landing.files import digest_of
from harvester.landing.landed import checked_calls
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.database import ledger_of
from harvester.landing.marks import NAME as MARK
from harvester.landing.ndjson import SUFFIXES
from harvester.landing.partition import Zone
from harvester.model import EARLIEST, AccountId

_FILES: Final = tuple(f"calls.ndjson{suffix}" for suffix in SUFFIXES.values())
"""What a partition's file may be called, in the order in which `Zone.partition` looks for them."""
_MAX_INT64: Final = 2**63 - 1
_ACCOUNT: Final = re.compile(r"account_id=([1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Folder:
    """A day's folder.

    Attributes:
        partitions: The calls' files of each account that has any; more than one only when somebody put it there.
        foreign: What harvester did not write.
    """

    partitions: Mapping[AccountId, Sequence[Path]]
    foreign: Sequence[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is in a partition's file.

    Attributes:
        calls: That could be read before any trouble.
        digest: Of the file; `None` when there is trouble.
        trouble: Why it is not a file as harvester writes them.
        unreadable: Whether the disk does not give it: then it cannot be replaced either.
    """

    calls: int
    digest: bytes | None = None
    trouble: str | None = None
    unreadable: bool = False


def survey(zone: Zone) -> tuple[list[date], list[Finding]]:
    """The days that have a folder, in order, and what looks like one and is none. Raises `StorageError`."""
    days, foreign = [], []
    for entry in _entries(zone.root):
        if not entry.name.startswith("dt="):
            continue
        day = _day_of(entry.name)
        if day is None:
            foreign.append(_foreign(zone, Path(entry.path), "it is named like a day, and is none"))
        elif not entry.is_dir():
            foreign.append(_foreign(zone, Path(entry.path), "a file in the place of a day's folder"))
        else:
            days.append(day)
    return days, foreign


def has_ledger(zone: Zone, state_dir: Path) -> bool:
    """Whether there is a ledger; days without one are no new landing zone, but a ledger that got lost.

    Raises:
        StorageError: There are days, and none. To begin a new one in silence would forget what was complete.
    """
    path = ledger_of(state_dir)
    with storage(path, "read"):
        if path.exists():
            return True
    if survey(zone)[0]:
        raise StorageError(
            f"there is no ledger in {state_dir}, and {zone.root} holds days. If it lies elsewhere, say so in [state] "
            "dir; if it is lost, `harvester verify CONFIG --rebuild` makes a new one from the landing zone."
        )
    return False


def refuse_an_empty_zone(zone: Zone, ledger: Ledger) -> None:
    """Raises `StorageError` when no day is there and files should be: most likely a disk is not mounted."""
    if ledger.expects_files() and not survey(zone)[0]:
        raise StorageError(
            f"{zone.root} holds no day at all, and the ledger {ledger.path} knows of files there: is the disk mounted, "
            "is [output] dir right? Nothing was changed. If all of it is lost, or a new landing zone is wanted, move "
            "the ledger away: the next run begins anew."
        )


def survey_day(zone: Zone, day: date) -> Folder:
    """What is in a day's folder, if there is one. Raises `StorageError`."""
    partitions: dict[AccountId, Sequence[Path]] = {}
    foreign: list[Finding] = []
    for entry in _entries(zone.folder_of(day.isoformat())):
        path = Path(entry.path)
        account = _account_of(entry.name) if entry.is_dir() else None
        if account is not None:
            inside = list(_entries(path))
            foreign += [_foreign(zone, Path(one.path), _UNKNOWN) for one in inside if not _is_calls(one)]
            there = {one.name for one in inside if _is_calls(one)}
            if there:  # an empty folder is what a crash leaves of a partition that went
                partitions[account] = [path / name for name in _FILES if name in there]
        elif entry.name != MARK or entry.is_dir():
            foreign.append(_foreign(zone, path, _UNKNOWN))
    return Folder(partitions, foreign)


def read_through(path: Path, day: date) -> Sight:
    """Reads a partition's file to its end, block by block; only its calls' ids are held."""
    calls = 0
    try:
        for block in checked_calls(path, day.isoformat()):
            calls += len(block)
        with storage(path, "read"):
            return Sight(calls=calls, digest=digest_of(path))
    except DamagedError as error:
        return Sight(calls=calls, trouble=str(error).removeprefix(f"{path} is damaged (").removesuffix(")"))
    except StorageError as error:
        return Sight(calls=calls, trouble=str(error), unreadable=True)


_UNKNOWN: Final = "harvester writes nothing of this name here"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, by name; nothing when it is not there."""
    with storage(folder, "read"):
        try:
            with os.scandir(folder) as found:
                yield from sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            return


def _is_calls(entry: os.DirEntry[str]) -> bool:
    return entry.name in _FILES and entry.is_file()


def _day_of(name: str) -> date | None:
    text = name.removeprefix("dt=")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if text == day.isoformat() and day >= EARLIEST else None


def _account_of(name: str) -> AccountId | None:
    found = _ACCOUNT.fullmatch(name)
    return AccountId(int(found[1])) if found and int(found[1]) <= _MAX_INT64 else None


def _foreign(zone: Zone, path: Path, why: str) -> Finding:
    name = os.fsencode(path.relative_to(zone.root)).decode("utf-8", "backslashreplace")  # anybody's, in any encoding
    return Finding(kind=Kind.FOREIGN, path=name, why=why, cure=Cure.BY_HAND)

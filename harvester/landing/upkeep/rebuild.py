"""A new ledger from the landing zone, for one that is damaged or gone.

It is made beside the old one and takes its place when it is whole: killed at any time, it is made from its beginning.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

from harvester.disk import remove, storage, sync_directory
from harvester.errors import DamagedError, NewerError
from harvester.inspection import Rebuilt
from harvester.landing.ledger import Known
from harvester.landing.ledger.database import ledger_of, set_aside
from harvester.landing.ledger.overview import Overview
from harvester.landing.marks import Mark, mark_of, read_mark
from harvester.landing.partition import Zone
from harvester.landing.upkeep.survey import Folder, read_through, survey, survey_day
from harvester.model import AccountId

_MAKING: Final = "rebuilding"
_DAYS_HELD: Final = 50_000
"""Days of accounts in memory at most: they are written by account, those of days come by day."""

_READ_AGAIN: Final = Known(0, complete=False, queued=True)
_NO_CALLS: Final = Known(0, complete=True, in_file=0)


def why_rebuild(state_dir: Path) -> str | None:
    """What is wrong with a ledger so that it has to be made anew; `None` when nothing is.

    Raises:
        StorageError: The disk does not give it.
    """
    try:
        ledger = Overview.peek(state_dir)
    except DamagedError as error:
        return str(error).split(". Nothing that was published", maxsplit=1)[0]
    except NewerError as error:
        return str(error).split(":", maxsplit=1)[0]
    if ledger is None:
        return f"there was no ledger in {state_dir}"
    with ledger:
        return f"the ledger {ledger.path} knew of no day" if ledger.is_empty() else None


def rebuild(zone: Zone, state_dir: Path, fleet: Collection[AccountId], why: str, at: str) -> Rebuilt:
    """Makes a new ledger of what is in the landing zone, and sets the old one aside.

    Args:
        zone: The landing zone, held.
        state_dir: Where the ledger is, locked.
        fleet: Every enabled account: only a run can read their days again.
        why: What is wrong with the old one.
        at: Now, made part of the old one's new name.

    Raises:
        StorageError: It cannot be done now; the old ledger is where it was.
    """
    making = state_dir / _MAKING
    with storage(making, "clear"):
        remove(making)
    with _Draft.open(making) as draft:
        made = _Making(zone, draft, frozenset(fleet), Rebuilt(why=why, aside=None))
        rebuilt = made.whole()
        draft.make_durable()
    aside = set_aside(state_dir, at)
    path = ledger_of(state_dir)
    with storage(path, "make"):
        ledger_of(making).replace(path)
        remove(making)
        sync_directory(state_dir)
    return replace(rebuilt, aside=str(aside) if aside else None)


class _Draft(Overview):
    """A ledger in the making: it need not last before it is whole."""

    def hurry(self) -> None:
        """Waits for the disk no more."""
        with self._reading() as db:
            db.execute("PRAGMA synchronous = OFF")

    def make_durable(self) -> None:
        """Puts all of it into its file, on the disk."""
        with self._reading() as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with storage(self.path, "write"):
            handle = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class _Making:
    """Fills a ledger day by day."""

    def __init__(self, zone: Zone, draft: _Draft, fleet: frozenset[AccountId], rebuilt: Rebuilt) -> None:
        self._zone = zone
        self._draft = draft
        self._fleet = fleet
        self._rebuilt = rebuilt
        self._held: dict[AccountId, dict[date, Known]] = {}
        self._days_held = 0

    def whole(self) -> Rebuilt:
        """Takes everything over."""
        self._draft.hurry()
        days, _ = survey(self._zone)
        for day in days:
            mark = read_mark(mark_of(self._zone, day))
            for account, known in self._of(day, mark if mark and mark.day == day else None):
                self._count(day, known)
                self._held.setdefault(account, {})[day] = known
                self._days_held += 1
            if self._days_held >= _DAYS_HELD:
                self._write()
        self._write()
        return self._rebuilt

    def _of(self, day: date, mark: Mark | None) -> Iterator[tuple[AccountId, Known]]:
        folder = survey_day(self._zone, day)
        named = frozenset(mark.accounts if mark else ())
        for account, files in folder.partitions.items():
            sight = read_through(files[0], day)
            if sight.digest and len(files) == 1:
                calls = sight.calls
                yield account, Known(calls, complete=account in named, in_file=calls, digest=sight.digest)
            elif account in self._fleet and not sight.unreadable:
                yield account, _READ_AGAIN
        gone = mark is not None and _files_gone(mark, folder)
        for account in sorted(named.difference(folder.partitions)):
            if not gone:
                yield account, _NO_CALLS
            elif account in self._fleet:  # one of them had calls, and which one nobody knows
                yield account, _READ_AGAIN

    def _count(self, day: date, known: Known) -> None:
        before = self._rebuilt
        unproven = not known.complete and not known.queued
        self._rebuilt = replace(
            before,
            partitions=before.partitions + (known.digest is not None),
            calls=before.calls + (known.in_file or 0),
            complete=before.complete + known.complete,
            queued=before.queued + known.queued,
            unproven=before.unproven + unproven,
            unproven_since=before.unproven_since or (day if unproven else None),
        )

    def _write(self) -> None:
        for account, days in self._held.items():
            self._draft.take_over(account, days)
        self._held.clear()
        self._days_held = 0


def _files_gone(mark: Mark, folder: Folder) -> bool:
    """Whether fewer files are there than the mark counted, if it did."""
    there = sum(1 for account in mark.accounts if account in folder.partitions)
    return mark.files is None or there < mark.files

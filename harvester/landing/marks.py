"""Completion marks: `dt=…/_COMPLETE.json` says that a day is complete for every enabled account.

A mark is withdrawn before anything of its day changes. It is made as soon as the last account is complete; once it was
withdrawn in a run, at the run's end, so that it does not flicker while accounts are read again one by one.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

import msgspec
import orjson

from harvester.disk import storage, sync_directory
from harvester.landing import steps
from harvester.landing.files import replace_whole
from harvester.landing.ledger import Ledger
from harvester.landing.partition import Zone
from harvester.landing.steps import Step
from harvester.model import BEIJING, AccountId, Window

log = logging.getLogger(__name__)

NAME: Final = "_COMPLETE.json"


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a mark says.

    Attributes:
        day: The Beijing day.
        accounts: Every enabled account, in order of ids: all of them are complete.
        files: Partitions of these accounts; `None` when the ledger does not know them all (one of an older version).
        calls: In these partitions; `None` likewise.
        run_id: Of the run that completed the day.
        at: When.
    """

    day: date
    accounts: Sequence[AccountId]
    files: int | None
    calls: int | None
    run_id: str
    at: datetime


def mark_of(zone: Zone, day: date) -> Path:
    """Where a day's mark is, or would be."""
    return zone.folder_of(day.isoformat()) / NAME


def read_mark(path: Path) -> Mark | None:
    """A mark; `None` when there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except (OSError, msgspec.DecodeError):
        return None


class Marks:
    """The marks of a run's days.

    Args:
        zone: Where they are.
        ledger: What says which accounts are complete.
        run_id: Of this run.
        wall: Unix seconds.
        fleet: Every enabled account, whether or not the run reads it.
    """

    def __init__(
        self, zone: Zone, ledger: Ledger, run_id: str, wall: Callable[[], float], fleet: Collection[AccountId]
    ) -> None:
        self._zone = zone
        self._ledger = ledger
        self._run_id = run_id
        self._wall = wall
        self._fleet = frozenset(fleet)
        self._complete: dict[date, int] = {}
        self._touched: set[date] = set()
        self._withdrawn: set[date] = set()
        self._unmarked: set[date] = set()
        """Days of which it is known that there is no mark."""

    def set_right(self, window: Window) -> None:
        """Makes the marks of these days what the ledger says: a dead run may have left them otherwise.

        Raises:
            StorageError: A mark cannot be made or withdrawn.
        """
        self._complete = dict.fromkeys(window, 0) | self._ledger.accounts_complete(window, self._fleet)
        for day in window:
            path = mark_of(self._zone, day)
            if not self._all_complete(day):
                self._remove(path)
            elif not self._covers(path):
                self._make(day)

    def make_up(self) -> None:
        """Makes the marks that other days lack though every account is complete: a run may have died before it did.

        Raises:
            StorageError: A mark cannot be made.
        """
        for day, accounts in self._ledger.accounts_complete(None, self._fleet).items():
            if day not in self._complete and accounts >= len(self._fleet) and not mark_of(self._zone, day).exists():
                self._make(day)

    def _covers(self, path: Path) -> bool:
        mark = read_mark(path)
        return mark is not None and self._fleet == set(mark.accounts)

    def withdraw(self, days: Iterable[date]) -> None:
        """To be called before anything of these days changes. Raises `StorageError`."""
        for day in days:
            self._touched.add(day)
            if day in self._unmarked:
                continue
            if self._remove(mark_of(self._zone, day)):
                self._withdrawn.add(day)
            self._unmarked.add(day)
        steps.passed(Step.MARKS_WITHDRAWN)

    def expect(self, days: Iterable[date]) -> None:
        """To be called before a commit about these days, of however many accounts. Raises `StorageError`."""
        for day in days:
            if day not in self._complete:
                window = Window(day, day)
                self._complete[day] = self._ledger.accounts_complete(window, self._fleet).get(day, 0)

    def account_committed(self, account: AccountId, before: Mapping[date, bool], now: Mapping[date, bool]) -> None:
        """Takes note of a commit, and marks the days that have become complete with it; they were `expect`ed.

        Args:
            account: Whose.
            before: Which days were complete.
            now: Which are; days that the commit was not about are absent.

        Raises:
            StorageError: A mark cannot be made.
        """
        if account not in self._fleet:
            return
        for day, complete in now.items():
            self._complete[day] += complete - before.get(day, False)
            if complete and not before.get(day) and day not in self._withdrawn and self._all_complete(day):
                self._make(day)

    def finish(self) -> None:
        """Marks the days that were touched and are complete all the same, and of which nothing will change any more.

        Raises:
            StorageError: A mark cannot be made.
        """
        changing = {day for _, window, _ in self._ledger.intended() for day in window}  # when the disk failed halfway
        for day in sorted((self._touched & self._complete.keys()) - changing):
            if self._all_complete(day) and not self._covers(mark_of(self._zone, day)):
                self._make(day)
        self._touched.clear()
        self._withdrawn.clear()

    def _all_complete(self, day: date) -> bool:
        return self._complete[day] >= len(self._fleet) > 0

    def _make(self, day: date) -> None:
        self._unmarked.discard(day)
        there = self._ledger.known(Window(day, day), self._fleet)
        known = [days[day].in_file for days in there.values()]
        gone = sum(1 for account, days in there.items() if days[day].in_file and not self._zone.has(account, day))
        if gone:
            log.warning("%s: %d files are gone, so the day is not marked: `harvester verify CONFIG --heal`", day, gone)
            return
        counts = [calls for calls in known if calls is not None]
        all_known = len(counts) == len(known)
        mark = Mark(
            day=day,
            accounts=sorted(self._fleet),
            files=sum(1 for calls in counts if calls) if all_known else None,
            calls=sum(counts) if all_known else None,
            run_id=self._run_id,
            at=datetime.fromtimestamp(self._wall(), BEIJING).replace(microsecond=0),
        )
        path = mark_of(self._zone, day)
        with storage(path, "write"):
            content = orjson.dumps(msgspec.to_builtins(mark), option=orjson.OPT_APPEND_NEWLINE)
            replace_whole(path, [content], scratch=self._zone.scratch)
        steps.passed(Step.DAY_MARKED)

    def _remove(self, path: Path) -> bool:
        """Whether there was one."""
        with storage(path, "withdraw"):
            there = path.exists()
            if there:
                path.unlink()
                sync_directory(path.parent)
        return there

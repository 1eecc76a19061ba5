"""Every account's days: what is complete, with the evidence."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Final

from harvester.landing.ledger.accounts import Accounts
from harvester.landing.ledger.hints import Hints
from harvester.landing.ledger.rolls import Rolls
from harvester.landing.ledger.schema import seal_of
from harvester.landing.ledger.unfinished import Unfinished
from harvester.landing.ledger.usage import Usage
from harvester.landing.publication import Publication
from harvester.model import AccountId, Status, Window

_SEAL: Final = seal_of(":account", ":day", ":complete", ":queued", ":calls", ":in_file", ":read_on")
_DAY: Final = ":account, :day, :complete, :queued, :calls, :in_file, :digest, :read_on"
_PUT_DAY: Final = f"INSERT OR REPLACE INTO days VALUES ({_DAY}, {_SEAL})"  # noqa: S608 - our own words
_PUT_ARRIVALS: Final = (
    "INSERT INTO arrivals VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET days = days + excluded.days,"
    " calls = calls + excluded.calls, new = new + excluded.new, changed = changed + excluded.changed,"
    " missing = missing + excluded.missing"
)
_ARRIVED: Final = ("calls", "new", "changed", "missing")
_BEFORE: Final = "SELECT day, read_on, queued FROM days WHERE account_id = ? AND day BETWEEN ? AND ?"
_KNOWN: Final = """
SELECT account_id, day, calls, complete, in_file, digest, queued FROM json_each(:accounts)
CROSS JOIN days ON account_id = value AND day BETWEEN :first AND :last
"""
_DAYS_AT_ONCE: Final = 60
"""As many bits as a number of SQLite's has, and some to spare."""
_COMPLETE: Final = """
SELECT value, (
    SELECT sum(1 << (day - :first)) FROM days
    WHERE account_id = value AND day BETWEEN :first AND :last AND complete AND NOT queued
) FROM json_each(:accounts)
"""
"""A bit for each day of an account: one look-up for all of its days, and hardly anything to hold."""
_EXTENTS: Final = """
SELECT value, (SELECT min(day) FROM days WHERE account_id = value), (SELECT max(day) FROM days WHERE account_id = value)
FROM json_each(:accounts)
"""
_ACCOUNTS_COMPLETE: Final = """
SELECT day, count(*) FROM json_each(:accounts) CROSS JOIN days ON account_id = value
WHERE day BETWEEN :first AND :last AND complete GROUP BY day
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one day of an account.

    Attributes:
        calls: Different calls of the last reading.
        complete: Whether it was proven, and over when it was read.
        in_file: Calls that its file holds; `None` when that is not known.
        digest: Of its file; `None` when there is none, or when it is not known.
        queued: Whether the next run reads it, whatever its window.
    """

    calls: int
    complete: bool
    in_file: int | None = None
    digest: bytes | None = None
    queued: bool = False


class Ledger(Unfinished, Usage, Accounts, Rolls, Hints):
    """What has been committed."""

    def known(self, window: Window, accounts: Iterable[AccountId]) -> dict[AccountId, dict[date, Known]]:
        """What is known of these days, by account; accounts and days never read are absent. Raises `StorageError`."""
        values = {"accounts": _listed(accounts), "first": window.start.toordinal(), "last": window.end.toordinal()}
        found: dict[AccountId, dict[date, Known]] = {}
        with self._reading() as db:
            for account, day, calls, complete, in_file, digest, queued in db.execute(_KNOWN, values):
                known = Known(calls, bool(complete), in_file, digest, bool(queued))
                found.setdefault(AccountId(account), {})[date.fromordinal(day)] = known
        return found

    def extents(self, accounts: Iterable[AccountId]) -> dict[AccountId, Window]:
        """From an account's first day of which anything is known to its last; those of none are absent.

        Raises:
            StorageError: The ledger cannot be read.
        """
        window = cache(lambda first, last: Window(date.fromordinal(first), date.fromordinal(last)))
        with self._reading() as db:
            found = db.execute(_EXTENTS, {"accounts": _listed(accounts)})
            return {AccountId(account): window(first, last) for account, first, last in found if first is not None}

    def complete_days(self, window: Window, accounts: Iterable[AccountId]) -> dict[AccountId, frozenset[date]]:
        """The days that need not be read again, by account; accounts of none are absent.

        Accounts that have the same days share one set: most of a fleet do.

        Raises:
            StorageError: The ledger cannot be read.
        """
        whom = _listed(accounts)
        bits: dict[AccountId, int] = {}
        for part in window.split(_DAYS_AT_ONCE):
            first, last = part.start.toordinal(), part.end.toordinal()
            place = first - window.start.toordinal()
            with self._reading() as db:
                for account, some in db.execute(_COMPLETE, {"accounts": whom, "first": first, "last": last}):
                    if some:
                        bits[account] = bits.get(account, 0) | some << place
        days = list(window)
        named = cache(lambda some: frozenset(day for place, day in enumerate(days) if some >> place & 1))
        return {account: named(some) for account, some in bits.items()}

    def accounts_complete(self, window: Window | None, accounts: Iterable[AccountId]) -> dict[date, int]:
        """How many of these accounts are complete, by day; days of none are absent.

        Args:
            window: Which days; `None` for all.
            accounts: Which, each once.

        Raises:
            StorageError: The ledger cannot be read.
        """
        first, last = (window.start.toordinal(), window.end.toordinal()) if window else (0, date.max.toordinal())
        values = {"accounts": _listed(accounts), "first": first, "last": last}
        with self._reading() as db:
            return {date.fromordinal(day): count for day, count in db.execute(_ACCOUNTS_COMPLETE, values)}

    def expects_files(self) -> bool:
        """Whether any file should be in the landing zone. Raises `StorageError`."""
        with self._reading() as db:
            return db.execute("SELECT 1 FROM days WHERE in_file > 0 LIMIT 1").fetchone() is not None

    def queued(self) -> dict[AccountId, set[date]]:
        """The days that the next run reads whatever its window, by account. Raises `StorageError`."""
        found: dict[AccountId, set[date]] = {}
        with self._reading() as db:
            for account, day in db.execute("SELECT account_id, day FROM days WHERE queued"):
                found.setdefault(AccountId(account), set()).add(date.fromordinal(day))
        return found

    def queue(self, account: AccountId, days: Iterable[date]) -> None:
        """Lets the next run read these days, whatever its window; until then they are not complete.

        Raises:
            StorageError: Nothing of it was recorded.
        """
        with self._transaction() as db:
            for day in days:
                values = {"account": account, "day": day.toordinal()}
                row = db.execute(
                    "SELECT calls, in_file, digest, read_on FROM days WHERE account_id = :account AND day = :day",
                    values,
                ).fetchone()
                calls, in_file, digest, read_on = row or (0, None, None, day.toordinal())
                more = {"calls": calls, "in_file": in_file, "digest": digest, "read_on": read_on}
                db.execute(_PUT_DAY, values | more | {"complete": 0, "queued": 1})

    def take_over(self, account: AccountId, days: Mapping[date, Known]) -> None:
        """Records days as they were found in the landing zone. Raises `StorageError`: nothing of it was recorded."""
        with self._transaction() as db:
            for day, known in days.items():
                values = {"account": account, "day": day.toordinal(), "read_on": day.toordinal() + 1}
                more = {"complete": known.complete, "queued": known.queued, "calls": known.calls}
                db.execute(_PUT_DAY, values | more | {"in_file": known.in_file, "digest": known.digest})

    def commit(self, publication: Publication, at: datetime) -> None:
        """As `commit_all`, of one slice."""
        self.commit_all([publication], at)

    def commit_all(self, publications: Iterable[Publication], at: datetime) -> None:
        """Records how slices ended and how their days stand, in one transaction.

        A finished walk's checkpoint is forgotten, as are those of other slices of the account that share a day, and its
        days are poisoned no more.

        Args:
            publications: What is done by now.
            at: Now.

        Raises:
            StorageError: Nothing of it was recorded.
        """
        now = at.isoformat(timespec="seconds")
        with self._transaction() as db:
            for one in publications:
                self._commit_one(db, one, now)

    def _commit_one(self, db: sqlite3.Connection, one: Publication, now: str) -> None:
        first, last = one.first_day, one.last_day
        evidence = one.receipt
        counts = (evidence.requests, evidence.read, evidence.distinct, evidence.counted) if evidence else (None,) * 4
        sums = [
            sum(getattr(day, name) for day in one.days) for name in ("calls", "new", "changed", "missing", "dropped")
        ]
        slice_of = (one.account_id, str(first), str(last))
        db.execute(
            "INSERT OR REPLACE INTO receipts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (one.run_id, *slice_of, one.status, one.reason, *counts, *sums, one.quarantined, now),
        )
        if one.status not in {Status.COMPLETE, Status.DIVIDED}:
            db.execute("INSERT OR REPLACE INTO failures VALUES (?,?,?,?,?,?)", (*slice_of, one.status, one.reason, now))
        self._commit_days(db, one)
        if one.receipt:
            db.execute(
                "DELETE FROM checkpoints WHERE account_id = ? AND first_day <= ? AND last_day >= ?",
                (one.account_id, str(last), str(first)),
            )
            db.execute(
                "DELETE FROM poison WHERE account_id = ? AND day BETWEEN ? AND ?",
                (one.account_id, first.toordinal(), last.toordinal()),
            )
        db.execute("DELETE FROM publications WHERE account_id = ? AND first_day = ? AND last_day = ?", slice_of)

    def _commit_days(self, db: sqlite3.Connection, one: Publication) -> None:
        """All days at once: with each statement SQLite lets other threads go first, which is dearer than it."""
        account, read_on = one.account_id, one.read_on.toordinal()
        changes = {change.day.toordinal(): change for change in one.days}
        span = (account, min(changes, default=0), max(changes, default=0))
        before = {day: (read, queued) for day, read, queued in db.execute(_BEFORE, span)}
        puts = []
        arrived: dict[tuple[int, bool], Counter[str]] = {}
        for day, change in changes.items():
            read, queued = before.get(day, (None, 0))
            state = {"complete": change.complete, "queued": queued and not change.complete}
            counts = {"calls": change.calls, "in_file": change.in_file, "digest": change.digest, "read_on": read_on}
            puts.append({"account": account, "day": day} | state | counts)
            if read_on > day and not queued:  # of a day not over nothing can be late; what is healed is not late
                sums = arrived.setdefault((read_on - day, read is not None and read > day), Counter())
                sums.update(days=1, **{name: getattr(change, name) for name in _ARRIVED})
        db.executemany(_PUT_DAY, puts)
        rows = [(read_on, *key, sums["days"], *(sums[name] for name in _ARRIVED)) for key, sums in arrived.items()]
        db.executemany(_PUT_ARRIVALS, rows)

    def late_calls(self) -> int:
        """How many calls ever came after their day had been read once it was over. Raises `StorageError`."""
        with self._reading() as db:
            return int(db.execute("SELECT total(new) FROM arrivals WHERE again").fetchone()[0])

    def forget_receipts(self, before: date) -> None:
        """Forgets how slices ended that ended before a day; what is complete stays known. Raises `StorageError`."""
        with self._transaction() as db:
            db.execute("DELETE FROM receipts WHERE at < ?", (before.isoformat(),))


def _listed(accounts: Iterable[AccountId]) -> str:
    """Accounts as SQL's `json_each` takes them: one query for all of them."""
    return json.dumps(list(accounts))

"""Every account's days: what is complete, with the evidence."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from harvester.landing.ledger.accounts import Accounts
from harvester.landing.ledger.hints import Hints
from harvester.landing.ledger.rolls import Rolls
from harvester.landing.ledger.schema import seal_of
from harvester.landing.ledger.unfinished import Unfinished
from harvester.landing.ledger.usage import Usage
from harvester.landing.publication import DayChange, Publication
from harvester.model import AccountId, Status, Window

_SEAL: Final = seal_of(":account", ":day", ":complete", ":queued", ":calls", ":in_file", ":read_on")
_DAY: Final = ":account, :day, :complete, :queued, :calls, :in_file, :digest, :read_on"
_PUT_DAY: Final = f"INSERT OR REPLACE INTO days VALUES ({_DAY}, {_SEAL})"  # noqa: S608 - our own words
_PUT_ARRIVALS: Final = (
    "INSERT INTO arrivals VALUES (?,?,?,1,?,?,?,?) ON CONFLICT DO UPDATE SET days = days + 1,"
    " calls = calls + excluded.calls, new = new + excluded.new, changed = changed + excluded.changed,"
    " missing = missing + excluded.missing"
)


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
        first, last = window.start.toordinal(), window.end.toordinal()
        columns = "day, calls, complete, in_file, digest, queued"
        query = f"SELECT {columns} FROM days WHERE account_id = ? AND day BETWEEN ? AND ?"  # noqa: S608 - our own words
        found: dict[AccountId, dict[date, Known]] = {}
        with self._reading() as db:
            for account in accounts:
                days = {
                    date.fromordinal(day): Known(calls, bool(complete), in_file, digest, bool(queued))
                    for day, calls, complete, in_file, digest, queued in db.execute(query, (account, first, last))
                }
                if days:
                    found[account] = days
        return found

    def complete_days(self, window: Window, accounts: Iterable[AccountId]) -> dict[AccountId, set[date]]:
        """The days that need not be read again, by account. Raises `StorageError`."""
        first, last = window.start.toordinal(), window.end.toordinal()
        query = "SELECT day FROM days WHERE account_id = ? AND day BETWEEN ? AND ? AND complete AND NOT queued"
        with self._reading() as db:
            return {
                account: {date.fromordinal(day) for (day,) in db.execute(query, (account, first, last))}
                for account in accounts
            }

    def accounts_complete(self, window: Window | None, accounts: Iterable[AccountId]) -> dict[date, int]:
        """How many of these accounts are complete, by day; days of none are absent.

        Args:
            window: Which days; `None` for all.
            accounts: Which.

        Raises:
            StorageError: The ledger cannot be read.
        """
        first, last = (window.start.toordinal(), window.end.toordinal()) if window else (0, date.max.toordinal())
        counts: dict[int, int] = {}
        query = "SELECT day FROM days WHERE account_id = ? AND day BETWEEN ? AND ? AND complete"
        with self._reading() as db:
            for account in accounts:
                for (day,) in db.execute(query, (account, first, last)):
                    counts[day] = counts.get(day, 0) + 1
        return {date.fromordinal(day): count for day, count in counts.items()}

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
        for day in one.days:
            self._commit_day(one, day)
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

    def _commit_day(self, one: Publication, change: DayChange) -> None:
        day, read_on = change.day.toordinal(), one.read_on.toordinal()
        key = {"account": one.account_id, "day": day}
        row = self._db.execute(
            "SELECT read_on, queued FROM days WHERE account_id = :account AND day = :day", key
        ).fetchone()
        before, queued = row or (None, 0)
        state = {"complete": change.complete, "queued": queued and not change.complete}
        counts = {"calls": change.calls, "in_file": change.in_file, "digest": change.digest, "read_on": read_on}
        self._db.execute(_PUT_DAY, key | state | counts)
        if read_on > day and not queued:  # of a day that was not over nothing can be late; what is healed is not late
            again = before is not None and before > day
            counted = (change.calls, change.new, change.changed, change.missing)
            self._db.execute(_PUT_ARRIVALS, (read_on, read_on - day, again, *counted))

    def forget_receipts(self, before: date) -> None:
        """Forgets how slices ended that ended before a day; what is complete stays known. Raises `StorageError`."""
        with self._transaction() as db:
            db.execute("DELETE FROM receipts WHERE at < ?", (before.isoformat(),))

"""The ledger as a whole: by day, for those who look at the landing zone, and by account, for `status`.

Days are looked up in the order of their key, (account, day), so that millions of them cost seconds and little memory.
"""

from datetime import date
from typing import Final

from harvester.inspection import Arrival, Failure, Tally
from harvester.landing.ledger import Known, Ledger
from harvester.model import AccountId, Window

_BY_DAY: Final = """
WITH RECURSIVE accounts(id) AS (  -- each found by one look-up: the key begins with the account
    SELECT min(account_id) FROM days
    UNION ALL
    SELECT (SELECT min(account_id) FROM days WHERE account_id > id) FROM accounts WHERE id IS NOT NULL
)
SELECT account_id, calls, complete, in_file, digest, queued
FROM accounts CROSS JOIN days ON account_id = id AND day = ?
"""
_TALLIES: Final = """
SELECT account_id, min(day), sum(complete AND day <= ?), sum(NOT complete AND NOT queued AND read_on > day), sum(queued)
FROM days GROUP BY account_id
"""


class Overview(Ledger):
    """What the ledger knows of all accounts."""

    def is_empty(self) -> bool:
        """Whether no day is known. Raises `StorageError`."""
        with self._reading() as db:
            return db.execute("SELECT 1 FROM days LIMIT 1").fetchone() is None

    def days(self) -> list[date]:
        """Every day of which anything is known, in order. Raises `StorageError`."""
        with self._reading() as db:
            found = sorted(day for (day,) in db.execute("SELECT DISTINCT day FROM days"))
        return [date.fromordinal(day) for day in found]

    def on(self, day: date) -> dict[AccountId, Known]:
        """What is known of one day, in the order of accounts. Raises `StorageError`."""
        with self._reading() as db:
            rows = db.execute(_BY_DAY, (day.toordinal(),)).fetchall()
        return {
            AccountId(account): Known(calls, bool(complete), in_file, digest, bool(queued))
            for account, calls, complete, in_file, digest, queued in rows
        }

    def tallies(self, end: date) -> dict[AccountId, Tally]:
        """What is known of each account, counted; complete days up to `end`. Raises `StorageError`."""
        with self._reading() as db:
            return {
                AccountId(account): Tally(first=date.fromordinal(first), complete=complete, short=short, queued=queued)
                for account, first, complete, short, queued in db.execute(_TALLIES, (end.toordinal(),))
            }

    def complete_on(self, account: AccountId, window: Window) -> list[int]:
        """An account's complete days, ascending, as ordinals. Raises `StorageError`."""
        query = "SELECT day FROM days WHERE account_id = ? AND day BETWEEN ? AND ? AND complete ORDER BY day"
        with self._reading() as db:
            rows = db.execute(query, (account, window.start.toordinal(), window.end.toordinal()))
            return [day for (day,) in rows]

    def failures(self) -> dict[AccountId, Failure]:
        """How each account's last slice ended that was not complete. Raises `StorageError`."""
        with self._reading() as db:
            return {
                AccountId(account): Failure(window=f"{first}..{last}", status=status, reason=reason, at=at)
                for account, first, last, status, reason, at in db.execute("SELECT * FROM failures")
            }

    def arrivals(self) -> tuple[list[Arrival], int]:
        """What reading days once more brought, by their age, and on how many days that was. Raises `StorageError`."""
        query = "SELECT age, sum(days), sum(calls), sum(new) FROM arrivals WHERE again GROUP BY age ORDER BY age"
        with self._reading() as db:
            found = [Arrival(age=age, days=days, calls=calls, new=new) for age, days, calls, new in db.execute(query)]
            nights = db.execute("SELECT count(DISTINCT read_on) FROM arrivals WHERE again").fetchone()[0]
        return found, nights

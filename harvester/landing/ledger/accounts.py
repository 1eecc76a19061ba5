"""What the ledger knows of accounts that are not well: their condition, and their poisoned days.

Each entry carries a digest: one that is not as it was written is left out, and its account is asked as any other.
"""

import hashlib
from collections.abc import Iterable
from datetime import date
from typing import Any, assert_never

from harvester.errors import Complaint
from harvester.landing.ledger.database import Database
from harvester.model import AccountId, Status, TokenName
from harvester.triage import Condition, Found, Poison, State


class Accounts(Database):
    """Conditions and poisoned days, by account."""

    def remember(self, found: Iterable[Found]) -> None:
        """Records what was found out of accounts, in place of what was known. Raises `StorageError`: nothing of it."""
        with self._transaction() as db:
            for one in found:
                table, entry = _entry(one)
                holes = ",".join("?" * (len(entry) + 1))
                values = (*entry, _digest(entry))
                db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({holes})", values)  # noqa: S608 - our own words

    def conditions(self) -> dict[AccountId, Condition]:
        """How accounts were found that once refused, and those that are well again. Raises `StorageError`."""
        with self._reading() as db:
            rows = db.execute("SELECT * FROM conditions").fetchall()
        found = {}
        for *entry, digest in rows:
            if _digest(entry) == digest:
                account, state, token, *said, since, asked_on = entry
                found[AccountId(account)] = Condition(
                    account_id=AccountId(account),
                    state=State(state),
                    token=TokenName(token),
                    complaint=_complaint(*said),
                    since=date.fromordinal(since),
                    asked_on=date.fromordinal(asked_on),
                )
        return found

    def poison(self) -> dict[AccountId, dict[date, Poison]]:
        """The poisoned days of accounts. Raises `StorageError`."""
        with self._reading() as db:
            rows = db.execute("SELECT * FROM poison ORDER BY account_id, day").fetchall()
        found: dict[AccountId, dict[date, Poison]] = {}
        for *entry, digest in rows:
            if _digest(entry) == digest:
                account, ordinal, *said, since, asked_on = entry
                day = date.fromordinal(ordinal)
                found.setdefault(AccountId(account), {})[day] = Poison(
                    account_id=AccountId(account),
                    day=day,
                    complaint=_complaint(*said),
                    since=date.fromordinal(since),
                    asked_on=date.fromordinal(asked_on),
                )
        return found

    def failed_lately(self, since: date, today: date) -> set[AccountId]:
        """Accounts whose last slice that was not complete failed on one of the days before today.

        Args:
            since: The first of these days.
            today: What failed today is left out.

        Raises:
            StorageError: The ledger cannot be read.
        """
        query = "SELECT account_id FROM failures WHERE status = ? AND at >= ? AND at < ?"
        with self._reading() as db:
            found = db.execute(query, (Status.FAILED, str(since), str(today))).fetchall()
        return {AccountId(account) for (account,) in found}

    def forget_poison(self, before: date) -> None:
        """Forgets poisoned days before a day that are complete all the same: nobody reads them again.

        Raises:
            StorageError: They stay.
        """
        known = "SELECT 1 FROM days WHERE days.account_id = poison.account_id AND days.day = poison.day"
        with self._transaction() as db:
            db.execute(
                f"DELETE FROM poison WHERE day < ? AND EXISTS ({known} AND complete AND NOT queued)",  # noqa: S608 - ours
                (before.toordinal(),),
            )


def _entry(one: Found) -> tuple[str, tuple[int | str | None, ...]]:
    """The table that holds it, and how, without the digest."""
    words = one.complaint
    said = (words.code, words.message, words.message_cn, words.trace_id)
    days = (one.since.toordinal(), one.asked_on.toordinal())
    match one:
        case Condition():
            return "conditions", (one.account_id, one.state.value, one.token, *said, *days)
        case Poison():
            return "poison", (one.account_id, one.day.toordinal(), *said, *days)
        case _:
            assert_never(one)


def _digest(entry: Iterable[object]) -> bytes:
    text = ascii(list(entry))  # which tells an empty text from an empty blob
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _complaint(*said: Any) -> Complaint:
    code, message, message_cn, trace_id = said
    return Complaint(code=code, message=message, message_cn=message_cn, trace_id=trace_id)

"""The rolls: the accounts that were listed under each token last, and those that vanished since.

A roll is replaced in one transaction: killed at any instant, the old one stands. It is no evidence of anything landed,
only a memory of what the API said: one that cannot be read is as good as none, and the next run lists anew.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from harvester.landing.ledger.database import Database
from harvester.model import AccountId, TokenName
from harvester.roll import Listed, Member, Roll

_MEMBERS: Final = "SELECT account_id, name, status, appeared_on, vanished_on FROM listed WHERE discover = ?"


class Rolls(Database):
    """What is known of the accounts under tokens."""

    def roll(self, table: str) -> Roll | None:
        """The roll of a `[discover.NAME]` table; `None` when there is none that can be read.

        Args:
            table: Its name.

        Raises:
            StorageError: The ledger cannot be read.
        """
        with self._reading() as db:
            head = db.execute("SELECT token, via, at FROM rolls WHERE discover = ?", (table,)).fetchone()
            rows = db.execute(f"{_MEMBERS} ORDER BY account_id", (table,)).fetchall()
        if head is None:
            return None
        try:
            members = {AccountId(int(row[0])): _member(*row) for row in rows}
            return Roll(table=table, token=TokenName(head[0]), source=head[1], at=float(head[2]), members=members)
        except (TypeError, ValueError, OverflowError):
            return None

    def put_roll(self, roll: Roll) -> None:
        """Replaces a table's roll. Raises `StorageError`: the old one stands."""
        with self._transaction() as db:
            db.execute("DELETE FROM listed WHERE discover = ?", (roll.table,))
            db.executemany("INSERT INTO listed VALUES (?,?,?,?,?,?)", _rows(roll))
            db.execute(
                "INSERT OR REPLACE INTO rolls VALUES (?,?,?,?)", (roll.table, roll.token, roll.source, float(roll.at))
            )


def _rows(roll: Roll) -> Iterable[tuple[Any, ...]]:
    for account, member in roll.members.items():
        vanished_on = member.vanished_on.toordinal() if member.vanished_on else None
        listed = member.listed
        yield roll.table, account, listed.name, listed.status, member.appeared_on.toordinal(), vanished_on


def _member(account: int, name: str | None, status: str | None, appeared_on: int, vanished_on: int | None) -> Member:
    return Member(
        listed=Listed(id=AccountId(account), name=name and str(name), status=status and str(status)),
        appeared_on=date.fromordinal(appeared_on),
        vanished_on=None if vanished_on is None else date.fromordinal(vanished_on),
    )

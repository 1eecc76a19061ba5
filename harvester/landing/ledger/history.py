"""The ledger for the page of `harvester report`: every account's days, what it took, and the requests of two days."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from harvester.landing.ledger.overview import Overview
from harvester.model import AccountId, AppName, Window
from harvester.usage import Pause

_DAYS: Final = """
SELECT account_id, day, complete, queued, read_on > day, calls FROM json_each(:accounts)
CROSS JOIN days ON account_id = value AND day BETWEEN :first AND :last
"""
_MOST: Final = 10**12
"""More requests or calls than there can be: an entry that speaks of more is left out."""
_TOOK: Final = """
SELECT account_id, sum(requests), sum(distinct_calls) FROM receipts
WHERE at >= :since AND requests BETWEEN 0 AND :most AND distinct_calls BETWEEN 0 AND :most GROUP BY account_id
"""
_PAUSES: Final = """
SELECT app, since, until, why FROM pauses
WHERE typeof(since) = 'real' AND typeof(until) = 'real' AND abs(since) < :most AND until BETWEEN since AND :most
    AND typeof(app) = 'text' AND typeof(why) = 'text' ORDER BY since
"""


@dataclass(frozen=True, slots=True)
class DayKnown:
    """What is known of an account's day.

    Attributes:
        account: Whose.
        day: Its place in the window, from 0.
        complete: Whether it was proven, and over when it was read.
        queued: Whether the next run reads it again.
        was_over: Whether it was over when it was read last.
        calls: Different calls of the last reading.
    """

    account: AccountId
    day: int
    complete: bool
    queued: bool
    was_over: bool
    calls: int


class History(Overview):
    """What the page shows of the ledger."""

    def days_of(self, accounts: Collection[AccountId], window: Window) -> Iterator[DayKnown]:
        """The days of which anything is known, account by account. Raises `StorageError`."""
        first = window.start.toordinal()
        values = {"accounts": json.dumps(list(accounts)), "first": first, "last": window.end.toordinal()}
        with self._reading() as db:
            for account, day, complete, queued, was_over, calls in db.execute(_DAYS, values):
                yield DayKnown(AccountId(account), day - first, bool(complete), bool(queued), bool(was_over), calls)

    def took(self, since: date) -> dict[AccountId, tuple[int, int]]:
        """What reading each account took in slices that ended since a day: requests, and calls that these brought.

        Raises:
            StorageError: The ledger cannot be read.
        """
        with self._reading() as db:
            found = db.execute(_TOOK, {"since": since.isoformat(), "most": _MOST})
            return {AccountId(account): (requests, calls) for account, requests, calls in found}

    def sent(self) -> dict[AppName, dict[int, int]]:
        """Requests by app and minute (Unix time / 60), as far back as they are remembered. Raises `StorageError`."""
        found: dict[AppName, dict[int, int]] = {}
        with self._reading() as db:
            for app, minute, requests in db.execute("SELECT app, minute, requests FROM usage ORDER BY app, minute"):
                found.setdefault(AppName(app), {})[minute] = requests
        return found

    def learned(self) -> dict[AppName, int]:
        """Quotas a minute that the API's own figures showed, by app. Raises `StorageError`."""
        with self._reading() as db:
            found = db.execute("SELECT app, per_minute FROM apps WHERE per_minute IS NOT NULL")
            return {AppName(app): per_minute for app, per_minute in found}

    def pauses(self) -> list[Pause]:
        """When nothing was sent, as far back as it is remembered, in order. Raises `StorageError`."""
        with self._reading() as db:
            found = db.execute(_PAUSES, {"most": _MOST}).fetchall()
        return [Pause(app=AppName(app) or None, since=since, until=until, why=why) for app, since, until, why in found]

"""What each app sent, by minute, so that its quota holds over restarts; and what reading an account took.

A run tells of itself every `HEARTBEAT_S`. If it is killed, what it sent after its last word is not known and is
assumed, rather too much than too little. All of it rests on the machine's clock: set back, it lets requests count for
longer, until it has caught up; set forward, for shorter, which cannot be known.

An entry that is not as it was written is noticed when the ledger is opened, which is then damaged: a number too low
would exceed a quota, one too high would use it up, and nobody would know why.
"""

import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, TextIO

from harvester.landing.ledger.database import Database
from harvester.landing.ledger.schema import seal_of, seal_of_app
from harvester.model import AccountId, AppName
from harvester.usage import HEARTBEAT_S, MINUTES_KEPT, Experience, Pause, Sending

_SILENT_S: Final = 2 * HEARTBEAT_S
"""So long after its last word a run that was killed may have been sending."""
_REMEMBERED: Final = 2 * MINUTES_KEPT
"""Minutes after which requests are forgotten: some count again when a clock that was hours ahead is set back."""
_LEARNED_S: Final = 30 * 86400.0
_NEW: Final = seal_of_app("NULL", "0", "0", "NULL", "NULL")
_TOLD: Final = seal_of_app(":told_at", ":spacing_s", ":going", "per_minute", "learned_at")
_LEARNED: Final = seal_of_app("told_at", "spacing_s", "going", ":per_minute", ":learned_at")
_MAKE_APP: Final = f"INSERT INTO apps VALUES (:app, NULL, 0, 0, NULL, NULL, {_NEW}) ON CONFLICT DO NOTHING"  # noqa: S608 - our own words
_TELL: Final = f"""
UPDATE apps SET told_at = :told_at, spacing_s = :spacing_s, going = :going, seal = {_TOLD} WHERE app = :app
"""  # noqa: S608 - our own words
_LEARN: Final = f"""
UPDATE apps SET per_minute = :per_minute, learned_at = :learned_at, seal = {_LEARNED} WHERE app = :app
"""  # noqa: S608 - our own words
_COUNT: Final = f"""
INSERT INTO usage VALUES (:app, :minute, :requests, {seal_of(":minute", ":requests")})
ON CONFLICT DO UPDATE SET requests = requests + :requests, seal = {seal_of("minute", "(requests + :requests)")}
"""  # noqa: S608 - our own words
_MOST: Final = 10**9
"""More requests or calls than any slice has: a receipt that speaks of more is left out."""
_TOOK: Final = """
SELECT account_id, sum(requests), sum(max(1, (distinct_calls + :page_size - 1) / :page_size)) FROM receipts
WHERE at >= :since AND requests BETWEEN 0 AND :most AND distinct_calls BETWEEN 0 AND :most GROUP BY account_id
"""
_CALLS_A_DAY: Final = """
SELECT value, (SELECT avg(calls) FROM days WHERE account_id = value AND day >= :since AND NOT queued)
FROM json_each(:accounts)
"""
"""Account by account, by the key: all days of a year are ten times as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What an app's last run said of itself last.

    Attributes:
        told_at: Unix time when it did; what it had sent until then is counted.
        spacing_s: Seconds between two permits; 0 when there was no limit.
        going: Whether it went on after that: if it is over by now it was killed.
    """

    told_at: float
    spacing_s: float
    going: bool

    def sent_until(self, at: float) -> float:
        """The latest time, `at` or before, at which it can have been sending."""
        return min(at, self.told_at + _SILENT_S if self.going else self.told_at)

    def untold(self, at: float) -> int:
        """Requests that it may have sent after its last word; none where no spacing says how many.

        With the clock set back since then nobody knows how long that was: then as for the longest time.
        """
        if not self.going or not self.spacing_s:
            return 0
        silent_s = self.sent_until(at) - self.told_at
        return math.ceil((silent_s if silent_s >= 0 else _SILENT_S) / self.spacing_s)


class Usage(Database):
    """Requests by app and minute, the apps' last words, and the experience with accounts."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: TextIO | None) -> None:
        super().__init__(path, connection, lock)
        self._ours: set[AppName] = set()
        """Apps whose last word is this run's own."""

    def count(self, app: AppName, requests: int, at: float, *, spacing_s: float, going: bool) -> None:
        """Adds what an app sent to the minute of now, and notes how the run goes on: a heartbeat.

        A run does so for each of its apps before the first request, every `HEARTBEAT_S`, when the spacing changes, and
        at its end. Its first word also writes down what is assumed of a run before it that was killed.

        Args:
            app: Which.
            requests: How many since this was called last, from 0.
            at: Unix time until which all of them were sent, now.
            spacing_s: Seconds between two permits from now on; 0 without a limit.
            going: Whether more may be sent; `False` when the run ends.

        Raises:
            StorageError: Nothing of it was noted.
        """
        minute = _minute(at)
        with self._transaction() as db:
            db.execute(_MAKE_APP, {"app": app})
            if app not in self._ours:
                _settle(db, app, at)
            if requests:
                db.execute(_COUNT, {"app": app, "minute": minute, "requests": requests})
            db.execute("DELETE FROM usage WHERE app = ? AND minute <= ?", (app, minute - _REMEMBERED))
            db.execute(_TELL, {"app": app, "told_at": float(at), "spacing_s": float(spacing_s), "going": going})
        self._ours.add(app)

    def sending(self, app: AppName, at: float) -> Sending:
        """What earlier runs sent for an app; asked for before this run counts anything.

        A request counts until the end of its minute is 24 hours old. What lies after `at`, because the clock was set
        back, counts as of now.

        Args:
            app: Which.
            at: Unix time, now.

        Raises:
            StorageError: The ledger cannot be read.
        """
        now = _minute(at)
        query = "SELECT minute, requests FROM usage WHERE app = ? AND minute > ? ORDER BY minute"
        with self._reading() as db:
            word = _last_word(db, app)  # first: what is counted meanwhile must not be missed
            sent = db.execute(query, (app, now - MINUTES_KEPT)).fetchall()
            learned = db.execute(
                "SELECT per_minute FROM apps WHERE app = ? AND abs(learned_at - ?) < ?", (app, at, _LEARNED_S)
            ).fetchone()
        if word and (untold := word.untold(at)):
            sent.append((_minute(word.sent_until(at)), untold))
        by_minute: dict[int, int] = {}
        for minute, requests in sent:
            if minute > now - MINUTES_KEPT:
                by_minute[min(minute, now)] = by_minute.get(min(minute, now), 0) + requests
        last_at = word.sent_until(at) if word else None
        return Sending(
            by_minute=by_minute,
            last_at=last_at if last_at is not None and at - last_at <= MINUTES_KEPT * 60 else None,
            spacing_s=word.spacing_s if word else 0.0,
            learned_per_minute=learned[0] if learned else None,
        )

    def learn(self, app: AppName, per_minute: int, at: float) -> None:
        """Notes an app's quota as the API's own figures show it; it is forgotten after 30 days.

        Args:
            app: Which.
            per_minute: Requests a minute, from 1.
            at: Unix time, now.

        Raises:
            StorageError: It was not noted.
        """
        with self._transaction() as db:
            db.execute(_MAKE_APP, {"app": app})
            db.execute(_LEARN, {"app": app, "per_minute": per_minute, "learned_at": float(at)})

    def remember_pauses(self, pauses: Iterable[Pause], at: float) -> None:
        """Notes pauses, in place of what was said of them before; they are forgotten with the minutes around them.

        Args:
            pauses: Of this run, those that are new or not as they were.
            at: Unix time, now.

        Raises:
            StorageError: Nothing of it was noted.
        """
        with self._transaction() as db:
            db.execute("DELETE FROM pauses WHERE until <= ?", (at - _REMEMBERED * 60,))
            values = [(one.app or "", one.since, one.until, one.why) for one in pauses]
            db.executemany("INSERT OR REPLACE INTO pauses VALUES (?,?,?,?)", values)

    def experience(
        self, accounts: Iterable[AccountId], page_size: int, since: date, walked_since: datetime | None = None
    ) -> dict[AccountId, Experience]:
        """What reading these accounts took lately; those of which nothing is known are absent.

        Args:
            accounts: Which.
            page_size: Calls to a page.
            since: The Beijing day from which on: slices that ended then or later, and these calls' days.
            walked_since: Slices that ended before are left out; `None`: none is. Walks that asked for fewer calls at a
                time say nothing of what others will take.

        Raises:
            StorageError: The ledger cannot be read.
        """
        found: dict[AccountId, Experience] = {}
        first = max(since.isoformat(), walked_since.isoformat(timespec="seconds") if walked_since else "")
        values = {"page_size": page_size, "since": first, "most": _MOST}
        whom = {"accounts": json.dumps(list(accounts)), "since": since.toordinal()}
        with self._reading() as db:
            took = {account: sums for account, *sums in db.execute(_TOOK, values)}
            for account, calls_a_day in db.execute(_CALLS_A_DAY, whom):
                if account in took or calls_a_day is not None:
                    requests, least = took.get(account, (0, 0))
                    found[account] = Experience(requests=int(requests), least=int(least), calls_a_day=calls_a_day)
        return found


def _minute(at: float) -> int:
    return math.floor(at / 60)


def _last_word(db: sqlite3.Connection, app: AppName) -> _Word | None:
    query = "SELECT told_at, spacing_s, going FROM apps WHERE app = ? AND told_at IS NOT NULL"
    found = db.execute(query, (app,)).fetchone()
    return _Word(told_at=found[0], spacing_s=found[1], going=bool(found[2])) if found else None


def _settle(db: sqlite3.Connection, app: AppName, at: float) -> None:
    """Writes down what is assumed of a run before; what lies more than a day ahead becomes of now, so that it ages."""
    now = _minute(at)
    word = _last_word(db, app)
    if word and (untold := word.untold(at)):
        db.execute(_COUNT, {"app": app, "minute": _minute(word.sent_until(at)), "requests": untold})
    ahead = (app, now + MINUTES_KEPT)
    (requests,) = db.execute("SELECT sum(requests) FROM usage WHERE app = ? AND minute > ?", ahead).fetchone()
    if requests:
        db.execute("DELETE FROM usage WHERE app = ? AND minute > ?", ahead)
        db.execute(_COUNT, {"app": app, "minute": now, "requests": requests})

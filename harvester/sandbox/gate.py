"""What stands before the data: tokens, quotas, timestamps, nonces. Its clock is an argument."""

from collections import deque
from typing import Final

from harvester.sandbox.stats import Stats
from harvester.sandbox.switches import Grant, Switches
from harvester.sandbox.wire import Credentials, Rejected
from harvester.sandbox.world import beijing_day

TIMESTAMP_TOLERANCE_S: Final = 300
"""Documented."""
_NONCE_MEMORY_S: Final = 2 * TIMESTAMP_TOLERANCE_S + 1
"""A timestamp may lie 300 s ahead: 600 s later its request can no longer be repeated unnoticed."""


class Quota:
    """What one app has used; limits hold in any window, not in calendar minutes.

    Memory: one number for each request of the last minute, never more than the limits allow.
    """

    __slots__ = ("_barred_until", "_day", "_minute", "_second", "_switches", "_today")

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._second: deque[float] = deque()
        self._minute: deque[float] = deque()
        self._today = 0
        self._day = beijing_day(0)
        self._barred_until = float("-inf")

    def take(self, now_s: float) -> None:
        """Use one request.

        Raises:
            Rejected: 11018, 11017 or 11016; refused requests use nothing, and only 11017 bars the app for a while.
        """
        limits = self._switches
        self._forget(now_s)
        if limits.requests_per_day is not None and self._today >= limits.requests_per_day:
            raise Rejected(11018)
        if now_s < self._barred_until:
            raise Rejected(11017)
        if limits.requests_per_minute is not None and len(self._minute) >= limits.requests_per_minute:
            self._barred_until = now_s + limits.penalty_s
            raise Rejected(11017)
        if limits.requests_per_second is not None and len(self._second) >= limits.requests_per_second:
            raise Rejected(11016)
        self._today += 1
        if limits.requests_per_minute is not None:
            self._minute.append(now_s)
        if limits.requests_per_second is not None:
            self._second.append(now_s)

    def remaining(self) -> str:
        """As in `X-RateLimit-Remaining`: percent left of the day, then of the minute (documented)."""
        day = _percent_left(self._today, self._switches.requests_per_day)
        return f"{day}%,{_percent_left(len(self._minute), self._switches.requests_per_minute)}%"

    def _forget(self, now_s: float) -> None:
        for window, length_s in ((self._second, 1), (self._minute, 60)):
            while window and window[0] <= now_s - length_s:
                window.popleft()
        if (day := beijing_day(now_s)) != self._day:
            self._day, self._today = day, 0


def _percent_left(used: int, limit: int | None) -> int:
    return 100 if limit is None else 100 * max(0, limit - used) // max(1, limit)


class Gate:
    """Lets a request through to the data, or not, in this order: token, quota, timestamp, nonce."""

    __slots__ = ("_ages", "_grants", "_nonces", "_quotas")

    def __init__(self, switches: Switches) -> None:
        self._grants = {grant.access: grant for grant in switches.grants}
        self._quotas = {grant.client_id: Quota(switches) for grant in switches.grants}
        self._nonces: set[tuple[str, str]] = set()
        self._ages: deque[tuple[float, tuple[str, str]]] = deque()

    def remaining(self, access: str) -> str:
        """`X-RateLimit-Remaining` for the app of this token; of nobody's token nothing is used."""
        grant = self._grants.get(access)
        return self._quotas[grant.client_id].remaining() if grant else "100%,100%"

    def admit(self, who: Credentials, now_s: float, stats: Stats) -> Grant:
        """The grant under which this request may go on; a nonce counts as used even when it may not.

        Raises:
            Rejected: 11002 no such token, 11000 expired, 12100 nonce used, 12101 timestamp off, 1101x quota.
        """
        grant = self._grants.get(who.access)
        if grant is None:
            raise Rejected(11002)
        stats.arrived(grant.client_id, now_s)
        repeated = self._repeats(who, now_s)
        stats.repeated_nonces += repeated
        if grant.expires_at is not None and now_s >= grant.expires_at:
            raise Rejected(11000)
        self._quotas[grant.client_id].take(now_s)
        if abs(now_s - who.timestamp) > TIMESTAMP_TOLERANCE_S:
            raise Rejected(12101)
        if repeated:
            raise Rejected(12100)
        return grant

    def _repeats(self, who: Credentials, now_s: float) -> bool:
        """Whether the nonce was used; remembers it, and forgets those too old to matter."""
        while self._ages and self._ages[0][0] <= now_s - _NONCE_MEMORY_S:
            self._nonces.remove(self._ages.popleft()[1])
        key = (who.access, who.nonce)
        if key in self._nonces:
            return True
        self._nonces.add(key)
        self._ages.append((now_s, key))
        return False

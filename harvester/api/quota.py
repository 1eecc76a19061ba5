"""What an app may send now: its quota, its pauses, and the run's budget.

Quotas are per app, endpoint and minute (documented). Permits are spaced evenly: what is exact on the client is not
exact at the server, where the network bunches requests, and a burst at the start of one window is still inside the
next one. So `N` a minute becomes one permit every `60 s / (0.99 N)`: never more than `N` in any 60 s, and 0.6 s of
network jitter to spare.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from aiolimiter import AsyncLimiter

from harvester.errors import QuotaSpent
from harvester.model import AppName

log = logging.getLogger(__name__)

HEADROOM = 0.99
"""The share of a quota that is used."""
_LATE_S = 0.005
"""Timers fire late, by a millisecond or so. So much the next permit makes up for: half of the headroom in a second."""
_ROUNDING_S = 1e-6
"""What the sums of floating-point seconds may be off."""
FIRST_PAUSE_S, NEXT_PAUSE_S = 60.0, 300.0
"""After code 11017: messages say a minute, documents say five."""
_STRIKES_FORGOTTEN_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """An app's quota; `None` where it is not known or does not exist.

    Attributes:
        per_second: Requests in any second.
        per_minute: Requests in any 60 seconds.
        per_day: Requests in any 24 hours.
    """

    per_second: int | None = None
    per_minute: int | None = None
    per_day: int | None = None

    @property
    def spacing_s(self) -> float:
        """Seconds between two permits; 0 when neither the second nor the minute is limited."""
        spacings = (
            1 / self.per_second / HEADROOM if self.per_second else 0.0,
            60 / self.per_minute / HEADROOM if self.per_minute else 0.0,
        )
        return max(spacings)

    def limiter(self) -> AsyncLimiter | None:
        """A bucket that leaks one permit each `spacing_s` and holds hardly more; `None` when nothing is limited.

        A bucket's size is its burst: one of `per_minute` would let twice the quota through in a minute.
        """
        spacing, more = self.spacing_s, _LATE_S + _ROUNDING_S
        return AsyncLimiter(1 + more / spacing, spacing + more) if spacing else None


@dataclass(slots=True, kw_only=True)
class Budget:
    """What the whole run may use, all apps together.

    Attributes:
        requests_left: Requests that may still be sent; `None` for any number.
        deadline: Loop time after which none is sent; `None` for never.
    """

    requests_left: int | None = None
    deadline: float | None = None

    def check(self, at: float) -> None:
        """Raises `QuotaSpent` when nothing may be sent any more at loop time `at`."""
        if self.requests_left is not None and self.requests_left <= 0:
            raise QuotaSpent("the run's budget of requests (--max-requests) is used up")
        if self.deadline is not None and at >= self.deadline:
            raise QuotaSpent("the run's time (--max-duration) is over")

    def take(self) -> None:
        """Counts one request."""
        if self.requests_left is not None:
            self.requests_left -= 1


class Quota:
    """The permits of one app.

    A permit is given when the app's spacing allows it *and* a place in flight is free, in that moment: a permit that
    waited for a place would be sent later than it was counted, and a place that waited for a permit would be taken
    from the other apps. Waiters are served first come, first served.

    Args:
        app: For messages.
        limits: The app's quota.
        budget: The run's, shared by all apps.
        in_flight: Places for requests awaiting an answer, shared by all apps.
        used_today: Requests of the last 24 hours, by earlier runs.
    """

    def __init__(
        self,
        app: AppName,
        limits: Limits,
        *,
        budget: Budget,
        in_flight: asyncio.Semaphore,
        used_today: int = 0,
    ) -> None:
        self.app = app
        self.sent = 0
        self._limits = limits
        self._budget = budget
        self._in_flight = in_flight
        self._limiter = limits.limiter()
        self._turn = asyncio.Lock()
        self._used_before = used_today
        self._next_at = self._paused_until = self._barred_until = float("-inf")
        self._strikes = 0
        self._closed: str | None = None

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[float]:
        """Waits for a permit and holds a place in flight while the request is under way.

        Yields:
            The loop time of the permit.

        Raises:
            QuotaSpent: Nothing more may be sent: the day's quota or the run's budget is used up.

        Cancellation: while waiting, nothing is used up; afterwards the permit is.
        """
        async with self._turn:
            at = await self._wait()
            if self._limiter:
                await self._limiter.acquire()  # at once: its time has come; this is what guarantees the quota
            self._next_at = max(self._next_at, at - _LATE_S) + self._limits.spacing_s
            self._budget.take()
            self.sent += 1
        try:
            yield at
        finally:
            self._in_flight.release()

    async def _wait(self) -> float:
        while True:
            await self._wait_for_spacing_and_pause()
            await self._in_flight.acquire()
            at = anyio.current_time()
            try:
                self._check(at)
            except QuotaSpent:
                self._in_flight.release()
                raise
            if at >= self._paused_until:
                return at
            self._in_flight.release()  # a pause began meanwhile

    async def _wait_for_spacing_and_pause(self) -> None:
        while (now := anyio.current_time()) < (opens_at := max(self._next_at, self._paused_until)):
            self._check(opens_at)
            await anyio.sleep(opens_at - now)
        self._check(now)

    def _check(self, at: float) -> None:
        per_day = self._limits.per_day
        if self._closed is None and per_day is not None and self._used_before + self.sent >= per_day:
            self._closed = f"app {self.app}: its quota of {per_day} requests a day is used up"
        if self._closed is not None:
            raise QuotaSpent(self._closed)
        self._budget.check(at)

    def pause(self, seconds: float, why: str) -> None:
        """Holds back the whole app; requests in flight finish."""
        until = anyio.current_time() + seconds
        if until > self._paused_until:
            self._paused_until = until
            log.warning("app %s waits %.0f s: %s", self.app, seconds, why)

    def minute_limit_hit(self, permit_at: float, why: str) -> None:
        """Pauses after code 11017: 60 s first, 300 s if it comes again.

        Args:
            permit_at: When the refused request was permitted. Before the end of the pause that 11017 brought last means
                before its beginning, since no permit is given during a pause: that tells nothing new.
            why: For the log.
        """
        if permit_at < self._barred_until:
            return
        now = anyio.current_time()
        self._strikes = self._strikes + 1 if now - self._barred_until < _STRIKES_FORGOTTEN_S else 1
        seconds = FIRST_PAUSE_S if self._strikes == 1 else NEXT_PAUSE_S
        self._barred_until = now + seconds
        self.pause(seconds, why)

    def close(self, why: str) -> None:
        """Ends the app's day: every waiting and later permit raises `QuotaSpent`."""
        self._closed = f"app {self.app}: {why}"

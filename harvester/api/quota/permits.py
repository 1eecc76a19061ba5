"""An app's permits, as they are given: the pure parts of this folder, obeyed.

Quotas are per app, endpoint and minute (documented). Permits are spaced evenly: what is exact on the client is not
exact at the server, where the network bunches requests, and a burst at the start of one window is still inside the
next one. So `N` a minute becomes one permit every `60 s / (0.99 N)`: never more than `N` in any 60 s, and 0.6 s of
network jitter to spare.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf

import anyio
from aiolimiter import AsyncLimiter

from harvester.api.decisions import GO, Decision, Go, Over, Wait, strictest
from harvester.api.quota import pauses as pausing
from harvester.api.quota.day import Day
from harvester.api.quota.figures import Figure
from harvester.api.quota.limits import LATE_S, MINUTE_S, ROUNDING_S, Limits, sent_lately, still_to_wait_s
from harvester.api.quota.own import Own, Permit
from harvester.api.quota.pauses import Limit, Pauses, Refused
from harvester.api.quota.reading import Reading
from harvester.api.quota.steering import Steering
from harvester.api.quota.words import Words
from harvester.api.traffic import Traffic
from harvester.api.traffic.circuit import Failed
from harvester.api.traffic.places import Places
from harvester.errors import QuotaSpent
from harvester.model import AppName
from harvester.usage import Sending

_LUMP_MOST = 200
_WORTH_KEEPING = 100
"""Requests that were surely counted before a quota that was learned from them is kept for later runs."""


class Quota:
    """The permits of one app.

    A permit is given when everything allows it *and* a place in flight is free, in that moment: a permit that waited
    for a place would be sent later than it was counted, and a place that waited for a permit would be taken from the
    other apps. Waiters are served first come, first served, but for those who go ahead.

    Args:
        app: For messages.
        limits: The app's quota.
        traffic: What all apps share.
        earlier: What earlier runs sent.
    """

    def __init__(self, app: AppName, limits: Limits, traffic: Traffic, earlier: Sending | None = None) -> None:
        earlier = earlier or Sending()
        self.app = app
        self._limits = limits
        self.traffic = traffic
        self._own = Own()
        self._day = Day(limits.per_day, earlier.by_minute, traffic.wall())
        self._steering = Steering(limits.per_minute, None if limits.per_minute else earlier.learned_per_minute)
        self._pauses = Pauses()
        self._words = Words(app, traffic)
        self._turn = Places(1)
        self._waits_for_an_answer = False
        self._closed: str | None = None
        self.nobody_waits: Callable[[], None] = lambda: None
        """Told when a permit was given and nobody is there for the next one."""
        self.reserved: int | None = None
        """As many requests may be sent as the ledger has been told of beforehand; `None` for any number."""
        self._kept: int | None = None
        self._base_s = -1.0
        self._limiter: AsyncLimiter | None = None
        self._unlimited_until = -inf
        """Until when requests may count that were sent before there was any limit."""
        self._keep_to_the_quota()
        wait_s = still_to_wait_s(self._base_s, earlier, traffic.wall())
        self._next_at = anyio.current_time() + wait_s
        for ago_s, requests in sent_lately(earlier, traffic.wall()):
            self._own.remember(anyio.current_time() - ago_s, requests)
        self._words.begins(wait_s, self._steering.learned)
        if wait_s > self._base_s:
            self._unlimited_until = self._next_at  # of an earlier run

    @property
    def sent(self) -> int:
        """Requests sent by this run."""
        return self._own.sent

    @property
    def learned_per_minute(self) -> int | None:
        """A quota that is not configured, as far as later runs should know; `None` while too little was shown of it."""
        return self._steering.learned if self._own.counted >= _WORTH_KEEPING and self._steering.is_shown else None

    @property
    def spacing_s(self) -> float:
        """Seconds between two permits, as a later run may rely on; 0 when none was kept for the last minute."""
        kept_from = max(self._unlimited_until, self._pauses.ended(Limit.MINUTE))  # a shut door is not gone on with
        return 0.0 if anyio.current_time() < kept_from else self._base_s

    @property
    def reserve(self) -> int:
        """How many requests the ledger has to be told of beforehand, 0 for none.

        What a run that is killed has sent since its last word is reckoned by its spacing. Where there is none, a day's
        quota would not hold: so the day pays in lumps of a hundredth.
        """
        per_day = self._limits.per_day
        return 0 if per_day is None or self.spacing_s else max(1, min(_LUMP_MOST, per_day // 100))

    @property
    def reading(self) -> Reading:
        """Where it stands, for a person."""
        return Reading.of(self._own, self._steering, self._limits, self._decide_alone(now := anyio.current_time()), now)

    @property
    def has_spare(self) -> bool:
        """Whether a permit could be had right now, and nobody waits for one."""
        now = anyio.current_time()
        free = self._turn.has_spare and self.traffic.has_place
        return free and isinstance(strictest(self.traffic.decide(now), self._decide_alone(now)), Go)

    def notes(self) -> list[str]:
        """What a person should know of afterwards."""
        return self._words.notes(self._steering)

    @asynccontextmanager
    async def permit(self, *, ahead: int = 0) -> AsyncIterator[Permit]:
        """Waits for a permit and holds a place in flight while the request is under way.

        Args:
            ahead: About how many pages of a walk are to come, from 1, if this request goes before those of the app that
                do not: what is begun is ended first, and the longest most of all (`Places`); 0 if it does not.

        Yields:
            The permit. What becomes of the request has to be told by `answered`, `refused` or `failed`.

        Raises:
            QuotaSpent: Nothing more may be sent: the day's quota or the run's budget is used up, or the API is down.

        Cancellation: while waiting, nothing is used up; afterwards the permit is.
        """
        await self._turn.enter(ahead=ahead)
        try:
            at = await self._wait()
            if self._limiter:
                await self._limiter.acquire()  # at once: its time has come; this is what guarantees the quota
            self._grant(at)
        finally:
            self._turn.leave()
        if self._turn.has_spare:
            self.nobody_waits()
        permit = Permit(at, self._own.counted, self._own.lost)
        try:
            yield permit
        finally:
            self.traffic.leave()
            if self._waits_for_an_answer:
                self.traffic.wake()
            if not permit.told:
                self._own.lost += 1
                self._pauses = pausing.unanswered(self._pauses, at)
                self.traffic.unanswered(at)

    async def _wait(self) -> float:
        while True:
            at = await self._until_it_may_go()
            if self.traffic.take():
                return at
            await self.traffic.enter()
            at = anyio.current_time()
            try:
                if isinstance(self._decide(at), Go):
                    return at
            except QuotaSpent:
                self.traffic.leave()
                raise
            self.traffic.leave()  # something has happened meanwhile

    async def _until_it_may_go(self) -> float:
        while isinstance(decision := self._decide(now := anyio.current_time()), Wait):
            self._words.waits(decision, now)
            self._waits_for_an_answer = decision.until == inf
            with anyio.move_on_after(decision.until - now):
                await self.traffic.moved()
        return now

    def _decide(self, now: float) -> Decision:
        """Whether a request may be sent; raises `QuotaSpent` when none may be any more."""
        decision = self.traffic.in_time(strictest(self.traffic.decide(now), self._decide_alone(now)))
        if isinstance(decision, Over):
            raise QuotaSpent(decision.why)
        return decision

    def _decide_alone(self, now: float) -> Decision:
        """What this app's own limits say."""
        if self._closed is not None:
            return Over(self._closed)
        return strictest(
            pausing.decide(self._pauses, now, self.app, self.traffic.patience_s),
            self._day.decide(self.traffic.wall(), now, self.app),
            Wait(self._next_at) if now < self._next_at else GO,
            Wait(inf) if self._own.under_way and self._goes_alone else GO,
            Wait(inf) if self.reserved is not None and self._own.sent >= self.reserved else GO,
        )

    @property
    def _goes_alone(self) -> bool:
        return self._steering.day_is_ending or self._steering.must_measure

    def _grant(self, at: float) -> None:
        self._next_at = max(self._next_at, at - LATE_S) + self._spacing_s(at)
        if at < self._unlimited_until and (quota := self._steering.quota):  # what went out before the quota was known
            self._next_at = max(self._next_at, self._own.freed_at(quota - 1, at))
        self._own.send(at)
        self._day.take(self.traffic.wall())
        self._pauses = pausing.granted(self._pauses)
        self.traffic.granted(at)
        if self.reserved is not None and self._own.sent >= self.reserved - self.reserve // 2:
            self.traffic.tell_soon()

    def _spacing_s(self, now: float) -> float:
        """Seconds to the next permit: never less than what the quota allows."""
        if self._steering.quota != self._kept:
            self._keep_to_the_quota()
        pace = self._steering.pace(self._own, now, self._pauses.reserve_at(now))
        return max(self._base_s, MINUTE_S / pace if pace else 0.0) * (1 + self._pauses.margin_at(now))

    def answered(self, permit: Permit, figure: Figure | None) -> None:
        """The API answered, and refused nothing for a limit.

        Args:
            permit: The request's.
            figure: The answer's `X-RateLimit-Remaining`; `None` if it had none.
        """
        permit.told = True
        now = anyio.current_time()
        self._own.counted += 1
        if self._pauses.since is not None or self._pauses.knock is not pausing.Knock.NONE:
            self._pauses = pausing.answered(self._pauses, permit.at)
            self.traffic.wake()
        self.traffic.answered(now - permit.at, now, permit.account_id)
        if figure:
            self._heed(figure, permit, now)

    def refused(self, permit: Permit, what: Limit, text: str, retry_after_s: float | None = None) -> None:
        """The API refused the request because a limit is reached: the whole app pauses, requests in flight finish.

        Args:
            permit: The request's.
            what: The limit.
            text: What the API said, for a person.
            retry_after_s: Its own wish, in seconds.
        """
        permit.told = True
        self._own.lost += 1
        now = anyio.current_time()
        self.traffic.answered(now - permit.at, now, permit.account_id)
        before = self._pauses
        told = Refused(limit=what, permit_at=permit.at, retry_after_s=retry_after_s, text=text)
        self._pauses = pausing.refused(before, told, now)
        is_new = self._pauses.ends != before.ends
        if is_new and what is Limit.MINUTE:
            self._steering.struck(self._own, now, self._pauses.strikes_at(what, now))
            self._keep_to_the_quota()
        if is_new:
            self._words.refused(what, text, self._pauses.until)
        self.traffic.wake()

    def failed(self, permit: Permit, what: Failed) -> None:
        """The request brought no usable answer."""
        permit.told = True
        self._own.lost += 1
        self._pauses = pausing.unanswered(self._pauses, permit.at)
        self.traffic.failed(what)

    def close(self, why: str) -> None:
        """Ends the app's day: every waiting and later permit raises `QuotaSpent`."""
        self._closed = f"app {self.app}: {why}"
        self.traffic.wake()

    def _heed(self, figure: Figure, permit: Permit, now: float) -> None:
        before = self._steering.learned
        self._steering.observe(figure, self._own, permit, now)
        if self._steering.learned != before:
            self._keep_to_the_quota()
            if before is None:
                self._unlimited_until = now + MINUTE_S
        self._words.heard(self._steering, now)

    def _keep_to_the_quota(self) -> None:
        """Makes the limiter for the quota as it is known now.

        A bucket that leaks one permit each spacing and holds hardly more: its size is its burst, and one of
        `per_minute` would let twice the quota through in a minute.
        """
        self._kept = self._steering.quota
        spacing_s = Limits(per_second=self._limits.per_second, per_minute=self._kept).spacing_s
        if spacing_s != self._base_s:
            self._base_s = spacing_s
            more = LATE_S + ROUNDING_S
            self._limiter = AsyncLimiter(1 + more / spacing_s, spacing_s + more) if spacing_s else None

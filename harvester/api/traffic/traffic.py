"""What all apps of a run share, as it happens: the pure parts of this folder, obeyed."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from math import inf
from typing import Final

import anyio

from harvester.api.decisions import Decision, Over, Wait, strictest
from harvester.api.traffic import circuit as circuits
from harvester.api.traffic import crowd as crowds
from harvester.api.traffic import retries as retrying
from harvester.api.traffic.budget import Budget
from harvester.api.traffic.circuit import ACCOUNTS, CLOSED, Failed
from harvester.api.traffic.crowd import Crowd
from harvester.api.traffic.places import Places
from harvester.api.traffic.retries import Retries
from harvester.errors import QuotaSpent
from harvester.model import AccountId, AppName
from harvester.usage import Pause

log = logging.getLogger(__name__)

_TIME_ENDS: Final = "the run's time (--max-duration) would end while it waits for"
_DOWN: Final = "the API is down"
_PAUSES_KEPT: Final = 500
"""Of a run: those before are in the ledger by then."""


class Traffic:
    """Places in flight, the API's health, retries, and the run's budget.

    Args:
        in_flight: Requests awaiting an answer at most.
        wall: Unix seconds, for what people are told.
        budget: The run's; `None` for none.
        patience_s: How long the API may be down, or refuse an app everything, before the rest is left to the next run;
            `None` for ever.
        accounts: How many the run is over.
        where: The API's host, told when nobody can be reached there; `None` where nobody would ask.
    """

    def __init__(  # noqa: PLR0913 - four of them have defaults
        self,
        in_flight: int,
        wall: Callable[[], float],
        *,
        budget: Budget | None = None,
        patience_s: float | None = None,
        accounts: int = ACCOUNTS,
        where: str | None = None,
    ) -> None:
        self._where = where
        self.wall = wall
        self.patience_s = patience_s
        self._accounts = accounts
        self.notes: list[str] = []
        """What a person should know of afterwards."""
        self._pauses: list[Pause] = []
        self._down: Pause | None = None
        """The outage that goes on: its beginning is reckoned once, for the two clocks need not keep step."""
        self._budget = budget or Budget()
        self._crowd = Crowd(most=in_flight, allowed=in_flight)
        self._places = Places(in_flight)
        self._circuit = CLOSED
        self._retries = Retries()
        self._moved = anyio.Event()
        self._until = inf
        self._has_to_tell = anyio.Event()

    @property
    def is_down(self) -> bool:
        """Whether the API counts as down."""
        return self._circuit.is_open

    @property
    def wait(self) -> Wait | None:
        """What all apps are waiting for; `None` for nothing."""
        decision = circuits.decide(self._circuit, anyio.current_time(), self.patience_s)
        return decision if isinstance(decision, Wait) else None

    @property
    def slowed(self) -> str | None:
        """Why fewer requests are in flight than might be, for a person; `None` when they are not."""
        crowd = self._crowd
        if crowd.allowed == crowd.most:
            return None
        return f"{crowd.allowed} of {crowd.most} requests in flight: the API is {_how(crowd)}"

    def decide(self, now: float) -> Decision:
        """Whether any request may be sent at loop time `now`."""
        if now >= self._until:
            return Wait(inf, "the ledger, which has to be told what was sent")
        return strictest(self._budget.decide(now), circuits.decide(self._circuit, now, self.patience_s))

    def tell_soon(self) -> None:
        """What was reserved in the ledger is nearly used up."""
        self._has_to_tell.set()

    async def has_to_tell(self, within_s: float) -> None:
        """Waits until the ledger has to be told of requests, so long at most."""
        with anyio.move_on_after(within_s):
            await self._has_to_tell.wait()
        self._has_to_tell = anyio.Event()

    def extend(self, until: float) -> None:
        """Lets apps send up to loop time `until`: what they send by then would be reckoned with after a crash."""
        self._until = until
        self.wake()

    def in_time(self, decision: Decision) -> Decision:
        """The same decision, or `Over` where it waits beyond the end of the run's time."""
        if isinstance(decision, Wait):
            late = self._budget.decide(decision.until)
            # what only an answer can end is not known to be too late
            if isinstance(late, Over) and decision.until != inf:
                return Over(f"{_TIME_ENDS} {decision.why}") if decision.why else late
        return decision

    def paused(self, app: AppName, until: float, why: str) -> None:
        """An app sends nothing up to loop time `until`."""
        self._keep(Pause(app=app, since=self._moment_s(anyio.current_time()), until=self._moment_s(until), why=why))

    @property
    def pauses(self) -> list[Pause]:
        """The latest pauses of the run; of an API that is down now, up to now."""
        return [*self._pauses, *([self._down_until_now(self._down)] if self._down else [])]

    def _down_until_now(self, down: Pause) -> Pause:
        return replace(down, until=max(down.since, self._moment_s(anyio.current_time())))

    def _keep(self, pause: Pause) -> None:
        self._pauses = [*self._pauses[1 - _PAUSES_KEPT :], pause]

    def _moment_s(self, at: float) -> float:
        """Unix time of a loop time."""
        return round(self.wall() + at - anyio.current_time(), 1)

    @property
    def has_place(self) -> bool:
        """Whether a place in flight is free and nobody waits for it; none is while the API is slow or failing."""
        return self._places.has_spare and self._crowd.allowed == self._crowd.most

    async def enter(self) -> None:
        """Waits for a place in flight. Cancellation: none is taken."""
        await self._places.enter()

    def take(self) -> bool:
        """Takes a place in flight if one is free and nobody waits for it."""
        return self._places.take()

    def leave(self) -> None:
        """Gives a place back."""
        self._places.leave()

    def granted(self, now: float) -> None:
        """A permit was given at loop time `now`."""
        self._budget.take()
        self._circuit = circuits.granted(self._circuit, now)

    def answered(self, took_s: float, now: float, account_id: AccountId | None = None) -> None:
        """The API gave a usable answer at loop time `now`, `took_s` after its permit."""
        if self._circuit is not CLOSED:
            self._close_circuit(now, account_id)
        self._retries = retrying.answered(self._retries)
        self._resize(crowds.answered(self._crowd, took_s, now))

    def failed(self, what: Failed) -> None:
        """An attempt brought no usable answer."""
        now = anyio.current_time()
        if what.unreachable and self._where:
            what = replace(what, text=f"{what.text}; asked was {self._where}, as [api] base_url says")
        before, self._circuit = self._circuit, circuits.failed(self._circuit, what, now, self._accounts)
        if self._circuit.is_open and not before.is_open:
            since = self._moment_s(now if self._circuit.since is None else self._circuit.since)
            self._down = Pause(app=None, since=since, until=since, why=_DOWN)
            many, text = self._circuit.in_a_row, self._circuit.text
            log.warning("the API is down: %d attempts in a row failed, the last one: %s", many, text)
            if self.patience_s is not None:
                log.warning("one probe at a time, until %s if none is answered", self.clock(self._gives_up))
        self._resize(crowds.failed(self._crowd, what.permit_at, now))
        self.wake()

    @property
    def _gives_up(self) -> float:
        since = self._circuit.since
        return (anyio.current_time() if since is None else since) + (self.patience_s or 0.0)

    def unanswered(self, permit_at: float) -> None:
        """A request was dropped before anything was known."""
        self._circuit = circuits.unanswered(self._circuit, permit_at)
        self.wake()

    def _close_circuit(self, now: float, account_id: AccountId | None) -> None:
        if self._circuit.is_open and self._circuit.since is not None:
            down = f"the API was down for {now - self._circuit.since:,.0f} s"
            log.warning("%s; it answers again", down)
            self.notes.append(f"{down}, since {self.clock(self._circuit.since)}: {self._circuit.text}")
        if self._down:
            self._keep(self._down_until_now(self._down))
            self._down = None
        was_open, self._circuit = self._circuit.is_open, circuits.answered(self._circuit, account_id)
        if was_open:
            self.wake()

    def _resize(self, crowd: Crowd) -> None:
        before, self._crowd = self._crowd, crowd
        if crowd.allowed != before.allowed:
            self._places.allow(crowd.allowed)
        if crowd.allowed < before.allowed:
            log.info("%d requests in flight at most: the API is %s", crowd.allowed, _how(crowd))

    async def retry_turn(self, backoff_s: float) -> None:
        """Waits before a retry: its backoff, and as long as the budget of retries needs.

        Raises:
            QuotaSpent: The run's time would be over by then.
        """
        now = anyio.current_time()
        self._retries, wait_s = retrying.spend(self._retries, now)
        wait_s = max(backoff_s, wait_s)
        decision = self._budget.decide(now + wait_s)
        if isinstance(decision, Over):
            raise QuotaSpent(decision.why)
        await anyio.sleep(wait_s)

    async def moved(self) -> None:
        """Waits until something has happened that may let a waiting request go."""
        await self._moved.wait()

    def wake(self) -> None:
        """Every app looks again."""
        self._moved.set()
        self._moved = anyio.Event()

    def clock(self, at: float) -> str:
        """The time of day of a loop time, in the machine's own zone as the log has it: `02:13:20`."""
        wall = self.wall() + at - anyio.current_time()
        return f"{datetime.fromtimestamp(wall).astimezone():%H:%M:%S}"

    def moment(self, at: float) -> datetime | None:
        """The same as a moment in the machine's own zone, to the second; `None` for infinity."""
        if at == inf:
            return None
        return datetime.fromtimestamp(round(self.wall() + at - anyio.current_time())).astimezone()

    def told(self, wait: Wait) -> str | None:
        """A wait for a person: `waiting: minute quota of app main, until 02:13:20`."""
        if wait.why is None:
            return None
        return f"waiting: {wait.why}" + ("" if wait.until == inf else f", until {self.clock(wait.until)}")


def _how(crowd: Crowd) -> str:
    return "slow" if crowd.is_slow else "failing" if crowd.failing > crowds.WELL else "getting well again"

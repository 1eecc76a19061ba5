"""A simulated API behind a simulated network, for days of virtual time: the quotas are the sandbox's own."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import anyio

from harvester.api.client import Client
from harvester.api.effort import Retry, Surroundings
from harvester.api.envelope import Request, Response
from harvester.api.quota import Limits, Quota
from harvester.api.traffic import Budget, Traffic
from harvester.errors import AttemptError, CallError
from harvester.model import Account, AccountId, AppName, TokenName
from harvester.sandbox.quota import Quota as ServerQuota
from harvester.sandbox.stats import busiest
from harvester.sandbox.switches import Switches
from harvester.sandbox.wire import Rejected
from harvester.usage import Sending
from tests.api.helpers import NOW_S, QUERY, good, refused
from tests.credentials import fleet
from tests.virtual_time import PureVirtualTimeLoop

Answer = Response | AttemptError
_FIGURES: Final = "x-ratelimit-remaining"


def wall() -> float:
    """The wall clock, in step with the loop."""
    return NOW_S + anyio.current_time()


@dataclass
class SimulatedApi:
    """A fake `Transport`: one app for each access token, every request counted where a server would count it.

    Attributes:
        switches: Quotas, penalties, neighbour.
        latency_s: What an answer takes on average.
        jitter: How much of that comes and goes, 0 to 1.
        up: The share of it that passes before the server counts the request.
        trouble: What comes instead of an answer, by request number and loop time.
        lie: What `X-RateLimit-Remaining` says instead, by loop time; `None` leaves it out.
        seed: Of chance.
        arrivals: When requests were counted, by access token, loop time.
        codes: What was answered, in order.
    """

    switches: Switches = field(default_factory=Switches)
    latency_s: float = 0.3
    jitter: float = 0.2
    up: float = 0.3
    trouble: Callable[[int, float], Answer | None] = lambda _number, _now: None
    lie: Callable[[float], str | None] | None = None
    seed: int = 1
    arrivals: dict[str, list[float]] = field(default_factory=dict)
    codes: list[tuple[float, int]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self._luck = Random(self.seed)  # noqa: S311 - a test's chance
        self._quotas: dict[str, ServerQuota] = {}
        self._began_s = wall()

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await anyio.sleep(self._some(self.latency_s * self.up))
            answer = self._judge(request)
            await anyio.sleep(self._some(self.latency_s * (1 - self.up)))
        finally:
            self.in_flight -= 1
        if isinstance(answer, AttemptError):
            raise answer
        return answer

    def _some(self, seconds: float) -> float:
        return seconds * (1 + self.jitter * (2 * self._luck.random() - 1))

    def _judge(self, request: Request) -> Answer:
        token = dict(part.split("=", 1) for part in request.query.split("&"))["access_token"]
        now = anyio.current_time()
        self.arrivals.setdefault(token, []).append(now)
        if trouble := self.trouble(len(self.codes), now):
            self.codes.append((now, -1))
            return trouble
        quota = self._quotas.setdefault(token, ServerQuota(self.switches, self._began_s))
        try:
            quota.take(wall())
        except Rejected as rejected:
            self.codes.append((now, rejected.code))
            return refused(rejected.code, **self._figures(quota, now))
        self.codes.append((now, 0))
        return good(**self._figures(quota, now))

    def _figures(self, quota: ServerQuota, now: float) -> dict[str, str]:
        if not self.switches.quota_header:
            return {}
        figures = self.lie(now) if self.lie else quota.remaining(wall())
        return {} if figures is None else {_FIGURES: figures}

    def count(self, code: int) -> int:
        """How many answers had this code."""
        return len(self.times(code))

    def times(self, code: int) -> list[float]:
        """When requests were judged that were answered with this code; -1: a trouble."""
        return [at for at, one in self.codes if one == code]

    def worst(self, length_s: float) -> int:
        """The most requests of one app in any window of this length, as the server counted them."""
        return max((busiest(sorted(times), length_s) for times in self.arrivals.values()), default=0)

    def answered_between(self, start: float, end: float) -> int:
        """Requests that were answered well in a time, all apps together."""
        return sum(1 for at, code in self.codes if code == 0 and start <= at < end)


@dataclass
class Crew:
    """Workers of several apps that ask, and ask again.

    Attributes:
        api: Whom.
        limits: The quota of each app.
        workers: Of each app.
        in_flight: All apps together.
    """

    api: SimulatedApi
    limits: Sequence[Limits]
    workers: int = 32
    in_flight: int = 32
    budget: Budget | None = None
    patience_s: float | None = 1800.0
    retry: Retry = field(default_factory=Retry)
    earlier: Sending | None = None
    ends: list[CallError] = field(default_factory=list)
    fetched: int = 0

    def __post_init__(self) -> None:
        self.traffic = Traffic(self.in_flight, wall, budget=self.budget, patience_s=self.patience_s)
        apps = [AppName(f"app{number}") for number in range(len(self.limits))]
        self.quotas = {
            app: Quota(app, limits, self.traffic, self.earlier) for app, limits in zip(apps, self.limits, strict=True)
        }
        luck = Random(self.api.seed + 1)  # noqa: S311 - a test's chance
        tokens = fleet({TokenName(app): app for app in apps}, self.api, wall)
        around = Surroundings(wall=wall, chance=luck.random)
        self.client = Client(self.api, self.quotas, tokens, self.retry, around)

    async def work(self, seconds: float, requests: int | None = None) -> None:
        """Lets them ask for so long, or until each app has so many answers."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                for app in self.quotas:
                    left = iter(range(10**9 if requests is None else requests))
                    for number in range(self.workers):
                        account = Account(id=AccountId(number + 1), token=TokenName(app), app=app)
                        tasks.start_soon(self._ask, account, left)

    async def _ask(self, account: Account, left: Iterator[int]) -> None:
        for _ in left:
            try:
                await self.client.fetch(account, QUERY)
                self.fetched += 1
            except CallError as error:
                self.ends.append(error)
                return


def simulate(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a simulation on a loop of its own, where hours cost milliseconds."""
    with asyncio.Runner(loop_factory=PureVirtualTimeLoop) as runner:
        runner.run(work())

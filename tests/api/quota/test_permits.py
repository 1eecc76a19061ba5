import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from random import Random
from typing import Any

import anyio
import pytest
from anyio import CancelScope
from anyio.lowlevel import checkpoint
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.quota import Figure, Limit, Limits, Permit, Quota
from harvester.api.traffic import Budget, Traffic
from harvester.api.traffic.circuit import Failed
from harvester.errors import QuotaSpent
from harvester.model import AccountId, AppName
from harvester.sandbox.stats import busiest
from harvester.usage import Sending
from tests.api.helpers import NOW_S
from tests.virtual_time import PureVirtualTimeLoop

pytestmark = pytest.mark.anyio
APP, OTHER = AppName("main"), AppName("other")
NO_LIMITS = Limits()
LATE_S = 0.00501
"""What a permit makes up for when the one before came late."""
DAY_S = 86_400.0


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """No sockets and no threads: time jumps at once."""
    return "asyncio", {"loop_factory": PureVirtualTimeLoop}


class LateLoop(PureVirtualTimeLoop):
    """Its timers fire late, as real ones do."""

    def __init__(self, late_s: float) -> None:
        self._late_s = late_s
        super().__init__()

    def _advance(self, seconds: float) -> None:
        super()._advance(seconds + self._late_s)


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, None]], late_s: float = 0.0) -> None:
    """Runs one example of a property on a loop of its own."""
    with asyncio.Runner(loop_factory=partial(LateLoop, late_s)) as runner:
        runner.run(work())


def wall() -> float:
    """The wall clock, in step with the loop."""
    return NOW_S + anyio.current_time()


def traffic_of(places: int = 8, *, budget: Budget | None = None, patience_s: float | None = None) -> Traffic:
    """What apps share."""
    return Traffic(places, wall, budget=budget, patience_s=patience_s)


def quota_of(
    limits: Limits = NO_LIMITS,
    *,
    app: AppName = APP,
    traffic: Traffic | None = None,
    earlier: Sending | None = None,
) -> Quota:
    """A quota, with eight places of its own unless it shares some."""
    return Quota(app, limits, traffic or traffic_of(), earlier)


def taken(quota: Quota) -> int:
    """How many places in flight are taken."""
    return quota.traffic._places._taken


def pause(quota: Quota, seconds: float) -> None:
    """The API says that some limit is reached, and how long to wait; to a request that was not counted before."""
    quota._own.sent += 1
    quota.refused(Permit(anyio.current_time()), Limit.OTHER, "a test", seconds)


class End(Enum):
    """What becomes of a request."""

    ANSWERED = "answered"
    LOST = "lost"
    UNREACHABLE = "unreachable"
    DROPPED = "dropped"
    SECOND = "second"
    MINUTE = "minute"
    OTHER = "other"


@dataclass
class Log:
    """When permits were given, how many requests were under way, and what figures the answers had."""

    granted_at: list[float] = field(default_factory=list)
    names: list[object] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    figure: Callable[[], Figure | None] = lambda: None

    async def ask(
        self, quota: Quota, answer_s: float = 0.0, name: object = None, end: End = End.ANSWERED, *, ahead: bool = False
    ) -> None:
        """One request."""
        async with quota.permit(ahead=ahead) as permit:
            assert permit.at == anyio.current_time()
            self.granted_at.append(permit.at)
            self.names.append(name)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                await anyio.sleep(answer_s)
            finally:
                self.under_way -= 1
            self._tell(quota, permit, end)

    def _tell(self, quota: Quota, permit: Permit, end: End) -> None:
        match end:
            case End.ANSWERED:
                quota.answered(permit, self.figure())
            case End.LOST | End.UNREACHABLE:
                account = AccountId(len(self.granted_at))
                unreachable = end is End.UNREACHABLE
                quota.failed(permit, Failed(account_id=account, permit_at=permit.at, unreachable=unreachable))
            case End.DROPPED:
                pass
            case _:
                quota.refused(permit, Limit[end.name], "a test")


def assert_never_more(granted_at: Sequence[float], most: int | None, window_s: float) -> None:
    """In no window of this length, wherever it begins, are there more."""
    assert most is None or busiest(granted_at, window_s) <= most


quotas = st.builds(
    Limits, per_second=st.none() | st.integers(1, 25), per_minute=st.none() | st.integers(1, 1500)
).filter(lambda some: some.spacing_s > 0)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One example of an app at work.

    Attributes:
        limits: Its quota.
        workers: How many ask for permits, again and again; every third one goes ahead of the others.
        places: In flight.
        answer_s: The mean time until an answer.
        never: The share of requests that are never answered.
        pauses: When the API wishes for one, and how long.
        troubles: The share of requests that do not end well.
        cancelled: The share of requests that are cancelled somewhere in the middle.
        figures: Whether answers have figures, made up.
        late_s: How late timers fire.
        seed: Of chance.
    """

    limits: Limits
    workers: int
    places: int
    answer_s: float = 0.0
    never: float = 0.0
    pauses: Sequence[tuple[float, float]] = ()
    troubles: float = 0.0
    cancelled: float = 0.0
    figures: bool = False
    late_s: float = 0.0
    seed: int = 0


scenes = st.builds(
    Scene,
    limits=quotas,
    workers=st.integers(1, 30),
    places=st.integers(1, 12),
    answer_s=st.sampled_from([0.0, 0.01, 0.3, 5.0, 70.0]),
    never=st.sampled_from([0.0, 0.0, 0.01]),
    pauses=st.lists(st.tuples(st.floats(0, 120), st.sampled_from([0.5, 1.0, 30.0, 60.0])), max_size=3),
    troubles=st.sampled_from([0.0, 0.0, 0.02, 0.3, 1.0]),
    cancelled=st.sampled_from([0.0, 0.1, 0.5]),
    figures=st.booleans(),
    late_s=st.sampled_from([0.0, 0.001, 0.004, 0.05]),
    seed=st.integers(0, 9),
)


@dataclass
class Play:
    """A scene, as it is played."""

    scene: Scene
    log: Log = field(default_factory=Log)
    held: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._luck = Random(self.scene.seed)  # noqa: S311 - a test's chance
        if self.scene.figures:
            self.log.figure = lambda: Figure(self._luck.randrange(101), self._luck.randrange(101))

    async def run(self) -> None:
        """Two and a half minutes of it; then all is as it was, and another request may go."""
        traffic = traffic_of(self.scene.places)
        quota = quota_of(self.scene.limits, traffic=traffic)
        with anyio.move_on_after(150):
            async with anyio.create_task_group() as tasks:
                for number in range(self.scene.workers):
                    tasks.start_soon(partial(self._work, quota, ahead=number % 3 == 2))
                for after_s, seconds in self.scene.pauses:
                    tasks.start_soon(self._pause, quota, after_s, seconds)
        assert taken(quota) == quota._turn._taken == quota._own.under_way == 0
        assert quota.sent == len(self.log.granted_at) + len(self.held)
        for _ in range(2):
            with anyio.fail_after(300 + 60 + 61):
                await self.log.ask(quota)

    async def _work(self, quota: Quota, *, ahead: bool) -> None:
        scene, luck = self.scene, self._luck
        while True:
            with CancelScope() as scope:
                if luck.random() < scene.cancelled:
                    scope.deadline = anyio.current_time() + luck.random() * 3
                answer_s = 1e6 if luck.random() < scene.never else scene.answer_s * luck.random() * 2
                end = luck.choice(list(End)) if luck.random() < scene.troubles else End.ANSWERED
                await self.log.ask(quota, answer_s, end=end, ahead=ahead)
            await checkpoint()

    async def _pause(self, quota: Quota, after_s: float, seconds: float) -> None:
        await anyio.sleep(after_s)
        now = anyio.current_time()
        if all(now >= end for _, end in self.held):
            self.held.append((now, now + seconds))
            pause(quota, seconds)


class TestQuota:
    """Never more than the quota, and hardly less."""

    @settings(max_examples=100)
    @given(scenes)
    @example(Scene(limits=Limits(per_second=1, per_minute=1), workers=5, places=1))
    @example(
        Scene(limits=Limits(per_minute=60), workers=30, places=2, answer_s=70.0, pauses=[(0.0, 60.0)], cancelled=0.5)
    )
    @example(Scene(limits=Limits(per_second=25), workers=30, places=12, late_s=0.004))
    @example(Scene(limits=Limits(per_second=25), workers=30, places=12, answer_s=0.3, troubles=1.0, cancelled=0.5))
    def test_no_window_ever_holds_more_than_the_quota(self, scene: Scene) -> None:
        """Whatever happens and however late timers are; in the end all places are free, and another request may go."""
        play = Play(scene)
        in_virtual_time(play.run, scene.late_s)
        granted_at = play.log.granted_at
        assert granted_at == sorted(granted_at)
        assert_never_more(granted_at, scene.limits.per_second, 1.0)
        assert_never_more(granted_at, scene.limits.per_minute, 60.0)
        assert play.log.most_under_way <= scene.places
        if not scene.troubles:  # else a wish may come while the app pauses anyway, and then it is none
            assert not [at for at in granted_at for start, end in play.held if start < at < end]

    @settings(max_examples=30)
    @given(quotas, st.sampled_from([0.0, 0.001, 0.004]), st.sampled_from([0.0, 0.01]))
    @example(Limits(per_minute=1), 0.0, 0.0)
    @example(Limits(per_second=1), 0.0, 0.0)
    @example(Limits(per_minute=2), 0.0, 0.0)
    @example(Limits(per_second=100), 0.001, 0.0)
    @example(Limits(per_second=1000), 0.004, 0.01)
    def test_nearly_all_of_the_quota_is_used(self, some: Limits, late_s: float, answer_s: float) -> None:
        """With enough to do: 98 % of a minute's, 97.5 % of a second's, also when timers are a little late."""
        a_second, a_minute = some.per_second or 10**9, some.per_minute or 10**9
        allowed = min(0.975 * 60 * a_second, 0.98 * a_minute)
        requests = min(2_000, max(50, int(allowed)))
        log = Log()

        async def run() -> None:
            quota = quota_of(some, traffic=traffic_of(64))
            async with anyio.create_task_group() as tasks:
                for _ in range(requests):
                    tasks.start_soon(log.ask, quota, answer_s)

        in_virtual_time(run, late_s)
        assert len(log.granted_at) == requests
        assert (requests - 1) / (log.granted_at[-1] - log.granted_at[0]) * 60 >= allowed

    @pytest.mark.parametrize(
        ("some", "spacing_s"),
        [
            (Limits(), 0.0),
            (Limits(per_day=5), 0.0),
            (Limits(per_second=10), 0.1 / 0.985),
            (Limits(per_minute=600), 0.1 / 0.99),
            (Limits(per_second=10, per_minute=60), 1 / 0.99),
        ],
    )
    async def test_permits_are_spaced_evenly(self, some: Limits, spacing_s: float) -> None:
        """By the tighter limit, from the first permit on, without a burst."""
        quota, log = quota_of(some), Log()
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(log.ask, quota)
        assert log.granted_at == pytest.approx([n * spacing_s for n in range(5)], abs=LATE_S)
        assert quota.spacing_s == pytest.approx(spacing_s)

    async def test_a_rest_earns_no_burst(self) -> None:
        """After an hour of nothing, permits are spaced as before."""
        quota, log = quota_of(Limits(per_second=10)), Log()
        await log.ask(quota)
        await anyio.sleep(3_600)
        for _ in range(3):
            await log.ask(quota)
        assert log.granted_at[1:] == pytest.approx([3_600 + n / 9.85 for n in range(3)], abs=LATE_S)

    async def test_spacing_counts_from_the_permit_that_was_given(self) -> None:
        """One that came late because no place was free holds back the next one too."""
        quota, log = quota_of(Limits(per_second=1), traffic=traffic_of(1)), Log()
        async with anyio.create_task_group() as tasks:
            for answer_s in (1.5, 0.0, 0.0):
                tasks.start_soon(log.ask, quota, answer_s)
        assert log.granted_at == pytest.approx([0.0, 1.5, 1.5 + 1 / 0.985], abs=LATE_S)

    @pytest.mark.parametrize(
        ("earlier", "first_at"),
        [
            (Sending(), 0.0),
            (Sending(last_at=NOW_S, spacing_s=1 / 0.99), 1 / 0.99),
            (Sending(last_at=NOW_S - 20, spacing_s=0.0), 40.0),
            (Sending(last_at=NOW_S - 61, spacing_s=0.0), 0.0),
        ],
    )
    async def test_an_earlier_runs_requests_count(self, earlier: Sending, first_at: float) -> None:
        """The first permit waits for them."""
        quota, log = quota_of(Limits(per_minute=60), earlier=earlier), Log()
        for _ in range(2):
            await log.ask(quota)
        assert log.granted_at == pytest.approx([first_at, first_at + 1 / 0.99], abs=LATE_S)


class TestTurns:
    """Who goes when."""

    async def test_first_come_first_served(self) -> None:
        """In the order of asking."""
        quota, log = quota_of(Limits(per_second=5), traffic=traffic_of(2)), Log()
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(log.ask, quota, 0.7, number)
        assert log.names == list(range(20))

    async def test_what_is_begun_goes_ahead(self) -> None:
        """Before those who came first, in an order of their own; who has the turn keeps it."""
        quota, log = quota_of(Limits(per_second=5)), Log()
        async with anyio.create_task_group() as tasks:
            for name in ("first", "second", "third"):
                tasks.start_soon(log.ask, quota, 0.7, name)
            await anyio.sleep(0.1)
            for name in ("ahead 1", "ahead 2"):
                tasks.start_soon(partial(log.ask, quota, 0.7, name, ahead=True))
        assert log.names == ["first", "second", "ahead 1", "ahead 2", "third"]

    async def test_a_permit_to_spare(self) -> None:
        """When the time of the next one has come, a place is free, and nobody waits for either."""
        quota = quota_of(Limits(per_second=1), traffic=traffic_of(2))

        def spare() -> bool:
            return quota.has_spare

        assert spare()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Log().ask, quota, 3.5)
            await anyio.sleep(0.1)
            assert not spare(), "its time has not come"
            await anyio.sleep(1)
            assert spare()
            tasks.start_soon(Log().ask, quota, 1.5)
            tasks.start_soon(Log().ask, quota, 1.5)
            await anyio.sleep(0.1)
            assert not spare(), "somebody waits for it"
            await anyio.sleep(1.1)
            assert not spare(), "both places are taken"
        await anyio.sleep(5)
        assert spare()
        quota.close("over")
        assert not spare()

    @pytest.mark.parametrize("which", [1, 2, 3, 5])
    @pytest.mark.parametrize("at_s", [0.0, 0.5, 0.999])
    async def test_a_cancelled_waiter_costs_nobody_a_place(self, which: int, at_s: float) -> None:
        """Those behind it move up, at the times that were free anyway."""
        quota, log = quota_of(Limits(per_second=1)), Log()
        scopes = [CancelScope() for _ in range(6)]

        async def ask(number: int) -> None:
            with scopes[number]:
                await log.ask(quota, 0.0, number)

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(ask, number)
            await anyio.sleep(at_s)
            scopes[which].cancel()
        assert log.names == [number for number in range(6) if number != which]
        assert log.granted_at == pytest.approx([n / 0.985 for n in range(5)], abs=LATE_S)
        assert quota.sent == 5

    async def test_a_waiter_cancelled_before_a_free_place_leaves_it(self) -> None:
        """Also when the place becomes free in the same moment."""
        quota, log = quota_of(traffic=traffic_of(1)), Log()
        waiter = CancelScope()

        async def wait() -> None:
            with waiter:
                await log.ask(quota, 0.0, "cancelled")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 1.0, "first")
            await anyio.sleep(0.5)
            tasks.start_soon(wait)
            await anyio.sleep(0.5)
            waiter.cancel()
            tasks.start_soon(log.ask, quota, 0.0, "last")
        assert log.names in (["first", "last"], ["first", "cancelled", "last"])
        assert taken(quota) == 0

    async def test_a_request_that_fails_gives_its_place_back(self) -> None:
        """An error inside of the permit passes through."""
        quota = quota_of(traffic=traffic_of(1))
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with quota.permit():
                    raise ZeroDivisionError
        assert (taken(quota), quota.sent, quota._own.lost) == (0, 3, 3)


class TestAppsTogether:
    """Places in flight are shared, nothing else is."""

    @settings(max_examples=30)
    @given(st.integers(2, 4), st.integers(1, 9), st.sampled_from([0.1, 1.0, 7.0]), st.integers(1, 30))
    def test_each_of_them_gets_as_much(self, apps: int, places: int, answer_s: float, workers: int) -> None:
        """Of places that are fewer than all would like, whoever came first."""
        log = Log()

        async def work(quota: Quota, name: int) -> None:
            while True:
                await log.ask(quota, answer_s, name)

        async def run() -> None:
            traffic = traffic_of(places)
            with anyio.move_on_after(30 * answer_s):
                async with anyio.create_task_group() as tasks:
                    for number in range(apps):
                        quota = quota_of(app=AppName(f"app {number}"), traffic=traffic)
                        for _ in range(workers):
                            tasks.start_soon(work, quota, number)

        in_virtual_time(run)
        assert log.most_under_way == min(places, apps * workers)
        shares = [log.names.count(number) for number in range(apps)]
        assert max(shares) - min(shares) <= places + 2

    async def test_a_paused_app_holds_no_place(self) -> None:
        """With a single place, another app goes on while one waits five minutes."""
        traffic, log = traffic_of(1), Log()
        paused, other = quota_of(traffic=traffic), quota_of(app=OTHER, traffic=traffic)
        pause(paused, 300)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(log.ask, paused, 0.1, APP)
                tasks.start_soon(log.ask, other, 0.1, OTHER)
        assert log.names == [OTHER] * 5 + [APP] * 5
        assert log.granted_at[4] == pytest.approx(0.4)
        assert log.granted_at[5] == pytest.approx(300)

    async def test_a_slow_app_holds_no_place_while_it_waits_for_its_permit(self) -> None:
        """With a single place, an app of one request a minute does not slow another one."""
        traffic, log = traffic_of(1), Log()
        slow, fast = quota_of(Limits(per_minute=1), traffic=traffic), quota_of(app=OTHER, traffic=traffic)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(log.ask, slow, 0.1, APP)
            for _ in range(30):
                tasks.start_soon(log.ask, fast, 0.1, OTHER)
        fast_at = [at for at, name in zip(log.granted_at, log.names, strict=True) if name == OTHER]
        assert max(fast_at) < 3.2
        slow_at = [at for at, name in zip(log.granted_at, log.names, strict=True) if name == APP]
        assert_never_more(slow_at, 1, 60.0)
        assert max(slow_at) < 122

    async def test_a_pause_that_begins_while_waiting_for_a_place_leaves_the_place_to_others(self) -> None:
        """The waiter goes back to waiting, without the place."""
        traffic, log = traffic_of(1), Log()
        paused, other = quota_of(traffic=traffic), quota_of(app=OTHER, traffic=traffic)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, other, 5.0, OTHER)
            await anyio.sleep(1)
            tasks.start_soon(log.ask, paused, 0.0, APP)
            await anyio.sleep(1)
            pause(paused, 60)
            tasks.start_soon(log.ask, other, 0.0, OTHER)
        assert log.names == [OTHER, OTHER, APP]
        assert log.granted_at == pytest.approx([0, 5, 62])

    async def test_while_the_api_is_down_one_request_goes_for_all_apps(self) -> None:
        """Its good answer lets them all go."""
        traffic, log = traffic_of(8), Log()
        quotas = [quota_of(app=app, traffic=traffic) for app in (APP, OTHER)]
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(log.ask, quotas[number % 2], 1.0, None, End.UNREACHABLE)
        log.granted_at.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quotas[0], 10.0, None, End.UNREACHABLE)
            await checkpoint()
            for number in range(6):
                tasks.start_soon(log.ask, quotas[number % 2], 10.0)
        assert log.granted_at == pytest.approx([3.0, 17.0, *[27.0] * 5])


class TestPause:
    """The whole app waits."""

    async def test_it_holds_everyone(self) -> None:
        """Those who wait for their spacing already, and those who come later."""
        quota, log = quota_of(Limits(per_second=1)), Log()
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(log.ask, quota)
            await anyio.sleep(0.5)
            pause(quota, 60)
            tasks.start_soon(log.ask, quota)
        assert log.granted_at == pytest.approx([0.0, *(60.5 + n / 0.985 for n in range(3))], abs=LATE_S)

    async def test_requests_under_way_finish(self) -> None:
        """A pause touches only permits."""
        quota, log = quota_of(), Log()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 2.0)
            await anyio.sleep(1)
            pause(quota, 60)
            await anyio.sleep(1.5)
            assert (log.under_way, log.granted_at) == (0, [0.0])

    async def test_it_can_grow_while_it_is_waited_for(self) -> None:
        """Those who wait for its first end wait for the second one too."""
        quota, log = quota_of(), Log()
        pause(quota, 10)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota)
            await anyio.sleep(5)
            quota.refused(Permit(-1.0), Limit.MINUTE, "a test")
        assert log.granted_at == pytest.approx([65])

    @pytest.mark.parametrize(
        ("end", "first_s", "knock"),
        [(End.SECOND, 1.0, False), (End.MINUTE, 60.0, True), (End.OTHER, 15.0, True)],
    )
    async def test_each_limit_has_its_own(self, end: End, first_s: float, *, knock: bool) -> None:
        """All requests in flight are refused together: one pause; then a single request goes first, or all do."""
        quota, log = quota_of(), Log()
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(log.ask, quota, 0.5, None, end)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(log.ask, quota, 0.5)
        begins = 0.5 + first_s
        assert log.granted_at[8:] == pytest.approx([begins, *[begins + (0.5 if knock else 0.0)] * 7])

    @pytest.mark.parametrize("end", [End.LOST, End.DROPPED])
    async def test_a_knock_without_an_answer_is_repeated_by_the_next_one(self, end: End) -> None:
        """The others wait on until there is one."""
        quota, log = quota_of(), Log()
        quota.refused(Permit(0.0), Limit.MINUTE, "a test")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 5.0, None, end)
            await checkpoint()
            for _ in range(3):
                tasks.start_soon(log.ask, quota, 2.0)
        assert log.granted_at == pytest.approx([60, 65, 67, 67])

    async def test_permits_are_further_apart_after_an_11016(self) -> None:
        """By a fiftieth, and later by less."""
        quota, log = quota_of(Limits(per_second=1)), Log()
        await log.ask(quota, 0.0, None, End.SECOND)
        for _ in range(3):
            await log.ask(quota)
        gaps = [later - at for at, later in zip(log.granted_at[1:], log.granted_at[2:], strict=False)]
        assert gaps == pytest.approx([1.02 / 0.985] * 2, abs=LATE_S)


class TestFigures:
    """What the API says of its quota is heeded."""

    async def test_an_unset_quota_is_learned_from_the_figures(self) -> None:
        """And what went out before it was known counts."""
        quota, sent = quota_of(), list[float]()

        async def ask() -> None:
            async with quota.permit() as permit:
                sent.append(permit.at)
                await anyio.sleep(0.01)
                quota.answered(permit, Figure(100, 100 - len([at for at in sent if at > permit.at - 60])))

        for _ in range(10):
            await ask()
        assert quota._steering.learned is not None
        early = quota.learned_per_minute
        assert early is None  # too little to be kept
        assert quota.spacing_s == 0
        for _ in range(300):
            await ask()
        learned = quota.learned_per_minute or 0
        assert 95 <= learned <= 100
        assert_never_more(sent, 100, 60.0)
        assert quota.spacing_s == pytest.approx(60 / 0.99 / learned)
        (note,) = quota.notes()
        assert note.startswith("app main: no requests_per_minute is configured; the API's figures showed at least 9")

    async def test_a_day_that_is_about_to_end_is_used_one_by_one(self) -> None:
        """A request waits for the answer to the one before, until the day has more left."""
        quota, log = quota_of(), Log()

        async def say(day: int) -> None:
            async with quota.permit() as permit:
                quota.answered(permit, Figure(day, 100))

        await say(50)
        await say(0)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(log.ask, quota, 1.0)
        assert log.granted_at == pytest.approx([0, 1, 2])
        await say(1)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(log.ask, quota, 1.0)
        assert log.granted_at[3:] == pytest.approx([3, 3, 3])


class TestSpent:
    """Nothing more may be sent."""

    @pytest.mark.parametrize(("used", "left"), [(0, 5), (3, 2), (5, 0), (9, 0)])
    async def test_the_days_quota_counts_earlier_runs(self, used: int, left: int) -> None:
        """What is used up is named with its app and its size."""
        earlier = Sending(by_minute={int(NOW_S) // 60 - 5: used})
        quota, log = quota_of(Limits(per_day=5), earlier=earlier), Log()
        for _ in range(left):
            await log.ask(quota)
        for _ in range(2):
            with pytest.raises(QuotaSpent, match="app main: its quota of 5 requests a day is used up"):
                await log.ask(quota)
        assert quota.sent == left

    async def test_requests_that_are_nearly_a_day_old_are_waited_for(self) -> None:
        """For up to an hour."""
        earlier = Sending(by_minute={int(NOW_S - DAY_S) // 60 + 30: 5})
        quota, log = quota_of(Limits(per_day=5), earlier=earlier), Log()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota)
            await anyio.sleep(1)
            wait = quota.reading.wait
            assert wait is not None
            assert (quota.traffic.told(wait) or "").startswith("waiting: day quota of app main, until ")
        assert log.granted_at == pytest.approx([31 * 60])

    @settings(max_examples=20)
    @given(st.integers(1, 40), st.sampled_from([None, 1, 60]), st.integers(0, 4))
    def test_no_24_hours_hold_more_than_the_day(self, per_day: int, per_minute: int | None, seed: int) -> None:
        """For three days, by workers who try again every now and then; and each day nearly all of it is used."""
        log, luck = Log(), Random(seed)  # noqa: S311 - a test's chance

        async def work(quota: Quota) -> None:
            while True:
                try:
                    await log.ask(quota, luck.random())
                except QuotaSpent:
                    await anyio.sleep(3_000 * luck.random())

        async def run() -> None:
            quota = quota_of(Limits(per_day=per_day, per_minute=per_minute))
            with anyio.move_on_after(3 * DAY_S):
                async with anyio.create_task_group() as tasks:
                    for _ in range(3):
                        tasks.start_soon(work, quota)

        in_virtual_time(run)
        assert_never_more(log.granted_at, per_day, DAY_S)
        assert len(log.granted_at) == 3 * per_day

    async def test_no_more_is_sent_than_the_ledger_was_told_of(self) -> None:
        """Where no spacing bounds what a run that is killed may have sent, the day pays beforehand, in lumps."""
        quota, log = quota_of(Limits(per_day=1_000)), Log()
        assert quota.reserve == 10
        quota.reserved = 10

        async def tell() -> None:
            await quota.traffic.has_to_tell(60)
            assert 5 <= quota.sent <= 10
            await anyio.sleep(1)
            quota.reserved = 20
            quota.traffic.extend(99.0)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell)
            for _ in range(15):
                tasks.start_soon(log.ask, quota)
        assert log.granted_at == pytest.approx([0.0] * 10 + [1.0] * 5)

    @pytest.mark.parametrize(
        ("limits", "reserve"),
        [
            (Limits(), 0),
            (Limits(per_minute=60, per_day=1_000), 0),
            (Limits(per_day=5), 1),
            (Limits(per_day=1_000_000), 200),
        ],
    )
    async def test_how_large_such_a_lump_is(self, limits: Limits, reserve: int) -> None:
        """A hundredth of the day, within bounds; none where permits are spaced."""
        assert quota_of(limits).reserve == reserve

    async def test_many_waiters_do_not_overdraw_the_day(self) -> None:
        """Each of them learns it, and every place is given back."""
        quota, log = quota_of(Limits(per_day=7, per_second=10), traffic=traffic_of(4)), Log()
        spent = 0

        async def ask() -> None:
            nonlocal spent
            try:
                await log.ask(quota, 0.5)
            except QuotaSpent:
                spent += 1

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
        assert (quota.sent, spent, taken(quota)) == (7, 13, 0)

    @pytest.mark.parametrize("most", [0, 1, 7])
    async def test_the_runs_budget_is_shared_by_all_apps(self, most: int) -> None:
        """Not one request more, however many wait."""
        budget, log = Budget(requests_left=most), Log()
        traffic = traffic_of(3, budget=budget)
        quotas = [quota_of(app=app, traffic=traffic) for app in (APP, OTHER)]
        spent = []

        async def ask(quota: Quota) -> None:
            try:
                await log.ask(quota, 0.5)
            except QuotaSpent as error:
                spent.append(str(error))

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(ask, quotas[number % 2])
        assert len(log.granted_at) == sum(quota.sent for quota in quotas) == most
        assert spent == ["the run's budget of requests (--max-requests) is used up"] * (20 - most)
        assert (budget.requests_left, taken(quotas[0])) == (0, 0)

    async def test_the_runs_time_ends_it(self) -> None:
        """From the deadline on, nothing is sent."""
        quota, log = quota_of(Limits(per_second=1), traffic=traffic_of(budget=Budget(deadline=3.5))), Log()
        for _ in range(4):
            await log.ask(quota)
        with pytest.raises(QuotaSpent, match="--max-duration"):
            await log.ask(quota)
        assert log.granted_at == pytest.approx([n / 0.985 for n in range(4)], abs=LATE_S)
        assert anyio.current_time() < 3.5

    @pytest.mark.parametrize("hold", ["pause", "spacing"])
    async def test_nobody_waits_for_a_permit_that_would_come_too_late(self, hold: str) -> None:
        """A wait beyond the deadline ends at once."""
        quota, log = quota_of(Limits(per_minute=1), traffic=traffic_of(budget=Budget(deadline=50.0))), Log()
        if hold == "pause":
            pause(quota, 60)
        else:
            await log.ask(quota)
        with pytest.raises(QuotaSpent, match="--max-duration"):
            await log.ask(quota)
        assert anyio.current_time() == 0

    async def test_the_deadline_also_ends_the_wait_for_a_place(self) -> None:
        """A place that becomes free too late is given back."""
        quota, log = quota_of(traffic=traffic_of(1, budget=Budget(deadline=5.0))), Log()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 10.0)
            await anyio.sleep(1)
            with pytest.raises(QuotaSpent, match="--max-duration"):
                await log.ask(quota)
        assert taken(quota) == 0

    async def test_a_closed_app_sends_nothing_more(self) -> None:
        """Those who wait learn it too, and why; another app goes on."""
        traffic, log = traffic_of(1), Log()
        quota, other = quota_of(traffic=traffic), quota_of(app=OTHER, traffic=traffic)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 2.0)
            await anyio.sleep(1)
            quota.close("code 11018")
            with pytest.raises(QuotaSpent, match="app main: code 11018"):
                await log.ask(quota)
        with pytest.raises(QuotaSpent, match="app main: code 11018"):
            await log.ask(quota)
        await log.ask(other)
        assert (quota.sent, other.sent, taken(quota)) == (1, 1, 0)

    @pytest.mark.parametrize(("hold", "learned_at"), [("place", 2.0), ("pause", 1.5), ("spacing", 1.5)])
    async def test_closing_reaches_those_who_wait(self, hold: str, learned_at: float) -> None:
        """Behind a place, when it becomes free; behind a pause or their spacing, at once."""
        limits = Limits(per_minute=1) if hold == "spacing" else NO_LIMITS
        quota, log = quota_of(limits, traffic=traffic_of(1)), Log()
        spent: list[float] = []

        async def ask() -> None:
            with pytest.raises(QuotaSpent):
                await log.ask(quota)
            spent.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 2.0)
            await anyio.sleep(1)
            if hold == "pause":
                pause(quota, 60)
            for _ in range(3):
                tasks.start_soon(ask)
            await anyio.sleep(0.5)
            quota.close("code 11018")
        assert spent == pytest.approx([learned_at] * 3)
        assert taken(quota) == 0

    async def test_an_api_that_stays_away_ends_it_for_all(self) -> None:
        """Everybody who waits learns it with the last probe's failure, and nobody's place is lost."""
        traffic, log = traffic_of(8, patience_s=100.0), Log()
        quotas = [quota_of(app=app, traffic=traffic) for app in (APP, OTHER)]
        ends: list[float] = []

        async def work(quota: Quota) -> None:
            with pytest.raises(QuotaSpent, match="the API has not answered for 100 s"):
                await ask_for_ever(quota)
            ends.append(anyio.current_time())

        async def ask_for_ever(quota: Quota) -> None:
            while True:
                await log.ask(quota, 0.5, None, End.UNREACHABLE)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(work, quotas[number % 2])
        assert len(ends) == 20
        assert min(ends) == max(ends) == pytest.approx(100)
        assert taken(quotas[0]) == 0

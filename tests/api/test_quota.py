import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import anyio
import pytest
from anyio import CancelScope
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.quota import Budget, Limits, Quota
from harvester.errors import QuotaSpent
from harvester.model import AppName
from tests.virtual_time import PureVirtualTimeLoop

pytestmark = pytest.mark.anyio
APP, OTHER = AppName("main"), AppName("other")
NO_LIMITS = Limits()
LATE_S = 0.00501
"""What a permit makes up for when the one before came late."""


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


def quota_of(
    limits: Limits = NO_LIMITS,
    *,
    app: AppName = APP,
    places: asyncio.Semaphore | int = 8,
    budget: Budget | None = None,
    used_today: int = 0,
) -> Quota:
    """A quota; a number of places stands for a semaphore of its own."""
    in_flight = asyncio.Semaphore(places) if isinstance(places, int) else places
    return Quota(app, limits, budget=budget or Budget(), in_flight=in_flight, used_today=used_today)


@dataclass
class Log:
    """When permits were given, and how many requests were under way."""

    granted_at: list[float] = field(default_factory=list)
    names: list[object] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def ask(self, quota: Quota, answer_s: float = 0.0, name: object = None) -> None:
        """One request."""
        async with quota.permit() as at:
            assert at == anyio.current_time()
            self.granted_at.append(at)
            self.names.append(name)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            try:
                await anyio.sleep(answer_s)
            finally:
                self.under_way -= 1


def assert_never_more(granted_at: Sequence[float], most: int | None, window_s: float) -> None:
    """In no window of this length, wherever it begins, are there more."""
    if most is not None:
        closest = zip(granted_at, granted_at[most:], strict=False)
        assert all(later - earlier >= window_s for earlier, later in closest)


quotas = st.builds(
    Limits, per_second=st.none() | st.integers(1, 25), per_minute=st.none() | st.integers(1, 1500)
).filter(lambda some: some.spacing_s > 0)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One example of an app at work.

    Attributes:
        limits: Its quota.
        workers: How many ask for permits, again and again.
        places: In flight.
        answer_s: The mean time until an answer.
        pauses: When, and how long.
        cancelled: The share of requests that are cancelled somewhere in the middle.
        late_s: How late timers fire.
        seed: Of chance.
    """

    limits: Limits
    workers: int
    places: int
    answer_s: float = 0.0
    pauses: Sequence[tuple[float, float]] = ()
    cancelled: float = 0.0
    late_s: float = 0.0
    seed: int = 0


scenes = st.builds(
    Scene,
    limits=quotas,
    workers=st.integers(1, 30),
    places=st.integers(1, 12),
    answer_s=st.sampled_from([0.0, 0.01, 0.3, 5.0, 70.0]),
    pauses=st.lists(st.tuples(st.floats(0, 120), st.sampled_from([0.5, 1.0, 30.0, 60.0])), max_size=3),
    cancelled=st.floats(0, 0.5),
    late_s=st.sampled_from([0.0, 0.001, 0.004, 0.05]),
    seed=st.integers(0, 9),
)


class TestSpacing:
    """Never more than the quota, and hardly less."""

    @settings(max_examples=80)
    @given(scenes)
    @example(Scene(limits=Limits(per_second=1, per_minute=1), workers=5, places=1))
    @example(
        Scene(limits=Limits(per_minute=60), workers=30, places=2, answer_s=70.0, pauses=[(0.0, 60.0)], cancelled=0.5)
    )
    @example(Scene(limits=Limits(per_second=25), workers=30, places=12, late_s=0.004))
    def test_no_window_ever_holds_more_than_the_quota(self, scene: Scene) -> None:
        """Whatever the answers take, whoever is cancelled, whenever the app pauses, however late timers are."""
        log, luck, held = Log(), Random(scene.seed), list[tuple[float, float]]()  # noqa: S311 - a test's chance

        async def work(quota: Quota) -> None:
            while True:
                with CancelScope() as scope:
                    if luck.random() < scene.cancelled:
                        scope.deadline = anyio.current_time() + luck.random() * 3
                    await log.ask(quota, scene.answer_s * luck.random() * 2)

        async def pause(quota: Quota, after_s: float, seconds: float) -> None:
            await anyio.sleep(after_s)
            held.append((anyio.current_time(), anyio.current_time() + seconds))
            quota.pause(seconds, "a test")

        async def run() -> None:
            in_flight = asyncio.Semaphore(scene.places)
            quota = quota_of(scene.limits, places=in_flight)
            with anyio.move_on_after(150):
                async with anyio.create_task_group() as tasks:
                    for _ in range(scene.workers):
                        tasks.start_soon(work, quota)
                    for after_s, seconds in scene.pauses:
                        tasks.start_soon(pause, quota, after_s, seconds)
            assert in_flight._value == scene.places
            assert quota.sent == len(log.granted_at)

        in_virtual_time(run, scene.late_s)
        assert log.granted_at == sorted(log.granted_at)
        assert_never_more(log.granted_at, scene.limits.per_second, 1.0)
        assert_never_more(log.granted_at, scene.limits.per_minute, 60.0)
        assert log.most_under_way <= scene.places
        assert not [at for at in log.granted_at for start, end in held if start < at < end]

    @settings(max_examples=40)
    @given(quotas, st.sampled_from([0.0, 0.001, 0.004]))
    @example(Limits(per_minute=1), 0.0)
    @example(Limits(per_second=1), 0.0)
    @example(Limits(per_minute=2), 0.0)
    @example(Limits(per_second=100), 0.001)
    @example(Limits(per_second=1000), 0.004)
    def test_nearly_all_of_the_quota_is_used(self, some: Limits, late_s: float) -> None:
        """With enough to do, at least 95 % of what the tighter limit allows, also when timers are a little late."""
        allowed = min((some.per_second or 10**9) * 60, some.per_minute or 10**9)
        requests = min(2_000, max(50, allowed))
        log = Log()

        async def run() -> None:
            quota = quota_of(some, places=64)
            async with anyio.create_task_group() as tasks:
                for _ in range(requests):
                    tasks.start_soon(log.ask, quota, 0.01)

        in_virtual_time(run, late_s)
        assert len(log.granted_at) == requests
        assert (requests - 1) / (log.granted_at[-1] - log.granted_at[0]) * 60 >= 0.95 * allowed

    @pytest.mark.parametrize(
        ("some", "spacing_s"),
        [
            (Limits(), 0.0),
            (Limits(per_day=5), 0.0),
            (Limits(per_second=10), 0.1 / 0.99),
            (Limits(per_minute=600), 0.1 / 0.99),
            (Limits(per_second=10, per_minute=60), 1 / 0.99),
            (Limits(per_second=1, per_minute=6000), 1 / 0.99),
        ],
    )
    async def test_permits_are_spaced_evenly(self, some: Limits, spacing_s: float) -> None:
        """By the tighter limit, from the first permit on, without a burst."""
        quota, log = quota_of(some), Log()
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(log.ask, quota)
        assert some.spacing_s == pytest.approx(spacing_s)
        assert log.granted_at == pytest.approx([n * spacing_s for n in range(5)], abs=LATE_S)

    async def test_a_rest_earns_no_burst(self) -> None:
        """After an hour of nothing, permits are spaced as before."""
        quota, log = quota_of(Limits(per_second=10)), Log()
        await log.ask(quota)
        await anyio.sleep(3_600)
        for _ in range(3):
            await log.ask(quota)
        assert log.granted_at[1:] == pytest.approx([3_600 + n / 9.9 for n in range(3)], abs=LATE_S)

    async def test_spacing_counts_from_the_permit_that_was_given(self) -> None:
        """One that came late because no place was free holds back the next one too."""
        quota, log = quota_of(Limits(per_second=1), places=1), Log()
        async with anyio.create_task_group() as tasks:
            for answer_s in (1.5, 0.0, 0.0):
                tasks.start_soon(log.ask, quota, answer_s)
        assert log.granted_at == pytest.approx([0.0, 1.5, 1.5 + 1 / 0.99], abs=LATE_S)


class TestTurns:
    """Who goes when."""

    async def test_first_come_first_served(self) -> None:
        """In the order of asking."""
        quota, log = quota_of(Limits(per_second=5), places=2), Log()
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(log.ask, quota, 0.7, number)
        assert log.names == list(range(20))

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
        assert log.granted_at == pytest.approx([n / 0.99 for n in range(5)], abs=LATE_S)
        assert quota.sent == 5

    async def test_a_waiter_cancelled_before_a_free_place_leaves_it(self) -> None:
        """Also when the place becomes free in the same moment."""
        places = asyncio.Semaphore(1)
        quota, log = quota_of(places=places), Log()
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
        assert places._value == 1

    async def test_a_request_that_fails_gives_its_place_back(self) -> None:
        """An error inside of the permit passes through."""
        places = asyncio.Semaphore(1)
        quota = quota_of(places=places)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with quota.permit():
                    raise ZeroDivisionError
        assert (places._value, quota.sent) == (1, 3)


class TestAppsTogether:
    """Places in flight are shared, nothing else is."""

    async def test_all_apps_together_keep_to_the_places(self) -> None:
        """Never more requests under way than places, and each app gets on."""
        places, log = asyncio.Semaphore(3), Log()
        quotas = [quota_of(app=app, places=places) for app in (APP, OTHER)]
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(log.ask, quotas[number % 2], 1.0, number % 2)
        assert log.most_under_way == 3
        assert max(log.granted_at) == pytest.approx(13.0)
        assert 8 <= sum(map(bool, log.names[:20])) <= 12

    async def test_a_paused_app_holds_no_place(self) -> None:
        """With a single place, another app goes on while one waits five minutes."""
        places, log = asyncio.Semaphore(1), Log()
        paused, other = quota_of(places=places), quota_of(app=OTHER, places=places)
        paused.pause(300, "a test")
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(log.ask, paused, 0.1, APP)
                tasks.start_soon(log.ask, other, 0.1, OTHER)
        assert log.names == [OTHER] * 5 + [APP] * 5
        assert log.granted_at[4] == pytest.approx(0.4)
        assert log.granted_at[5] == pytest.approx(300)

    async def test_a_slow_app_holds_no_place_while_it_waits_for_its_permit(self) -> None:
        """With a single place, an app of one request a minute does not slow another one."""
        places, log = asyncio.Semaphore(1), Log()
        slow, fast = quota_of(Limits(per_minute=1), places=places), quota_of(app=OTHER, places=places)
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
        places, log = asyncio.Semaphore(1), Log()
        paused, other = quota_of(places=places), quota_of(app=OTHER, places=places)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, other, 5.0, OTHER)
            await anyio.sleep(1)
            tasks.start_soon(log.ask, paused, 0.0, APP)
            await anyio.sleep(1)
            paused.pause(60, "a test")
            tasks.start_soon(log.ask, other, 0.0, OTHER)
        assert log.names == [OTHER, OTHER, APP]
        assert log.granted_at == pytest.approx([0, 5, 62])


class TestPause:
    """The whole app waits."""

    async def test_it_holds_everyone(self) -> None:
        """Those who wait for their spacing already, and those who come later."""
        quota, log = quota_of(Limits(per_second=1)), Log()
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(log.ask, quota)
            await anyio.sleep(0.5)
            quota.pause(60, "a test")
            tasks.start_soon(log.ask, quota)
        assert log.granted_at == pytest.approx([0.0, *(60.5 + n / 0.99 for n in range(3))], abs=LATE_S)

    async def test_requests_under_way_finish(self) -> None:
        """A pause touches only permits."""
        quota, log = quota_of(), Log()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 2.0)
            await anyio.sleep(1)
            quota.pause(60, "a test")
            await anyio.sleep(1.5)
            assert (log.under_way, log.granted_at) == (0, [0.0])

    async def test_the_longer_of_two_pauses_counts(self, caplog: pytest.LogCaptureFixture) -> None:
        """A shorter one neither ends it nor is spoken of."""
        quota, log = quota_of(), Log()
        quota.pause(60, "long")
        quota.pause(1, "short")
        await log.ask(quota)
        assert log.granted_at == pytest.approx([60])
        assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
            "app main waits 60 s: long"
        ]

    async def test_a_pause_can_grow_while_it_is_waited_for(self) -> None:
        """Those who wait for its first end wait for the second one too."""
        quota, log = quota_of(), Log()
        quota.pause(10, "a test")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota)
            await anyio.sleep(5)
            quota.pause(10, "a test")
        assert log.granted_at == pytest.approx([15])


class TestMinuteLimit:
    """Code 11017: 60 s, then 300 s."""

    async def hits(self, quota: Quota, *rests_s: float) -> list[float]:
        """How long the app pauses after each of several hits, with a rest before each."""
        pauses = []
        for rest_s in rests_s:
            await anyio.sleep(rest_s)
            async with quota.permit() as at:
                quota.minute_limit_hit(at, "a test")
            began = anyio.current_time()
            async with quota.permit():
                pauses.append(anyio.current_time() - began)
        return pauses

    @pytest.mark.parametrize(
        ("rests_s", "pauses_s"),
        [
            ([0], [60]),
            ([0, 0], [60, 300]),
            ([0, 0, 0, 899], [60, 300, 300, 300]),
            ([0, 899], [60, 300]),
            ([0, 901], [60, 60]),
            ([0, 0, 901, 0], [60, 300, 60, 300]),
        ],
    )
    async def test_the_first_pause_is_short_the_next_ones_long(
        self, rests_s: list[float], pauses_s: list[float]
    ) -> None:
        """Until a quarter of an hour has passed without another."""
        assert await self.hits(quota_of(), *rests_s) == pytest.approx(pauses_s)

    async def test_many_at_once_count_once(self) -> None:
        """All requests that were under way when the pause began say the same thing."""
        quota, log = quota_of(places=32), Log()
        permits = []
        for _ in range(32):
            async with quota.permit() as at:
                permits.append(at)
            await anyio.sleep(0.01)
        for at in permits:
            quota.minute_limit_hit(at, "a test")
            await anyio.sleep(0.5)
        await log.ask(quota)
        assert log.granted_at == pytest.approx([0.32 + 60])

    async def test_all_in_one_moment_count_once(self) -> None:
        """Also when permit, answer and pause share one reading of the clock."""
        quota, log = quota_of(), Log()
        quota.minute_limit_hit(0.0, "a test")
        quota.minute_limit_hit(0.0, "a test")
        await log.ask(quota)
        assert log.granted_at == pytest.approx([60])

    async def test_a_late_answer_tells_nothing_new(self) -> None:
        """Not even after the pause, when requests of later permits are under way."""
        quota, log = quota_of(), Log()
        quota.minute_limit_hit(0.0, "a test")
        await log.ask(quota)
        quota.minute_limit_hit(0.0, "a test: the answer took more than a minute")
        await log.ask(quota)
        assert log.granted_at == pytest.approx([60, 60])

    async def test_another_pause_does_not_hide_it(self) -> None:
        """A request from before a pause of a second may still be the first to hit the minute's limit."""
        quota, log = quota_of(), Log()
        await anyio.sleep(1)
        quota.pause(1, "code 11016")
        quota.minute_limit_hit(0.9, "code 11017")
        await log.ask(quota)
        assert log.granted_at == pytest.approx([61])

    async def test_the_first_request_after_the_pause_can_hit_again(self) -> None:
        """It was permitted in the very moment of the pause's end."""
        quota, log = quota_of(), Log()
        quota.minute_limit_hit(0.0, "a test")
        async with quota.permit() as at:
            assert at == pytest.approx(60)
        quota.minute_limit_hit(at, "a test")
        await log.ask(quota)
        assert log.granted_at == pytest.approx([360])


class TestSpent:
    """Nothing more may be sent."""

    @pytest.mark.parametrize(("used_today", "left"), [(0, 5), (3, 2), (5, 0), (9, 0)])
    async def test_the_days_quota_counts_earlier_runs(self, used_today: int, left: int) -> None:
        """What is used up is named with its app and its size."""
        quota, log = quota_of(Limits(per_day=5), used_today=used_today), Log()
        for _ in range(left):
            await log.ask(quota)
        for _ in range(2):
            with pytest.raises(QuotaSpent, match="app main: its quota of 5 requests a day is used up"):
                await log.ask(quota)
        assert quota.sent == left

    async def test_many_waiters_do_not_overdraw_the_day(self) -> None:
        """Each of them learns it, and every place is given back."""
        places = asyncio.Semaphore(4)
        quota, log = quota_of(Limits(per_day=7, per_second=10), places=places), Log()
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
        assert (quota.sent, spent, places._value) == (7, 13, 4)

    @pytest.mark.parametrize("most", [0, 1, 7])
    async def test_the_runs_budget_is_shared_by_all_apps(self, most: int) -> None:
        """Not one request more, however many wait."""
        budget, places, log = Budget(requests_left=most), asyncio.Semaphore(3), Log()
        quotas = [quota_of(app=app, places=places, budget=budget) for app in (APP, OTHER)]
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
        assert (budget.requests_left, places._value) == (0, 3)

    async def test_the_runs_time_ends_it(self) -> None:
        """From the deadline on, nothing is sent."""
        quota, log = quota_of(Limits(per_second=1), budget=Budget(deadline=3.5)), Log()
        for _ in range(4):
            await log.ask(quota)
        with pytest.raises(QuotaSpent, match="--max-duration"):
            await log.ask(quota)
        assert log.granted_at == pytest.approx([n / 0.99 for n in range(4)], abs=LATE_S)
        assert anyio.current_time() < 3.5

    @pytest.mark.parametrize("hold", ["pause", "spacing"])
    async def test_nobody_waits_for_a_permit_that_would_come_too_late(self, hold: str) -> None:
        """A wait beyond the deadline ends at once."""
        quota, log = quota_of(Limits(per_minute=1), budget=Budget(deadline=50.0)), Log()
        if hold == "pause":
            quota.pause(60, "a test")
        else:
            await log.ask(quota)
        with pytest.raises(QuotaSpent, match="--max-duration"):
            await log.ask(quota)
        assert anyio.current_time() == 0

    async def test_the_deadline_also_ends_the_wait_for_a_place(self) -> None:
        """A place that becomes free too late is given back."""
        places = asyncio.Semaphore(1)
        quota, log = quota_of(places=places, budget=Budget(deadline=5.0)), Log()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 10.0)
            await anyio.sleep(1)
            with pytest.raises(QuotaSpent, match="--max-duration"):
                await log.ask(quota)
        assert places._value == 1

    async def test_a_closed_app_sends_nothing_more(self) -> None:
        """Those who wait learn it too, and why; another app goes on."""
        places = asyncio.Semaphore(1)
        quota, other, log = quota_of(places=places), quota_of(app=OTHER, places=places), Log()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 2.0)
            await anyio.sleep(1)
            quota.close("code 11018")
            with pytest.raises(QuotaSpent, match="app main: code 11018"):
                await log.ask(quota)
        with pytest.raises(QuotaSpent, match="app main: code 11018"):
            await log.ask(quota)
        await log.ask(other)
        assert (quota.sent, other.sent, places._value) == (1, 1, 1)

    async def test_closing_reaches_those_who_wait(self) -> None:
        """Behind a place that becomes free, and behind a pause that ends."""
        places = asyncio.Semaphore(1)
        quota, log = quota_of(places=places), Log()
        spent: list[float] = []

        async def ask() -> None:
            with pytest.raises(QuotaSpent):
                await log.ask(quota)
            spent.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.ask, quota, 2.0)
            await anyio.sleep(1)
            for _ in range(3):
                tasks.start_soon(ask)
            await anyio.sleep(0.5)
            quota.close("code 11018")
        assert spent == pytest.approx([2.0] * 3)
        assert places._value == 1

"""The client, its quotas and its traffic as a whole, against a simulated API: hours and days on the virtual clock."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from random import Random
from typing import Any, Final

import anyio
import pytest

from harvester.api.envelope import Response
from harvester.api.quota import Limits
from harvester.errors import AttemptError, QuotaSpent, SliceFault
from harvester.sandbox.stats import busiest
from harvester.sandbox.switches import Alignment, Switches
from harvester.usage import HEARTBEAT_S, Sending
from tests.api.helpers import NOW_S, refused
from tests.api.sim import Answer, Crew, SimulatedApi, simulate

DAY_S: Final = 86_400.0
A_MINUTE: Final = Limits(per_minute=1_000)
OF_A_MINUTE: Final = Switches(requests_per_minute=1_000, next_penalty_s=300.0)
BEFORE_S: Final = -100.0
"""A neighbour that begins then was there long before the run."""
NOBODY: Final = AttemptError("nobody is there", unreachable=True)
LOST: Final = AttemptError("no answer within 30 s")
alignments = pytest.mark.parametrize("alignment", Alignment)


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a simulation."""

    api: SimulatedApi
    crew: Crew
    ended_at: float

    @property
    def refused(self) -> int:
        """How many requests were beyond a quota of the second or minute."""
        return self.api.count(11016) + self.api.count(11017)

    def used(self, start: float, end: float, per_minute: float) -> float:
        """Good answers in a time, as a share of so many a minute and app."""
        allowed = per_minute * (end - start) / 60 * len(self.crew.quotas)
        return self.api.answered_between(start, end) / allowed


def play(switches: Switches, limits: Sequence[Limits], seconds: float, **how: Any) -> Played:
    """Lets workers of as many apps ask for so long.

    Args:
        switches: Of the API.
        limits: Of each app.
        seconds: How long.
        how: What else the API is like, or (`workers`, `patience_s`) its crew.
    """
    played: list[Played] = []
    crew_has = {name: how.pop(name) for name in ("workers", "patience_s") if name in how}

    async def run() -> None:
        api = SimulatedApi(switches, **how)
        crew = Crew(api, limits, **crew_has)
        await crew.work(seconds)
        played.append(Played(api, crew, anyio.current_time()))

    simulate(run)
    assert played[0].crew.traffic._places._taken == 0
    return played[0]


def during(start: float, end: float, answer: Answer) -> Callable[[int, float], Answer | None]:
    """This answer to everything in a time."""
    return lambda _, now: answer if start <= now < end else None


def by_chance(share: float, answer: Answer, seed: int = 3) -> Callable[[int, float], Answer | None]:
    """This answer to a share of the requests."""
    luck = Random(seed)  # noqa: S311 - a test's chance
    return lambda _number, _now: answer if luck.random() < share else None


def pauses_in(times: Sequence[float]) -> list[list[float]]:
    """Refusals, grouped by the pauses that they began: those of one moment belong together."""
    groups: list[list[float]] = []
    for at in sorted(times):
        if groups and at - groups[-1][0] < 5:
            groups[-1].append(at)
        else:
            groups.append([at])
    return groups


class TestAlone:
    """Never more than the quota in any window, as the server counts them, and nearly all of it."""

    @alignments
    @pytest.mark.parametrize("apps", [1, 3])
    def test_twenty_a_second(self, alignment: Alignment, apps: int) -> None:
        """On a steady network."""
        switches = Switches(requests_per_second=20, alignment=alignment)
        played = play(switches, [Limits(per_second=20)] * apps, 40, jitter=0.0)
        assert played.api.worst(1) <= 20
        assert played.used(1, 40, 20 * 60) >= 0.98
        assert (played.refused, played.crew.ends) == (0, [])

    @alignments
    @pytest.mark.parametrize("apps", [1, 3])
    def test_a_thousand_a_minute(self, alignment: Alignment, apps: int) -> None:
        """On one that is not."""
        switches = Switches(requests_per_minute=1_000, alignment=alignment)
        played = play(switches, [A_MINUTE] * apps, 125, jitter=0.8)
        assert played.api.worst(60) <= 1_000
        assert played.used(1, 125, 1_000) >= 0.98
        assert (played.refused, played.crew.ends) == (0, [])

    @alignments
    def test_what_is_not_configured_is_learned(self, alignment: Alignment) -> None:
        """Within five percent, without a refusal, though one request in fifty is lost."""
        switches = Switches(requests_per_minute=1_000, alignment=alignment)
        played = play(switches, [Limits()], 240, trouble=by_chance(0.02, LOST))
        (quota,) = played.crew.quotas.values()
        assert 950 <= (quota.learned_per_minute or 0) <= 1_000
        assert played.api.worst(60) <= 1_000
        assert played.used(120, 240, 1_000) >= 0.92
        assert played.refused == 0

    @pytest.mark.parametrize("figures", [None, "0%,0%", "100%,100%", "100%,1%", "chance"])
    def test_no_figure_stops_it(self, figures: str | None) -> None:
        """Missing, stuck or made up: six requests a minute at least, no window too full, and no slice fails."""
        luck = Random(5)  # noqa: S311 - a test's chance

        def lie(_: float) -> str | None:
            return f"{luck.randrange(101)}%,{luck.randrange(101)}%" if figures == "chance" else figures

        switches = Switches(requests_per_minute=100)
        played = play(switches, [Limits(per_minute=100)], 1_800, lie=lie, workers=8)
        assert played.api.worst(60) <= 100
        assert played.crew.fetched >= 6 * 29
        answered = [0.0, *played.api.times(0), 1_800.0]
        assert max(later - at for at, later in pairwise(answered)) <= 15
        assert played.crew.ends == []


class TestNeighbour:
    """Another program under the same app."""

    @alignments
    @pytest.mark.parametrize(("theirs", "seconds", "used"), [(200, 200, 0.9), (500, 300, 0.9), (800, 600, 0.75)])
    def test_one_from_the_start_is_left_what_it_uses(
        self, alignment: Alignment, theirs: int, seconds: float, used: float
    ) -> None:
        """Not one request is refused, theirs included, and most of the rest is used."""
        switches = Switches(
            requests_per_minute=1_000, alignment=alignment, neighbour_per_minute=theirs, neighbour_from_s=BEFORE_S
        )
        played = play(switches, [A_MINUTE], seconds)
        assert played.refused == 0
        assert played.used(60, seconds, 1_000 - theirs) >= used
        assert played.api.worst(60) <= 1_000

    @alignments
    def test_three_apps_with_a_neighbour_each(self, alignment: Alignment) -> None:
        """The same for all of them."""
        switches = Switches(
            requests_per_minute=300, alignment=alignment, neighbour_per_minute=150, neighbour_from_s=BEFORE_S
        )
        played = play(switches, [Limits(per_minute=300)] * 3, 240)
        assert played.refused == 0
        assert played.used(60, 240, 150) >= 0.85
        assert played.api.worst(60) <= 300

    @alignments
    @pytest.mark.parametrize("theirs", [200, 500, 800])
    def test_a_newcomer_on_a_full_quota_costs_one_pause_at_most(self, alignment: Alignment, theirs: int) -> None:
        """Then it is known."""
        switches = Switches(
            requests_per_minute=500,
            alignment=alignment,
            neighbour_per_minute=theirs // 2,
            neighbour_from_s=100.0,
            next_penalty_s=300.0,
        )
        played = play(switches, [Limits(per_minute=500)], 600)
        assert len(pauses_in(played.api.times(11017))) <= 1
        assert played.refused <= 32
        assert played.used(300, 600, 500 - theirs // 2) >= (0.85 if theirs < 800 else 0.6)

    @alignments
    @pytest.mark.parametrize("theirs", [200, 800])
    def test_when_it_leaves_all_is_used_again(self, alignment: Alignment, theirs: int) -> None:
        """Some three minutes later."""
        switches = Switches(
            requests_per_minute=500,
            alignment=alignment,
            neighbour_per_minute=theirs // 2,
            neighbour_from_s=BEFORE_S,
            neighbour_until_s=150.0,
        )
        played = play(switches, [Limits(per_minute=500)], 450)
        assert played.refused == 0
        assert played.used(350, 450, 500) >= 0.97

    @alignments
    @pytest.mark.parametrize("theirs", [2, 6])
    def test_a_little_one_costs_a_pause_now_and_then(self, alignment: Alignment, theirs: int) -> None:
        """What is too little to be seen is found by being refused, and then left alone for long."""
        switches = Switches(
            requests_per_minute=100,
            alignment=alignment,
            neighbour_per_minute=theirs,
            neighbour_from_s=BEFORE_S,
            next_penalty_s=300.0,
        )
        played = play(switches, [Limits(per_minute=100)], 2_400, workers=4)
        assert len(pauses_in(played.api.times(11017))) <= 3
        assert played.used(0, 2_400, 100 - theirs) >= 0.85

    @alignments
    def test_a_quota_that_is_set_too_high_is_found_out(self, alignment: Alignment) -> None:
        """It looks like a neighbour."""
        switches = Switches(requests_per_minute=300, alignment=alignment, next_penalty_s=300.0)
        played = play(switches, [Limits(per_minute=500)], 600)
        assert len(pauses_in(played.api.times(11017))) <= 1
        assert played.used(300, 600, 300) >= 0.85


class TestPenalties:
    """What the API says is obeyed."""

    def test_a_minute_then_five_and_one_knock_a_pause(self) -> None:
        """At most one request a pause arrives while the app is barred, besides those that were in flight."""
        switches = Switches(requests_per_minute=300, penalty_s=60.0, next_penalty_s=300.0, quota_header=False)
        played = play(switches, [Limits(per_minute=600)], 1_500)
        groups = pauses_in(played.api.times(11017))
        gaps = [later[0] - group[-1] for group, later in pairwise(groups)]
        assert 60 <= gaps[0] < 130
        assert all(gap >= 300 for gap in gaps[1:])
        assert all(len(group) <= 16 for group in groups)
        assert played.crew.ends == []

    def test_a_bar_of_five_minutes_from_the_first(self) -> None:
        """The request that knocks after a minute is refused alone."""
        switches = Switches(requests_per_minute=300, penalty_s=300.0, quota_header=False)
        played = play(switches, [Limits(per_minute=600)], 420)
        groups = pauses_in(played.api.times(11017))
        assert [len(group) for group in groups[1:]] == [1]
        assert groups[1][0] - groups[0][0] == pytest.approx(60, abs=2)
        after = [at for at in played.api.times(0) if at > groups[1][0]]
        assert min(after) - groups[1][0] == pytest.approx(300, abs=2)

    @pytest.mark.parametrize("workers", [1, 8, 32])
    def test_a_minute_of_11016_fails_no_slice(self, workers: int) -> None:
        """Though each call is refused again and again; afterwards permits are further apart for a while."""
        storm = during(60, 120, refused(11016))
        played = play(Switches(), [Limits(per_second=20)], 180, workers=workers, trouble=storm)
        assert played.crew.ends == []
        assert len(played.api.times(-1)) <= 60 / 1.3 * 7
        assert played.used(130, 180, 20 * 60) >= 0.8 * min(1, workers * 1 / 0.3 / 20)

    @pytest.mark.parametrize("wish", [{}, {"Retry_After": "1"}, {"Retry_After": "30"}])
    def test_ten_minutes_of_429_fail_no_slice(self, wish: dict[str, str]) -> None:
        """One request knocks at a time."""
        storm = during(60, 660, refused(11019, **wish))
        played = play(Switches(), [Limits(per_second=5)], 1_060, workers=8, trouble=storm)
        assert played.crew.ends == []
        assert played.used(1_000, 1_060, 5 * 60) >= 0.95
        barred = [at for at in played.api.times(-1) if at > 65]
        assert min(later - at for at, later in pairwise(barred)) >= 1


class TestOutage:
    """The API is away."""

    @pytest.mark.parametrize("away", [NOBODY, LOST, refused(51001), Response(502, {}, b"<html>")])
    def test_twenty_minutes_cost_only_probes(self, away: Answer) -> None:
        """After those that were in flight, one at a time, 2, 4, … 60 s apart; no slice fails, and all goes on."""
        played = play(Switches(), [Limits(per_minute=300)], 1_500, trouble=during(100, 1_300, away))
        failed = played.api.times(-1)
        waits = [later - at for at, later in pairwise(failed)]
        waits = [wait for wait in waits if wait > 1.5]
        assert len(failed) - len(waits) <= 16
        assert waits[:5] == pytest.approx([2.3, 4.3, 8.3, 16.3, 32.3], abs=0.3)
        assert all(60 <= wait <= 61 for wait in waits[5:])
        assert len(waits) == 5 + 18
        assert played.crew.ends == []
        assert played.used(1_370, 1_500, 300) >= 0.95
        assert len(played.crew.traffic.notes) == 1

    @pytest.mark.parametrize("away", [NOBODY, LOST])
    def test_one_that_is_too_long_ends_the_run_for_all(self, away: Answer) -> None:
        """Promptly, in one moment, as something to go on with tomorrow."""
        limits = [Limits(per_minute=300), Limits(per_second=3)]
        played = play(Switches(), limits, 10_000, trouble=during(100, inf, away))
        assert {type(end) for end in played.crew.ends} == {QuotaSpent}
        assert len(played.crew.ends) == 64
        assert 100 + 1_800 <= played.ended_at <= 100 + 1_800 + 62
        assert len([at for at in played.api.times(-1) if at > 105]) <= 36

    def test_without_patience_it_is_waited_for(self) -> None:
        """For a day, if need be."""
        played = play(
            Switches(), [Limits(per_minute=60)], DAY_S + 300, trouble=during(10, DAY_S, NOBODY), patience_s=None
        )
        assert played.crew.ends == []
        assert played.used(DAY_S + 70, DAY_S + 300, 60) >= 0.95


class TestTrouble:
    """An API that is not well is not asked for more."""

    def test_one_that_becomes_a_hundred_times_slower_has_fewer_requests_in_flight(self) -> None:
        """Two of thirty-two within minutes; when it is well, all may go again."""
        in_flight: list[int] = []

        async def run() -> None:
            api = SimulatedApi(Switches())
            crew = Crew(api, [Limits(per_second=20)])

            async def change() -> None:
                await anyio.sleep(30)
                api.latency_s = 30.0
                for _ in range(15):
                    await anyio.sleep(60)
                    in_flight.append(api.in_flight)
                api.latency_s = 0.3

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(change)
                await crew.work(30 + 15 * 60 + 90)
            assert crew.ends == []
            assert crew.traffic._crowd.allowed == api.most_in_flight == 32

        simulate(run)
        assert in_flight[2:] == [2] * 13

    @pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
    def test_retries_are_bounded(self, share: float) -> None:
        """A reserve of fifty, a quarter of the answers, one a second: no storm on top of its troubles."""
        played = play(Switches(), [Limits(per_minute=1_200)], 180, trouble=by_chance(share, LOST))
        requests = len(played.api.codes)
        first = played.crew.fetched + len(played.crew.ends) + 32
        assert requests <= first + 50 + 0.25 * played.api.count(0) + 180
        assert all(isinstance(end, SliceFault) for end in played.crew.ends)

    def test_ten_percent_of_faults_cost_ten_percent(self) -> None:
        """All that is asked for is answered, and as many requests are in flight as before."""
        played = play(Switches(), [Limits(per_minute=600)], 300, trouble=by_chance(0.1, refused(51001)))
        assert played.crew.ends == []
        assert played.used(10, 300, 600) >= 0.87
        assert played.crew.traffic._crowd.allowed == 32


class TestRuns:
    """One run after the other, killed or not."""

    @pytest.mark.parametrize(
        ("limits", "length_s", "most"), [(Limits(per_second=20), 1.0, 20), (Limits(per_minute=300), 60.0, 300)]
    )
    @pytest.mark.parametrize("after_s", [0.0, 0.03, 7.0])
    def test_a_restart_shows_in_no_window(self, limits: Limits, length_s: float, most: int, after_s: float) -> None:
        """The next run goes on as if it were the same one."""
        worst: list[int] = []

        async def run() -> None:
            api = SimulatedApi(Switches(), jitter=0.0)
            earlier = None
            for _ in range(3):
                crew = Crew(api, [limits], earlier=earlier)
                await crew.work(70 if length_s == 60 else 5)
                (quota,) = crew.quotas.values()
                last_at = NOW_S + anyio.current_time()
                earlier = Sending(last_at=last_at, spacing_s=quota.spacing_s)
                await anyio.sleep(after_s)
            worst.append(api.worst(length_s))
            assert api.count(0) >= 3 * 0.9 * (70 if length_s == 60 else 5) * most / length_s

        simulate(run)
        assert worst[0] <= most

    def test_a_days_quota_holds_over_all_of_them(self) -> None:
        """Two days of runs at odd hours, one of them killed: never more in any 24 hours, and nearly all is used."""
        limits = Limits(per_minute=60, per_day=1_000)
        counted: list[float] = []
        ends = Counter[str]()

        async def run() -> None:
            api = SimulatedApi(Switches(requests_per_day=1_000), jitter=0.5)
            last_at, spacing_s = None, 0.0
            for begins_h, seconds, killed in [
                (1, 300, False), (3, 200, True), (3.1, 2_000, False), (9, 400, False), (20, 3_600, False),
                (24.5, 200, True), (25, 7_200, False), (26.5, 3_000, False), (30, 9_000, False), (47, 9_000, False),
            ]:  # fmt: skip
                await anyio.sleep_until(max(anyio.current_time(), begins_h * 3_600))
                sent = sorted(at for times in api.arrivals.values() for at in times)
                by_minute = Counter(int(NOW_S + at) // 60 for at in sent)
                crew = Crew(
                    api, [limits], earlier=Sending(by_minute=by_minute, last_at=last_at, spacing_s=spacing_s), workers=4
                )
                await crew.work(seconds)
                ends.update(str(end).split(";")[0] for end in crew.ends)
                last_at = NOW_S + anyio.current_time() + (2 * HEARTBEAT_S if killed else 0)
                spacing_s = limits.spacing_s
            assert api.count(11018) == 0
            counted.extend(at for times in api.arrivals.values() for at in times)

        simulate(run)
        assert busiest(sorted(counted), DAY_S) <= 1_000
        assert len(counted) >= 1_990
        assert set(ends) == {"app app0: its quota of 1,000 requests a day is used up"}

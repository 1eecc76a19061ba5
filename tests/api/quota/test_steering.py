from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.api.quota import Figure, Permit
from harvester.api.quota.own import Own
from harvester.api.quota.steering import Steering
from tests.api.quota.minute import Minute, Scene, evenly

BEFORE_S: Final = -100.0
"""A neighbour that begins then was there long before the app."""
LATE_S: Final = 200.0
"""A neighbour that is gone for so long is forgotten."""


def scene(
    quota: int,
    *,
    fixed: bool = False,
    begins: float = 17.0,
    latency_s: float = 0.3,
    share: float = 0.0,
    from_s: float = BEFORE_S,
    until_s: float = 1e4,
    configured: bool = True,
    seed: int = 0,
) -> Scene:
    """An app under a configured quota, beside a neighbour of this share."""
    luck = Random(seed)  # noqa: S311 - a test's chance
    return Scene(
        minute=Minute(quota=quota, fixed=fixed, begins=begins),
        steering=Steering(quota if configured else None),
        neighbour=evenly(share * quota, from_s, until_s) if share else (),
        up_s=lambda _: luck.random() * latency_s,
        down_s=lambda _: luck.random() * latency_s,
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """A quota, and how its server and the network are."""

    quota: int
    fixed: bool
    begins: float
    latency_s: float

    @property
    def how(self) -> dict[str, Any]:
        """All but the quota."""
        return {"fixed": self.fixed, "begins": self.begins, "latency_s": self.latency_s}


settings_of_a_minute = st.builds(
    Setting,
    quota=st.sampled_from([20, 100, 300, 1_000]),
    fixed=st.booleans(),
    begins=st.floats(0, 60),
    latency_s=st.sampled_from([0.05, 0.3, 1.0]),
)


class TestSituations:
    """What is thought of others, and what comes of it."""

    @pytest.mark.parametrize("quota", [300, 1_000, 6_000])
    @pytest.mark.parametrize("fixed", [False, True])
    def test_alone_the_whole_quota_is_used(self, quota: int, *, fixed: bool) -> None:
        """Nobody else is seen, and nothing is refused."""
        one = scene(quota, fixed=fixed)
        one.obey(0, 400)
        assert set(one.others_between(0, 400)) == {0.0}
        assert one.own.lost == 0
        assert one.sent_between(60, 360) >= 0.98 * 5 * quota

    @pytest.mark.parametrize("quota", [300, 1_000])
    @pytest.mark.parametrize("fixed", [False, True])
    @pytest.mark.parametrize(("share", "used"), [(0.1, 0.9), (0.2, 0.9), (0.5, 0.9), (0.8, 0.65)])
    def test_a_neighbour_from_the_start_is_left_what_it_uses(
        self, quota: int, share: float, used: float, *, fixed: bool
    ) -> None:
        """Nothing is refused, and most of the rest is used."""
        one = scene(quota, fixed=fixed, share=share)
        one.obey(0, 600)
        others = one.others_between(120, 600)
        assert share - 0.06 <= min(others) <= max(others) <= share + 0.08
        assert one.own.lost == 0
        assert one.sent_between(120, 600) >= used * (1 - share) * 8 * quota

    @pytest.mark.parametrize("fixed", [False, True])
    @pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
    def test_a_newcomer_is_seen_within_a_minute(self, share: float, *, fixed: bool) -> None:
        """By an app that does not use up its quota; half of it already in half a minute."""
        one = scene(1_000, fixed=fixed, share=share, from_s=200)
        one.send(evenly(400, 0, 600))
        assert set(one.others_between(0, 200)) == {0.0}
        assert min(one.others_between(230, 600)) >= share / 2
        assert min(one.others_between(261, 600)) >= share - 0.08
        assert max(one.others_between(0, 600)) <= share + 0.1

    @settings(max_examples=40)
    @given(settings_of_a_minute, st.sampled_from([0.05, 0.2, 0.5, 0.8, 1.0]), st.sampled_from([BEFORE_S, 0.0, 37.0]))
    def test_a_neighbour_that_left_is_forgotten(self, some: Setting, share: float, from_s: float) -> None:
        """Three minutes and a bit later the whole quota is ours again."""
        one = scene(some.quota, **some.how, share=share, from_s=from_s, until_s=130)
        one.obey(0, 130 + LATE_S + 60)
        assert set(one.others_between(130 + LATE_S, 1e9)) == {0.0}
        assert one.sent_between(130 + LATE_S, 130 + LATE_S + 60) >= 0.97 * some.quota - 2  # at either end

    @pytest.mark.parametrize("fixed", [False, True])
    def test_it_is_forgotten_too_when_answers_take_long(self, *, fixed: bool) -> None:
        """Eight seconds each."""
        one = scene(300, fixed=fixed, latency_s=8.0, share=0.8, until_s=130)
        one.obey(0, 500)
        assert set(one.others_between(130 + 300, 500)) == {0.0}

    @settings(max_examples=60)
    @given(settings_of_a_minute, st.integers(0, 9), st.floats(0.1, 1.0))
    def test_nobody_is_seen_where_nobody_is(self, some: Setting, seed: int, pace: float) -> None:
        """However unevenly we send ourselves, and however late the answers are."""
        one = scene(some.quota, **some.how, seed=seed)
        luck = Random(seed)  # noqa: S311 - a test's chance
        one.send(sorted(200 * luck.random() for _ in range(int(3 * pace * some.quota))))
        assert set(one.others_between(0, 1e9)) <= {0.0}

    def test_a_quota_that_is_set_too_high_looks_like_a_neighbour(self) -> None:
        """The share that is not there is left alone, and nothing is refused."""
        one = scene(500)
        one.steering = Steering(1_000)
        one.obey(0, 600)
        assert one.own.lost == 0
        assert one.sent_between(120, 600) >= 0.85 * 8 * 500

    def test_an_unset_quota_is_learned_and_used(self) -> None:
        """Though this scene begins with one request a second."""
        one = scene(1_000, configured=False)
        one.obey(0, 400)
        assert one.steering.learned is not None
        assert 900 <= one.steering.learned <= 1_000
        assert one.steering.quota == one.steering.learned
        assert one.sent_between(300, 400) >= 0.9 * 1_000 * 100 / 60


class TestPace:
    """How many requests a minute are this run's."""

    def test_nothing_is_known(self) -> None:
        """Then nothing is said."""
        assert Steering(None).pace(Own(), 0.0, 0) is None
        assert Steering(None).quota is None

    @pytest.mark.parametrize(("reserve", "share"), [(0.0, 0.99), (0.04, 0.95), (0.12, 0.87)])
    def test_nobody_else_is_seen(self, reserve: float, share: float) -> None:
        """All but a hundredth, and what refusals have taught to leave alone."""
        assert Steering(1_000).pace(Own(), 0.0, reserve) == pytest.approx(1_000 * share)
        assert Steering(None, 500).pace(Own(), 0.0, reserve) == pytest.approx(500 * share)
        assert Steering(1_000, 500).quota == 1_000

    @pytest.mark.parametrize(
        ("others", "reserve", "share"),
        [
            (0.01, 0.0, 0.97),
            (0.03, 0.0, 0.95),
            (0.5, 0.0, 0.48),
            (0.5, 0.12, 0.36),
            (0.97, 0.0, 0.02),
            (1.0, 0.1, 0.02),
        ],
    )
    def test_what_others_leave_less_a_guard(self, others: float, reserve: float, share: float) -> None:
        """A fiftieth, and the reserve; and never nothing: a trickle shows when they are gone."""
        steering = Steering(1_000)
        steering.others = others
        assert steering.share(reserve) == pytest.approx(share)
        steering._watched_since = 0.0
        assert steering.pace(Own(), 60.0, reserve) == pytest.approx(1_000 * share)

    @pytest.mark.parametrize(("left", "pace"), [(3, 480), (2, 320), (1, 160), (0, 48), (100, 480)])
    def test_it_brakes_when_the_minute_nears_its_end(self, left: int, pace: float) -> None:
        """When less than three percent are left while others use the app."""
        steering = Steering(1_000)
        steering.others, steering.figure = 0.5, Figure(100, left)
        assert steering.pace(Own(), 60.0, 0) == pytest.approx(pace)

    def test_what_was_sent_too_much_is_made_good(self) -> None:
        """Within a quarter of a minute or so."""
        steering, own = Steering(1_000), Own()
        for number in range(600):
            own.send(number / 10)
        steering.others = 0.5
        pace = steering.pace(own, 60.0, 0)
        assert pace == 6
        later = steering.pace(own, 67.0, 0)
        assert later is not None
        assert pace < later < 480

    @settings(max_examples=80)
    @given(st.integers(1, 5_000), st.lists(st.tuples(st.integers(0, 100), st.floats(0, 200)), max_size=40))
    def test_it_has_bounds_whatever_the_figures_say(self, quota: int, figures: list[tuple[int, float]]) -> None:
        """Never more than the quota, and six a minute at least."""
        steering, own, now = Steering(quota), Own(), 0.0
        for left, gap_s in figures:
            own.send(now)
            now += gap_s
            own.counted += 1
            steering.observe(Figure(left, left), own, Permit(now - gap_s, own.counted - 1), now)
            pace = steering.pace(own, now, 0)
            assert pace is not None
            assert min(6, 0.99 * quota) <= pace <= 0.99 * quota
            assert 0 <= steering.others <= 1


Lie = Callable[[float], Figure]


class TestLies:
    """Figures that mean something else than is documented."""

    @pytest.mark.parametrize("day", [0, 100])
    @pytest.mark.parametrize("minute", [50, 100])
    def test_figures_that_never_change_cost_little(self, minute: int, day: int) -> None:
        """They look like an app that nobody uses, or like somebody else's steady use."""
        one = scene(1_000)
        one.lie = lambda _: Figure(day, minute)
        one.obey(0, 900)
        assert one.sent_between(300, 900) >= 0.95 * 10 * 1_000

    def test_a_minute_that_is_always_used_up_is_not_believed(self) -> None:
        """Not for longer than a few minutes, while the API answers everything."""
        one = scene(1_000)
        one.lie = lambda _: Figure(100, 0)
        one.obey(0, 1_200)
        assert one.sent_between(600, 1_200) >= 0.95 * 10 * 1_000

    @pytest.mark.parametrize("seed", range(3))
    def test_chance_leaves_more_than_a_trickle(self, seed: int) -> None:
        """Six requests a minute of a thousand, and more."""
        luck = Random(seed)  # noqa: S311 - a test's chance
        one = scene(1_000)
        one.lie = lambda _: Figure(luck.randrange(101), luck.randrange(101))
        one.obey(0, 3_600)
        assert one.sent_between(0, 3_600) >= 360

    def test_after_a_lie_the_truth_is_believed(self) -> None:
        """Three minutes later the whole quota is used again."""
        luck = Random(1)  # noqa: S311 - a test's chance
        one = scene(1_000)
        one.lie = lambda at: Figure(100, luck.randrange(101)) if at < 300 else one.minute.figure(at)
        one.obey(0, 900)
        assert one.sent_between(600, 900) >= 0.97 * 5 * 1_000

    @pytest.mark.parametrize("configured", [True, False])
    def test_figures_that_leap_to_and_fro_are_not_heeded(self, *, configured: bool) -> None:
        """Nothing is learned from them, and nobody is seen in them: a minute ends once a minute."""
        steering, own = Steering(600 if configured else None), Own()
        for number in range(40):
            now = float(number)
            permit = Permit(now, own.counted)
            own.send(now)
            own.counted += 1
            steering.observe(Figure(100, 100 * (number % 2)), own, permit, now + 0.1)
        assert steering.is_nonsense
        assert (steering.others, steering.learned) == (0.0, None)
        assert steering.pace(own, 41.0, 0.0) == (pytest.approx(594) if configured else None)

    def test_what_an_earlier_run_sent_is_nobody_elses(self) -> None:
        """A run that begins right after another one finds the minute used up by itself."""
        steering, own = Steering(1_000), Own()
        own.remember(-20.0, 700)
        for number in range(60):
            now = number / 4
            permit = Permit(now, own.counted)
            own.send(now)
            own.counted += 1
            steering.observe(Figure(100, 100 - (700 + number) // 10 - 1), own, permit, now + 0.1)
        assert steering.others == 0.0


class TestOrder:
    """Answers overtake one another."""

    def test_a_figure_that_may_be_older_is_left_out(self) -> None:
        """Only a request that was permitted after the last one was answered is surely later."""
        steering, own = Steering(1_000), Own()
        for permit_at, now, left in [(0.0, 1.0, 90), (0.5, 1.1, 10), (0.99, 5.0, 11), (1.0, 1.2, 80)]:
            own.send(permit_at)
            steering.observe(Figure(100, left), own, Permit(permit_at), now)
        assert steering.figure == Figure(100, 80)


class TestDay:
    """The first figure is the day's."""

    @pytest.mark.parametrize(
        ("days", "expected"),
        [([], False), ([0, 0, 0], False), ([1], False), ([50, 0], True), ([0, 50, 0], True), ([50, 0, 100], False)],
    )
    def test_a_day_that_is_about_to_end(self, days: list[int], *, expected: bool) -> None:
        """Less than a percent is left; a figure that was never anything but zero is not believed."""
        steering, own = Steering(None), Own()
        for number, day in enumerate(days):
            own.send(float(number))
            steering.observe(Figure(day, 100), own, Permit(float(number), number), number + 0.5)
        assert steering.day_is_ending is expected

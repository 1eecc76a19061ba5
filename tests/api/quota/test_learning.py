from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.api.quota.figures import Sample
from harvester.api.quota.learning import Learning
from harvester.api.quota.own import Own
from harvester.api.quota.steering import Steering
from tests.api.quota.minute import Minute, Scene, evenly

Phase = tuple[float, float]
"""Seconds, and requests a minute as a share of the quota."""


def learn(*samples: tuple[int, int, int], steady_s: float = 0.0, earlier: int = 0) -> Learning:
    """What is known after samples of `used`, `counted` and `sent`, the first of a minute, all sent in its last 60 s."""
    learning, own = Learning(earlier), Own()
    for number, (used, counted, sent) in enumerate(samples):
        at = 100.0 + number
        while own.sent < sent:
            own.send(at)
        own.counted = counted + 1  # its own answer
        sample = Sample(at=at, used=used, counted=counted, lost=0, sent=sent)
        learning.observe(sample, own, at, steady_s=steady_s if number else 0.0)
    return learning


class TestWhatIsShown:
    """From two figures, or from one that is steady."""

    @pytest.mark.parametrize(
        ("samples", "steady_s", "shown"),
        [
            ([], 1.0, 0),
            ([(50, 500, 501)], 0.0, 0),
            ([(0, 0, 1), (4, 40, 41)], 1.0, 0),
            ([(0, 0, 1), (5, 50, 51)], 1.0, 700),
            ([(0, 0, 1), (50, 500, 501)], 1.0, 959),
            ([(0, 0, 1), (50, 250, 251)], 1.0, 478),
            ([(40, 0, 1), (50, 100, 101)], 1.0, 200),
            ([(50, 500, 501), (1, 500, 502), (50, 990, 991)], 1.0, 956),
            ([(50, 500, 501), (50, 500, 501)], 61.0, 0),
            ([(50, 500, 501), (50, 500, 501)], 62.1, 961),
            ([(4, 40, 41), (4, 40, 41)], 62.1, 0),
            ([(0, 0, 1), (50, 500, 501), (60, 500, 501)], 1.0, 959),
        ],
    )
    def test_the_table(self, samples: Sequence[tuple[int, int, int]], steady_s: float, shown: int) -> None:
        """Own requests divided by what they used up, the smaller of two sums; what was shown once stays."""
        learning = learn(*samples, steady_s=steady_s)
        assert learning.shown == shown

    @pytest.mark.parametrize(
        ("samples", "expected"),
        [
            ([], False),
            ([(0, 0, 1)], False),
            ([(0, 0, 1), (4, 10, 41)], False),
            ([(0, 0, 1), (5, 10, 51)], True),
            ([(0, 0, 1), (5, 10, 51), (6, 59, 61)], True),
            ([(0, 0, 1), (5, 10, 51), (6, 60, 61)], False),
        ],
    )
    def test_a_quota_that_is_there_is_measured_by_a_request_that_goes_alone(
        self, samples: Sequence[tuple[int, int, int]], *, expected: bool
    ) -> None:
        """Once five percents are used up, until one has come back before the next is sent."""
        assert learn(*samples, steady_s=1.0).must_measure is expected

    @pytest.mark.parametrize(("sent", "shown"), [(2_000, 900), (1_000, 900), (500, 900), (499, 1_000), (1, 1_000)])
    def test_a_refusal_shows_that_it_is_less(self, sent: int, shown: int) -> None:
        """A tenth less, if this run sent a good part of it in that minute; and never more again."""
        learning = learn(earlier=1_000)
        learning.struck(sent, 100.0, 1)
        assert learning.shown == shown
        own = Own()
        learning.observe(Sample(at=100.0, used=0, counted=0, lost=0, sent=0), own, 100.0, steady_s=0.0)
        learning.observe(Sample(at=101.0, used=10, counted=9_999, lost=0, sent=9_999), own, 101.0, steady_s=1.0)
        assert (learning.shown == 900) is (shown == 900)

    def test_it_never_becomes_nothing(self) -> None:
        """However often it is refused."""
        learning = learn(earlier=10)
        for _ in range(100):
            learning.struck(10, 0.0, 1)
        assert learning.shown == 1

    def test_what_an_earlier_run_learned_is_where_this_one_begins(self) -> None:
        """A better figure takes its place."""
        assert learn(earlier=700).shown == 700
        assert not learn((0, 0, 1), (20, 10, 300), earlier=700, steady_s=1.0).must_measure
        assert learn((0, 0, 1), (50, 500, 501), earlier=700, steady_s=1.0).shown == 959


class TestFelt:
    """A quota that no figure tells of."""

    def test_the_first_refusal_may_be_a_neighbours(self) -> None:
        """Then nothing is said, nor when next to nothing was sent."""
        learning = learn()
        learning.struck(1_000, 0.0, 1)
        learning.struck(4, 60.0, 2)
        assert (learning.shown, learning.quota_at(60.0)) == (0, 0)

    @pytest.mark.parametrize("figures", [[], [(0, 0, 1)], [(4, 40, 41), (4, 80, 81)]])
    def test_it_begins_below_what_was_sent_and_grows(self, figures: list[tuple[int, int, int]]) -> None:
        """A hundredth a minute, up to twice as much; more slowly after each further refusal."""
        learning = learn(*figures)
        learning.struck(1_000, 0.0, 2)
        assert [learning.quota_at(60.0 * minutes) for minutes in (0, 1, 10, 100, 1_000)] == [900, 909, 990, 1800, 1800]
        learning.struck(980, 600.0, 3)
        assert [learning.quota_at(600.0 + 60 * minutes) for minutes in (0, 30)] == [882, 970]

    def test_figures_that_tell_take_its_place(self) -> None:
        """Then nothing is felt for any more."""
        learning = learn()
        learning.struck(1_000, 0.0, 2)
        own = Own()
        for number in range(501):
            own.send(100.0 + number / 100)
        own.counted = 501
        learning.observe(Sample(at=100.0, used=0, counted=0, lost=0, sent=1), own, 100.0, steady_s=0.0)
        assert learning.quota_at(600.0) == 990
        learning.observe(Sample(at=105.0, used=50, counted=500, lost=0, sent=501), own, 105.0, steady_s=5.0)
        assert learning.quota_at(700.0) == learning.shown == 959


def schedule(phases: Sequence[Phase], quota: int, start: float, most_s: float = 240.0) -> list[float]:
    """Requests at the paces of the phases, one after the other."""
    times, at = list[float](), start
    for seconds, share in phases:
        if share and at < most_s:
            times += evenly(share * quota, at, min(at + seconds, most_s))
        at += seconds
    return times


paces = st.tuples(st.sampled_from([5.0, 20.0, 60.0, 120.0]), st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.9, 3.0]))
phases = st.lists(paces, min_size=1, max_size=6)
bursts = st.lists(st.tuples(st.floats(0, 200), st.floats(0, 0.6)), max_size=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Who sends how much of a quota, and how long answers take."""

    quota: int
    ours: list[Phase]
    theirs: list[Phase]
    latency_s: float
    seed: int


traffics = st.builds(
    Traffic,
    quota=st.sampled_from([20, 100, 300, 1000]),
    ours=phases,
    theirs=phases,
    latency_s=st.sampled_from([0.05, 0.3, 1.5, 8.0]),
    seed=st.integers(0, 59),
)


class TestHonestFigures:
    """A server that counts one minute or the other, and anybody beside us."""

    @settings(max_examples=100)
    @given(traffics, bursts)
    def test_of_a_sliding_minute_never_more_is_shown_than_there_is(self, some: Traffic, sudden: list[Phase]) -> None:
        """Whoever sends how much and when, in whatever order the answers come."""
        assert shown(Minute(quota=some.quota), some, sudden) <= some.quota

    @settings(max_examples=100)
    @given(traffics)
    def test_of_a_fixed_minute_hardly_more_is_shown(self, some: Traffic) -> None:
        """Never more, unless the figures hide where the minute begins anew; then a quarter at most."""
        assert shown(Minute(quota=some.quota, fixed=True, begins=some.seed), some) <= 1.25 * some.quota

    @pytest.mark.parametrize("quota", [100, 1_000, 5_000])
    @pytest.mark.parametrize("fixed", [False, True])
    @pytest.mark.parametrize("begins", [20.0, 50.0])
    def test_alone_it_is_learned_within_five_percent(self, quota: int, begins: float, *, fixed: bool) -> None:
        """By an app that uses about all of it for two minutes."""
        minute = Minute(quota=quota, fixed=fixed, begins=begins)
        found = shown(minute, Traffic(quota=quota, ours=[(130.0, 0.97)], theirs=[], latency_s=0.01, seed=0))
        assert 0.95 * quota <= found <= quota

    @pytest.mark.parametrize("lost", [0.02, 0.3])
    def test_requests_without_an_answer_are_no_harm(self, lost: float) -> None:
        """They may have been counted, and may not."""
        luck = Random(1)  # noqa: S311 - a test's chance
        scene = Scene(minute=Minute(quota=1_000), steering=Steering(None), is_lost=lambda _: luck.random() < lost)
        scene.obey(0, 600)
        assert scene.steering.shown <= 1_000
        assert scene.steering.shown >= (1 - lost) * 950


def shown(minute: Minute, some: Traffic, sudden: Sequence[Phase] = ()) -> int:
    """The most that was shown of a server's quota; a neighbour may also send in bursts."""
    luck = Random(some.seed)  # noqa: S311 - a test's chance
    neighbour = schedule(some.theirs, minute.quota, 0.0)
    for at, share in sudden:
        neighbour += [at + luck.random() / 2 for _ in range(int(share * minute.quota))]
    scene = Scene(
        minute=minute,
        steering=Steering(None),
        neighbour=sorted(neighbour),
        up_s=lambda _: luck.random() * some.latency_s / 2,
        down_s=lambda _: luck.random() * some.latency_s / 2,
    )
    scene.send(schedule(some.ours, minute.quota, 10 * luck.random()))
    return max((one.shown for one in scene.seen), default=0)

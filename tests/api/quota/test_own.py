from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.quota.own import Own

MOMENT_S = 0.25
"""How fine the counts are."""


def own_of(times: Sequence[float]) -> Own:
    """What was sent at these loop times."""
    own = Own()
    for at in times:
        own.send(at)
    return own


starts = st.sampled_from([0.0, 0.1, 59.99, 1e4, 3e6]) | st.floats(0, 1e6)
gaps = st.lists(st.sampled_from([0.0, 0.001, 0.25, 1.0, 7.0, 61.0, 500.0]) | st.floats(0, 3), max_size=150)


def times_of(start: float, gaps_s: Sequence[float]) -> list[float]:
    """When requests were sent."""
    times, at = [], start
    for gap_s in gaps_s:
        at += gap_s
        times.append(at)
    return times


class TestCounts:
    """Never too few, and up to a moment's too many."""

    @settings(max_examples=200)
    @given(starts, gaps, st.floats(0, 5), st.floats(0, 62))
    @example(0.0, [0.25] * 150, 0.0, 60.0)
    @example(0.0, [0.001] * 150, 0.0, 0.0)
    def test_they_hold_against_an_exact_log(
        self, start: float, gaps_s: list[float], later_s: float, ago_s: float
    ) -> None:
        """Since a moment of the last minute, and up to it."""
        times = times_of(start, gaps_s)
        own = own_of(times)
        moment = (times[-1] if times else start) + later_s - ago_s
        assert own.sent == len(times)
        since = own.sent_since(moment)
        assert sum(at >= moment for at in times) <= since <= sum(at > moment - MOMENT_S for at in times)
        by = own.not_lost_by(moment)
        assert sum(at <= moment for at in times) <= by <= sum(at < moment + MOMENT_S for at in times)

    @settings(max_examples=200)
    @given(starts, st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=1, max_size=100), st.floats(0, 62))
    def test_those_that_are_lost_are_left_out(self, start: float, some: list[tuple[float, bool]], ago_s: float) -> None:
        """If nothing was sent between the moment and their end, at the latest; all others are in."""
        own, at, sent_at, lost_at = Own(), start, list[float](), list[float]()
        for gap_s, is_lost in some:
            at += gap_s
            if is_lost and own.under_way:
                own.lost += 1
                lost_at.append(at)
            else:
                own.send(at)
                sent_at.append(at)
        assert own.under_way == len(sent_at) - len(lost_at)
        moment = at - ago_s
        next_at = min((one for one in sent_at if one > moment), default=inf)
        sent, lost = sum(one <= moment for one in sent_at), sum(one <= next_at for one in lost_at)
        assert sent - lost <= own.not_lost_by(moment)
        assert own.not_lost_by(moment) <= sum(one < moment + MOMENT_S for one in sent_at) - sum(
            one < moment - MOMENT_S for one in lost_at
        )

    @settings(max_examples=30)
    @given(st.integers(1, 40), st.floats(0, 62))
    def test_they_hold_after_hours(self, per_second: int, ago_s: float) -> None:
        """What is older than a minute is forgotten, and missed nowhere."""
        times = [number / per_second for number in range(200 * per_second)]
        own, moment = own_of(times), times[-1] - ago_s
        assert sum(at >= moment for at in times) <= own.sent_since(moment) <= sum(at > moment - 0.25 for at in times)
        assert len(own._moments) <= 512

    def test_nothing_was_sent(self) -> None:
        """Zero is zero."""
        own = Own()
        assert (own.sent, own.sent_since(5.0), own.not_lost_by(5.0), own.freed_at(5, 100.0)) == (0, 0, 0, -inf)


class TestEarlierRuns:
    """What they sent counts as sent, and as nothing else."""

    def test_they_are_in_the_last_minute_but_not_in_this_run(self) -> None:
        """Nobody knows whether they were counted."""
        own = Own()
        own.remember(50.0, 30)
        own.remember(90.0, 20)
        own.send(100.0)
        assert (own.sent, own.under_way) == (1, 1)
        assert [own.sent_since(at) for at in (40.0, 60.0, 95.0, 101.0)] == [51, 21, 1, 0]
        assert [own.not_lost_by(at) for at in (40.0, 60.0, 95.0, 100.0)] == [0, 0, 0, 1]
        assert own.freed_at(30, 100.0) == pytest.approx(110.25)


class TestFreed:
    """When the last minute holds fewer than so many."""

    @settings(max_examples=200)
    @given(starts, gaps, st.integers(1, 20), st.floats(0, 70))
    def test_it_is_the_first_moment_of_that(self, start: float, gaps_s: list[float], most: int, later_s: float) -> None:
        """From then on there are fewer, whatever the moments; not so a moment before."""
        times = times_of(start, gaps_s)
        own, now = own_of(times), (times[-1] if times else start) + later_s
        at = own.freed_at(most, now)
        if at == -inf:
            assert sum(one >= now - 60 for one in times) < most
            return
        assert now - 60 <= at - 60 <= now + MOMENT_S
        assert sum(one >= at - 60 for one in times) < most
        assert sum(one >= at - 60 - MOMENT_S for one in times) >= most

    @pytest.mark.parametrize("most", [0, -1])
    def test_less_than_nothing_is_never_free(self, most: int) -> None:
        """A minute after the last one at the earliest: a quota of one leaves room for nothing more."""
        assert own_of([10.0]).freed_at(most, 20.0) >= 70
        assert Own().freed_at(most, 20.0) >= 80

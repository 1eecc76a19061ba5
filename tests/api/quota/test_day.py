from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import floor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.decisions import GO, Go, Over, Wait
from harvester.api.quota.day import DAY_S, PATIENCE_S, Day
from harvester.sandbox.stats import busiest
from tests.api.helpers import NOW_S

MINUTE = floor(NOW_S / 60)
LOOP_S = 1_000.0
"""The loop time at `NOW_S`."""


def by_minute(times: Sequence[float]) -> dict[int, int]:
    """What the ledger remembers of requests at these Unix times."""
    return dict(Counter(floor(at / 60) for at in times))


@dataclass
class Life:
    """A day's quota in use, beside an exact log.

    Attributes:
        per_day: The quota.
        before: What an earlier run sent, real Unix time, ascending.
        behind_s: How far the wall clock was set back so far.
    """

    per_day: int
    before: Sequence[float] = ()
    real_s: float = NOW_S
    behind_s: float = 0.0
    sent: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sent = [at for at in self.before if at > NOW_S - DAY_S]
        self.day = Day(self.per_day, by_minute(self.before), NOW_S)

    @property
    def wall(self) -> float:
        """What the machine's clock says."""
        return self.real_s - self.behind_s

    def ask(self) -> None:
        """Sends if the day allows it; otherwise the reason has to be a good one."""
        decision = self.day.decide(self.wall, LOOP_S, "main")
        if isinstance(decision, Go):
            self.day.take(self.wall)
            self.sent.append(self.real_s)
        else:
            recent = [at for at in self.sent if at > self.real_s - DAY_S - 60 - self.behind_s]
            assert len(recent) >= self.per_day


times_before = st.lists(st.floats(-DAY_S - 3600, 0).map(lambda ago: NOW_S + ago), max_size=30).map(sorted)
steps = st.lists(
    st.sampled_from([0.0, 1.0, 59.0, 60.0, 3_599.0, 20_000.0, 86_399.0, 86_460.0]) | st.floats(0, 90_000), max_size=80
)


class TestAnyDay:
    """Never more than the quota in any 24 hours."""

    @settings(max_examples=200)
    @given(st.integers(1, 12), times_before, steps)
    @example(3, [], [0.0, 0.0, 0.0, 86_399.0, 60.0, 60.0, 0.0, 0.0, 0.0])
    def test_no_24_hours_hold_more_than_the_quota(
        self, per_day: int, before: list[float], steps_s: list[float]
    ) -> None:
        """Wherever they begin, an earlier run's requests included; and nothing is held back for longer than needed."""
        life = Life(per_day, before[-per_day:])
        for step_s in steps_s:
            life.real_s += step_s
            life.ask()
        assert busiest(life.sent, DAY_S) <= per_day

    @settings(max_examples=100)
    @given(st.integers(1, 6), steps, st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, 61.0, 3_600.0, 86_400.0])))
    @example(2, [0.0, 0.0, 80_000.0, 80_000.0, 0.0], [0.0, 0.0, 86_400.0])
    def test_a_wall_clock_that_is_set_back_frees_nothing(
        self, per_day: int, steps_s: list[float], back_s: list[float]
    ) -> None:
        """Not in any 24 real hours are there more than the quota, however often it happens."""
        life = Life(per_day)
        for number, step_s in enumerate(steps_s):
            life.real_s += step_s
            life.behind_s += back_s[number] if number < len(back_s) else 0.0
            life.ask()
        assert busiest(life.sent, DAY_S) <= per_day

    @given(st.integers(1, 12), times_before, st.floats(0, 90_000))
    def test_what_is_counted_is_a_minute_too_old_at_most(
        self, per_day: int, before: list[float], later_s: float
    ) -> None:
        """Every request of the last 24 hours counts, none that is a day and a minute old does."""
        used = Day(per_day, by_minute(before), NOW_S).used(NOW_S + later_s)
        surely = sum(at > NOW_S + later_s - DAY_S for at in before)
        at_most = sum(at > NOW_S + later_s - DAY_S - 60 for at in before)
        assert surely <= used <= at_most

    @given(st.integers(1, 12), times_before, st.floats(0, 90_000))
    def test_a_wait_ends_exactly_when_a_request_is_free(
        self, per_day: int, before: list[float], later_s: float
    ) -> None:
        """Not a moment before its end, and then indeed."""
        day, wall = Day(per_day, by_minute(before), NOW_S), NOW_S + later_s
        decision = day.decide(wall, LOOP_S, "main")
        if isinstance(decision, Wait):
            away_s = decision.until - LOOP_S
            assert 0 < away_s <= PATIENCE_S
            assert isinstance(day.decide(wall + away_s - 0.01, LOOP_S, "main"), Wait)
            assert day.decide(wall + away_s + 0.000_01, LOOP_S, "main") == GO


class TestWhatIsTold:
    """How long the app waits, and when it does not."""

    def test_no_quota_no_limit(self) -> None:
        """Any number of requests may go; they are counted all the same."""
        day = Day(None, {MINUTE: 1_000_000}, NOW_S)
        for _ in range(10):
            assert day.decide(NOW_S, LOOP_S, "main") == GO
            day.take(NOW_S)
        assert day.used(NOW_S) == 1_000_010

    @pytest.mark.parametrize(
        ("free_in_s", "expected"),
        [
            (60, Wait(LOOP_S + 60, "day quota of app main")),
            (3_600, Wait(LOOP_S + 3_600, "day quota of app main")),
            (
                3_660,
                Over(
                    "app main: its quota of 1,000 requests a day is used up; requests are free again in 1 h 1 min",
                ),
            ),
            (
                86_400,
                Over(
                    "app main: its quota of 1,000 requests a day is used up; requests are free again in 24 h 0 min",
                ),
            ),
        ],
    )
    def test_an_hour_is_waited_for(self, free_in_s: int, expected: Wait | Over) -> None:
        """Not a minute more: then the app's day is over, and it is said when it is not any more."""
        minute = (free_in_s - int(DAY_S)) // 60 - 1
        day = Day(1_000, {MINUTE + minute: 1_000}, NOW_S)
        assert day.decide(NOW_S, LOOP_S, "main") == expected

    def test_as_many_have_to_be_free_as_the_quota_was_overdrawn_by(self) -> None:
        """After the quota was lowered, requests of several minutes have to be a day old."""
        day = Day(2, {MINUTE - 1439: 1, MINUTE - 1437: 1, MINUTE - 1430: 1, MINUTE - 1410: 5}, NOW_S)
        decision = day.decide(NOW_S, LOOP_S, "main")
        assert isinstance(decision, Wait)
        assert decision.until == LOOP_S + 31 * 60

    def test_minutes_to_come_count_as_this_one(self) -> None:
        """An earlier run's clock was wrong: in a day they are free all the same."""
        day = Day(10, {MINUTE + 500_000: 4, MINUTE: 2, MINUTE - 5: 3}, NOW_S)
        assert day.used(NOW_S) == 9
        assert day.used(NOW_S + DAY_S + 59) == 6
        assert day.used(NOW_S + DAY_S + 60) == 0

    def test_a_quota_of_nothing_ends_the_day(self) -> None:
        """Nothing was sent, and nothing may be."""
        assert Day(0, {}, NOW_S).decide(NOW_S, LOOP_S, "main") == Over(
            "app main: its quota of 0 requests a day is used up; requests are free again in 24 h 0 min"
        )

    def test_a_day_of_requests_costs_a_number_a_minute(self) -> None:
        """However many requests there are."""
        day = Day(10**9, {}, NOW_S)
        for second in range(0, 100_000, 4):
            day.take(NOW_S + second)
            day.used(NOW_S + second)
        assert len(day._minutes) <= 1_442

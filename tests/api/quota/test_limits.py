from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.quota import Limits
from harvester.api.quota.limits import sent_lately, still_to_wait_s
from harvester.sandbox.stats import busiest
from harvester.usage import HEARTBEAT_S, Sending
from tests.api.helpers import NOW_S

limits = st.builds(Limits, per_second=st.none() | st.integers(1, 60), per_minute=st.none() | st.integers(1, 3000))


class TestSpacing:
    """How far apart permits are."""

    @pytest.mark.parametrize(
        ("some", "spacing_s"),
        [
            (Limits(), 0.0),
            (Limits(per_day=5), 0.0),
            (Limits(per_second=10), 0.1 / 0.985),
            (Limits(per_second=1), 1 / 0.985),
            (Limits(per_minute=600), 0.1 / 0.99),
            (Limits(per_minute=1), 60 / 0.99),
            (Limits(per_second=10, per_minute=60), 1 / 0.99),
            (Limits(per_second=1, per_minute=6000), 1 / 0.985),
            (Limits(per_second=20, per_minute=1200), 0.05 / 0.985),
        ],
    )
    def test_the_tighter_limit_counts(self, some: Limits, spacing_s: float) -> None:
        """A second's or a minute's, with a little to spare; no limit, no spacing."""
        assert some.spacing_s == pytest.approx(spacing_s)

    @given(limits, st.floats(0, 100_000))
    def test_evenly_spaced_permits_keep_every_window(self, some: Limits, start: float) -> None:
        """Wherever it begins, no second and no minute holds more than the quota, and hardly less."""
        if not some.spacing_s:
            return
        times = [start + number * some.spacing_s for number in range(floor(180 / some.spacing_s) + 2)]
        for most, length_s, share in ((some.per_second, 1.0, 0.97), (some.per_minute, 60.0, 0.98)):
            assert most is None or busiest(times, length_s) <= most
            if most is not None and some.spacing_s < 1.02 * length_s / most:
                assert busiest(times, length_s) >= floor(share * most)


@dataclass(frozen=True, kw_only=True)
class Restart:
    """A run that ended, and the next one.

    Attributes:
        first: The quota of the run before.
        second: The quota of this one.
        requests: Of the run before; the last one went out at time 0.
        known_after_s: How much later the ledger thinks that it went out.
        killed: Whether the ledger had to assume that it went on sending.
        after_s: When the next run begins.
        bunched_s: Without a limit: in how much time the run before sent everything.
    """

    first: Limits
    second: Limits
    requests: int = 200
    known_after_s: float = 0.0
    killed: bool = False
    after_s: float = 0.0
    bunched_s: float = 5.0

    @property
    def before(self) -> Sequence[float]:
        """When the run before sent."""
        spacing_s = self.first.spacing_s or self.bunched_s / self.requests
        return [NOW_S - number * spacing_s for number in reversed(range(self.requests))]

    @property
    def earlier(self) -> Sending:
        """What the ledger knows of it."""
        last_at = NOW_S + (2 * HEARTBEAT_S if self.killed else self.known_after_s)
        return Sending(last_at=last_at, spacing_s=self.first.spacing_s)

    @property
    def waited_s(self) -> float:
        """How long the next run waits for its first permit."""
        return still_to_wait_s(self.second.spacing_s, self.earlier, NOW_S + self.after_s)


restarts = st.builds(
    Restart,
    first=limits,
    second=limits,
    requests=st.integers(1, 400),
    known_after_s=st.floats(0, 10),
    killed=st.booleans(),
    after_s=st.floats(0, 200),
    bunched_s=st.floats(0.001, 30),
)
PER_MINUTE = Limits(per_minute=1000)


class TestRunsTogether:
    """The first permit of a run, and what the run before sent."""

    @settings(max_examples=150)
    @given(restarts)
    @example(Restart(first=PER_MINUTE, second=PER_MINUTE))
    @example(Restart(first=Limits(per_second=20), second=Limits(per_second=20), killed=True))
    @example(Restart(first=Limits(per_second=20), second=Limits(per_minute=10)))
    @example(Restart(first=Limits(per_minute=10), second=Limits(per_second=20)))
    @example(Restart(first=Limits(), second=Limits(per_minute=1)))
    def test_no_window_holds_more_than_the_quota_now(self, restart: Restart) -> None:
        """Whenever the next run begins, killed or not, and whether the quota was lowered, raised, or is new."""
        second = restart.second
        if not second.spacing_s:
            assert restart.waited_s == 0
            return
        begins = NOW_S + restart.after_s + restart.waited_s
        times = [begins + number * second.spacing_s for number in range(floor(70 / second.spacing_s) + 2)]
        for most, length_s in ((second.per_second, 1.0), (second.per_minute, 60.0)):
            within = [at for at in restart.before if at > begins - length_s]  # in no window of its own alone
            assert most is None or busiest([*within, *times], length_s) <= most

    @given(restarts)
    def test_the_wait_is_bounded(self, restart: Restart) -> None:
        """A minute, or the spacing where that is more; where permits were as far apart, no more than the spacing."""
        spacing_s = restart.second.spacing_s
        assert 0 <= restart.waited_s <= (max(60.0, spacing_s) if spacing_s else 0)
        if restart.first.spacing_s >= spacing_s:
            assert restart.waited_s <= spacing_s

    @pytest.mark.parametrize(
        ("earlier", "wall_s", "expected_s"),
        [
            (Sending(), 0.0, 0.0),
            (Sending(last_at=NOW_S, spacing_s=0.1), 0.0, 0.1),
            (Sending(last_at=NOW_S, spacing_s=0.1), 0.04, 0.06),
            (Sending(last_at=NOW_S, spacing_s=0.1), 0.1, 0.0),
            (Sending(last_at=NOW_S, spacing_s=0.1 - 1e-12), 0.0, 0.1),
            (Sending(last_at=NOW_S, spacing_s=5.0), 0.0, 0.1),
            (Sending(last_at=NOW_S, spacing_s=0.09), 0.0, 60.0),
            (Sending(last_at=NOW_S, spacing_s=0.0), 20.0, 40.0),
            (Sending(last_at=NOW_S, spacing_s=0.0), 61.0, 0.0),
            (Sending(last_at=NOW_S + 20, spacing_s=0.1), 0.0, 0.1),
            (Sending(last_at=NOW_S + 20, spacing_s=0.0), 0.0, 60.0),
            (Sending(last_at=NOW_S, spacing_s=0.0), -86_400.0, 60.0),
            (Sending(last_at=NOW_S, spacing_s=0.1), -86_400.0, 0.1),
        ],
    )
    def test_how_long_it_waits(self, earlier: Sending, wall_s: float, expected_s: float) -> None:
        """The spacing, if the run before kept it, else a minute; a clock that is set back adds nothing."""
        assert still_to_wait_s(0.1, earlier, NOW_S + wall_s) == pytest.approx(expected_s, abs=1e-6)

    def test_a_minute_is_not_enough_for_one_request_in_two_minutes(self) -> None:
        """The spacing counts where it is longer."""
        assert still_to_wait_s(120.0, Sending(last_at=NOW_S), NOW_S + 30) == pytest.approx(90.0)


class TestSentLately:
    """What the run before sent is no neighbour's."""

    @pytest.mark.parametrize(
        ("by_minute", "last_ago_s", "wall_s", "expected"),
        [
            ({}, None, 30.0, []),
            ({0: 5}, None, 30.0, [(0.0, 5)]),
            ({0: 5}, 10.0, 30.0, [(10.0, 5)]),
            ({-1: 7, 0: 5}, 10.0, 30.0, [(30.0, 7), (10.0, 5)]),
            ({-2: 9, -1: 7, 0: 5}, 10.0, 30.0, [(30.0, 7), (10.0, 5)]),
            ({-1: 7}, 30.0, 30.0, [(30.0, 7)]),
            ({-1: 7}, 50.0, 30.0, [(50.0, 7)]),
            ({-1: 7}, -20.0, 30.0, [(30.0, 7)]),
            ({0: 5}, -20.0, 30.0, [(0.0, 5)]),
        ],
    )
    def test_how_long_ago_at_the_latest(
        self, by_minute: dict[int, int], last_ago_s: float | None, wall_s: float, expected: list[tuple[float, int]]
    ) -> None:
        """At the end of each minute, or with the last request; never later than now."""
        now, minute = NOW_S + wall_s, int(NOW_S) // 60
        earlier = Sending(
            by_minute={minute + number: many for number, many in by_minute.items()},
            last_at=None if last_ago_s is None else now - last_ago_s,
        )
        assert sent_lately(earlier, now) == expected

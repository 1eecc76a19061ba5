from dataclasses import dataclass, field
from enum import Enum
from math import inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.decisions import GO, Decision, Go, Over, Wait
from harvester.api.quota import pauses as pausing
from harvester.api.quota.pauses import Knock, Limit, Pauses, Refused

APP = "main"
PATIENCE_S = 1800.0
KNOCKS = (Limit.MINUTE, Limit.OTHER)


def struck(*limits: Limit, wish_s: float | None = None, after_s: float = 0.0) -> tuple[Pauses, float]:
    """The pauses after refusals, each of a request that went out so long after the end of the pause before.

    Returns:
        The pauses, and the loop time of the last refusal.
    """
    pauses, now = Pauses(), 100.0
    for limit in limits:
        now = max(now, pauses.until) + after_s
        pauses = pausing.refused(pauses, Refused(limit=limit, permit_at=now, retry_after_s=wish_s), now)
    return pauses, now


def decide(pauses: Pauses, now: float, patience_s: float | None = PATIENCE_S) -> Decision:
    """For the app of these tests."""
    return pausing.decide(pauses, now, APP, patience_s)


class TestHowLong:
    """Every limit, the first time and again, with and without a wish of the API's own."""

    @pytest.mark.parametrize(
        ("limit", "wish_s", "pauses_s"),
        [
            (Limit.SECOND, None, [1, 1, 1, 1]),
            (Limit.SECOND, 0.0, [1, 1, 1, 1]),
            (Limit.SECOND, 0.5, [1, 1, 1, 1]),
            (Limit.SECOND, 7.0, [7, 7, 7, 7]),
            (Limit.SECOND, 9_999.0, [300, 300, 300, 300]),
            (Limit.MINUTE, None, [60, 300, 300, 300]),
            (Limit.MINUTE, 0.0, [60, 300, 300, 300]),
            (Limit.MINUTE, 30.0, [60, 300, 300, 300]),
            (Limit.MINUTE, 200.0, [200, 300, 300, 300]),
            (Limit.MINUTE, 9_999.0, [300, 300, 300, 300]),
            (Limit.OTHER, None, [15, 30, 60, 120, 240, 300, 300]),
            (Limit.OTHER, 0.0, [15, 30, 60, 120, 240, 300, 300]),
            (Limit.OTHER, 5.0, [5, 5, 5, 5]),
            (Limit.OTHER, 200.0, [200, 200]),
            (Limit.OTHER, 9_999.0, [300, 300]),
        ],
    )
    def test_the_table(self, limit: Limit, wish_s: float | None, pauses_s: list[float]) -> None:
        """Five minutes at most, whatever the API wishes."""
        for times, expected_s in enumerate(pauses_s, start=1):
            pauses, now = struck(*[limit] * times, wish_s=wish_s)
            assert pauses.until - now == pytest.approx(expected_s)
            assert pauses.strikes_at(limit, now) == times

    @pytest.mark.parametrize(
        ("limit", "forgotten_s"), [(Limit.SECOND, 60.0), (Limit.MINUTE, 900.0), (Limit.OTHER, 120.0)]
    )
    @pytest.mark.parametrize(("before_s", "strikes"), [(1e9, 2), (1.0, 2), (0.0, 1), (-5_000.0, 1)])
    def test_a_while_forgives(self, limit: Limit, forgotten_s: float, before_s: float, strikes: int) -> None:
        """A limit that was not reached for so long after its pause is reached for the first time again."""
        pauses, now = struck(limit, limit, after_s=max(0.0, forgotten_s - before_s))
        assert pauses.strikes_at(limit, now) == strikes
        assert pauses.strikes_at(limit, pauses.until + forgotten_s - 1) == strikes
        assert pauses.strikes_at(limit, pauses.until + forgotten_s) == 0

    def test_the_limits_are_counted_apart(self) -> None:
        """One that was reached before makes no other one's first pause a long one."""
        pauses, now = struck(Limit.OTHER, Limit.SECOND, Limit.OTHER, Limit.MINUTE)
        assert pauses.until - now == 60
        assert [pauses.strikes_at(limit, now) for limit in Limit] == [1, 1, 2]

    def test_a_shorter_pause_does_not_end_a_longer_one(self) -> None:
        """The longer one counts, and is what a person is told of."""
        pauses, now = struck(Limit.MINUTE)
        longer = pausing.refused(pauses, Refused(limit=Limit.SECOND, permit_at=now), now + 1)
        assert (longer.until, longer.limit) == (pauses.until, Limit.MINUTE)
        assert decide(longer, now + 2) == Wait(now + 60, "minute quota of app main")

    @pytest.mark.parametrize(
        ("limit", "why"),
        [(Limit.SECOND, None), (Limit.MINUTE, "minute quota of app main"), (Limit.OTHER, "a limit of app main")],
    )
    def test_what_is_told(self, limit: Limit, why: str | None) -> None:
        """A second is not worth telling."""
        pauses, now = struck(limit)
        assert decide(pauses, now) == Wait(pauses.until, why)
        assert decide(pauses, pauses.until) == GO


class TestOneRefusalOfMany:
    """Requests that were in flight together are refused together."""

    @pytest.mark.parametrize("limit", Limit)
    def test_those_that_were_in_flight_tell_nothing_new(self, limit: Limit) -> None:
        """Not even when their answers come after the pause."""
        pauses, now = struck(limit)
        for later_s, permit_at in [(0.0, now), (0.5, now - 1), (2_000.0, now - 0.1)]:
            assert pausing.refused(pauses, Refused(limit=limit, permit_at=permit_at), now + later_s) is pauses

    @pytest.mark.parametrize("limit", Limit)
    @pytest.mark.parametrize(
        ("wish_s", "after_s", "longer"), [(200.0, 0.5, True), (0.1, 0.5, False), (200.0, 70.0, False)]
    )
    def test_but_for_a_longer_wish(self, limit: Limit, wish_s: float, after_s: float, *, longer: bool) -> None:
        """The pause lasts longer, if it is not over; it is the same one."""
        pauses, now = struck(limit)
        again = Refused(limit=limit, permit_at=now - 1, retry_after_s=wish_s)
        after = pausing.refused(pauses, again, now + after_s)
        assert after.until == (now + after_s + wish_s if longer else pauses.until)
        assert after.strikes == pauses.strikes

    @pytest.mark.parametrize("limit", Limit)
    def test_the_first_request_after_the_pause_can_be_refused_anew(self, limit: Limit) -> None:
        """Permitted in the very moment of the pause's end."""
        pauses, _ = struck(limit)
        again = pausing.refused(pauses, Refused(limit=limit, permit_at=pauses.until), pauses.until + 0.1)
        assert again.strikes_at(limit, pauses.until) == 2

    def test_another_limits_pause_hides_nothing(self) -> None:
        """A request from before a pause of a second may be the first to reach the minute's limit."""
        pauses, now = struck(Limit.SECOND)
        after = pausing.refused(pauses, Refused(limit=Limit.MINUTE, permit_at=now - 0.1), now + 0.1)
        assert after.until == now + 60.1

    @given(st.lists(st.floats(0, 59), min_size=1, max_size=30), st.sampled_from(KNOCKS))
    def test_however_many_there_are_it_is_one_pause(self, late_s: list[float], limit: Limit) -> None:
        """As long as the first one said, in whatever order the answers come."""
        first, pauses = None, Pauses()
        for at in sorted(late_s):
            pauses = pausing.refused(pauses, Refused(limit=limit, permit_at=-1.0), at)
            first = first or pauses
        assert pauses is first


class TestKnock:
    """After a pause a single request goes first."""

    @pytest.mark.parametrize("limit", KNOCKS)
    def test_one_goes_and_the_others_wait_for_its_answer(self, limit: Limit) -> None:
        """A good answer opens the door for all."""
        pauses, _ = struck(limit)
        at = pauses.until
        assert decide(pauses, at) == GO
        out = pausing.granted(pauses)
        assert decide(out, at) == Wait(inf)
        assert decide(out, at + 1_000) == Wait(inf)
        opened = pausing.answered(out, at)
        assert (decide(opened, at + 1), opened.knock, opened.since) == (GO, Knock.NONE, None)

    @pytest.mark.parametrize("limit", KNOCKS)
    def test_a_knock_that_is_refused_begins_a_longer_pause(self, limit: Limit) -> None:
        """And after that one there is another knock."""
        pauses, _ = struck(limit)
        at = pauses.until
        again = pausing.refused(pausing.granted(pauses), Refused(limit=limit, permit_at=at), at + 0.3)
        assert isinstance(decide(again, at + 1), Wait)
        assert decide(pausing.granted(again), again.until) == Wait(inf)

    @pytest.mark.parametrize("limit", KNOCKS)
    def test_a_knock_without_an_answer_is_repeated(self, limit: Limit) -> None:
        """Lost, cancelled: another request knocks."""
        pauses, _ = struck(limit)
        at = pauses.until
        lost = pausing.unanswered(pausing.granted(pauses), at)
        assert decide(lost, at + 1) == GO
        assert decide(pausing.granted(lost), at + 1) == Wait(inf)

    @pytest.mark.parametrize("limit", KNOCKS)
    def test_answers_from_before_the_pause_open_nothing(self, limit: Limit) -> None:
        """Good or lost, they were asked for while the door was still open."""
        pauses, now = struck(limit)
        out = pausing.granted(pauses)
        assert pausing.answered(out, now) is out
        assert pausing.unanswered(out, now) is out
        assert pausing.answered(pauses, now) is pauses

    def test_a_pause_of_a_second_needs_no_knock(self) -> None:
        """But it does not stand in for one that is due."""
        pauses, _ = struck(Limit.SECOND)
        assert decide(pausing.granted(pauses), pauses.until) == GO
        pauses, _ = struck(Limit.MINUTE, Limit.SECOND)
        assert decide(pausing.granted(pauses), pauses.until) == Wait(inf)

    def test_nothing_happens_without_a_pause(self) -> None:
        """The everyday case makes no new values."""
        pauses = Pauses()
        assert pausing.granted(pauses) is pausing.answered(pauses, 5.0) is pausing.unanswered(pauses, 5.0) is pauses


class TestAfterwards:
    """Permits are a little further apart, and some of the minute is left alone."""

    @pytest.mark.parametrize(
        ("limit", "margins", "reserves"),
        [
            (Limit.SECOND, [0.02, 0.04, 0.06, 0.1, 0.2], [0.0] * 5),
            (Limit.MINUTE, [0.0] * 5, [0.04, 0.08, 0.12, 0.12, 0.12]),
            (Limit.OTHER, [0.0] * 5, [0.0] * 5),
        ],
    )
    def test_they_grow_by_refusals(self, limit: Limit, margins: list[float], reserves: list[float]) -> None:
        """Of the limit that each is for, up to a bound; what fades in between is little."""
        for times, margin, reserve in zip((1, 2, 3, 5, 30), margins, reserves, strict=True):
            pauses, now = struck(*[limit] * times)
            assert pauses.margin_at(now) == pytest.approx(margin, rel=0.15)
            assert pauses.reserve_at(now) == pytest.approx(reserve, rel=0.15)

    def test_they_fade(self) -> None:
        """Half of each after half an hour."""
        pauses, now = struck(*[Limit.SECOND] * 30)
        assert [pauses.margin_at(now + s) for s in (0, 1_800, 3_600)] == pytest.approx([0.2, 0.1, 0.05])
        pauses, now = struck(Limit.MINUTE)
        assert [pauses.reserve_at(now + s) for s in (0, 1_800, 3_600)] == pytest.approx([0.04, 0.02, 0.01])

    @given(st.lists(st.tuples(st.sampled_from(Limit), st.floats(0, 10_000)), max_size=40), st.floats(0, 1e6))
    def test_they_are_always_within_their_bounds(self, some: list[tuple[Limit, float]], later_s: float) -> None:
        """Permits never come closer than they would, and hardly further apart."""
        pauses, now = Pauses(), 0.0
        for limit, gap_s in some:
            now = max(now, pauses.until) + gap_s
            pauses = pausing.refused(pauses, Refused(limit=limit, permit_at=now), now)
        assert 0 <= pauses.margin_at(now + later_s) <= 0.2
        assert 0 <= pauses.reserve_at(now + later_s) <= 0.12


class TestPatience:
    """An app that is refused everything ends in the end."""

    @pytest.mark.parametrize(
        ("limit", "after_s", "expected"),
        [
            (Limit.MINUTE, 1_799.0, None),
            (Limit.MINUTE, 1_800.0, "app main: the API has refused everything for 30 min: minute quota"),
            (Limit.OTHER, 2_000.0, "app main: the API has refused everything for 33 min: a limit"),
            (Limit.SECOND, 7_200.0, "app main: the API has refused everything for 2 h 0 min: quota of a second"),
        ],
    )
    def test_it_counts_from_the_first_refusal_to_the_latest(
        self, limit: Limit, after_s: float, expected: str | None
    ) -> None:
        """If no good answer came in between."""
        first, now = struck(limit)
        again = Refused(limit=limit, permit_at=now + after_s)
        ended = decide(pausing.refused(first, again, now + after_s), now + after_s)
        assert ended == Over(expected) if expected else isinstance(ended, Wait)
        answered = pausing.answered(first, first.until)
        assert isinstance(decide(pausing.refused(answered, again, now + after_s), now + after_s), Wait)

    @pytest.mark.parametrize("limit", Limit)
    def test_time_in_which_nothing_was_asked_does_not_count(self, limit: Limit) -> None:
        """Days later, another request may go."""
        pauses, now = struck(limit)
        assert decide(pauses, now + 200_000) == GO

    def test_without_patience_there_is_no_end(self) -> None:
        """`None` waits for ever."""
        pauses, now = struck(Limit.MINUTE, Limit.MINUTE, after_s=9_000.0)
        assert isinstance(decide(pauses, now, patience_s=None), Wait)
        assert decide(pauses, 1e9, patience_s=None) == GO


class End(Enum):
    """What becomes of a request."""

    ANSWERED = "answered"
    LOST = "lost"
    SECOND = "second"
    MINUTE = "minute"
    OTHER = "other"


@dataclass
class Situation:
    """An app in some state, with requests under way."""

    now: float = 0.0
    pauses: Pauses = field(default_factory=Pauses)
    under_way: list[float] = field(default_factory=list)
    knocks: int = 0

    def ask(self) -> None:
        """Sends a request if that is allowed."""
        decision = decide(self.pauses, self.now, None)
        if isinstance(decision, Go):
            assert self.now >= self.pauses.until
            self.pauses = pausing.granted(self.pauses)
            self.under_way.append(self.now)

    def end(self, which: int, how: End, wish_s: float | None) -> None:
        """Ends one of the requests under way."""
        if not self.under_way:
            return
        permit_at = self.under_way.pop(which % len(self.under_way))
        match how:
            case End.ANSWERED:
                self.pauses = pausing.answered(self.pauses, permit_at)
            case End.LOST:
                self.pauses = pausing.unanswered(self.pauses, permit_at)
            case _:
                what = Refused(limit=Limit[how.name], permit_at=permit_at, retry_after_s=wish_s)
                self.pauses = pausing.refused(self.pauses, what, self.now)

    def check(self) -> None:
        """Somebody can always go on."""
        decision = decide(self.pauses, self.now, None)
        if decision == Wait(inf):
            assert [at for at in self.under_way if at >= self.pauses.until]
        elif isinstance(decision, Wait):
            assert self.now < decision.until <= self.now + 300
        since_the_pause = [at for at in self.under_way if at >= self.pauses.until]
        if self.pauses.knock is Knock.DUE:
            assert since_the_pause == []
        if self.pauses.knock is Knock.OUT:
            assert len(since_the_pause) == 1


events = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "end", "end", "wait"]),
        st.integers(0, 9),
        st.sampled_from(End),
        st.none() | st.sampled_from([0.0, 0.2, 5.0, 100.0, 1e6]),
        st.sampled_from([0.0, 0.1, 1.0, 15.0, 60.0, 300.0]) | st.floats(0, 1_000),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(events)
@example([("ask", 0, End.LOST, None, 0.0), ("end", 0, End.MINUTE, None, 0.0), ("wait", 0, End.LOST, None, 60.0)] * 3)
def test_there_is_never_a_deadlock(some: list[tuple[str, int, End, float | None, float]]) -> None:
    """Something may always go: at once, at a known moment, or when the one request behind a closed door ends."""
    situation = Situation()
    for what, which, how, wish_s, wait_s in some:
        match what:
            case "ask":
                situation.ask()
            case "end":
                situation.end(which, how, wish_s)
            case _:
                situation.now += wait_s
        situation.check()
    while situation.under_way:
        situation.end(0, End.LOST, None)
    situation.now = max(situation.now, situation.pauses.until)
    situation.ask()
    situation.end(0, End.ANSWERED, None)
    situation.ask()
    situation.ask()
    assert len(situation.under_way) == 2
    assert situation.pauses.knock is Knock.NONE

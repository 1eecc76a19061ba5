from dataclasses import dataclass, field, replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.api.decisions import GO, Over, Wait
from harvester.api.traffic import circuit as circuits
from harvester.api.traffic.circuit import CLOSED, Circuit, Failed
from harvester.model import AccountId


def failed(account: int = 1, permit_at: float = 0.0, *, unreachable: bool = False, text: str = "lost") -> Failed:
    """An attempt without a usable answer."""
    return Failed(account_id=AccountId(account), permit_at=permit_at, unreachable=unreachable, text=text)


def after(*whats: Failed, now: float = 1.0, circuit: Circuit = CLOSED) -> Circuit:
    """What is thought of the API after these, all at one moment."""
    for what in whats:
        circuit = circuits.failed(circuit, what, now)
    return circuit


DOWN = after(*[failed(unreachable=True)] * 3)
"""Since loop time 0, known at 1."""
NOBODY = failed(unreachable=True)
LOST = [failed(number) for number in range(20)]


class TestWhenItIsDown:
    """Nobody to connect to, or many attempts of several accounts in vain."""

    @pytest.mark.parametrize(
        ("whats", "expected"),
        [
            ([], False),
            ([NOBODY] * 2, False),
            ([NOBODY] * 3, True),
            ([NOBODY, failed(), failed(), NOBODY, failed()], False),
            ([NOBODY, failed(), failed(), NOBODY, NOBODY], True),
            (LOST[:9], False),
            (LOST[:10], True),
            ([failed(number % 3) for number in range(10)], True),
            ([failed(number % 2) for number in range(200)], False),
            ([failed(1)] * 1_000, False),
            ([failed(1)] * 9 + [failed(2)], False),
            ([failed(1)] * 9 + [failed(2), failed(3)], True),
        ],
    )
    def test_the_table(self, whats: list[Failed], *, expected: bool) -> None:
        """One account never makes it so, however often its calls fail, unless there is nobody to connect to."""
        assert after(*whats).is_open is expected

    @pytest.mark.parametrize(
        ("of_accounts", "whats", "expected"),
        [
            (1, [failed(1)] * 4, False),
            (1, [failed(1)] * 5, True),
            (2, [failed(1)] * 100, False),
            (2, [failed(1), failed(2)] * 2, False),
            (2, [failed(1)] * 4 + [failed(2)], True),
            (3, LOST[:9], False),
            (3, [failed(1)] * 100, False),
            (9, LOST[:10], True),
        ],
    )
    def test_a_run_over_few_accounts_needs_no_more_than_it_has(
        self, of_accounts: int, whats: list[Failed], *, expected: bool
    ) -> None:
        """All of them, five times together."""
        circuit = CLOSED
        for what in whats:
            circuit = circuits.failed(circuit, what, 1.0, of_accounts)
        assert circuit.is_open is expected

    def test_accounts_that_fail_while_others_are_answered_say_nothing_of_it(self) -> None:
        """However often, and however many of them are left at a run's end; an answer of their own clears them."""
        ill = circuits.answered(after(*LOST[:9]), AccountId(77))
        assert not after(*LOST[:9] * 10, circuit=ill).is_open
        assert after(*(failed(number) for number in range(100, 110)), circuit=ill).is_open
        well = ill
        for account_id in {one.account_id for one in LOST[:9]}:
            well = circuits.answered(well, account_id)
        assert well is CLOSED
        assert after(*LOST[:10], circuit=well).is_open

    def test_that_nobody_is_there_is_no_trouble_of_an_account(self) -> None:
        """Where there is no connection, those who failed before count as well."""
        ill = circuits.answered(after(*LOST[:9]), AccountId(77))
        assert after(*(replace(one, unreachable=True) for one in LOST[:5]), circuit=ill).is_open

    def test_an_outage_makes_nobody_a_suspect(self) -> None:
        """When it is over, everybody's failures count again."""
        assert circuits.answered(after(*LOST[:10]), AccountId(77)) is CLOSED

    def test_while_it_is_up_everything_goes(self) -> None:
        """Also after a few failures."""
        assert circuits.decide(after(*LOST[:9]), 5.0, 1800.0) == GO
        assert circuits.granted(CLOSED, 5.0) is CLOSED
        assert circuits.unanswered(CLOSED, 5.0) is CLOSED


class TestProbes:
    """One at a time, further and further apart."""

    def test_when_they_go(self) -> None:
        """After 2, 4, 8, … seconds, 60 at most, each from the failure of the one before."""
        circuit, now, waits = DOWN, 1.0, list[float]()
        for _ in range(12):
            decision = circuits.decide(circuit, now, None)
            assert isinstance(decision, Wait)
            assert decision.why == "the API, which is down"
            waits.append(decision.until - now)
            now = decision.until
            assert circuits.decide(circuit, now, None) == GO
            circuit = circuits.granted(circuit, now)
            assert circuits.decide(circuit, now + 500, None) == Wait(inf, "an answer of the API, which is down")
            circuit = circuits.failed(circuit, failed(permit_at=now, text="again"), now + 10)
            now += 10
        assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60]
        assert (circuit.text, circuit.probes) == ("again", 12)

    def test_attempts_that_were_under_way_before_tell_nothing(self) -> None:
        """Neither the probe's time nor the text changes."""
        out = circuits.granted(DOWN, 3.0)
        for circuit in (DOWN, out):
            assert circuits.failed(circuit, failed(permit_at=0.5, text="late"), 3.5) is circuit
            assert circuits.unanswered(circuit, 0.5) is circuit

    def test_a_probe_that_is_dropped_is_repeated_at_once(self) -> None:
        """Cancelled, it told nothing."""
        dropped = circuits.unanswered(circuits.granted(DOWN, 3.0), 3.0)
        assert circuits.decide(dropped, 3.1, 1800.0) == GO


class TestPatience:
    """In the end, the rest is left to the next run."""

    @pytest.mark.parametrize(
        ("failed_at", "patience_s", "expected"),
        [
            (1_799.0, 1_800.0, None),
            (1_800.0, 1_800.0, "the API has not answered for 30 min, the last attempt: again"),
            (1_800.0, None, None),
            (5.0, 5.0, "the API has not answered for 5 s, the last attempt: again"),
        ],
    )
    def test_it_counts_from_the_first_failure_to_the_latest(
        self, failed_at: float, patience_s: float | None, expected: str | None
    ) -> None:
        """Of those in a row."""
        probed = circuits.failed(circuits.granted(DOWN, 4.0), failed(permit_at=4.0, text="again"), failed_at)
        decision = circuits.decide(probed, failed_at, patience_s)
        assert decision == Over(expected) if expected else isinstance(decision, Wait)

    def test_time_in_which_nothing_was_asked_does_not_count(self) -> None:
        """There is always a probe before the end."""
        assert circuits.decide(DOWN, 1e6, 1_800.0) == GO
        out = circuits.granted(DOWN, 1e6)
        assert circuits.decide(out, 2e6, 1_800.0) == Wait(inf, "an answer of the API, which is down")
        assert circuits.decide(circuits.unanswered(out, 1e6), 2e6, 1_800.0) == GO

    def test_failures_that_are_minutes_apart_are_no_row(self) -> None:
        """Of an app that sends seldom."""
        circuit = CLOSED
        for number in range(20):
            circuit = circuits.failed(circuit, failed(number, unreachable=True), 301.0 * number)
            assert not circuit.is_open
        for _ in range(2):
            circuit = circuits.failed(circuit, failed(permit_at=6_000.0, unreachable=True), 6_001.0)
        assert circuit.is_open
        assert circuit.since == 0.0


@dataclass
class Situation:
    """The API in some state, with requests under way."""

    now: float = 0.0
    circuit: Circuit = CLOSED
    under_way: list[float] = field(default_factory=list)
    opened_at: float = inf

    def ask(self) -> None:
        """Sends a request if that is allowed."""
        if circuits.decide(self.circuit, self.now, None) == GO:
            self.circuit = circuits.granted(self.circuit, self.now)
            self.under_way.append(self.now)

    def end(self, how: str, which: int) -> None:
        """Ends one of the requests under way."""
        if not self.under_way:
            return
        at = self.under_way.pop(which % len(self.under_way))
        self.now += 0.001
        if how == "answered":
            self.circuit = CLOSED
        elif how == "dropped":
            self.circuit = circuits.unanswered(self.circuit, at)
        else:
            before, lost = self.circuit, failed(which, at, unreachable=how == "unreachable")
            self.circuit = circuits.failed(before, lost, self.now)
            if self.circuit.is_open and not before.is_open:
                self.opened_at = self.now

    def check(self) -> None:
        """Somebody can always go on, and nobody hammers."""
        decision = circuits.decide(self.circuit, self.now, None)
        if self.circuit.is_open:
            assert sum(at >= self.opened_at for at in self.under_way) <= 1
        if decision == Wait(inf, "an answer of the API, which is down"):
            assert self.circuit.probing in self.under_way
        elif isinstance(decision, Wait):
            assert self.now < decision.until <= self.now + 60


events = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "lost", "unreachable", "dropped", "answered", "wait"]),
        st.integers(0, 9),
        st.sampled_from([0.0, 0.1, 2.0, 10.0, 60.0, 500.0]),
    ),
    max_size=80,
)


@settings(max_examples=300)
@given(events)
def test_there_is_never_a_deadlock(some: list[tuple[str, int, float]]) -> None:
    """While it is down one request is under way at most that went out since; and there is always a next moment."""
    situation = Situation()
    for what, which, wait_s in some:
        if what == "wait":
            situation.now += wait_s
        elif what == "ask":
            situation.ask()
        else:
            situation.end(what, which)
        situation.check()

"""Tokens, quotas, timestamps and nonces, by a clock that tests move."""

import itertools
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox.gate import Gate
from harvester.sandbox.stats import Stats, busiest
from harvester.sandbox.switches import ACCESS, Grant, Switches
from harvester.sandbox.wire import Credentials, Rejected
from tests.sandbox.helpers import NOW_S

NONCES = itertools.count()


def knock(gate: Gate, now_s: float, nonce: str | None = None, access: str = ACCESS, off_s: int = 0) -> int:
    """The code of one request; 0: it may go on."""
    who = Credentials(access=access, timestamp=int(now_s) + off_s, nonce=nonce or str(next(NONCES)))
    try:
        gate.admit(who, now_s, Stats())
    except Rejected as rejected:
        return rejected.code
    return 0


def test_a_nonce_is_good_once_for_a_token() -> None:
    """Again it is refused, under another token it is not, and only when no timestamp can repeat it is it forgotten."""
    gate = Gate(Switches(grants=(Grant(), Grant(access="other"))))
    assert [knock(gate, NOW_S, "n"), knock(gate, NOW_S + 599, "n"), knock(gate, NOW_S, "n", "other")] == [0, 12100, 0]
    assert knock(gate, NOW_S + 602, "n") == 0


def test_nonces_are_forgotten_in_time() -> None:
    """Memory holds the nonces of the last ten minutes, however many requests there were."""
    gate = Gate(Switches())
    for step in range(5_000):
        assert knock(gate, NOW_S + step) == 0
    assert len(gate._nonces) == len(gate._ages) == 601


@pytest.mark.parametrize(("off_s", "code"), [(-301, 12101), (-300, 0), (0, 0), (300, 0), (301, 12101)])
def test_a_timestamp_is_good_for_300_seconds(off_s: int, code: int) -> None:
    """Either side of the clock, the 300th second included."""
    assert knock(Gate(Switches()), NOW_S, off_s=off_s) == code


def test_tokens_are_known_or_not_and_expire() -> None:
    """11002 for a stranger, 11000 from the second of expiry on."""
    gate = Gate(Switches(grants=(Grant(expires_at=NOW_S + 10),)))
    assert knock(gate, NOW_S, access="stranger") == 11002
    assert [knock(gate, NOW_S + 9.9), knock(gate, NOW_S + 10)] == [0, 11000]


def test_the_minute_is_exact_and_its_breach_costs_a_penalty() -> None:
    """The request beyond the quota bars the app for the penalty, then the window is free again."""
    gate = Gate(Switches(requests_per_minute=3, penalty_s=90))
    assert [knock(gate, NOW_S + at) for at in (0, 10, 20)] == [0, 0, 0]
    assert gate.remaining(ACCESS, NOW_S + 20) == "100%,0%"
    assert knock(gate, NOW_S + 60) == 0
    assert [knock(gate, NOW_S + at) for at in (69.9, 70, 100, 159.8)] == [11017] * 4
    assert knock(gate, NOW_S + 159.9) == 0


def test_the_second_and_the_day_have_codes_of_their_own() -> None:
    """11016 passes within a second; 11018 lasts until midnight in Beijing, 16 hours away."""
    gate = Gate(Switches(requests_per_second=2, requests_per_day=4))
    assert [knock(gate, NOW_S + at) for at in (0, 0.5, 0.9, 1.0, 1.5, 9)] == [0, 0, 11016, 0, 0, 11018]
    assert gate.remaining(ACCESS, NOW_S + 9) == "0%,100%"
    assert [knock(gate, NOW_S + hours * 3_600) for hours in (15.9, 16)] == [11018, 0]


def test_tokens_of_one_app_share_its_quota() -> None:
    """A second token of the app is refused as well, one of another app is not."""
    gate = Gate(Switches(grants=(Grant(), Grant(access="b"), Grant(access="c", client_id="2")), requests_per_minute=1))
    assert [knock(gate, NOW_S, access=access) for access in (ACCESS, "b", "c")] == [0, 11017, 0]


@given(st.lists(st.floats(0, 300), max_size=200), st.integers(1, 9))
def test_no_window_holds_more_than_the_quota(times: list[float], limit: int) -> None:
    """Whatever the arrivals, admitted ones never exceed the quota in any 60 seconds, and fewer are never refused."""
    gate = Gate(Switches(requests_per_minute=limit, penalty_s=0))
    admitted: list[float] = []
    for at in sorted(NOW_S + time for time in times):  # the sums that the gate sees: tiny differences are lost in them
        recent = [one for one in admitted if one > at - 60]
        assert (knock(gate, at) == 0) is (len(recent) < limit) or any(at - one == 60 for one in admitted)
        if len(recent) < limit:
            admitted.append(at)


def test_the_busiest_window_is_found() -> None:
    """Bursts count by any window, not by calendar seconds."""
    assert busiest(deque([0.0, 0.9, 1.0, 1.5, 1.8, 5.0]), 1.0) == 4

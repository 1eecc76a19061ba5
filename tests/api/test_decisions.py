from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.decisions import GO, Decision, Go, Over, Wait, lasting, strictest

waits = st.builds(Wait, st.floats(allow_nan=False, min_value=0), st.none() | st.sampled_from(["a pause", "a quota"]))
decisions = st.just(GO) | waits | st.builds(Over, st.sampled_from(["the time", "the budget"]))


@pytest.mark.parametrize(
    ("given_some", "expected"),
    [
        ([], GO),
        ([GO, GO], GO),
        ([GO, Wait(5.0, "a pause"), GO], Wait(5.0, "a pause")),
        ([Wait(5.0, "short"), Wait(7.0, "long"), Wait(6.0)], Wait(7.0, "long")),
        ([Wait(5.0, "first"), Wait(5.0, "second")], Wait(5.0, "first")),
        ([Wait(inf), Wait(5.0, "a pause")], Wait(inf)),
        ([Wait(inf), Over("the time"), Over("the budget")], Over("the time")),
        ([GO, Over("the budget")], Over("the budget")),
    ],
)
def test_the_one_that_allows_least_counts(given_some: list[Decision], expected: Decision) -> None:
    """An end before any wait, the longest wait before leave to go; of equals the first."""
    assert strictest(*given_some) == expected


@given(st.lists(decisions, max_size=6))
def test_the_strictest_is_one_of_them_and_none_is_stricter(some: list[Decision]) -> None:
    """Whatever their order, nothing is made up and nothing is overlooked."""
    found = strictest(*some)
    assert found in some or (not some and found is GO)
    ends = [one for one in some if isinstance(one, Over)]
    moments = [one.until for one in some if isinstance(one, Wait)]
    if ends:
        assert found == ends[0]
    elif moments:
        assert isinstance(found, Wait)
        assert found.until == max(moments)
    else:
        assert isinstance(found, Go)


@given(st.lists(decisions, max_size=4), st.lists(decisions, max_size=4))
def test_decisions_can_be_joined_in_parts(some: list[Decision], more: list[Decision]) -> None:
    """The strictest of two strictest ones is the strictest of all."""
    assert strictest(strictest(*some), strictest(*more)) == strictest(*some, *more)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (30.4, "30 s"),
        (119, "119 s"),
        (120, "2 min"),
        (1_830, "30 min"),
        (3_599, "1 h 0 min"),
        (19_200, "5 h 20 min"),
    ],
)
def test_how_long_something_lasted(seconds: float, expected: str) -> None:
    """Seconds, minutes, hours: as much as a person needs to know."""
    assert lasting(seconds) == expected

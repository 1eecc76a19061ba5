from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.decisions import GO, Decision, Over
from harvester.api.traffic import Budget

USED_UP = Over("the run's budget of requests (--max-requests) is used up")
TOO_LATE = Over("the run's time (--max-duration) is over")


@pytest.mark.parametrize(
    ("budget", "at", "expected"),
    [
        (Budget(), 1e9, GO),
        (Budget(requests_left=1), 1e9, GO),
        (Budget(requests_left=0), 0.0, USED_UP),
        (Budget(requests_left=-1), 0.0, USED_UP),
        (Budget(deadline=50.0), 49.9, GO),
        (Budget(deadline=50.0), 50.0, TOO_LATE),
        (Budget(deadline=50.0), inf, TOO_LATE),
        (Budget(requests_left=0, deadline=50.0), 60.0, USED_UP),
    ],
)
def test_what_a_run_may_still_use(budget: Budget, at: float, expected: Decision) -> None:
    """So many requests, and none from the deadline on."""
    assert budget.decide(at) == expected


@given(st.integers(0, 50))
def test_a_budget_is_used_up_to_its_last_request(requests: int) -> None:
    """And not one further."""
    budget, sent = Budget(requests_left=requests), 0
    while budget.decide(0.0) == GO:
        budget.take()
        sent += 1
    assert sent == requests


def test_no_budget_is_never_used_up() -> None:
    """`None` stays `None`."""
    budget = Budget()
    budget.take()
    assert budget.requests_left is None

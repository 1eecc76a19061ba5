"""The search for the largest page: few tries, an end that is near, and never a size that is known to be refused."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.harvest import sizes
from harvester.harvest.findings import Findings
from harvester.model import LARGEST
from tests.harvest.test_walk import property_test

MOST = 5000
PLENTY = 10**6
FEW_TRIES = 13
"""Six doublings from 100 to 5,000, and as many halvings as make 5 % of a doubling."""


@dataclass
class Search:
    """A search to its end.

    Attributes:
        found: What is asked for in the end.
        tries: The sizes that were tried.
        refused: How many of them were refused.
    """

    found: int
    tries: list[int]
    refused: int


def search(maximum: int, findings: Findings | None = None, left: int = PLENTY) -> Search:
    """Searches where every size above `maximum` is refused."""
    found = findings or Findings()
    tries: list[int] = []
    refused = 0
    while (size := found.page_size(LARGEST)) > maximum:  # the usual page, or a hint
        found = found.merge(Findings(page_size_refused=size))
        refused += 1
    found = found.merge(Findings(page_size_served=size))
    while tried := sizes.larger(found.page_size(LARGEST), found.page_size_refused, left):
        assert len(tries) < FEW_TRIES, f"no end: {tries}"
        tries.append(tried)
        assert found.page_size(LARGEST) < tried < (found.page_size_refused or MOST + 1)
        served = tried <= maximum
        refused += not served
        found = found.merge(Findings(page_size_served=tried) if served else Findings(page_size_refused=tried))
    return Search(found.page_size(LARGEST), tries, refused)


@given(st.integers(1, 20_000))
@property_test(max_examples=500)
def test_what_is_found_is_near_the_maximum(maximum: int) -> None:
    """From nothing: less than 5 % below what is served, and below the bound; never above."""
    found = search(maximum)
    assert found.found <= maximum
    assert min(maximum, MOST) - found.found <= max(1, found.found / 20)


@pytest.mark.parametrize("maximum", [100, 200, 300, 500, 800, 1000, 1500, 2000, 3000, 5000])
def test_round_maxima_are_found_exactly(maximum: int) -> None:
    """What people make an API's limit is among the sizes that are tried; at most six tries are refused."""
    found = search(maximum)
    assert found.found == maximum
    assert found.refused <= 6


@given(st.integers(1, 20_000), st.integers(1, 10_000), st.none() | st.integers(1, 10_000))
@property_test(max_examples=500)
def test_a_wrong_hint_costs_few_requests(maximum: int, served: int, refused: int | None) -> None:
    """A hint that does not hold any more is let go at its first refusal, and what is found is as good as ever."""
    hint = Findings(page_size_served=served, page_size_refused=refused)
    found = search(maximum, hint.merge(Findings()))
    assert found.found <= maximum
    assert found.refused <= 14
    if maximum >= 100 and (refused is None or refused > maximum):
        assert min(maximum, MOST) - found.found <= found.found / 20


@given(st.integers(1, 10_000), st.none() | st.integers(1, 10_000), st.integers(0, 10_000))
def test_nothing_is_tried_that_saves_no_request(size: int, refused: int | None, left: int) -> None:
    """What fits on a page that is known to be served is no reason to try a larger one."""
    tried = sizes.larger(size, refused, left)
    assert tried is None or (left > size and size < tried <= min(2 * size, MOST))


some_findings = st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 9)), min_size=1, max_size=6)


@given(some_findings)
@property_test(max_examples=500)
def test_what_several_walks_found_is_never_what_is_refused(found: list[tuple[int, int | None]]) -> None:
    """Whatever is merged, in any order: what is asked for next is below the smallest size that is refused."""
    all_found = Findings()
    for served, refused in found:
        one = Findings().merge(Findings(page_size_served=served, page_size_refused=refused))
        all_found = all_found.merge(one)
    least = min((refused for _, refused in found if refused is not None), default=None)
    assert all_found.page_size_refused == least
    assert least is None or all_found.page_size(LARGEST) < max(2, least)


def test_what_was_served_before_is_not_forgotten() -> None:
    """Where a size turns out to be refused, a smaller one that was served is gone on with, whoever found it."""
    served, clamped = Findings(page_size_served=200), Findings(page_size_served=137, page_size_refused=200)
    assert served.merge(clamped).page_size(LARGEST) == clamped.merge(served).page_size(LARGEST) == 137

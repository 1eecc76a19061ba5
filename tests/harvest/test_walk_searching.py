"""Walks that look for the largest page on their way: what they read is right whatever comes of that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.harvest import sizes
from harvester.harvest.findings import Findings
from harvester.harvest.walk import Walk
from harvester.model import LARGEST, Page, Query, Receipt, Refusal, Window
from tests.harvest.model_api import Cursor, Entry, Limit, ModelApi, Order, Outcome, Switches, Ties, Total, drive
from tests.harvest.test_walk import (
    ACCOUNT,
    PAGE,
    Held,
    all_switches,
    at,
    knowable,
    property_test,
    restless_slices,
    slices,
    usual_switches,
    window_of,
)

MONTH = [entry for day in range(3) for hour in range(24) for entry in at(day, f"{hour:02d}:30:00", 3, f"h{hour}-")]
"""216 calls."""


@pytest.fixture(autouse=True, scope="module")
def usual() -> Iterator[None]:
    """Pages of four calls are usual, so that small examples have many."""
    with patch.object(sizes, "USUAL", PAGE):
        yield


@dataclass
class Feeble:
    """An API that cannot do what it does not refuse: pages of more than `able` calls fail, whatever is done.

    Attributes:
        api: What answers the others.
        able: See above.
        codes: Whether it says so by a code that nobody knows, rather than not at all.
    """

    api: ModelApi
    able: int
    codes: bool = False

    def answer(self, query: Query) -> Page | Refusal:
        """As the client hands it on."""
        if query.page_size <= self.able:
            return self.api.answer(query)
        assert query.fewer_may_do, f"this failure fails the slice: {query}"
        self.api.answers += 1
        return Refusal.OTHER if self.codes and query.exploratory else Refusal.FAILED


class Searching(Walk):
    """A walk that may always search, as the only one of a run."""

    def take(self, page: Page):  # type: ignore[no-untyped-def]  # noqa: D102 - as `Walk.take`
        self.learn(Findings(), may_search=True)
        return super().take(page)

    def refuse(self, refusal: Refusal):  # type: ignore[no-untyped-def]  # noqa: D102 - as `Walk.refuse`
        self.learn(Findings(), may_search=True)
        return super().refuse(refusal)


def search(
    entries: Sequence[Entry],
    switches: Switches,
    window: Window,
    able: int = 10**6,
    findings: Findings | None = None,
    *,
    codes: bool = False,
) -> tuple[Outcome, ModelApi, Walk]:
    """A searching walk to its end over a new model."""
    api = ModelApi(entries, switches, Random(11))  # noqa: S311 - a model
    walk = Searching(ACCOUNT, window, page_size=LARGEST, findings=findings or Findings())
    most = 100 * len(entries) + 2000
    return drive(walk, Feeble(api, able, codes=codes).answer, window, most), api, walk


findings = st.builds(
    Findings, page_size_served=st.integers(0, 40), page_size_refused=st.none() | st.integers(1, 60)
).map(Findings().merge)


@given(restless_slices(largest_tie=12), all_switches, findings, st.integers(PAGE, 40), st.booleans())
@property_test(max_examples=800)
def test_complete_is_true_however_it_is_searched(
    held: Held, switches: Switches, hints: Findings, able: int, codes: bool
) -> None:
    """Whatever the API does, and whatever was hinted: complete is only said when every lasting call has landed."""
    held, switches = knowable(held, switches)
    outcome, api, _ = search(held.entries, switches, held.window, able, hints, codes=codes)
    missing = outcome.missing(api.throughout(held.window))
    assert {one.split()[0] for one in missing} <= {str(day) for day in outcome.receipt.short_days}
    assert outcome.complete or outcome.receipt.reason


@given(
    slices(largest_tie=3),
    st.builds(
        replace, usual_switches, limit=st.sampled_from(Limit), largest=st.integers(6, 30), ties=st.just(Ties.STABLE)
    ),
    findings,
    st.integers(6, 40),
    st.booleans(),
)
@property_test(max_examples=400)
def test_all_lands_and_is_proven_however_it_is_searched(
    held: Held, switches: Switches, hints: Findings, able: int, codes: bool
) -> None:
    """Where a walk that asks for a fixed size lands everything and proves it, a searching one does, too."""
    window = held.window
    outcome, api, _ = search(held.entries, switches, window, able, hints, codes=codes)
    assert outcome.landed == api.throughout(window)
    assert outcome.complete, outcome.receipt


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("cursor", [Cursor.EXCLUSIVE, Cursor.INCLUSIVE])
@pytest.mark.parametrize("total", [Total.WHOLE, Total.REST])
@pytest.mark.parametrize("limit", [one for one in Limit if one is not Limit.NONE])
@pytest.mark.parametrize("largest", [7, 16, 30])
def test_the_largest_is_found(order: Order, cursor: Cursor, total: Total, limit: Limit, largest: int) -> None:
    """Refused or clamped, said or not: it is found within 5 %, by a few requests that bring nothing."""
    switches = Switches(order=order, cursor=cursor, total=total, limit=limit, largest=largest)
    outcome, api, walk = search(MONTH, switches, window_of(3))
    assert outcome.landed == api.throughout(window_of(3))
    found = walk.findings.page_size(LARGEST)
    assert largest <= found <= largest + max(1, largest // 20) if limit is not Limit.REFUSE else found == largest
    plain, _, _ = search(MONTH, switches, window_of(3), findings=walk.findings)
    spared = 5 if limit is Limit.REFUSE else 0
    assert outcome.requests <= plain.requests + 4 + spared, "doubling from a small size takes a few pages more"


@pytest.mark.parametrize("codes", [False, True])
def test_what_fails_is_taken_for_refused(codes: bool) -> None:
    """Timeouts, bodies too large, unknown codes: each try fails once, and the walk goes on by pages that come."""
    outcome, api, walk = search(MONTH, Switches(), window_of(3), able=13, codes=codes)
    assert outcome.landed == api.throughout(window_of(3))
    assert walk.findings.page_size(LARGEST) == 13
    failed = [query for query in outcome.queries if query.page_size > 13]
    assert [query.page_size for query in failed] == [16, 14]
    assert {query.attempts for query in failed} == {sizes.ATTEMPTS}, "nobody waits long for what is but a try"


@pytest.mark.parametrize("codes", [False, True])
def test_a_hint_that_fails_is_let_go(codes: bool) -> None:
    """The size that was remembered fails on the first page: the usual one comes, and it is searched anew, below."""
    hint = Findings(page_size_served=40, page_size_refused=42)
    outcome, api, walk = search(MONTH, Switches(), window_of(3), able=20, findings=hint, codes=codes)
    assert outcome.landed == api.throughout(window_of(3))
    assert [query.page_size for query in outcome.queries[:3]] == [40, PAGE, 8]
    assert walk.findings.page_size(LARGEST) in {19, 20}


def test_a_failure_of_everything_shows_nothing() -> None:
    """When the usual page fails, too, the larger one is not taken for refused: the slice fails, the size stays."""
    walk = Walk(ACCOUNT, window_of(1), page_size=LARGEST, findings=Findings(page_size_served=40))
    first = walk.begin()
    assert isinstance(first, Query)
    assert (first.page_size, first.fewer_may_do) == (40, True)
    second = walk.refuse(Refusal.FAILED).then
    assert isinstance(second, Query)
    assert (second.page_size, second.fewer_may_do) == (PAGE, False), "its failure is the slice's"
    assert walk.findings == Findings(page_size_served=40)


def test_a_walk_that_may_not_search_tries_nothing() -> None:
    """Only the walk that is told to searches; the others ask for what is known."""
    api = ModelApi(MONTH, Switches())
    walk = Walk(ACCOUNT, window_of(3), page_size=LARGEST)
    outcome = drive(walk, api.answer, window_of(3), 500)
    assert {query.page_size for query in outcome.queries} == {PAGE}


@pytest.mark.parametrize("size", [PAGE, 2 * PAGE])
def test_a_number_is_never_searched_beyond(size: int) -> None:
    """An integer means exactly that, whoever may search; nor is a failure of it anything but a failure."""
    api = ModelApi(MONTH, Switches())
    walk = Searching(ACCOUNT, window_of(3), page_size=size)
    outcome = drive(walk, api.answer, window_of(3), 500)
    assert {(query.page_size, query.fewer_may_do, query.attempts) for query in outcome.queries} == {(size, False, None)}


@pytest.mark.parametrize("calls", [0, 1, PAGE, PAGE + 3])
def test_a_quiet_slice_tries_at_most_what_saves_a_page(calls: int) -> None:
    """A slice whose calls fit on a page asks for nothing larger."""
    entries = [entry for hour in range(calls) for entry in at(0, f"{hour:02d}:00:00")]
    outcome, _, walk = search(entries, Switches(), window_of(1))
    assert outcome.complete
    assert not any(query.page_size > PAGE for query in outcome.queries)
    assert not walk.is_searching


def test_it_says_while_it_searches() -> None:
    """From the question to the answer, and through the smaller page that tells whether a failure was about the size."""
    api = ModelApi(MONTH, Switches())
    walk = Searching(ACCOUNT, window_of(3), page_size=LARGEST)
    told: list[tuple[int, bool]] = []
    then = walk.begin()
    while isinstance(then, Query) and len(told) < 6:
        answer = Refusal.FAILED if then.page_size > 10 else api.answer(then)
        then = (walk.refuse(answer) if isinstance(answer, Refusal) else walk.take(answer)).then
        told.append((then.page_size if isinstance(then, Query) else 0, walk.is_searching))
    assert told == [(8, True), (16, True), (8, True), (12, True), (8, True), (10, True)]


@given(slices(largest_tie=4), usual_switches, st.integers(5, 20), st.lists(st.integers(1, 6), max_size=4))
@property_test(max_examples=200)
def test_a_searching_walk_can_be_saved_at_any_answer(
    held: Held, switches: Switches, able: int, legs: list[int]
) -> None:
    """Saved after some answers, whatever it was trying, and gone on with: everything lands, proven."""
    window = held.window
    api = Feeble(ModelApi(held.entries, replace(switches, ties=Ties.STABLE)), able)
    walk, landed = Searching(ACCOUNT, window, page_size=LARGEST), dict[str, set[str]]()
    for answers in [*legs, 500]:
        then: Query | Receipt = walk.begin()
        for _ in range(answers):
            if isinstance(then, Receipt):
                break
            answer = api.answer(then)
            step = walk.refuse(answer) if isinstance(answer, Refusal) else walk.take(answer)
            for call in step.calls:
                landed.setdefault(call.day, set()).add(call.id)
            then = step.then
        if isinstance(then, Receipt):
            assert then.reason is None
            assert landed == api.api.throughout(window)
            return
        resumed = Searching.resume(walk.state(), ACCOUNT, window, page_size=LARGEST, findings=Findings())
        assert resumed
        walk = resumed
    raise AssertionError("no end")


@pytest.mark.parametrize("echo", [Limit.CLAMP, Limit.CLAMP_NO_ECHO])
def test_a_walk_that_gives_days_away_knows_what_it_tried(echo: Limit) -> None:
    """Narrowed right after a try that came short, it still finds out what that shows."""
    api = ModelApi(MONTH, Switches(limit=echo, largest=7))
    walk = Searching(ACCOUNT, window_of(3), page_size=LARGEST)
    then, given = walk.begin(), False
    while isinstance(then, Query):
        tried = then.page_size > PAGE
        answer = api.answer(then)
        assert isinstance(answer, Page)
        then = walk.take(answer).then
        if tried and not given and (far := walk.far):
            walk.give_away(far, 1)
            then, given = walk.begin(), True
            refused = walk.findings.page_size_refused
            assert refused is None
    assert given
    assert walk.findings.page_size(LARGEST) == 7

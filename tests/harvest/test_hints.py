"""Hints: which are used, and that a wrong one costs requests and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.harvest.findings import Findings
from harvester.harvest.hints import LIFE_S, Hints, hints_of, news
from harvester.harvest.walk import Walk
from harvester.health import Hint, Question
from harvester.model import ONE_DAY, Receipt, Refusal, Window
from tests.harvest.model_api import Cursor, End, Entry, Limit, ModelApi, Order, Outcome, Switches, Ties, drive
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

NOW = 1_700_000_000.0


def hint(question: Question, answer: str | None, age_s: float = 3600.0) -> Hint:
    """What was found out some time ago."""
    return Hint(question=question, answer=answer, evidence="seen", at=NOW - age_s)


def known(largest: str | None = None, refused: str | None = None, end: str | None = None) -> list[Hint]:
    """What a ledger may hold, right or wrong."""
    answers = {Question.PAGE_SIZE: largest, Question.REFUSED_SIZE: refused, Question.END_DATE: end}
    return [hint(question, answer) for question, answer in answers.items() if answer is not None]


sizes = st.none() | st.integers(-1, 20).map(str) | st.sampled_from(["1000", "99999999999", "many", "²"])
whatever_is_known = st.builds(known, sizes, sizes, st.sampled_from([None, "exclusive", "inclusive", "perhaps"]))


def hinted_walk(window: Window, hints: Hints) -> Walk:
    """A walk as the schedule begins it."""
    walk = Walk(ACCOUNT, window, page_size=PAGE, findings=hints.findings)
    if hints.doubts_end:
        walk.doubt_the_end()
    return walk


def walk_with(
    hints: Sequence[Hint], entries: Sequence[Entry], switches: Switches, window: Window
) -> tuple[Outcome, ModelApi]:
    """A walk to its end that begins with hints."""
    api = ModelApi(entries, switches, Random(11))  # noqa: S311 - a model
    walk = hinted_walk(window, hints_of(hints, NOW, PAGE))
    return drive(walk, api.answer, window, 100 * len(entries) + 2000), api


@given(restless_slices(largest_tie=12), all_switches, whatever_is_known)
@property_test(max_examples=800)
def test_complete_is_true_whatever_was_hinted(held: Held, switches: Switches, hints: list[Hint]) -> None:
    """Wrong hints or right ones, whatever the API does: complete is only said when every lasting call has landed."""
    held, switches = knowable(held, switches)
    outcome, api = walk_with(hints, held.entries, switches, held.window)
    missing = outcome.missing(api.throughout(held.window))
    assert {one.split()[0] for one in missing} <= {str(day) for day in outcome.receipt.short_days}
    assert outcome.complete or outcome.receipt.reason


@given(slices(largest_tie=3), usual_switches, st.sampled_from(Limit), st.sampled_from(Ties), whatever_is_known)
@property_test(max_examples=300)
def test_all_lands_and_is_proven_whatever_was_hinted(
    held: Held, switches: Switches, limit: Limit, ties: Ties, hints: list[Hint]
) -> None:
    """Where a walk without hints lands everything and proves it, one with wrong hints does, too."""
    window, switches = held.window, replace(switches, limit=limit, largest=6, ties=ties)
    outcome, api = walk_with(hints, held.entries, switches, window)
    assert outcome.landed == api.throughout(window)
    assert outcome.complete, outcome.receipt


@given(slices(largest_tie=3), usual_switches, st.booleans())
@property_test(max_examples=200)
def test_a_day_more_that_is_refused_is_not_asked_for_again(held: Held, switches: Switches, hinted: bool) -> None:
    """An API that refuses later dates than the window's: a wrong hint costs a request, and everything lands."""
    window = held.window
    switches = replace(switches, end=End.INCLUSIVE, last_end=window.end)
    outcome, api = walk_with(known(end="exclusive" if hinted else None), held.entries, switches, window)
    plain, _ = walk_with([], held.entries, switches, window)
    assert outcome.landed == api.throughout(window)
    assert (outcome.complete, outcome.receipt.reason) == (plain.complete, plain.receipt.reason)
    assert outcome.requests <= plain.requests + 1


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("cursor", Cursor)
def test_a_right_hint_spares_reading_twice(order: Order, cursor: Cursor) -> None:
    """Where calls of the end date do not come, a slice is read once with the hint, and twice without."""
    entries = [entry for day in range(4) for hour in range(10, 20) for entry in at(day, f"{hour}:00:00")]
    switches = Switches(order=order, cursor=cursor, end=End.EXCLUSIVE)
    with_hint, api = walk_with(known(end="exclusive"), entries, switches, window_of(3))
    without, _ = walk_with([], entries, switches, window_of(3))
    assert with_hint.landed == without.landed == api.throughout(window_of(3))
    assert with_hint.complete
    assert with_hint.requests < without.requests


@given(
    slices(largest_tie=4),
    usual_switches,
    st.sampled_from([End.INCLUSIVE, End.EXCLUSIVE]),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=3),
)
@property_test(max_examples=200)
def test_a_walk_goes_on_with_a_hint(
    held: Held, switches: Switches, end: End, refuses: bool, legs: list[tuple[int, bool]]
) -> None:
    """Saved after some answers and gone on with, with or without the hint: everything lands, proven."""
    window = held.window
    later = window.end if refuses and end is End.INCLUSIVE else None
    api = ModelApi(held.entries, replace(switches, end=end, last_end=later))
    walk, landed = hinted_walk(window, Hints(doubts_end=True)), dict[str, set[str]]()
    for answers, doubts_end in [*legs, (500, False)]:
        then = walk.begin()
        for _ in range(answers):
            if isinstance(then, Receipt):
                break
            answer = api.answer(then)
            step = walk.refuse(answer) if isinstance(answer, Refusal) else walk.take(answer)
            for call in step.calls:
                landed.setdefault(call.day, set()).add(call.id)
            then = step.then
        if isinstance(then, Receipt):
            assert landed == api.throughout(window)
            return
        resumed = Walk.resume(walk.state(), ACCOUNT, window, page_size=PAGE, findings=Findings())
        assert resumed
        walk = resumed
        if doubts_end:
            walk.doubt_the_end()
    raise AssertionError("no end")


def test_hints_grow_old() -> None:
    """A hint of 30 days ago is not used, nor one of a clock that has been set back."""
    for age_s, used in ((0.0, True), (LIFE_S - 1, True), (LIFE_S, False), (-3600.0, True), (-90_000.0, False)):
        hints = [hint(Question.END_DATE, "exclusive", age_s), hint(Question.PAGE_SIZE, "200", age_s)]
        found = hints_of(hints, NOW, 100)
        assert (found.doubts_end, found.findings.page_size_served) == ((True, 200) if used else (False, 0))


@given(whatever_is_known, st.integers(1, 2000))
@property_test(max_examples=300)
def test_a_wrong_size_is_not_far_off(hints: list[Hint], wanted: int) -> None:
    """No hint makes pages smaller than half of what the config wants; that an end is inclusive is never believed."""
    found = hints_of(hints, NOW, wanted)
    assert 2 * found.findings.page_size(wanted) >= wanted
    assert found.findings.end_inclusive is None


def test_a_run_keeps_what_is_new() -> None:
    """Smaller sizes that were refused, and an end that was seen to be inclusive; nothing that it only supposed."""
    served = Findings(page_size_served=60, page_size_refused=61, end_inclusive=True)
    found = {one.question: one.answer for one in news([], served, NOW, 100)}
    assert found == {Question.REFUSED_SIZE: "61", Question.PAGE_SIZE: "60", Question.END_DATE: "inclusive"}
    assert news(known("60", "61", "inclusive"), served, NOW, 100) == []
    assert news([], Findings(page_size_served=100, end_inclusive=False), NOW, 100) == []
    assert [one.answer for one in news(known("60", "61", "exclusive"), served, NOW, 100)] == ["inclusive"]


def test_the_window_may_be_as_long_as_dates_allow() -> None:
    """A hint that would make the dates too far apart is not followed."""
    window = Window(window_of(1).start, window_of(1).start + ONE_DAY * 30)
    outcome, api = walk_with(known(end="exclusive"), at(0, "10:00:00", 3) + at(30, "11:00:00", 3), Switches(), window)
    assert outcome.landed == api.throughout(window)
    assert outcome.complete

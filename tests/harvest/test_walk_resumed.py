import datetime as dt
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.harvest.findings import Findings
from harvester.harvest.walk import Walk
from harvester.model import Page, Query, Receipt, Refusal, Window
from tests.harvest.model_api import Cursor, End, Entry, Limit, ModelApi, Order, Outcome, Switches, Ties, Total, drive
from tests.harvest.test_walk import (
    ACCOUNT,
    GIANT,
    NASTY,
    PAGE,
    Held,
    all_switches,
    at,
    knowable,
    property_test,
    restless_slices,
    slices,
    usual_switches,
    walk_over,
    window_of,
)

TOO_MANY = 3_000
LATER = 10**6
"""So many answers are given to others while a walk is dead."""


class Died(Exception):
    """The process is gone."""


@dataclass(frozen=True, slots=True)
class Leg:
    """How far a walk comes in one process.

    Attributes:
        saved: It saves its state after so many answers.
        lost: It dies after so many more; what it handed on meanwhile is lost.
        page_size: What its config asks for.
        away: So many answers are given to others before the next leg begins.
    """

    saved: int
    lost: int = 0
    page_size: int = PAGE
    away: int = 0


def in_legs(
    api: ModelApi,
    window: Window,
    legs: Sequence[Leg],
    *,
    page_size: int = PAGE,
    findings: Findings = Findings(),  # noqa: B008 - frozen
) -> Outcome:
    """Walks in legs; a leg more, with `page_size` and `findings`, goes to the end. Only what a state tells of lasts."""
    outcome, state = Outcome(), b""
    for number, leg in enumerate([*legs, Leg(TOO_MANY, page_size=page_size)]):
        last = number == len(legs)
        walk: Walk | None = Walk(ACCOUNT, window, page_size=leg.page_size)
        if number:
            walk = Walk.resume(
                state, ACCOUNT, window, page_size=leg.page_size, findings=findings if last else Findings()
            )
        assert walk is not None, state
        done, left, state = one_leg(walk, api, window, leg, outcome)
        if not state:
            return done
        outcome = left
        api.answers += leg.away
    raise AssertionError("no end")


def one_leg(walk: Walk, api: ModelApi, window: Window, leg: Leg, before: Outcome) -> tuple[Outcome, Outcome, bytes]:
    """One leg: how things stand at its end, how they stood when the state was saved, and the state (empty: never)."""
    outcome, left, state, answers = deepcopy(before), before, b"", 0

    def answer(query: Query) -> Page | Refusal:
        nonlocal left, state, answers
        if answers == leg.saved:
            left, state = deepcopy(outcome), walk.state()
        if answers == leg.saved + leg.lost:
            raise Died
        answers += 1
        return api.answer(query)

    try:
        return drive(walk, answer, window, TOO_MANY, outcome), left, state
    except Died:
        return outcome, left, state


def verdict(receipt: Receipt) -> tuple[bool, int, int | None, frozenset[dt.date]]:
    """What a receipt says, but for its cost."""
    return receipt.reason is None, receipt.distinct, receipt.counted, receipt.short_days


def model(entries: Sequence[Entry], switches: Switches) -> ModelApi:
    """The API of `walk_over`."""
    return ModelApi(entries, switches, Random(11))  # noqa: S311 - a model, not a secret


def assert_same(entries: Sequence[Entry], switches: Switches, window: Window, legs: Sequence[Leg]) -> Outcome:
    """A walk in legs over an API that does not change finds out what a walk without a stop does."""
    whole, _, _ = walk_over(entries, switches, window)
    outcome = in_legs(model(entries, switches), window, legs)
    assert verdict(outcome.receipt) == verdict(whole.receipt), (outcome.receipt, whole.receipt)
    assert outcome.landed == whole.landed
    assert outcome.strays == whole.strays
    return outcome


several_legs = st.lists(st.builds(Leg, st.integers(0, 25), st.integers(0, 3)), min_size=1, max_size=6)
steady_switches = st.builds(
    replace, all_switches, ties=st.just(Ties.STABLE), empty_every=st.none()
)  # the same answer to the same question


# ── the same as without a stop ────────────────────────────────────────────────────────────────────────────────────────


@given(restless_slices(largest_tie=12), steady_switches, several_legs)
@property_test(max_examples=600)
def test_a_walk_in_legs_finds_out_what_a_walk_without_a_stop_does(
    held: Held, switches: Switches, legs: list[Leg]
) -> None:
    """Whatever the API is like, if it stays so: the same calls land, and the receipt says the same of them."""
    lasting = [touch for touch in held.touches if touch[1] not in {"arrives", "vanishes"}]
    held = replace(held, touches=lasting)
    assert_same(held.entries, switches, held.window, legs)


@pytest.mark.parametrize("name", NASTY)
def test_a_stop_anywhere_changes_nothing(name: str) -> None:
    """Each nasty case that stays as it is, stopped after each single answer, once and twice at the same place."""
    case = NASTY[name]
    lasting = [replace(entry, arrives=0, vanishes=None) for entry in case.entries]
    window = window_of(case.days)
    for order, cursor in product(Order, (Cursor.EXCLUSIVE, Cursor.INCLUSIVE)):
        kept = case.switches.cursor if case.switches.cursor is Cursor.IGNORED else cursor
        switches = replace(case.switches, order=order, cursor=kept, empty_every=None)
        whole, _, _ = walk_over(lasting, switches, window)
        step = 1 + whole.requests // 25
        for answers in range(0, whole.requests, step):
            assert_same(lasting, switches, window, [Leg(answers), Leg(0), Leg(1)])


@given(slices(largest_tie=12), steady_switches, st.integers(0, 3))
@property_test(max_examples=100)
def test_the_last_answer_can_be_lost(held: Held, switches: Switches, before: int) -> None:
    """A walk that dies with its receipt in hand is resumed from shortly before, and ends the same."""
    whole, _, _ = walk_over(held.entries, switches, held.window)
    saved = max(0, whole.requests - 1 - before)
    assert_same(held.entries, switches, held.window, [Leg(saved, lost=TOO_MANY)])


# ── whatever the API does ─────────────────────────────────────────────────────────────────────────────────────────────


@given(restless_slices(largest_tie=12), all_switches, several_legs)
@property_test(max_examples=1000)
def test_complete_means_the_same_of_a_walk_in_legs(held: Held, switches: Switches, legs: list[Leg]) -> None:
    """Whatever the API does: complete is only said when every lasting call was handed on before a state was saved."""
    held, switches = knowable(held, switches)
    if switches.total is Total.CAPPED:  # ties in changing order may show, by chance, just as many as are counted
        switches = replace(switches, ties=Ties.STABLE)
    api = model(held.entries, switches)
    outcome = in_legs(api, held.window, legs)
    missing = outcome.missing(api.throughout(held.window))
    short_days = {str(day) for day in outcome.receipt.short_days}
    assert outcome.complete is not bool(short_days)
    assert {one.split()[0] for one in missing} <= short_days, (outcome.receipt, missing)
    landed = sum(map(len, outcome.landed.values()))
    assert outcome.strays or outcome.receipt.distinct <= landed, "counted, but not handed on"


@given(slices(largest_tie=3), slices(largest_tie=3), usual_switches, st.sampled_from(Ties), several_legs)
@property_test(max_examples=300)
def test_calls_that_come_in_while_the_walk_is_dead_cost_no_call_its_place(
    held: Held, more: Held, switches: Switches, ties: Ties, legs: list[Leg]
) -> None:
    """In front of the cursor and behind it: what was there before lands, and at least what the API counted at first."""
    grown = [replace(entry, id=f"late {entry.id}", arrives=LATER) for entry in more.entries]
    api = model([*held.entries, *grown], replace(switches, ties=ties))
    outcome = in_legs(api, held.window, [replace(legs[0], away=LATER), *legs[1:]])
    assert not outcome.missing(api.throughout(held.window)), outcome.receipt
    assert outcome.complete, outcome.receipt
    first_count = sum(map(len, api.throughout(held.window).values()))
    assert outcome.receipt.counted is not None
    assert first_count <= outcome.receipt.counted <= outcome.receipt.distinct
    assert outcome.receipt.distinct <= sum(map(len, outcome.landed.values())) + len(outcome.strays)


# ── what is new when it goes on ───────────────────────────────────────────────────────────────────────────────────────


@given(
    slices(largest_tie=5),
    usual_switches,
    st.sampled_from(Limit),
    st.lists(st.builds(Leg, st.integers(0, 12), page_size=st.integers(1, 30)), min_size=1, max_size=4),
)
@property_test(max_examples=300)
def test_the_page_size_may_be_another_when_a_walk_goes_on(
    held: Held, switches: Switches, limit: Limit, legs: list[Leg]
) -> None:
    """The config's present page size is asked for, whatever it was before; all calls land."""
    switches = replace(switches, limit=limit, largest=6)
    api = model(held.entries, switches)
    outcome = in_legs(api, held.window, legs, page_size=9)
    assert outcome.landed == api.throughout(held.window)
    assert outcome.complete, outcome.receipt
    later = outcome.queries[sum(leg.saved for leg in legs) :]
    assert limit is not Limit.NONE or all(query.page_size >= 9 for query in later[:1])


@given(slices(largest_tie=5), usual_switches, st.integers(0, 12))
@property_test(max_examples=200)
def test_what_others_found_out_while_it_was_dead_is_heeded(held: Held, switches: Switches, answers: int) -> None:
    """A resumed walk that is told that the end is exclusive brings its last day, wherever it was."""
    api = model(held.entries, switches)
    known = Findings(end_inclusive=switches.end is End.INCLUSIVE)
    outcome = in_legs(api, held.window, [Leg(answers)], findings=known)
    assert outcome.landed == api.throughout(held.window)
    assert outcome.complete, outcome.receipt


def test_a_resumed_walk_may_have_nothing_left_to_ask() -> None:
    """What it was about to find out is known by now: it begins with its receipt."""
    walk, window = Walk(ACCOUNT, window_of(3), page_size=PAGE), window_of(3)
    api = model(at(0, "10:00:00", 3), Switches())
    query = walk.begin()
    assert isinstance(query, Query)
    page = api.answer(query)
    assert isinstance(page, Page)
    assert isinstance(walk.take(page).then, Query), "whether the end is inclusive is still to be settled"
    known = Findings(end_inclusive=True)
    resumed = Walk.resume(walk.state(), ACCOUNT, window, page_size=PAGE, findings=known)
    assert resumed is not None
    assert resumed.begin() == Receipt(requests=1, read=3, distinct=3, counted=3)


# ── what it costs ─────────────────────────────────────────────────────────────────────────────────────────────────────

DENSE = [
    *(entry for minute in range(300) for entry in at(0, f"{8 + minute // 60:02d}:{minute % 60:02d}:00")),
    *at(1, "09:00:00", 120),
    *at(1, "10:00:00", 350),
    *(entry for minute in range(250) for entry in at(1, f"{11 + minute // 60:02d}:{minute % 60:02d}:00")),
    *(entry for minute in range(300) for entry in at(2, f"{8 + minute // 60:02d}:{minute % 60:02d}:00")),
]
"""350 calls in one second of a busy day."""


@pytest.mark.parametrize("limit", [Limit.NONE, Limit.REFUSE, Limit.CLAMP])
@pytest.mark.parametrize("total", [Total.WHOLE, Total.CAPPED])
@pytest.mark.parametrize("order", Order)
def test_a_stop_costs_at_most_a_page_or_the_day_that_was_being_read(order: Order, total: Total, limit: Limit) -> None:
    """350 calls in a second, stopped at each step: a page and its wider ones are asked for twice, or a day's pages."""
    window = window_of(3)
    switches = Switches(order=order, total=total, total_cap=300, limit=limit, largest=150)
    whole, _, _ = walk_over(DENSE, switches, window, 100)
    assert whole.complete
    pages_of_the_day = 6 if limit in {Limit.REFUSE, Limit.CLAMP} else 0
    for answers in range(whole.requests):
        outcome = in_legs(model(DENSE, switches), window, [Leg(answers, page_size=100)], page_size=100)
        assert verdict(outcome.receipt) == verdict(whole.receipt), answers
        assert outcome.landed == whole.landed, answers
        assert outcome.requests <= whole.requests + max(2, pages_of_the_day - 1), answers


@pytest.mark.parametrize("order", Order)
def test_many_stops_do_not_use_up_what_mending_may_cost(order: Order) -> None:
    """A tie that takes several readings of its day is read whole, though the day was begun again a hundred times."""
    switches = Switches(order=order, limit=Limit.REFUSE, largest=6, ties=Ties.REVERSED)
    window = window_of(3)
    whole, _, _ = walk_over(GIANT, switches, window)
    assert whole.complete
    legs = [Leg(9), *[Leg(8)] * 100]  # the day is begun after nine answers
    outcome = in_legs(api := model(GIANT, switches), window, legs)
    assert outcome.requests > 800, "it was stopped within the day"
    assert outcome.complete, outcome.receipt
    assert outcome.landed == api.throughout(window)

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.harvest.far import Far
from harvester.harvest.findings import Findings
from harvester.harvest.walk import Step, Walk
from harvester.model import Page, Query, Receipt, Refusal, Window
from tests.harvest.model_api import (
    Cursor,
    End,
    Entry,
    Limit,
    ModelApi,
    Order,
    Outcome,
    Switches,
    Ties,
    Total,
    drive,
    least_requests,
)
from tests.harvest.test_walk import (
    ACCOUNT,
    FIRST_DAY,
    PAGE,
    SECONDS,
    Held,
    all_switches,
    at,
    knowable,
    property_test,
    usual_switches,
    window_of,
)
from tests.harvest.test_walk_resumed import model

INCLUSIVE = Findings(end_inclusive=True)


@dataclass(frozen=True, slots=True)
class Move:
    """What is done between two answers.

    Attributes:
        keep: About so many pages are kept, all beyond is given away, if that can be done; `None` for nothing.
        saved_before: Whether the walk is saved and resumed before that.
        saved_after: Whether it is after that.
    """

    keep: int | None = None
    saved_before: bool = False
    saved_after: bool = False


class Giver:
    """A walk that makes its moves between answers; what it gives away is collected."""

    def __init__(self, window: Window, moves: Sequence[Move], api: ModelApi, page_size: int) -> None:
        findings = INCLUSIVE if api.switches.end is End.INCLUSIVE else Findings()
        self.walk = Walk(ACCOUNT, window, page_size=page_size, findings=findings)
        self.given: list[Window] = []
        self._moves = moves
        self._api = api
        self._page_size = page_size
        self._stops = 12
        """A day that is stopped while it is mended begins again: without a bound it would never end."""

    def begin(self) -> Query | Receipt:
        """See `Walk.begin`."""
        return self.walk.begin()

    def take(self, page: Page) -> Step:
        """See `Walk.take`."""
        return self._move(self.walk.take(page))

    def refuse(self, refusal: Refusal) -> Step:
        """See `Walk.refuse`."""
        return self._move(self.walk.refuse(refusal))

    def _move(self, step: Step) -> Step:
        if isinstance(step.then, Receipt) or not self._moves:
            return step
        then: Query | Receipt = step.then
        move = self._moves[self._api.answers % len(self._moves)]
        if move.saved_before and self._stops:
            then = self._go_on_from_bytes()
        if move.keep is not None and (far := self.walk.far):
            before = self.walk.window
            given = self.walk.give_away(far, move.keep)
            assert len(self.walk.window) + len(given) == len(before), "a day was lost"
            assert {*self.walk.window, *given} == {*before}
            self.given.append(given)
            then = self.walk.begin()
        if move.saved_after and self._stops:
            then = self._go_on_from_bytes()
        return replace(step, then=then)

    def _go_on_from_bytes(self) -> Query | Receipt:
        saved, window = self.walk.state(), self.walk.window
        resumed = Walk.resume(saved, ACCOUNT, window, page_size=self._page_size, findings=Findings())
        assert resumed is not None, saved
        assert resumed.state() == saved
        self.walk = resumed
        self._stops -= 1
        then = resumed.begin()
        return replace(then, attempts=self._stops) if isinstance(then, Query) else then  # may be asked for once more


@dataclass(kw_only=True)
class Family:
    """A walk, and those over what it gave away, and what they gave away.

    Attributes:
        members: The days that each kept, and what came of it.
    """

    members: list[tuple[Window, Outcome]] = field(default_factory=list)

    @property
    def landed(self) -> dict[str, set[str]]:
        """All that they handed on, by day."""
        days: dict[str, set[str]] = {}
        for _, outcome in self.members:
            for day, ids in outcome.landed.items():
                days.setdefault(day, set()).update(ids)
        return days

    @property
    def complete(self) -> bool:
        """Whether all say so."""
        return all(outcome.complete for _, outcome in self.members)

    @property
    def requests(self) -> int:
        """Of all."""
        return sum(outcome.requests for _, outcome in self.members)


def family(api: ModelApi, window: Window, moves: Sequence[Move], page_size: int = PAGE) -> Family:
    """Walks a window and all that is given away, one after the other, and checks what must hold of any of it."""
    found, todo = Family(), [window]
    most = 50 * least_requests([len(api.entries)], 1) + 900
    while todo:
        own = todo.pop(0)
        giver = Giver(own, moves, api, page_size)
        outcome = drive(giver, api.answer, own, most)
        kept = giver.walk.window
        assert all(dt.date.fromisoformat(day) in kept for day in outcome.landed), "calls of what was given away"
        assert outcome.receipt.short_days <= frozenset(kept)
        found.members.append((kept, outcome))
        todo += giver.given
    days = sorted(day for kept, _ in found.members for day in kept)
    assert days == list(window), "each day is one walk's"
    return found


def honest(found: Family, api: ModelApi, window: Window) -> None:
    """Whatever lasted and was not handed on is said to be short, by the walk whose day it is."""
    truth = api.throughout(window)
    for kept, outcome in found.members:
        own = {day: ids for day, ids in truth.items() if dt.date.fromisoformat(day) in kept}
        short = {str(day) for day in outcome.receipt.short_days}
        missing = outcome.missing(own)
        assert outcome.complete is not bool(short)
        assert {one.split()[0] for one in missing} <= short, (kept, outcome.receipt, missing)


@st.composite
def weeks(draw: st.DrawFn, largest_tie: int, touches: Sequence[str] = ()) -> Held:
    """A slice of some days with calls in most of them."""
    days = draw(st.integers(2, 8))
    group = st.tuples(st.integers(-1, days), st.sampled_from(SECONDS), st.integers(1, largest_tie))
    groups = draw(st.lists(group, min_size=4, max_size=24, unique_by=lambda group: group[:2]))
    touched = st.tuples(st.integers(0, 40), st.sampled_from(touches or ("twice",)), st.integers(1, 12))
    return Held(days, groups, draw(st.lists(touched, max_size=6 if touches else 0)))


moves = st.lists(st.builds(Move, st.none() | st.integers(0, 6), st.booleans(), st.booleans()), min_size=1, max_size=7)
KINDS = ("arrives", "vanishes", "twice", "stray", "timeless")


# ── together they have everything ─────────────────────────────────────────────────────────────────────────────────────


@given(weeks(largest_tie=3), usual_switches, st.sampled_from(Ties), st.sampled_from(Limit), moves)
@property_test(max_examples=400)
def test_together_they_hand_on_all_there_is(
    held: Held, switches: Switches, ties: Ties, limit: Limit, made: list[Move]
) -> None:
    """Narrowed at any moment, saved and resumed at any other: all calls land, each in its own walk, all is proven."""
    api = model(held.entries, replace(switches, ties=ties, limit=limit, largest=6))
    found = family(api, held.window, made)
    assert found.landed == api.throughout(held.window)
    assert found.complete, [outcome.receipt for _, outcome in found.members]
    for kept, outcome in found.members:
        own = sum(len(ids) for day, ids in found.landed.items() if dt.date.fromisoformat(day) in kept)
        assert (outcome.receipt.distinct, outcome.receipt.counted) == (own, own), kept


@given(weeks(largest_tie=12, touches=KINDS), all_switches, moves)
@property_test(max_examples=600)
def test_complete_means_the_same_of_each_of_them(held: Held, switches: Switches, made: list[Move]) -> None:
    """Whatever the API does: none says complete while a call is missing that was there all the time."""
    held, switches = knowable(held, replace(switches, last_end=switches.last_end and held.window.end))
    if switches.total is Total.CAPPED:  # ties in changing order may show, by chance, just as many as are counted
        switches = replace(switches, ties=Ties.STABLE)
    api = model(held.entries, switches)
    honest(family(api, held.window, made), api, held.window)


@given(weeks(largest_tie=3, touches=("arrives", "vanishes")), usual_switches, st.sampled_from(Ties), moves)
@property_test(max_examples=400)
def test_what_was_always_there_lands_whatever_comes_and_goes(
    held: Held, switches: Switches, ties: Ties, made: list[Move]
) -> None:
    """Calls that come in behind the cursor or ahead of it, before or after it is counted again, cost none its place."""
    api = model(held.entries, replace(switches, ties=ties))
    found = family(api, held.window, made)
    honest(found, api, held.window)
    wanted, landed = api.throughout(held.window), found.landed
    assert all(ids <= landed.get(day, set()) for day, ids in wanted.items())


# ── the days at the border ────────────────────────────────────────────────────────────────────────────────────────────

WEEK = [entry for day in range(7) for hour in range(8, 20) for entry in at(day, f"{hour:02d}:00:00", 2)]
"""24 calls a day."""


@pytest.mark.parametrize("total", [Total.WHOLE, Total.REST])
@pytest.mark.parametrize(("order", "cursor"), list(product(Order, (Cursor.EXCLUSIVE, Cursor.INCLUSIVE))))
def test_narrowing_costs_a_count_and_no_page(order: Order, cursor: Cursor, total: Total) -> None:
    """Wherever it is narrowed: a request for its count, a page that is not full, and nothing is read twice for it."""
    switches = Switches(order=order, cursor=cursor, total=total)
    whole = family(model(WEEK, switches), window_of(7), [], page_size=10)
    given_away = 0
    for answers, keep in product(range(1, whole.requests), (0, 4, 99)):
        never = [Move()] * (whole.requests * 2)
        made = [*never[:answers], Move(keep), *never]
        found = family(model(WEEK, switches), window_of(7), made, page_size=10)
        assert found.complete
        assert len(found.members) <= 2
        assert found.requests <= whole.requests + 2 * len(found.members) - 2, (answers, keep)
        given_away += len(found.members) - 1
    assert given_away > whole.requests


def far_of(walk: Walk) -> Far | None:
    """What it could give away now."""
    return walk.far


def test_what_is_kept_is_about_as_many_pages_as_wanted() -> None:
    """The days that are kept begin where the walk is; the least is the day that it is at, the most all but one."""
    for order in Order:
        for keep, kept in [(0, 1), (2, 1), (4, 2), (7, 3), (99, 6)]:
            walk = Walk(ACCOUNT, window_of(7), page_size=10, findings=INCLUSIVE)
            query, api = walk.begin(), model(WEEK, Switches(order=order))
            assert far_of(walk) is None, "nothing is known before the first page"
            assert isinstance(query, Query)
            page = api.answer(query)
            assert isinstance(page, Page)
            walk.take(page)
            far = far_of(walk)
            assert far
            assert (far.days, far.pages, far.beyond) == (6, 15, 12)
            given = walk.give_away(far, keep)
            assert (len(walk.window), len(given)) == (kept, 7 - kept)
            first, last = window_of(7).start, window_of(7).end
            assert (walk.window.start == first) is (order is Order.ASC)
            assert (given.end == last) is (order is Order.ASC)
            assert far_of(walk) is None, "not before its calls are counted again"


@pytest.mark.parametrize("order", Order)
def test_a_day_that_a_page_ran_into_is_not_given_away(order: Order) -> None:
    """The page's last calls are of the next day, though its cursor is not: that day stays with the walk."""
    entries = [*at(0, "10:00:00", 3), *at(1, "10:00:00", 3), *at(2, "10:00:00", 9)][:: 1 if order is Order.ASC else -1]
    if order is Order.DESC:
        entries = [*at(2, "10:00:00", 3), *at(1, "10:00:00", 3), *at(0, "10:00:00", 9)]
    walk, api = Walk(ACCOUNT, window_of(3), page_size=4, findings=INCLUSIVE), model(entries, Switches(order=order))
    query = walk.begin()
    assert isinstance(query, Query)
    page = api.answer(query)
    assert isinstance(page, Page)
    step = walk.take(page)
    assert isinstance(step.then, Query)
    assert (step.then.after or "")[:10] != page.calls[-1].day
    far = walk.far
    assert far
    assert far.days == 1


# ── when nothing may be given away ────────────────────────────────────────────────────────────────────────────────────


def far_after(
    entries: Sequence[Entry], switches: Switches, findings: Findings = INCLUSIVE, days: int = 3
) -> list[bool]:
    """Whether anything could be given away, after each answer."""
    walk, api = Walk(ACCOUNT, window_of(days), page_size=PAGE, findings=findings), model(entries, switches)
    then, could = walk.begin(), list[bool]()
    while isinstance(then, Query):
        answer = api.answer(then)
        then = (walk.take(answer) if isinstance(answer, Page) else walk.refuse(answer)).then
        could.append(walk.far is not None)
    return could


BUSY = [entry for day in range(3) for hour in range(8, 16) for entry in at(day, f"{hour:02d}:00:00")]
STRAY = [replace(BUSY[0], stray=True), *BUSY[1:-1], replace(BUSY[-1], stray=True)]
LATE = [*BUSY, *at(2, "23:00:00", 1, "late")]


def test_it_can_give_away_until_it_has_come_to_the_last_day() -> None:
    """From the first answer on, as long as a whole day is ahead."""
    assert far_after(BUSY, Switches())[:6] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("entries", "switches", "findings"),
    [
        (BUSY, Switches(total=Total.ABSENT), INCLUSIVE),
        (BUSY, Switches(cursor=Cursor.IGNORED, depth=4), INCLUSIVE),
        (BUSY, Switches(end=End.EXCLUSIVE), Findings()),
        (BUSY, Switches(end=End.EXCLUSIVE), Findings(end_inclusive=False)),
        (STRAY, Switches(), INCLUSIVE),
        (at(0, "10:00:00", 24), Switches(order=Order.ASC, limit=Limit.REFUSE, largest=PAGE), INCLUSIVE),
    ],
    ids=["no count", "no cursor", "no end", "an exclusive end", "a stray", "no direction"],
)
def test_it_gives_nothing_away_while_it_might_not_be_proven(
    entries: Sequence[Entry], switches: Switches, findings: Findings
) -> None:
    """Without a count, a cursor, an order, the last day; with a record of no day: the walk stays as it is."""
    assert not any(far_after(entries, switches, findings)[1:]), switches


@pytest.mark.parametrize(
    ("order", "total"), [(Order.DESC, Total.WHOLE), (Order.ASC, Total.WHOLE), (Order.ASC, Total.REST)]
)
def test_it_gives_nothing_away_once_a_call_has_come_in(order: Order, total: Total) -> None:
    """A call behind the cursor would be counted and not be read, so that all would have to be read again."""
    late = [replace(entry, arrives=2) if "late" in entry.id else entry for entry in LATE]
    could = far_after(late, Switches(order=order, total=total))
    assert could[:2] == [True, True]
    assert not any(could[2:])


def test_it_gives_nothing_away_while_it_mends() -> None:
    """Once the window was read, what is missing is looked for, day by day."""
    hidden = [*BUSY, *BUSY[:1]]  # counted, and never there
    could = far_after(hidden, Switches())
    assert any(could[:3])
    assert not any(could[7:])


def test_a_count_that_is_refused_leads_to_halves() -> None:
    """The reading is not believed then; its halves are read, each with its own count."""
    walk, api = Walk(ACCOUNT, window_of(3), page_size=PAGE, findings=INCLUSIVE), model(BUSY, Switches())
    then = walk.begin()
    assert isinstance(then, Query)
    page = api.answer(then)
    assert isinstance(page, Page)
    walk.take(page)
    far = walk.far
    assert far
    given = walk.give_away(far, 4)
    assert given == Window(FIRST_DAY, FIRST_DAY)
    then = walk.begin()
    assert isinstance(then, Query)
    assert (then.window, then.after) == (walk.window, None)
    refusals = 0
    while isinstance(then, Query) and then.window == walk.window:
        assert then.after is None, "nothing is read before it is counted"
        then, refusals = walk.refuse(Refusal.PAGE_SIZE).then, refusals + 1
    assert refusals > 1, "smaller pages are tried"
    assert isinstance(then, Query)
    assert (then.window, then.after) == (walk.window.halves()[0], None)


def test_without_a_new_count_nothing_is_proven() -> None:
    """An API that stops to count: all lands, and the slice is said to be short, as one that never was counted."""
    walk, api = Walk(ACCOUNT, window_of(3), page_size=PAGE, findings=INCLUSIVE), model(BUSY, Switches())
    then, ids = walk.begin(), set[str]()
    while isinstance(then, Query):
        page = api.answer(then)
        assert isinstance(page, Page)
        step = walk.take(page if api.answers == 1 else replace(page, total=None))
        then, ids = step.then, ids | {call.id for call in step.calls}
        if api.answers == 1 and (far := walk.far):
            walk.give_away(far, 4)
            then = walk.begin()
    assert len(ids) == 16
    assert (then.counted, then.distinct, then.short_days) == (None, 16, frozenset(walk.window))


def test_what_a_stop_wasted_might_have_brought_calls_of_other_days() -> None:
    """A reading that began again within its first page may meet others than it did at first: it gives nothing away."""
    api = model([*at(2, "23:00:00", 6), *BUSY], Switches())
    walk: Walk | None = Walk(ACCOUNT, window_of(3), page_size=PAGE, findings=INCLUSIVE)
    assert walk
    then = walk.begin()
    assert isinstance(then, Query)
    page = api.answer(then)
    assert isinstance(page, Page)
    wider = walk.take(page).then
    assert isinstance(wider, Query)
    assert wider.page_size > PAGE
    walk = Walk.resume(walk.state(), ACCOUNT, window_of(3), page_size=PAGE, findings=INCLUSIVE)
    assert walk
    then, could = walk.begin(), list[bool]()
    while isinstance(then, Query):
        page = api.answer(then)
        assert isinstance(page, Page)
        then = walk.take(page).then
        could.append(walk.far is not None)
    assert then.reason is None
    assert not any(could)

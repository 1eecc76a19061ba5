import datetime as dt
import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.calls import Call, Calls, Stray
from harvester.harvest.findings import Findings
from harvester.harvest.walk import Walk
from harvester.model import AccountId, Page, Query, Receipt, Refusal, Window
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

ACCOUNT = AccountId(20458)
FIRST_DAY = dt.date(2024, 2, 28)  # a leap year's end of February
SECONDS = ("00:00:00", "00:00:01", "09:30:00", "09:30:01", "12:00:00", "23:59:59")
PAGE = 4  # small, so that small examples have many pages
property_test = partial(settings, derandomize=True, deadline=None)


def window_of(days: int) -> Window:
    """The slice of the tests."""
    return Window(FIRST_DAY, FIRST_DAY + dt.timedelta(days=days - 1))


def at(day: int, clock: str, count: int = 1, tag: str = "") -> list[Entry]:
    """Calls of one second; ids that are in no order."""
    date = FIRST_DAY + dt.timedelta(days=day)
    return [Entry(id=f"{i * 7919 % 10007:05d}-{tag}{date:%m%d}-{clock}", start=f"{date} {clock}") for i in range(count)]


def walk_over(
    entries: Sequence[Entry],
    switches: Switches,
    window: Window,
    page_size: int = PAGE,
    findings: Findings | None = None,
) -> tuple[Outcome, ModelApi, Walk]:
    """A walk to its end over a new model."""
    api = ModelApi(entries, switches, Random(11))  # noqa: S311 - a model, not a secret
    walk = Walk(ACCOUNT, window, page_size=page_size, findings=findings or Findings())
    smallest = min(page_size, switches.largest) if switches.limit is not Limit.NONE else page_size
    generous = 50 * least_requests([len(entries)], smallest) + 500
    return drive(walk, api.answer, window, generous), api, walk


# ── what the API may hold ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Held:
    """What the API holds, in few words, so that a failing example can be read.

    Attributes:
        days: Of the slice.
        groups: Day from the slice's first (-1 and `days` are foreign), second, how many calls.
        touches: Which call, what becomes of it, after how many answers.
    """

    days: int
    groups: Sequence[tuple[int, str, int]]
    touches: Sequence[tuple[int, str, int]] = ()

    @property
    def window(self) -> Window:
        """The slice."""
        return window_of(self.days)

    @property
    def entries(self) -> list[Entry]:
        """All calls, in the slice and around it."""
        entries = [entry for day, clock, count in self.groups for entry in at(day, clock, count)]
        last = sorted(self.touches, key=lambda touch: touch[1] == "twice")  # twice, not once so and once otherwise
        for number, touch, answers in last if entries else ():
            where = number % len(entries)
            match touch:
                case "arrives":
                    entries[where] = replace(entries[where], arrives=answers, vanishes=None)
                case "vanishes":
                    entries[where] = replace(entries[where], arrives=0, vanishes=answers)
                case "twice":
                    entries.append(entries[where])
                case "stray":
                    entries[where] = replace(entries[where], stray=True)
                case _:
                    entries[where] = replace(entries[where], timeless=True)
        return entries


@st.composite
def slices(draw: st.DrawFn, largest_tie: int) -> Held:
    """A slice, and calls in it and around it: few seconds, each with up to `largest_tie` calls."""
    days = draw(st.integers(1, 3))
    group = st.tuples(st.integers(-1, days), st.sampled_from(SECONDS), st.integers(1, largest_tie))
    return Held(days, draw(st.lists(group, max_size=9, unique_by=lambda group: group[:2])))


@st.composite
def restless_slices(draw: st.DrawFn, largest_tie: int) -> Held:
    """As `slices`, with calls that arrive, vanish, are listed twice, or cannot be placed."""
    kinds = st.sampled_from(["arrives", "vanishes", "twice", "stray", "timeless"])
    touches = st.lists(st.tuples(st.integers(0, 40), kinds, st.integers(1, 9)), max_size=6)
    return replace(draw(slices(largest_tie)), touches=draw(touches))


def knowable(held: Held, switches: Switches) -> tuple[Held, Switches]:
    """The same without what no client can tell from the truth, however it asks.

    Where an answer may be empty, or a page shorter than it says, only the count shows that something is missing: a
    count that is too low cannot be seen through then, nor where pages are refused. Where pages go by number, arrivals
    can make up for the calls they hide: any count fits.
    """
    if switches.total is Total.CAPPED:
        honest = switches.limit in {Limit.NONE, Limit.REFUSE, Limit.CLAMP}
        switches = replace(switches, empty_every=None, depth=None, limit=switches.limit if honest else Limit.CLAMP)
    by_cursor = switches.cursor is not Cursor.IGNORED and switches.limit is Limit.NONE
    if not by_cursor or switches.empty_every is not None:
        held = replace(held, touches=[touch for touch in held.touches if touch[1] != "arrives"])
    return held, switches


all_switches = st.builds(
    Switches,
    order=st.sampled_from(Order),
    cursor=st.sampled_from(Cursor),
    ties=st.sampled_from(Ties),
    limit=st.sampled_from(Limit),
    largest=st.integers(1, 8),
    depth=st.none() | st.integers(8, 24),
    total=st.sampled_from(Total),
    total_cap=st.integers(9, 30),
    end=st.sampled_from(End),
    empty_every=st.none() | st.integers(2, 6),
    last_end=st.none() | st.sampled_from([FIRST_DAY + dt.timedelta(days=2)]),
)


# ── the model bites, and only where it should ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class NaiveStep:
    """What `Naive` hands back."""

    calls: Sequence[Call]
    then: Query | Receipt
    strays: Sequence[Stray] = ()


class Naive:
    """The walk that the API's page suggests: pass the last second on until nothing comes."""

    def __init__(self, window: Window) -> None:
        self.query = Query(account_id=ACCOUNT, window=window, page=1, page_size=PAGE)
        self.requests = self.read = 0

    def begin(self) -> Query:
        """The first page."""
        return self.query

    def take(self, page: Page) -> NaiveStep:
        """On from the last second."""
        self.requests += 1
        self.read += page.rows
        if not page.calls:
            return NaiveStep((), Receipt(requests=self.requests, read=self.read, distinct=0, counted=None))
        self.query = replace(self.query, after=page.calls[-1].start)
        return NaiveStep(page.calls, self.query)

    def refuse(self, refusal: Refusal) -> NaiveStep:
        """Never asked for anything that could be refused."""
        raise AssertionError(refusal)


def naively(entries: Sequence[Entry], switches: Switches) -> set[str]:
    """What the naive walk misses."""
    api = ModelApi(entries, switches)
    window = window_of(3)
    return drive(Naive(window), api.answer, window, 500).missing(api.throughout(window))


APART = [entry for day in range(-1, 4) for hour in range(10) for entry in at(day, f"1{hour}:00:00")]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("total", Total)
def test_the_model_gives_a_naive_walk_everything_when_no_second_is_shared(order: Order, total: Total) -> None:
    """Without ties the walk that the API's page suggests misses nothing."""
    assert not naively(APART, Switches(order=order, total=total))


@pytest.mark.parametrize("order", Order)
def test_the_model_loses_a_naive_walk_calls_in_ties(order: Order) -> None:
    """A tie across a page's end costs the naive walk calls."""
    assert naively([*APART, *at(1, "12:00:00", PAGE + 1, "x")], Switches(order=order))


def test_the_model_shows_a_naive_walk_no_last_day_when_its_end_is_exclusive() -> None:
    """An exclusive end hides the slice's last day."""
    assert len(naively(APART, Switches(end=End.EXCLUSIVE))) == 10
    assert len(naively([*APART, *at(2, "00:00:00")], Switches(end=End.MIDNIGHT))) == 10


@given(slices(3), all_switches)
@property_test(max_examples=100)
def test_the_model_lists_all_of_a_day_by_page_numbers(held: Held, switches: Switches) -> None:
    """Page numbers alone give each call once, in order, when ties are stable and nothing is refused."""
    window, entries = held.window, held.entries
    calm = replace(
        switches, ties=Ties.STABLE, depth=None, limit=Limit.NONE, end=End.INCLUSIVE, empty_every=None, last_end=None
    )
    api = ModelApi(entries, calm)
    listed: list[Call] = []
    for page in range(1, 20):
        answered = api.answer(Query(account_id=ACCOUNT, window=window, page=page, page_size=PAGE))
        assert isinstance(answered, Page)
        listed.extend(answered.calls)
    assert len(listed) == sum(len(ids) for ids in api.throughout(window).values())
    assert listed == sorted(listed, key=lambda call: call.start, reverse=calm.order is Order.DESC)


# ── every benign answer to every open question ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", [End.INCLUSIVE, End.EXCLUSIVE, End.MIDNIGHT])
@pytest.mark.parametrize("total", [Total.WHOLE, Total.REST])
@pytest.mark.parametrize("cursor", [Cursor.EXCLUSIVE, Cursor.INCLUSIVE])
@pytest.mark.parametrize("order", Order)
def test_every_call_lands_under_every_benign_combination(order: Order, cursor: Cursor, total: Total, end: End) -> None:
    """Ties smaller than the largest page: all calls land, nothing else does, and the receipt says complete."""
    base = Switches(order=order, cursor=cursor, total=total, end=end, largest=6)

    @given(slices(largest_tie=5))
    @property_test(max_examples=12)
    def check(held: Held) -> None:
        window, entries = held.window, held.entries
        for ties, limit in product((Ties.STABLE, Ties.REVERSED), Limit):
            for page_size in (PAGE, 10):
                switches = replace(base, ties=ties, limit=limit)
                outcome, api, _ = walk_over(entries, switches, window, page_size)
                expected = api.throughout(window)
                assert outcome.landed == expected, switches
                assert outcome.complete, (switches, outcome.receipt)
                count = sum(len(ids) for ids in expected.values())
                assert outcome.receipt.distinct == count, (switches, outcome.receipt)

    check()


@given(slices(largest_tie=3), all_switches)
@property_test(max_examples=150)
def test_a_calm_walk_hands_each_call_on_once(held: Held, switches: Switches) -> None:
    """Ties smaller than the page and an API that does as it is asked: no call is handed on twice."""
    window, entries = held.window, held.entries
    calm = replace(
        switches,
        limit=Limit.NONE,
        depth=None,
        empty_every=None,
        end=End.INCLUSIVE,
        cursor=Cursor.EXCLUSIVE if switches.cursor is Cursor.IGNORED else switches.cursor,
        total=Total.WHOLE,
    )
    outcome, api, _ = walk_over(entries, calm, window, findings=Findings(end_inclusive=True))
    assert outcome.landed == api.throughout(window)
    assert outcome.handed_on == sum(len(ids) for ids in outcome.landed.values())
    assert outcome.complete, outcome.receipt


# ── ties larger than a page ───────────────────────────────────────────────────────────────────────────────────────────

usual_switches = st.builds(
    Switches,
    order=st.sampled_from(Order),
    cursor=st.sampled_from([Cursor.EXCLUSIVE, Cursor.INCLUSIVE]),
    total=st.sampled_from([Total.WHOLE, Total.REST]),
    end=st.sampled_from(End),
)


@given(slices(largest_tie=20), usual_switches, st.sampled_from(Ties), st.sampled_from(Limit))
@property_test(max_examples=150)
def test_a_tie_larger_than_the_page_lands_on_a_larger_page(
    held: Held, switches: Switches, ties: Ties, limit: Limit
) -> None:
    """Ties that only a raised page size can hold land whole, in any order of ties."""
    window, entries = held.window, held.entries
    outcome, api, _ = walk_over(entries, replace(switches, ties=ties, limit=limit, largest=24), window)
    assert outcome.landed == api.throughout(window)
    assert outcome.complete, outcome.receipt


@given(slices(largest_tie=30), usual_switches, st.sampled_from([limit for limit in Limit if limit is not Limit.NONE]))
@property_test(max_examples=150)
def test_a_tie_larger_than_any_page_lands_by_page_numbers(held: Held, switches: Switches, limit: Limit) -> None:
    """Ties that no page can hold land whole by page numbers, when ties are stable and depth is free."""
    window, entries = held.window, held.entries
    outcome, api, _ = walk_over(entries, replace(switches, limit=limit, largest=5), window)
    assert outcome.landed == api.throughout(window)
    assert outcome.complete, outcome.receipt


GIANT = [
    *at(0, "10:00:00", 3),
    *at(1, "09:00:00", 3),
    *at(1, "10:00:00", 40),
    *at(1, "11:00:00", 3),
    *at(2, "10:00:00"),
]


@pytest.mark.parametrize("depth", [6, 12, 30])
@pytest.mark.parametrize("ties", Ties)
@pytest.mark.parametrize("limit", [Limit.REFUSE, Limit.CLAMP, Limit.CLAMP_ECHO_ASKED, Limit.CLAMP_NO_ECHO])
@pytest.mark.parametrize("cursor", [Cursor.EXCLUSIVE, Cursor.INCLUSIVE])
@pytest.mark.parametrize("order", Order)
def test_a_tie_beyond_reach_is_said_to_be_short(
    order: Order, cursor: Cursor, limit: Limit, ties: Ties, depth: int
) -> None:
    """A tie deeper than the API serves: all other calls land, a page of the tie too, and the receipt says short."""
    switches = Switches(order=order, cursor=cursor, limit=limit, largest=6, ties=ties, depth=depth)
    outcome, api, _ = walk_over(GIANT, switches, window_of(3))
    missing = outcome.missing(api.throughout(window_of(3)))
    assert {call for call in missing if "10:00:00" not in call or "0229" not in call} == set()
    assert len(missing) <= 40 - 6
    assert not (outcome.complete and missing), outcome.receipt
    assert outcome.complete or missing or ties is not Ties.STABLE, outcome.receipt


@pytest.mark.parametrize("cursor", Cursor)
@pytest.mark.parametrize("order", Order)
def test_a_shuffled_tie_beyond_any_page_is_landed_or_said_to_be_short(order: Order, cursor: Cursor) -> None:
    """Page numbers over a shuffled tie may miss calls, and then the receipt does not say complete."""
    switches = Switches(order=order, cursor=cursor, limit=Limit.REFUSE, largest=6, ties=Ties.SHUFFLED)
    outcome, api, _ = walk_over(GIANT, switches, window_of(3))
    missing = outcome.missing(api.throughout(window_of(3)))
    assert all("0229-10:00:00" in call for call in missing)
    assert not (outcome.complete and missing), outcome.receipt


# ── the central property ──────────────────────────────────────────────────────────────────────────────────────────────


@given(restless_slices(largest_tie=12), all_switches)
@property_test(max_examples=1500)
def test_complete_means_that_nothing_that_was_always_there_is_missing(held: Held, switches: Switches) -> None:
    """Whatever the API does: the walk ends, and complete is only said when every lasting call has landed."""
    held, switches = knowable(held, switches)
    outcome, api, _ = walk_over(held.entries, switches, held.window)
    missing = outcome.missing(api.throughout(held.window))
    short_days = {str(day) for day in outcome.receipt.short_days}
    assert outcome.complete is not bool(short_days)
    assert {one.split()[0] for one in missing} <= short_days, (outcome.receipt, missing)
    assert outcome.complete or outcome.receipt.reason, "short without a reason"


@given(restless_slices(largest_tie=3), usual_switches, st.sampled_from(Ties))
@property_test(max_examples=300)
def test_what_was_always_there_lands_whatever_else_comes_and_goes(held: Held, switches: Switches, ties: Ties) -> None:
    """Calls that arrive, vanish, are listed twice or cannot be placed cost no other call its place."""
    window, entries = held.window, held.entries
    outcome, api, _ = walk_over(entries, replace(switches, ties=ties), window)
    assert not outcome.missing(api.throughout(window)), outcome.receipt


@given(slices(largest_tie=3), usual_switches)
@property_test(max_examples=100)
def test_without_a_count_all_lands_but_nothing_is_proven(held: Held, switches: Switches) -> None:
    """No `total_number`: every call lands, and the receipt says why it cannot say complete."""
    window, entries = held.window, held.entries
    outcome, api, _ = walk_over(entries, replace(switches, total=Total.ABSENT), window)
    assert outcome.landed == api.throughout(window)
    assert outcome.receipt.counted is None
    assert outcome.receipt.reason


@given(restless_slices(largest_tie=3))
@property_test(max_examples=100)
def test_strays_are_handed_on(held: Held) -> None:
    """What cannot be placed is handed on as well, and the receipt counts it."""
    window, entries = held.window, held.entries
    lasting = [replace(entry, arrives=0, vanishes=None) for entry in entries]
    outcome, api, _ = walk_over(lasting, Switches(), window)
    strays = {
        entry.id for entry in lasting if not entry.placeable and dt.date.fromisoformat(entry.start[:10]) in window
    }
    assert strays <= outcome.strays
    assert not outcome.missing(api.throughout(window))


# ── what it costs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def business_calls(rng: Random, count: int, days: int) -> list[Entry]:
    """Calls in business hours; 2 % of them share the second of the one before."""
    entries: list[Entry] = []
    for i in range(count):
        day = FIRST_DAY + dt.timedelta(days=rng.randrange(days))
        start = f"{day} {rng.randrange(8, 22):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
        entries.append(Entry(id=f"c{i}", start=entries[-1].start if entries and rng.random() < 0.02 else start))
    return entries


def fleet(rng: Random) -> list[list[Entry]]:
    """300 accounts' month: Zipf from 20,000 calls down, the smallest have none; in no order of size."""
    counts = [int(20_000 / rank**1.1) if rank <= 270 else 0 for rank in range(1, 301)]
    rng.shuffle(counts)
    return [business_calls(rng, int(count * rng.uniform(0.9, 1.0)), 30) for count in counts]


@pytest.mark.parametrize("total", [Total.WHOLE, Total.REST])
@pytest.mark.parametrize("cursor", [Cursor.EXCLUSIVE, Cursor.INCLUSIVE])
@pytest.mark.parametrize("order", Order)
def test_a_fleet_costs_hardly_more_than_the_least_possible(order: Order, cursor: Cursor, total: Total) -> None:
    """At most 3 % more requests than a client that knows everything beforehand."""
    accounts = fleet(Random(5))  # noqa: S311 - seeded data
    window = window_of(30)
    switches = Switches(order=order, cursor=cursor, total=total)
    findings, requests = Findings(), 0
    for entries in accounts:
        outcome, api, walk = walk_over(entries, switches, window, 100, findings)
        findings = walk.findings
        requests += outcome.requests
        assert outcome.complete, outcome.receipt
        assert outcome.landed == api.throughout(window)
    least = least_requests(map(len, accounts), 100)
    assert requests <= 1.03 * least, f"{requests} / {least} = {requests / least:.4f}"


@pytest.mark.parametrize("cursor", [Cursor.EXCLUSIVE, Cursor.INCLUSIVE])
@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("end", [End.INCLUSIVE, End.EXCLUSIVE])
@pytest.mark.parametrize("count", [0, 1, 57, 99])
def test_a_slice_of_one_page_is_one_request(order: Order, cursor: Cursor, end: End, count: int) -> None:
    """Empty or one page: one request once the end of a window is known, at most one more before."""
    switches = Switches(order=order, cursor=cursor, end=end)
    window = window_of(30)
    _, _, teacher = walk_over(at(29, "10:00:00", 3) + at(3, "10:00:00"), switches, window, 100)
    assert teacher.findings.end_inclusive is (end is End.INCLUSIVE)
    for last_day in (False, True):
        entries = [
            entry for i in range(count) for entry in at(29 if last_day else i % 29, f"10:{i // 60:02d}:{i % 60:02d}")
        ]
        known, _, _ = walk_over(entries, switches, window, 100, teacher.findings)
        unknown, _, _ = walk_over(entries, switches, window, 100)
        assert known.requests == 1, known.queries
        shown = bool(last_day and count)
        if end is End.INCLUSIVE:
            assert unknown.requests <= 2 - shown, unknown.queries
        else:
            assert unknown.requests <= 3, (
                unknown.queries
            )  # once in a run: it learns that the end is exclusive, and reads again
        assert known.complete
        assert unknown.complete


# ── what it holds ─────────────────────────────────────────────────────────────────────────────────────────────────────


def deep_size(root: object) -> int:
    """Bytes of everything that can be reached from an object, code apart."""
    seen: set[int] = set()
    todo, size = [root], 0
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type) or callable(thing) or type(thing).__name__ == "module":
            continue
        seen.add(id(thing))
        size += sys.getsizeof(thing)
        todo.extend((thing.id, thing.start, thing.line) if isinstance(thing, Call) else gc.get_referents(thing))
    return size


def endless(query: Query, *, order: Order, cursor: Cursor, count: int) -> Page:
    """A page of a month with a call every 25 s, every hundredth of them sharing its second with the one before."""

    def call(i: int) -> Call:
        slot = i - (i % 100 == 99)
        start = dt.datetime.combine(FIRST_DAY, dt.time()) + dt.timedelta(seconds=25 * slot)
        return Call(f"clouspstn_16-230110-{i:060d}", start.isoformat(" "), b"{}")

    first = 0 if order is Order.ASC else count - 1
    step = 1 if order is Order.ASC else -1
    if query.after is not None:
        seconds = (dt.datetime.fromisoformat(query.after) - dt.datetime.combine(FIRST_DAY, dt.time())).total_seconds()
        first = int(seconds) // 25 - 2 * step
        before = cursor is Cursor.EXCLUSIVE
        while (step * (call(first).start > query.after) - step * (call(first).start < query.after)) < before:
            first += step
    calls = [call(i) for i in range(first, first + step * query.page_size, step) if 0 <= i < count]
    assert query.window == window_of(29), "the last day has calls: nothing else needs to be asked"
    return Page(calls=Calls.of(calls), total=count, page_size=query.page_size)


@pytest.mark.parametrize("cursor", [Cursor.EXCLUSIVE, Cursor.INCLUSIVE])
@pytest.mark.parametrize("order", Order)
def test_a_long_walk_holds_no_more_than_a_few_pages(order: Order, cursor: Cursor) -> None:
    """After a thousand pages the walk is as small as after ten."""
    window = window_of(29)
    walk = Walk(ACCOUNT, window)
    sizes: list[int] = []

    def answer(query: Query) -> Page:
        sizes.append(deep_size(walk) if len(sizes) % 50 == 20 else 0)
        return endless(query, order=order, cursor=cursor, count=100_000)

    outcome = drive(walk, answer, window, 1_100)
    assert outcome.complete, outcome.receipt
    assert sum(len(ids) for ids in outcome.landed.values()) == 100_000
    assert outcome.requests >= 1_000
    assert max(sizes) < 100_000, sizes[20::50]


# ── nasty cases, by name ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Case:
    """A nasty case.

    Attributes:
        entries: What the API holds.
        switches: How it behaves, order and cursor apart.
        days: Of the slice.
        page_size: Asked for.
        complete: Whether the receipt may and must say so; `None`: either, if true.
        most: Requests, if that matters.
        beyond_any_page: It has a tie that only page numbers can read: in unstable order, nothing is promised.
    """

    entries: Sequence[Entry]
    switches: Switches = Switches()  # noqa: RUF009 - frozen
    days: int = 3
    page_size: int = PAGE
    complete: bool | None = True
    most: int | None = None
    beyond_any_page: bool = False


SPREAD = [entry for day in range(3) for minute in range(8) for entry in at(day, f"10:{minute:02d}:00")]
NASTY = {
    "nothing at all": Case(entries=[], most=2),
    "one call, on the last day": Case(entries=at(2, "23:59:59"), most=1),
    "one call, at the first midnight": Case(entries=at(0, "00:00:00"), most=2),
    "only foreign calls": Case(entries=at(-1, "23:59:59", 9) + at(3, "00:00:00", 3), most=2),
    "a tie across the page's end": Case(entries=[*at(1, "10:00:00"), *at(1, "10:00:01", 3), *at(1, "10:00:02", 3)]),
    "ties of two, all along": Case(entries=[entry for i in range(20) for entry in at(1, f"10:00:{i:02d}", 2)]),
    "ties of a page less one, all along": Case(
        entries=[e for i in range(9) for e in at(1, f"10:00:{i:02d}", PAGE - 1)]
    ),
    "ties of exactly a page, all along": Case(entries=[e for i in range(9) for e in at(1, f"10:00:{i:02d}", PAGE)]),
    "ties of a page and one, all along": Case(entries=[e for i in range(9) for e in at(1, f"10:00:{i:02d}", PAGE + 1)]),
    "one second, many pages": Case(entries=at(1, "10:00:00", 50)),
    "one second, many pages, clamped in silence": Case(
        entries=at(1, "10:00:00", 50),
        switches=Switches(limit=Limit.CLAMP_NO_ECHO, largest=PAGE),
        beyond_any_page=True,
    ),
    "two giant ties side by side, no page larger": Case(
        entries=[*at(1, "10:00:00", 17), *at(1, "10:00:01", 17)],
        switches=Switches(limit=Limit.REFUSE, largest=PAGE),
        beyond_any_page=True,
    ),
    "a giant tie at both ends of the slice": Case(
        entries=[*at(0, "00:00:00", 17), *at(2, "23:59:59", 17)],
        switches=Switches(limit=Limit.CLAMP, largest=PAGE),
        beyond_any_page=True,
    ),
    "a giant tie on each day, depth too small": Case(
        entries=[e for day in range(3) for e in at(day, "10:00:00", 30)],
        switches=Switches(limit=Limit.REFUSE, largest=PAGE, depth=20),
        complete=False,
        beyond_any_page=True,
    ),
    "page size refused down to one": Case(entries=SPREAD, switches=Switches(limit=Limit.REFUSE, largest=1)),
    "clamped to one in silence": Case(entries=SPREAD, switches=Switches(limit=Limit.CLAMP_NO_ECHO, largest=1)),
    "clamped to one in silence, ties of two": Case(
        entries=SPREAD + at(1, "10:00:00", 1, "twin"),
        switches=Switches(limit=Limit.CLAMP_ECHO_ASKED, largest=1),
        beyond_any_page=True,
    ),
    "clamped to half, the echo lies": Case(
        entries=SPREAD, switches=Switches(limit=Limit.CLAMP_ECHO_ASKED, largest=5), page_size=10
    ),
    "end exclusive, calls only on the last day": Case(
        entries=at(2, "10:00:00", 3), switches=Switches(end=End.EXCLUSIVE), most=4
    ),
    "end exclusive, a slice of one day": Case(
        entries=at(0, "10:00:00", 3), switches=Switches(end=End.EXCLUSIVE), days=1, most=4
    ),
    "end exclusive, 31 days: no window can reach one day further": Case(
        entries=[e for day in range(31) for e in at(day, "10:00:00", 3)], switches=Switches(end=End.EXCLUSIVE), days=31
    ),
    "end at midnight, 31 days": Case(
        entries=[e for day in range(31) for e in at(day, "00:00:00") + at(day, "10:00:00", 2)],
        switches=Switches(end=End.MIDNIGHT),
        days=31,
    ),
    "end inclusive, 31 days, the last one empty": Case(
        entries=[e for day in range(30) for e in at(day, "10:00:00", 2)], days=31
    ),
    "end at midnight, one call there and more after": Case(
        entries=[*at(1, "10:00:00", 3), *at(2, "00:00:00"), *at(2, "00:00:01", 3)], switches=Switches(end=End.MIDNIGHT)
    ),
    "end at midnight, foreign calls at the next midnight": Case(
        entries=[*at(1, "10:00:00", 3), *at(2, "10:00:00"), *at(3, "00:00:00", 9)], switches=Switches(end=End.MIDNIGHT)
    ),
    "end inclusive, the last day empty, many foreign calls after": Case(
        entries=[*at(1, "10:00:00", 3), *(e for i in range(60) for e in at(3, f"10:00:{i:02d}"))], most=3
    ),
    "end exclusive, and the answer that would show it is empty": Case(
        entries=at(0, "10:00:00", 3) + at(2, "10:00:00", 3),
        switches=Switches(end=End.EXCLUSIVE, empty_every=2),
        complete=None,
    ),
    "end exclusive, no count": Case(
        entries=at(0, "10:00:00", 3) + at(2, "10:00:00", 3),
        switches=Switches(end=End.EXCLUSIVE, total=Total.ABSENT),
        complete=False,
    ),
    "end exclusive, a tie that lacks calls before it is known": Case(
        entries=at(0, "10:00:00", 5),
        switches=Switches(end=End.EXCLUSIVE, limit=Limit.REFUSE, largest=PAGE),
        days=2,
        beyond_any_page=True,
    ),
    "end exclusive, many foreign calls after": Case(
        entries=[*at(2, "10:00:00", 3), *at(3, "10:00:00", 40)], switches=Switches(end=End.EXCLUSIVE)
    ),
    "no end_date in the future": Case(
        entries=at(1, "10:00:00", 3), switches=Switches(last_end=FIRST_DAY + dt.timedelta(days=2))
    ),
    "search_after ignored": Case(entries=SPREAD, switches=Switches(cursor=Cursor.IGNORED)),
    "search_after ignored, more pages than mending would seem to need": Case(
        entries=[e for day in range(3) for i in range(400) for e in at(day, f"10:{i // 60:02d}:{i % 60:02d}")],
        switches=Switches(cursor=Cursor.IGNORED),
    ),
    "search_after ignored, depth too small for the slice": Case(
        entries=SPREAD, switches=Switches(cursor=Cursor.IGNORED, depth=12), complete=None
    ),
    "every second answer empty": Case(entries=SPREAD, switches=Switches(empty_every=2), complete=None),
    "every third answer empty": Case(entries=SPREAD, switches=Switches(empty_every=3), complete=None),
    "no count": Case(entries=SPREAD, switches=Switches(total=Total.ABSENT), complete=False),
    "the count stops at the first page": Case(
        entries=SPREAD, switches=Switches(total=Total.CAPPED, total_cap=PAGE), complete=None
    ),
    "the count stops at a full page": Case(
        entries=SPREAD, switches=Switches(total=Total.CAPPED, total_cap=2 * PAGE), complete=None
    ),
    "the count stops within a page": Case(
        entries=SPREAD, switches=Switches(total=Total.CAPPED, total_cap=2 * PAGE + 1), complete=None
    ),
    "the count is of the rest": Case(entries=SPREAD, switches=Switches(total=Total.REST)),
    "as many calls as fit on the pages": Case(entries=at(1, "10:00:00") + at(1, "10:00:01") + at(2, "10:00:00", 2)),
    "all are strays without an id": Case(entries=[replace(e, stray=True) for e in SPREAD], complete=None),
    "all are strays without a time": Case(entries=[replace(e, timeless=True) for e in SPREAD], complete=None),
    "a page of strays after a page of calls": Case(
        entries=SPREAD + [replace(e, timeless=True) for e in at(1, "11:00:00", 6)], complete=None
    ),
    "a call listed twice, on two pages": Case(entries=SPREAD + at(1, "10:04:00"), complete=None),
    "a call listed twice, counted once": Case(
        entries=SPREAD + at(1, "10:04:00"), switches=Switches(total=Total.IDS), complete=None
    ),
    "calls arrive in front": Case(
        entries=SPREAD + [replace(e, arrives=i) for i, e in enumerate(at(2, "12:00:00", 5) + at(0, "09:00:00", 5))],
        complete=None,
    ),
    "calls arrive in the tie that is being read": Case(
        entries=at(1, "10:00:00", 3) + [replace(e, arrives=1 + i) for i, e in enumerate(at(1, "10:00:00", 9, "late"))],
        complete=None,
    ),
    "all vanish after the first answer": Case(entries=[replace(e, vanishes=1) for e in SPREAD], complete=None),
    "as many arrive as vanish": Case(
        entries=[replace(e, vanishes=2) for e in SPREAD[:4]]
        + SPREAD[4:]
        + [replace(e, arrives=2) for e in at(1, "11:00:00", 4)],
        complete=None,
    ),
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_cases(name: str) -> None:
    """Each nasty case, in both directions, with both cursors and any ties: all lands, or the receipt says short."""
    case = NASTY[name]
    window = window_of(case.days)
    for order, cursor, ties in product(Order, (Cursor.EXCLUSIVE, Cursor.INCLUSIVE), Ties):
        kept = case.switches.cursor if case.switches.cursor is Cursor.IGNORED else cursor
        switches = replace(case.switches, order=order, cursor=kept, ties=ties)
        outcome, api, _ = walk_over(case.entries, switches, window, case.page_size)
        missing = outcome.missing(api.throughout(window))
        assert not (outcome.complete and missing), (switches, outcome.receipt, missing)
        luck = ties is not Ties.STABLE and case.beyond_any_page
        if case.complete is not None and not luck:
            assert outcome.complete is case.complete, (switches, outcome.receipt, missing)
        assert case.most is None or outcome.requests <= case.most, (switches, outcome.queries)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("heard_at", range(1, 6))
def test_what_other_walks_find_out_meanwhile_is_heeded(order: Order, end: End, heard_at: int) -> None:
    """A walk that hears in its middle that the end may be exclusive still brings its last day."""
    entries = [*at(0, "09:30:00", 3), *at(1, "12:00:00", 6), *at(2, "09:30:01", 5), *at(3, "12:00:00", 9)]
    window = window_of(3)
    api = ModelApi(entries, Switches(order=order, end=end), Random(11))  # noqa: S311 - a model, not a secret
    walk = Walk(ACCOUNT, window, page_size=PAGE)
    then: Query | Receipt = walk.begin()
    landed: set[str] = set()
    answers = 0
    while isinstance(then, Query):
        answers += 1
        assert answers < 100
        answer = api.answer(then)
        if answers == heard_at:
            walk.learn(Findings(end_inclusive=False))
        assert isinstance(answer, Page)
        step = walk.take(answer)
        landed |= {call.id for call in step.calls}
        then = step.then
    assert then.reason is None
    assert landed == {entry.id for entry in entries if dt.date.fromisoformat(entry.start[:10]) in window}


def minutes(day: int, count: int) -> list[Entry]:
    """One call a minute from eight o'clock on."""
    return [entry for m in range(count) for entry in at(day, f"{8 + m // 60:02d}:{m % 60:02d}:00")]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize(
    ("entries", "days", "page_size", "switches"),
    [
        (
            [*minutes(0, 394), *at(0, "18:00:30", 11)],
            1,
            5,
            Switches(limit=Limit.REFUSE, largest=5, depth=250, total=Total.CAPPED, total_cap=15),
        ),
        (
            [entry for day in (0, 1, 3, 4) for entry in minutes(day, 40)] + at(2, "10:00:00", 463) + minutes(2, 21),
            5,
            20,
            Switches(
                cursor=Cursor.INCLUSIVE,
                limit=Limit.CLAMP_ECHO_ASKED,
                largest=20,
                depth=200,
                total=Total.CAPPED,
                total_cap=60,
                end=End.MIDNIGHT,
            ),
        ),
    ],
    ids=["refused pages", "clamped pages"],
)
def test_a_capped_count_proves_no_second_that_was_stepped_over(
    entries: list[Entry], days: int, page_size: int, switches: Switches, order: Order
) -> None:
    """A tie beyond every page and depth is reported, though more calls were read than the API counts."""
    window = window_of(days)
    outcome, api, _ = walk_over(entries, replace(switches, order=order), window, page_size)
    missing = outcome.missing(api.throughout(window))
    assert missing or order is Order.DESC  # where pages by number begin with the tie
    assert not (outcome.complete and missing)
    assert {one.split()[0] for one in missing} <= {str(day) for day in outcome.receipt.short_days}

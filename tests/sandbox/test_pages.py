"""Order, cursor, ties and totals: every combination, walked and compared with the truth."""

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import replace

import orjson
import pytest

from harvester.model import AccountId, Window
from harvester.sandbox.pages import Ask, Leaf, leaf, shelf
from harvester.sandbox.switches import CursorRule, EndDate, Order, Oversize, Switches, Ties, Total
from harvester.sandbox.world import World
from tests.sandbox.helpers import WINDOW

COMBINATIONS = [
    Switches(order=order, cursor=cursor, ties=ties, total=total, end_date=end_date, total_cap=100)
    for order, cursor, ties, total, end_date in itertools.product(Order, CursorRule, Ties, Total, EndDate)
]


def ask(account_id: AccountId, **changes: object) -> Ask:
    """An ask for the first page of the window."""
    return replace(Ask(account_id=account_id, window=WINDOW, page=1, page_size=40), **changes)  # type: ignore[arg-type] # a test's changes


def page(world: World, switches: Switches, asked: Ask, moment: tuple[int, int] = (0, 7)) -> Leaf:
    """One page."""
    return leaf(shelf(world, switches, asked, moment), switches, asked)


def start(entity: str) -> str:
    """A call's start."""
    text = orjson.loads(entity)["call_start_time"]
    assert isinstance(text, str)
    return text


def expected(world: World, account_id: AccountId, switches: Switches) -> list[str]:
    """All calls of the window in the order that the switches ask for, unstable ties by id."""
    days = WINDOW if switches.end_date is EndDate.INCLUSIVE else Window(WINDOW.start, dt.date(2026, 10, 29))
    calls = [call.decode() for call in world.calls(account_id, days)]
    calls.sort(key=lambda call: orjson.loads(call)["call_id"], reverse=switches.ties is Ties.REVERSED)
    return sorted(calls, key=start, reverse=switches.order is Order.DESC)


@pytest.mark.parametrize(
    "switches", COMBINATIONS, ids=lambda s: f"{s.order}-{s.cursor}-{s.ties}-{s.total}-{s.end_date}"
)
def test_every_combination_serves_the_truth(world: World, heaviest: AccountId, switches: Switches) -> None:
    """Pages hold the whole window in order; behind every second the cursor's rule holds; totals say what they count."""
    truth = expected(world, heaviest, switches)
    walked = [entity for served in walk(world, switches, heaviest) for entity in served.entities]
    assert sorted(walked) == sorted(truth)
    assert [start(entity) for entity in walked] == [start(entity) for entity in truth]
    assert (walked == truth) is (switches.ties is not Ties.UNSTABLE)
    for after in sorted({start(entity) for entity in truth})[::9]:
        served = page(world, switches, ask(heaviest, after=dt.datetime.fromisoformat(after)))
        rest = [entity for entity in truth if beyond(start(entity), after, switches)]
        assert [start(entity) for entity in served.entities] == [start(entity) for entity in rest[:40]]
        counts = {Total.WINDOW: len(truth), Total.REST: len(rest), Total.CAPPED: min(100, len(truth))}
        assert served.total == counts[switches.total]


def beyond(moment: str, after: str, switches: Switches) -> bool:
    """Whether a start is on the far side of a cursor."""
    if moment == after:
        return switches.cursor is CursorRule.INCLUSIVE
    return (moment < after) is (switches.order is Order.DESC)


def walk(world: World, switches: Switches, account_id: AccountId) -> Iterator[Leaf]:
    """All pages by number, ties shuffled alike."""
    for number in itertools.count(1):
        served = page(world, switches, ask(account_id, page=number))
        if not served.entities:
            return
        yield served


@pytest.mark.parametrize("order", Order)
def test_unstable_ties_change_between_requests_but_hold_the_same_calls(
    world: World, heaviest: AccountId, order: Order
) -> None:
    """Two requests differ in nothing but the order within seconds."""
    switches = Switches(order=order, ties=Ties.UNSTABLE, max_page_size=10_000)
    first, second = (page(world, switches, ask(heaviest, page_size=10_000), (0, luck)).entities for luck in (1, 2))
    assert first != second
    assert sorted(first) == sorted(second)
    assert [start(entity) for entity in first] == [start(entity) for entity in second]


def test_a_cursor_alone_loses_calls_of_a_tie(world: World, heaviest: AccountId) -> None:
    """The trap is real: going on from the last second of each page misses calls of an exclusive cursor."""
    switches, seen = Switches(), set[str]()
    asked = ask(heaviest, page_size=10)
    while entities := page(world, switches, asked).entities:
        seen.update(entities)
        asked = replace(asked, after=dt.datetime.fromisoformat(start(entities[-1])))
    assert 0 < len(seen) < world.count(heaviest, WINDOW)


@pytest.mark.parametrize(("oversize", "echoed"), [(Oversize.CLAMP, 20), (Oversize.CLAMP_SILENTLY, 40)])
def test_a_clamped_page_says_so_or_not(world: World, heaviest: AccountId, oversize: Oversize, echoed: int) -> None:
    """Both kinds give fewer calls; only one admits it."""
    served = page(world, Switches(max_page_size=20, oversize=oversize), ask(heaviest))
    assert (len(served.entities), served.page_size) == (20, echoed)


def test_calls_come_late_and_vanish(world: World, heaviest: AccountId) -> None:
    """The last calls of each day are missing before, or after, so many pages."""
    late, vanish = Switches(late_calls=2, late_after=3), Switches(vanish_calls=2, vanish_after=3)
    asked, whole = ask(heaviest), world.count(heaviest, WINDOW)
    assert [page(world, late, asked, (served, 0)).total for served in (0, 2, 3)] == [whole - 14, whole - 14, whole]
    assert [page(world, vanish, asked, (served, 0)).total for served in (0, 2, 3)] == [whole, whole, whole - 14]


def test_cursors_outside_of_the_window_are_its_ends(world: World, heaviest: AccountId) -> None:
    """A cursor before the window has everything or nothing behind it, by the order."""
    before = ask(heaviest, after=dt.datetime.fromisoformat("2026-01-01 12:00:00"))
    assert page(world, Switches(order=Order.DESC), before).entities == []
    assert len(page(world, Switches(order=Order.ASC), before).entities) == 40

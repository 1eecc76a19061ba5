"""Which calls a page holds: order, cursor, ties and depth, over calls that are computed, never listed."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import gcd

from harvester.model import AccountId, Window
from harvester.sandbox.day import Day, mix
from harvester.sandbox.switches import CursorRule, EndDate, Order, Switches, Ties, Total
from harvester.sandbox.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The calls of one account and window, in one order.

    Attributes:
        days: The window's days, ascending.
        visible: How many calls of each day are shown: its first ones by time.
        order: By start.
        ties: Within a second.
        shuffle: What unstable ties are shuffled by.
    """

    days: tuple[Day, ...]
    visible: tuple[int, ...]
    order: Order
    ties: Ties
    shuffle: int

    @property
    def total(self) -> int:
        """How many calls are shown."""
        return sum(self.visible)

    def rank(self, cursor: dt.datetime, rule: CursorRule) -> int:
        """How many calls the cursor leaves behind, counted in this shelf's order; O(days + log calls)."""
        second = cursor.hour * 3_600 + cursor.minute * 60 + cursor.second
        descending = self.order is Order.DESC
        if (rule is CursorRule.INCLUSIVE) is descending:
            second += 1
        behind = 0
        for day, shown in zip(self.days, self.visible, strict=True):
            if day.date < cursor.date():
                behind += shown
            elif day.date == cursor.date():
                behind += min(day.before(second), shown)
        return self.total - behind if descending else behind

    def entities(self, first: int, end: int) -> list[str]:
        """The calls ranked `[first, end)` as JSON; ranks beyond the last call hold nothing."""
        end = min(end, self.total)
        if self.order is Order.ASC:
            return list(self._ascending(first, end))
        return list(self._ascending(self.total - end, self.total - first))[::-1]

    def _ascending(self, first: int, end: int) -> Iterator[str]:
        """Calls by their place in time; what stands at a place within a second is up to `ties`."""
        for day, shown in zip(self.days, self.visible, strict=True):
            if end <= 0:
                return
            if first < shown:
                yield from self._of_day(day, shown, (max(first, 0), min(end, shown)))
            first, end = first - shown, end - shown

    def _of_day(self, day: Day, shown: int, span: tuple[int, int]) -> Iterator[str]:
        """The calls at places `[span)` of a day, second by second; only its outer seconds need a search."""
        place, end = span
        seconds = [day.second(index) for index in range(place, end)]
        while place < end:
            second = seconds[place - span[0]]
            stop = place + 1
            while stop < end and seconds[stop - span[0]] == second:
                stop += 1
            first = day.before(second) if place == span[0] else place
            last = min(day.before(second + 1), shown) if stop == end else stop
            for index in self._standing(second, (first, last), range(place, stop)):
                yield day.entity(index, second)
            place = stop

    def _standing(self, second: int, group: tuple[int, int], places: range) -> Iterable[int]:
        """Which calls stand at these places of a group `[first, end)` of calls that share a second."""
        first, end = group
        size = end - first
        if size == 1:
            return places
        if self.ties is not Ties.UNSTABLE:
            backwards = (self.order is Order.DESC) is not (self.ties is Ties.REVERSED)
            return (first + end - 1 - place for place in places) if backwards else places
        shift, stride = mix(second, self.shuffle) % size, 1 + mix(second, ~self.shuffle) % size
        while gcd(stride, size) != 1:
            stride += 1
        return (first + ((place - first) * stride + shift) % size for place in places)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request for a page, valid in itself.

    Attributes:
        account_id: Whose calls.
        window: As it travelled, before `EndDate` is applied.
        page: From 1; without effect when `after` is given (documented).
        page_size: As asked for.
        after: `search_after`, Beijing, naive.
        fields: The names to answer with, `None`: all 13.
    """

    account_id: AccountId
    window: Window
    page: int
    page_size: int
    after: dt.datetime | None = None
    fields: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One page before it is written down.

    Attributes:
        page: As asked for.
        page_size: As it will be echoed.
        total: As `total_number` will say.
        entities: The calls' JSON.
    """

    page: int
    page_size: int
    total: int
    entities: list[str]


def shelf(world: World, switches: Switches, ask: Ask, moment: tuple[int, int]) -> Shelf:
    """The calls that an ask is about.

    Args:
        world: Where they are.
        switches: How they are ordered, and whether the end date counts.
        ask: Whose, and when.
        moment: Pages of this account that were served before (some calls come late, some vanish), and what unstable
            ties are shuffled by now.
    """
    served, shuffle = moment
    dates = list(ask.window)
    if switches.end_date is EndDate.EXCLUSIVE:
        dates.pop()
    days = tuple(world.day(ask.account_id, date) for date in dates)
    hidden = switches.hidden(served)
    visible = tuple(max(0, day.count - hidden) for day in days)
    return Shelf(days=days, visible=visible, order=switches.order, ties=switches.ties, shuffle=shuffle)


def leaf(calls: Shelf, switches: Switches, ask: Ask) -> Leaf:
    """One page of them; size and depth were judged before."""
    size = min(ask.page_size, switches.max_page_size)
    first = (ask.page - 1) * size if ask.after is None else calls.rank(ask.after, switches.cursor)
    total = calls.total
    match switches.total:
        case Total.REST if ask.after is not None:
            total -= first
        case Total.CAPPED:
            total = min(total, switches.total_cap)
        case _:
            pass
    echoed = size if switches.oversize == "clamp" else ask.page_size
    return Leaf(page=ask.page, page_size=echoed, total=total, entities=calls.entities(first, first + size))

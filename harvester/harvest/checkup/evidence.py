"""What pages show of the API's open questions, taken one by one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import exp, lgamma
from typing import Final

from harvester.calls import Call, Calls
from harvester.model import Page

CURSOR: Final = {
    "exclusive": "the calls of that second do not come again",
    "inclusive": "the calls of that second come again",
    "ignored": "the first page comes again",
}
"""What `search_after` can turn out to be, and how that shows."""
TOTAL: Final = {
    "the window": "it is what it was on the first page",
    "the rest": "it is what is left",
}
"""What `total_number` can turn out to count after a cursor, and how that shows."""
_ROUND: Final = 1000
"""A count that is a multiple of it may be cut off there."""

Ties = Mapping[str, tuple[str, ...]]
"""The ids of each second that has several calls, in the order in which they came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An account's first page, in order.

    Attributes:
        calls: In the API's order.
        total: The API's count; `None` if it gave none.
        whole: Whether these are all there are.
    """

    calls: Calls
    total: int | None
    whole: bool

    def cursor_at(self, share: float) -> str | None:
        """A second about so far into the page, that has others before and behind it; `None` when there is none."""
        starts = self.calls.starts
        cursor = starts[int(share * len(starts))] if starts else ""
        return cursor if starts and cursor not in {starts[0], starts[-1]} else None

    def following(self, cursor: str) -> str:
        """The second that comes after a cursor that `cursor_at` gave."""
        starts = self.calls.starts
        return starts[starts.index(cursor) + starts.count(cursor)]

    def ties(self) -> Ties:
        """Seconds with several calls, but for the last one, which the page may cut off."""
        found = ties_of(self.calls)
        last = self.calls[-1].start if self.calls and not self.whole else None
        return {second: ids for second, ids in found.items() if second != last}


def what_the_cursor_is(known: Known, cursor: str, page: Page) -> str | None:
    """What a page after a cursor shows: a key of `CURSOR`, or `None` when it fits none of them."""
    if not page.calls:
        return None
    began = {cursor: "inclusive", known.following(cursor): "exclusive", known.calls[0].start: "ignored"}
    return began.get(page.calls[0].start)


def what_is_counted(known: Known, cursor: str, page: Page) -> str | None:
    """What the count of a page after a cursor shows: a key of `TOTAL`, or `None` when it fits none of them."""
    if known.total is None or page.total is None or may_be_cut_off(known.total):
        return None
    starts = known.calls.starts
    before = starts.index(cursor)
    if page.total == known.total:
        return "the window"
    return "the rest" if page.total in {known.total - before, known.total - before - starts.count(cursor)} else None


def may_be_cut_off(total: int) -> bool:
    """Whether a count may be the most that the API counts, and not what there is."""
    return total > 0 and total % _ROUND == 0


def ties_of(calls: Sequence[Call]) -> Ties:
    """All seconds with several calls that stand together."""
    groups = {second: tuple(call.id for call in group) for second, group in groupby(calls, lambda call: call.start)}
    return {second: ids for second, ids in groups.items() if len(ids) > 1}


def compare(readings: Sequence[Ties]) -> tuple[Ties, int]:
    """What readings of one page show of its ties.

    Returns:
        Those that hold the same calls in all readings, and how many of them changed their order.
    """
    first, *others = readings
    same = {
        second: ids
        for second, ids in first.items()
        if all(sorted(other.get(second, ())) == sorted(ids) for other in others)
    }
    return same, sum(any(other[second] != ids for other in others) for second, ids in same.items())


def chance_of(ties: Ties, readings: int) -> float:
    """How likely ties that are shuffled for each answer look the same in so many of them."""
    return exp((1 - readings) * sum(lgamma(len(set(ids)) + 1) for ids in ties.values()))

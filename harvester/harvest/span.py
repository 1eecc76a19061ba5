"""Reading a window by `search_after`, right whatever the API's cursor turns out to be. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Self

from harvester.harvest.desk import Asking, Desk, Seen
from harvester.model import Call, Page, Refusal, Window

LARGEST_PAGE = 1000
"""No page larger than this is tried: the maximum is unknown; siblings of the endpoint allow 100 to 200 (documented)."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the seconds of one page show.

    Attributes:
        direction: 1 ascending, -1 descending, 0 when all calls share one second; `None` when they are in no order.
        first: The first call's second; `""` on a page without calls, as the next two.
        last: The last call's second.
        before_last: The last second before the final group of equal seconds; `""` when there is none.
        at_cursor: Whether the page holds calls of the cursor's own second: this server's cursor is inclusive.
    """

    direction: int | None
    first: str
    last: str
    before_last: str
    at_cursor: bool

    @classmethod
    def at(cls, calls: Sequence[Call], cursor: str | None) -> Self:
        """Looks at a page's calls, in the API's order."""
        starts = [call.start for call in calls]
        if not starts:
            return cls(0, "", "", "", at_cursor=False)
        ordered = sorted(starts)
        direction: int | None = None
        if ordered[0] == ordered[-1]:
            direction = 0
        elif starts == ordered:
            direction = 1
        elif starts[::-1] == ordered:
            direction = -1
        last = starts[-1]
        before_last = next((start for start in reversed(starts) if start != last), "")
        return cls(direction, starts[0], last, before_last, at_cursor=cursor in starts)


@dataclass(slots=True)
class Course:
    """Where a reading by cursor stands, and whether the API keeps to it.

    Attributes:
        capacity: How many records a full page has, as far as is known: pages may be clamped.
        cursor: The `search_after` of the last request; `None` before the second page.
        direction: 1 ascending, -1 descending, 0 not yet known.
        rows_before: Records on the page before.
    """

    capacity: int
    cursor: str | None = None
    direction: int = 0
    rows_before: int = 0

    def meet(self, page: Page, size: int) -> None:
        """Learns from the answer to a request for `size` records how many a page can have."""
        self.capacity = min(self.capacity, capacity_of(page, size))
        if page.rows and self.rows_before:
            self.capacity = min(self.capacity, self.rows_before)  # shorter than asked for, and yet not the last
        self.rows_before = page.rows

    def kept_by(self, look: Look) -> bool:
        """Whether a page is in order, in the direction of the pages before, and not before the cursor."""
        if look.direction is None or (look.direction and self.direction and look.direction != self.direction):
            return False
        heading = look.direction or self.direction
        if self.cursor is None or not look.first or not heading:
            return True
        return look.first == self.cursor or (look.first > self.cursor) == (heading > 0)

    def advance(self, look: Look) -> bool:
        """Moves the cursor on; always one way, so that a reading ends. `False` when it cannot move."""
        self.direction = look.direction or self.direction
        if look.before_last:
            following = look.last if look.at_cursor else look.before_last
        elif look.last != self.cursor:
            following = look.last
        elif self.direction:
            following = _next_second(look.last, self.direction)
        else:
            return False
        if self.cursor is not None and self.direction and (following > self.cursor) != (self.direction > 0):
            return False
        self.cursor = following
        return True


@dataclass(slots=True)
class Span:
    """How a reading by cursor ended.

    Attributes:
        total: The API's count on the first page; `None` if it gave none.
        trusted: `False` when answers contradicted their own cursor or order, or ceased: then counts mean nothing.
        doubtful: Days of which calls may have been stepped over.
    """

    total: int | None = None
    trusted: bool = True
    doubtful: set[date] = field(default_factory=set)


def read_span(desk: Desk, wire: Window, seen: Seen) -> Asking[Span]:
    """Reads a window, each page from the last second *before* the final group of equal seconds of the page before.

    That group is read again, whole: the cursor is a bare second, and whatever of that second did not fit on the page
    would be lost. The value is one that the page itself holds, so neither the order nor the inclusiveness matters.
    It ends after a page that is not full when all that the API counts has come, or when the cursor cannot move on.
    """
    span, course = Span(), Course(desk.size)
    while True:
        page = yield from desk.ask(wire, after=course.cursor)
        if not isinstance(page, Page):
            span.trusted = False
            return span
        if course.cursor is None:
            span.total = page.total
        course.meet(page, desk.size)
        look = Look.at(page.calls, course.cursor)
        if not course.kept_by(look) and not _is_whole(page, course):
            span.trusted = False
            return span
        desk.take(page, seen, wire)
        full = page.rows >= course.capacity
        if full and page.calls and not look.before_last:
            page, full = yield from _widen(desk, wire, course, page, seen)
            look = Look.at(page.calls, course.cursor)
        expected = _expected(span.total, page, seen.passed(course.cursor, course.direction))
        if not full and expected is not None and seen.count >= expected:
            return span  # a full page never ends a reading: its total may be capped, or calls may have come in
        if page.calls and not look.before_last:
            span.doubtful.add(date.fromisoformat(look.last[:10]))
        if not page.calls or not course.advance(look):
            return span
        seen.forget_before(course.cursor or "", course.direction)


def _widen(desk: Desk, wire: Window, course: Course, page: Page, seen: Seen) -> Asking[tuple[Page, bool]]:
    """Asks for a page of one second with twice the size while the API allows: the widest page, and if it is full."""
    limit = min(LARGEST_PAGE, desk.findings.page_size_max or LARGEST_PAGE)
    size, full = desk.size, True
    while full and size * 2 <= limit and not Look.at(page.calls, None).before_last:
        wider = yield from desk.ask(wire, after=course.cursor, size=size * 2)
        if isinstance(wider, Refusal) or capacity_of(wider, size * 2) <= size:
            desk.findings = replace(desk.findings, page_size_max=size)
            break
        desk.take(wider, seen, wire)
        if wider.rows <= page.rows:
            break  # clamped without a word, or there is no more
        page, size = wider, size * 2
        full = page.rows >= capacity_of(page, size)
    return page, full


def capacity_of(page: Page, size: int) -> int:
    """How many records a page asked for with `size` can have: the API may clamp the size and say so."""
    return min(size, page.page_size or size)


def _is_whole(page: Page, course: Course) -> bool:
    """Whether a first page holds all there is, in whatever order."""
    return course.cursor is None and page.total is not None and page.total <= page.rows < course.capacity


def _expected(total: int | None, page: Page, passed: int) -> int | None:
    """How many calls there are by now: the first page's total, more if this page's own total says that some came in.

    Whether that is of the whole window or of what is left after the cursor is unknown: what fits the first page's
    total better is taken. Erring here costs a request, never a call.
    """
    if total is None or page.total is None:
        return total
    return max(total, min(page.total, passed + page.total, key=lambda guess: abs(guess - total)))


def _next_second(second: str, direction: int) -> str:
    return str(datetime.fromisoformat(second) + timedelta(seconds=direction))

"""Reading a window by `search_after`, right whatever the API's cursor turns out to be. Pure."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Annotated, Self

from msgspec import Meta

from harvester.calls import NO_CALLS, Calls
from harvester.harvest.desk import Asking, Desk, Direction, Seen
from harvester.harvest.findings import Count
from harvester.harvest.sizes import LARGEST_PAGE
from harvester.model import Page, Refusal, Window

_WIDEST = 1000
"""A full page of one second is not asked for any larger: siblings of the endpoint allow 100 to 200 (documented)."""
Capacity = Annotated[int, Meta(ge=0, le=LARGEST_PAGE)]


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

    direction: Direction | None
    first: str
    last: str
    before_last: str
    at_cursor: bool

    @classmethod
    def at(cls, calls: Calls, cursor: str | None) -> Self:
        """Looks at a page's calls, in the API's order."""
        starts = calls.starts
        if not starts:
            return cls(0, "", "", "", at_cursor=False)
        first, last = starts[0], starts[-1]
        direction: Direction | None = None
        if first < last and sorted(starts) == starts:
            direction = 1
        elif first > last and sorted(starts, reverse=True) == starts:
            direction = -1
        elif first == last and starts.count(first) == len(starts):
            direction = 0
        before_last = next((start for start in reversed(starts) if start != last), "")
        return cls(direction, first, last, before_last, at_cursor=cursor in starts)


@dataclass(slots=True)
class Course:
    """Where a reading by cursor stands, and whether the API keeps to it.

    Attributes:
        cursor: The `search_after` of the last request; `None` before the second page.
        direction: 1 ascending, -1 descending, 0 not yet known.
        capacity: How many records the last page could have had.
        clamped_to: How many a page has had at most that was neither full nor the last: the API clamps silently.
        rows_before: Records on the page before.
        stepped_over: The day of a second that filled the page before, of which more may have been left behind the
            cursor; `None` when there is none.
    """

    cursor: str | None = None
    direction: Direction = 0
    capacity: Capacity = LARGEST_PAGE
    clamped_to: Capacity = LARGEST_PAGE
    rows_before: Count = 0
    stepped_over: date | None = None

    def accepts(self, page: Page, look: Look, asked: int) -> bool:
        """Takes note of the answer to a request for `asked` records; `False` when it contradicts order or cursor.

        A first page that holds all there is may be in any order.
        """
        if page.rows and 0 < self.rows_before < self.capacity:
            self.clamped_to = min(self.clamped_to, self.rows_before)  # it was short, and yet not the last
        self.capacity = min(capacity_of(page, asked), self.clamped_to)
        self.rows_before = page.rows
        whole = self.cursor is None and page.total is not None and page.total <= len(keys_of(page))
        return self._is_kept_by(look) or (whole and page.rows < self.capacity)

    def _is_kept_by(self, look: Look) -> bool:
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
        if not self.direction and self.cursor is not None and look.last != self.cursor:
            self.direction = 1 if look.last > self.cursor else -1
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


@dataclass(slots=True, kw_only=True)
class Reading:
    """A reading by cursor: where it stands, and in the end what it shows.

    It holds all that is needed to go on after any page, in another process too.

    Attributes:
        window: The days it is for.
        wire: The dates as they travel.
        since: What the walk had spent when it began, in requests.
        total: The API's count on the first page; `None` if it gave none.
        sound: Whether the answers kept to order and cursor and the reading came to its end; else counts mean nothing.
        over: Whether it has ended.
        doubtful: Days of which calls may have been stepped over.
        course: Where it stands.
        seen: What was met.
    """

    window: Window
    wire: Window
    since: Count = 0
    total: Count | None = None
    sound: bool = True
    over: bool = False
    doubtful: set[date] = field(default_factory=set)
    course: Course = field(default_factory=Course)
    seen: Seen = field(default_factory=Seen)

    @property
    def resumable(self) -> bool:
        """Whether there is anything to go on from: before the second page, a reading begins again, count and all."""
        return self.over or self.course.cursor is not None

    def end(self, *, sound: bool) -> None:
        """Ends it."""
        self.over, self.sound = True, sound


def read_on(desk: Desk, reading: Reading) -> Asking[None]:
    """Reads a page more, from the last second *before* the final group of equal seconds of the page before.

    That group is read again, whole: the cursor is a bare second, and whatever of that second did not fit on the page
    would be lost. The value is one that the page itself holds, so neither the order nor the inclusiveness matters.
    A reading ends after a page that is not full when all that the API counts has come, or when there is nothing beyond.

    When it is left at any request and called again, the page is asked for again: its calls are known by then, and what
    was concluded from it is concluded once more.
    """
    wire, course, seen = reading.wire, reading.course, reading.seen
    met, trial = seen.count, desk.trial if course.cursor else None
    page = yield from desk.ask_on(wire, after=course.cursor, left=(reading.total or 0) - met)
    look = Look.at(page.calls if isinstance(page, Page) else NO_CALLS, course.cursor)
    if not isinstance(page, Page) or not course.accepts(page, look, desk.asked):
        reading.end(sound=False)
        return
    if course.cursor is None:
        reading.total = page.total
    if course.stepped_over and page.calls:
        reading.doubtful.add(course.stepped_over)
    desk.take(page, seen, wire)
    if trial:
        desk.conclude(trial, more_came=seen.count > met)
    widest, full = yield from _widen(desk, reading, page, look)
    if widest is not page:
        page, look = widest, Look.at(widest.calls, course.cursor)
    passed = seen.passed(course.cursor, course.direction, inclusive=look.at_cursor)
    expected = _expected(reading.total, page, passed)
    desk.steady = page.total is not None and expected == reading.total
    has_all = not full and expected is not None and seen.count >= expected
    if has_all or not page.calls:
        reading.end(sound=True)  # a full page never does: its total may be capped, or calls may have come in
        return
    course.stepped_over = None if look.before_last else date.fromisoformat(look.last[:10])
    if course.stepped_over and full:
        reading.doubtful.add(course.stepped_over)
    if not course.advance(look):
        reading.end(sound=False)


def count_anew(desk: Desk, reading: Reading) -> Asking[None]:
    """Counts the calls of a window that was narrowed while it was read; the reading goes on where it was.

    Nothing but the count is taken: these calls were read, or will be. What comes in later is more, never fewer.
    """
    page = yield from desk.ask(reading.wire)
    desk.uncounted = False
    if isinstance(page, Page):
        reading.total = page.total
    else:
        reading.end(sound=False)


def _widen(desk: Desk, reading: Reading, page: Page, look: Look) -> Asking[tuple[Page, bool]]:
    """Asks for a full page of one second again, larger while the API allows.

    Returns:
        The widest page, and whether it is full. Any other page comes back as it is.
    """
    course = reading.course
    full = page.rows >= course.capacity
    while full and page.calls and not look.before_last:
        course.rows_before = 0
        size = min(desk.findings.page_size(desk.asked * 2), _WIDEST)
        if size <= desk.asked:
            break
        wider = yield from desk.ask(reading.wire, after=course.cursor, size=size)
        if isinstance(wider, Refusal):
            continue
        desk.take(wider, reading.seen, reading.wire)
        if wider.rows <= page.rows:
            break  # clamped, or there is no more
        page, full, look = wider, wider.rows >= capacity_of(wider, size), Look.at(wider.calls, course.cursor)
    return page, full


def capacity_of(page: Page, size: int) -> int:
    """How many records a page asked for with `size` can have: the API may clamp the size and say so."""
    return min(size, page.page_size or size)


def keys_of(page: Page) -> frozenset[str]:
    """What tells the records of a page from all others."""
    return frozenset([*page.calls.ids, *(stray.key for stray in page.strays)])


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

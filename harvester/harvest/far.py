"""What a reading by cursor has not come to yet: whole days that can be given away to another walk. Pure.

A walk that gives days away becomes narrower. Nothing is read again: it goes on by its cursor, within narrower dates,
and the calls that it met are all of days that it keeps. Only its calls have to be counted again, once, since the count
that it has is of more days (`span.count_anew`).

So it can only be done while that cannot go wrong: in the plain reading by cursor of the whole slice, with its order and
its end known; while nothing was met that is of no day; and while the API's count stands still, since a call that came
in behind the cursor would be counted, too, and never be read.
"""

from dataclasses import dataclass
from datetime import date
from typing import Self

from harvester.harvest.desk import Desk
from harvester.harvest.mend import Progress
from harvester.harvest.span import Reading
from harvester.model import ONE_DAY, Window


@dataclass(frozen=True, slots=True)
class Far:
    """What is ahead of a reading.

    Attributes:
        window: The walk's.
        reached: The last day that it has come to, in the API's direction of time; whole days lie beyond.
        later: Whether these are later days, not earlier ones.
        pages: That it still needs, about, those of the day that it is at among them.
    """

    window: Window
    reached: date
    later: bool
    pages: int

    @classmethod
    def ahead_of(cls, desk: Desk, progress: Progress) -> Self | None:
        """What is ahead of a walk; `None` if it can give nothing away."""
        reading = progress.reading
        if progress.settled or reading is None or not _is_plain(desk, reading):
            return None
        if not (pages := pages_left(desk, progress)):
            return None
        later = reading.course.direction > 0
        met = [*reading.seen.by_day, (reading.course.cursor or "")[:10]]
        reached = date.fromisoformat(max(met) if later else min(met))
        if reached == (desk.window.end if later else desk.window.start):
            return None
        return cls(desk.window, reached, later, pages)

    @property
    def days(self) -> int:
        """Whole days, at least one."""
        return ((self.window.end - self.reached) if self.later else (self.reached - self.window.start)).days

    @property
    def beyond(self) -> int:
        """About how many of the pages are of these days."""
        return self.pages * self.days // (self.days + 1)

    def split(self, keep: int) -> tuple[Window, Window]:
        """What the walk keeps and what it gives away, at least a day.

        Args:
            keep: About how many of the pages it keeps.
        """
        kept = min(max(1, round((self.days + 1) * keep / max(1, self.pages))), self.days)
        if self.later:
            first = self.reached + ONE_DAY * kept
            return Window(self.window.start, first - ONE_DAY), Window(first, self.window.end)
        last = self.reached - ONE_DAY * kept
        return Window(last + ONE_DAY, self.window.end), Window(self.window.start, last)


def pages_left(desk: Desk, progress: Progress) -> int:
    """About how many pages the reading by cursor still needs; 0 for none, or when that is not known."""
    reading = progress.reading
    if reading is None or reading.over or desk.uncounted or reading.total is None:
        return 0
    return max(0, reading.total - reading.seen.count) // max(1, min(desk.size, reading.course.capacity))


def _is_plain(desk: Desk, reading: Reading) -> bool:
    """Whether nothing is known but by this reading, and nothing is open but its next page."""
    course = reading.course
    alone = not reading.since and not desk.wasted and desk.requests == desk.began
    simple = not reading.over and not desk.strays and not reading.seen.strays and not desk.uncounted
    steady = desk.steady and reading.total is not None
    known = course.cursor is not None and course.direction and desk.findings.end_inclusive
    return bool(alone and simple and steady and known and desk.window == reading.window == reading.wire)

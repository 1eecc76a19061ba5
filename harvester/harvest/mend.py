"""Proving a window complete, and finding the calls that are missing when it is not. Pure."""

from dataclasses import dataclass, field
from datetime import date

from harvester.harvest.desk import Asking, Desk, Seen
from harvester.harvest.findings import Count
from harvester.harvest.span import Reading, capacity_of, count_anew, keys_of, read_on
from harvester.model import Page, Window

MAX_DIFFERENCE_DAYS = 30
"""`end_date` is at most this many days after `start_date` (documented)."""
STALE_PAGES = 3
"""So many pages in a row that repeat what the pages before them held: page numbers lead nowhere."""
ROUNDS = 40
"""A day is read at most this often."""
MENDING_REQUESTS = 60
"""Mending may cost this many requests, and some times what the reading by cursor cost: a count that is simply wrong
must not eat the quota of the night."""
NO_COUNT = "the API gave no count (total_number) to compare with"


@dataclass(frozen=True, slots=True)
class Proof:
    """What the API counts in a window, what was read of it, and why that does not do; `reason=None`: it does.

    `distinct` is of calls and strays; `strays` says how many of them are strays; `short` names the unproven days.
    """

    total: int | None
    distinct: Count
    reason: str | None = None
    strays: Count = 0
    short: frozenset[date] = frozenset()

    def __add__(self, other: "Proof") -> "Proof":
        total = None if self.total is None or other.total is None else self.total + other.total
        reason, short = self.reason or other.reason, self.short | other.short
        return Proof(total, self.distinct + other.distinct, reason, short=short)


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a walk has come: what is finished, by what it is about, and the reading by cursor at hand.

    The procedure can always be run again from its top: what is remembered here is not asked for again, and what was
    decided here is not decided again.

    Attributes:
        reading: The last reading by cursor, ended or not.
        settled: Whether the slice was read and it is settled what its end means; then it is to be proven.
        unknown: Why what its end means could not be found out; `None` if it was.
        allowed: After so many requests spent nothing more is mended.
        weighed: What was found of a window (`str(window)`); `None`: its halves are to be proven.
        days: What was found of a day, `YYYY-MM-DD`, by reading it alone.
    """

    reading: Reading | None = None
    settled: bool = False
    unknown: str | None = None
    allowed: Count = 0
    weighed: dict[str, Proof | None] = field(default_factory=dict)
    days: dict[str, Proof] = field(default_factory=dict)


class Mender:
    """Proves windows complete; finds the days of which calls are missing and reads them by all means.

    Args:
        desk: The slice's desk.
        progress: How far the walk has come.
    """

    def __init__(self, desk: Desk, progress: Progress) -> None:
        self._desk = desk
        self._progress = progress

    @property
    def _spent(self) -> bool:
        """Whether mending has cost all that it may."""
        return self._desk.spent > self._progress.allowed

    def read(self, window: Window) -> Asking[Reading]:
        """Reads a window by cursor, or goes on with the reading at hand if it is of that window.

        What does not fit into a request's dates is not read: only its halves can be.
        """
        desk, progress = self._desk, self._progress
        reading = progress.reading
        if reading is None or reading.window != window or not reading.resumable:
            reading = progress.reading = Reading(window=window, wire=desk.wire(window), since=desk.spent)
            if len(reading.wire) > MAX_DIFFERENCE_DAYS + 1:
                reading.end(sound=False)
        if not reading.over:
            yield from self._finish(reading)
        return reading

    def _finish(self, reading: Reading) -> Asking[None]:
        """Reads to the end; a resumed walk goes on after any page."""
        desk, progress = self._desk, self._progress
        while not reading.over:
            desk.begin()
            yield from (count_anew if desk.uncounted else read_on)(desk, reading)
            reading.seen.forget_before(reading.course.cursor, reading.course.direction)
        pages = (reading.total or 0) // max(1, desk.size)
        allowed = MENDING_REQUESTS + 11 * (desk.spent - reading.since) + 4 * pages
        progress.allowed = max(progress.allowed, allowed)

    def prove(self, window: Window) -> Asking[Proof]:
        """Proves a window by a reading of its own, mending what lacks calls; if need be by its halves."""
        weighed = self._progress.weighed
        if str(window) not in weighed:
            weighed[str(window)] = yield from self._prove_whole(window)
        proof = weighed[str(window)]
        if proof is not None:
            return proof
        self._desk.be_wary_of_ends()
        earlier, later = window.halves()
        return (yield from self.prove(earlier)) + (yield from self.prove(later))

    def _prove_whole(self, window: Window) -> Asking[Proof | None]:
        """What can be said of a window as a whole; `None`: its halves are to be proven."""
        reading = yield from self.read(window)
        proof = yield from self._weigh(window, reading)
        if proof is not None:
            return proof
        if len(window) == 1:
            return (yield from self.day(window.start))
        if self._spent and reading.sound:
            met = reading.seen.count
            reason = f"{window}: {met} of {reading.total} calls read after {self._desk.requests} requests; gave up"
            return Proof(reading.total, met, reason, short=frozenset(window))
        return None

    def _weigh(self, window: Window, reading: Reading) -> Asking[Proof | None]:
        """What a reading proves, its doubtful days mended; `None` when that is nothing."""
        seen = reading.seen
        if not reading.sound or (len(window) == 1 and reading.doubtful):
            return None
        beside = seen.beside(window)
        distinct = seen.count - beside
        total = None if reading.total is None else reading.total - beside
        if total is None:
            for day in sorted(reading.doubtful.intersection(window)):
                yield from self.day(day)
            return Proof(None, distinct, NO_COUNT, short=frozenset(window))
        mended = Proof(0, 0)
        for day in sorted(reading.doubtful.intersection(window)):
            proof = yield from self.day(day)
            mended += proof
            distinct += proof.distinct - proof.strays - seen.by_day.get(day.isoformat(), 0)
        if mended.reason and mended.total is None:
            return Proof(total, distinct, mended.reason, short=frozenset(window))
        unreadable = (mended.total or 0) - mended.distinct if mended.reason else 0
        if distinct + unreadable < total:
            return None
        return Proof(total, distinct, mended.reason, short=mended.short)

    def day(self, day: date) -> Asking[Proof]:
        """Reads one day by page number and by cursor, again while that brings news: ties may come in any order."""
        self._desk.be_wary_of_ends()
        days = self._progress.days
        if str(day) not in days:
            self._desk.begin()
            days[str(day)] = yield from self._read_day(day)
        return days[str(day)]

    def _read_day(self, day: date) -> Asking[Proof]:
        """See `day`. More calls than counted prove nothing when pages were cut off: the count may be capped."""
        desk, window, seen = self._desk, Window(day, day), Seen()
        rounds_with_news = idle = beside = 0
        total: int | None = None
        wire = desk.wire(window)
        for number in range(ROUNDS):
            if wire != desk.wire(window):  # an answer has shown the end to be inclusive
                wire, seen, total = desk.wire(window), Seen(), None
            met = seen.count
            counted, pages, cut_off = yield from self._read_pages(wire, seen, round_number=number)
            total = max(total or 0, counted) if counted is not None else total
            if (total is None or seen.count < total) and (cut_off or (pages > 1 and not met)):
                reading = Reading(window=window, wire=wire, seen=seen)
                while not reading.over:
                    yield from read_on(desk, reading)
            beside = seen.beside(window)
            if total is not None and (seen.count == total or (seen.count > total and not cut_off)):
                return Proof(total - beside, seen.count - beside, strays=len(seen.strays))
            news = seen.count > met
            rounds_with_news += news
            idle = 0 if news else idle + 1
            patience = 8 if rounds_with_news > 1 else 2 if pages > 1 else 1
            if idle >= patience or self._spent:
                break
        reason = f"{day}: {_shortfall(seen.count, total)}"
        own = total if len(wire) == 1 else None  # a day more was asked for: whose the missing calls are is not known
        return Proof(own, seen.count - beside, reason, strays=len(seen.strays), short=frozenset({day}))

    def _read_pages(self, wire: Window, seen: Seen, *, round_number: int) -> Asking[tuple[int | None, int, bool]]:
        """Reads by page number, as deep as allowed.

        Args:
            wire: The dates.
            seen: What was met.
            round_number: From 0. The first is read whatever it costs. Each second one goes back over the pages once
                more, last page first: where answers come from copies in turn, each page then meets another copy.

        Returns:
            How many calls there are (at least as many as were read), on how many pages that hold any, and whether the
            pages were cut off.
        """
        desk = self._desk
        page = yield from desk.ask(wire, size=desk.widest)
        if not isinstance(page, Page):
            page = yield from desk.ask(wire)
        size, total = desk.asked, page.total if isinstance(page, Page) else None
        number, rows, stale, met = 1, 0, 0, set[str]()
        capacity = capacity_of(page, size) if isinstance(page, Page) else size
        while isinstance(page, Page) and stale < STALE_PAGES and not (round_number and self._spent):
            desk.take(page, seen, wire)
            rows += page.rows
            full, keys = page.rows >= capacity, keys_of(page)
            if not page.rows or (total is not None and rows >= total and not full):
                break
            stale = stale + 1 if keys <= met else 0
            met |= keys
            capacity = min(capacity, page.rows)  # it was not the last, and so as full as pages get
            number += 1
            page = yield from desk.ask(wire, page=number, size=size)
        else:
            return total, number, True
        pages = number if page.rows else number - 1
        for back in range(pages if pages < number else pages - 1, 0, -1) if round_number % 2 else ():
            page = yield from desk.ask(wire, page=back, size=size)
            if isinstance(page, Page):
                desk.take(page, seen, wire)
        return (None if total is None else max(total, rows)), pages, False


def _shortfall(read: int, total: int | None) -> str:
    if total is None:
        return NO_COUNT
    if read > total:
        return f"the API counts {total} calls and shows {read}, but lets none of its pages show all"
    return f"{read} of the {total} calls that the API counts could be read"

"""The walk over one slice: every call of an account's window, and the evidence that none is missing. Pure.

Pages go in; the next query comes out, or the receipt. The walk is a state machine written as generators, so that it
reads like the procedure it is:

1. read the window by cursor (`span.py`); it is *complete* when the different calls are as many as the API's own count
   on the first page, or more, and nothing was stepped over;
2. if no answer has shown whether `end_date` is inclusive, find out: the last day might not have been read;
3. mend what is not proven: days that may lack calls are read by page number and by cursor, as often as that brings
   news; a window that still lacks calls is read again in halves, each proven by its own count, down to the day;
4. still fewer: *short*, with the reason. What was read is kept.

Memory: the calls of one page and the ids of its last seconds; while a day is mended, the ids of that day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from harvester.harvest.desk import Asking, Desk, Findings, Seen
from harvester.harvest.span import Span, capacity_of, keys_of, read_span
from harvester.model import ONE_DAY, AccountId, Call, Page, Query, Receipt, Refusal, Stray, Window

MAX_DIFFERENCE_DAYS = 30
"""`end_date` is at most this many days after `start_date` (documented)."""
PROBES = 3
"""How often the end of the window is asked about."""
ROUNDS = 40
"""A day is read at most this often."""
MENDING_REQUESTS = 200
"""Mending may cost this many requests, and some times what the reading by cursor cost: a count that is simply wrong
must not eat the quota of the night."""
NO_COUNT = "the API gave no count (total_number) to compare with"


@dataclass(frozen=True, slots=True)
class Step:
    """What a walk makes of an answer.

    Attributes:
        calls: New calls of the slice, to land. A call comes again only where days had to be read again.
        strays: Records that cannot be placed.
        then: The next query, or the receipt when the walk has ended.
    """

    calls: Sequence[Call]
    strays: Sequence[Stray]
    then: Query | Receipt


class Walk:
    """The walk over one account's window.

    Args:
        account_id: Whose calls.
        window: At most 31 days (30 days' difference).
        page_size: What to ask for; the API may allow less.
        findings: What earlier walks learned; see `findings` for what this one adds.
    """

    def __init__(
        self, account_id: AccountId, window: Window, *, page_size: int = 100, findings: Findings | None = None
    ) -> None:
        if len(window) > MAX_DIFFERENCE_DAYS + 1:
            raise ValueError(f"a walk covers at most {MAX_DIFFERENCE_DAYS + 1} days, not {window}")
        self._desk = Desk(account_id=account_id, window=window, page_size=page_size, findings=findings or Findings())
        self._asking = _walk(self._desk)

    @property
    def findings(self) -> Findings:
        """What is known of the API by now."""
        return self._desk.findings

    def learn(self, findings: Findings) -> None:
        """Takes over what other walks have found out meanwhile."""
        self._desk.findings = self._desk.findings.merge(findings)

    def begin(self) -> Query:
        """The first query; to be asked for once."""
        return next(self._asking)

    def take(self, page: Page) -> Step:
        """The answer to the last query."""
        return self._send(page)

    def refuse(self, refusal: Refusal) -> Step:
        """The API would not answer the last query."""
        return self._send(refusal)

    def _send(self, answer: Page | Refusal) -> Step:
        then: Query | Receipt
        try:
            then = self._asking.send(answer)
        except StopIteration as stop:
            then = stop.value
        desk = self._desk
        step = Step(desk.new_calls, desk.new_strays, then)
        desk.new_calls, desk.new_strays = [], []
        return step


@dataclass(frozen=True, slots=True)
class _Proof:
    """What the API counts in a window, what was read of it, and why that does not do; `reason=None`: it does.

    `distinct` is of calls and strays; `strays` says how many of them are strays.
    """

    total: int | None
    distinct: int
    reason: str | None = None
    strays: int = 0

    def __add__(self, other: "_Proof") -> "_Proof":
        total = None if self.total is None or other.total is None else self.total + other.total
        return _Proof(total, self.distinct + other.distinct, self.reason or other.reason)


def _walk(desk: Desk) -> Asking[Receipt]:
    mender = Mender(desk)
    reading = yield from mender.read(desk.window)
    unknown: str | None = None
    if desk.findings.end_inclusive is None:
        unknown = yield from settle_the_end(desk)
    if len(reading.wire) < len(desk.wire(desk.window)):
        reading = yield from mender.read(desk.window)  # the last day was not asked for
    proof = yield from mender.prove(desk.window, reading)
    reason = proof.reason or unknown
    if reason is None and (proof.total is None or proof.distinct < proof.total):
        reason = f"{proof.distinct} of the {proof.total} calls that the API counts could be read"
    return Receipt(requests=desk.requests, read=desk.read, distinct=proof.distinct, counted=proof.total, reason=reason)


def settle_the_end(desk: Desk) -> Asking[str | None]:
    """Finds out whether calls of `end_date` itself are returned; that is documented by an example only.

    A day that has calls is asked for alone: it answers with calls, or with none if the end is exclusive. Where the
    slice has no call, its last day is asked for with the day after. Once an answer of the run holds a call of its own
    `end_date`, nothing is asked. In doubt the end is taken for exclusive: to ask for a day more is safe either way.

    Returns:
        Why it could not be found out; `None` when it is known, or does not matter because there is nothing to read.
    """
    last = desk.window.end
    for _ in range(PROBES):
        page = yield from desk.ask(Window(desk.witness or last, desk.witness or last + ONE_DAY))
        if not isinstance(page, Page):
            return f"whether the API returns the calls of {last}, the last day asked for, could not be found out"
        if desk.findings.end_inclusive is not None:
            return None
        everything = page.total is not None and page.total <= page.rows
        if everything and not desk.witness and not any(call.day == str(last) for call in page.calls):
            return None
        if everything or page.rows:
            break
    desk.be_wary_of_ends()
    return None


class Mender:
    """Proves windows complete; finds the days of which calls are missing and reads them by all means.

    Args:
        desk: The slice's desk.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._allowed = 0
        self._days: dict[date, _Proof] = {}

    def read(self, window: Window) -> Asking["_Reading"]:
        """Reads a window by cursor; one that does not fit into a request's dates, in halves."""
        desk = self._desk
        wire, seen = desk.wire(window), Seen()
        if len(wire) > MAX_DIFFERENCE_DAYS + 1:
            return _Reading(wire, Span(sound=False), seen)
        before = desk.requests
        span = yield from read_span(desk, wire, seen)
        pages = (span.total or 0) // max(1, desk.size)
        self._allowed = max(self._allowed, MENDING_REQUESTS + 11 * (desk.requests - before) + 4 * pages)
        return _Reading(wire, span, seen)

    def prove(self, window: Window, reading: "_Reading | None" = None) -> Asking[_Proof]:
        """Proves a window by a reading of its own, mending what lacks calls."""
        if reading is None:
            self._desk.be_wary_of_ends()
            reading = yield from self.read(window)
        proof = yield from self._weigh(window, reading)
        if proof is not None:
            return proof
        if len(window) == 1:
            return (yield from self.day(window.start))
        if self._desk.requests > self._allowed:
            met = reading.seen.count
            reason = f"{window}: {met} of {reading.span.total} calls read after {self._desk.requests} requests; gave up"
            return _Proof(reading.span.total, met, reason)
        earlier, later = window.halves()
        return (yield from self.prove(earlier)) + (yield from self.prove(later))

    def _weigh(self, window: Window, reading: "_Reading") -> Asking[_Proof | None]:
        """What a reading proves, its doubtful days mended; `None` when that is nothing."""
        span, seen = reading.span, reading.seen
        if not span.sound or (len(window) == 1 and span.doubtful):
            return None
        beside = sum(calls for day, calls in seen.by_day.items() if date.fromisoformat(day) not in window)
        distinct = seen.count - beside
        total = None if span.total is None else span.total - beside
        reason = None if span.total is not None else NO_COUNT
        for day in sorted(span.doubtful.intersection(window)):
            mended = yield from self.day(day)
            distinct += mended.distinct - mended.strays - seen.by_day.get(day.isoformat(), 0)
            reason = reason or mended.reason
        if reason is None and total is not None and distinct < total:
            return None
        return _Proof(total, distinct, reason)

    def day(self, day: date) -> Asking[_Proof]:
        """Reads one day by page number and by cursor, again while that brings news: ties may come in any order."""
        self._desk.be_wary_of_ends()
        if day not in self._days:
            self._days[day] = yield from self._read_day(day)
        return self._days[day]

    def _read_day(self, day: date) -> Asking[_Proof]:
        desk, seen = self._desk, Seen(forgetful=False)
        rounds_with_news = idle = 0
        total: int | None = None
        for number in range(ROUNDS):
            met = seen.count
            wire = desk.wire(Window(day, day))
            counted, cut_off = yield from self._read_pages(wire, seen, backwards=number % 2 == 1)
            total = max(total or 0, counted) if counted is not None else total
            if (total is None or seen.count < total) and (cut_off or not met):
                yield from read_span(desk, wire, seen)
            beside = sum(calls for other, calls in seen.by_day.items() if other != str(day))
            if total is not None and seen.count >= total:
                return _Proof(total - beside, seen.count - beside, strays=len(seen.strays))
            news = seen.count > met
            rounds_with_news += news
            idle = 0 if news else idle + 1
            if idle >= (2 if rounds_with_news < 2 else 8) or desk.requests > self._allowed:
                break
        if total is None:
            reason = f"{day}: {NO_COUNT}"
        else:
            reason = f"{day}: {seen.count} of the {total} calls that the API counts could be read"
        return _Proof(total, seen.count, reason, strays=len(seen.strays))

    def _read_pages(self, wire: Window, seen: Seen, *, backwards: bool) -> Asking[tuple[int | None, bool]]:
        """Reads by page number, as deep as allowed.

        Args:
            wire: The dates.
            seen: What was met.
            backwards: Whether to go back over the pages once more, last page first: where answers come from copies in
                turn, each page then meets another copy.

        Returns:
            How many calls there are (at least as many as were read), and whether the pages were cut off.
        """
        desk = self._desk
        page = yield from desk.ask(wire, size=desk.widest)
        if not isinstance(page, Page):
            page = yield from desk.ask(wire)
        size, total = desk.asked, page.total if isinstance(page, Page) else None
        number, rows, before = 1, 0, frozenset[str]()
        while isinstance(page, Page) and desk.requests <= self._allowed:
            desk.take(page, seen, wire)
            rows += page.rows
            full, keys = page.rows >= capacity_of(page, size), keys_of(page)
            repeats = keys == before if total is None else rows > 2 * total + 10 * size
            if not page.rows or repeats or (total is not None and rows >= total and not full):
                break
            number, before = number + 1, keys
            page = yield from desk.ask(wire, page=number, size=size)
        else:
            return total, True
        for back in range(number - 1, 0, -1) if backwards else ():
            page = yield from desk.ask(wire, page=back, size=size)
            if isinstance(page, Page):
                desk.take(page, seen, wire)
        return (None if total is None else max(total, rows)), False


@dataclass(frozen=True, slots=True)
class _Reading:
    """A reading by cursor: the dates as they travelled, how it ended, what was met."""

    wire: Window
    span: Span
    seen: Seen

"""The walk over one slice: every call of an account's window, and the evidence that none is missing. Pure.

Pages go in; the next query comes out, or the receipt. The walk is a state machine written as generators, so that it
reads like the procedure it is:

1. read the window by cursor (`span.py`);
2. compare the different calls with the API's own count of the first page; equal or more is *complete*;
3. otherwise mend: count the window again, then its halves, down to the days that lack calls, and read those by
   page number and by cursor, as often as that brings news;
4. still fewer: *short*, with the reason. What was read is kept.

Memory: the calls of one page and the ids of its last seconds; while a day is mended, the ids of that day.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from harvester.harvest.desk import Asking, Desk, Findings, Seen
from harvester.harvest.span import capacity_of, read_span
from harvester.model import ONE_DAY, AccountId, Call, Page, Query, Receipt, Refusal, Stray, Window

MAX_DIFFERENCE_DAYS = 30
"""`end_date` is at most this many days after `start_date` (documented)."""
ROUNDS = 40
"""A day is read at most this often."""
MENDING_REQUESTS = 200
"""Mending may cost this many requests and ten times what the reading by cursor cost: a count that is simply wrong
must not eat the quota of the night."""


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
    """What the API counts in a window, and why that is not all here; `reason=None`: it is."""

    total: int | None
    reason: str | None = None


def _walk(desk: Desk) -> Asking[Receipt]:
    proof = yield from _prove(desk, desk.window)
    if proof.reason is None and desk.findings.end_inclusive is None:
        proof = yield from _check_the_end(desk, proof)
    return Receipt(
        requests=desk.requests,
        read=desk.read,
        distinct=desk.counted(desk.window) + len(desk.strays),
        counted=proof.total,
        reason=proof.reason,
    )


def _prove(desk: Desk, window: Window) -> Asking[_Proof]:
    """Reads a window and proves it complete, or says why it is short."""
    wire = desk.wire(window)
    if len(wire) > MAX_DIFFERENCE_DAYS + 1:
        earlier, later = window.halves()
        return _together((yield from _prove(desk, earlier)), (yield from _prove(desk, later)))
    seen = Seen()
    span = yield from read_span(desk, wire, seen)
    if span.trusted:
        desk.count_at_least(seen.by_day)
    mender = Mender(desk, allowed=desk.requests * 11 + MENDING_REQUESTS)
    proof = _Proof(span.total)
    for day in sorted(span.doubtful.intersection(window)):
        proof = _Proof(span.total, proof.reason or (yield from mender.day(day)).reason)
    if span.trusted and span.total is None:
        return _Proof(None, proof.reason or "the API gave no count (total_number) to compare with")
    if span.trusted and span.total is not None and desk.counted(wire) + len(desk.strays) >= span.total:
        return proof
    return (yield from mender.window(window))


def _check_the_end(desk: Desk, proof: _Proof) -> Asking[_Proof]:
    """Makes sure that the last day, of which no call came, is empty: `end_date` may turn out to be exclusive.

    Whether it is inclusive is documented by an example only. A request that ends a day later returns the last day's
    calls either way. Once any answer of the run holds a call of its own `end_date`, this is not asked again.
    """
    last = desk.window.end
    seen, known = Seen(), desk.counted(Window(last, last))
    span = yield from read_span(desk, Window(last, last + ONE_DAY), seen)
    if not span.trusted or seen.by_day.get(last.isoformat(), 0) <= known or desk.findings.end_inclusive:
        return proof
    desk.findings = replace(desk.findings, end_inclusive=False)
    return (yield from _prove(desk, desk.window))


def _together(first: _Proof, second: _Proof) -> _Proof:
    total = None if first.total is None or second.total is None else first.total + second.total
    return _Proof(total, first.reason or second.reason)


class Mender:
    """Finds the days of which calls are missing and reads them by all means.

    Args:
        desk: The slice's desk.
        allowed: How many requests the slice may have cost when mending is given up.
    """

    def __init__(self, desk: Desk, *, allowed: int) -> None:
        self._desk = desk
        self._allowed = allowed
        self._days: dict[date, _Proof] = {}

    def window(self, window: Window) -> Asking[_Proof]:
        """Counts a window again; reads it day by day where the count says that calls are missing."""
        desk, wire = self._desk, self._desk.wire(window)
        page = yield from desk.ask(wire)
        if not isinstance(page, Page):
            return _Proof(None, f"the API refuses to count {window} ({page})")
        if _on_one_page(page, desk.size):
            seen = Seen()
            desk.take(page, seen, wire)
            desk.count_at_least(seen.by_day)
            return _Proof(page.total)
        strays = len(desk.strays) if window == desk.window else 0
        if page.total is not None and page.total <= desk.counted(wire) + strays:
            return _Proof(page.total)
        if len(window) == 1:
            return (yield from self.day(window.start))
        if desk.requests > self._allowed:
            missing = (page.total or 0) - desk.counted(wire)
            return _Proof(page.total, f"{window}: {missing} calls missing after {desk.requests} requests; gave up")
        earlier, later = window.halves()
        both = _together((yield from self.window(earlier)), (yield from self.window(later)))
        return _Proof(page.total, both.reason)

    def day(self, day: date) -> Asking[_Proof]:
        """Reads one day by page number and by cursor, again while that brings news: ties may come in any order."""
        if day not in self._days:
            self._days[day] = yield from self._read_day(day)
        return self._days[day]

    def _read_day(self, day: date) -> Asking[_Proof]:
        desk, seen = self._desk, Seen(forgetful=False)
        rounds_with_news = idle = 0
        total: int | None = None
        for _ in range(ROUNDS):
            met = seen.count
            wire = desk.wire(Window(day, day))
            total, cut_off = yield from self._read_pages(wire, seen)
            if (total is None or seen.count < total) and (cut_off or not met):
                yield from read_span(desk, wire, seen)
            desk.count_at_least(seen.by_day)
            if total is not None and seen.count >= total:
                return _Proof(total)
            news = seen.count > met
            rounds_with_news += news
            idle = 0 if news else idle + 1
            if idle >= (2 if rounds_with_news < 2 else 8) or desk.requests > self._allowed:
                break
        if total is None:
            return _Proof(None, f"{day}: the API gave no count (total_number) to compare with")
        return _Proof(total, f"{day}: {seen.count} of the {total} calls that the API counts could be read")

    def _read_pages(self, wire: Window, seen: Seen) -> Asking[tuple[int | None, bool]]:
        """Reads by page number, as deep as allowed: the count (at least what was read), and whether it was cut off."""
        desk, number, rows, before = self._desk, 1, 0, frozenset[str]()
        total: int | None = None
        while True:
            page = yield from desk.ask(wire, page=number)
            if not isinstance(page, Page):
                return total, True
            desk.take(page, seen, wire)
            rows += page.rows
            keys = frozenset([call.id for call in page.calls] + [stray.key for stray in page.strays])
            total = page.total if number == 1 else total
            full = page.rows >= capacity_of(page, desk.size)
            if not page.rows or keys == before or (total is not None and rows >= total and not full):
                return (None if total is None else max(total, rows)), False
            if desk.requests > self._allowed:
                return total, True
            number, before = number + 1, keys


def _on_one_page(page: Page, size: int) -> bool:
    return page.total is not None and page.total <= page.rows < capacity_of(page, size)

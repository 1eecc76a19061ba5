"""What all readings of one slice share: asking, counting, handing on. Pure.

A reading is a generator: it yields a `Query`, is sent the answer, and returns what it found out.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, TypeVar

from harvester.calls import NO_CALLS, Call, Calls, Stray
from harvester.harvest import sizes
from harvester.harvest.findings import Count, Findings, Trial
from harvester.model import LARGEST, ONE_DAY, AccountId, Page, PageSize, Query, Refusal, Window

T = TypeVar("T")
Asking = Generator[Query, Page | Refusal, T]
Direction = Literal[-1, 0, 1]
"""Of time, in which the API lists: 1 ascending, -1 descending, 0 not yet known."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """Which calls a reading has met, so that each is counted and handed on once.

    Attributes:
        by_day: How many calls of each day, `YYYY-MM-DD`.
        strays: Keys of the strays.
        starts: The calls that may come again, by id: each one's start.
    """

    by_day: dict[str, Count] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    starts: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Different calls met so far."""
        return sum(self.by_day.values())

    @property
    def count(self) -> int:
        """Different calls and strays met so far."""
        return self.calls + len(self.strays)

    def add(self, calls: Calls) -> Calls:
        """Takes calls in; returns those not met before, each once."""
        new = calls.each_once(known=self.starts)
        self.starts.update(zip(new.ids, new.starts, strict=True))
        for day, run in new.by_day():
            self.by_day[day] = self.by_day.get(day, 0) + len(run)
        return new

    def beside(self, window: Window) -> int:
        """Calls met of other days than these: a request may have covered more."""
        return sum(calls for day, calls in self.by_day.items() if date.fromisoformat(day) not in window)

    def passed(self, cursor: str | None, direction: Direction, *, inclusive: bool) -> int:
        """How many of the calls met an answer to `cursor` does not hold, seen in the walk's direction."""
        if cursor is None or not direction:
            return 0
        ahead = sum(map(cursor.__lt__ if direction > 0 else cursor.__gt__, self.starts.values()))
        there = list(self.starts.values()).count(cursor) if inclusive else 0
        return self.calls - ahead - there

    def forget_before(self, cursor: str | None, direction: Direction) -> None:
        """Forgets the calls before `cursor`, seen in the walk's direction.

        In an ordered answer a passed call cannot come again, and a month of a huge account does not fit into memory.
        """
        if cursor is not None and direction:
            ahead = cursor.__le__ if direction > 0 else cursor.__ge__
            self.starts = {key: start for key, start in self.starts.items() if ahead(start)}


@dataclass(slots=True, kw_only=True)
class Desk:
    """Where the readings of one slice ask, and where they put what they found out.

    Attributes:
        account_id: Whose calls.
        window: The slice's days.
        page_size: What the config asks for.
        findings: What is known of the API; grows.
        may_search: Whether a larger page than is known to be served may be tried: one walk at a time does that.
        trying: Whether it is not answered yet if that does; never saved, as the next.
        trial: A try that brought fewer calls than there are, until it is known whether that was by chance.
        doubts_end: Whether a hint says that calls of `end_date` are not returned. It is a reason to ask for a day more
            from the first request on, while no answer has shown how it is; never taken for known, and never saved.
        uncounted: Whether the slice was narrowed since its calls were counted: they have to be counted again.
        steady: Whether no call has come in since then, as far as the last answer's count tells; never saved.
        requests: Pages asked for, by this walk and by those that it goes on from.
        wasted: How many of them a stop left without effect: what was under way had to be begun again.
        began: How many there were when that began which a resumed walk would have to begin again.
        asked: The page size of the last request that was served.
        read: Records on all pages, each as often as it was read.
        witness: A day that has a call after 00:00:00; `None` while none was met.
        strays: Keys of all strays handed on.
        new_calls: Calls to hand on with the next step.
        new_strays: Strays to hand on with the next step.
    """

    account_id: AccountId
    window: Window
    page_size: PageSize
    findings: Findings
    may_search: bool = False
    trying: bool = False
    trial: Trial | None = None
    doubts_end: bool = False
    uncounted: bool = False
    steady: bool = False
    requests: int = 0
    wasted: int = 0
    began: int = 0
    asked: int = 0
    read: int = 0
    witness: date | None = None
    strays: set[str] = field(default_factory=set)
    new_calls: Calls = field(default_factory=lambda: NO_CALLS)
    new_strays: list[Stray] = field(default_factory=list)

    @property
    def spent(self) -> int:
        """Requests that a walk without a stop would have needed up to here: what allowances are measured by."""
        return self.requests - self.wasted

    def begin(self) -> None:
        """Notes that a part begins here: one that is done whole, or begun again by a resumed walk."""
        self.began = self.requests

    @property
    def size(self) -> int:
        """The page size to ask for next."""
        return self.findings.page_size(self.page_size)

    @property
    def widest(self) -> int:
        """The largest page size that is known to be served, or the usual one."""
        return max(self.size, self.findings.page_size(self.findings.page_size_served))

    @property
    def ends_early(self) -> bool:
        """Whether calls of `end_date` itself are not returned, as far as is known, or hinted while nothing is."""
        known = self.findings.end_inclusive
        return self.doubts_end if known is None else not known

    def be_wary_of_ends(self) -> None:
        """Takes the end for exclusive if nothing is known: to ask for a day more is safe, whichever it is."""
        if self.findings.end_inclusive is None:
            self.findings = self.findings.merge(Findings(end_inclusive=False))

    def wire(self, window: Window) -> Window:
        """The dates that make the API return these days, as far as is known of `end_date`."""
        return Window(window.start, window.end + ONE_DAY) if self.ends_early else window

    def ask(
        self, wire: Window, *, page: int = 1, after: str | None = None, size: int | None = None
    ) -> Asking[Page | Refusal]:
        """Asks for one page; when the page size is refused, for a smaller one.

        Where the largest page is searched for, one above the usual size may turn out to be more than the server can do:
        when it fails the usual one is asked for, and if that comes the larger counts as refused. If it does not, the
        slice fails as any other.

        Args:
            wire: The dates as they travel.
            page: From 1.
            after: The cursor.
            size: Exactly this page size, which may be refused; `None` for the usual one.

        Returns:
            The page, or the refusal of just this `size`, of a deep page, of dates that were a try, or of every size.
        """
        failed: int | None = None
        while True:
            asked = size or (self.size if failed is None else min(sizes.USUAL, self.size))
            a_try = size is not None or page > 1 or wire.end > self.window.end
            answer = yield from self._ask(self._query(wire, asked, page=page, after=after, exploratory=a_try))
            if isinstance(answer, Page):
                if failed is not None:
                    self.findings = self.findings.merge(Findings(page_size_served=asked, page_size_refused=failed))
                return answer
            if size is None and self._fewer_may_do(asked) and answer in {Refusal.FAILED, Refusal.OTHER}:
                failed = asked
                continue
            too_large = page == 1 and (size is not None or answer is not Refusal.OTHER)
            if too_large:
                self.findings = self.findings.merge(Findings(page_size_refused=asked))
            if size is not None or asked == 1 or not too_large:
                return answer

    def ask_on(self, wire: Window, *, after: str | None, left: int) -> Asking[Page | Refusal]:
        """Asks for the page after a cursor: a larger one than is known to be served, if this walk may try that.

        A try that comes is the page. One that does not counts as refused when a smaller page comes in its place: a
        slice or an API that fails anyway shows nothing.

        Args:
            wire: The dates as they travel.
            after: The cursor; without one nothing is tried.
            left: Calls that are still to come, by the API's count.
        """
        size, self.trying = self.size, False
        may_try = self.may_search and self.page_size == LARGEST and self.trial is None and after is not None
        tried = sizes.larger(size, self.findings.page_size_refused, left) if may_try else None
        if after is None:
            self.trial = None  # of another reading
        if tried is None:
            return (yield from self.ask(wire, after=after))
        self.trying = True
        query = self._query(wire, tried, after=after, exploratory=True)
        page = yield from self._ask(replace(query, attempts=sizes.ATTEMPTS))
        if isinstance(page, Page):
            self.trial = Trial(tried, size, page.rows) if page.rows < min(tried, left) else None
        else:
            page = yield from self.ask(wire, after=after)
            if isinstance(page, Page):
                self.findings = self.findings.merge(Findings(page_size_refused=tried))
        self.trying = False
        return page

    def conclude(self, trial: Trial, *, more_came: bool) -> None:
        """Ends a trial. If more calls came behind its short page, the API clamps silently: so many it serves."""
        self.trial = None
        if more_came and not sizes.is_near(trial.rows, trial.tried):
            served = max(trial.known, trial.rows)
            self.findings = self.findings.merge(Findings(page_size_served=served, page_size_refused=trial.tried))

    def _query(
        self, wire: Window, size: int, *, page: int = 1, after: str | None = None, exploratory: bool = False
    ) -> Query:
        return Query(
            account_id=self.account_id,
            window=wire,
            page=page,
            page_size=size,
            after=after,
            exploratory=exploratory,
            fewer_may_do=self._fewer_may_do(size),
        )

    def _fewer_may_do(self, size: int) -> bool:
        return self.page_size == LARGEST and size > sizes.USUAL

    def _ask(self, query: Query) -> Asking[Page | Refusal]:
        answer = yield query
        self.requests += 1
        if isinstance(answer, Page):
            self.read += answer.rows
            self.asked = query.page_size
            self._learn(answer, query.window, query.page_size)
        return answer

    def take(self, page: Page, seen: Seen, wire: Window) -> None:
        """Hands on what is new on a page: calls to land, and to quarantine what cannot be placed.

        A call of the dates asked for but not of the slice's days is another slice's: counted, not handed on.
        """
        new = inside = seen.add(page.calls)
        first, end = self.window.start.isoformat(), (self.window.end + ONE_DAY).isoformat()
        if new and not (first <= min(new.starts) and max(new.starts) < end):
            inside = new.where([first <= start < end for start in new.starts])
        self.new_calls = self.new_calls + inside if self.new_calls else inside
        if self.witness is None:
            days = (start[:10] for start in inside.starts if not start.endswith(" 00:00:00"))
            self.witness = next((date.fromisoformat(day) for day in days), None)
        if len(inside) < len(new):
            self._quarantine(_outside(call, wire) for call in new if str(wire.end) < call.day or call.start < first)
        seen.strays.update(stray.key for stray in page.strays)
        self._quarantine(page.strays)

    def _quarantine(self, strays: Iterable[Stray]) -> None:
        for stray in strays:
            if stray.key not in self.strays:
                self.strays.add(stray.key)
                self.new_strays.append(stray)

    def _learn(self, page: Page, wire: Window, asked: int) -> None:
        """A call inside the day of `end_date` shows an inclusive end; one at 00:00:00 may owe it to a bare `<=`."""
        known = self.findings
        if known.end_inclusive and asked <= known.page_size_served:
            return
        midnight, end = f"{wire.end} 00:00:00", f"{wire.end} 23:59:59"
        shown = known.end_inclusive is not True and any(midnight < start <= end for start in page.calls.starts)
        self.findings = known.merge(Findings(page_size_served=asked, end_inclusive=True if shown else None))


def _outside(call: Call, wire: Window) -> Stray:
    return Stray(
        key=f"outside {call.id}", reason=f"call_start_time is outside of the dates asked for, {wire}", line=call.line
    )

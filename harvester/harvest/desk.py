"""What all readings of one slice share: asking, counting, handing on. Pure.

A reading is a generator: it yields a `Query`, is sent the answer, and returns what it found out.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

from harvester.model import ONE_DAY, AccountId, Call, Page, Query, Refusal, Stray, Window

T = TypeVar("T")
Asking = Generator[Query, Page | Refusal, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What answers have shown of the API's open questions: hints for later walks, never assumptions.

    Attributes:
        page_size_max: The largest `page_size` worth asking for; `None` while no answer has set a limit.
        end_inclusive: Whether calls of `end_date` itself are returned; `None` while no answer has shown it.
    """

    page_size_max: int | None = None
    end_inclusive: bool | None = None

    def merge(self, learned: Self) -> Self:
        """These findings and another walk's; the smaller page size and the newer `end_inclusive` win."""
        sizes = [size for size in (self.page_size_max, learned.page_size_max) if size is not None]
        ends = self.end_inclusive if learned.end_inclusive is None else learned.end_inclusive
        return replace(self, page_size_max=min(sizes, default=None), end_inclusive=ends)


class Seen:
    """Which calls a reading has met, so that each is counted and handed on once.

    It forgets what the cursor has passed: in an ordered answer a passed call cannot come again, and a month of a huge
    account does not fit into memory. With `forgetful=False` it remembers every call: for readings of a single day.
    """

    def __init__(self, *, forgetful: bool = True) -> None:
        self.by_day: dict[str, int] = {}
        self.strays: set[str] = set()
        self._calls = 0
        self._starts: dict[str, str] = {}
        self._forgetful = forgetful

    @property
    def count(self) -> int:
        """Different calls and strays met so far."""
        return self._calls + len(self.strays)

    def add(self, calls: Iterable[Call]) -> list[Call]:
        """Takes calls in; returns those not met before, each once."""
        starts, by_day = self._starts, self.by_day
        new = list({call.id: call for call in calls if call.id not in starts}.values())
        for call in new:
            starts[call.id] = call.start
            day = call.start[:10]
            by_day[day] = by_day.get(day, 0) + 1
        self._calls += len(new)
        return new

    def passed(self, cursor: str | None, direction: int) -> int:
        """How many of the calls met lie before `cursor`, seen in the walk's direction."""
        if cursor is None or not direction:
            return 0
        return self._calls - sum(1 for start in self._starts.values() if (start > cursor) == (direction > 0))

    def forget_before(self, cursor: str, direction: int) -> None:
        """Forgets the calls before `cursor`, seen in the walk's direction: 1 up, -1 down, 0 unknown."""
        if self._forgetful and direction:
            self._starts = {
                key: start
                for key, start in self._starts.items()
                if start == cursor or (start > cursor) == (direction > 0)
            }


@dataclass(slots=True, kw_only=True)
class Desk:
    """Where the readings of one slice ask, and where they put what they found out.

    Attributes:
        account_id: Whose calls.
        window: The slice's days.
        page_size: What the config asks for.
        findings: What is known of the API; grows.
        requests: Pages asked for.
        read: Records on all pages, each as often as it was read.
        counts: Different calls by Beijing day.
        strays: Keys of all strays handed on.
        new_calls: Calls to hand on with the next step.
        new_strays: Strays to hand on with the next step.
    """

    account_id: AccountId
    window: Window
    page_size: int
    findings: Findings
    requests: int = 0
    read: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    new_calls: list[Call] = field(default_factory=list)
    new_strays: list[Stray] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The page size to ask for, as far as is known of the API's maximum."""
        return min(self.page_size, self.findings.page_size_max or self.page_size)

    def wire(self, window: Window) -> Window:
        """The dates that make the API return exactly these days, as far as is known of `end_date`."""
        return Window(window.start, window.end + ONE_DAY) if self.findings.end_inclusive is False else window

    def counted(self, days: Window) -> int:
        """Different calls read of these days."""
        return sum(self.counts.get(day.isoformat(), 0) for day in days)

    def count_at_least(self, by_day: dict[str, int]) -> None:
        """Raises each day's count to what a reading of its own has met."""
        for day, calls in by_day.items():
            self.counts[day] = max(calls, self.counts.get(day, 0))

    def ask(
        self, wire: Window, *, page: int = 1, after: str | None = None, size: int | None = None
    ) -> Asking[Page | Refusal]:
        """Asks for one page; a refused page size is halved and remembered.

        Args:
            wire: The dates as they travel.
            page: From 1.
            after: The cursor.
            size: A page size to try, larger than the usual one; `None` for the usual one.

        Returns:
            The page, or the refusal of a tried `size`, of a deep page, of dates that were a try, or of every size.
        """
        while True:
            asked = size or self.size
            a_try = size is not None or page > 1 or wire.end > self.window.end
            answer = yield Query(
                account_id=self.account_id, window=wire, page=page, page_size=asked, after=after, exploratory=a_try
            )
            self.requests += 1
            if isinstance(answer, Page):
                self.read += answer.rows
                self._learn(answer, wire)
                return answer
            if size is not None or page > 1 or answer is Refusal.OTHER or asked == 1:
                return answer
            self.findings = replace(self.findings, page_size_max=asked // 2)

    def take(self, page: Page, seen: Seen, wire: Window) -> None:
        """Hands on what is new on a page: calls to land, and to quarantine what cannot be placed.

        A call of the dates asked for but not of the slice's days is another slice's: counted, not handed on.
        """
        new = seen.add(page.calls)
        first, end = self.window.start.isoformat(), (self.window.end + ONE_DAY).isoformat()
        inside = [call for call in new if first <= call.start < end]
        self.new_calls += inside
        if len(inside) < len(new):
            self._quarantine(_outside(call, wire) for call in new if str(wire.end) < call.day or call.start < first)
        seen.strays.update(stray.key for stray in page.strays)
        self._quarantine(page.strays)

    def _quarantine(self, strays: Iterable[Stray]) -> None:
        for stray in strays:
            if stray.key not in self.strays:
                self.strays.add(stray.key)
                self.new_strays.append(stray)

    def _learn(self, page: Page, wire: Window) -> None:
        """A call inside the day of `end_date` shows an inclusive end; one at 00:00:00 may owe it to a bare `<=`."""
        midnight, end = f"{wire.end} 00:00:00", f"{wire.end} 23:59:59"
        if self.findings.end_inclusive is not True and any(midnight < call.start <= end for call in page.calls):
            self.findings = replace(self.findings, end_inclusive=True)


def _outside(call: Call, wire: Window) -> Stray:
    return Stray(
        key=f"outside {call.id}", reason=f"call_start_time is outside of the dates asked for, {wire}", line=call.line
    )

"""The API in memory, with a switch for everything about it that nobody outside knows; and what drives a walk over it.

Written from the API's documents, not from the walk. It never helps: whatever a switch allows to be unhelpful, is.
"""

import datetime as dt
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import partial
from itertools import groupby
from random import Random
from typing import Protocol

from harvester.calls import Call, Calls, Stray
from harvester.model import ONE_DAY, Page, Query, Receipt, Refusal, Window

TIMELESS = 10**15  # sorts after every second, in both directions


class Order(StrEnum):
    """In which direction of time the API lists."""

    ASC = "asc"
    DESC = "desc"


class Cursor(StrEnum):
    """What `search_after` means to it."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"
    IGNORED = "ignored"


class Ties(StrEnum):
    """How it lists calls of one second."""

    STABLE = "stable"
    REVERSED = "reversed in every other answer"
    SHUFFLED = "shuffled in every answer"


class Limit(StrEnum):
    """What it does with a `page_size` above `limit`."""

    NONE = "none"
    REFUSE = "refuse"
    CLAMP = "clamp, echo the size used"
    CLAMP_ECHO_ASKED = "clamp, echo the size asked for"
    CLAMP_NO_ECHO = "clamp, echo nothing"


class Total(StrEnum):
    """What `total_number` counts."""

    WHOLE = "the window"
    REST = "what follows the cursor"
    ABSENT = "nothing"
    CAPPED = "the window, but never above `total_cap`"
    IDS = "the window, a call listed twice once"


class End(StrEnum):
    """How much of `end_date` it serves."""

    INCLUSIVE = "all of it"
    EXCLUSIVE = "nothing"
    MIDNIGHT = "00:00:00"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Switches:
    """What the API does where its documents are silent.

    Attributes:
        limit: What happens to a page size above `largest`.
        largest: The largest page, in calls.
        depth: `page * page_size` above it is refused; `None`: any depth.
        total_cap: See `Total.CAPPED`.
        empty_every: Each such answer comes without calls, though with its count; `None`: never.
        last_end: Refuses an `end_date` after it; `None`: never.
    """

    order: Order = Order.DESC
    cursor: Cursor = Cursor.EXCLUSIVE
    ties: Ties = Ties.STABLE
    limit: Limit = Limit.NONE
    largest: int = 200
    depth: int | None = None
    total: Total = Total.WHOLE
    total_cap: int = 10_000
    end: End = End.INCLUSIVE
    empty_every: int | None = None
    last_end: dt.date | None = None

    def __repr__(self) -> str:
        moved = [
            (each.name, getattr(self, each.name)) for each in fields(self) if getattr(self, each.name) != each.default
        ]
        return f"Switches({', '.join(f'{name}={value!s}' for name, value in moved)})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Entry:
    """One line of the API's list. The same id in two entries is a call that is listed twice.

    Attributes:
        id: `call_id`.
        start: `YYYY-MM-DD HH:MM:SS`; of a timeless one, where the API files it without saying so.
        arrives: It can be seen from this many answers on.
        vanishes: It cannot be seen any more from this many answers on; `None`: stays.
        stray: Cannot be placed by the reader: no usable id.
        timeless: Cannot be placed by the reader: no usable time. Listed last.
    """

    id: str
    start: str
    arrives: int = 0
    vanishes: int | None = None
    stray: bool = False
    timeless: bool = False

    def __repr__(self) -> str:
        stay = f" {self.arrives}..{self.vanishes or ''}" if self.arrives or self.vanishes else ""
        return f"<{self.start} {self.id}{stay}{' stray' * self.stray}{' timeless' * self.timeless}>"

    @property
    def placeable(self) -> bool:
        """Whether a reader can land it."""
        return not (self.stray or self.timeless)

    def seen_at(self, answers: int) -> bool:
        """Whether it is listed after that many answers."""
        return self.arrives <= answers and (self.vanishes is None or answers < self.vanishes)


def second(start: str) -> int:
    """`YYYY-MM-DD HH:MM:SS` as a number that sorts alike."""
    return int(re.sub(r"\D", "", start))


class ModelApi:
    """One account's calls behind one endpoint."""

    def __init__(self, entries: Iterable[Entry], switches: Switches, rng: Random | None = None) -> None:
        self.entries = tuple(entries)
        self.switches = switches
        self.answers = 0
        self._rng = rng or Random(0)  # noqa: S311 - a model, not a secret
        changes = {entry.arrives for entry in self.entries} | {entry.vanishes or 0 for entry in self.entries}
        self._changes = sorted(changes)
        self._lists: dict[tuple[int, bool, Window], tuple[list[Entry], list[int]]] = {}

    def answer(self, query: Query) -> Page | Refusal:
        """The page asked for, or why not; either counts as an answer."""
        refusal, page_size = self._admit(query)
        try:
            return refusal or self._page(query, page_size)
        finally:
            self.answers += 1

    def throughout(self, window: Window) -> dict[str, set[str]]:
        """The placeable calls of the window that every answer up to now could have shown: ids by day."""
        days: dict[str, set[str]] = defaultdict(set)
        for entry in self.entries:
            always = not entry.arrives and (entry.vanishes is None or entry.vanishes >= self.answers)
            if always and entry.placeable and dt.date.fromisoformat(entry.start[:10]) in window:
                days[entry.start[:10]].add(entry.id)
        return dict(days)

    def _admit(self, query: Query) -> tuple[Refusal | None, int]:
        """A refusal, if any, and the page size that is used."""
        switches = self.switches
        page_size = query.page_size
        if switches.last_end is not None and query.window.end > switches.last_end:
            return Refusal.OTHER, page_size
        if switches.limit is not Limit.NONE and page_size > switches.largest:
            if switches.limit is Limit.REFUSE:
                return Refusal.PAGE_SIZE, page_size
            page_size = switches.largest
        numbered = query.after is None or switches.cursor is Cursor.IGNORED
        if numbered and switches.depth is not None and query.page * page_size > switches.depth:
            return Refusal.DEPTH, page_size
        return None, page_size

    def _page(self, query: Query, page_size: int) -> Page:
        entries, keys = self._list(query.window)
        first = (query.page - 1) * page_size
        rest = len(entries)
        if query.after is not None and self.switches.cursor is not Cursor.IGNORED:
            bisect = bisect_left if self.switches.cursor is Cursor.INCLUSIVE else bisect_right
            first = bisect(keys, self._key(query.after))
            rest -= first
        shown = entries[first : first + page_size]
        every = self.switches.empty_every
        if every is not None and self.answers % every == every - 1:
            shown = []
        return Page(
            calls=Calls.of([Call(entry.id, entry.start, _line(entry)) for entry in shown if entry.placeable]),
            strays=[Stray(entry.id, "no id or no time", _line(entry)) for entry in shown if not entry.placeable],
            total=self._total(entries, rest),
            page_size=self._echo(query.page_size, page_size),
            size_bytes=300 * len(shown),
        )

    def _total(self, entries: Sequence[Entry], rest: int) -> int | None:
        match self.switches.total:
            case Total.WHOLE:
                return len(entries)
            case Total.REST:
                return rest
            case Total.ABSENT:
                return None
            case Total.CAPPED:
                return min(len(entries), self.switches.total_cap)
            case Total.IDS:
                return len({entry.id for entry in entries})

    def _echo(self, asked: int, used: int) -> int | None:
        if self.switches.limit is Limit.CLAMP_NO_ECHO:
            return None
        return asked if self.switches.limit is Limit.CLAMP_ECHO_ASKED else used

    def _key(self, start: str) -> int:
        return second(start) if self.switches.order is Order.ASC else -second(start)

    def _list(self, window: Window) -> tuple[list[Entry], list[int]]:
        """All that is visible now in the window, in the order of this answer, and the keys it is sorted by."""
        odd = self.switches.ties is Ties.REVERSED and self.answers % 2 == 1
        at = (bisect_right(self._changes, self.answers), odd, window)
        if at not in self._lists:
            entries = [entry for entry in self.entries if entry.seen_at(self.answers) and self._serves(entry, window)]
            entries = entries[::-1] if odd else entries
            entries.sort(key=self._rank)
            self._lists[at] = entries, [self._rank(entry) for entry in entries]
        entries, keys = self._lists[at]
        if self.switches.ties is Ties.SHUFFLED:
            groups = [list(group) for _, group in groupby(entries, self._rank)]
            entries = [entry for group in groups for entry in self._rng.sample(group, len(group))]
        return entries, keys

    def _rank(self, entry: Entry) -> int:
        return TIMELESS if entry.timeless else self._key(entry.start)

    def _serves(self, entry: Entry, window: Window) -> bool:
        day = dt.date.fromisoformat(entry.start[:10])
        if not window.start <= day <= window.end:
            return False
        if day < window.end or self.switches.end is End.INCLUSIVE:
            return True
        return self.switches.end is End.MIDNIGHT and entry.start.endswith(" 00:00:00")


def _line(entry: Entry) -> bytes:
    return b'{"call_id":"%b","call_start_time":"%b"}' % (entry.id.encode(), entry.start.encode())


def least_requests(counts: Iterable[int], page_size: int) -> int:
    """How many requests a client needs that knows everything beforehand but the calls: no page half empty."""
    return sum(max(1, -(-count // page_size)) for count in counts)


class Stepped(Protocol):
    """What a walk hands back; read-only, so that any walk's own type fits."""

    @property
    def calls(self) -> Sequence[Call]: ...  # noqa: D102
    @property
    def strays(self) -> Sequence[Stray]: ...  # noqa: D102
    @property
    def then(self) -> Query | Receipt: ...  # noqa: D102


class Walker(Protocol):
    """Anything that reads a window page by page."""

    def begin(self) -> Query | Receipt: ...  # noqa: D102
    def take(self, page: Page, /) -> Stepped: ...  # noqa: D102
    def refuse(self, refusal: Refusal, /) -> Stepped: ...  # noqa: D102


@dataclass(kw_only=True)
class Outcome:
    """What came of a walk.

    Attributes:
        landed: Ids by day, as the landing holds them: each once.
        strays: Keys of the strays handed on.
        handed_on: Calls handed on, each as often as it was.
        receipt: How the walk ended.
        queries: What it asked.
        read: Records on all pages.
    """

    receipt: Receipt = Receipt(requests=0, read=0, distinct=0, counted=None)  # noqa: RUF009 - frozen
    landed: dict[str, set[str]] = field(default_factory=partial(defaultdict, set))
    strays: set[str] = field(default_factory=set)
    handed_on: int = 0
    queries: list[Query] = field(default_factory=list)
    read: int = 0

    @property
    def requests(self) -> int:
        """How many times the API was asked."""
        return len(self.queries)

    @property
    def complete(self) -> bool:
        """Whether the walk claims to have everything."""
        return self.receipt.reason is None

    def missing(self, expected: Mapping[str, set[str]]) -> set[str]:
        """What did not land of what should have, as `day id`."""
        return {f"{day} {call_id}" for day, ids in expected.items() for call_id in ids - self.landed.get(day, set())}


def check_query(query: Query, last: Query | None, window: Window) -> None:
    """What holds of every query, whatever the API is like."""
    assert query.page >= 1, query
    assert query.page_size >= 1, query
    assert (query.window.end - query.window.start).days <= 30, f"the API refuses such a window: {query}"
    assert window.start <= query.window.start <= window.end, f"starts outside of its slice: {query}"
    assert query.window.end <= window.end + ONE_DAY, f"ends far outside of its slice: {query}"
    if query.after is not None:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", query.after), query
        dt.datetime.fromisoformat(query.after)
        assert query != last, f"the same cursor twice: {query}"


def drive(
    walk: Walker,
    answer: Callable[[Query], Page | Refusal],
    window: Window,
    max_requests: int,
    outcome: Outcome | None = None,
) -> Outcome:
    """Walks to the end, and checks on the way what must hold of any walk.

    Args:
        walk: Not begun yet.
        answer: The API.
        window: The walk's slice.
        max_requests: Fails above it: the walk does not end.
        outcome: What came of the walks that this one goes on from; grows, also when `answer` raises.
    """
    outcome = outcome or Outcome()
    then: Query | Receipt = walk.begin()
    last: Query | None = None
    shown: set[str] = set()
    while isinstance(then, Query):
        assert outcome.requests < max_requests, f"no end after {outcome.requests} requests: {then}"
        check_query(then, last, window)
        last = then
        answered = answer(then)
        outcome.queries.append(then)
        if isinstance(answered, Refusal):
            assert answered is not Refusal.OTHER or then.exploratory, f"this refusal fails the slice: {then}"
            step = walk.refuse(answered)
        else:
            outcome.read += answered.rows
            shown.update(call.id for call in answered.calls)
            shown.update(stray.key for stray in answered.strays)
            step = walk.take(answered)
        for call in step.calls:
            assert dt.date.fromisoformat(call.day) in window, f"foreign to the slice: {call}"
            assert call.id in shown, f"out of nothing: {call}"
            outcome.landed[call.day].add(call.id)
        outcome.handed_on += len(step.calls)
        assert all(stray.key in shown for stray in step.strays), f"out of nothing: {step.strays}"
        outcome.strays.update(stray.key for stray in step.strays)
        then = step.then
    outcome.receipt = then
    assert then.requests == outcome.requests, f"{then} after {outcome.requests} requests"
    assert then.read == outcome.read, f"{then} after {outcome.read} read"
    return outcome

"""The words of the house as values: frozen, slotted, without behaviour that could surprise."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, NewType

from harvester.calls import Calls, Stray

AccountId = NewType("AccountId", int)
"""An advertiser account; int64 (api documents)."""
AppName = NewType("AppName", str)
"""The name of an `[apps.NAME]` table; quotas are per app."""
TokenName = NewType("TokenName", str)
"""The name of a `[tokens.NAME]` table. Never the token itself."""

LARGEST: Final = "largest"
PageSize = int | Literal["largest"]
"""Calls to a page, as a config asks for them: so many, or as many as the API turns out to serve."""

BEIJING = dt.timezone(dt.timedelta(hours=8), "GMT+8")
"""All dates and times of the API are GMT+8 (documented); the machine's own zone never matters."""

EARLIEST = dt.date(2000, 1, 1)
"""No call is older: a day before it is a mistake."""

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One advertiser account and the token that reads it."""

    id: AccountId
    token: TokenName
    app: AppName
    name: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Beijing days from `start` to `end`, both inclusive; never empty."""

    start: dt.date
    end: dt.date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a window ends on or after its start: {self}")

    def __str__(self) -> str:
        return f"{self.start}..{self.end}"

    def __len__(self) -> int:
        return (self.end - self.start).days + 1

    def __iter__(self) -> Iterator[dt.date]:
        return (self.start + ONE_DAY * offset for offset in range(len(self)))

    def __contains__(self, day: dt.date) -> bool:
        return self.start <= day <= self.end

    def split(self, days: int) -> Iterator["Window"]:
        """The window in pieces of at most so many days, the latest first."""
        end = self.end
        while end >= self.start:
            start = max(self.start, end - ONE_DAY * (days - 1))
            yield Window(start, end)
            end = start - ONE_DAY

    def halves(self) -> tuple["Window", "Window"]:
        """The window in two, the earlier half first; needs at least two days."""
        middle = self.start + ONE_DAY * (len(self) // 2)
        return Window(self.start, middle - ONE_DAY), Window(middle, self.end)


@dataclass(frozen=True, slots=True)
class Slice:
    """An account's window: the unit of work and of failure."""

    account: Account
    window: Window

    def __str__(self) -> str:
        return f"account {self.account.id} {self.window}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One request for a page, before the API's dialect.

    Attributes:
        account_id: Whose calls.
        window: `start_date` and `end_date` as they travel.
        page: From 1; without effect when `after` is given (documented).
        page_size: How many calls are asked for; the API may give fewer.
        after: `search_after`, `YYYY-MM-DD HH:MM:SS`; `None` reads by page number.
        exploratory: Whether a refusal of this query is an answer the walk can use, not a failure.
        fewer_may_do: Whether that nothing helped is such an answer, too: the walk asks for fewer calls to a page then.
        attempts: How often it is tried at most, the first included; `None`: as the config says.
        left: About how many pages the walk still needs, as far as that is known, else 0: the longest go first.
    """

    account_id: AccountId
    window: Window
    page: int
    page_size: int
    after: str | None = None
    exploratory: bool = False
    fewer_may_do: bool = False
    attempts: int | None = None
    left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One good answer.

    Attributes:
        calls: In the API's order.
        strays: Records of the page that have no usable `call_id` or `call_start_time`.
        total: `page_info.total_number`; `None` when the API gave no usable number.
        page_size: `page_info.page_size` as the API echoed it; `None` when it gave no usable number.
        size_bytes: Of the body, decompressed; what the bounded queue counts.
    """

    calls: Calls
    strays: Sequence[Stray] = ()
    total: int | None
    page_size: int | None = None
    size_bytes: int = 0

    @property
    def rows(self) -> int:
        """How many records the API put on the page, placeable or not."""
        return len(self.calls) + len(self.strays)


class Refusal(StrEnum):
    """Why the API would not serve a page that a walk asked for (codes 60012, 60013, 60022 and exploratory ones).

    `FAILED`: nothing helped, and with fewer calls to a page it may.
    """

    PAGE_SIZE = "page size"
    DEPTH = "depth"
    OTHER = "other"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The evidence of a finished walk.

    Attributes:
        requests: Pages asked for, refused ones included, resends of the client not.
        read: Records on all pages, each as often as it was read.
        distinct: Different calls and strays of the slice that were handed on.
        counted: How many the API says there are; `None` if it never said.
        reason: Why the slice is *short*; `None` when it is *complete*.
        short_days: The days that are not proven complete; none when the slice is complete.
    """

    requests: int
    read: int
    distinct: int
    counted: int | None
    reason: str | None = None
    short_days: frozenset[dt.date] = frozenset()


class Status(StrEnum):
    """How a slice ended."""

    COMPLETE = "complete"
    SHORT = "short"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNFINISHED = "unfinished"
    DIVIDED = "divided"
    """It failed as a whole: its days are slices of their own now, and each of these ends by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A page's new calls on their way to the landing zone.

    Attributes:
        slice: Whose.
        calls: To land.
        strays: To quarantine.
        size_bytes: What the batch holds in memory, about: what the queue's bound counts.
        state: The walk's own after these calls, when it is time for a checkpoint.
        was: The slice that this one was before its walk gave days away; it is no more, and what it has is this one's.
            Always with a state. `None` for any other batch.
    """

    slice: Slice
    calls: Calls
    strays: Sequence[Stray]
    size_bytes: int
    state: bytes | None = field(default=None, repr=False)
    was: Slice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end of a slice: it travels behind the slice's last batch, so that completion never overtakes data.

    Attributes:
        slice: Which.
        status: How it ended, as far as the walk can tell.
        reason: Why it is not complete; `None` if it is.
        receipt: The walk's evidence; `None` when the walk did not come to its end: then nothing is published.
        state: Of a walk that did not come to its end, its own: where the next run goes on.
        afresh: Whether the next walk of the slice starts anew: from where this one was, nothing more can be had.
    """

    slice: Slice
    status: Status
    reason: str | None = None
    receipt: Receipt | None = None
    state: bytes | None = field(default=None, repr=False)
    afresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a slice, once it is committed (or given up).

    Attributes:
        slice: Which.
        status: How it ended.
        reason: Why it is not complete; `None` if it is.
        receipt: The walk's evidence, if it came to its end.
        landed: Different calls of tonight's reading that are in the files now.
        new: Those that were not there before.
        changed: Those whose content differs from what was there.
        missing_on: Calls that were there and that the API no longer returned, by their day.
        dropped: How many of those are not in the files any more (`[output] on_missing`).
        quarantined: Records that could not be placed.
        resumed: Whether its walk went on from an earlier run's checkpoint.
        notes: What a person should know of besides.
    """

    slice: Slice
    status: Status
    reason: str | None = None
    receipt: Receipt | None = None
    landed: int = 0
    new: int = 0
    changed: int = 0
    missing_on: Mapping[dt.date, int] = field(default_factory=dict)
    dropped: int = 0
    quarantined: int = 0
    resumed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Calls that were there and that the API no longer returned."""
        return sum(self.missing_on.values())

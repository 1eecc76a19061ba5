"""What is found out about a landing zone and its ledger: values that the landing gives and the report tells."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from harvester.model import AccountId, Window


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    """The ledger says that calls landed, and their file is not there."""
    DAMAGED = "damaged"
    """A file is not as harvester wrote it."""
    FOREIGN = "foreign"
    """It lies among the days, and harvester did not write it."""
    MARK = "mark"
    """A day's `_COMPLETE.json` does not say what the ledger says."""
    PART = "part"
    """A slice that a run began cannot be gone on with."""


class Cure(StrEnum):
    """What mends it."""

    READ_AGAIN = "read again"
    """The next run, once the day is queued for it."""
    SET_RIGHT = "set right"
    """Making or withdrawing the mark."""
    FORGET = "forget"
    """Forgetting the checkpoint: the slice is read from its beginning."""
    BY_HAND = "by hand"
    """A person: harvester cannot, or must not."""
    OTHER_CONFIG = "other config"
    """A run whose config has the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: What is wrong.
        path: Of the file or folder, from the landing zone's root.
        why: What was found, for a person.
        cure: What mends it.
        account: Whose; `None` when that cannot be told.
        day: Which; `None` when that cannot be told, or when it is about more than a day.
        queued: Whether the next run reads the day already.
    """

    kind: Kind
    path: str
    why: str
    cure: Cure
    account: AccountId | None = None
    day: date | None = None
    queued: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """What was done about findings.

    Attributes:
        days: Days of accounts that the next run reads.
        accounts: Of so many accounts.
        marks: Marks that were made or withdrawn since they were wrong.
        checkpoints: That were forgotten.
    """

    days: int = 0
    accounts: int = 0
    marks: int = 0
    checkpoints: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """How a new ledger was made of a landing zone.

    Attributes:
        why: What was wrong with the old one.
        aside: Where the old one is kept; `None` when there was none.
        partitions: Sound ones that were taken over.
        calls: In them.
        complete: Days of accounts that a mark names: they are complete.
        queued: Days of accounts that the next run reads, since they cannot be relied on.
        unproven: Days of accounts that are there, and that no mark names: they are not complete.
        unproven_since: The first such day.
    """

    why: str
    aside: str | None
    partitions: int = 0
    calls: int = 0
    complete: int = 0
    queued: int = 0
    unproven: int = 0
    unproven_since: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the ledger holds of one account, counted.

    Attributes:
        first: The first day that is known.
        complete: Complete days, up to the last one that was asked for.
        short: Days that were over when they were read, and that are not proven.
        queued: Days that the next run reads whatever its window.
    """

    first: date
    complete: int
    short: int
    queued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How an account's last slice that was not complete ended.

    Attributes:
        window: The slice's days.
        status: How it ended.
        reason: Why.
        at: When, ISO 8601.
    """

    window: str
    status: str
    reason: str | None
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Walking:
    """A slice that was begun and can be gone on with.

    Attributes:
        window: Its days.
        calls: That it has brought so far.
        since: The day on which its walk began.
        saved_at: When it was saved last, ISO 8601.
    """

    window: Window
    calls: int
    since: date
    saved_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What reading days once more brought that were so old.

    Attributes:
        age: Days since the day they were read for.
        days: Days of accounts that were read again.
        calls: In them.
        new: Of these, not there at the reading before.
    """

    age: int
    days: int
    calls: int
    new: int


def gaps(window: Window, complete: Iterable[int]) -> list[Window]:
    """The days of a window that are not complete, as windows without gaps, in order.

    Args:
        window: The days.
        complete: Those of them that are complete, ascending, as ordinals.
    """
    found: list[Window] = []
    due = window.start.toordinal()
    for day in complete:
        if day > due:
            found.append(Window(date.fromordinal(due), date.fromordinal(day - 1)))
        due = day + 1
    if due <= window.end.toordinal():
        found.append(Window(date.fromordinal(due), window.end))
    return found

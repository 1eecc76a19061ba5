"""What is on the page, as values. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum

from harvester.inspection import Arrival, Failure
from harvester.model import ONE_DAY, AccountId, AppName, Window
from harvester.page.counting import Counts
from harvester.triage import Condition, Poison
from harvester.usage import Pause


class Mark(IntEnum):
    """How an account's day stands."""

    UNREAD = 0
    """Nothing is known of it."""
    COMPLETE = 1
    SHORT = 2
    """It was over when it was read, and it is not proven."""
    EARLY = 3
    """It was not over yet when it was read."""
    QUEUED = 4
    """The next run reads it again."""
    POISONED = 5
    """The API fails on this day, and on others of the account it does not."""
    BEFORE = 6
    """It lies before the config's window, and before the first day of the account that is known: it is not due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDays:
    """An account on the page.

    Attributes:
        account_id: Which.
        name: For a person, cleaned; `None` when there is none.
        marks: One for each day of the page, in order.
        calls: That the ledger knows of these days.
        requests: Pages asked for, by slices that ended since the page's first day.
        read: Calls that these slices brought.
        condition: How it was found when it was asked last; `None`: it never refused.
        poison: Its poisoned days.
        failure: How the last slice ended that was not complete; `None` when none is known.
    """

    account_id: AccountId
    name: str | None = None
    marks: bytes
    calls: int = 0
    requests: int = 0
    read: int = 0
    condition: Condition | None = None
    poison: tuple[Poison, ...] = ()
    failure: Failure | None = None

    @property
    def due(self) -> int:
        """Days that should be complete."""
        return len(self.marks) - self.marks.count(Mark.BEFORE)

    @property
    def lacking(self) -> int:
        """Days of these that are not."""
        return self.due - self.marks.count(Mark.COMPLETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What an app sent.

    Attributes:
        app: Which.
        per_minute: Its quota now; `None` when none is known.
        learned: Whether that was learned from the API's own figures, not configured.
        by_minute: Requests by minute (Unix time / 60), of the last two days at most; minutes without any are absent.
    """

    app: AppName
    per_minute: int | None = None
    learned: bool = False
    by_minute: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run, as its file under `runs/` has it.

    Attributes:
        run_id: Which.
        started: When.
        seconds: How long it took.
        complete: Whether every slice of its plan is complete.
        exit_code: What the shell was told.
        accounts: That it covered.
        calls: That it read and that are in the files.
        new: Of these, not there before.
        changed: Of these, not as they were.
        missing: Calls that were there before and were not returned any more.
        quarantined: Records that cannot be placed.
        requests: Sent, all apps together.
        failed_attempts: Of these, without a usable answer.
        lacking: Slices that are missing or short.
        ended_by: What ended it early, cleaned; `None` when nothing did.
        dead_tokens: Names of tokens that did not work, with the reason, cleaned.
    """

    run_id: str
    started: datetime
    seconds: float
    complete: bool
    exit_code: int
    accounts: int
    calls: int
    new: int
    changed: int
    missing: int
    quarantined: int
    requests: int
    failed_attempts: int
    lacking: int
    ended_by: str | None = None
    dead_tokens: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Slices of the last run that are not complete, for one cause: how they ended, why (cleaned), and how many."""

    status: str
    reason: str
    slices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """The latest runs.

    Attributes:
        runs: The latest last.
        damaged: Names of files that are no run's, or of none that can be read, with the reason; cleaned.
        causes: Why the last run is not complete, the most common first.
        older: Files of earlier runs, which were not read.
    """

    runs: Sequence[Run] = ()
    damaged: Sequence[tuple[str, str]] = ()
    causes: Sequence[Cause] = ()
    older: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The landed calls.

    Attributes:
        window: The days of which they were read.
        counts: What they are.
        files: That were read.
        absent: Files that the ledger knows of and that are not there: moved away, or lost.
        damaged: Files that cannot be read to their end; nothing of them is counted.
        first_damaged: The first of them, from the landing zone's root; `None` when there is none.
    """

    window: Window
    counts: Counts
    files: int = 0
    absent: int = 0
    damaged: int = 0
    first_damaged: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything on the page.

    Attributes:
        made_at: When, in Beijing.
        window: The days of the page.
        there: Whether there is a ledger.
        accounts: Every enabled account, those that lack most first.
        unknown: `[discover]` tables whose accounts nobody knows.
        others: Accounts that the ledger knows and the config does not have.
        traffic: By app.
        pauses: Of the last two days, in order.
        runs: The latest ones.
        reading: The landed calls; `None` when they were not to be read.
        arrivals: What reading days again brought, by their age.
        nights: On how many days that was.
        reread_days: The config's.
    """

    made_at: datetime
    window: Window
    there: bool = True
    accounts: Sequence[AccountDays] = ()
    unknown: tuple[str, ...] = ()
    others: int = 0
    traffic: Sequence[Traffic] = ()
    pauses: Sequence[Pause] = ()
    runs: Runs = field(default_factory=Runs)
    reading: Reading | None = None
    arrivals: Sequence[Arrival] = ()
    nights: int = 0
    reread_days: int | None = None

    @property
    def days(self) -> Sequence[date]:
        """The days of the page, in order."""
        return list(self.window)

    @property
    def since(self) -> date:
        """The day from which on every account's days are due."""
        late = max((one.marks.count(Mark.BEFORE) for one in self.accounts), default=0)
        return min(self.window.start + ONE_DAY * late, self.window.end)

    @property
    def incomplete(self) -> int:
        """Accounts that lack days."""
        return sum(1 for one in self.accounts if one.lacking)

    @property
    def complete(self) -> bool:
        """Whether no day is lacking, and the accounts are known."""
        return self.there and not self.incomplete and not self.unknown and bool(self.accounts)

"""Accounts as a run sees them: what is known of each, what may be asked, and what failures are. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

from harvester.errors import Complaint
from harvester.model import EARLIEST, Account, AccountId, Slice, Status, Window
from harvester.triage import Condition, Poison, is_asked, why_poisoned, why_skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """What is known of accounts when a run begins.

    Attributes:
        today: The Beijing day of the run.
        conditions: How accounts were found that refused once.
        poison: The poisoned days of accounts.
        failed_lately: Accounts of which a slice failed on one of the last days, and today not yet.
        again: Whether a person wants all of them to be asked.
        named: Accounts that a person named: these are asked.
    """

    today: date = EARLIEST
    conditions: Mapping[AccountId, Condition] = field(default_factory=dict)
    poison: Mapping[AccountId, Mapping[date, Poison]] = field(default_factory=dict)
    failed_lately: Collection[AccountId] = ()
    again: bool = False
    named: Collection[AccountId] = ()

    def knows(self, account: Account) -> bool:
        """Whether anything was known of an account."""
        return account.id in self.conditions or account.id in self.poison

    def case(self, account: Account) -> "Case":
        """An account's, as the run begins: what was asked for on this day before is shut."""
        case = Case(account, self.conditions.get(account.id), dict(self.poison.get(account.id, {})))
        forced = self.again or account.id in self.named
        if case.condition and not is_asked(case.condition, self.today, account.token, forced=forced):
            case.door.shut = why_skipped(case.condition, tonight=False)
        asked = [poison for poison in case.poison.values() if poison.asked_on == self.today]
        if asked and not forced:
            case.cellar.shut = why_poisoned(asked[0], tonight=False)
        return case


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """That a slice may be begun now.

    Attributes:
        windows: Its parts, the last one to be asked for first; usually just its own.
        reason: Why nothing of it is asked for; `None` if it is.
        status: How it ends then.
    """

    windows: tuple[Window, ...] = ()
    reason: str | None = None
    status: Status = Status.SKIPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a walk failed.

    Attributes:
        text: For a person.
        complaint: The API's own words; `None` when there was no answer at all.
        refused: Whether the same request would be refused again.
        pages: That came before it.
        part: Whether it was of a slice that is being divided.
    """

    text: str
    complaint: Complaint | None = None
    refused: bool = False
    pages: int = 0
    part: bool = False


class Fate(Enum):
    """What becomes of a slice that failed."""

    KEPT = "it is gone on with another night"
    ANEW = "it begins anew another night"
    DIVIDED = "its parts are asked for now"
    DEFERRED = "it comes again when the plan is through, and is divided then if it is no fault of the API's"


@dataclass(slots=True)
class Door:
    """Whether something may be asked: by one slice at a time until that is answered, and not after a refusal.

    Attributes:
        shut: Why not; `None` if it may.
        knocking: The slice that asks first.
        open: Whether it was answered.
    """

    shut: str | None = None
    knocking: Slice | None = None
    open: bool = False

    def lets_in(self, one: Slice) -> bool:
        """Whether a slice may ask now."""
        return self.open or self.knocking in {None, one}

    def leave(self, one: Slice) -> None:
        """It does not ask any more."""
        if self.knocking == one:
            self.knocking = None


@dataclass(slots=True)
class Case:
    """An account in a run.

    Attributes:
        account: Which.
        condition: How it is; `None`: it never refused.
        poison: Its poisoned days.
        door: To all of it.
        cellar: To its poisoned days: one at a time, always.
        failed: Days that failed by themselves while nothing of the account was answered yet.
        failures: What the API said to requests that failed before any was answered.
        deferred: Slices that failed and wait for the end of the plan.
        splits: Windows that were divided.
        asked: Whether it was asked in this run.
    """

    account: Account
    condition: Condition | None = None
    poison: dict[date, Poison] = field(default_factory=dict)
    door: Door = field(default_factory=Door)
    cellar: Door = field(default_factory=Door)
    failed: dict[date, Complaint] = field(default_factory=dict)
    failures: list[Complaint] = field(default_factory=list)
    deferred: dict[Slice, Failure] = field(default_factory=dict)
    splits: int = 0
    asked: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it was answered, and nothing else is known of it: then it need not be kept."""
        kept = (self.condition, self.poison, self.failed, self.failures, self.deferred, self.splits, self.door.shut)
        return self.door.open and not any(kept)

    @property
    def sick(self) -> Condition | None:
        """Its condition, if it is not well."""
        return self.condition if self.condition and not self.condition.well else None

    def doors(self, one: Slice) -> list[Door]:
        """Those that a slice has to pass."""
        return [self.door, self.cellar] if self.is_poisoned(one) else [self.door]

    def why_shut(self, one: Slice) -> str | None:
        """Why a slice may not be begun any more; `None` if it may."""
        return next((door.shut for door in self.doors(one) if door.shut), None)

    def is_poisoned(self, one: Slice) -> bool:
        """Whether a slice is one of its poisoned days."""
        return len(one.window) == 1 and one.window.start in self.poison

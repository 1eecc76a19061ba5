"""What a run did, as a value, and how it grows with every slice that ends. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final

from harvester.errors import ExitCode
from harvester.foresight import Expected
from harvester.model import AppName, Outcome, Status, TokenName, Window
from harvester.report.grown import plus
from harvester.report.left import Left
from harvester.report.quotas import QuotaUse
from harvester.report.sick import Sick
from harvester.report.troubles import Trouble, trouble

_MISSING_KEPT: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Calls of a day that had landed before and were not returned any more."""

    account_id: int
    day: date
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run did.

    Attributes:
        run_id: Names the run; also its file under `runs/`.
        window: The days it was to cover.
        accounts: Accounts it was to cover.
        started: When.
        ended: When; `None` while it runs.
        slices: Ended slices by status.
        divided: Slices that failed as a whole: their parts are slices instead.
        not_begun: Slices of the plan that were never opened.
        left: What was not finished and what was not begun, by name.
        calls: Different calls read tonight and in the files now.
        new: Of these, not there before.
        changed: Of these, different from what was there.
        late: Of the new ones, those of days that were read before when they were over.
        missing: Calls that were there before and that the API no longer returned.
        dropped: How many of these are not in the files any more (`[output] on_missing`).
        missing_on: Where they are missing: the first few hundred days of accounts, by slice.
        resumed: Slices that went on from an earlier run's checkpoint.
        completed_before: Slices that an interrupted run of the same night had completed; they were not read again.
        notes: What a person should know of besides.
        quarantined: Records that cannot be placed.
        requests: Sent, by app.
        predicted: Requests that were predicted for the slices whose walks came to their end, complete or short, as far
            as anything was known of them; a fraction, to be rounded when it is shown.
        predicted_s: Seconds that all slices were predicted to take at the quota; `None` when nobody could know, or
            not all were read.
        quotas: What each app used of its quota.
        walked: Requests that these walks took tonight, by their receipts: resends are not counted.
        failed_attempts: Requests that brought no page.
        dead_tokens: Why each died.
        no_token_works: Whether every token that the run needed is dead, one of them at least for good.
        renewals_failed: Whether all of them were given up since no renewal was answered: the next run tries again.
        troubles: Every slice that is not complete.
        sick: Accounts that are not well, and days that are poisoned.
        ended_by: "interrupted", "terminated", an error's text; `None` when the run came to its end.
        exit_code: What the shell is told.
    """

    run_id: str
    window: Window
    accounts: int
    started: datetime
    ended: datetime | None = None
    slices: Mapping[Status, int] = field(default_factory=dict)
    divided: int = 0
    not_begun: int = 0
    left: Left = field(default_factory=Left)
    calls: int = 0
    new: int = 0
    changed: int = 0
    late: int = 0
    missing: int = 0
    dropped: int = 0
    missing_on: tuple[Missing, ...] = ()
    resumed: int = 0
    completed_before: int = 0
    notes: Sequence[str] = ()
    quarantined: int = 0
    requests: Mapping[AppName, int] = field(default_factory=dict)
    predicted: float = 0.0
    predicted_s: float | None = None
    quotas: Sequence[QuotaUse] = ()
    walked: int = 0
    failed_attempts: int = 0
    dead_tokens: Mapping[TokenName, str] = field(default_factory=dict)
    no_token_works: bool = False
    renewals_failed: bool = False
    troubles: Sequence[Trouble] = ()
    sick: Sick = field(default_factory=Sick)
    ended_by: str | None = None
    exit_code: ExitCode = ExitCode.COMPLETE

    @property
    def complete(self) -> bool:
        """Whether every slice of the plan is complete."""
        return not self.troubles and not self.not_begun and self.ended_by is None

    @property
    def complete_slices(self) -> int:
        """Slices that are complete."""
        return self.slices.get(Status.COMPLETE, 0)

    @property
    def lacking(self) -> int:
        """Slices that are not; those that were abandoned among them, though they have not ended."""
        return len(self.troubles) + self.not_begun

    @property
    def took_s(self) -> float:
        """Seconds from its start to its end."""
        return ((self.ended or self.started) - self.started).total_seconds()

    @property
    def lacks_nothing(self) -> bool:
        """Whether all that is lacking are slices that were complete before, and were only to be read again."""
        unfinished = sum(one.status is Status.UNFINISHED for one in self.troubles)
        return 0 < self.left.again == self.left.total == self.lacking == unfinished + self.not_begun


def fold(report: Report, outcome: Outcome, expected: Expected | None = None) -> Report:
    """The report with one more slice in it.

    Args:
        report: So far.
        outcome: How the slice ended.
        expected: What it was expected to take; compared with its receipt if it has one, and something was known.
    """
    if outcome.status is Status.DIVIDED:
        return replace(report, divided=report.divided + 1, resumed=report.resumed + outcome.resumed)
    receipt = outcome.receipt if expected and not expected.blind_days else None
    slices = Counter(report.slices)
    slices[outcome.status] += 1
    lacking = report.troubles
    if outcome.status is not Status.COMPLETE:
        lacking = plus(lacking, [trouble(outcome.slice, outcome.status, outcome.reason or "no reason is known")])
    return replace(
        report,
        slices=slices,
        calls=report.calls + outcome.landed,
        new=report.new + outcome.new,
        changed=report.changed + outcome.changed,
        missing=report.missing + outcome.missing,
        dropped=report.dropped + outcome.dropped,
        missing_on=_with_missing(report.missing_on, outcome),
        resumed=report.resumed + outcome.resumed,
        notes=plus(report.notes, outcome.notes),
        quarantined=report.quarantined + outcome.quarantined,
        troubles=lacking,
        predicted=report.predicted + (expected.requests if expected and receipt else 0.0),
        walked=report.walked + (max(0, receipt.requests - expected.spent) if expected and receipt else 0),
    )


def _with_missing(so_far: tuple[Missing, ...], outcome: Outcome) -> tuple[Missing, ...]:
    account = outcome.slice.account.id
    here = (Missing(account_id=account, day=day, calls=calls) for day, calls in sorted(outcome.missing_on.items()))
    return so_far if len(so_far) >= _MISSING_KEPT else so_far + tuple(here)

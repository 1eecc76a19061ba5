"""The fold of outcomes into a report, and the report in words. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from harvester.errors import ExitCode
from harvester.foresight import Expected
from harvester.model import AppName, Outcome, Status, TokenName, Window
from harvester.report import left as what_is_left
from harvester.report import sick as who_is_sick
from harvester.report import troubles as causes
from harvester.report.grown import plus
from harvester.report.left import Left
from harvester.report.sick import Sick
from harvester.report.troubles import Trouble, trouble

_TOKENS_NAMED: Final = 8
_MISSING_KEPT: Final = 300
_MISSING_NAMED: Final = 3
_NOTES_NAMED: Final = 8


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
        walked: Requests that these walks took tonight, by their receipts: resends are not counted.
        failed_attempts: Requests that brought no page.
        dead_tokens: Why each died.
        no_token_works: Whether every token that the run needed is dead.
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
    missing: int = 0
    dropped: int = 0
    missing_on: tuple[Missing, ...] = ()
    resumed: int = 0
    completed_before: int = 0
    notes: Sequence[str] = ()
    quarantined: int = 0
    requests: Mapping[AppName, int] = field(default_factory=dict)
    predicted: float = 0.0
    walked: int = 0
    failed_attempts: int = 0
    dead_tokens: Mapping[TokenName, str] = field(default_factory=dict)
    no_token_works: bool = False
    troubles: Sequence[Trouble] = ()
    sick: Sick = field(default_factory=Sick)
    ended_by: str | None = None
    exit_code: ExitCode = ExitCode.COMPLETE

    @property
    def complete(self) -> bool:
        """Whether every slice of the plan is complete."""
        return not self.troubles and not self.not_begun and self.ended_by is None


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


def exit_code(report: Report, signalled: ExitCode | None) -> ExitCode:
    """What the shell is told: what needs a person first.

    Args:
        report: The finished report.
        signalled: `INTERRUPTED` or `TERMINATED` when a signal ended the run.
    """
    if report.complete:
        return ExitCode.COMPLETE
    if signalled is not None:
        return signalled
    if report.no_token_works:
        return ExitCode.NO_TOKEN
    if any(trouble.status is not Status.UNFINISHED for trouble in report.troubles):
        return ExitCode.PARTIAL
    return ExitCode.BUDGET


def to_json(report: Report) -> dict[str, Any]:
    """The report as `runs/<run_id>.json` and `--summary` hold it."""
    values = asdict(replace(report, troubles=tuple(report.troubles), notes=tuple(report.notes)))
    values["window"] = {"start": report.window.start, "end": report.window.end}
    values["slices"] = {str(status): report.slices.get(status, 0) for status in Status if status is not Status.DIVIDED}
    values["predicted"] = round(report.predicted)
    values |= what_is_left.to_json(report.left)
    del values["sick"]
    values |= who_is_sick.to_json(report.sick)
    values["complete"] = report.complete
    values["exit_code"] = int(report.exit_code)
    return values


def in_words(report: Report) -> str:
    """The report for a person, complete or not in its first line."""
    lines = _first_lines(report)
    if report.predicted:
        lines.append(_comparison(report))
    if report.completed_before:
        before = f"{report.completed_before:,} more slices were complete already"
        lines.append(f"  {before}, by a run of this night that was interrupted")
    if report.resumed:
        lines.append(f"  {report.resumed:,} slices went on from where an earlier run was interrupted")
    if report.missing:
        lines += _gone(report)
    lines += [f"  note: {note}" for note in report.notes[:_NOTES_NAMED]]
    if len(report.notes) > _NOTES_NAMED:
        lines.append(_further(len(report.notes) - _NOTES_NAMED, "note"))
    if report.quarantined:
        lines.append(
            f"  {report.quarantined:,} records cannot be placed; they are in quarantine/, each with its reason"
        )
    lines += _deaths(list(report.dead_tokens.values()))
    lines += who_is_sick.in_words(report.sick)
    lines += causes.in_words(report.sick.without_told(report.troubles))
    lines += what_is_left.in_words(report.left)
    if report.ended_by:
        lines.append(f"  ended by: {report.ended_by}")
    return "\n".join(lines)


def _first_lines(report: Report) -> list[str]:
    done = report.slices.get(Status.COMPLETE, 0)
    lacking = len(report.troubles) + report.not_begun  # abandoned slices are troubles, but have not ended
    total = done + lacking
    if report.complete:
        first = f"COMPLETE  {report.window}: every call that the API counts is in the files"
        first = first if total else f"COMPLETE  {report.window}: nothing was due"
    else:
        first = f"NOT COMPLETE  {report.window}: {lacking:,} of {total:,} slices are missing or short"
    took = timedelta(seconds=round(((report.ended or report.started) - report.started).total_seconds()))
    calls = f"{report.calls:,} ({report.new:,} new, {report.changed:,} changed)"
    requests = f"{sum(report.requests.values()):,} ({report.failed_attempts:,} failed)"
    return [
        first,
        f"  accounts {report.accounts:,} · slices {done:,} of {total:,} · calls {calls}",
        f"  requests {requests} · took {took} · run {report.run_id}",
    ]


def _comparison(report: Report) -> str:
    off = 100 * (report.walked / report.predicted - 1)
    return f"  predicted {report.predicted:,.0f} requests, took {report.walked:,} ({off:+.1f} %)"


def _gone(report: Report) -> list[str]:
    fate = "they are kept"
    if report.dropped:
        kept = report.missing - report.dropped
        fate = f"{report.dropped:,} are dropped" + (f", {kept:,} on unproven days are kept" if kept else "")
    named = [f"{one.account_id} {one.day} ({one.calls:,})" for one in report.missing_on[:_MISSING_NAMED]]
    more = f" and {len(report.missing_on) - _MISSING_NAMED:,} more days" if len(report.missing_on) > len(named) else ""
    return [
        f"  {report.missing:,} calls that had landed before were not returned any more; {fate}",
        f"      {', '.join(named)}{more}",
    ]


def _deaths(reasons: Sequence[str]) -> list[str]:
    lines = [f"  {reason}" for reason in reasons[:_TOKENS_NAMED]]
    if len(reasons) > _TOKENS_NAMED:
        lines.append(_further(len(reasons) - _TOKENS_NAMED, "dead token"))
    return lines


def _further(many: int, what: str) -> str:
    return f"  … and {many:,} further {what}{'' if many == 1 else 's'}: see the run's report"

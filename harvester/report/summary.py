"""What a run did: the exit code, the report's file, and all of it in words. Pure."""

import re
from collections import Counter
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any, Final

import orjson

from harvester.errors import ExitCode
from harvester.model import Status
from harvester.report import left as what_is_left
from harvester.report import quotas
from harvester.report import sick as who_is_sick
from harvester.report import troubles as causes
from harvester.report.blocks import Block, in_blocks, plural
from harvester.report.fold import Missing, Report, fold
from harvester.report.troubles import Trouble

__all__ = ["Missing", "Report", "as_json", "blocks", "exit_code", "fold", "in_words", "to_json"]

_DEAD: Final = re.compile(r"token \S+ is dead")
_TOKENS_NAMED: Final = 8
_MISSING_NAMED: Final = 3
_NOTES_NAMED: Final = 8


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
    if report.renewals_failed:
        return ExitCode.BUDGET
    if any(trouble.status is not Status.UNFINISHED for trouble in report.troubles):
        return ExitCode.PARTIAL
    return ExitCode.BUDGET


def to_json(report: Report) -> dict[str, Any]:
    """The report as `runs/<run_id>.json` and `--summary` hold it."""
    values = asdict(replace(report, troubles=tuple(report.troubles), notes=tuple(report.notes)))
    values["window"] = {"start": report.window.start, "end": report.window.end}
    values["slices"] = {str(status): report.slices.get(status, 0) for status in Status if status is not Status.DIVIDED}
    values["predicted"] = round(report.predicted)
    values["predicted_s"] = None if report.predicted_s is None else round(report.predicted_s, 1)
    values["took_s"] = round(report.took_s, 1)
    values["quotas"] = quotas.to_json(report.quotas)
    values |= what_is_left.to_json(report.left)
    del values["sick"]
    values |= who_is_sick.to_json(report.sick)
    values["complete"] = report.complete
    values["exit_code"] = int(report.exit_code)
    return values


def as_json(report: Report) -> bytes:
    """The report's file."""
    return orjson.dumps(to_json(report), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def in_words(report: Report) -> str:
    """The report for a person, complete or not in its first line; `screen.py` has what fits a screen."""
    return "\n".join(line for block in blocks(report) for line in block.lines)


def blocks(report: Report) -> list[Block]:
    """The report as blocks of lines, in their order; the most important ones have the lowest rank."""
    read_already = []
    if report.completed_before:
        many = f"{plural(report.completed_before, 'more slice')} {'was' if report.completed_before == 1 else 'were'}"
        read_already.append(f"  {many} complete already, by a run of this night that was interrupted")
    if report.resumed:
        read_already.append(f"  {plural(report.resumed, 'slice')} went on from where an earlier run was interrupted")
    lost = _gone(report) if report.missing else []
    if report.quarantined == 1:
        lost.append("  1 record cannot be placed; it is in quarantine/, with its reason")
    elif report.quarantined:
        lost.append(f"  {report.quarantined:,} records cannot be placed; they are in quarantine/, each with its reason")
    notes = [f"  note: {note}" for note in report.notes[:_NOTES_NAMED]]
    if len(report.notes) > _NOTES_NAMED:
        notes.append(_further(len(report.notes) - _NOTES_NAMED, "note"))
    return [
        Block(0, _first_lines(report)),
        *in_blocks(1, [f"  ended by: {report.ended_by}"] if report.ended_by else []),
        *in_blocks(2, _deaths(report)),
        *in_blocks(4, who_is_sick.in_words(report.sick)),
        *in_blocks(4, causes.in_words(_untold(report))),
        *in_blocks(3, what_is_left.in_words(report.left)),
        *in_blocks(5, lost),
        *in_blocks(6, notes),
        *in_blocks(7, who_is_sick.recovered_in_words(report.sick)),
        *in_blocks(7, read_already),
    ]


def _untold(report: Report) -> list[Trouble]:
    """Troubles that no line about tokens, accounts or what is left tells."""
    left = {Status.UNFINISHED} if report.left.total and report.ended_by else set()
    dead = tuple(f"token {name} is dead" for name in report.dead_tokens)
    return [
        one
        for one in report.sick.without_told(report.troubles)
        if one.status not in left and not (dead and one.reason.startswith(dead))
    ]


def _first_lines(report: Report) -> list[str]:
    done, lacking = report.complete_slices, report.lacking
    total = done + lacking
    if report.complete:
        what = "every call that the API counts is in the files" if total else "nothing was due"
    elif report.lacks_nothing:
        again = f"{lacking:,} of {plural(total, 'slice')} {'was' if lacking == 1 else 'were'} not read again"
        what = f"no day is missing; {again}, so late calls may be"
    else:
        what = f"{lacking:,} of {plural(total, 'slice')} {'is' if lacking == 1 else 'are'} missing or short"
    days = plural(len(report.window), "day")
    late = f", {report.late:,} late" if report.late else ""
    used = quotas.in_words(report.quotas)
    return [
        f"{'COMPLETE' if report.complete else 'NOT COMPLETE'}  {report.window}: {what}",
        f"  {plural(report.accounts, 'account')} · {days} · {done:,} of {plural(total, 'slice')} complete",
        f"  {plural(report.calls, 'call')} ({report.new:,} new, {report.changed:,} changed{late})",
        f"  {plural(sum(report.requests.values()), 'request')} ({report.failed_attempts:,} failed)"
        + (f" · quota used: {used}" if used else ""),
        f"  took {_time(report.took_s)}{_time_predicted(report)} · run {report.run_id}",
        *_requests_predicted(report),
    ]


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _time_predicted(report: Report) -> str:
    """What the quota alone would have taken."""
    if not report.predicted_s or not report.requests:
        return ""
    return f", {_time(report.predicted_s)} predicted ({100 * (report.took_s / report.predicted_s - 1):+.0f} %)"


def _requests_predicted(report: Report) -> list[str]:
    """Of walks that came to their end."""
    if not report.predicted:
        return []
    off = 100 * (report.walked / report.predicted - 1)
    return [f"  predicted {plural(round(report.predicted), 'request')}, took {report.walked:,} ({off:+.1f} %)"]


def _gone(report: Report) -> list[str]:
    fate = "they are kept"
    if report.dropped:
        kept = report.missing - report.dropped
        fate = f"{report.dropped:,} are dropped" + (f", {kept:,} on unproven days are kept" if kept else "")
    named = [f"{one.account_id} {one.day} ({one.calls:,})" for one in report.missing_on[:_MISSING_NAMED]]
    further = len(report.missing_on) - len(named)
    more = f" and {plural(further, 'more day')}" if further else ""
    were = "was" if report.missing == 1 else "were"
    return [
        f"  {plural(report.missing, 'call')} that had landed before {were} not returned any more; {fate}",
        *([f"      {', '.join(named)}{more}"] if named else []),
    ]


def _deaths(report: Report) -> list[str]:
    """Why tokens died, those first whose death leaves the most unread."""
    slices = Counter(one.reason.split(" is dead", 1)[0] for one in report.troubles if _DEAD.match(one.reason))
    ordered = sorted(report.dead_tokens.items(), key=lambda one: -slices[f"token {one[0]}"])
    lines = []
    for name, reason in ordered[:_TOKENS_NAMED]:
        many = slices[f"token {name}"]
        told = f"token {name} ({plural(many, 'slice')}):" if many else f"token {name}:"
        lines.append(f"  {reason.replace(f'token {name}:', told, 1)}")
    if len(ordered) > _TOKENS_NAMED:
        lines.append(_further(len(ordered) - _TOKENS_NAMED, "dead token"))
    return lines


def _further(many: int, what: str) -> str:
    return f"  … and {plural(many, f'further {what}')}: see the run's report"

"""What there is to say of a run that has ended: the fields of a notice. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from harvester.errors import ExitCode
from harvester.notice import FIELDS, MEANINGS, Value, occasion
from harvester.report.summary import Report, in_words

_DETAIL_LINES: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended.

    Attributes:
        code: What the shell is told.
        report: What it did; `None` when it ended before it could say so.
        error: What ended it early, for a person; no secret is in it. `None` when nothing did, or the report says it.
    """

    code: ExitCode
    report: Report | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is around a run.

    Attributes:
        config: The config's file name.
        host: The machine's name.
        was_unwell: Whether the last run of this config did not end well.
        report_path: Where the report lies; `None` when there is none.
    """

    config: str
    host: str
    was_unwell: bool = False
    report_path: str | None = None


def fields(ending: Ending, around: Circumstances) -> Mapping[str, Value]:
    """The value of every field that a template may name: `notice.FIELDS`."""
    meaning, todo = MEANINGS[ending.code]
    headline, details = _words(ending, meaning)
    known: dict[str, Value] = dict.fromkeys(FIELDS) | {
        "event": str(occasion(ending.code, was_unwell=around.was_unwell)),
        "config": around.config,
        "host": around.host,
        "headline": headline,
        "details": details,
        "exit_code": int(ending.code),
        "meaning": meaning,
        "todo": todo,
    }
    return known | (_figures(ending.report, around.report_path) if ending.report else {})


def _words(ending: Ending, meaning: str) -> tuple[str, str]:
    summary = in_words(ending.report).splitlines() if ending.report else []
    if ending.report and ending.error is None:
        first, *lines = summary
    else:
        first, *lines = (ending.error or meaning).splitlines() or [meaning]
        first, lines = f"FAILED (exit code {int(ending.code)}): {first}", lines + summary
    more = len(lines) - _DETAIL_LINES
    if more > 0:
        lines = [*lines[:_DETAIL_LINES], f"  … and {more:,} more lines"]
    return first, "\n".join(lines)


def _figures(report: Report, path: str | None) -> dict[str, Value]:
    return {
        "run_id": report.run_id,
        "start": str(report.window.start),
        "end": str(report.window.end),
        "accounts": report.accounts,
        "slices": report.complete_slices,
        "slices_left": report.lacking,
        "calls": report.calls,
        "new": report.new,
        "changed": report.changed,
        "missing": report.missing,
        "requests": sum(report.requests.values()),
        "failed_attempts": report.failed_attempts,
        "took": _took(report),
        "started": _moment(report.started),
        "ended": _moment(report.ended) if report.ended else None,
        "report": path,
    }


def _took(report: Report) -> str | None:
    return str(timedelta(seconds=round(report.took_s))) if report.ended else None


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")

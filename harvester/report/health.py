"""What `doctor` found: its words and its JSON. Pure."""

from datetime import UTC, datetime
from textwrap import shorten
from types import MappingProxyType
from typing import Any, Final

from harvester.errors import ExitCode
from harvester.health import Area, Check, Grade, Health, Hint

_SIGNS: Final = MappingProxyType({Grade.OK: "ok  ", Grade.NOTE: "note", Grade.WARNING: "WARN", Grade.FAILURE: "FAIL"})

_VERDICT: Final = 80
"""Characters of the worst finding that stand in the last line."""


def in_words(health: Health) -> str:
    """The findings for a person: by area, what to do below each, and the verdict in the last line."""
    lines: list[str] = []
    for area in Area:
        found = [check for check in health.checks if check.area is area]
        if found:
            lines += [area.value, *(line for check in found for line in _told(check))]
    if health.requests:
        lines.append(_sent(health))
    return "\n".join([*lines, verdict(health)])


def _sent(health: Health) -> str:
    numbers = {"calls": health.requests - health.lists, "lists of accounts": health.lists}
    sent = [f"{many} request{'' if many == 1 else 's'} sent for {what}" for what, many in numbers.items() if many]
    return ", ".join(sent)


def _told(check: Check) -> list[str]:
    line = f"  {_SIGNS[check.grade]}  {check.what}"
    return [line, f"        → {check.advice}"] if check.advice else [line]


def verdict(health: Health) -> str:
    """All of it in a line: `healthy`, `2 things to look at`, or `not fit: …`."""
    failures, warnings = health.graded(Grade.FAILURE), len(health.graded(Grade.WARNING))
    if failures:
        worst = next(check for check in failures if check.exit_code is health.exit_code)
        more = sum(1 for check in failures if check is not worst and not _sums_up(worst, check))
        return f"not fit: {shorten(worst.what, _VERDICT, placeholder=' …')}{f', and {more} more' if more else ''}"
    if warnings:
        return f"{warnings} thing{'' if warnings == 1 else 's'} to look at"
    return "healthy"


def _sums_up(worst: Check, other: Check) -> bool:
    """Whether a failure is a part of the worst one: that no token works says it of each of them."""
    return worst.exit_code is ExitCode.NO_TOKEN and other.area is worst.area


def to_json(health: Health) -> dict[str, Any]:
    """The findings for a program."""
    return {
        "healthy": not (health.graded(Grade.FAILURE) or health.graded(Grade.WARNING)),
        "verdict": verdict(health),
        "exit_code": int(health.exit_code),
        "requests": health.requests,
        "checks": [
            {"area": one.area, "grade": one.grade, "what": one.what, "advice": one.advice or None}
            for one in health.checks
        ],
        "open_questions": [_hint(one) for one in health.hints],
    }


def _hint(one: Hint) -> dict[str, Any]:
    at = datetime.fromtimestamp(one.at, UTC).isoformat(timespec="seconds")
    return {"question": one.question, "answer": one.answer, "evidence": one.evidence, "odd": one.odd, "at": at}

"""What earlier answers showed of the API's open questions: where a run begins, never what it relies on. Pure.

A hint may be wrong: the API may have changed since, or be another one. So only such are used as cost requests when they
are wrong, and nothing else:

- page sizes: a walk is right with whatever size the API serves, and asks for half of what is wanted at least, or as if
  there were no hint;
- an exclusive `end_date`: a day more is asked for, which is right either way, until an answer shows how it is. That it
  is inclusive is no hint but a trap: the last day would not be read, and not be missed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from harvester.harvest.desk import Findings
from harvester.health import Hint, Question

LIFE_S: Final = 30 * 86_400.0
"""An older hint is not used."""
AHEAD_S: Final = 86_400.0
"""Nor one that is dated so far ahead: the clock has been set back since."""
_LARGEST: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Where the walks of a run begin.

    Attributes:
        findings: Page sizes only.
        doubts_end: Whether a day more than the window is asked for from the beginning.
    """

    findings: Findings = field(default_factory=Findings)
    doubts_end: bool = False


def hints_of(known: Iterable[Hint], now: float, wanted: int) -> Hints:
    """What a run at Unix time `now` may begin with.

    Args:
        known: What the ledger has.
        now: Unix seconds.
        wanted: The page size that the config asks for.
    """
    answers = {one.question: one.answer for one in known if is_fresh(one, now)}
    served, refused = _size(answers.get(Question.PAGE_SIZE)), _size(answers.get(Question.REFUSED_SIZE))
    findings = Findings(page_size_served=served or 0, page_size_refused=refused)
    if refused is not None and (refused <= (served or 0) or 2 * findings.page_size(wanted) < wanted):
        findings = Findings()
    return Hints(findings=findings, doubts_end=answers.get(Question.END_DATE) == "exclusive")


def is_fresh(hint: Hint, now: float) -> bool:
    """Whether a hint is of an age at which it is used."""
    return -AHEAD_S <= now - hint.at < LIFE_S


def _size(answer: str | None) -> int | None:
    usable = answer is not None and answer.isascii() and answer.isdigit() and len(answer) <= len(str(_LARGEST))
    return int(answer) if usable and answer and 0 < int(answer) <= _LARGEST else None


def news(known: Iterable[Hint], findings: Findings, now: float) -> list[Hint]:
    """What a run's own answers showed that is not known yet.

    That an end is exclusive is not among it: a run takes it for that when it does not know.

    Args:
        known: What the ledger had when the run began.
        findings: What the run's walks found.
        now: Unix seconds.
    """
    answers = {one.question: one.answer for one in known if is_fresh(one, now)}
    refused, served = findings.page_size_refused, findings.page_size_served
    found = {}
    if refused is not None and refused < (_size(answers.get(Question.REFUSED_SIZE)) or _LARGEST + 1):
        found[Question.REFUSED_SIZE] = str(refused), "a run was refused so many"
        if served:
            found[Question.PAGE_SIZE] = str(served), f"a run that was refused {refused:,} went on with so many"
    if findings.end_inclusive and answers.get(Question.END_DATE) != "inclusive":
        found[Question.END_DATE] = "inclusive", "a run read calls of the last day that it had asked for"
    return [Hint(question=question, answer=answer, evidence=by, at=now) for question, (answer, by) in found.items()]

"""What earlier answers showed of the API's open questions: where a run begins, never what it relies on. Pure.

A hint may be wrong: the API may have changed since, or be another one. So only such are used as cost requests when they
are wrong, and nothing else:

- page sizes: a walk is right with whatever size the API serves, and asks for half of what is wanted at least, or as if
  there were no hint; where the largest is wanted, one that is refused is let go at once, and searched for again;
- an exclusive `end_date`: a day more is asked for, which is right either way, until an answer shows how it is. That it
  is inclusive is no hint but a trap: the last day would not be read, and not be missed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from harvester.harvest.findings import Findings
from harvester.harvest.sizes import LARGEST_PAGE, USUAL
from harvester.health import Hint, Question
from harvester.model import LARGEST, PageSize

LIFE_S: Final = 30 * 86_400.0
"""An older hint is not used."""
AHEAD_S: Final = 86_400.0
"""Nor one that is dated so far ahead: the clock has been set back since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Where the walks of a run begin.

    Attributes:
        findings: Page sizes only.
        doubts_end: Whether a day more than the window is asked for from the beginning.
    """

    findings: Findings = field(default_factory=Findings)
    doubts_end: bool = False


def hints_of(known: Iterable[Hint], now: float, wanted: PageSize) -> Hints:
    """What a run at Unix time `now` may begin with.

    Args:
        known: What the ledger has.
        now: Unix seconds.
        wanted: The page size that the config asks for.
    """
    answers = {one.question: one.answer for one in known if is_fresh(one, now)}
    served, refused = _size(answers.get(Question.PAGE_SIZE)), _size(answers.get(Question.REFUSED_SIZE))
    findings = Findings(page_size_served=served or 0, page_size_refused=refused)
    least = USUAL if wanted == LARGEST else wanted
    if refused is not None and (refused <= (served or 0) or 2 * findings.page_size(wanted) < least):
        findings = Findings()
    return Hints(findings=findings, doubts_end=answers.get(Question.END_DATE) == "exclusive")


def is_fresh(hint: Hint, now: float) -> bool:
    """Whether a hint is of an age at which it is used."""
    return -AHEAD_S <= now - hint.at < LIFE_S


def _size(answer: str | None) -> int | None:
    usable = answer is not None and answer.isascii() and answer.isdigit() and len(answer) <= len(str(LARGEST_PAGE))
    return int(answer) if usable and answer and 0 < int(answer) <= LARGEST_PAGE else None


def news(known: Iterable[Hint], findings: Findings, now: float, wanted: PageSize) -> list[Hint]:
    """What a run's own answers showed that is not known yet.

    That an end is exclusive is not among it: a run takes it for that when it does not know. What was found of the
    largest page is told as a whole, so that it grows old as a whole, 30 days after it was found: then a run searches
    again, since the API may serve more by then.

    Args:
        known: What the ledger had when the run began.
        findings: What the run's walks found.
        now: Unix seconds.
        wanted: The page size that the config asks for.
    """
    answers = {one.question: one.answer for one in known if is_fresh(one, now)}
    refused, served = findings.page_size_refused, findings.page_size_served
    before = _size(answers.get(Question.PAGE_SIZE)), _size(answers.get(Question.REFUSED_SIZE))
    found = {}
    if wanted == LARGEST:
        if (served, refused) != before and (served > USUAL or refused is not None):
            found[Question.PAGE_SIZE] = str(findings.page_size(wanted)), "a run looked for it; so many were served"
            if refused is not None:
                found[Question.REFUSED_SIZE] = str(refused), "a run asked for so many, and did not get them"
    elif refused is not None and refused < (before[1] or LARGEST_PAGE + 1):
        found[Question.REFUSED_SIZE] = str(refused), "a run was refused so many"
        if served:
            found[Question.PAGE_SIZE] = str(served), f"a run that was refused {refused:,} went on with so many"
    if findings.end_inclusive and answers.get(Question.END_DATE) != "inclusive":
        found[Question.END_DATE] = "inclusive", "a run read calls of the last day that it had asked for"
    return [Hint(question=question, answer=answer, evidence=by, at=now) for question, (answer, by) in found.items()]

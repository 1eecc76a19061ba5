"""Checks, what is known of the API's open questions, and all of it together: values. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harvester.errors import ExitCode


class Grade(StrEnum):
    """How good something is."""

    OK = "ok"
    NOTE = "note"
    """Good to know; nothing has to be done."""
    WARNING = "warning"
    """Tonight goes well, some other night may not."""
    FAILURE = "failure"
    """Tonight loses something."""


class Area(StrEnum):
    """What a check is about, in the order in which they are told."""

    CONFIG = "config"
    FILES = "files"
    LEDGER = "ledger"
    DISK = "disk"
    API = "API"
    CLOCK = "clock"
    TOKENS = "tokens"
    QUOTA = "quota"
    ACCOUNTS = "accounts"
    QUESTIONS = "open questions"


@dataclass(frozen=True, slots=True)
class Check:
    """One judgement.

    Attributes:
        area: What it is about.
        grade: How good it is.
        what: What was found, for a person; never a secret.
        advice: What to do; empty only where it is good.
        exit_code: Of a failure, how a run would end.
    """

    area: Area
    grade: Grade
    what: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.COMPLETE

    def __post_init__(self) -> None:
        if self.grade is not Grade.OK and not self.advice:
            raise ValueError(f"nothing says what to do about: {self.what}")
        if (self.grade is Grade.FAILURE) is (self.exit_code is ExitCode.COMPLETE):
            raise ValueError(f"a failure, and nothing else, has an exit code: {self.what}")


def ok(area: Area, what: str) -> Check:
    """It is good."""
    return Check(area, Grade.OK, what)


def note(area: Area, what: str, advice: str) -> Check:
    """It is good to know."""
    return Check(area, Grade.NOTE, what, advice)


def warning(area: Area, what: str, advice: str) -> Check:
    """It will not stay good."""
    return Check(area, Grade.WARNING, what, advice)


def failure(area: Area, what: str, advice: str, exit_code: ExitCode = ExitCode.PARTIAL) -> Check:
    """Tonight loses something."""
    return Check(area, Grade.FAILURE, what, advice, exit_code)


class Question(StrEnum):
    """What no document says of the API (`api.md` marks it with a `?`)."""

    ORDER = "order of the calls"
    CURSOR = "search_after"
    TIES = "order within a second"
    PAGE_SIZE = "largest page"
    REFUSED_SIZE = "refused page size"
    END_DATE = "end_date"
    TOTAL = "total_number after a cursor"
    PAGE_TOTAL = "total_number on a later page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What answers have shown of an open question: never relied on.

    Attributes:
        question: Which.
        answer: In a word, or a number; `None` when nothing was shown, or it contradicts itself.
        evidence: What showed it, or why nothing did, for a person.
        at: Unix time at which it was shown.
        odd: Whether answers contradicted each other, or the API does what makes reading it dear.
    """

    question: Question
    answer: str | None
    evidence: str
    at: float = 0.0
    odd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """All that was found.

    Attributes:
        checks: In the order in which they were made.
        hints: What is known of the API's open questions by now.
        requests: How many were sent to find it out, renewals of tokens apart.
        lists: Of these, for lists of accounts; the others were for calls.
    """

    checks: Sequence[Check]
    hints: Sequence[Hint] = ()
    requests: int = 0
    lists: int = 0

    def graded(self, grade: Grade) -> list[Check]:
        """Those of a grade."""
        return [check for check in self.checks if check.grade is grade]

    @property
    def exit_code(self) -> ExitCode:
        """What keeps a run from beginning goes before what ends it, and that before what it loses a part by."""
        found = {check.exit_code for check in self.checks}
        worst = (ExitCode.STORAGE, ExitCode.NO_TOKEN, ExitCode.BUDGET, ExitCode.PARTIAL)
        return next((code for code in worst if code in found), ExitCode.COMPLETE)

"""Every error that harvester raises on purpose, and the exit code each ends a run with.

::

    HarvesterError                 exit 1   never raised itself
    ├── ConfigError                exit 2   the config, an argument, the accounts file
    ├── StorageError               exit 4   disk full, not writable, ledger unreadable
    │   ├── DamagedError                    a file, a part or the ledger is there, and is not as it was written
    │   └── NewerError                      the ledger was made by a newer harvester
    ├── LockedError                exit 11  another run holds the state directory
    ├── AttemptError                        one attempt brought no whole answer
    └── CallError                           one logical call of the API has failed for good
        ├── SliceFault                      …and its slice with it
        │   └── RefusedFault                …since the API refuses this request, today and tomorrow
        ├── AccountFault                    …and the account cannot be read by this token
        ├── TokenFault                      …and the token is dead
        └── QuotaSpent                      …a quota or the run's budget is used up, or the API is down: resumable

Messages are for a tired person: what happened, where, what to do now. None ever holds a URL, a token, a secret or
a phone number.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

E = TypeVar("E", bound=Exception)


class ExitCode(IntEnum):
    """What `harvester` tells the shell; people script against these numbers."""

    COMPLETE = 0
    BUG = 1
    USAGE = 2
    PARTIAL = 3
    STORAGE = 4
    NO_TOKEN = 5
    BUDGET = 8
    LOCKED = 11
    INTERRUPTED = 130
    TERMINATED = 143


class HarvesterError(Exception):
    """Base of all of them.

    Attributes:
        exit_code: What it ends a run with.
        report: What the run had done by then, a `harvester.report.summary.Report`; `None` when no run was going.
    """

    exit_code = ExitCode.BUG
    report: object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a config.

    Attributes:
        where: File and key or line, as a person would look it up: `nightly.toml: limits.in_flight`.
        message: What was found and what was expected; never a secret's value.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class ConfigError(HarvesterError):
    """The config cannot be used; raised before any request, with every mistake found."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class StorageError(HarvesterError):
    """A file or the ledger could not be read or written; the message names the path."""

    exit_code = ExitCode.STORAGE


class DamagedError(StorageError):
    """A file, a part or the ledger is there, and is not as it was written."""


class NewerError(StorageError):
    """The ledger was made by a newer harvester."""


class LockedError(HarvesterError):
    """Another run holds the lock of this state directory."""

    exit_code = ExitCode.LOCKED


class AttemptError(HarvesterError):
    """One attempt brought no whole answer: no connection, a timeout, a cut-off body.

    Attributes:
        unreachable: Whether no connection came about at all, so that nothing was sent.
    """

    def __init__(self, text: str, *, unreachable: bool = False) -> None:
        super().__init__(text)
        self.unreachable = unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What the API itself said; all of it cleaned, nothing of it a secret or a phone number.

    Attributes:
        code: Its return code; `None` when the answer had none, such as a gateway's.
        message: Its `message`; may be empty.
        message_cn: Its `message_cn`; may be empty.
        trace_id: What Tencent's support asks for.
    """

    code: int | None = None
    message: str = ""
    message_cn: str = ""
    trace_id: str | None = None


def first_of(group: BaseExceptionGroup[E], kind: type[E]) -> E:
    """The true cause among its echoes: the first error that was raised; what is not of this kind is raised again."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, kind):
        raise error
    return error


class CallError(HarvesterError):
    """One logical call of the API failed for good, after all its attempts.

    Args:
        text: For a person.
        complaint: The API's own words; `None` when it said nothing.
    """

    exit_code = ExitCode.PARTIAL

    def __init__(self, text: str, complaint: Complaint | None = None) -> None:
        self.complaint = complaint
        super().__init__(text)


class SliceFault(CallError):
    """This slice cannot be harvested now; every other one is untouched."""


class RefusedFault(SliceFault):
    """The API refuses what was asked: the same request would be refused again, so the slice has to start anew."""


class AccountFault(CallError):
    """The account cannot be read: denied, inactive, unknown. Its other slices are not tried."""


class TokenFault(CallError):
    """The token is dead; nothing more is sent under it."""


class QuotaSpent(CallError):
    """A quota of the day or a budget of the run is used up, or the API is down: the slice is resumable."""

    exit_code = ExitCode.BUDGET

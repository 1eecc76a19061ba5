"""What happens in a run, as values: who wants to know gets them one by one. Names and fields are stable. Pure.

An event is never told of a page or of a request: they are per slice, checkpoint, wait and minute.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final

from harvester.standing import Standing
from harvester.tracing import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """`start`: it is known what the run is over. Lists of accounts, if any were due, have been asked for by then.

    Attributes:
        run_id: The run; also the name of its report under `runs/`.
        start: First day of the window.
        end: Last day.
        accounts: Accounts that it covers.
        completed_before: Slices that an interrupted run of the same night completed; they are not read again.
    """

    name: ClassVar = "start"
    run_id: str
    start: date
    end: date
    accounts: int
    completed_before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed:
    """`checkpoint`: an open slice is saved; a run that dies now goes on from here.

    Attributes:
        account_id: Whose.
        account_name: As the config or the API calls it; `None` when nobody does.
        start: The slice's first day.
        end: Its last.
        calls: Of the slice that are on the disk.
    """

    name: ClassVar = "checkpoint"
    account_id: int
    account_name: str | None = None
    start: date
    end: date
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """`waiting`: something has to be waited for. Its end is not told: `progress` has what waits.

    Attributes:
        why: For a person: "minute quota of app main".
        app: Which app waits; `None` when all do, or a token.
        token: Which token's accounts wait; `None` when it is not about a token.
        until: When it is over; `None` when that is not known.
    """

    name: ClassVar = "waiting"
    why: str
    app: str | None = None
    token: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceDone:
    """`slice_done`: an account's window is committed, or given up.

    Attributes:
        account_id: Whose; `None` for a `[discover]` table whose accounts nobody knows.
        account_name: As the config or the API calls it; `None` when nobody does.
        start: The slice's first day.
        end: Its last.
        status: "complete", "short", "failed", "skipped", "unfinished"; "divided": its parts are slices now.
        reason: Why it is not complete; `None` when it is.
        calls: Different calls of this reading that are in the files now.
        new: Of these, not there before.
        changed: Of these, different from what was there.
        missing: Calls that were there before, and that the API no longer returned.
        requests: Pages asked for; `None` when the walk did not come to its end.
    """

    name: ClassVar = "slice_done"
    account_id: int | None
    account_name: str | None = None
    start: date
    end: date
    status: str
    reason: str | None = None
    calls: int = 0
    new: int = 0
    changed: int = 0
    missing: int = 0
    requests: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`problem`: a cause for which slices are not complete, at its 1st, 10th, 100th, … slice: never one for each.

    Attributes:
        status: How these slices ended: "short", "failed", "skipped", "unfinished".
        reason: Why, for a person; of the latest of them.
        slices: How many there are by now.
        account_id: The latest of them; `None` for a `[discover]` table.
    """

    name: ClassVar = "problem"
    status: str
    reason: str
    slices: int
    account_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """`progress`: where the run stands, every so often, and whenever somebody asks. Its fields are the standing's.

    Attributes:
        standing: Where it stands.
        asked: Whether somebody asked (SIGUSR1).
    """

    name: ClassVar = "progress"
    standing: Standing
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """`end`: the run is over, and its report saved.

    Attributes:
        run_id: The run.
        complete: Whether every slice of the plan is complete.
        exit_code: What the shell is told.
        ended_by: What ended it early, for a person; `None` when it came to its end.
        slices: Slices that are complete.
        slices_left: Slices that are not.
        calls: Landed.
        requests: Sent.
        elapsed_s: Seconds since it began.
        report: The path of its report.
    """

    name: ClassVar = "end"
    run_id: str
    complete: bool
    exit_code: int
    ended_by: str | None = None
    slices: int
    slices_left: int
    calls: int
    requests: int
    elapsed_s: float
    report: str


TOLD: Final = MappingProxyType({"is_event": True})
"""The `extra` of log lines that say in words what an event says, too: where events are shown, they are left out."""
Event = Started | Checkpointed | Waiting | SliceDone | Problem | Progressed | Ended
EVENTS: tuple[type[Event], ...] = (Started, Checkpointed, Waiting, SliceDone, Problem, Progressed, Ended)
"""Every kind, in the order in which a run first tells of them, about."""
Tell = Callable[[Event], None]
"""Somebody who wants to know. It is called on the event loop, so it must return soon; what it raises ends the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who listens to a run, and how.

    Attributes:
        tell: Is told of every event; `None`: nobody listens, and nothing is done for it.
        every_s: Seconds between two `progress` events; `None` for none but those that are asked for.
        trace: Follows every slice and every attempt; `None`: nobody does, and nothing is done for it.
        signals: Whether the run obeys the process's signals: SIGINT, SIGTERM and SIGUSR1. Only in the main thread.
    """

    tell: Tell | None = None
    every_s: float | None = 60.0
    trace: Trace | None = None
    signals: bool = True


def to_json(event: Event) -> dict[str, Any]:
    """As `--log-format json` has it, `event` first: plain values, days and moments as they are."""
    if isinstance(event, Progressed):
        return {"event": event.name, **asdict(event.standing), "asked": event.asked}
    return {"event": event.name, **asdict(event)}

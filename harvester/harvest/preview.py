"""What a run would do, without doing it."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harvester.api.quota import Limits
from harvester.harvest.assignment import Assignment
from harvester.harvest.casebook import known_cases
from harvester.harvest.enrolment import roster
from harvester.harvest.planning import Planning
from harvester.harvest.prospect import Prospect
from harvester.landing.ledger import Ledger
from harvester.model import AppName, Slice
from harvester.report.forecast import Bounds, Forecast, Means
from harvester.report.outlook import in_words, to_json


def forecast(assignment: Assignment, at: float | None = None) -> str:
    """The plan in words; reads the ledger, if there is one, and asks the API nothing.

    Args:
        assignment: What the run would be asked to do.
        at: Unix time of the run; now by default.

    Raises:
        ConfigError: An account that was chosen is not enrolled, or the config leaves none of those that are listed.
        StorageError: The ledger cannot be read.
    """
    return foretold(assignment, at)[0]


def foretold(assignment: Assignment, at: float | None = None) -> tuple[str, dict[str, Any]]:
    """The same in words and as plain values; arguments and errors are those of `forecast`."""
    at = time.time() if at is None else at
    ledger = Ledger.peek(assignment.state_dir)
    if ledger is None:
        return _forecast(assignment, None, at)
    with ledger:
        return _forecast(assignment, ledger, at)


class Over(Exception):
    """Nobody wants to know any more."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What is to come, and what is left out of it."""

    forecast: Forecast
    notes: Sequence[str]


def sums_of(assignment: Assignment, ledger: Ledger | None, is_over: Callable[[], bool] = lambda: False) -> Sums:
    """Sums up the plans of an assignment whose accounts are known.

    Args:
        assignment: What is to be done.
        ledger: What is known; `None` when there is none.
        is_over: Whether nobody wants to know any more.

    Raises:
        Over: Nobody did.
        StorageError: The ledger cannot be read.
    """
    planning = Planning(assignment, ledger)
    sums = Forecast(thrifty=any(map(planning.is_thrifty, planning.plans)))
    prospect = Prospect(known_cases(assignment, ledger))
    for one in _in_turn(planning.plans.values()):
        if is_over():
            raise Over
        sums.add(one, prospect.expected(one, planning.expected(one)), planning.reached(one))
    return Sums(sums, prospect.notes())


def _forecast(unsettled: Assignment, ledger: Ledger | None, at: float) -> tuple[str, dict[str, Any]]:
    found = roster(unsettled, ledger, at).settled()
    assignment = found.assignment
    sums = sums_of(assignment, ledger)
    bounds = Bounds(
        apps={app: _means(ledger, app, limits, at) for app, limits in assignment.limits.items()},
        workers=assignment.in_flight,
        max_requests=assignment.max_requests,
        max_duration_s=assignment.max_duration_s,
    )
    notes = (*sums.notes, *found.notes)
    words = in_words(sums.forecast, bounds, found.unknown)
    values = {"window": str(assignment.scope.window), **to_json(sums.forecast, bounds), "notes": notes}
    return "\n".join([words, *(f"  note: {note}" for note in notes)]), values


def _means(ledger: Ledger | None, app: AppName, limits: Limits, at: float) -> Means:
    """What an app may send; a quota that the API showed counts where none is configured."""
    sending = ledger.sending(app, at) if ledger else None
    used = sum(sending.by_minute.values()) if sending else 0
    learned = None if limits.per_minute or not sending else sending.learned_per_minute
    spacing_s = Limits(per_second=limits.per_second, per_minute=learned or limits.per_minute).spacing_s
    return Means(spacing_s=spacing_s or None, learned=learned is not None, per_day=limits.per_day, used=used)


def _in_turn(plans: Iterable[Iterator[Slice]]) -> Iterator[Slice]:
    """Slices of all apps, which work side by side."""
    turns = deque(plans)
    while turns:
        slices = turns.popleft()
        if one := next(slices, None):
            yield one
            turns.append(slices)

"""Foresight, as the ledger gives it: what it remembers of accounts, and of slices that earlier runs began."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from harvester.foresight import Foresight, Reached, weekly
from harvester.harvest.assignment import Assignment
from harvester.harvest.hints import hints_of, is_fresh
from harvester.harvest.resume import of_assignment
from harvester.health import Question
from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.model import BEIJING, LARGEST, ONE_DAY, AccountId, Slice, Window
from harvester.usage import Experience

_SAMPLE: Final = 300
"""Accounts that are looked at to learn how busy weekdays are: more would take longer and not say more."""
_LOOKED_BACK: Final = timedelta(days=28)
"""Whole weeks, since a Sunday is not a Monday; and not too long, since accounts grow."""


class _Reading(Struct):
    window: Window
    total: int | None


class _Progress(Struct):
    reading: _Reading | None


class _State(Struct):
    """What is looked at of a walk's state; `saved.py` has all of it."""

    requests: int
    progress: _Progress
    uncounted: bool = False


_STATES: Final = Decoder(_State)


def begun_slices(assignment: Assignment, ledger: Ledger | None) -> dict[Slice, Reached]:
    """The slices that earlier runs began and that are gone on with, and how far these came.

    Args:
        assignment: Whose slices.
        ledger: What is known; `None` when there is none yet.

    Raises:
        StorageError: The ledger cannot be read.
    """
    checkpoints = of_assignment(ledger.checkpoints(), assignment) if ledger else {}
    return {one: _reached(checkpoint) for one, checkpoint in checkpoints.items()}


def _reached(checkpoint: Checkpoint) -> Reached:
    try:
        state = _STATES.decode(checkpoint.state)
    except (ValueError, RecursionError):  # as `saved.py` has it; a wrong guess costs nothing but the guess
        return Reached(calls=checkpoint.calls)
    reading = state.progress.reading
    counted = reading and reading.window == checkpoint.window and not state.uncounted
    total = reading.total if reading and counted else None
    return Reached(calls=checkpoint.calls, requests=state.requests, total=total)


def foresight_of(assignment: Assignment, ledger: Ledger | None, begun: Mapping[Slice, Reached]) -> Foresight:
    """What is known of every account; of those of which slices were only begun, what the API counts in these.

    Args:
        assignment: Whose accounts.
        ledger: What is known; `None` when there is none yet.
        begun: What was begun.

    Raises:
        StorageError: The ledger cannot be read.
    """
    size, found = _page_size(assignment, ledger)
    if ledger is None:
        return Foresight({}, size)
    everyone = {*assignment.fleet, *(account.id for account in assignment.accounts)}
    experience = ledger.experience(everyone, size, assignment.scope.today - _LOOKED_BACK, found)
    for one, reached in begun.items():
        known = experience.get(one.account.id, Experience())
        if known.calls_a_day is None and reached.total is not None:
            experience[one.account.id] = replace(known, calls_a_day=reached.total / len(one.window))
    return Foresight(experience, size, _week(ledger, sorted(experience), assignment.scope.today))


def _page_size(assignment: Assignment, ledger: Ledger | None) -> tuple[int, datetime | None]:
    """Calls to a page, and since when it is so many where the largest is asked for; `None` if that was always so."""
    if assignment.page_size != LARGEST:
        return assignment.page_size, None
    now = datetime.combine(assignment.scope.today + ONE_DAY, time(), BEIJING).timestamp()
    hints = [one for one in ledger.hints() if is_fresh(one, now)] if ledger else []
    found = next((one.at for one in hints if one.question is Question.PAGE_SIZE), None)
    size = hints_of(hints, now, LARGEST).findings.page_size(LARGEST)
    return size, None if found is None else datetime.fromtimestamp(found, BEIJING) + timedelta(seconds=1)


def _week(ledger: Ledger, accounts: Sequence[AccountId], today: date) -> tuple[float, ...]:
    """How the calls of a week are spread, by a sample of the accounts."""
    sample = accounts[:: 1 + len(accounts) // _SAMPLE]
    known = ledger.known(Window(today - _LOOKED_BACK, today - ONE_DAY), sample)
    return weekly((day, one.calls) for days in known.values() for day, one in days.items() if one.complete)


def was_read(known: Known) -> bool:
    """Whether a day of the ledger was ever read; one that is queued and has no calls was not, as far as is known."""
    return known.calls > 0 or not known.queued

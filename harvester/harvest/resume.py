"""What a run does first: it finishes what a dead run was publishing, and goes on with the slices that it began."""

from collections.abc import Iterable
from dataclasses import dataclass

from harvester.harvest.assignment import Assignment
from harvester.harvest.findings import Findings
from harvester.harvest.walk import Walk
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.part import Part
from harvester.landing.recovery import (
    adopt,
    clear_remains,
    finish_publications,
    forget_outdated,
    queue_gone_files,
    start_anew,
)
from harvester.landing.upkeep.survey import refuse_an_empty_zone
from harvester.landing.writer import Landing
from harvester.model import Slice


@dataclass(frozen=True, slots=True)
class Begun:
    """A slice's walk as it was saved, and the calls that it had brought by then."""

    state: bytes
    part: Part


def take_up(landing: Landing, assignment: Assignment) -> dict[Slice, Begun]:
    """Finishes, goes on, and clears what nobody needs; safe to be killed in, and to be done again.

    Returns:
        What earlier runs began of this assignment; other slices stay as they are, for a run that is asked for them.

    Raises:
        StorageError: The ledger or the landing zone cannot be used.
    """
    refuse_an_empty_zone(landing.zone, landing.ledger)
    finish_publications(landing)
    queue_gone_files(landing, assignment.scope.window, assignment.fleet)
    left = forget_outdated(landing, assignment.resume_within, assignment.scope.today)
    found = {one: _begun(landing, one, checkpoint) for one, checkpoint in of_assignment(left, assignment).items()}
    clear_remains(landing)
    return {one: begun for one, begun in found.items() if begun}


def of_assignment(checkpoints: Iterable[Checkpoint], assignment: Assignment) -> dict[Slice, Checkpoint]:
    """The slices that an assignment goes on with: of its accounts, and with a day of its window.

    They are gone on with as they are, though the window has moved on since: a slice that takes more than a night would
    else be begun anew each night and never end.
    """
    accounts, window = {account.id: account for account in assignment.accounts}, assignment.scope.window
    return {
        Slice(accounts[one.account], one.window): one
        for one in checkpoints
        if one.account in accounts and one.first_day <= window.end and one.last_day >= window.start
    }


def _begun(landing: Landing, one: Slice, checkpoint: Checkpoint) -> Begun | None:
    state = checkpoint.state
    if Walk.resume(state, one.account.id, one.window, page_size=1, findings=Findings()) is None:
        start_anew(landing, checkpoint, "this harvester cannot read how far it was")
        return None
    part = adopt(landing, checkpoint)
    return Begun(state, part) if part else None

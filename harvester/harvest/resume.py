"""What a run does first: it finishes what a dead run was publishing, and goes on with the slices that it began."""

from dataclasses import dataclass

from harvester.harvest.assignment import Assignment
from harvester.harvest.desk import Findings
from harvester.harvest.walk import Walk
from harvester.landing.part import Part
from harvester.landing.recovery import adopt, clear_remains, finish_publications, forget_outdated, start_anew
from harvester.landing.unfinished import Checkpoint
from harvester.landing.writer import Landing
from harvester.model import Account, Slice


@dataclass(frozen=True, slots=True)
class Begun:
    """A slice's walk as it was saved, and the calls that it had brought by then."""

    state: bytes
    part: Part


def take_up(landing: Landing, assignment: Assignment) -> dict[Slice, Begun]:
    """Finishes, goes on, and clears what nobody needs; safe to be killed in, and to be done again.

    Returns:
        What earlier runs began of this assignment: slices of its accounts that lie inside of its window. Others stay
        where they are, for a run that is asked for them.

    Raises:
        StorageError: The ledger or the landing zone cannot be used.
    """
    finish_publications(landing)
    accounts, days = {account.id: account for account in assignment.accounts}, set(assignment.scope.window)
    begun = {}
    for checkpoint in forget_outdated(landing, assignment.resume_within, assignment.scope.today):
        account = accounts.get(checkpoint.account)
        if account is None or not {checkpoint.first_day, checkpoint.last_day} <= days:
            continue
        if found := _begun(landing, checkpoint, account, assignment.page_size):
            begun[Slice(account, checkpoint.window)] = found
    clear_remains(landing)
    return begun


def _begun(landing: Landing, checkpoint: Checkpoint, account: Account, page_size: int) -> Begun | None:
    state = checkpoint.state
    if Walk.resume(state, account.id, checkpoint.window, page_size=page_size, findings=Findings()) is None:
        start_anew(landing, checkpoint, "this harvester cannot read how far it was")
        return None
    part = adopt(landing, checkpoint)
    return Begun(state, part) if part else None

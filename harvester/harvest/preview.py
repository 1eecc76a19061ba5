"""What a run would do, without doing it."""

from collections.abc import Iterable, Mapping
from datetime import date

from harvester.harvest.assignment import Assignment
from harvester.harvest.resume import of_assignment
from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.model import AccountId, Slice, Window
from harvester.plan import Earlier, plan
from harvester.report.forecast import Forecast, in_words


def forecast(assignment: Assignment) -> str:
    """The plan in words; reads the ledger, if there is one, and asks the API nothing.

    Raises:
        StorageError: The ledger cannot be read.
    """
    ledger = Ledger.peek(assignment.state_dir)
    if ledger is None:
        sums = _sums(assignment, None, {})
    else:
        with ledger:
            sums = _sums(assignment, ledger, of_assignment(ledger.checkpoints(), assignment))
    return in_words(sums, {app: limits.spacing_s for app, limits in assignment.limits.items()})


def _sums(assignment: Assignment, ledger: Ledger | None, begun: Mapping[Slice, Checkpoint]) -> Forecast:
    sums = Forecast()
    block_known: dict[AccountId, dict[date, Known]] = {}

    def look_up(window: Window, accounts: Iterable[AccountId]) -> dict[AccountId, dict[date, Known]]:
        return ledger.known(window, accounts) if ledger else {}

    def complete_days(block: Window) -> dict[AccountId, set[date]]:
        nonlocal block_known
        block_known = look_up(block, (account.id for account in assignment.accounts))
        return {
            account: {day for day, what in days.items() if what.complete and not what.queued}
            for account, days in block_known.items()
        }

    queued = ledger.queued() if ledger else {}
    tonight = ledger.complete_tonight(assignment.night, assignment.scope.today) if ledger else {}
    earlier = Earlier(begun=list(begun), queued=queued, tonight=tonight)
    for one in plan(assignment.accounts, assignment.scope, complete_days, earlier):
        of_block = one not in begun and one.window.start in assignment.scope.window
        known = block_known if of_block else look_up(one.window, [one.account.id])
        days = known.get(one.account.id, {})
        calls = (days[day].calls if day in days else None for day in one.window)
        sums.add(one, calls, assignment.page_size, saved=begun[one].calls if one in begun else None)
    return sums

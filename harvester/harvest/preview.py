"""What a run would do, without doing it."""

from datetime import date

from harvester.harvest.assignment import Assignment
from harvester.landing.ledger import Known, Ledger
from harvester.model import AccountId, Window
from harvester.plan import plan
from harvester.report.forecast import Forecast, in_words


def forecast(assignment: Assignment) -> str:
    """The plan in words; reads the ledger, if there is one, and asks the API nothing.

    Raises:
        StorageError: The ledger cannot be read.
    """
    sums = Forecast()
    ledger = Ledger.peek(assignment.state_dir)
    known: dict[AccountId, dict[date, Known]] = {}

    def complete_days(block: Window) -> dict[AccountId, set[date]]:
        nonlocal known
        known = ledger.known(block, (account.id for account in assignment.accounts)) if ledger else {}
        return {
            account: {day for day, what in days.items() if what.complete and not what.queued}
            for account, days in known.items()
        }

    try:
        queued = ledger.queued() if ledger else {}
        for one in plan(assignment.accounts, assignment.scope, complete_days, queued=queued):
            days = known.get(one.account.id, {})
            sums.add(one, (days[day].calls if day in days else None for day in one.window), assignment.page_size)
    finally:
        if ledger:
            ledger.close()
    return in_words(sums, {app: limits.spacing_s for app, limits in assignment.limits.items()})

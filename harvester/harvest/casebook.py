"""The casebook: what the ledger knows of accounts that are not well, for a run, and what the run finds out, for it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import anyio

from harvester.harvest.assignment import Assignment
from harvester.harvest.cases import Cases
from harvester.harvest.ward import Ward
from harvester.landing.ledger import Ledger
from harvester.model import ONE_DAY
from harvester.report.sick import Sick
from harvester.report.troubles import Trouble
from harvester.triage import Found

_LATELY: Final = timedelta(days=3)


def known_cases(assignment: Assignment, ledger: Ledger | None) -> Cases:
    """What is known of accounts before a run.

    Args:
        assignment: What the run is about.
        ledger: Where it is kept; `None` when there is none yet.

    Raises:
        StorageError: The ledger cannot be read.
    """
    scope = assignment.scope
    if ledger is None:
        return Cases(today=scope.today)
    return Cases(
        today=scope.today,
        conditions=ledger.conditions(),
        poison=ledger.poison(),
        failed_lately=ledger.failed_lately(scope.today - _LATELY, scope.today),
        again=scope.again,
        named=assignment.named,
    )


class Casebook:
    """Accounts that are not well, over one run. What nobody will ask for again is forgotten.

    Args:
        assignment: What the run is about.
        ledger: Where it is kept.

    Attributes:
        ward: Who may be asked.

    Raises:
        StorageError: The ledger cannot be used.
    """

    def __init__(self, assignment: Assignment, ledger: Ledger) -> None:
        self._assignment = assignment
        self._ledger = ledger
        scope = assignment.scope
        ledger.forget_poison(before=scope.today - ONE_DAY * (scope.reread_days or 0))
        self.ward = Ward(known_cases(assignment, ledger))

    async def remember(self, found: Sequence[Found]) -> None:
        """Keeps what was found out: when this has ended it is durable. Raises `StorageError`."""
        await anyio.to_thread.run_sync(self._ledger.remember, found)

    def sick(self, troubles: Sequence[Trouble]) -> Sick:
        """What the run found, given its troubles."""
        conditions, poison = self.ward.findings()
        sick = Sick(
            today=self._assignment.scope.today,
            conditions=conditions,
            poison=poison,
            recovered=self.ward.recovered,
            cured=self.ward.cured,
            asked=self.ward.asked,
            tried=self.ward.tried,
            names={account.id: account.name for account in self._assignment.accounts if account.name},
        )
        return sick.of(troubles)

"""What a run would ask of accounts that are not well, and of poisoned days, should all of it stay so. Pure."""

from typing import Final

from harvester.foresight import Expected
from harvester.harvest.cases import Case, Cases
from harvester.model import AccountId, Slice
from harvester.triage import AT_ONCE

_REFUSED: Final = "it is taken to be refused"


class Prospect:
    """A run in which nobody becomes well again, and nobody falls ill.

    Args:
        known: What is known when it begins.
    """

    def __init__(self, known: Cases) -> None:
        self._known = known
        self._cases: dict[AccountId, Case] = {}
        self._accounts: set[AccountId] = set()
        """That were asked earlier today."""
        self._days: set[Slice] = set()
        """That were asked for earlier today, of other accounts."""

    def expected(self, one: Slice, if_well: Expected) -> Expected:
        """What a slice is expected to take; to be asked in the order of the plan.

        Args:
            one: The slice.
            if_well: What it takes if its account is well, and none of its days is poisoned.
        """
        account = one.account.id
        if account not in self._cases:
            self._cases[account] = case = self._known.case(one.account)
            self._accounts |= {account} if case.door.shut else set()
        case = self._cases[account]
        if not (case.sick or case.is_poisoned(one)):
            return if_well
        requests = 0.0
        if not (shut := case.why_shut(one)):
            requests, door = 1.0, case.door if case.sick else case.cellar
            door.shut = _REFUSED
        elif account not in self._accounts and shut != _REFUSED:
            self._days.add(one)
        return Expected(requests=requests, spent=if_well.spent, known_days=len(one.window))

    def notes(self) -> list[str]:
        """What is left out, for a person."""
        left_out = [(len(self._accounts), "account", "not well"), (len(self._days), "day", "poisoned")]
        return [
            f"{number:,} {what}{'s are' if number > 1 else ' is'} {how} and {'were' if number > 1 else 'was'} asked "
            f"{'' if what == 'account' else 'for '}earlier today: no request is expected for "
            f"{'them' if number > 1 else 'it'}; {AT_ONCE}"
            for number, what, how in left_out
            if number
        ]

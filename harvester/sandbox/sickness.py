"""Which accounts are sick, from the beginning or by hand: dead altogether, or poisoned on a day."""

import datetime as dt
from collections.abc import Mapping

from harvester.model import AccountId
from harvester.sandbox.faults import Fault
from harvester.sandbox.switches import Switches


class Sickness:
    """What ails accounts now.

    Args:
        switches: What does at first.
    """

    __slots__ = ("_codes", "_poison", "_switches")

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._codes: dict[AccountId, int] = {}
        self._poison: dict[AccountId, dict[dt.date, Fault]] = {}
        for account_id, day, what in switches.poison:
            self._poison.setdefault(account_id, {})[day] = Fault.of(what)

    def code(self, account_id: AccountId) -> int:
        """The code that the account answers with; 0: it is well, but for its poison."""
        code = self._codes.get(account_id)
        return self._switches.code_of(account_id) if code is None else code

    def strikes(self, given: Mapping[str, str]) -> Fault | None:
        """What a request for calls meets because a poisoned day of its account is in its window.

        Args:
            given: The request's parameters, right or wrong.
        """
        if not self._poison:
            return None
        try:
            days = self._poison.get(AccountId(int(given["account_id"])), {})
            start, end = (dt.date.fromisoformat(given[name]) for name in ("start_date", "end_date"))
        except (KeyError, ValueError):
            return None
        return next((fault for day, fault in sorted(days.items()) if start <= day <= end), None)

    def cure(self, account_id: AccountId) -> None:
        """The account is well from now on."""
        self._codes[account_id] = 0
        self._poison.pop(account_id, None)

    def sicken(self, account_id: AccountId, what: int | str, day: dt.date | None = None) -> None:
        """The account is sick from now on.

        Args:
            account_id: Which.
            what: A return code, or on a day also a fault's name.
            day: Only windows with this day meet it; `None`: all requests.

        Raises:
            ValueError: There is no such fault, or it is one that needs a day.
        """
        fault = Fault.of(what)
        if day is not None:
            self._poison.setdefault(account_id, {})[day] = fault
        elif fault.code:
            self._codes[account_id] = fault.code
        else:
            raise ValueError(f"{fault} needs a day: without one only a return code can be answered")

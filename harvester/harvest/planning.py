"""The plans of a run, by app, and what their slices are expected to take: what the ledger knows is asked here."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import chain
from typing import Final

from harvester.foresight import Expected, Reached
from harvester.harvest.assignment import Assignment
from harvester.harvest.foresight import begun_slices, foresight_of, was_read
from harvester.landing.ledger import Ledger
from harvester.model import Account, AccountId, AppName, Slice, Window
from harvester.plan import SLICE_DAYS, DaysByAccount, Earlier, plan, thrifty_plan
from harvester.report.left import Left, left_of
from harvester.triage import Poison

_ASKED_AT_THE_END: Final = 10_000
"""Slices that are left and of which the ledger is asked what they will take; more would hold up a run that ends."""


class Planning:
    """What a run does in which order, and what it is expected to take.

    A run that a budget may end (of requests, of time, or its app's of the day) pays the oldest debts first; any other
    reads the latest days first. `plan.py` has both orders.

    The longest debts start first, since they end last: accounts that are known to take many pages have the first turns,
    all others theirs in the config's order; and the windows of such an account are narrower, so that several are read
    at a time.

    Args:
        assignment: What to do.
        ledger: What is known; `None` when there is none yet.

    Attributes:
        begun: The slices that earlier runs began and that are gone on with, and how far these came.
        tonight: What interrupted runs of this night completed, by account; the plans do not have it.
        plans: The slices of each app, pulled lazily; they read the ledger and raise `StorageError`.

    Raises:
        StorageError: The ledger cannot be read.
    """

    def __init__(self, assignment: Assignment, ledger: Ledger | None) -> None:
        self._assignment = assignment
        self._ledger = ledger
        self.begun: Mapping[Slice, Reached] = begun_slices(assignment, ledger)
        self._foresight = foresight_of(assignment, ledger, self.begun)
        self._extents = ledger.extents(account.id for account in assignment.accounts) if ledger else {}
        self._foreseen: dict[Slice, Expected] = {}
        """Of the debts that the plan has put in order and not given yet."""
        self._asking = True
        self.tonight: Mapping[AccountId, Sequence[Window]] = (
            ledger.complete_tonight(assignment.night, assignment.scope.today) if ledger else {}
        )
        self.plans = self._make_plans()

    def is_thrifty(self, app: AppName) -> bool:
        """Whether a budget may end the app's run before its plan does."""
        assignment = self._assignment
        budgets = (assignment.max_requests, assignment.max_duration_s, assignment.limits[app].per_day)
        return any(budget is not None for budget in budgets)

    def expected(self, one: Slice) -> Expected:
        """What a slice that is about to be read is expected to take. Raises `StorageError`."""
        if self._foreseen and (foreseen := self._foreseen.pop(one, None)):
            return foreseen
        return self._foresight.expect(one.account.id, one.window, self._counts(one), self.reached(one))

    def reached(self, one: Slice) -> Reached | None:
        """How far earlier runs came with a slice; `None` when none began it."""
        return self.begun.get(one) if self.begun else None  # a slice's hash costs more than all else here

    def _counts(self, one: Slice) -> dict[date, int]:
        """What the last readings of a slice's days brought; the ledger is asked only where it may know any."""
        account = one.account.id
        if not self._ledger or not self._may_know(account, one.window):
            return {}
        days = self._ledger.known(one.window, [account]).get(account, {})
        return {day: known.calls for day, known in days.items() if was_read(known)}

    def _complete_days(self, accounts: Sequence[AccountId], window: Window) -> DaysByAccount:
        """What is complete; the ledger is asked likewise. What the plan gave since this run began it knows itself."""
        some = [account for account in accounts if self._may_know(account, window)]
        return self._ledger.complete_days(window, some) if self._ledger and some else {}

    def _may_know(self, account: AccountId, window: Window) -> bool:
        """Whether the ledger may know any of these days: those between the first and the last that it does."""
        extent = self._extents.get(account)
        return extent is not None and extent.start <= window.end and window.start <= extent.end

    def left(self, unfinished: Iterable[Slice], rest: Iterable[Slice]) -> Left:
        """What a run that has ended leaves.

        Args:
            unfinished: What it began and did not finish; what it saved of that is not expected again.
            rest: What it did not begin, out of `plans`.

        Raises:
            StorageError: The ledger cannot be read.
        """
        open_slices = list(unfinished)
        if open_slices:
            self.begun = begun_slices(self._assignment, self._ledger)
        return left_of(self._foretold(chain(open_slices, rest)), len(open_slices), self._was_complete)

    def _was_complete(self, one: Slice) -> bool:
        days = self._complete_days([one.account.id], one.window).get(one.account.id, ())
        return all(day in days for day in one.window)

    def _foretold(self, slices: Iterable[Slice]) -> Iterator[tuple[Slice, Expected | None]]:
        for number, one in enumerate(slices):
            self._asking = number < _ASKED_AT_THE_END
            yield one, self.expected(one) if self._asking else None

    def _make_plans(self) -> dict[AppName, Iterator[Slice]]:
        assignment, ledger = self._assignment, self._ledger
        by_app: defaultdict[AppName, list[Account]] = defaultdict(list)
        for account in assignment.accounts:
            by_app[account.app].append(account)
        queued, poisoned = (ledger.queued(), _in_turn(ledger.poison())) if ledger else ({}, {})
        plans = {}
        for app, accounts in by_app.items():
            days = min(len(assignment.scope.window), SLICE_DAYS)
            accounts.sort(key=lambda account: -self._foresight.pages_of(account.id, days))
            ids = [account.id for account in accounts]
            complete_days = partial(self._complete_days, ids)
            begun = [one for one in self.begun if one.account.app == app]
            earlier = Earlier(begun=begun, queued=queued, tonight=self.tonight, poisoned=poisoned)
            plans[app] = self._in_parts(
                thrifty_plan(accounts, assignment.scope, complete_days, self._cost, earlier)
                if self.is_thrifty(app)
                else plan(accounts, assignment.scope, complete_days, earlier)
            )
        return plans

    def _in_parts(self, slices: Iterator[Slice]) -> Iterator[Slice]:
        """Slices of a plan, those that would be too long in parts; what was begun goes on as it is."""
        for one in slices:
            parts = () if self.reached(one) else self._foresight.parts_of(one.account.id, one.window)
            if len(parts) > 1:
                self._foreseen.pop(one, None)
                yield from (Slice(one.account, part) for part in parts)
            else:
                yield one

    def _cost(self, one: Slice) -> float:
        if not self._asking:
            return 0.0
        self._foreseen[one] = expected = self.expected(one)
        return expected.requests


def _in_turn(poison: Mapping[AccountId, Mapping[date, Poison]]) -> dict[AccountId, list[date]]:
    """The poisoned days of each account, the one first that was asked for longest ago."""
    return {
        account: [one.day for one in sorted(days.values(), key=lambda one: (one.asked_on, one.day))]
        for account, days in poison.items()
    }

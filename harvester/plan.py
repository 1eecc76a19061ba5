"""The plan: accounts, days, and what is complete → slices. Pure and lazy."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from harvester.model import EARLIEST, ONE_DAY, Account, AccountId, Slice, Window

SLICE_DAYS: Final = 30
"""Days of a slice at most. The API allows a difference of 30 days, which is 31 days if `end_date` is inclusive; should
it turn out to be exclusive, a request needs the day more."""

DaysByAccount = Mapping[AccountId, AbstractSet[date]]
CompleteDays = Callable[[Window], DaysByAccount]
"""What the ledger holds complete in a window, by account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a run is to cover.

    Attributes:
        window: The Beijing days.
        today: The Beijing day of the run.
        reread_days: Days of at most this age are read again though complete; `None` for none.
        again: Whether complete days are read again whatever their age.
    """

    window: Window
    today: date
    reread_days: int | None = 7
    again: bool = False

    def is_due(self, day: date, complete: AbstractSet[date], tonight: Sequence[Window] = ()) -> bool:
        """Whether a day has to be read, given an account's complete days, and those completed tonight before."""
        if day in complete and any(day in window for window in tonight):
            return False
        if self.again or day not in complete:
            return True
        return self.reread_days is not None and self.today - day <= timedelta(days=self.reread_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What earlier runs left.

    Attributes:
        begun: Slices that go on from a checkpoint, as they are; no other slice has a day of theirs.
        queued: Days outside of the window that are to be read too, by account; they come last.
        tonight: What interrupted runs of this night completed, by account: it is not read again in the same night.
    """

    begun: Sequence[Slice] = ()
    queued: DaysByAccount = field(default_factory=dict)
    tonight: Mapping[AccountId, Sequence[Window]] = field(default_factory=dict)


def plan(
    accounts: Sequence[Account],
    scope: Scope,
    complete_days: CompleteDays,
    earlier: Earlier | None = None,
) -> Iterator[Slice]:
    """The slices of a run: those begun before, then the latest days first, and of those one slice an account in turn.

    So every account has its latest days before any has its oldest, whatever ends the run early; and recording links
    die after 7 days (documented). Nothing is held but what is known of 30 days.

    Args:
        accounts: In the order in which they take turns.
        scope: What to cover.
        complete_days: Asked once for each 30 days, when the plan gets there.
        earlier: What earlier runs left; `None` when nothing.
    """
    earlier = earlier or Earlier()
    taken: dict[AccountId, set[date]] = {}
    for one in earlier.begun:
        taken.setdefault(one.account.id, set()).update(one.window)
        yield one
    for block in scope.window.split(SLICE_DAYS):
        complete = complete_days(block)
        for account in accounts:
            done = complete.get(account.id, frozenset())
            mine = (day for day in block if day not in taken.get(account.id, ()))
            fresh = earlier.tonight.get(account.id, ())
            due = (day for day in mine if scope.is_due(day, done, fresh))
            for window in _runs(due):
                yield Slice(account, window)
    for account in accounts:
        left = earlier.queued.get(account.id, frozenset()) - taken.get(account.id, frozenset())
        past = (day for day in left if EARLIEST <= day < scope.today and day not in scope.window)
        for window in _runs(sorted(past)):
            for block in window.split(SLICE_DAYS):
                yield Slice(account, block)


def _runs(days: Iterable[date]) -> Iterator[Window]:
    """Ascending days as windows without gaps."""
    first: date | None = None
    last: date | None = None
    for day in days:
        if first is None or last is None:
            first = day
        elif day - last > ONE_DAY:
            yield Window(first, last)
            first = day
        last = day
    if first is not None and last is not None:
        yield Window(first, last)

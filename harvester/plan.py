"""The plan: accounts, days, and what is complete → slices. Pure and lazy.

Two orders of the same slices: `plan` for a run that takes the time it needs, `thrifty_plan` for one that a budget may
end early.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain, islice
from operator import itemgetter
from typing import Final, NamedTuple

from harvester.model import EARLIEST, ONE_DAY, Account, AccountId, Slice, Window

SLICE_DAYS: Final = 30
"""Days of a slice at most. The API allows a difference of 30 days, which is 31 days if `end_date` is inclusive; should
it turn out to be exclusive, a request needs the day more."""
_NO_DAYS: Final = frozenset[date]()

DaysByAccount = Mapping[AccountId, AbstractSet[date]]
CompleteDays = Callable[[Window], DaysByAccount]
"""What the ledger holds complete in a window, by account."""
Cost = Callable[[Slice], float]
"""Requests that a slice is expected to take."""


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
        return day not in complete or self.reads_again(day)

    def reads_again(self, day: date) -> bool:
        """Whether a day is read again though complete; if one is, so are all that are younger."""
        return self.again or (self.reread_days is not None and self.today - day <= timedelta(days=self.reread_days))


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What earlier runs left.

    Attributes:
        begun: Slices that go on from a checkpoint, as they are; no other slice has a day of theirs.
        queued: Days outside of the window that are to be read too, by account; `plan` gives them last.
        tonight: What interrupted runs of this night completed, by account: it is not read again in the same night.
        poisoned: Days that make the API fail, by account, in the order in which they are to be tried: each that is due
            is a slice of its own.
    """

    begun: Sequence[Slice] = ()
    queued: DaysByAccount = field(default_factory=dict)
    tonight: Mapping[AccountId, Sequence[Window]] = field(default_factory=dict)
    poisoned: Mapping[AccountId, Sequence[date]] = field(default_factory=dict)


def plan(
    accounts: Sequence[Account],
    scope: Scope,
    complete_days: CompleteDays,
    earlier: Earlier | None = None,
) -> Iterator[Slice]:
    """The slices of a run: those begun before, then the latest days first, and of those one slice an account in turn.

    Poisoned days come among the others, one after each slice: many in a row would look like an API that is down.

    So every account has its latest days before any has its oldest, whatever ends the run early; and recording links
    die after 7 days (documented). Nothing is held but what is known of 30 days.

    Args:
        accounts: In the order in which they take turns.
        scope: What to cover.
        complete_days: Asked once for each 30 days, when the plan gets there.
        earlier: What earlier runs left; `None` when nothing.
    """
    ground = _Ground(accounts, scope, complete_days, earlier or Earlier())
    blocks = (ground.due_in(block) for block in scope.window.split(SLICE_DAYS))
    due = (one for block in blocks for one, _ in block)
    yield from ground.earlier.begun
    yield from _in_turn(chain(due, ground.queued()), ground.poisoned())


def thrifty_plan(
    accounts: Sequence[Account],
    scope: Scope,
    complete_days: CompleteDays,
    cost: Cost,
    earlier: Earlier | None = None,
) -> Iterator[Slice]:
    """The slices that `plan` gives, in the order of a run that a budget may end early: debts before what is read again.

    A *debt* is a slice with a day that is not complete, or that is queued. After what was begun before come the debts:
    the oldest 30 days first, and of those by their oldest day that is lacking, then the cheapest, then by account; so
    no debt grows old while others are paid, and as many as can be are. Queued days outside of the window have their
    place among them. Then comes what is only read again, as in `plan`. Poisoned days come among all of that, as there.

    At most the slices of 30 days are held at a time, and a bit for each day of a debt that could be read again.

    Args:
        accounts: In the order in which they take turns at what is only read again.
        scope: What to cover.
        complete_days: Asked for each 30 days when the plan gets there, and once more where days are read again.
        cost: Asked once for each debt, when the plan has asked for its 30 days.
        earlier: What earlier runs left; `None` when nothing.
    """
    ground = _Ground(accounts, scope, complete_days, earlier or Earlier())
    yield from ground.earlier.begun
    yield from _in_turn(_debts_first(ground, scope, cost), ground.poisoned())


def _debts_first(ground: "_Ground", scope: Scope, cost: Cost) -> Iterator[Slice]:
    blocks = dict(enumerate(scope.window.split(SLICE_DAYS)))
    queued: defaultdict[int, list[tuple[Slice, date]]] = defaultdict(list)
    for one in ground.queued():
        queued[(scope.window.end - one.window.start).days // SLICE_DAYS].append((one, one.window.start))
    for number in sorted({*blocks, *queued}, reverse=True):
        found = ground.due_in(blocks[number]) if number in blocks else ()
        debts = [(lacking, cost(one), one.account.id, one) for one, lacking in found if lacking]
        if number in blocks and scope.reads_again(blocks[number].end):  # they must not be given once more below
            ground.give(debt[-1] for debt in debts)
        debts += [(lacking, cost(one), one.account.id, one) for one, lacking in queued.pop(number, ())]
        debts.sort(key=itemgetter(0, 1, 2))
        yield from (debt[-1] for debt in debts)
    for block in blocks.values():
        if scope.reads_again(block.end):
            for one, _ in ground.due_in(block):
                yield one


class _Standing(NamedTuple):
    """What decides which days of an account are due: most accounts of a fleet stand alike, and are looked at as one.

    Attributes:
        complete: Days of the block that are complete.
        tonight: What interrupted runs of this night completed.
        given: The days that were given already, a bit for each.
        poisoned: Its poisoned days.
    """

    complete: frozenset[date]
    tonight: tuple[Window, ...]
    given: int
    poisoned: frozenset[date]


class _Ground:
    """What both plans stand on: which slices are due, and which days were given already.

    Args:
        accounts: In turn.
        scope: What to cover.
        complete_days: Of a block.
        earlier: What earlier runs left.
    """

    def __init__(
        self, accounts: Sequence[Account], scope: Scope, complete_days: CompleteDays, earlier: Earlier
    ) -> None:
        self.earlier = earlier
        self._accounts = accounts
        self._scope = scope
        self._complete_days = complete_days
        self._first = min([scope.window.start, *(one.window.start for one in earlier.begun)])
        self._given: dict[AccountId, int] = {}
        self._poisoned = {account: frozenset(days) for account, days in earlier.poisoned.items()}
        self.give(earlier.begun)

    def give(self, slices: Iterable[Slice]) -> None:
        """Their days are given, and are not due any more."""
        for one in slices:
            days = (1 << len(one.window)) - 1 << (one.window.start - self._first).days
            self._given[one.account.id] = self._given.get(one.account.id, 0) | days

    def due_in(self, block: Window) -> Iterator[tuple[Slice, date | None]]:
        """A block's slices, account by account, each with its oldest day that is not complete; `None` without any."""
        complete = self._complete_days(block)
        due: dict[_Standing, list[tuple[Window, date | None]]] = {}
        for account in self._accounts:
            standing = self._standing(account.id, complete)
            if standing not in due:
                due[standing] = list(self._due(block, standing))
            for window, lacking in due[standing]:
                yield Slice(account, window), lacking

    def _standing(self, account: AccountId, complete: DaysByAccount) -> "_Standing":
        return _Standing(
            frozenset(complete.get(account, _NO_DAYS)),
            tuple(self.earlier.tonight.get(account, ())),
            self._given.get(account, 0),
            self._poisoned.get(account, _NO_DAYS),
        )

    def _due(self, block: Window, standing: "_Standing") -> Iterator[tuple[Window, date | None]]:
        done, tonight = standing.complete, standing.tonight
        for window in _runs(day for day in self._open(block, standing) if self._scope.is_due(day, done, tonight)):
            yield window, next((day for day in window if day not in done), None)

    def queued(self) -> Iterator[Slice]:
        """The queued days outside of the window, as far as they can be read."""
        today, window = self._scope.today, self._scope.window
        for account in self._accounts:
            if days := self.earlier.queued.get(account.id):
                mine = self._open(sorted(days), self._standing(account.id, {}))
                for run in _runs(day for day in mine if EARLIEST <= day < today and day not in window):
                    for block in run.split(SLICE_DAYS):
                        yield Slice(account, block)

    def poisoned(self) -> Iterator[Slice]:
        """The poisoned days that are due or queued, each a slice of its own."""
        scope, complete = self._scope, dict[date, DaysByAccount]()
        for account in self._accounts if self._poisoned else ():
            queued, fresh = self.earlier.queued.get(account.id, ()), self.earlier.tonight.get(account.id, ())
            given = self._given.get(account.id, 0)
            for day in self.earlier.poisoned.get(account.id, ()):
                if self._holds(given, day):
                    continue
                if day in scope.window and day not in complete:
                    complete[day] = self._complete_days(Window(day, day))
                done = complete.get(day, {}).get(account.id, _NO_DAYS)
                inside = day in scope.window and scope.is_due(day, done, fresh)
                if inside or (day not in scope.window and day in queued and EARLIEST <= day < scope.today):
                    yield Slice(account, Window(day, day))

    def _open(self, days: Iterable[date], standing: "_Standing") -> Iterator[date]:
        """Those of the days that are neither given nor poisoned."""
        return (day for day in days if day not in standing.poisoned and not self._holds(standing.given, day))

    def _holds(self, given: int, day: date) -> bool:
        place = (day - self._first).days
        return place >= 0 and bool(given >> place & 1)


def _in_turn(slices: Iterator[Slice], others: Iterator[Slice]) -> Iterator[Slice]:
    """One of the others after each slice, and those that are left in the end."""
    for one in slices:
        yield one
        yield from islice(others, 1)
    yield from others


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

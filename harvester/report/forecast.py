"""What a run would do: slices, expected requests, how far a budget goes. `outlook.py` has the words. Pure."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil, floor, fsum, inf, sqrt
from typing import Final

from harvester.foresight import Expected, Reached
from harvester.model import AccountId, AppName, Slice

_SLICES_SHOWN: Final = 10
_ANSWER_S: Final = 0.5
"""How long an answer takes, about."""
_OFF: Final = 0.03
"""What nights took more than was predicted where all days were known: up to 2.9 % (the README, "Measured")."""
_ROUNDING: Final = 1e-3
"""What sums of requests may be off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an app may send.

    Attributes:
        spacing_s: Seconds between two permits; `None` when no quota is known.
        learned: Whether that is known from the API's own figures, not from the config.
        per_day: Requests in any 24 hours; `None` for any number.
        used: Requests of the last 24 hours, by earlier runs.
    """

    spacing_s: float | None = None
    learned: bool = False
    per_day: int | None = None
    used: int = 0

    @property
    def left_today(self) -> float:
        """Requests that the day still allows."""
        return inf if self.per_day is None else max(0.0, self.per_day - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a run may use.

    Attributes:
        apps: The apps' quotas.
        workers: Slices that an app has open at a time, at most.
        max_requests: The run's budget; `None` for any number.
        max_duration_s: The run's time; `None` for any.
    """

    apps: Mapping[AppName, Means] = field(default_factory=dict)
    workers: int = 1
    max_requests: int | None = None
    max_duration_s: float | None = None

    def of(self, app: AppName) -> Means:
        """An app's."""
        return self.apps.get(app, Means())

    @property
    def are_none(self) -> bool:
        """Whether the run may use as much as it wants."""
        in_one_day = any(means.per_day is not None for means in self.apps.values())
        return self.max_requests is None and self.max_duration_s is None and not in_one_day

    def open_at_once(self, app: AppName) -> int:
        """Slices that take turns: what is begun goes ahead of what is not, so the slower permits come, the fewer."""
        spacing_s = self.of(app).spacing_s
        return min(self.workers, 1 + int(_ANSWER_S / spacing_s)) if spacing_s else self.workers


@dataclass(slots=True)
class Forecast:
    """Sums over plans' slices, in their order; grows with `add`.

    Attributes:
        costs: Requests of each app's slices, in their order; 8 bytes a slice.
        days: Accounts' days to read.
        known_days: Of these, read before.
        own_days: Never read, taken for their account's mean.
        fleet_days: Never read, taken for the mean of all accounts.
        blind_days: Never read, and nothing is known that they could be taken for.
        accounts: Accounts with something to read.
        strangers: Of these, those that nothing is known of.
        first: The first few slices, to show.
        resumed: Slices that go on from a checkpoint of an earlier run.
        saved: Calls that are in these checkpoints.
        thrifty: Whether the oldest debts come first, since a budget may end the run.
        calls: That will be there in the end.
        variance: Of the requests: the sum over slices of what each may be more or less, squared.
    """

    costs: "dict[AppName, array[float]]" = field(default_factory=dict)
    days: int = 0
    known_days: int = 0
    own_days: int = 0
    fleet_days: int = 0
    blind_days: int = 0
    accounts: set[AccountId] = field(default_factory=set)
    strangers: set[AccountId] = field(default_factory=set)
    first: list[Slice] = field(default_factory=list)
    resumed: int = 0
    saved: int = 0
    thrifty: bool = False
    calls: float = 0.0
    variance: float = 0.0

    def add(self, one: Slice, expected: Expected, reached: Reached | None = None) -> None:
        """Adds a slice.

        Args:
            one: The slice.
            expected: What it is expected to take.
            reached: How far an earlier run came, when it goes on from a checkpoint.
        """
        if (costs := self.costs.get(one.account.app)) is None:
            costs = self.costs[one.account.app] = array("d")
        costs.append(expected.requests)
        self.resumed += reached is not None
        self.saved += reached.calls if reached else 0
        self.days += len(one.window)
        self.known_days += expected.known_days
        self.own_days += expected.own_days
        self.fleet_days += expected.fleet_days
        self.blind_days += expected.blind_days
        self.calls += expected.calls
        self.variance += expected.doubt**2 / 3  # anything within the doubt is as likely
        self.accounts.add(one.account.id)
        if expected.fleet_days or expected.blind_days:
            self.strangers.add(one.account.id)
        if len(self.first) < _SLICES_SHOWN:
            self.first.append(one)

    @property
    def slices(self) -> int:
        """All of them."""
        return sum(map(len, self.costs.values()))

    def requests(self, app: AppName) -> float:
        """Requests that an app is expected to send."""
        return fsum(self.costs.get(app, ()))

    @property
    def total(self) -> float:
        """Requests that all apps are expected to send."""
        return fsum(map(self.requests, self.costs))

    @property
    def range(self) -> tuple[int, int]:
        """Between how many requests the total is expected to be: 19 times of 20, as far as such is known.

        Guessed days are off by chance, each by itself. All together are off by up to `_OFF` more: late calls, ties and
        calls that come while they are read. No slice takes less than a request.
        """
        wide = 2 * sqrt(self.variance)
        return max(self.slices, floor(self.total - wide)), ceil(self.total * (1 + _OFF) + wide)

    def reached(self, bounds: Bounds) -> int:
        """Through how many slices the run gets before a bound ends it, apps working side by side."""
        if bounds.are_none:
            return self.slices
        caps = {app: min(self.requests(app), bounds.of(app).left_today) for app in self.costs}
        paces = _paces(caps, bounds)
        if bounds.max_requests is not None:
            end_s = _time_for(bounds.max_requests, caps, paces)
            caps = {app: min(cap, end_s / paces[app]) for app, cap in caps.items()}
        if bounds.max_duration_s is not None:
            caps = {
                app: min(cap, bounds.max_duration_s / spacing) if (spacing := bounds.of(app).spacing_s) else cap
                for app, cap in caps.items()
            }
        return sum(_finished(self.costs[app], cap, bounds.open_at_once(app)) for app, cap in caps.items())


def _finished(costs: Iterable[float], requests: float, workers: int) -> int:
    """How many slices so many requests finish, if those that are open take turns at them."""
    waiting = iter(costs)
    ends: list[float] = []
    """The turns in which open slices end."""
    turn, finished = 0.0, 0
    while True:
        while len(ends) < workers and (cost := next(waiting, None)) is not None:
            heappush(ends, turn + cost)
        if not ends:
            return finished
        requests -= (ends[0] - turn) * len(ends)
        if requests < -_ROUNDING:
            return finished
        turn = heappop(ends)
        finished += 1


def _paces(caps: Mapping[AppName, float], bounds: Bounds) -> dict[AppName, float]:
    """Seconds a request; an app that nothing is known of is taken to be as fast as the fastest."""
    known = {app: spacing for app in caps if (spacing := bounds.of(app).spacing_s)}
    fastest = min(known.values(), default=1.0)
    return {app: known.get(app, fastest) for app in caps}


def _time_for(requests: float, caps: Mapping[AppName, float], paces: Mapping[AppName, float]) -> float:
    """Seconds after which all apps together have sent so many requests, or all that they may."""
    early, late = 0.0, max((cap * paces[app] for app, cap in caps.items()), default=0.0)
    if sum(caps.values()) <= requests:
        return late
    for _ in range(60):
        middle = (early + late) / 2
        sent = sum(min(cap, middle / paces[app]) for app, cap in caps.items())
        early, late = (early, middle) if sent > requests else (middle, late)
    return late

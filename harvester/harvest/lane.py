"""The lane of one app: its plan, and the slices that wait for others of their account."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import anyio

from harvester.harvest.cases import Admission
from harvester.harvest.tour import Tour
from harvester.harvest.ward import Ward
from harvester.model import AccountId, Slice

MOST_ASIDE: Final = 1000
"""Slices that wait for their account at a time; while there are so many no other is taken from the plan."""
SHARE: Final = 4
"""An account has at most one worker in this many while others have slices to begin: the largest must not be all."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A slice that may be begun, and how."""

    slice: Slice
    admission: Admission


class Lane:
    """Gives workers their slices. One that has to wait for its account is put aside, and holds no worker.

    Args:
        plan: The app's slices, pulled lazily.
        ward: Who may be asked.
        workers: How many take turns.

    Attributes:
        tours: What is open.
    """

    def __init__(self, plan: Iterator[Slice], ward: Ward, workers: int) -> None:
        self._plan = plan
        self._ward = ward
        self._most_of_one = max(1, workers // SHARE)
        self.tours: set[Tour] = set()
        self._open: Counter[AccountId] = Counter()
        self._crowd: dict[AccountId, deque[Slice]] = {}
        """Slices of accounts that have workers enough."""
        self._idle = 0
        self._ready: deque[Slice] = deque()
        self._aside: dict[AccountId, deque[Slice]] = {}
        self._deferred: deque[Slice] = deque()
        self._under_way = 0
        self._through = False
        self._ending = False
        self._closed = False
        self._moved = anyio.Event()

    async def take(self) -> Turn | None:
        """The next turn; `None` when there is none and none can come any more. Whoever takes one gives it `back`.

        Cancellation: no turn was taken.
        """
        while not self._closed:
            if turn := self._next():
                self._under_way += 1
                self._open[turn.slice.account.id] += 1
                return turn
            if not self._under_way:
                return None
            self._idle += 1
            try:
                await self._moved.wait()
            finally:
                self._idle -= 1
        return None

    @property
    def is_idle(self) -> bool:
        """Whether workers have nothing to do, and nothing waits for them."""
        return self._idle > 0 and not self._ready and not self._closed

    def back(self, one: Slice) -> None:
        """A turn is over."""
        self._under_way -= 1
        self._open[one.account.id] -= 1
        if not self._open[one.account.id]:
            del self._open[one.account.id]
        if crowd := self._crowd.get(one.account.id):
            self._ready.append(crowd.popleft())
            if not crowd:
                del self._crowd[one.account.id]
        self._ward.leave(one)
        self.look_again(one)

    def look_again(self, one: Slice) -> None:
        """Something was found out about the account of a slice: what waits for it may go, or is skipped."""
        self._ready.extend(self._aside.pop(one.account.id, ()))
        self._wake()

    def give(self, slices: Iterable[Slice]) -> None:
        """Slices that a walk gave away: they are begun before any other of the plan."""
        self._ready.extend(slices)
        if self._ready:
            self._wake()

    def defer(self, one: Slice) -> None:
        """Gives it another turn when all others are over."""
        self._deferred.append(one)

    def put_aside(self, one: Slice) -> None:
        """Keeps what cannot be begun any more for those who ask what is left."""
        self._aside.setdefault(one.account.id, deque()).append(one)

    @property
    def is_closed(self) -> bool:
        """Whether no more turns are given."""
        return self._closed

    def close(self) -> None:
        """No more turns are given."""
        self._closed = True
        self._wake()

    def left(self) -> Iterator[Slice]:
        """What was taken from the plan and not begun."""
        yield from self._ready
        for slices in (*self._crowd.values(), *self._aside.values()):
            yield from slices
        yield from self._deferred

    def _next(self) -> Turn | None:
        while (one := self._pull()) is not None:
            if not self._through and self._open[one.account.id] >= self._most_of_one:
                self._crowd.setdefault(one.account.id, deque()).append(one)
            elif admission := self._ward.admit(one):
                return Turn(one, admission)
            else:
                self.put_aside(one)
        return None

    def _pull(self) -> Slice | None:
        if self._ready:
            return self._ready.popleft()
        if sum(map(len, (*self._aside.values(), *self._crowd.values()))) >= MOST_ASIDE:
            return None
        if not self._through and (one := next(self._plan, None)):
            return one
        self._through = True
        if self._crowd:  # nobody else has anything to begin
            account, crowd = next(iter(self._crowd.items()))
            one = crowd.popleft()
            if not crowd:
                del self._crowd[account]
            return one
        self._ending = self._ending or not self._under_way
        return self._deferred.popleft() if self._ending and self._deferred else None

    def _wake(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()

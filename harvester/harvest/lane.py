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
        workers: How many take turns; may be set anew.

    Attributes:
        workers: See above.
        is_growing: Whether one more is about to begin.
        tours: What is open.
        wakes: How often a worker that waited was told to look again.
    """

    def __init__(self, plan: Iterator[Slice], ward: Ward, workers: int) -> None:
        self._plan = plan
        self._ward = ward
        self.workers = workers
        self.is_growing = False
        self.wakes = 0
        self.tours: set[Tour] = set()
        self._open: Counter[AccountId] = Counter()
        self._crowd: dict[AccountId, deque[Slice]] = {}
        """Slices of accounts that have workers enough."""
        self._idle: deque[anyio.Event] = deque()
        """One for each worker that has nothing to do."""
        self._ready: deque[Slice] = deque()
        self._aside: dict[AccountId, deque[Slice]] = {}
        self._waiting = 0
        """Slices that are in the crowd or aside."""
        self._deferred: deque[Slice] = deque()
        self._under_way = 0
        self._through = False
        self._ending = False
        self._closed = False

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
            await self._wait()
        return None

    async def _wait(self) -> None:
        moved = anyio.Event()
        self._idle.append(moved)
        try:
            await moved.wait()
        except anyio.get_cancelled_exc_class():
            if moved in self._idle:
                self._idle.remove(moved)
            else:
                self._wake(1)  # what it was woken for is another one's
            raise

    @property
    def is_idle(self) -> bool:
        """Whether workers have nothing to do, and nothing waits for them."""
        return bool(self._idle) and not self._ready and not self._closed

    @property
    def is_busy(self) -> bool:
        """Whether every worker has a turn: one more might find something to do."""
        return self._under_way >= self.workers and not self._closed

    def back(self, one: Slice) -> None:
        """A turn is over."""
        self._under_way -= 1
        self._open[one.account.id] -= 1
        if not self._open[one.account.id]:
            del self._open[one.account.id]
        was_full, crowd = self._is_full, one.account.id in self._crowd
        if crowd:
            self._ready.append(self._out_of_the_crowd(one.account.id))
        self._ward.leave(one)
        released = crowd + self._release(one.account.id)
        self._wake(len(self._idle) if was_full or not self._under_way else released)

    def look_again(self, one: Slice) -> None:
        """Something was found out about the account of a slice: what waits for it may go, or is skipped."""
        was_full = self._is_full
        released = self._release(one.account.id)
        self._wake(len(self._idle) if was_full else released)

    def give(self, slices: Iterable[Slice]) -> None:
        """Slices that a walk gave away: they are begun before any other of the plan."""
        before = len(self._ready)
        self._ready.extend(slices)
        self._wake(len(self._ready) - before)

    def defer(self, one: Slice) -> None:
        """Gives it another turn when all others are over."""
        self._deferred.append(one)
        if self._ending:
            self._wake(1)

    def put_aside(self, one: Slice) -> None:
        """Keeps what cannot be begun any more for those who ask what is left."""
        self._aside.setdefault(one.account.id, deque()).append(one)
        self._waiting += 1

    @property
    def is_closed(self) -> bool:
        """Whether no more turns are given."""
        return self._closed

    def close(self) -> None:
        """No more turns are given."""
        self._closed = True
        self._wake(len(self._idle))

    def left(self) -> Iterator[Slice]:
        """What was taken from the plan and not begun."""
        yield from self._ready
        for slices in (*self._crowd.values(), *self._aside.values()):
            yield from slices
        yield from self._deferred

    def _next(self) -> Turn | None:
        while (one := self._pull()) is not None:
            if admission := self._ward.admit(one):
                return Turn(one, admission)
            self.put_aside(one)
        return None

    def _pull(self) -> Slice | None:
        while self._ready or not (self._through or self._is_full):
            one = self._ready.popleft() if self._ready else next(self._plan, None)
            if one is None:
                self._through = True
            elif self._through or self._open[one.account.id] < max(1, self.workers // SHARE):
                return one
            else:
                self._crowd.setdefault(one.account.id, deque()).append(one)
                self._waiting += 1
        if self._crowd:  # nobody else has anything to begin, or too many wait for it to be looked for
            return self._out_of_the_crowd(next(iter(self._crowd)))
        if not self._through:
            return None
        self._ending = self._ending or not self._under_way
        return self._deferred.popleft() if self._ending and self._deferred else None

    @property
    def _is_full(self) -> bool:
        return self._waiting >= MOST_ASIDE

    def _out_of_the_crowd(self, account: AccountId) -> Slice:
        crowd = self._crowd[account]
        one = crowd.popleft()
        self._waiting -= 1
        if not crowd:
            del self._crowd[account]
        return one

    def _release(self, account: AccountId) -> int:
        """What waits for an account may go; how much that is."""
        released = self._aside.pop(account, ())
        self._ready.extend(released)
        self._waiting -= len(released)
        return len(released)

    def _wake(self, workers: int) -> None:
        """Lets so many look again, or as many as are idle: only what they are told of can be new to them."""
        for _ in range(min(workers, len(self._idle))):
            self._idle.popleft().set()
            self.wakes += 1

"""The lane of one app: its plan, and the slices that wait for what another one of their account finds out."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import anyio

from harvester.harvest.cases import Admission
from harvester.harvest.ward import Ward
from harvester.model import AccountId, Slice

MOST_ASIDE: Final = 1000
"""Slices that wait for their account at a time; while there are so many no other is taken from the plan."""


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
    """

    def __init__(self, plan: Iterator[Slice], ward: Ward) -> None:
        self._plan = plan
        self._ward = ward
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
                return turn
            if not self._under_way:
                return None
            await self._moved.wait()
        return None

    def back(self, one: Slice) -> None:
        """A turn is over."""
        self._under_way -= 1
        self._ward.leave(one)
        self.look_again(one)

    def look_again(self, one: Slice) -> None:
        """Something was found out about the account of a slice: what waits for it may go, or is skipped."""
        self._ready.extend(self._aside.pop(one.account.id, ()))
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
        for slices in self._aside.values():
            yield from slices
        yield from self._deferred

    def _next(self) -> Turn | None:
        while (one := self._pull()) is not None:
            if admission := self._ward.admit(one):
                return Turn(one, admission)
            self.put_aside(one)
        return None

    def _pull(self) -> Slice | None:
        if self._ready:
            return self._ready.popleft()
        if sum(map(len, self._aside.values())) >= MOST_ASIDE:
            return None
        if not self._through and (one := next(self._plan, None)):
            return one
        self._through = True
        self._ending = self._ending or not self._under_way
        return self._deferred.popleft() if self._ending and self._deferred else None

    def _wake(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()

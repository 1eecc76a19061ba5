"""Places: first come, first served, but for those who go ahead; and their number may change.

Of those who go ahead every other place is given to the one with the longest way to go: pages of a walk can only come
one after the other, and were all to take turns, the longest would end last, alone. The others have at least half.
"""

import asyncio
from collections import deque


class Places:
    """A semaphore that can shrink: who has a place keeps it, fewer are given until enough are back.

    Args:
        allowed: How many there are.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._taken = 0
        self._ahead: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._longest_is_next = True
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, *, ahead: int = 0) -> None:
        """Waits for a place and takes it. Cancellation: none is taken.

        Args:
            ahead: Whether to go before all who do not: how long the way is that begins here, from 1; 0 for not.
        """
        if self.take():
            return
        turn = asyncio.get_running_loop().create_future()
        if ahead:
            self._ahead.append((ahead, turn))
        else:
            self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given a place in the same moment
                self.leave()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            elif (ahead, turn) in self._ahead:
                self._ahead.remove((ahead, turn))
            raise

    @property
    def has_spare(self) -> bool:
        """Whether a place is free and nobody waits for it."""
        return self._taken < self._allowed and not self._ahead and not self._waiting

    def take(self) -> bool:
        """Takes a place if one is free and nobody waits for it."""
        free = self.has_spare
        self._taken += free
        return free

    def leave(self) -> None:
        """Gives a place back."""
        self._taken -= 1
        self._let_in()

    def allow(self, places: int) -> None:
        """Changes how many there are."""
        self._allowed = places
        self._let_in()

    def _let_in(self) -> None:
        while self._taken < self._allowed and (self._ahead or self._waiting):
            turn = self._next_ahead() if self._ahead else self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def _next_ahead(self) -> asyncio.Future[None]:
        """The one with the longest way, of equal ones the first; every other time simply the first."""
        number = 0
        if self._longest_is_next:
            lengths = [length for length, _ in self._ahead]
            number = lengths.index(max(lengths))
        self._longest_is_next = not self._longest_is_next
        _, turn = self._ahead[number]
        del self._ahead[number]
        return turn

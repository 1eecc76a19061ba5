"""Places: first come, first served, but for those who go ahead; and their number may change."""

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
        self._ahead: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, *, ahead: bool = False) -> None:
        """Waits for a place and takes it. Cancellation: none is taken.

        Args:
            ahead: Whether to go before all who do not.
        """
        if self.take():
            return
        queue = self._ahead if ahead else self._waiting
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given a place in the same moment
                self.leave()
            elif turn in queue:
                queue.remove(turn)
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
        while (queue := self._ahead or self._waiting) and self._taken < self._allowed:
            turn = queue.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

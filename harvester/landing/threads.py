"""Work on many things side by side in a few threads that stay: most of the time is waiting for the disk."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Threads:
    """A few threads, made when they are needed first.

    Args:
        count: How many; with one, everything is done by the caller.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ThreadPoolExecutor | None = None

    def side_by_side(self, work: Callable[[T], U], what: Sequence[T]) -> list[U]:
        """Works on each, and waits for all; the results in order.

        Raises:
            BaseException: What some work raised; nothing is under way any more then, and not everything was begun.
        """
        threads = min(self._count, len(what))
        if threads <= 1:
            return [work(one) for one in what]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count)
        done: dict[int, U] = {}
        left = iter(range(len(what)))  # each thread takes the next one: to ask the pool for each costs more than that

        def share() -> None:
            try:
                for place in left:
                    done[place] = work(what[place])
            except BaseException:
                for _ in left:
                    pass  # nobody begins any more
                raise

        shares = [self._pool.submit(share) for _ in range(threads)]
        wait(shares)
        for one in shares:
            one.result()
        return [done[place] for place in range(len(what))]

    def close(self) -> None:
        """Ends the threads; nothing is under way."""
        if self._pool:
            self._pool.shutdown()
            self._pool = None

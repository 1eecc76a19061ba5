"""One slice on its way: its walk, and what is to be handed over next."""

import anyio

from harvester.harvest.pace import Pace, Since
from harvester.harvest.queue import Queue
from harvester.harvest.walk import Step, Walk
from harvester.model import Batch, End, Receipt, Slice, Status


class Tour:
    """A walk under way.

    Args:
        one: The slice.
        walk: Its walk.
        queue: Where its calls go.
        pace: How often it is saved.

    Attributes:
        slice: The slice.
        walk: Its walk.
        receipt: The walk's, when it has come to its end.
        pages: That came.
    """

    def __init__(self, one: Slice, walk: Walk, queue: Queue, pace: Pace) -> None:
        self.slice = one
        self.walk = walk
        self.receipt: Receipt | None = None
        self.pages = 0
        self._queue = queue
        self._pace = pace
        self._since = Since(at=anyio.current_time())
        self._packed: Batch | None = None
        self._moved = False

    def pack(self, step: Step) -> None:
        """Makes a step's calls ready to hand over, with the walk's state if it is time for that."""
        self._moved = True
        size = step.calls.memory_bytes + sum(stray.memory_bytes for stray in step.strays)
        now = anyio.current_time()
        self._since.size_bytes += size
        state = None
        if isinstance(step.then, Receipt):
            self.receipt = step.then
        elif self._since.is_due(self._pace, now):
            state = self.walk.state()
            self._since = Since(at=now)
        if step.calls or step.strays or state:
            self._packed = Batch(slice=self.slice, calls=step.calls, strays=step.strays, size_bytes=size, state=state)

    async def hand_over(self) -> None:
        """Sends what is packed. Cancellation: it stays packed."""
        if self._packed:
            await self._queue.put(self._packed)
            self._packed = None

    def cut_short(self, status: Status, reason: str) -> End:
        """The end of a walk that did not come to its own; what it has is saved, if an answer has come at all."""
        return End(slice=self.slice, status=status, reason=reason, state=self.walk.state() if self._moved else None)

"""One slice on its way: its walk, and what is to be handed over next."""

from dataclasses import replace

import anyio

from harvester.calls import NO_CALLS
from harvester.harvest.far import Far
from harvester.harvest.pace import Pace, Since
from harvester.harvest.queue import Queue
from harvester.harvest.walk import Step, Walk
from harvester.model import Batch, End, Receipt, Slice, Status, Window


class Tour:
    """A walk under way.

    Args:
        one: The slice.
        walk: Its walk.
        queue: Where its calls go.
        pace: How often it is saved.
        left: Pages that it is expected to need, about.

    Attributes:
        slice: The slice; it becomes narrower when its walk gives days away.
        walk: Its walk.
        receipt: The walk's, when it has come to its end.
        pages: That came.
        left: About how many pages the walk still needs; 0 for hardly any, or when that is not known.
    """

    def __init__(self, one: Slice, walk: Walk, queue: Queue, pace: Pace, left: int = 0) -> None:
        self.slice = one
        self.walk = walk
        self.receipt: Receipt | None = None
        self.pages = 0
        self.left = walk.pages_left or left
        self._queue = queue
        self._pace = pace
        self._since = Since(at=anyio.current_time())
        self._packed: Batch | None = None
        self._moved = False

    @property
    def beyond(self) -> int:
        """About how many of the pages that are left it could give away."""
        far = self.walk.far
        return far.beyond if far else 0

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

    def give_away(self, far: Far, keep: int) -> Window:
        """Goes on with fewer days; what is packed tells the writer so.

        Args:
            far: What is ahead of the walk right now.
            keep: About so many pages.

        Returns:
            The days that are another slice's now. Its messages must come behind what is packed here.
        """
        given, before = self.walk.give_away(far, keep), self.slice
        self.slice = Slice(before.account, self.walk.window)
        packed = self._packed or Batch(slice=self.slice, calls=NO_CALLS, strays=(), size_bytes=0)
        self._packed = replace(packed, slice=self.slice, state=self.walk.state(), was=before)
        self._since = Since(at=anyio.current_time())
        self.left = min(keep, far.pages)
        return given

    async def hand_over(self) -> None:
        """Sends what is packed. Cancellation: it stays packed."""
        if self._packed:
            await self._queue.put(self._packed)
            self._packed = None

    def cut_short(self, status: Status, reason: str) -> End:
        """The end of a walk that did not come to its own; what it has is saved, if an answer has come at all."""
        return End(slice=self.slice, status=status, reason=reason, state=self.walk.state() if self._moved else None)

"""The writer: drains the queue, collects each slice's calls, makes checkpoints of them, has the ended ones published.

**Checkpoint**: the calls go to the part's file, the file to the disk, and then the ledger says in one transaction how
far the part is good and how the walk goes on from there.

**Publish** (`group.py`): slices that have ended are published while further calls are collected. A group is what has
ended while the group before was being published: nobody waits for one to fill. Neither checkpoint nor publication is
interrupted by cancellation.

Only whole slices are published: a file that is replaced before its slice is proven might lack calls that the old one
held ready for a warehouse. What a slice costs meanwhile is memory, bounded over all slices, and then disk.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar, assert_never

import anyio
import anyio.lowlevel

from harvester.disk import storage
from harvester.landing import steps
from harvester.landing.group import Ended, Publisher
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.part import Part
from harvester.landing.place import Landing
from harvester.landing.publication import Publication
from harvester.landing.steps import Step
from harvester.model import Batch, End, Outcome, Slice

__all__ = ["MEMORY_BYTES", "THREADS", "Landing", "Writer"]

T = TypeVar("T")
THREADS: int = 8
"""Days that are published side by side."""
MEMORY_BYTES: Final = 14 * 2**20
"""What the calls of all slices may hold in memory; beyond it the largest open one goes to disk."""
GROUP_SLICES: Final = 32
"""That are published together, at most; as many may be waiting for that."""


class Writer:
    """The only receiver of the queue.

    Args:
        landing: Where it works.
        report: Told of every slice that ended, in the order of their commits.
        adopted: What earlier runs left of slices that this one goes on with.
        checkpointed: Told of every open slice that was saved, and how many of its calls were.
    """

    def __init__(
        self,
        landing: Landing,
        report: Callable[[Outcome], None],
        adopted: Mapping[Slice, Part] | None = None,
        checkpointed: Callable[[Slice, int], None] = lambda _slice, _calls: None,
    ) -> None:
        self._landing = landing
        self._report = report
        self._checkpointed = checkpointed
        self._parts = dict(adopted or {})
        self._resumed = set(self._parts)
        self._today = landing.now().date()
        self._made = 0
        self._open_bytes = sum(part.memory_bytes for part in self._parts.values())
        self._ended: deque[Ended] = deque()
        self._ended_bytes = 0
        """Of slices that wait for being published, or are being published."""
        self._draining = False
        self._moved = anyio.Event()

    async def drain(self, get: Callable[[], Awaitable[Batch | End | None]]) -> None:
        """Works until the queue is closed and empty, and all that ended is committed.

        Args:
            get: The queue's next message; `None` at its end.

        Raises:
            StorageError: Files or ledger cannot be written: the run must end.

        Cancellation: between two messages. Slices whose end was taken are published first; of the open ones, what has a
        checkpoint is there for the next run.
        """
        publisher = Publisher(self._landing, THREADS, self._lay_down)
        self._draining = True
        failure: BaseException | None = None
        try:
            async with anyio.create_task_group() as both:
                both.start_soon(self._publish_all, publisher)
                try:
                    await self._collect_all(get)
                finally:
                    self._draining = False
                    self._wake()
        except BaseExceptionGroup as group:
            failure = group.exceptions[0]
        finally:
            publisher.close()
        if failure:
            raise failure  # not where it is caught: a group that it is in must not become its cause

    async def _collect_all(self, get: Callable[[], Awaitable[Batch | End | None]]) -> None:
        while message := await get():
            match message:
                case Batch():
                    await self._collect(message)
                case End():
                    await self._end(message)
                case _:
                    assert_never(message)

    async def _publish_all(self, publisher: Publisher) -> None:
        """Publishes what has ended, group by group, until nothing more can end."""
        with anyio.CancelScope(shield=True):
            while self._ended or self._draining:
                if not self._ended:
                    await self._moved.wait()
                    continue
                group = self._next_group()
                group_bytes = sum(one.part.memory_bytes for one in group)
                for outcome in await anyio.to_thread.run_sync(publisher.publish, group):
                    self._report(outcome)
                self._ended_bytes -= group_bytes
                self._wake()

    def _next_group(self) -> list[Ended]:
        """The slices that ended first, each of an account of its own: so none of them shares a day with another."""
        group: list[Ended] = []
        accounts: set[int] = set()
        while self._ended and len(group) < GROUP_SLICES:
            account = self._ended[0].publication.account
            if account in accounts:
                break
            accounts.add(account)
            group.append(self._ended.popleft())
        return group

    def _wake(self) -> None:
        """Everyone who waits looks again."""
        self._moved.set()
        self._moved = anyio.Event()

    async def _uninterrupted(self, work: Callable[[], T]) -> T:
        with anyio.CancelScope(shield=True):
            done = await anyio.to_thread.run_sync(work)
        return done  # noqa: RET504 - out here, for the type: a scope might have swallowed it

    async def _collect(self, batch: Batch) -> None:
        if batch.was is not None:
            self._narrow(batch.was, batch.slice)
        part = self._part_of(batch.slice)
        before_bytes = part.memory_bytes
        part.add(batch.calls, batch.strays)
        self._open_bytes += part.memory_bytes - before_bytes
        if batch.state is not None:
            await self._moving([part], partial(self._checkpoint, batch.slice, part, batch.state))
            self._checkpointed(batch.slice, part.calls)
            if batch.was is not None:
                steps.passed(Step.SLICE_NARROWED)
        elif self._open_bytes + self._ended_bytes > MEMORY_BYTES:
            largest = self._largest()
            await self._moving(largest, partial(self._spill, largest))

    def _largest(self) -> list[Part]:
        """The largest open slices, half of what memory has room for together: one by one would cost a thread a page."""
        largest: list[Part] = []
        size_bytes = 0
        for part in sorted(self._parts.values(), key=lambda part: part.memory_bytes, reverse=True):
            if not part.memory_bytes or (largest and size_bytes >= MEMORY_BYTES // 2):
                break
            largest.append(part)
            size_bytes += part.memory_bytes
        return largest

    async def _moving(self, parts: Sequence[Part], work: Callable[[], None]) -> None:
        """Work that moves the calls of parts to disk."""
        before_bytes = sum(part.memory_bytes for part in parts)
        await self._uninterrupted(work)
        self._open_bytes += sum(part.memory_bytes for part in parts) - before_bytes

    def _part_of(self, one: Slice) -> Part:
        if one not in self._parts:
            self._made += 1
            path = self._landing.zone.scratch / f"{self._landing.run_id}-{self._made}.part"
            self._parts[one] = Part(path, self._today)
        return self._parts[one]

    def _narrow(self, before: Slice, after: Slice) -> None:
        """A slice goes on under fewer days; the checkpoint that follows takes the place of the one it had."""
        self._parts[after] = self._part_of(before)
        del self._parts[before]
        if before in self._resumed:
            self._resumed.add(after)

    def _spill(self, parts: Iterable[Part]) -> None:
        for part in parts:
            with storage(part.path, "write to"):
                part.spill()

    def _checkpoint(self, one: Slice, part: Part, state: bytes) -> None:
        with storage(part.path, "write to"):
            part.make_durable()
        self._landing.ledger.save_checkpoint(
            Checkpoint(
                account_id=one.account.id,
                first_day=one.window.start,
                last_day=one.window.end,
                part=part.path.name,
                size_bytes=part.file_bytes,
                calls=part.calls,
                state=state,
                read_on=part.read_on,
                at=self._landing.now(),
            )
        )
        steps.passed(Step.CHECKPOINT_COMMITTED)

    async def _end(self, end: End) -> None:
        """Hands a slice on to be published; waits while too many, or too large ones, are waiting for that."""
        part = self._part_of(end.slice)
        publication = Publication(
            run_id=self._landing.run_id,
            account_id=end.slice.account.id,
            first_day=end.slice.window.start,
            last_day=end.slice.window.end,
            status=end.status,
            reason=end.reason,
            receipt=end.receipt,
            read_on=part.read_on,
            resumed=end.slice in self._resumed,
        )
        del self._parts[end.slice]
        self._open_bytes -= part.memory_bytes
        self._ended_bytes += part.memory_bytes
        self._ended.append(Ended(end=end, part=part, publication=publication))
        self._wake()
        await anyio.lowlevel.checkpoint()
        while len(self._ended) >= GROUP_SLICES or self._ended_bytes > MEMORY_BYTES // 2:
            await self._moved.wait()

    def _lay_down(self, one: Ended) -> None:
        """Of a walk that did not come to its end: keeps what the next run can go on with."""
        end, part = one.end, one.part
        if end.state is not None:
            self._checkpoint(end.slice, part, end.state)
        elif end.afresh:
            self._landing.ledger.forget_checkpoint(end.slice.account.id, end.slice.window)
            with storage(part.path, "remove"):
                part.discard()

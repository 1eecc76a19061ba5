"""The schedule: workers that pull slices from the lazy plan, walk them, and hand their calls to the queue."""

import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import anyio

from harvester.errors import AccountFault, CallError, QuotaSpent, RefusedFault
from harvester.harvest.desk import Findings
from harvester.harvest.pace import Pace, Since
from harvester.harvest.queue import Queue
from harvester.harvest.walk import Step, Walk
from harvester.model import (
    Account,
    AccountId,
    AppName,
    Batch,
    End,
    Page,
    Query,
    Receipt,
    Refusal,
    Slice,
    Status,
    memory_bytes,
)

log = logging.getLogger(__name__)

STOPPED: Final = "stopped on request; the next run goes on from here"


class Asks(Protocol):
    """One logical call of the API, however often it takes."""

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """The page, or that there is no such page; raises `CallError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How slices are walked.

    Attributes:
        page_size: What walks ask for.
        workers: Slices open at a time, for each app.
        pace: How often an open slice is saved.
        begun: The saved walks of slices that earlier runs began.
    """

    page_size: int
    workers: int
    pace: Pace = field(default_factory=Pace)
    begun: Mapping[Slice, bytes] = field(default_factory=dict)


class Schedule:
    """Walks the slices of a plan, a fixed number at a time.

    Args:
        client: Where pages come from.
        queue: Where calls go.
        opened: Told of every slice that is begun or gone on with.
        terms: How slices are walked.
    """

    def __init__(self, client: Asks, queue: Queue, opened: Callable[[Slice], None], terms: Terms) -> None:
        self._client = client
        self._queue = queue
        self._opened = opened
        self._terms = terms
        self._findings = Findings()
        self._unreadable: dict[AccountId, str] = {}
        self._stopping: str | None = None
        self._walking: set[anyio.CancelScope] = set()

    def stop(self, why: str = STOPPED) -> None:
        """No further slice is begun; the open ones wait for nothing any more: they are saved as they are.

        Args:
            why: For the report.
        """
        self._stopping = self._stopping or why
        for scope in self._walking:
            scope.cancel()

    async def run(
        self, plans: Mapping[AppName, Iterator[Slice]], drain: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Walks all slices while `drain` empties the queue; returns when the last of them is committed.

        Args:
            plans: The slices of each app, pulled lazily. What is left in them afterwards was not begun.
            drain: The writer's work.

        Raises:
            ExceptionGroup: What killed the writer, or a bug; everything else is stopped then.

        Cancellation: open slices are abandoned; the next run goes on from their last checkpoints.
        """
        async with anyio.create_task_group() as everything:
            everything.start_soon(drain)
            async with anyio.create_task_group() as walkers:
                for slices in plans.values():
                    for _ in range(self._terms.workers):
                        walkers.start_soon(self._work, slices)
            self._queue.close()

    async def _work(self, slices: Iterator[Slice]) -> None:
        while not self._stopping:
            one = next(slices, None)
            if one is None:
                return
            self._opened(one)
            end = await self._end_of(one)
            await self._queue.put(end)
            if end.status is Status.UNFINISHED:
                return  # nothing more may be sent for this app

    async def _end_of(self, one: Slice) -> End:
        """Walks a slice to its end, whatever that is: no error of one slice reaches another."""
        if one.account.id in self._unreadable:
            return End(slice=one, status=Status.SKIPPED, reason=self._unreadable[one.account.id])
        tour = _Tour(one, self._walk_of(one), self._queue, self._terms.pace)
        try:
            receipt = await self._walk(tour)
        except CallError as fault:
            return self._cut_short(tour, fault)
        if receipt is None:
            return tour.cut_short(Status.UNFINISHED, self._stopping or STOPPED)
        status = Status.COMPLETE if receipt.reason is None else Status.SHORT
        return End(slice=one, status=status, reason=receipt.reason, receipt=receipt)

    def _cut_short(self, tour: "_Tour", fault: CallError) -> End:
        one, reason = tour.slice, str(fault)
        match fault:
            case AccountFault():
                self._unreadable[one.account.id] = reason
                return tour.cut_short(Status.SKIPPED, reason)
            case QuotaSpent():
                return tour.cut_short(Status.UNFINISHED, reason)
            case RefusedFault():
                log.warning("%s failed: %s", one, fault)
                return End(slice=one, status=Status.FAILED, reason=reason, afresh=True)
            case _:
                log.warning("%s failed: %s", one, fault)
                return tour.cut_short(Status.FAILED, reason)

    def _walk_of(self, one: Slice) -> Walk:
        saved, size = self._terms.begun.get(one), self._terms.page_size
        resumed = saved and Walk.resume(saved, one.account.id, one.window, page_size=size, findings=self._findings)
        return resumed or Walk(one.account.id, one.window, page_size=size, findings=self._findings)

    async def _walk(self, tour: "_Tour") -> Receipt | None:
        """The walk's receipt; `None` when it was stopped."""
        with anyio.CancelScope() as scope:
            self._walking.add(scope)
            try:
                return await self._ask_and_tell(tour)
            finally:
                self._walking.discard(scope)
        await tour.hand_over()  # what it was handing over when it was stopped
        return tour.receipt

    async def _ask_and_tell(self, tour: "_Tour") -> Receipt:
        walk = tour.walk
        then: Query | Receipt = walk.begin()
        while isinstance(then, Query):
            answer = await self._client.fetch(tour.slice.account, then)
            walk.learn(self._findings)
            step = walk.take(answer) if isinstance(answer, Page) else walk.refuse(answer)
            self._findings = self._findings.merge(walk.findings)
            tour.pack(step)
            await tour.hand_over()
            then = step.then
        return then


class _Tour:
    """One slice on its way: its walk, and what is to be handed over next."""

    def __init__(self, one: Slice, walk: Walk, queue: Queue, pace: Pace) -> None:
        self.slice = one
        self.walk = walk
        self.receipt: Receipt | None = None
        self._queue = queue
        self._pace = pace
        self._since = Since(at=anyio.current_time())
        self._packed: Batch | None = None
        self._moved = False

    def pack(self, step: Step) -> None:
        """Makes a step's calls ready to hand over, with the walk's state if it is time for that."""
        self._moved = True
        size = memory_bytes(step.calls) + memory_bytes(step.strays)
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

"""The schedule: workers that pull slices from the lazy plan, walk them, and hand their calls to the queue."""

import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Protocol

import anyio

from harvester.errors import AccountFault, CallError, QuotaSpent
from harvester.harvest.desk import Findings
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


class Asks(Protocol):
    """One logical call of the API, however often it takes."""

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """The page, or that there is no such page; raises `CallError`."""
        ...


class Schedule:
    """Walks the slices of a plan, a fixed number at a time.

    Args:
        client: Where pages come from.
        queue: Where calls go.
        begun: Told of every slice that is begun.
        page_size: What walks ask for.
        workers: Slices open at a time, for each app.
    """

    def __init__(
        self, client: Asks, queue: Queue, begun: Callable[[Slice], None], *, page_size: int, workers: int
    ) -> None:
        self._client = client
        self._queue = queue
        self._begun = begun
        self._page_size = page_size
        self._workers = workers
        self._findings = Findings()
        self._unreadable: dict[AccountId, str] = {}
        self._stopping = False

    def stop(self) -> None:
        """No further slice is begun; the open ones are finished."""
        self._stopping = True

    async def run(
        self, plans: Mapping[AppName, Iterator[Slice]], drain: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Walks all slices while `drain` empties the queue; returns when the last of them is committed.

        Args:
            plans: The slices of each app, pulled lazily. What is left in them afterwards was not begun.
            drain: The writer's work.

        Raises:
            ExceptionGroup: What killed the writer, or a bug; everything else is stopped then.

        Cancellation: open slices are abandoned.
        """
        async with anyio.create_task_group() as everything:
            everything.start_soon(drain)
            async with anyio.create_task_group() as walkers:
                for slices in plans.values():
                    for _ in range(self._workers):
                        walkers.start_soon(self._work, slices)
            self._queue.close()

    async def _work(self, slices: Iterator[Slice]) -> None:
        while not self._stopping:
            one = next(slices, None)
            if one is None:
                return
            self._begun(one)
            end = await self._end_of(one)
            await self._queue.put(end)
            if end.status is Status.UNFINISHED:
                return  # nothing more may be sent for this app

    async def _end_of(self, one: Slice) -> End:
        """Walks a slice to its end, whatever that is: no error of one slice reaches another."""
        if one.account.id in self._unreadable:
            return End(slice=one, status=Status.SKIPPED, reason=self._unreadable[one.account.id])
        try:
            receipt = await self._walk(one)
        except AccountFault as fault:
            self._unreadable[one.account.id] = str(fault)
            return End(slice=one, status=Status.SKIPPED, reason=str(fault))
        except QuotaSpent as fault:
            return End(slice=one, status=Status.UNFINISHED, reason=str(fault))
        except CallError as fault:
            log.warning("%s failed: %s", one, fault)
            return End(slice=one, status=Status.FAILED, reason=str(fault))
        status = Status.COMPLETE if receipt.reason is None else Status.SHORT
        return End(slice=one, status=status, reason=receipt.reason, receipt=receipt)

    async def _walk(self, one: Slice) -> Receipt:
        walk = Walk(one.account.id, one.window, page_size=self._page_size, findings=self._findings)
        then: Query | Receipt = walk.begin()
        while isinstance(then, Query):
            answer = await self._client.fetch(one.account, then)
            walk.learn(self._findings)
            step = walk.take(answer) if isinstance(answer, Page) else walk.refuse(answer)
            self._findings = self._findings.merge(walk.findings)
            if step.calls or step.strays:
                await self._queue.put(_batch(one, step))
            then = step.then
        return then


def _batch(one: Slice, step: Step) -> Batch:
    size = memory_bytes(step.calls) + memory_bytes(step.strays)
    return Batch(slice=one, calls=step.calls, strays=step.strays, size_bytes=size)

"""The writer: drains the queue, collects each slice's calls, publishes and commits it when it ends.

Publishing a slice is one step that cancellation does not interrupt: its days' files are replaced, each whole and
durable, and then the ledger says so. A crash in between leaves whole files that the ledger does not know yet: the next
run reads the slice again and finds them as they should be.

Only whole slices are published: a file that is replaced before its slice is proven might lack calls that the old one
held ready for a warehouse. What a slice costs meanwhile is memory, bounded over all slices, and then disk.
"""

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Final, assert_never

import anyio

from harvester.errors import DamagedError
from harvester.landing.files import storage
from harvester.landing.ledger import Known, Ledger
from harvester.landing.part import Part
from harvester.landing.partition import Change, Zone
from harvester.model import BEIJING, AccountId, Batch, End, Outcome, Receipt, Slice, Status

THREADS: int = 8
"""Days that are published side by side."""
MEMORY_BYTES: Final = 16 * 2**20
"""What the calls of all open slices may hold in memory; beyond it the largest slice goes to disk."""


class Writer:
    """The only receiver of the queue.

    Args:
        zone: Where files land.
        ledger: Where commits are recorded.
        run_id: Of this run.
        wall: Unix seconds.
        report: Told of every slice that ended, in the order of their commits.
    """

    def __init__(
        self, zone: Zone, ledger: Ledger, run_id: str, wall: Callable[[], float], report: Callable[[Outcome], None]
    ) -> None:
        self._zone = zone
        self._ledger = ledger
        self._run_id = run_id
        self._wall = wall
        self._today = datetime.fromtimestamp(wall(), BEIJING).date()
        self._report = report
        self._parts: dict[Slice, Part] = {}
        self._made = 0

    async def drain(self, get: Callable[[], Awaitable[Batch | End | None]]) -> None:
        """Works until the queue is closed and empty.

        Args:
            get: The queue's next message; `None` at its end.

        Raises:
            StorageError: Files or ledger cannot be written: the run must end.

        Cancellation: between two messages; parts are left for the next run to remove.
        """
        while message := await get():
            match message:
                case Batch():
                    await self._collect(message)
                case End():
                    with anyio.CancelScope(shield=True):
                        outcome = await anyio.to_thread.run_sync(self._finish, message)
                    self._report(outcome)
                case _:
                    assert_never(message)

    async def _collect(self, batch: Batch) -> None:
        if batch.slice not in self._parts:
            self._made += 1
            self._parts[batch.slice] = Part(self._zone.scratch / f"{self._made}.part")
        part = self._parts[batch.slice]
        part.add(batch.calls)
        part.strays += batch.strays
        if sum(part.memory_bytes for part in self._parts.values()) > MEMORY_BYTES:
            largest = max(self._parts.values(), key=lambda part: part.memory_bytes)
            await anyio.to_thread.run_sync(self._spill, largest)

    def _spill(self, part: Part) -> None:
        with storage(self._zone.scratch, "write to"):
            part.spill()

    def _finish(self, end: End) -> Outcome:
        part = self._parts.pop(end.slice, None)
        outcome = Outcome(slice=end.slice, status=end.status, reason=end.reason, receipt=end.receipt)
        days: dict[date, Known] = {}
        if end.receipt:
            outcome, days = self._publish(end, end.receipt, part or Part(self._zone.scratch / "none.part"))
        if part:
            with storage(self._zone.scratch, "clear"):
                part.discard()
        now = datetime.fromtimestamp(self._wall(), BEIJING)
        over = {day: known for day, known in days.items() if day < self._today}  # when the run began, so when read
        self._ledger.commit(outcome, run_id=self._run_id, days=over, at=now)
        return outcome

    def _publish(self, end: End, receipt: Receipt, part: Part) -> tuple[Outcome, dict[date, Known]]:
        """Publishes every day, those without a call too: the calls that are in their files are missing tonight."""
        account, total = end.slice.account.id, Change()
        days: dict[date, Known] = {}
        damage: list[str] = []
        names = sorted({*part.days, *map(str, end.slice.window)})
        for name, change in zip(names, self._publish_days(account, names, part), strict=True):
            day = date.fromisoformat(name)
            if isinstance(change, DamagedError):  # the other days land all the same
                damage.append(str(change))
                days[day] = Known(0, complete=False)
            else:
                total += change
                days[day] = Known(change.landed, complete=day not in receipt.short_days)
        if part.strays:
            self._zone.quarantine(account, part.strays)
        outcome = Outcome(
            slice=end.slice,
            status=end.status,
            reason=end.reason,
            receipt=receipt,
            landed=total.landed,
            new=total.new,
            changed=total.changed,
            missing=total.missing,
            quarantined=len(part.strays),
        )
        if damage:
            reason = damage[0] + (f" (and {len(damage) - 1} more files of the slice)" if damage[1:] else "")
            return replace(outcome, status=Status.FAILED, reason=reason), days
        here = total.landed + len(part.strays)
        if end.status is Status.COMPLETE and here < receipt.distinct:
            reason = f"{here} different calls landed, but {receipt.distinct} were counted while reading"
            nothing_proven = {day: replace(known, complete=False) for day, known in days.items()}
            return replace(outcome, status=Status.SHORT, reason=reason), nothing_proven
        return outcome, days

    def _publish_days(self, account: AccountId, days: Sequence[str], part: Part) -> list[Change | DamagedError]:
        """Publishes days side by side: most of the time is waiting for the disk. What is on disk goes one by one."""

        def publish(day: str) -> Change | DamagedError:
            try:
                return self._zone.publish(account, day, partial(part.calls_of, day))
            except DamagedError as error:
                return error
            finally:
                part.forget_day(day)

        if part.spilled or THREADS == 1:
            return [publish(day) for day in days]
        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(publish, days))

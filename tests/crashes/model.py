"""An API in memory, and a run over it without loop, network and schedule: what the state machine drives."""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import anyio
import orjson
import pytest

from harvester.api.effort import Retry
from harvester.calls import Call, Calls
from harvester.harvest.assignment import Assignment
from harvester.harvest.findings import Findings
from harvester.harvest.resume import Begun, take_up
from harvester.harvest.walk import Walk
from harvester.landing import steps
from harvester.landing.ledger import Ledger
from harvester.landing.marks import Marks
from harvester.landing.partition import Zone
from harvester.landing.steps import Step
from harvester.landing.writer import Landing, Writer
from harvester.model import (
    BEIJING,
    Account,
    AccountId,
    AppName,
    Batch,
    End,
    Outcome,
    Page,
    Query,
    Receipt,
    Slice,
    Status,
    TokenName,
    Window,
)
from harvester.plan import Earlier, Scope, plan
from harvester.record import read_record

ACCOUNTS: Final = [Account(id=AccountId(number), token=TokenName("a"), app=AppName("main")) for number in (11, 12)]
WINDOW: Final = Window(date(2024, 2, 28), date(2024, 3, 1))
DAYS: Final = [str(day) for day in WINDOW]
NOW_S: Final = datetime(2024, 3, 5, 2, tzinfo=BEIJING).timestamp()
PAGE_SIZE: Final = 3
OPEN: Final = 2
"""Slices at a time."""
_runs = count(1)
Place = tuple[AccountId, str]
"""An account and a day."""


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Api:
    """What it holds now, and every line that it ever held."""

    calls: dict[AccountId, dict[str, Call]] = field(default_factory=lambda: {one.id: {} for one in ACCOUNTS})
    starts: dict[str, str] = field(default_factory=dict)
    ever: set[bytes] = field(default_factory=set)

    def put(self, account: AccountId, call_id: str, start: str, content: int) -> None:
        """Adds a call, or changes its content; its start stays for ever."""
        first = self.starts.setdefault(call_id, start)
        line = orjson.dumps({"call_id": call_id, "call_start_time": first, "n": content})
        call = read_record(line)
        assert isinstance(call, Call)
        self.calls[account][call_id] = call
        self.ever.add(call.line)

    def forget(self, account: AccountId, call_id: str) -> None:
        """It is not returned any more."""
        self.calls[account].pop(call_id, None)

    def of(self, place: Place) -> dict[str, bytes]:
        """The lines of a day, by id."""
        account, day = place
        return {call.id: call.line for call in self.calls[account].values() if call.day == day}

    def answer(self, query: Query) -> Page:
        """Descending, the cursor excluded, both ends included."""
        everything = self.calls[query.account_id].values()
        inside = [call for call in everything if date.fromisoformat(call.day) in query.window]
        listed = sorted(inside, key=lambda call: (call.start, call.id), reverse=True)
        listed = [call for call in listed if query.after is None or call.start < query.after]
        first = 0 if query.after else (query.page - 1) * query.page_size
        calls = Calls.of(listed[first : first + query.page_size])
        return Page(calls=calls, total=len(inside), page_size=query.page_size)


@dataclass(frozen=True, kw_only=True)
class Orders:
    """How a run goes.

    Attributes:
        again: Whether complete days are read too.
        checkpoint_every: Pages of a slice; 0 for never.
        pages: After so many the run is stopped; `None` for never.
        crash: The step and how often it is passed before the process is gone; `None` for never.
    """

    again: bool = True
    checkpoint_every: int = 1
    pages: int | None = None
    crash: tuple[Step, int] | None = None


def assignment_in(folder: Path, *, again: bool = True) -> Assignment:
    """Of all accounts and days."""
    return Assignment(
        base_url="http://127.0.0.1:9",
        timeout_s=1.0,
        page_size=PAGE_SIZE,
        accounts=ACCOUNTS,
        scope=Scope(window=WINDOW, today=date(2024, 3, 5), reread_days=None, again=again),
        in_flight=1,
        limits={},
        tokens={},
        retry=Retry(),
        output_dir=folder,
        state_dir=folder / ".harvester",
        compression="none",
        fleet=[one.id for one in ACCOUNTS],
    )


@dataclass
class Run:
    """One run, as `harvest.run` puts it together.

    Attributes:
        folder: The landing zone.
        api: What is asked.
        orders: How it goes.
        outcomes: The slices that ended.
        crashed: Whether it did.
    """

    folder: Path
    api: Api
    orders: Orders
    outcomes: list[Outcome] = field(default_factory=list)
    crashed: bool = False
    _pages: int = 0

    def execute(self) -> None:
        """To its end, or the process's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("harvester.landing.writer.THREADS", 1)  # a process ends with all its threads
            patch.setattr(steps, "passed", self._passed(self.orders.crash))
            try:
                self._execute()
            except Crash:
                self.crashed = True

    @staticmethod
    def _passed(crash: tuple[Step, int] | None) -> object:
        left = crash[1] if crash else 0

        def passed(step: Step) -> None:
            nonlocal left
            if crash and step is crash[0]:
                left -= 1
                if left == 0:
                    raise Crash

        return passed

    def _execute(self) -> None:
        assignment = assignment_in(self.folder, again=self.orders.again)
        with ExitStack() as held:
            ledger = held.enter_context(Ledger.open(assignment.state_dir))
            zone = Zone(self.folder, assignment.compression)
            held.enter_context(zone.held())
            run_id = f"run{next(_runs)}"
            marks = Marks(zone, ledger, run_id, lambda: NOW_S, assignment.fleet)
            landing = Landing(zone=zone, ledger=ledger, marks=marks, run_id=run_id, wall=lambda: NOW_S)
            begun = take_up(landing, assignment)
            marks.set_right(assignment.scope.window)
            writer = Writer(landing, self.outcomes.append, {one: there.part for one, there in begun.items()})
            ids = [one.id for one in ACCOUNTS]
            complete = partial(ledger.complete_days, accounts=ids)
            slices = plan(ACCOUNTS, assignment.scope, complete, Earlier(begun=list(begun), queued=ledger.queued()))
            messages = self._messages(slices, begun)

            async def get() -> Batch | End | None:
                return next(messages, None)

            anyio.run(writer.drain, get)
            marks.finish()

    def _messages(self, slices: Iterator[Slice], begun: dict[Slice, Begun]) -> Iterator[Batch | End]:
        """A few slices at a time, a page of each in turn."""
        walking: deque[Iterator[Batch | End]] = deque()
        while True:
            while len(walking) < OPEN and not self._stopped and (one := next(slices, None)):
                walking.append(self._walk(one, begun.get(one)))
            if not walking:
                return
            message = next(walking[0])
            yield message
            walking.rotate(-1)
            if isinstance(message, End):
                walking.pop()

    @property
    def _stopped(self) -> bool:
        return self.orders.pages is not None and self._pages >= self.orders.pages

    def _walk(self, one: Slice, begun: Begun | None) -> Generator[Batch | End, None, None]:
        saved = begun and Walk.resume(begun.state, one.account.id, one.window, page_size=PAGE_SIZE, findings=Findings())
        walk = saved or Walk(one.account.id, one.window, page_size=PAGE_SIZE)
        then: Query | Receipt = walk.begin()
        pages = 0
        while isinstance(then, Query):
            if self._stopped:
                state = walk.state() if pages else None
                yield End(slice=one, status=Status.UNFINISHED, reason="stopped", state=state)
                return
            step, pages = walk.take(self.api.answer(then)), pages + 1
            self._pages += 1
            then = step.then
            due = self.orders.checkpoint_every and pages % self.orders.checkpoint_every == 0
            state = walk.state() if due and isinstance(then, Query) else None
            yield Batch(slice=one, calls=step.calls, strays=step.strays, size_bytes=1, state=state)
        status = Status.COMPLETE if then.reason is None else Status.SHORT
        yield End(slice=one, status=status, reason=then.reason, receipt=then)

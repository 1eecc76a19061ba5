"""One run, put together: ledger → plan → schedule → report. Every part is made here and nowhere else."""

import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

import anyio
import orjson

from harvester.api.client import Client
from harvester.api.effort import Surroundings
from harvester.api.tokens import Tokens
from harvester.api.transport import Transport
from harvester.disk import storage
from harvester.errors import ExitCode, HarvesterError, StorageError, first_of
from harvester.foresight import Expected
from harvester.harvest.assignment import Assignment
from harvester.harvest.casebook import Casebook
from harvester.harvest.enrolment import muster
from harvester.harvest.hintbook import Hintbook
from harvester.harvest.meter import Meter
from harvester.harvest.outside import sender, surroundings, token_fleet
from harvester.harvest.planning import Planning
from harvester.harvest.queue import Queue
from harvester.harvest.resume import Begun, take_up
from harvester.harvest.roll_call import roll_call
from harvester.harvest.schedule import Schedule
from harvester.harvest.stopping import Stopping
from harvester.harvest.terms import Terms
from harvester.landing.files import replace_whole
from harvester.landing.ledger import Ledger
from harvester.landing.marks import Marks
from harvester.landing.partition import Zone
from harvester.landing.upkeep.survey import has_ledger
from harvester.landing.writer import Landing, Writer
from harvester.model import BEIJING, Outcome, Slice, Status
from harvester.report.left import Left
from harvester.report.summary import Report, exit_code, fold, to_json

log = logging.getLogger(__name__)

_PROGRESS_S: Final = 60.0
_GRACE_S: Final = 3.0
_RECEIPTS_KEPT: Final = timedelta(days=100)
"""The ledger must not grow without end: 10,000 accounts leave 10,000 receipts a night."""


async def harvest(
    assignment: Assignment, *, around: Surroundings | None = None, transport: Transport | None = None
) -> Report:
    """Carries an assignment out to its end; the report is also under `runs/` in the landing zone.

    SIGINT and SIGTERM: the first stops (no slice is begun, open ones are saved as they are), the second cancels.

    Args:
        assignment: What to do.
        around: Time and chance; the real ones by default.
        transport: What sends requests; aiohttp by default.

    Raises:
        LockedError: Another run holds the state directory.
        StorageError: The ledger or the landing zone cannot be used; or the ledger is gone, and days are there.

    Cancellation: what is published stays; the ledger says exactly what that is.
    """
    around = around or surroundings()
    has_ledger(Zone(assignment.output_dir, assignment.compression), assignment.state_dir)
    with Ledger.open(assignment.state_dir) as ledger:
        run = _Run(assignment, ledger, around)
        with run.zone.held():
            async with sender(assignment, transport) as send:
                await run.execute(send)
        return run.report


class _Run:
    """The parts of one run while it lasts."""

    def __init__(self, assignment: Assignment, ledger: Ledger, around: Surroundings) -> None:
        started = datetime.fromtimestamp(around.wall(), BEIJING)
        run_id = f"{started:%Y%m%dT%H%M%S}+08-{secrets.token_hex(3)}"
        self.report = Report(
            run_id=run_id, window=assignment.scope.window, accounts=len(assignment.accounts), started=started
        )
        self._ledger = ledger
        self._around = around
        self.zone = Zone(assignment.output_dir, assignment.compression)
        self._equip(assignment)
        self._tokens: Tokens
        """Made when there is something that can renew them."""
        self._planning: Planning
        """Made when it is known what earlier runs left."""
        self._open: dict[Slice, Expected] = {}
        """Begun or gone on with, and not yet committed; with what each was expected to take."""
        self._unfinished: list[Slice] = []
        self._begun: Mapping[Slice, Begun] = {}
        """Slices that earlier runs began."""
        self._casebook: Casebook
        """Of accounts that are not well; made then, too."""
        self._stopping = Stopping(lambda: len(self._open))
        self._began = 0.0
        """Loop time: a clock that is set right in between does not change what a run took."""

    def _equip(self, assignment: Assignment) -> None:
        """Makes the parts that have to know whose calls are harvested."""
        self._assignment = assignment
        self._marks = Marks(self.zone, self._ledger, self.report.run_id, self._around.wall, assignment.fleet)
        self.landing = Landing(
            zone=self.zone,
            ledger=self._ledger,
            marks=self._marks,
            run_id=self.report.run_id,
            wall=self._around.wall,
            keep_missing=assignment.keep_missing,
        )
        self._meter = Meter(assignment, self._ledger, self._around.wall)

    async def execute(self, transport: Transport) -> None:
        """Runs the assignment; whatever ends it, the report says so and is saved. Signals count from here on."""
        error: HarvesterError | None = None
        self._began = anyio.current_time()
        try:
            with self._stopping.signals() as signals:
                async with anyio.create_task_group() as watch:
                    watch.start_soon(self._stopping.watch, signals)
                    self._tokens = token_fleet(self._assignment, transport, self._around.wall)
                    if self._assignment.discovery:
                        await self._enrol(transport)
                    await anyio.to_thread.run_sync(self._begin)
                    await self._harvest(transport)
                    watch.cancel_scope.cancel()
        except* HarvesterError as group:
            error = first_of(group, HarvesterError)
        if error:
            raise error

    async def _enrol(self, transport: Transport) -> None:
        """Finds the accounts that find themselves, from new lists where these are due; see `enrolment.py`."""
        call = roll_call(self._assignment, self._ledger, transport, self._tokens, self._around)
        self._stopping.act_on(call, call.scope)
        found = await muster(self._assignment, self._ledger, call, self._around.wall)
        self._equip(found.assignment)
        accounts = len(found.assignment.accounts)
        self.report = replace(self.report, accounts=accounts, notes=found.notes, troubles=found.troubles)

    def _begin(self) -> None:
        """Takes up what a dead run left: see `resume.py`. Raises `StorageError`."""
        assignment, ledger = self._assignment, self._ledger
        self._begun = take_up(self.landing, assignment)
        ledger.forget_receipts(assignment.scope.today - _RECEIPTS_KEPT)
        self._marks.set_right(assignment.scope.window)
        self._marks.make_up()
        self._casebook = Casebook(assignment, ledger)
        self._planning = Planning(assignment, ledger)
        self._hintbook = Hintbook(ledger, assignment.page_size, self._around.wall)
        ledger.begin_run(assignment.night, self.report.run_id, assignment.scope.today)

    async def _harvest(self, transport: Transport) -> None:
        """Walks, lands, and closes the books, which cancellation does not interrupt."""
        assignment = self._assignment
        writer = Writer(self.landing, self._ended, {one: begun.part for one, begun in self._begun.items()})
        plans, queue = self._planning.plans, Queue()
        client = Client(transport, await self._meter.open(), self._tokens, assignment.retry, self._around)
        terms = Terms(
            page_size=assignment.page_size,
            workers=assignment.in_flight,
            pace=assignment.pace,
            begun={one: begun.state for one, begun in self._begun.items()},
            ward=self._casebook.ward,
            remember=self._casebook.remember,
            hints=self._hintbook.hints,
            within=assignment.scope.window,
            narrowed=self._narrowed,
            has_spare=lambda app: assignment.max_requests is None and client.has_spare(app),
            when_idle=client.when_idle,
            foreseen=lambda one: int(self._open[one].requests),
        )
        schedule = Schedule(client, queue, self._opened, terms)
        self._say_hello()
        error: HarvesterError | None = None
        try:
            async with anyio.create_task_group() as work:
                self._stopping.act_on(schedule, work.cancel_scope)
                work.start_soon(self._watch_progress)
                work.start_soon(self._meter.run)
                work.start_soon(self._watch_the_time, schedule)
                await schedule.run(plans, lambda: writer.drain(queue.get))
                work.cancel_scope.cancel()
        except* HarvesterError as group:
            error = first_of(group, HarvesterError)
        self._meter.stop()
        self._hintbook.found = schedule.findings
        notes = (*self.report.notes, *client.notes(), *self._tokens.notes(), *self._meter.notes())
        self.report = replace(
            self.report, requests=self._meter.sent, failed_attempts=client.attempts_failed, notes=notes
        )
        self._finish(chain(schedule.aside(), *plans.values()), error)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close, error)

    def _say_hello(self) -> None:
        assignment = self._assignment
        log.info("run %s: %d accounts, %s", self.report.run_id, len(assignment.accounts), assignment.scope.window)
        if any(map(self._planning.is_thrifty, self._planning.plans)):
            log.info("a budget may end this run: the oldest and smallest debts come first")
        if done := sum(map(len, self._planning.tonight.values())):
            log.info("an earlier run was interrupted: the %d slices that it completed are not read again", done)
            self.report = replace(self.report, completed_before=done)

    def _close(self, error: HarvesterError | None) -> None:
        """Makes the marks, counts the requests, saves the report; each is tried, the first error is the cause."""
        for last in (self._marks.finish, self._meter.close, self._hintbook.close, self._end_night, self._save):
            try:
                last()
            except StorageError as second:
                error = error or second
        if error:
            raise error

    def _end_night(self) -> None:
        """A run that tried all of its plan is the night's last; the next of its kind begins anew."""
        if self.report.exit_code in {ExitCode.COMPLETE, ExitCode.PARTIAL}:
            self._ledger.end_night(self._assignment.night)

    def _opened(self, one: Slice) -> None:
        self._open[one] = self._planning.expected(one)

    def _narrowed(self, before: Slice, after: Slice) -> None:
        """An open slice gave days away, which are expected anew when they are begun."""
        self._open.pop(before, None)
        self._opened(after)

    def _ended(self, outcome: Outcome) -> None:
        expected = self._open.pop(outcome.slice, None)
        if outcome.status is Status.UNFINISHED:
            self._unfinished.append(outcome.slice)
        self.report = fold(self.report, outcome, expected)

    async def _watch_the_time(self, schedule: Schedule) -> None:
        """A little after the run's time nothing is waited for any more, such as an answer that does not come."""
        if self._assignment.max_duration_s is not None:
            await anyio.sleep(self._assignment.max_duration_s + _GRACE_S)
            log.warning("the run's time (--max-duration) is over: open slices are being saved")
            schedule.stop("the run's time (--max-duration) is over; the next run goes on from here")

    async def _watch_progress(self) -> None:
        while self._assignment.progress:
            await anyio.sleep(_PROGRESS_S)
            slices, sent = sum(self.report.slices.values()), sum(self._meter.sent.values())
            waiting = "".join(f"; {text}" for text in (*self._meter.waiting, *self._tokens.waiting))
            log.info("%d slices ended, %d calls landed, %d requests sent%s", slices, self.report.calls, sent, waiting)

    def _finish(self, left: Iterable[Slice], error: HarvesterError | None) -> None:
        """Closes the report: what was not begun, what was abandoned, and what the shell is told."""
        for one in tuple(self._open):
            self._ended(
                Outcome(
                    slice=one,
                    status=Status.UNFINISHED,
                    reason="dropped while it was open; the next run goes on from its last checkpoint",
                )
            )
        remainder = self._left(left, error)
        report = replace(
            self.report,
            ended=self.report.started + timedelta(seconds=anyio.current_time() - self._began),
            not_begun=remainder.total - remainder.begun,
            left=remainder,
            sick=self._casebook.sick(self.report.troubles),
            dead_tokens=dict(self._tokens.dead),
            no_token_works=self._assignment.needed <= self._tokens.dead.keys(),
            ended_by=str(error) if error else None,
        )
        if not report.complete:
            report = replace(report, ended_by=self._stopping.in_words or report.ended_by)
        code = error.exit_code if error else exit_code(report, self._stopping.exit_code)
        self.report = replace(report, exit_code=code)

    def _left(self, rest: Iterable[Slice], error: HarvesterError | None) -> Left:
        try:
            return self._planning.left(self._unfinished, rest)
        except StorageError:
            if error is None:
                raise
            return Left()  # what ended the run ends this, too

    def _save(self) -> None:
        path = self._assignment.output_dir / "runs" / f"{self.report.run_id}.json"
        with storage(path, "write"):
            replace_whole(path, [as_json(self.report)], scratch=self.landing.zone.scratch)


def as_json(report: Report) -> bytes:
    """The report's file."""
    return orjson.dumps(to_json(report), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

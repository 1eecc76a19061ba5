"""One run, put together: ledger → plan → schedule → report. Every part is made here and nowhere else."""

import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

import anyio
import anyio.to_thread

from harvester.api.client import Client
from harvester.api.effort import Surroundings
from harvester.api.tokens import Tokens
from harvester.api.transport import Transport
from harvester.errors import ExitCode, HarvesterError, StorageError, first_of
from harvester.events import TOLD, Audience
from harvester.foresight import Expected
from harvester.harvest.assignment import Assignment
from harvester.harvest.books import Books
from harvester.harvest.casebook import Casebook
from harvester.harvest.closing import Closing, ended, report_path, save, started
from harvester.harvest.enrolment import muster
from harvester.harvest.hintbook import Hintbook
from harvester.harvest.meter import Meter
from harvester.harvest.outside import sender, surroundings, token_fleet
from harvester.harvest.planning import Planning
from harvester.harvest.progress import Progress
from harvester.harvest.queue import Queue
from harvester.harvest.resume import Begun, take_up
from harvester.harvest.roll_call import roll_call
from harvester.harvest.schedule import Schedule
from harvester.harvest.stopping import Stopping
from harvester.harvest.terms import Terms
from harvester.landing.ledger import Ledger
from harvester.landing.marks import Marks
from harvester.landing.partition import Zone
from harvester.landing.upkeep.survey import has_ledger
from harvester.landing.writer import Landing, Writer
from harvester.model import BEIJING, Slice
from harvester.report.summary import Report

log = logging.getLogger(__name__)

_GRACE_S: Final = 3.0
_RECEIPTS_KEPT: Final = timedelta(days=100)
"""The ledger must not grow without end: 10,000 accounts leave 10,000 receipts a night."""


async def harvest(
    assignment: Assignment,
    *,
    around: Surroundings | None = None,
    transport: Transport | None = None,
    audience: Audience | None = None,
) -> Report:
    """Carries an assignment out to its end; the report is also under `runs/` in the landing zone.

    SIGINT and SIGTERM: the first stops (no slice is begun, open ones are saved as they are), the second cancels.

    Args:
        assignment: What to do.
        around: Time and chance; the real ones by default.
        transport: What sends requests; aiohttp by default.
        audience: Who listens; nobody by default.

    Raises:
        LockedError: Another run holds the state directory.
        StorageError: The ledger or the landing zone cannot be used; or the ledger is gone, and days are there.

    Cancellation: what is published stays, open slices stay at their last checkpoints, and the report is saved.
    """
    around = around or surroundings()
    has_ledger(Zone(assignment.output_dir, assignment.compression), assignment.state_dir)
    with Ledger.open(assignment.state_dir) as ledger:
        run = _Run(assignment, ledger, around, audience or Audience())
        with run.zone.held():
            async with sender(assignment, transport) as send:
                await run.execute(send)
        return run.report


class _Run:
    """The parts of one run while it lasts."""

    def __init__(self, assignment: Assignment, ledger: Ledger, around: Surroundings, audience: Audience) -> None:
        started = datetime.fromtimestamp(around.wall(), BEIJING)
        run_id = f"{started:%Y%m%dT%H%M%S}+08-{secrets.token_hex(3)}"
        report = Report(
            run_id=run_id, window=assignment.scope.window, accounts=len(assignment.accounts), started=started
        )
        self._ledger = ledger
        self._around = around
        self.zone = Zone(assignment.output_dir, assignment.compression)
        self._books = Books(report, self._expected, audience)
        self._trace = audience.trace
        self._progress = Progress(assignment, ledger, self._books, audience)
        self._stopping = Stopping(
            lambda: len(self._books.open), lambda: self._progress.tell(asked=True), obeys=audience.signals
        )
        self._equip(assignment)
        self._tokens: Tokens
        """Made when there is something that can renew them."""
        self._planning: Planning
        """Made when it is known what earlier runs left."""
        self._begun: Mapping[Slice, Begun] = {}
        """Slices that earlier runs began."""
        self._casebook: Casebook
        """Of accounts that are not well; made then, too."""
        self._late_before = 0
        self._began = 0.0
        """Loop time: a clock that is set right in between does not change what a run took."""

    @property
    def report(self) -> Report:
        """So far."""
        return self._books.report

    def _expected(self, one: Slice) -> Expected:
        return self._planning.expected(one)

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
                    self._progress.tokens = self._tokens
                    watch.start_soon(self._progress.watch)
                    if self._assignment.discovery:
                        await self._enrol(transport)
                    await anyio.to_thread.run_sync(self._begin)
                    await self._harvest(transport)
                    watch.cancel_scope.cancel()
        except* HarvesterError as group:
            error = first_of(group, HarvesterError)
        if error:
            error.report = self.report if self.report.ended else None  # it may be that it could not be saved
            raise error

    async def _enrol(self, transport: Transport) -> None:
        """Finds the accounts that find themselves, from new lists where these are due; see `enrolment.py`."""
        call = roll_call(self._assignment, self._ledger, transport, self._tokens, self._around)
        self._stopping.act_on(call, call.scope)
        found = await muster(self._assignment, self._ledger, call, self._around.wall)
        self._equip(found.assignment)
        accounts = len(found.assignment.accounts)
        self._books.close(accounts=accounts, notes=found.notes, troubles=found.troubles)

    def _begin(self) -> None:
        """Takes up what a dead run left: see `resume.py`. Raises `StorageError`."""
        assignment, ledger = self._assignment, self._ledger
        self._begun = take_up(self.landing, assignment)
        ledger.forget_receipts(assignment.scope.today - _RECEIPTS_KEPT)
        self._late_before = ledger.late_calls()
        self._marks.set_right(assignment.scope.window)
        self._marks.make_up()
        self._casebook = Casebook(assignment, ledger)
        self._planning = Planning(assignment, ledger)
        self._hintbook = Hintbook(ledger, assignment.page_size, self._around.wall)
        ledger.begin_run(assignment.night, self.report.run_id, assignment.scope.today)

    async def _harvest(self, transport: Transport) -> None:
        """Walks, lands, and closes the books, which cancellation does not interrupt."""
        begun = {one: begun.part for one, begun in self._begun.items()}
        writer = Writer(self.landing, self._books.ended, begun, self._books.checkpointed)
        queue, retry = Queue(), self._assignment.retry
        client = Client(transport, await self._meter.open(), self._tokens, retry, self._around)
        client.tried = self._trace.tried if self._trace else None
        self._progress.reads(self._assignment, self._meter)
        schedule = Schedule(client, queue, self._books.opened, self._terms(client))
        self._say_hello()
        try:
            error = await self._walk_and_land(schedule, lambda: writer.drain(queue.get))
        except anyio.get_cancelled_exc_class():
            self._stopping.cancelled()
            with anyio.CancelScope(shield=True):
                await self._wind_up(schedule, client, None)
            raise
        with anyio.CancelScope(shield=True):
            await self._wind_up(schedule, client, error)

    def _terms(self, client: Client) -> Terms:
        assignment, books = self._assignment, self._books
        return Terms(
            page_size=assignment.page_size,
            workers=assignment.in_flight,
            pace=assignment.pace,
            begun={one: begun.state for one, begun in self._begun.items()},
            ward=self._casebook.ward,
            remember=self._casebook.remember,
            hints=self._hintbook.hints,
            within=assignment.scope.window,
            narrowed=books.narrowed,
            has_spare=lambda app: assignment.max_requests is None and client.has_spare(app),
            when_idle=client.when_idle,
            foreseen=lambda one: int(books.open[one].requests),
        )

    async def _walk_and_land(
        self, schedule: Schedule, drain: Callable[[], Coroutine[Any, Any, None]]
    ) -> HarvesterError | None:
        """Walks all slices; returns what ended that early, unless it is raised: cancellation, or a bug."""
        error: HarvesterError | None = None
        try:
            async with anyio.create_task_group() as work:
                self._stopping.act_on(schedule, work.cancel_scope)
                work.start_soon(self._progress.look_ahead)
                work.start_soon(self._meter.run)
                work.start_soon(self._watch_the_time, schedule)
                await schedule.run(self._planning.plans, drain)
                self._progress.ends()
                work.cancel_scope.cancel()
        except* HarvesterError as group:
            error = first_of(group, HarvesterError)
        return error

    async def _wind_up(self, schedule: Schedule, client: Client, error: HarvesterError | None) -> None:
        """Closes the report and the ledger's books, and says that the run has ended."""
        self._progress.ends()
        self._meter.stop()
        self._hintbook.found = schedule.findings
        notes = (*self.report.notes, *client.notes(), *self._tokens.notes(), *self._meter.notes())
        self._books.close(requests=self._meter.sent, failed_attempts=client.attempts_failed, notes=notes)
        took_s = anyio.current_time() - self._began
        closing = Closing(
            books=self._books,
            planning=self._planning,
            casebook=self._casebook,
            meter=self._meter,
            tokens=self._tokens,
            needed=self._assignment.needed,
            stopping=self._stopping,
        )
        aside = chain(schedule.aside(), *self._planning.plans.values())
        self._books.report = closing.close(aside, error, took_s)
        try:
            await anyio.to_thread.run_sync(self._close, error)
        finally:
            self._books.tell_last(ended(self.report, report_path(self.zone, self.report)))

    def _say_hello(self) -> None:
        assignment, many = self._assignment, len(self._assignment.accounts)
        accounts = "1 account" if many == 1 else f"{many:,} accounts"
        log.info("run %s: %s, %s", self.report.run_id, accounts, assignment.scope.window, extra=TOLD)
        if any(map(self._planning.is_thrifty, self._planning.plans)):
            log.info("a budget may end this run: the oldest and smallest debts come first")
        if done := sum(map(len, self._planning.tonight.values())):
            slices = "the slice that it completed is" if done == 1 else f"the {done:,} slices that it completed are"
            log.info("an earlier run was interrupted: %s not read again", slices)
            self._books.close(completed_before=done)
        self._books.tell(started(self.report))

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

    def _save(self) -> None:
        late = max(0, self._ledger.late_calls() - self._late_before)
        self._books.close(late=late)
        save(self.zone, self.report)

    async def _watch_the_time(self, schedule: Schedule) -> None:
        """A little after the run's time nothing is waited for any more, such as an answer that does not come."""
        if self._assignment.max_duration_s is not None:
            await anyio.sleep(self._assignment.max_duration_s + _GRACE_S)
            log.warning("the run's time (--max-duration) is over: open slices are being saved")
            schedule.stop("the run's time (--max-duration) is over; the next run goes on from here")

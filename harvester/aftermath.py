"""What follows a run, however it ended: monitoring and people are told. It changes neither it nor its exit code."""

import contextlib
import logging
import platform
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from harvester.config import Aftermath, load_aftermath
from harvester.errors import ConfigError, ExitCode, HarvesterError, StorageError
from harvester.events import Audience, Event
from harvester.harvest.closing import report_path, save
from harvester.landing.partition import Zone
from harvester.metrics.figures import Measured
from harvester.metrics.publishing import figures_wanted, publish, spans_if_wanted
from harvester.notice import Value, is_wanted, occasion
from harvester.report.summary import Report
from harvester.secret import masked
from harvester.telling.memory import Memory
from harvester.telling.message import Circumstances, Ending, fields
from harvester.telling.post import BOUND_S, HURRY_S, Told, tell
from harvester.telling.services import Webhook
from harvester.webhooks import webhooks

log = logging.getLogger(__name__)

_SIGNALLED = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)


class Follower:
    """Follows one run, and does what comes after it.

    Args:
        plan: What the config asks for.
    """

    def __init__(self, plan: Aftermath) -> None:
        self._plan = plan
        self._is_over = False
        self._spans = spans_if_wanted()
        metrics = plan.metrics
        self._is_idle = not (plan.notify or metrics.textfile or metrics.pushgateway or self._spans or figures_wanted())

    def listening(self, audience: Audience) -> Audience:
        """The audience, and whoever follows each slice."""
        spans, tell = self._spans, audience.tell
        if spans is None:
            return audience

        def both(event: Event) -> None:
            spans.tell(event)
            if tell:
                tell(event)

        return replace(audience, tell=both, trace=spans)

    def __call__(self, report: Report) -> Report:
        """After a run that has a report: what could not be done is noted in it, and then it is saved again."""
        return self._noted(report, self.after(Ending(code=report.exit_code, report=report)))

    def failed(self, error: HarvesterError) -> Report | None:
        """After a run that an error ended: its report, likewise; `None` if it has none."""
        failures = self.after(_ending(error))
        return self._noted(error.report, failures) if isinstance(error.report, Report) else None

    def _noted(self, report: Report, failures: Sequence[str]) -> Report:
        if not failures:
            return report
        report = replace(report, notes=(*report.notes, *failures))
        try:
            save(Zone(self._plan.output_dir, "none"), report)
        except StorageError as error:
            log.warning("the run's report could not be saved again: %s", error)
        return report

    def after(self, ending: Ending) -> list[str]:
        """Remembers how a run ended, and says so to all who want to know; gives what could not be done, in words.

        Once: what comes later, such as the end of the process, is no other ending.
        """
        if self._is_over:
            return []
        self._is_over = True
        plan, now_s = self._plan, time.time()
        failures = [self._spans.close()] if self._spans else []
        if self._is_idle or not plan.config:  # without one, nothing is known of it, nor of where to remember anything
            return [failure for failure in failures if failure]
        memory = Memory(plan.state_dir, plan.config)
        was_unwell = memory.was_unwell
        if ending.code is not ExitCode.LOCKED:  # the run that holds the lock will say itself how it ended
            memory.remember(well=ending.code is ExitCode.COMPLETE, at_s=now_s)
            measured = Measured(
                config=plan.config,
                code=ending.code,
                ended_s=now_s,
                last_success_s=memory.last_success_s,
                report=ending.report,
                waits=self._spans.waits if self._spans else None,
                per_account=plan.metrics.per_account,
            )
            failures += publish(plan.metrics, measured)
        failures += _tell(plan, ending, was_unwell=was_unwell)
        found = [failure for failure in failures if failure]
        for failure in found:
            log.error("%s", failure)  # also with --quiet: perhaps nobody else says it
        return found


@contextlib.contextmanager
def followed(config: Path) -> Iterator[Follower]:
    """Around a run: what follows it. What the run raises is told, and raised again.

    Args:
        config: The config; what follows is read from it before the run begins, also when the run cannot use the rest.

    Yields:
        What listens to the run, and what its finished report has to be given to.
    """
    follower = Follower(load_aftermath(config))
    try:
        yield follower
    except BaseException as error:
        follower.after(_ending(error))
        raise


def _ending(error: BaseException) -> Ending:
    match error:
        case KeyboardInterrupt():
            return Ending(code=ExitCode.INTERRUPTED, error="interrupted")
        case SystemExit(code=ExitCode.TERMINATED):
            return Ending(code=ExitCode.TERMINATED, error="terminated before anything was begun: run again")
        case ConfigError():
            many = "1 problem" if len(error.problems) == 1 else f"{len(error.problems)} problems"
            return Ending(code=error.exit_code, error=f"{many} with the config or the command line\n{error}")
        case HarvesterError():
            report = error.report if isinstance(error.report, Report) else None
            return Ending(code=error.exit_code, error=str(error), report=report)
        case _:
            return Ending(code=ExitCode.BUG, error=f"a bug in harvester ({type(error).__name__}); see the run's log")


def _tell(plan: Aftermath, ending: Ending, *, was_unwell: bool) -> list[str]:
    """Tells who wants to know; gives what could not be done, for a person."""
    what = occasion(ending.code, was_unwell=was_unwell)
    chosen = [webhook for webhook in webhooks(plan.notify) if is_wanted(what, webhook.on)]
    if not chosen:
        return []
    path = str(report_path(Zone(plan.output_dir, "none"), ending.report)) if ending.report else None
    around = Circumstances(config=plan.config, host=platform.node(), was_unwell=was_unwell, report_path=path)
    told = deliver(chosen, fields(ending, around), bound_s=HURRY_S if ending.code in _SIGNALLED else BOUND_S)
    return [f"{one.name} was not told of this run: {one.failure}" for one in told if one.failure]


def deliver(chosen: Sequence[Webhook], values: Mapping[str, Value], *, bound_s: float = BOUND_S) -> list[Told]:
    """Posts to all of them, on a loop of its own; a signal ends the waiting, and nothing else.

    Args:
        chosen: Whom.
        values: The fields.
        bound_s: The longest that it takes.
    """
    values = {name: masked(value) if isinstance(value, str) else value for name, value in values.items()}
    found: list[Told] = []

    async def obey(scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                scope.cancel()

    async def post() -> None:
        async with anyio.create_task_group() as group:
            if threading.current_thread() is threading.main_thread():
                group.start_soon(obey, group.cancel_scope)
            found.extend(await tell(chosen, values, time.time, bound_s=bound_s))
            group.cancel_scope.cancel()

    with contextlib.suppress(KeyboardInterrupt):
        anyio.run(post)
    return found or [Told(name=one.name, failure="a signal came before it answered") for one in chosen]

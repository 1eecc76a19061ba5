"""What follows a run, however it ended: who wants to know is told. It changes neither the run nor its exit code."""

import contextlib
import logging
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from harvester.config import Aftermath, load_aftermath
from harvester.errors import ConfigError, ExitCode, HarvesterError, StorageError
from harvester.harvest.closing import report_path, save
from harvester.landing.partition import Zone
from harvester.notice import Value, is_wanted, occasion
from harvester.report.summary import Report
from harvester.secret import masked
from harvester.telling.memory import Memory
from harvester.telling.message import Circumstances, Ending, fields
from harvester.telling.post import BOUND_S, HURRY_S, Told, tell
from harvester.telling.services import Webhook
from harvester.webhooks import webhooks

log = logging.getLogger(__name__)

Follow = Callable[[Report], Report]
_SIGNALLED = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)


@contextlib.contextmanager
def followed(config: Path) -> Iterator[Follow]:
    """Around a run: what follows it. What the run raises is told, and raised again.

    Args:
        config: The config; what follows is read from it before the run begins, also when the run cannot use the rest.

    Yields:
        What the finished report has to be given to: it comes back with a note on whatever could not be told, and is
        saved again then.
    """
    plan = load_aftermath(config)

    def follow(report: Report) -> Report:
        return (
            _noted(report, plan, _tell(plan, Ending(code=report.exit_code, report=report))) if plan.notify else report
        )

    try:
        yield follow
    except BaseException as error:
        for failure in _tell(plan, _ending(error)) if plan.notify else ():
            log.warning("%s", failure)
        raise


def _noted(report: Report, plan: Aftermath, failures: Sequence[str]) -> Report:
    if not failures:
        return report
    report = replace(report, notes=(*report.notes, *failures))
    try:
        save(Zone(plan.output_dir, "none"), report)
    except StorageError as error:
        log.warning("the run's report could not be saved again: %s", error)
    return report


def _ending(error: BaseException) -> Ending:
    match error:
        case KeyboardInterrupt():
            return Ending(code=ExitCode.INTERRUPTED, error="interrupted")
        case SystemExit(code=ExitCode.TERMINATED):
            return Ending(code=ExitCode.TERMINATED, error="terminated before anything was begun")
        case ConfigError():
            many = "1 problem" if len(error.problems) == 1 else f"{len(error.problems)} problems"
            return Ending(code=error.exit_code, error=f"{many} with the config or the command line\n{error}")
        case HarvesterError():
            return Ending(code=error.exit_code, error=str(error))
        case _:
            return Ending(code=ExitCode.BUG, error=f"a bug in harvester ({type(error).__name__}); see the run's log")


def _tell(plan: Aftermath, ending: Ending) -> list[str]:
    """Tells who wants to know, and remembers how it ended; gives what could not be done, for a person."""
    memory = Memory(plan.state_dir, plan.config)
    was_unwell = memory.was_unwell
    what = occasion(ending.code, was_unwell=was_unwell)
    failures = []
    if chosen := [webhook for webhook in webhooks(plan.notify) if is_wanted(what, webhook.on)]:
        path = str(report_path(Zone(plan.output_dir, "none"), ending.report)) if ending.report else None
        around = Circumstances(config=plan.config, host=platform.node(), was_unwell=was_unwell, report_path=path)
        told = deliver(chosen, fields(ending, around), bound_s=HURRY_S if ending.code in _SIGNALLED else BOUND_S)
        failures = [f"{one.name} was not told of this run: {one.failure}" for one in told if one.failure]
    if ending.code is not ExitCode.LOCKED:  # the run that holds the lock will remember how it ended itself
        memory.remember(well=ending.code is ExitCode.COMPLETE, at_s=time.time())
    return failures


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

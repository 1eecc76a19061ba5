"""`harvester notify`: tries the webhooks of a config, before a bad night does."""

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harvester.examples import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harvester.notice import Value

_EVENTS = ("failure", "partial", "recovered", "complete")


@click.command("notify", epilog=examples("harvester notify"))
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--event", type=click.Choice(_EVENTS), default="partial", show_default=True, help="What to make up.")
@click.option("--dry-run", is_flag=True, help="Print what would be said, and send nothing.")
def notify_command(config: Path, *, event: str, dry_run: bool) -> None:
    """Try every webhook of a config now, with a made-up run, and say what each answers.

    All [[notify]] tables are tried, whatever their `on` says; the text begins with TEST.

    Exit codes: 0 all of them took it, 3 some did not, 2 usage or config.
    """
    from harvester.aftermath import deliver
    from harvester.config import load
    from harvester.errors import ExitCode
    from harvester.report.logs import set_up
    from harvester.telling.services import said
    from harvester.webhooks import webhooks

    set_up("text", quiet=False)
    chosen = webhooks(load(config).notify)
    if not chosen:
        raise click.UsageError(f"{config.name} has no [[notify]] table: see configs/nightly.toml for one.")
    values = _made_up(config.name, event)
    if dry_run:
        for webhook in chosen:
            click.echo(f"{webhook.name} would be told:\n{said(webhook, values)}\n")
        return
    told = deliver(chosen, values)
    for one in told:
        click.echo(f"{one.name}: {'took it' if one.failure is None else f'did NOT take it: {one.failure}'}")
    sys.exit(ExitCode.PARTIAL if any(one.failure for one in told) else ExitCode.COMPLETE)


def _made_up(config: str, event: str) -> "Mapping[str, Value]":
    """The fields of a run that never was."""
    from datetime import datetime, timedelta

    from harvester.errors import ExitCode
    from harvester.model import BEIJING, Status, Window
    from harvester.report.summary import Report
    from harvester.telling.message import Circumstances, Ending, fields

    now = datetime.now(BEIJING)
    yesterday = now.date() - timedelta(days=1)
    partial = event == "partial"
    report = Report(
        run_id="test",
        window=Window(yesterday - timedelta(days=6), yesterday),
        accounts=3,
        started=now - timedelta(minutes=12),
        ended=now,
        slices={Status.COMPLETE: 2 if partial else 3},
        not_begun=int(partial),
        calls=1234,
        new=567,
        exit_code=ExitCode.PARTIAL if partial else ExitCode.COMPLETE,
    )
    ending = Ending(code=report.exit_code, report=report)
    if event == "failure":
        ending = Ending(code=ExitCode.STORAGE, error="this is only a test: no disk is full")
    values = fields(ending, Circumstances(config=config, host=platform.node(), was_unwell=event == "recovered"))
    return {**values, "headline": f"TEST, no real run: {values['headline']}"}

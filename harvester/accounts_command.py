"""`harvester accounts`: who is harvested, and why; a new list now; an accounts file."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harvester.errors import ExitCode
from harvester.examples import examples

if TYPE_CHECKING:
    from harvester.config import Settings
    from harvester.harvest.assignment import Assignment
    from harvester.harvest.enrolment import Roster

_config_argument = click.argument("config", type=click.Path(dir_okay=False, path_type=Path))


@click.group("accounts", epilog=examples("harvester accounts"))
def accounts_group() -> None:
    """Say who is harvested: the config's accounts, and those that [discover] tables find."""


@accounts_group.command("list", epilog=examples("harvester accounts list"))
@_config_argument
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def list_command(config: Path, *, as_json: bool) -> None:
    """List the enrolled accounts: token, name, status, since when, where from; and who vanished.

    Reads the ledger only, also while a run is going.

    Exit codes: 0 whatever it says, 2 usage or config, 4 the ledger cannot be read.
    """
    from harvester.report import rolls

    found = _known(_prepared(config)[1])
    if as_json:
        _print_json(rolls.to_json(found.enrolment, found.rolls))
        return
    click.echo("\n".join([rolls.in_words(found.enrolment), *(f"  note: {note}" for note in found.notes)]))


@accounts_group.command("refresh", epilog=examples("harvester accounts refresh"))
@_config_argument
def refresh_command(config: Path) -> None:
    """List the accounts of every [discover] table now, and say what changed.

    Exit codes: 0 all were listed, 3 some were not, 5 no token works, 2 usage or config, 4 storage, 11 a run is going.
    """
    import anyio

    from harvester.harvest.enrolment import refresh
    from harvester.report.logs import set_up
    from harvester.report.rolls import told

    set_up("text", quiet=False)
    _, assignment = _prepared(config)
    if not assignment.discovery:
        raise click.UsageError(
            "the config has no [discover.NAME] table, so there is nothing to list: its accounts "
            "are those of [accounts], which `harvester accounts list CONFIG` shows"
        )
    called, found = anyio.run(refresh, assignment)
    same = [f"{one.table}: nothing changed, {one.size:,} accounts" for one in called.changes.values() if not told(one)]
    for line in (*found.notes, *same):
        click.echo(line)
    click.echo(f"{len(found.assignment.accounts):,} accounts enrolled")
    if called.failures:
        sys.exit(ExitCode.NO_TOKEN if len(called.dead) == len(assignment.discovery.tables) else ExitCode.PARTIAL)


@accounts_group.command("export", epilog=examples("harvester accounts export"))
@_config_argument
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def export_command(config: Path, file: Path, *, force: bool) -> None:
    """Write the enrolled accounts to FILE (- is stdout), as a CSV that [accounts] file reads.

    Exit codes: 0 written, 3 a [discover] table was never listed, so nothing is written, 2 usage or config, 4 storage.
    """
    from harvester.report.rolls import csv_of, unknown

    settings, assignment = _prepared(config)
    found = _known(assignment).settled()
    if found.enrolment.unknown:
        for table in found.enrolment.unknown:
            click.echo(f"error: {unknown(table, None)}; `harvester accounts refresh {config}` lists them", err=True)
        sys.exit(ExitCode.PARTIAL)
    text = csv_of((one.account for one in found.enrolment.enrolled), settings.disabled)
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    if file.exists() and not force:
        raise click.UsageError(f"{file} is there already; --force replaces it")
    from harvester.landing.files import hand_over

    hand_over(file, text.encode())


def _prepared(config: Path) -> "tuple[Settings, Assignment]":
    from harvester.assign import Options, assignment_of
    from harvester.config import load
    from harvester.model import BEIJING

    settings = load(config)
    for note in settings.notes:
        click.echo(f"note: {note}", err=True)
    return settings, assignment_of(settings, Options(), datetime.now(BEIJING).date())


def _known(assignment: "Assignment") -> "Roster":
    from harvester.harvest.enrolment import known

    return known(assignment, time.time())


def _print_json(value: object) -> None:
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())

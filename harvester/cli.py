"""The command line: commands, exit codes, and what is printed where.

The summary goes to stdout, the log and every error to stderr. Imports are late: `harvester --help` loads little.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from harvester import __version__
from harvester.errors import ConfigError, ExitCode, HarvesterError

if TYPE_CHECKING:
    from harvester.assign import Options
    from harvester.config import Settings
    from harvester.harvest.assignment import Assignment
    from harvester.report.summary import Report

_PROBLEMS_SHOWN: Final = 100
_config_argument = click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
Decorated = TypeVar("Decorated", bound=Callable[..., object])


class _LazySandbox(click.Group):
    """Adds `sandbox`, whose many options live with the sandbox."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "sandbox"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "sandbox":
            return super().get_command(ctx, cmd_name)
        from harvester.sandbox.command import sandbox_command

        return sandbox_command


@click.group(cls=_LazySandbox, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harvester")
def cli() -> None:
    """Fetch every phone call of every Tencent Ads account, each night, and prove it."""


def _duration(text: str) -> float:
    from harvester.config import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _day(text: str) -> object:
    from harvester.config import parse_day

    try:
        return parse_day(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _scope_options(command: Decorated) -> Decorated:
    for option in (
        click.option("--again", is_flag=True, help="Read complete days too."),
        click.option("--account", "accounts", type=int, multiple=True, metavar="ID", help="Only this; repeatable."),
        click.option("--end", type=_day, metavar="D", help="Last day, in place of the config's."),
        click.option("--start", type=_day, metavar="D", help="First day: YYYY-MM-DD, today, yesterday, today-N."),
    ):
        command = option(command)
    return command


@cli.command()
@_config_argument
@_scope_options
@click.option(
    "--max-duration", "max_duration_s", type=_duration, metavar="4h", help="Send nothing more after this long."
)
@click.option("--max-requests", type=click.IntRange(min=1), metavar="N", help="Send no more requests than this.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, ask the API nothing.")
@click.option("--summary", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Report, as JSON.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.option("--no-progress", "progress", flag_value=False, default=True, help="No line of progress each minute.")
def run(config: Path, *, dry_run: bool, summary: Path | None, log_format: str, quiet: bool, **options: Any) -> None:
    """Harvest all that is due: the nightly job.

    Exit codes: 0 complete, 2 usage or config, 3 partial, 4 storage, 5 no token works, 8 budget ended first,
    11 another run holds the lock, 130/143 interrupted, 1 a bug.
    """
    from harvester.assign import Options
    from harvester.report.logs import set_up

    set_up(log_format, quiet=quiet)
    settings, assignment = _prepare(config, Options(**options))
    if dry_run:
        click.echo(_forecast(assignment))
        return
    report = _harvest(settings, assignment)
    if summary:
        _write_summary(summary, report)
    if not quiet:
        from harvester.report.summary import in_words

        click.echo(in_words(report))
        click.echo(f"  files {assignment.output_dir}")
    sys.exit(report.exit_code)


def _prepare(config: Path, options: "Options") -> "tuple[Settings, Assignment]":
    from datetime import datetime

    from harvester.assign import assignment_of
    from harvester.config import load
    from harvester.model import BEIJING

    settings = load(config)
    for note in settings.notes:
        click.echo(f"note: {note}", err=True)
    return settings, assignment_of(settings, options, datetime.now(BEIJING).date())


def _harvest(settings: "Settings", assignment: "Assignment") -> "Report":
    import anyio

    from harvester.harvest.run import harvest

    try:
        return anyio.run(harvest, assignment)
    except HarvesterError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug, whatever it is: told without secrets, exit 1
        _report_a_bug(error, settings)
        sys.exit(ExitCode.BUG)


def _report_a_bug(error: BaseException, settings: "Settings") -> None:
    """Prints a traceback in which no secret of the config can stand."""
    from urllib.parse import quote

    text = "".join(traceback.format_exception(error))
    for token in settings.tokens.values():
        for secret in (token.access_token, token.refresh_token):
            if secret:
                plain = secret.get_secret_value()
                text = text.replace(plain, "***").replace(quote(plain, safe=""), "***")
    click.echo(
        f"{text}\nThis is a bug in harvester: what was published stays. Please report it with this text.", err=True
    )


def _write_summary(path: Path, report: "Report") -> None:
    from harvester.harvest.run import as_json
    from harvester.landing.files import storage

    with storage(path, "write"):
        path.write_bytes(as_json(report))


@cli.command()
@_config_argument
@_scope_options
def plan(config: Path, **options: Any) -> None:
    """Say what a run would do: slices, requests, time at the quota. Asks the API nothing."""
    from harvester.assign import Options

    click.echo(_forecast(_prepare(config, Options(**options))[1]))


def _forecast(assignment: "Assignment") -> str:
    from harvester.harvest.preview import forecast

    return forecast(assignment)


@cli.group("config")
def config_group() -> None:
    """Look at configs."""


@config_group.command()
def schema() -> None:
    """Print the JSON Schema of a config, for editors."""
    import orjson

    from harvester.config import schema as schema_of

    click.echo(orjson.dumps(schema_of(), option=orjson.OPT_INDENT_2).decode())


@config_group.command()
@_config_argument
def explain(config: Path) -> None:
    """Print the effective settings, each with where it comes from; secrets masked."""
    from harvester.config import explain as explained
    from harvester.config import load

    click.echo(explained(load(config)))


@cli.command()
def demo() -> None:
    """Harvest the embedded sandbox into ./demo/ and check the result against what the sandbox holds."""
    from harvester.demo import run_demo

    sys.exit(run_demo(Path("demo")))


def main() -> None:
    """Entry point: turns every error into its message on stderr and its exit code."""
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(ExitCode.INTERRUPTED)
    except ConfigError as error:
        _show_problems(error)
        sys.exit(error.exit_code)
    except HarvesterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        _give_up_printing(error)


def _show_problems(error: ConfigError) -> None:
    shown = error.problems[:_PROBLEMS_SHOWN]
    for problem in shown:
        click.echo(f"error: {problem}", err=True)
    more = len(error.problems) - len(shown)
    many = f"{len(error.problems)} problems" if len(error.problems) != 1 else "1 problem"
    click.echo(f"{many}{f', {more} not shown' if more else ''}; nothing was asked of the API", err=True)


def _give_up_printing(error: OSError) -> NoReturn:
    """Ends with what can still be said: stdout is full, or nobody reads it any more."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - what Python flushes at exit has to go somewhere
    if error.errno != errno.EPIPE:
        click.echo(
            f"error: cannot print: {error.strerror}; a run's report is under runs/ in its landing zone", err=True
        )
    sys.exit(ExitCode.STORAGE)

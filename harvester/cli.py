"""The command line: commands, exit codes, and what is printed where.

The summary goes to stdout, the log and every error to stderr. Imports are late: `harvester --help` loads little.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harvester import __version__
from harvester.endings import answer_signals, give_up_printing, guarded, print_anything, report_a_bug, show_problems
from harvester.errors import ConfigError, ExitCode, HarvesterError
from harvester.examples import examples
from harvester.options import day, file_to_write
from harvester.secret import masked

if TYPE_CHECKING:
    from harvester.assign import Options
    from harvester.events import Audience
    from harvester.harvest.assignment import Assignment
    from harvester.report.summary import Report

_config_argument = click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
_ELSEWHERE = {
    "accounts": "harvester.accounts_command:accounts_group",
    "doctor": "harvester.doctor_command:doctor_command",
    "notify": "harvester.notify_command:notify_command",
    "report": "harvester.report_command:report_command",
    "sandbox": "harvester.sandbox.command:sandbox_command",
}
Decorated = TypeVar("Decorated", bound=Callable[..., object])


class _Lazy(click.Group):
    """Adds the commands that live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = _ELSEWHERE[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]}, epilog=examples("harvester"))
@click.version_option(__version__, prog_name="harvester")
def cli() -> None:
    """Fetch every phone call of every Tencent Ads account, each night, and prove it."""


def _duration(text: str) -> float:
    from harvester.config import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _scope_options(command: Decorated) -> Decorated:
    for option in (
        click.option("--again", is_flag=True, help="Read complete days too."),
        click.option("--account", "accounts", type=int, multiple=True, metavar="ID", help="Only this; repeatable."),
        click.option("--end", type=day, metavar="D", help="Last day, in place of the config's."),
        click.option("--start", type=day, metavar="D", help="First day: YYYY-MM-DD, today, yesterday, today-N."),
    ):
        command = option(command)
    return command


def _budget_options(command: Decorated) -> Decorated:
    softly = "end softly: what is open is saved, exit code 8, the next run goes on."
    for option in (
        click.option(
            "--max-requests", type=click.IntRange(min=1), metavar="N", help=f"After so many requests {softly}"
        ),
        click.option(
            "--max-duration", "max_duration_s", type=_duration, metavar="4h", help=f"After this long {softly}"
        ),
    ):
        command = option(command)
    return command


@cli.command(epilog=examples("harvester run"))
@_config_argument
@_scope_options
@_budget_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, ask the API nothing.")
@click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=file_to_write,
    metavar="FILE",
    help="Report, as JSON.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--quiet", is_flag=True, help="Print nothing but errors, and what is lacking.")
@click.option("--no-progress", "progress", flag_value=False, default=True, help="Do not show how it goes on.")
def run(config: Path, *, dry_run: bool, summary: Path | None, **options: Any) -> None:
    """Harvest all that is due: the nightly job.

    Exit codes: 0 complete, 2 usage or config, 3 partial, 4 storage, 5 no token works, 8 budget ended first,
    11 another run holds the lock, 130/143 interrupted, 1 a bug.
    """
    from harvester.aftermath import followed
    from harvester.assign import Options
    from harvester.show import Style, say_what_was_done, showing

    style = Style(**{name: options.pop(name) for name in ("log_format", "quiet", "progress")})
    if dry_run:
        _say_what_would_be_done(config, Options(**options), summary)
        return
    with followed(config) as follow:
        assignment = _prepare(config, Options(**options))
        try:
            with showing(style) as audience:
                report = _harvest(assignment, follow.listening(audience))
        except HarvesterError as error:
            if error.report is None:
                raise
            click.echo(f"error: {masked(str(error))}", err=True)
            say_what_was_done(follow.failed(error), assignment.output_dir, file=summary, quiet=style.quiet)
            sys.exit(error.exit_code)
        report = follow(report)
    say_what_was_done(report, assignment.output_dir, file=summary, quiet=style.quiet)
    sys.exit(report.exit_code)


def _say_what_would_be_done(config: Path, options: "Options", summary: Path | None) -> None:
    from harvester.harvest.preview import foretold

    text, values = foretold(_prepare(config, options))
    click.echo(text)
    if summary:
        from harvester.disk import storage

        with storage(summary, "write"):
            summary.write_text(_json(values) + "\n")


def _prepare(config: Path, options: "Options") -> "Assignment":
    from datetime import datetime

    from harvester.assign import assignment_of
    from harvester.config import load
    from harvester.model import BEIJING

    settings = load(config)
    for note in settings.notes:
        click.echo(f"note: {note}", err=True)
    return assignment_of(settings, options, datetime.now(BEIJING).date())


def _harvest(assignment: "Assignment", audience: "Audience") -> "Report":
    from functools import partial

    import anyio

    from harvester.harvest.run import harvest
    from harvester.tuning import tune

    tune()
    return anyio.run(partial(harvest, assignment, audience=audience))


@cli.command(epilog=examples("harvester plan"))
@_config_argument
@_scope_options
@_budget_options
def plan(config: Path, **options: Any) -> None:
    """Say what a run would do: slices, expected requests, time at the quota, how far a budget goes.

    Asks the API nothing. Exit codes: 0, 2 usage or config, 4 the ledger cannot be read.
    """
    from harvester.assign import Options
    from harvester.harvest.preview import forecast

    click.echo(forecast(_prepare(config, Options(**options))))


@cli.command(epilog=examples("harvester verify"))
@_config_argument
@click.option("--heal", is_flag=True, help="Queue what has to be read again for the next run, set marks right.")
@click.option("--rebuild", is_flag=True, help="Make a new ledger from the landing zone first: the old one is damaged.")
@click.option("--json", "as_json", is_flag=True, help="Every finding, as JSON.")
def verify(config: Path, *, heal: bool, rebuild: bool, as_json: bool) -> None:
    """Read the landing zone and hold it against the ledger: is every file there, and as it was written?

    Exit codes: 0 sound, 3 not sound, 2 usage or config, 4 storage, 11 a run is going.
    """
    from harvester.assign import Options
    from harvester.harvest.inspect import Orders
    from harvester.harvest.inspect import verify as verified
    from harvester.report.logs import set_up
    from harvester.report.soundness import in_words, to_json

    set_up("text", quiet=False)
    assignment = _prepare(config, Options())
    found = verified(assignment, Orders(heal=heal, rebuild=rebuild, all_findings=as_json))
    click.echo(_json(to_json(found)) if as_json else in_words(found, str(assignment.output_dir), str(config)))
    sys.exit(ExitCode.COMPLETE if found.sound else ExitCode.PARTIAL)


@cli.command(epilog=examples("harvester status"))
@_config_argument
@click.option("--all", "every", is_flag=True, help="Show every account, not just those that lack days.")
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
def status(config: Path, *, every: bool, as_json: bool) -> None:
    """Say through which day each account is complete, what is lacking, and how late calls come.

    Reads the ledger only. Exit codes: 0 whatever it says; 2 usage or config, 4 the ledger cannot be read.
    """
    from harvester.assign import Options
    from harvester.harvest.inspect import status as state_of
    from harvester.report.logs import set_up
    from harvester.report.status import in_words, to_json

    set_up("text", quiet=False)
    assignment = _prepare(config, Options())
    state = state_of(assignment, every_gap=every or as_json)
    click.echo(_json(to_json(state)) if as_json else in_words(state, every=every))


def _json(value: object) -> str:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


@cli.group("config", epilog=examples("harvester config"))
def config_group() -> None:
    """Look at configs."""


@config_group.command(epilog=examples("harvester config schema"))
@click.option("--of", type=click.Choice(["config", "report"]), default="config", show_default=True)
def schema(of: str) -> None:
    """Print the JSON Schema of a config, for editors, or of a run's report, for programs."""
    from importlib import import_module

    click.echo(_json(import_module(f"harvester.{of}.schema").schema()))


@config_group.command(epilog=examples("harvester config explain"))
@_config_argument
def explain(config: Path) -> None:
    """Print the effective settings, each with where it comes from; secrets masked."""
    from harvester.config import explain as explained
    from harvester.config import load

    click.echo(explained(load(config)))


@cli.command(epilog=examples("harvester demo"))
def demo() -> None:
    """Harvest the embedded sandbox into ./demo/ and check the result against what the sandbox holds."""
    from harvester.demo import run_demo

    sys.exit(run_demo(Path("demo")))


def main() -> None:
    """Entry point: turns every error into its message on stderr and its exit code."""
    print_anything()
    answer_signals()
    try:
        with guarded():
            sys.exit(cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(ExitCode.INTERRUPTED)
    except ConfigError as error:
        show_problems(error)
        sys.exit(error.exit_code)
    except HarvesterError as error:
        click.echo(f"error: {masked(str(error))}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        give_up_printing(error)
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - a bug, whatever it is: told without secrets
        report_a_bug(error)
        sys.exit(ExitCode.BUG)

"""`harvester report`: all that is known, on one HTML page."""

import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from harvester.errors import ConfigError, Problem
from harvester.examples import examples
from harvester.options import day

_NEEDED: Final = ("jinja2", "matplotlib")


@click.command("report", epilog=examples("harvester report"))
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="FILE",
    help="Where the page goes; one that is there is replaced, whole or not at all.",
)
@click.option("--start", type=day, metavar="D", help="First day: YYYY-MM-DD, today, yesterday, today-N.")
@click.option("--end", type=day, metavar="D", help="Last day; the config's by default.")
@click.option(
    "--call-days",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    metavar="N",
    help="Read the landed calls of the last N days of the page.",
)
@click.option("--no-calls", is_flag=True, help="Read no landed calls: nothing is said of their hours and ends.")
def report_command(config: Path, *, output: Path, call_days: int, no_calls: bool, **days: Any) -> None:
    """Write all that is known on one HTML page: completeness, requests, calls, who is sick.

    Of the last 30 days, if --start says nothing else. The file needs no network and no scripts, and fits a browser's
    light or dark colours, and paper. Reads the ledger, the run files and the landed calls, also while a run is going;
    asks the API nothing and changes nothing. Phone numbers are not even read.

    Exit codes: 0 whatever the page says, 2 usage or config, 4 storage: the ledger or the landing zone cannot be read,
    the file cannot be written.

    Needs matplotlib and jinja2, which the extra `report` brings: pip install 'harvester[report]'
    """
    _need_the_extra()
    from datetime import datetime

    from harvester.assign import Options, assignment_of
    from harvester.config import load
    from harvester.landing.files import hand_over
    from harvester.model import BEIJING
    from harvester.page.gather import Wishes, gather
    from harvester.page.html import html_of
    from harvester.page.sections import verdict
    from harvester.report.logs import set_up

    set_up("text", quiet=False)
    now_s = time.time()
    settings = load(config)
    for note in settings.notes:
        click.echo(f"note: {note}", err=True)
    assignment = assignment_of(settings, Options(**days), datetime.fromtimestamp(now_s, BEIJING).date())
    wishes = Wishes(start_is_chosen=days["start"] is not None, call_days=None if no_calls else call_days)
    found = gather(assignment, wishes, now_s)
    hand_over(output, html_of(found).encode())
    click.echo(f"{verdict(found)}\n  page {output}")


def _need_the_extra() -> None:
    """Raises `ConfigError` when what draws the page is not installed."""
    from importlib.util import find_spec

    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        message = (
            f"it needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            f"`{sys.executable} -m pip install 'harvester[report]'`, or in a clone `… -e '.[report]'`"
        )
        raise ConfigError([Problem(where="harvester report", message=message)])

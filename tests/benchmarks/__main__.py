"""harvester and its peers side by side: `python -m tests.benchmarks`; `--help` lists what can be chosen.

What it does goes to standard error, the tables to standard output. Peers are installed once, into virtual environments
of their own. Interrupted, it ends every process that it started and shows the rounds so far, without a plot. Exit code
0: everybody did the work; 1: somebody did not, and is shown with the reason; 130: interrupted.
"""

import argparse
import datetime as dt
import platform
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.speed.contenders import PEERS, contenders
from tests.benchmarks.speed.measure import Arena, Outcome, cores, measured, saved, served
from tests.benchmarks.speed.plot import lacking, plot
from tests.benchmarks.speed.report import table
from tests.benchmarks.speed.server import World

BEIJING: Final = dt.timezone(dt.timedelta(hours=8))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--page-size", type=_positive, nargs="+", default=[100, 1000], help="calls (default: 100 1000)")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=[*PEERS, "none"], help="default: all")
    parser.add_argument("--accounts", type=_positive, default=200, help="default: 200")
    parser.add_argument("--calls", type=_positive, default=1990, help="of an account (default: 1990)")
    parser.add_argument("--days", type=_positive, default=7, help="with calls, the last one yesterday (default: 7)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw an SVG; needs the extra `bench`")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write every measurement as JSON")
    parser.add_argument(
        "--environments",
        type=Path,
        metavar="DIR",
        default=Path(tempfile.gettempdir()) / "harvester-peers",
        help="where the peers are installed (default: %(default)s)",
    )
    given = parser.parse_args()
    if given.plot and (why := lacking()):
        parser.error(why)
    return given


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return number


def say(line: str) -> None:
    """Tells what happens."""
    print(line, file=sys.stderr, flush=True)


def compare(given: argparse.Namespace, outcomes: list[Outcome]) -> None:
    """Measures; what is done so far is in `outcomes`, and in the file of results."""
    peers = [peer for peer in given.peers if peer != "none"]
    some = contenders(peers, given.environments.resolve(), say)
    yesterday = dt.datetime.now(BEIJING).date() - dt.timedelta(days=1)
    world = World(accounts=given.accounts, calls=given.calls, zipf=0.0, end=yesterday, days=given.days)
    place = cores()
    where = "wherever the system puts them" if place.server is None else f"on cores {place.server} and {place.client}"
    say(f"{given.accounts:,} accounts of {given.calls:,} calls in {given.days} days; server and contenders {where}")
    with tempfile.TemporaryDirectory() as folder, served(world, place.server) as base_url:
        arena = Arena(world, base_url, Path(folder), place.client)
        for outcome in measured(arena, some, given.rounds, given.page_size, say):
            outcomes.append(outcome)
            if given.results:
                saved(outcomes, given.results)


def main() -> int:
    """Compares, and shows what came of it."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    given = arguments()
    outcomes: list[Outcome] = []
    code = 0
    try:
        compare(given, outcomes)
    except KeyboardInterrupt:
        say("interrupted")
        code = 130
    if outcomes:
        print(f"Python {platform.python_version()}, {len(outcomes)} processes measured.\n\n{table(outcomes)}")
        if given.plot and not code and not all(outcome.trouble for outcome in outcomes):
            plot(outcomes, given.plot)
    return code or int(any(outcome.trouble for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())

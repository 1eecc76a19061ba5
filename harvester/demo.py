"""`harvester demo`: the real harvest, over real HTTP, of the embedded sandbox, checked call by call."""

import time
from datetime import datetime
from pathlib import Path
from typing import Final

import anyio
import click

from harvester.assign import Options, assignment_of
from harvester.config import load
from harvester.disk import storage
from harvester.errors import ExitCode
from harvester.harvest.assignment import Assignment
from harvester.harvest.run import harvest
from harvester.landing.ndjson import read_lines
from harvester.landing.partition import Zone
from harvester.model import BEIJING
from harvester.report.logs import set_up
from harvester.report.summary import Report, in_words
from harvester.sandbox.command import config
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World, beijing_day

_ACCOUNTS: Final = 12
_CALLS_PER_DAY: Final = 150.0
_TIE: Final = 250


def run_demo(folder: Path) -> int:
    """Runs the demo in a folder, left for a person to look at; returns the exit code."""
    set_up("text", quiet=False)
    return anyio.run(_demo, folder)


async def _demo(folder: Path) -> int:
    world = World(accounts=_ACCOUNTS, calls_per_day=_CALLS_PER_DAY, tie_size=_TIE, today=beijing_day(time.time()))
    switches = Switches(requests_per_minute=12_000)
    async with serve(world, switches) as sandbox:
        click.echo(f"A sandbox with {_ACCOUNTS} accounts serves {sandbox.base_url}; harvesting its last 7 days …")
        assignment = _assignment(folder, sandbox, switches)
        report = await harvest(assignment)
        click.echo(in_words(report))
        wrong = _compare(assignment, world)
    click.echo(_verdict(report, wrong, folder, assignment))
    return ExitCode.BUG if wrong else report.exit_code


def _assignment(folder: Path, sandbox: Sandbox, switches: Switches) -> Assignment:
    path = folder / "demo.toml"
    with storage(folder, "write to"):
        folder.mkdir(exist_ok=True)
        path.write_text(config(sandbox.base_url, switches, accounts=f"ids = {list(sandbox.world.account_ids)}"))
    return assignment_of(load(path), Options(), datetime.now(BEIJING).date())


def _compare(assignment: Assignment, world: World) -> int:
    """How many days of accounts differ, byte by byte, from what the sandbox holds."""
    zone, wrong = Zone(assignment.output_dir, assignment.compression), 0
    for account in assignment.accounts:
        landed = [
            line
            for day in assignment.scope.window
            if (path := zone.partition(account.id, str(day))).exists()
            for line in read_lines(path)
        ]
        wrong += landed != list(world.calls(account.id, assignment.scope.window))
    return wrong


def _verdict(report: Report, wrong: int, folder: Path, assignment: Assignment) -> str:
    if wrong:
        return f"CHECK FAILED: the files of {wrong} accounts differ from what the sandbox holds. Please report this."
    example = next(iter(sorted(assignment.output_dir.glob("dt=*/account_id=*/*"))), assignment.output_dir)
    return "\n".join(
        (
            f"Checked: all {report.calls:,} calls are there, each once, byte for byte what the sandbox holds.",
            f"Look at {folder}/: demo.toml was the config (its sandbox is gone), {example} is one account's day.",
            "Run `harvester demo` again: the same days are read again and no file changes.",
        )
    )

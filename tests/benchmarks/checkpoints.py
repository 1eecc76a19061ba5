"""What checkpoints cost: the same harvest at several paces, one after the other in turn; prints a Markdown table.

Run by hand: `python -m tests.benchmarks.checkpoints [ROUNDS [ACCOUNTS [CALLS_PER_DAY]]]`. The sandbox has a process of
its own. What matters is the ratio: of the calls a second of one pace to those without checkpoints, in the same round.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import anyio

from harvester.harvest.assignment import Assignment
from harvester.harvest.pace import Pace
from harvester.harvest.run import harvest
from harvester.landing import steps
from harvester.landing.steps import Step
from harvester.report.summary import Report
from harvester.sandbox.world import World
from tests.flows import TODAY, assign

PACES: Final = {
    "off": Pace(every_s=None, every_bytes=None),
    "30 s or 32 MiB (default)": Pace(every_s=30.0, every_bytes=32 * 2**20),
    "1 MiB": Pace(every_s=None, every_bytes=2**20),
    "256 KiB": Pace(every_s=None, every_bytes=2**18),
    "64 KiB": Pace(every_s=None, every_bytes=2**16),
}
DAYS: Final = 30


@contextmanager
def served(world: World) -> Iterator[str]:
    """The base URL of a sandbox in a process of its own."""
    command = [
        sys.executable, "-m", "harvester", "sandbox", "--port", "0", "--accounts", str(world.accounts),
        "--calls-per-day", str(world.calls_per_day), "--today", str(world.today),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().removeprefix("Serving ").strip()
        finally:
            process.terminate()


def measure(assignment: Assignment) -> tuple[float, int]:
    """Calls a second of one harvest, and how many checkpoints it made."""
    made = 0

    def passed(step: Step) -> None:
        nonlocal made
        made += step is Step.CHECKPOINT_COMMITTED

    steps.passed = passed
    began = time.perf_counter()
    report: Report = anyio.run(harvest, assignment)
    took_s = time.perf_counter() - began
    assert report.complete, report.troubles
    return report.calls / took_s, made


def main(rounds: int = 5, accounts: int = 24, calls_per_day: int = 100) -> None:
    """Measures every pace in every round."""
    world = World(today=TODAY, accounts=accounts, calls_per_day=calls_per_day)
    speeds: dict[str, list[float]] = {name: [] for name in PACES}
    made = dict.fromkeys(PACES, 0)
    with served(world) as base_url, tempfile.TemporaryDirectory() as folder:
        server: Any = SimpleNamespace(base_url=base_url, world=world)
        usual = replace(assign(server, Path(folder) / "warm", days=DAYS, page_size=200), in_flight=32)
        measure(usual)  # the sandbox's first answers cost it more than the later ones
        for number in range(rounds):
            names = list(PACES)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                zone = Path(folder) / f"{number} {name}".replace("/", " ")
                speed, made[name] = measure(
                    replace(usual, output_dir=zone, state_dir=zone / ".harvester", pace=PACES[name])
                )
                speeds[name].append(speed)
    print("\n".join(table(speeds, made)))


def table(speeds: dict[str, list[float]], made: dict[str, int]) -> list[str]:
    """A line a pace."""
    lines = ["| a checkpoint every | made | calls/s, median | against off, median of the rounds | worst, best |"]
    lines.append("|---|---|---|---|---|")
    for name, some in speeds.items():
        ratios = [speed / off for speed, off in zip(some, speeds["off"], strict=True)]
        worst_best = f"{min(ratios):.3f}, {max(ratios):.3f}"
        lines.append(
            f"| {name} | {made[name]:,} | {statistics.median(some):,.0f} | {statistics.median(ratios):.3f} "
            f"| {worst_best} |"
        )
    return lines


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

"""A large harvest in each nasty mode, every file compared with what the sandbox holds; prints a Markdown table.

Run by hand: `python -m tests.benchmarks.modes [ACCOUNTS [DAYS [CALLS_PER_DAY]]]`. The sandbox shares the process and
its one core with the client, so that seconds say little but against each other.
"""

import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import anyio
import orjson

from harvester.harvest.run import harvest
from harvester.model import LARGEST, PageSize
from harvester.report.summary import Report
from harvester.sandbox.server import serve
from harvester.sandbox.switches import CursorRule, Empty, EndDate, Numbers, Order, Oversize, Switches, Ties, Total
from harvester.sandbox.world import World
from tests.flows import TODAY, assign, landed

PAGE_SIZE = 100
SEARCHED = {
    "pages over 1,000 clamped without a word": Switches(max_page_size=1000, oversize=Oversize.CLAMP_SILENTLY),
    "pages over 1,000 refused": Switches(max_page_size=1000),
    "pages over 800 refused": Switches(max_page_size=800),
    "pages over 137 clamped": Switches(max_page_size=137, oversize=Oversize.CLAMP),
}
"""By `page_size = "largest"`, for two nights."""
MODES = {
    "descending, exclusive": (0, Switches()),
    "ascending, inclusive, total of the rest": (
        0,
        Switches(order=Order.ASC, cursor=CursorRule.INCLUSIVE, total=Total.REST),
    ),
    "descending, exclusive, seconds of 350 calls in any order": (350, Switches(ties=Ties.UNSTABLE)),
    "ascending, inclusive, seconds of 350 calls": (350, Switches(order=Order.ASC, cursor=CursorRule.INCLUSIVE)),
    "pages clamped to 50 without a word": (0, Switches(max_page_size=50, oversize=Oversize.CLAMP_SILENTLY)),
    "pages over 60 refused": (0, Switches(max_page_size=60)),
    "exclusive end date, digit strings, no entities, indented": (
        0,
        Switches(end_date=EndDate.EXCLUSIVE, numbers=Numbers.STRING, empty=Empty.ABSENT, pretty=True),
    ),
}


@dataclass(frozen=True)
class Measured:
    """What one mode took."""

    report: Report
    calls: int
    wrong_accounts: int
    least: int
    seconds: float

    def line(self, mode: str) -> str:
        """A line of the table."""
        requests = sum(self.report.requests.values())
        verdict = "complete" if self.report.complete else "NOT COMPLETE"
        return (
            f"| {mode} | {self.calls:,} | {self.wrong_accounts} | {verdict} | {requests:,} | {self.least:,} "
            f"| {requests / self.least:.3f} | {self.seconds:.0f} s |"
        )


def same(here: Iterable[bytes], true: Iterable[bytes], *, indented: bool) -> bool:
    """Whether the same calls are there in the same order: byte for byte, or value for value of indented answers."""
    if indented:
        return [orjson.loads(line) for line in here] == [orjson.loads(line) for line in true]
    return list(here) == list(true)


async def measure(world: World, switches: Switches, days: int, page_size: PageSize = PAGE_SIZE) -> list[Measured]:
    """Harvests a world into a folder that is thrown away, and compares; where the page size is searched for, twice."""
    nights = []
    with tempfile.TemporaryDirectory() as folder:
        async with serve(world, switches) as served:
            assignment = assign(served, Path(folder), days=days, page_size=page_size)
            assignment = replace(assignment, scope=replace(assignment.scope, again=True))
            for _ in range(2 if page_size == LARGEST else 1):
                started = time.perf_counter()
                report = await harvest(assignment)
                nights.append((report, time.perf_counter() - started))
        window, wrong, calls, least = assignment.scope.window, 0, 0, 0
        for account in world.account_ids:
            true = list(world.calls(account, window))
            calls += len(true)
            least += max(1, ceil(len(true) / min(_most(page_size), switches.max_page_size)))
            wrong += not same(landed(assignment, account), true, indented=switches.pretty)
    return [Measured(report, calls, wrong, least, seconds) for report, seconds in nights]


def _most(page_size: PageSize) -> int:
    return sys.maxsize if page_size == LARGEST else page_size


def main(accounts: int = 300, days: int = 30, calls_per_day: float = 40.0) -> None:
    """Measures every mode."""
    print("| mode | calls | accounts that differ | verdict | requests | least | ratio | took |")
    print("|---|---|---|---|---|---|---|---|")
    for mode, (tie_size, switches) in MODES.items():
        world = World(today=TODAY, accounts=accounts, calls_per_day=calls_per_day, tie_size=tie_size)
        print(anyio.run(measure, world, switches, days)[0].line(mode), flush=True)
    world = World(today=TODAY, accounts=accounts, calls_per_day=calls_per_day)
    for mode, switches in SEARCHED.items():
        nights = anyio.run(measure, world, switches, days, LARGEST)
        for night, measured in zip(("first", "second"), nights, strict=True):
            print(measured.line(f'`"largest"`, {mode}: {night} night'), flush=True)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

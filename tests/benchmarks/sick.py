"""Many nights with accounts that are sick in six ways: what they cost, as the sandbox counts it, and what is said.

Run by hand: `python -m tests.benchmarks.sick [ACCOUNTS [SICK [FOLDER]]]`. All is real but sockets and time: a landing
zone on disk, the ledger, the sandbox's answers.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from harvester.api.effort import Surroundings
from harvester.harvest.assignment import Assignment
from harvester.harvest.run import harvest
from harvester.model import ONE_DAY, AccountId, Window
from harvester.report.summary import Report, in_words
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.flows import TODAY, assign, clock, differences
from tests.offline import OfflineTransport
from tests.virtual_time import VirtualTimeLoop

WAYS: Final = (
    "denied 12201",
    "inactive 32211",
    "unknown 60002",
    "failing 999999",
    "day refused 60009",
    "day busy 51001",
)
NIGHTS: Final = ("fell ill", "second", "third", "half cured", "all cured", "after")


@dataclass(frozen=True, slots=True)
class Night:
    """One night.

    Attributes:
        report: Of its run.
        asked: Requests by account, as the sandbox counted them.
        refused: Requests that brought no page, as the run counted them.
        wrong: Accounts whose files are not what the sandbox holds.
    """

    report: Report
    asked: Counter[AccountId]
    refused: int
    wrong: int


class Hospital:
    """A fleet of which some accounts are sick, each in one of six ways.

    Args:
        accounts: How many.
        sick: How many of them.
        folder: Of the landing zone.
    """

    def __init__(self, accounts: int, sick: int, folder: Path) -> None:
        self.world = World(accounts=accounts, calls_per_day=3, today=TODAY + ONE_DAY * len(NIGHTS))
        step = accounts // sick
        ids = self.world.account_ids[::step][:sick]
        self.patients = {way: ids[number :: len(WAYS)] for number, way in enumerate(WAYS)}
        self.bad_day = TODAY - ONE_DAY * 2
        codes = {one: _code(way) for way in WAYS[:4] for one in self.patients[way]}
        poison = tuple((one, self.bad_day, _code(way)) for way in WAYS[4:] for one in self.patients[way])
        switches = Switches(account_codes=codes, poison=poison, latency_s=0.2)
        wall = clock()
        self._days = 0
        self._wall = lambda: wall() + self._days * 86_400.0
        self.transport = OfflineTransport(self.world, switches, self._wall)
        self._assignment = replace(assign(self.transport.sandbox, folder, page_size=100), in_flight=32)

    def cure(self, *ways: str) -> None:
        """From now on these are well."""
        for way in ways:
            for one in self.patients[way]:
                self.transport.sandbox.cure(one)

    def on(self, number: int) -> Assignment:
        """The assignment of a night: the week before it."""
        today = TODAY + ONE_DAY * number
        scope = replace(self._assignment.scope, today=today, window=Window(_before(today, 7), _before(today, 1)))
        return replace(self._assignment, scope=scope)

    async def night(self, number: int) -> Night:
        """A run, on the Beijing day that is so many days later."""
        stats, assignment = self.transport.sandbox.stats, self.on(number)
        before = stats.by_account.copy()
        self._days = number
        around = Surroundings(wall=self._wall, chance=lambda: 0.5)
        report = await harvest(assignment, around=around, transport=self.transport)
        asked = stats.by_account - before
        return Night(report, asked, report.failed_attempts, len(differences(assignment, self.world)))

    async def nights(self) -> list[Night]:
        """All of them: sick for three nights, then half of the ways are cured, then the others."""
        found = [await self.night(number) for number in range(3)]
        self.cure(*WAYS[::2])
        found.append(await self.night(3))
        self.cure(*WAYS[1::2])
        return [*found, await self.night(4), await self.night(5)]


def _code(way: str) -> int:
    return int(way.rsplit(maxsplit=1)[-1])


def _before(today: date, days: int) -> date:
    return today - timedelta(days=days)


async def measured(accounts: int, sick: int, folder: Path) -> tuple[Hospital, list[Night]]:
    """The nights of a hospital."""
    hospital = Hospital(accounts, sick, folder)
    return hospital, await hospital.nights()


def main() -> None:
    """Prints the table and what the second night says."""
    given = [int(one) for one in sys.argv[1:3]]
    accounts, sick = [*given, *(500, 60)[len(given) :]]
    began = time.perf_counter()
    where = sys.argv[3] if len(sys.argv) > 3 else None
    with (
        tempfile.TemporaryDirectory(dir=where) as folder,
        asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ):
        hospital, nights = runner.run(measured(accounts, sick, Path(folder)))
    print(f"{accounts:,} accounts, {sick:,} of them sick; requests for each sick account, on average (most)")
    print(f"| night | requests | of no use | {' | '.join(WAYS)} | differ | exit |")
    print(f"|---|---|---|{'---|' * len(WAYS)}---|---|")
    for name, night in zip(NIGHTS, nights, strict=True):
        cells = []
        for way in WAYS:
            asked = [night.asked[one] for one in hospital.patients[way]]
            cells.append(f"{sum(asked) / len(asked):.1f} ({max(asked)})")
        whole = f"{name} | {night.asked.total():,} | {night.refused}"
        print(f"| {whole} | {' | '.join(cells)} | {night.wrong} | {night.report.exit_code:d} |")
    for number in (1, 3):
        print(f"\nWhat the run of the night '{NIGHTS[number]}' says:\n{in_words(nights[number].report)}")
    print(f"(simulated in {time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main()

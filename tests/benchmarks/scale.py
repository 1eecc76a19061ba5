"""A simulated backfill of fleets that grow, on the virtual clock: how long it takes, and what it takes of this machine.

Run by hand: `python -m tests.benchmarks.scale [--accounts 10 100 1000 10000 100000] [--apps 50] [--days 365]`. Plan,
schedule, ward, walks, client, quotas, tokens and the fold into a report are the real ones; behind the transport is an
API that holds no call. There is no landing zone and no ledger, and time passes only where something waits. Each fleet
has a process of its own.

So that the largest fleet takes minutes, calls are few: the mean of an account's day is 0.3, by Zipf's law from 0.03 to
300, so that 99 of 100 slices are a page and some are ninety.
"""

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import anyio
import orjson

from harvester.api.client import Client
from harvester.api.effort import Retry, Surroundings
from harvester.api.quota import Limits, Quota
from harvester.api.traffic import Traffic
from harvester.foresight import Expected
from harvester.harvest.assignment import Assignment
from harvester.harvest.planning import Planning
from harvester.harvest.queue import Queue
from harvester.harvest.schedule import Schedule
from harvester.harvest.terms import Terms
from harvester.model import BEIJING, Account, AccountId, AppName, End, Outcome, Slice, Status, TokenName
from harvester.plan import Scope
from harvester.report.summary import Report, fold
from harvester.tuning import tune
from tests.benchmarks.scarce import LATENCY_S, ScarceApi
from tests.credentials import credentials, fleet
from tests.flows import NOW_S, TODAY, last_days
from tests.virtual_time import PureVirtualTimeLoop

PER_MINUTE: Final = 1_000
IN_FLIGHT: Final = 256
PAGE_SIZE: Final = 100
_MIB: Final = 2**20 if sys.platform == "darwin" else 2**10
"""Of `ru_maxrss`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one fleet took.

    Attributes:
        accounts: How many.
        slices: That ended, all of them complete.
        calls: That were handed to the landing.
        requests: That were sent.
        least: That a clairvoyant would have sent.
        took_s: Until the last slice ended, simulated.
        bound_s: The most of: an app's requests ÷ its quota; the longest chain of pages, one after the other.
        worst_minute: Requests of an app in a minute of the clock.
        cpu_s: Of this machine, from the first request to the last.
        peak_mib: Of memory.
        beyond_mib: Of that, what came after the list of accounts was made.
    """

    accounts: int
    slices: int
    calls: int
    requests: int
    least: int
    took_s: float
    bound_s: float
    worst_minute: int
    cpu_s: float
    peak_mib: float
    beyond_mib: float


class Backfill:
    """One backfill: what `run.py` puts together, but for what lands and what is remembered.

    Args:
        accounts: Whose.
        apps: That share them.
        days: Up to yesterday.
        workers: Slices that an app has open at a time.
    """

    def __init__(self, accounts: list[Account], apps: list[AppName], days: int, workers: int) -> None:
        window = last_days(days)
        self.api = ScarceApi()
        limits = {app: Limits(per_minute=PER_MINUTE) for app in apps}
        assignment = Assignment(
            base_url="", timeout_s=30, page_size=PAGE_SIZE, accounts=accounts, in_flight=IN_FLIGHT, limits=limits,
            scope=Scope(window=window, today=TODAY), tokens={TokenName(app): credentials(app, app) for app in apps},
            retry=Retry(), output_dir=Path(), state_dir=Path(), compression="none", fleet=(),
        )  # fmt: skip
        self._planning = Planning(assignment, None)
        traffic = Traffic(IN_FLIGHT, self._wall, accounts=len(accounts))
        self.quotas = {app: Quota(app, one, traffic) for app, one in limits.items()}
        tokens = fleet({TokenName(app): app for app in apps}, self.api, self._wall)
        around = Surroundings(wall=self._wall, chance=lambda: 0.5)
        client = Client(self.api, self.quotas, tokens, Retry(), around)
        self._queue = Queue()
        self._open: dict[Slice, Expected] = {}
        terms = Terms(
            page_size=PAGE_SIZE,
            workers=workers,
            within=window,
            narrowed=self._narrowed,
            has_spare=client.has_spare,
            when_idle=client.when_idle,
            foreseen=lambda one: int(self._open[one].requests),
        )
        self._schedule = Schedule(client, self._queue, self._opened, terms)
        started = datetime.fromtimestamp(NOW_S, BEIJING)
        self.report = Report(run_id="scale", window=window, accounts=len(accounts), started=started)
        self.least = 0
        self.longest = 0
        self.ended_at = 0.0

    @staticmethod
    def _wall() -> float:
        return NOW_S + anyio.current_time()

    async def run(self) -> None:
        """Walks everything."""
        await self._schedule.run(self._planning.plans, self._drain)

    def _opened(self, one: Slice) -> None:
        self._open[one] = self._planning.expected(one)

    def _narrowed(self, before: Slice, after: Slice) -> None:
        self._open.pop(before, None)
        self._opened(after)

    async def _drain(self) -> None:
        while (message := await self._queue.get()) is not None:
            if isinstance(message, End):
                self._ended(message)

    def _ended(self, end: End) -> None:
        receipt = end.receipt
        assert end.status is Status.COMPLETE, end
        assert receipt is not None, end
        self.least += max(1, -(-receipt.distinct // PAGE_SIZE))
        self.longest = max(self.longest, receipt.requests)
        self.ended_at = anyio.current_time()
        outcome = Outcome(slice=end.slice, status=end.status, receipt=receipt, landed=receipt.distinct)
        self.report = fold(self.report, outcome, self._open.pop(end.slice, None))


def simulate(number: int, apps: int, days: int, workers: int) -> Figures:
    """One fleet; to be asked for once in a process, since a process's peak of memory does not fall again."""
    names = [AppName(f"app{one}") for one in range(apps)]
    accounts = [
        Account(id=AccountId(20_000_000 + 7 * one), token=TokenName(names[one % apps]), app=names[one % apps])
        for one in range(number)
    ]
    tune()
    before_mib = _peak_mib()
    began = time.process_time()

    async def backfill() -> Backfill:
        one = Backfill(accounts, names[:number], days, workers)
        await one.run()
        return one

    with asyncio.Runner(loop_factory=PureVirtualTimeLoop) as runner:
        done = runner.run(backfill())
    requests = max(quota.sent for quota in done.quotas.values())
    return Figures(
        accounts=number,
        slices=done.report.slices[Status.COMPLETE],
        calls=done.report.calls,
        requests=sum(quota.sent for quota in done.quotas.values()),
        least=done.least,
        took_s=done.ended_at,
        bound_s=max(requests / PER_MINUTE * 60, done.longest * LATENCY_S),
        worst_minute=done.api.worst_minute,
        cpu_s=time.process_time() - began,
        peak_mib=_peak_mib(),
        beyond_mib=_peak_mib() - before_mib,
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[10, 100, 1_000, 10_000, 100_000])
    parser.add_argument("--apps", type=int, default=50)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--workers", type=int, default=IN_FLIGHT, help="open slices of an app; by default as in a run")
    parser.add_argument("--here", action="store_true", help="one fleet, in this process, as JSON")
    given = parser.parse_args()
    if given.here:
        figures = simulate(given.accounts[0], given.apps, given.days, given.workers)
        sys.stdout.buffer.write(orjson.dumps(asdict(figures)))
        return
    print(f"{given.apps} apps of {PER_MINUTE:,} a minute, {LATENCY_S} s an answer, {given.days} days")
    print("| accounts | slices | calls | requests | of the least | took | of the bound | worst minute", end=" ")
    print("| CPU a slice | a request | memory | beyond the accounts |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for accounts in given.accounts:
        options = [f"--accounts={accounts}", f"--apps={given.apps}", f"--days={given.days}"]
        command = [sys.executable, "-m", "tests.benchmarks.scale", "--here", *options, f"--workers={given.workers}"]
        show(Figures(**orjson.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)))


def show(one: Figures) -> None:
    """A line of the table."""
    cells = [
        f"{one.accounts:,}",
        f"{one.slices:,}",
        f"{one.calls:,}",
        f"{one.requests:,}",
        f"{one.requests / one.least:.3f}",
        f"{one.took_s:,.0f} s",
        f"{one.took_s / one.bound_s:.3f}",
        f"{one.worst_minute:,}",
        f"{1e6 * one.cpu_s / one.slices:.0f} µs",
        f"{1e6 * one.cpu_s / one.requests:.0f} µs",
        f"{one.peak_mib:.0f} MiB",
        f"{one.beyond_mib:.0f} MiB",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

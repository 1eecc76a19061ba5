"""A simulated night: many accounts over several apps, on the virtual clock, against requests ÷ quota.

Run by hand: `python -m tests.benchmarks.night [ACCOUNTS [APPS [CALLS_PER_DAY]]]`. Schedule, client and quotas are the
real ones, as are the sandbox's answers; there are no sockets and no disk, and time passes only where something waits.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator

import anyio

from harvester.api.client import Client
from harvester.api.effort import Retry, Surroundings
from harvester.api.quota import Limits, Quota
from harvester.api.traffic import Traffic
from harvester.harvest.queue import Queue
from harvester.harvest.schedule import Schedule, Terms
from harvester.model import Account, AppName, End, Slice, Status, TokenName
from harvester.plan import Scope, plan
from harvester.sandbox.stats import busiest
from harvester.sandbox.switches import Grant, Switches
from harvester.sandbox.world import World
from tests.credentials import fleet
from tests.flows import NOW_S, TODAY, last_days
from tests.offline import OfflineTransport
from tests.virtual_time import PureVirtualTimeLoop

PER_MINUTE = 1_000
LATENCY_S = 0.3
IN_FLIGHT = 64
DAYS = 7
PAGE_SIZE = 100


class Night:
    """One night.

    Args:
        accounts: How many.
        apps: Over how many apps they are spread.
        calls_per_day: Of an account, on average; sizes follow Zipf's law.
    """

    def __init__(self, accounts: int, apps: int, calls_per_day: float) -> None:
        names = [f"app{number}" for number in range(apps)]
        self.world = World(accounts=accounts, calls_per_day=calls_per_day, today=TODAY)
        grants = tuple(Grant(access=name, client_id=name) for name in names)
        switches = Switches(requests_per_minute=PER_MINUTE, latency_s=LATENCY_S, grants=grants)
        self.transport = OfflineTransport(self.world, switches, self._wall)
        traffic = Traffic(IN_FLIGHT, self._wall)
        self.quotas = {AppName(name): Quota(AppName(name), Limits(per_minute=PER_MINUTE), traffic) for name in names}
        tokens = fleet({TokenName(name): name for name in names}, self.transport, self._wall)
        around = Surroundings(wall=self._wall, chance=lambda: 0.5)
        client = Client(self.transport, self.quotas, tokens, Retry(), around)
        self._queue = Queue()
        terms = Terms(page_size=PAGE_SIZE, workers=IN_FLIGHT)
        self._schedule = Schedule(client, self._queue, lambda _: None, terms)
        self.ends: Counter[Status] = Counter()
        self.last_at: dict[AppName, float] = {}
        self.longest: Counter[AppName] = Counter()
        """Pages of the longest walk: they come one after the other."""

    @staticmethod
    def _wall() -> float:
        return NOW_S + anyio.current_time()

    def plans(self) -> dict[AppName, Iterator[Slice]]:
        """The slices of each app: every account belongs to one."""
        scope = Scope(window=last_days(DAYS), today=TODAY)
        apps = list(self.quotas)
        accounts: dict[AppName, list[Account]] = {app: [] for app in apps}
        for number, account_id in enumerate(self.world.account_ids):
            app = apps[number % len(apps)]
            accounts[app].append(Account(id=account_id, token=TokenName(app), app=app))
        return {app: plan(some, scope, lambda _: {}) for app, some in accounts.items()}

    async def run(self) -> None:
        """Walks everything."""
        await self._schedule.run(self.plans(), self._drain)

    async def _drain(self) -> None:
        while (message := await self._queue.get()) is not None:
            if isinstance(message, End):
                self.ends[message.status] += 1
                app = message.slice.account.app
                self.last_at[app] = anyio.current_time()
                requests = message.receipt.requests if message.receipt else 0
                self.longest[app] = max(self.longest[app], requests)


def main() -> None:
    """Prints the table."""
    given = [int(one) for one in sys.argv[1:]]
    accounts, apps, calls = [*given, *(10_000, 5, 5)[len(given) :]]
    began = time.perf_counter()

    async def simulate() -> Night:
        night = Night(accounts, apps, calls)
        await night.run()
        return night

    with asyncio.Runner(loop_factory=PureVirtualTimeLoop) as runner:
        night = runner.run(simulate())
    stats = night.transport.sandbox.stats
    print(f"{accounts:,} accounts over {apps} apps, {stats.calls:,} calls, {stats.requests:,} requests")
    print(f"ends: {dict(night.ends)}; codes: {dict(stats.codes)}; most in flight {stats.most_in_flight}")
    print("| app | requests | worst 60 s | requests / quota | longest walk | took | ratio |")
    print("|---|---|---|---|---|---|---|")
    for app, quota in night.quotas.items():
        bound_s, took_s = quota.sent / PER_MINUTE * 60, night.last_at[app]
        walk_s = night.longest[app] * LATENCY_S
        worst = busiest(sorted(stats.arrivals[app]), 60.0)
        ratio = took_s / max(bound_s, walk_s)
        print(f"| {app} | {quota.sent:,} | {worst} | {bound_s:.0f} s | {walk_s:.0f} s | {took_s:.0f} s | {ratio:.3f} |")
    print(f"(simulated in {time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main()

"""Simulated nights on the virtual clock, against the shortest time and the fewest requests there can be.

Run by hand: `python -m tests.benchmarks.night [ACCOUNTS APPS CALLS_PER_DAY [SKEW]]`; without any, those of
the README. Schedule, client and quotas are the real ones, as are the sandbox's answers; there are no sockets and no
disk, and time passes only where something waits.

A night cannot be shorter than its requests ÷ the quota, nor than the pages of the largest day, one answer after the
other: days are not divided. *Least* is what a client needs that knows everything beforehand: an account's calls in the
window ÷ the page size, rounded up, at least one.
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
from harvester.foresight import Foresight
from harvester.harvest.queue import Queue
from harvester.harvest.schedule import Schedule
from harvester.harvest.terms import Terms
from harvester.model import Account, AppName, End, Slice, Status, TokenName, Window
from harvester.plan import Scope, plan
from harvester.sandbox.stats import busiest
from harvester.sandbox.switches import Grant, Switches
from harvester.sandbox.world import World
from harvester.usage import Experience
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
        world: All accounts.
        apps: Over how many apps they are spread.
        known: Whether a ledger knows how busy each account is; in a first night none does.
    """

    def __init__(self, world: World, apps: int, *, known: bool) -> None:
        names = [f"app{number}" for number in range(apps)]
        self.world = world
        self._known = known
        self._foresight = Foresight({}, PAGE_SIZE)
        grants = tuple(Grant(access=name, client_id=name) for name in names)
        switches = Switches(requests_per_minute=PER_MINUTE, latency_s=LATENCY_S, grants=grants)
        self.transport = OfflineTransport(self.world, switches, self._wall)
        traffic = Traffic(IN_FLIGHT, self._wall)
        self.quotas = {AppName(name): Quota(AppName(name), Limits(per_minute=PER_MINUTE), traffic) for name in names}
        tokens = fleet({TokenName(name): name for name in names}, self.transport, self._wall)
        around = Surroundings(wall=self._wall, chance=lambda: 0.5)
        client = Client(self.transport, self.quotas, tokens, Retry(), around)
        self._queue = Queue()
        terms = Terms(
            page_size=PAGE_SIZE,
            workers=IN_FLIGHT,
            when_idle=client.when_idle,
            has_spare=client.has_spare,
            foreseen=self._foreseen,
        )
        self._schedule = Schedule(client, self._queue, lambda _: None, terms)
        self.ends: Counter[Status] = Counter()
        self.last_at: dict[AppName, float] = {}
        self.chain: Counter[AppName] = Counter()
        """Pages of an account's largest day: they can only come one after the other."""
        self.least: Counter[AppName] = Counter()
        self.slices: Counter[AppName] = Counter()

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
            days = [self.world.count(account_id, Window(day, day)) for day in last_days(DAYS)]
            self.chain[app] = max(self.chain[app], _pages(max(days)))
            self.least[app] += max(1, _pages(sum(days)))
        return {app: self._plan(some, scope) for app, some in accounts.items()}

    def _foreseen(self, one: Slice) -> int:
        return self._foresight.pages_of(one.account.id, len(one.window))

    def _plan(self, accounts: list[Account], scope: Scope) -> Iterator[Slice]:
        """As `Planning` makes it, which stands on a ledger."""
        ids = [account.id for account in accounts] if self._known else []
        means = {one: Experience(calls_a_day=self.world.count(one, scope.window) / DAYS) for one in ids}
        self._foresight = known = Foresight(means, PAGE_SIZE)
        accounts.sort(key=lambda account: -known.pages_of(account.id, DAYS))
        for one in plan(accounts, scope, lambda _: {}):
            for part in known.parts_of(one.account.id, one.window):
                yield Slice(one.account, part)

    async def run(self) -> None:
        """Walks everything."""
        await self._schedule.run(self.plans(), self._drain)

    async def _drain(self) -> None:
        while (message := await self._queue.get()) is not None:
            if isinstance(message, End):
                self.ends[message.status] += 1
                app = message.slice.account.app
                self.last_at[app] = anyio.current_time()
                self.slices[app] += 1


def _pages(calls: int) -> int:
    return -(-calls // PAGE_SIZE)


def simulate(world: World, apps: int, *, known: bool) -> Night:
    """One night, in virtual time."""

    async def run() -> Night:
        night = Night(world, apps, known=known)
        await night.run()
        return night

    with asyncio.Runner(loop_factory=PureVirtualTimeLoop) as runner:
        return runner.run(run())


def show(world: World, apps: int) -> None:
    """Prints a first night and one after it."""
    sizes = sorted((world.count(one, last_days(DAYS)) for one in world.account_ids), reverse=True)
    largest = f"the largest account has {sizes[0] / max(1, sum(sizes)):.0%} of the calls"
    print(f"\n{world.accounts:,} accounts over {apps} apps, {sum(sizes):,} calls; {largest}\n")
    print(
        "| night | app | slices | requests | ÷ least | requests ÷ quota | longest day | took | ÷ bound | worst 60 s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for known in (False, True):
        began = time.perf_counter()
        night = simulate(world, apps, known=known)
        stats = night.transport.sandbox.stats
        for app, quota in night.quotas.items():
            quota_s, chain_s = quota.sent / PER_MINUTE * 60, night.chain[app] * LATENCY_S
            took_s, worst = night.last_at[app], busiest(sorted(stats.arrivals[app]), 60.0)
            print(
                f"| {'later' if known else 'first'} | {app} | {night.slices[app]:,} | {quota.sent:,} "
                f"| {quota.sent / night.least[app]:.3f} | {quota_s:.0f} s | {chain_s:.0f} s | {took_s:.0f} s "
                f"| {took_s / max(quota_s, chain_s):.3f} | {worst} |"
            )
        print(f"  {dict(night.ends)} {dict(stats.codes)} (simulated in {time.perf_counter() - began:.0f} s)")


def main() -> None:
    """Prints the tables."""
    given = [float(one) for one in sys.argv[1:]]
    nights = [given] if given else [(500, 1, 100, 1), (500, 1, 100, 2), (10_000, 5, 5, 1)]
    for accounts, apps, calls, *skew in nights:
        world = World(accounts=int(accounts), calls_per_day=calls, skew=skew[0] if skew else 1.0, today=TODAY)
        show(world, int(apps))


if __name__ == "__main__":
    main()

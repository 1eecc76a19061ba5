"""The quota as the *server* counts it: the worst sliding windows, and how much of the quota is used.

Run by hand: `python -m tests.benchmarks.quota` asks a sandbox in a process of its own over real sockets, in real time
(twelve minutes); `--simulated` asks a simulated API on the virtual clock for an hour each, the network's jitter
included; `--timeline` shows a run through an 11017, second by second.
"""

import argparse
import datetime as dt
import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from urllib.request import urlopen

import anyio
import orjson

from harvester.api.client import Client
from harvester.api.effort import Retry, Surroundings
from harvester.api.quota import Limits, Quota
from harvester.api.traffic import Traffic
from harvester.api.transport import AiohttpTransport
from harvester.harvest.outside import surroundings
from harvester.model import Account, AppName, Query, TokenName, Window
from harvester.sandbox.server import serve
from harvester.sandbox.switches import Alignment, Grant, Switches
from harvester.sandbox.world import World
from tests.api.sim import Crew, SimulatedApi, simulate
from tests.credentials import fleet
from tests.flows import TODAY

WORLD = World(accounts=30, calls_per_day=20, today=TODAY)
DAY = TODAY - dt.timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One line of the table.

    Attributes:
        name: What is special.
        switches: The API's.
        limits: What the client is told.
        apps: At once.
        seconds: How long it is asked, in real time.
    """

    name: str
    switches: Switches
    limits: Limits
    apps: int = 1
    seconds: float = 150.0

    @property
    def allowed(self) -> float:
        """Requests a second that the neighbour leaves to each app."""
        of_second, of_minute = self.switches.requests_per_second, self.switches.requests_per_minute
        quota = of_second or (of_minute or 0) / 60
        return quota - self.switches.neighbour_per_minute / 60


def cells() -> Iterator[Cell]:
    """What is measured."""
    minute = Switches(requests_per_minute=1_000, latency_s=0.2)
    second = Switches(requests_per_second=20, latency_s=0.2)
    with_neighbour = replace(minute, neighbour_per_minute=400, neighbour_from_s=-60.0)
    yield Cell(name="20 a second", switches=second, limits=Limits(per_second=20), seconds=60)
    yield Cell(name="1,000 a minute", switches=minute, limits=Limits(per_minute=1_000))
    fixed = replace(minute, alignment=Alignment.FIXED)
    yield Cell(name="1,000 a minute of the clock", switches=fixed, limits=Limits(per_minute=1_000))
    yield Cell(name="1,000 a minute, 3 apps at once", switches=minute, limits=Limits(per_minute=1_000), apps=3)
    yield Cell(name="1,000 a minute, a neighbour uses 400", switches=with_neighbour, limits=Limits(per_minute=1_000))
    yield Cell(name="the same, 3 apps at once", switches=with_neighbour, limits=Limits(per_minute=1_000), apps=3)
    yield Cell(name="1,000 a minute, none configured", switches=minute, limits=Limits())


def _serve(pipe: Connection, switches: Switches) -> None:
    async def run() -> None:
        async with serve(WORLD, switches) as served:
            pipe.send(served.base_url)
            await anyio.to_thread.run_sync(pipe.recv)

    anyio.run(run)


@contextmanager
def another_process(switches: Switches) -> Iterator[str]:
    """A sandbox; gives its base URL."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, switches))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


async def ask(base_url: str, cell: Cell, apps: Sequence[AppName]) -> None:
    """Sixteen workers of each app ask for as long as the cell says."""
    around: Surroundings = surroundings()
    traffic = Traffic(64, around.wall, patience_s=None)
    quotas = {app: Quota(app, cell.limits, traffic) for app in apps}
    async with AiohttpTransport(base_url, timeout_s=30) as transport:
        tokens = fleet({TokenName(app): app for app in apps}, transport, around.wall)
        client = Client(transport, quotas, tokens, Retry(), around)

        async def work(app: AppName, number: int) -> None:
            account = Account(id=WORLD.account_ids[number], token=TokenName(app), app=app)
            query = Query(account_id=account.id, window=Window(DAY, DAY), page=1, page_size=100)
            while True:
                await client.fetch(account, query)

        with anyio.move_on_after(cell.seconds):
            async with anyio.create_task_group() as tasks:
                for app in apps:
                    for number in range(16):
                        tasks.start_soon(work, app, number)


def measure(cell: Cell) -> str:
    """One line of the table, over real sockets."""
    apps = [AppName(f"app{number}") for number in range(cell.apps)]
    switches = replace(cell.switches, grants=tuple(Grant(access=app, client_id=app) for app in apps))
    with another_process(switches) as base_url:
        anyio.run(ask, base_url, cell, apps)
        with urlopen(f"{base_url}/sandbox/stats") as answer:
            seen = orjson.loads(answer.read())
    worst = [max(one[length] for one in seen["busiest"].values()) for length in ("second", "minute")]
    refused = sum(count for code, count in seen["codes"].items() if code in {"11016", "11017"})
    used = (seen["requests"] - refused) / (cell.seconds * cell.allowed * cell.apps)
    return f"| {cell.name} | {worst[0]} | {worst[1]:,} | {used:.1%} | {refused} |"


def simulated(cell: Cell, seconds: float = 3_600.0) -> str:
    """The same on the virtual clock; the first minute, in which a window fills, is left out of what is used."""
    lines: list[str] = []

    async def run() -> None:
        api = SimulatedApi(cell.switches)
        await Crew(api, [cell.limits] * cell.apps, in_flight=64).work(seconds)
        used = api.answered_between(60, seconds) / ((seconds - 60) * cell.allowed * cell.apps)
        refused = api.count(11016) + api.count(11017)
        lines.append(f"| {cell.name} | {api.worst(1)} | {api.worst(60):,} | {used:.1%} | {refused} |")

    simulate(run)
    return lines[0]


def timeline() -> None:
    """A neighbour comes when the quota is used to the full; goes; what the run does meanwhile."""
    logging.basicConfig(format="        %(message)s", level=logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    switches = Switches(
        requests_per_minute=1_000, neighbour_per_minute=400, neighbour_from_s=120.0, neighbour_until_s=420.0
    )

    async def run() -> None:
        api = SimulatedApi(switches)
        crew = Crew(api, [Limits(per_minute=1_000)])

        async def tell() -> None:
            for second in range(0, 660, 30):
                await anyio.sleep_until(second + 30)
                sent = sum(second <= at < second + 30 for times in api.arrivals.values() for at in times)
                refused = sum(code == 11017 for at, code in api.codes if second <= at < second + 30)
                print(f"{second:4d}..{second + 30} s: {sent:4d} sent, {refused} refused")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell)
            await crew.work(660)

    simulate(run)


def main() -> None:
    """Prints what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--timeline", action="store_true")
    chosen = parser.parse_args()
    if chosen.timeline:
        timeline()
        return
    print("| quota | worst second | worst minute | used of what is free | refused |")
    print("|---|---|---|---|---|")
    for cell in cells():
        print(simulated(cell) if chosen.simulated else measure(cell), flush=True)


if __name__ == "__main__":
    main()

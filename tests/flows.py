"""A whole harvest against the sandbox, and the comparison with its truth."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import orjson

from harvester.api.effort import Retry, Surroundings
from harvester.api.quota import Limits
from harvester.harvest.assignment import Assignment
from harvester.harvest.run import harvest
from harvester.landing.ndjson import read_lines
from harvester.landing.partition import Zone
from harvester.model import BEIJING, ONE_DAY, Account, AccountId, AppName, PageSize, TokenName, Window
from harvester.plan import Scope
from harvester.report.summary import Report
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import ACCESS, Switches
from harvester.sandbox.world import World
from tests.credentials import credentials

TODAY = dt.date(2026, 3, 15)
NOW_S = dt.datetime(2026, 3, 15, 2, 0, tzinfo=BEIJING).timestamp()
APP, TOKEN = AppName("app"), TokenName("agency")


def clock() -> Callable[[], float]:
    """The wall clock of a test: 02:00 in Beijing when its loop starts, and on with the loop's time."""
    loop = asyncio.get_running_loop()
    return lambda: NOW_S + loop.time()


def surroundings() -> Surroundings:
    """A clock in step with the loop, and chance without chance."""
    return Surroundings(wall=clock(), chance=lambda: 0.5)


def last_days(days: int) -> Window:
    """The days before today."""
    return Window(TODAY - ONE_DAY * days, TODAY - ONE_DAY)


@asynccontextmanager
async def sandbox(world: World, switches: Switches | None = None) -> AsyncIterator[Sandbox]:
    """A sandbox whose clock is the test's."""
    async with serve(world, switches or Switches(), clock=clock()) as served:
        yield served


def assign(served: Sandbox, folder: Path, *, days: int = 7, page_size: PageSize = 50) -> Assignment:
    """A run over all accounts of a sandbox."""
    return Assignment(
        base_url=served.base_url,
        timeout_s=30,
        page_size=page_size,
        accounts=[Account(id=account, token=TOKEN, app=APP) for account in served.world.account_ids],
        scope=Scope(window=last_days(days), today=TODAY),
        in_flight=8,
        limits={APP: Limits()},
        tokens={TOKEN: credentials(ACCESS)},
        retry=Retry(),
        output_dir=folder,
        state_dir=folder / ".harvester",
        compression="zstd",
        fleet=served.world.account_ids,
    )


async def run(assignment: Assignment) -> Report:
    """Runs it with the test's time and chance."""
    return await harvest(assignment, around=surroundings())


def window_of(assignment: Assignment, days: int) -> Assignment:
    """The same assign over another number of days."""
    return replace(assignment, scope=replace(assignment.scope, window=last_days(days)))


def landed(assignment: Assignment, account: AccountId) -> list[bytes]:
    """All lines of an account's partitions, day by day."""
    zone = Zone(assignment.output_dir, assignment.compression)
    paths = [zone.partition(account, str(day)) for day in assignment.scope.window]
    return [line for path in paths if path.exists() for line in read_lines(path)]


def differences(assignment: Assignment, world: World) -> dict[AccountId, tuple[int, int]]:
    """Accounts whose files are not, byte by byte and in order, what the sandbox holds: (landed, true) numbers."""
    wrong = {}
    for account in assignment.accounts:
        here, true = landed(assignment, account.id), list(world.calls(account.id, assignment.scope.window))
        if here != true:
            wrong[account.id] = (len(here), len(true))
    return wrong


def ids(lines: list[bytes]) -> list[str]:
    """The `call_id` of each line."""
    return [orjson.loads(line)["call_id"] for line in lines]

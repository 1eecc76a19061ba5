"""A small world and a client for it."""

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from harvester.model import AccountId
from harvester.sandbox.server import Sandbox
from harvester.sandbox.world import World
from tests.sandbox.helpers import TODAY, Client, Clock


@pytest.fixture
def anyio_backend() -> str:
    """The one loop that aiohttp runs on."""
    return "asyncio"


@pytest.fixture
def world() -> World:
    """Five accounts, some hundred calls a week each, ties included."""
    return World(today=TODAY, accounts=5, calls_per_day=40.0, tie_share=0.2, tie_size=30, tie_day_share=0.3)


@pytest.fixture
def heaviest(world: World) -> AccountId:
    """The account with the most calls."""
    return max(world.sizes, key=lambda account_id: world.sizes[account_id])


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at `NOW_S`."""
    return Clock()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Sandbox], Client]]:
    """Clients whose connections end with the test."""
    async with aiohttp.ClientSession() as session:
        yield lambda sandbox: Client(session, sandbox)

"""The world outside of a run: time, chance, and what sends requests."""

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harvester.api.client import Surroundings
from harvester.api.transport import AiohttpTransport, Transport
from harvester.harvest.assignment import Assignment


def surroundings() -> Surroundings:
    """The real time and chance."""
    return Surroundings(wall=time.time, chance=random.random)


@asynccontextmanager
async def sender(assignment: Assignment, transport: Transport | None) -> AsyncIterator[Transport]:
    """What sends requests while it lasts: `transport` if there is one, else aiohttp."""
    if transport:
        yield transport
    else:
        async with AiohttpTransport(assignment.base_url, timeout_s=assignment.timeout_s) as real:
            yield real

"""The world outside of a run: time, chance, what sends requests, and the tokens that renewals bring from there."""

import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf

from harvester.api.effort import Surroundings
from harvester.api.tokens import Tokens
from harvester.api.tokens.apart import Apart
from harvester.api.tokens.store import TokenStore
from harvester.api.transport import AiohttpTransport, Transport
from harvester.harvest.assignment import Assignment

log = logging.getLogger(__name__)


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


def token_fleet(assignment: Assignment, transport: Transport, wall: Callable[[], float]) -> Tokens:
    """The tokens, as the config and the store have them; what others could read is made private.

    Raises:
        StorageError: The folder of tokens cannot be looked after.
    """
    folder = assignment.tokens_dir or assignment.state_dir / "tokens"
    store = TokenStore(folder)
    for path in store.check(assignment.tokens):
        log.warning("%s could be read by others than its owner, and holds tokens: made private", path)
    patience_s = inf if assignment.give_up_after_s is None else assignment.give_up_after_s
    real = isinstance(transport, AiohttpTransport)
    apart = Apart(base_url=assignment.base_url, timeout_s=assignment.timeout_s, folder=folder) if real else None
    return Tokens(assignment.tokens, transport, wall, store=store, patience_s=patience_s, apart=apart)

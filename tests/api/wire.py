"""Servers on loopback: the sandbox as these tests use it, and one that answers with raw bytes."""

import asyncio
import datetime as dt
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from harvester.api.protocol import Request, request_calls
from harvester.model import AccountId, Query
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Grant, Switches
from harvester.sandbox.world import World
from tests.api.helpers import NOW_S, QUERY, TOKEN

WORLD = World(today=dt.date(2026, 10, 31), accounts=3, calls_per_day=40.0)
_NO_LINGER = struct.pack("ii", 1, 0)


@asynccontextmanager
async def sandbox(**switches: object) -> AsyncIterator[Sandbox]:
    """The sandbox; the tests' secret token works, its clock stands still."""
    async with serve(WORLD, Switches(grants=(Grant(access=TOKEN),), **switches), clock=lambda: NOW_S) as served:  # type: ignore[arg-type]
        yield served


def query_for(account_id: AccountId) -> Query:
    """A page of some calls."""
    return Query(account_id=account_id, window=QUERY.window, page=1, page_size=20)


def secret_request(number: int = 0) -> Request:
    """A good request under the secret token, each number with a nonce of its own."""
    query = query_for(WORLD.account_ids[0])
    return request_calls(query, access_token=TOKEN, nonce=f"n{number}", timestamp=int(NOW_S))


@dataclass
class Peer:
    """One accepted connection of a raw server.

    Attributes:
        number: From 1, of the request on the whole server.
        on_connection: From 1, of the request on this connection.
        writer: Where the answer goes.
    """

    number: int
    on_connection: int
    writer: asyncio.StreamWriter

    async def write(self, content: bytes) -> None:
        """Sends raw bytes."""
        self.writer.write(content)
        await self.writer.drain()

    def reset(self) -> None:
        """Ends the connection with a reset."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.writer.transport.abort()


@dataclass
class RawServer:
    """What a raw server saw.

    Attributes:
        base_url: Where it listens.
        heads: The head of each request that arrived, whole.
        connections: How many were opened.
        gone: How many have ended.
    """

    base_url: str = ""
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def raw_server(answer: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[RawServer]:
    """Answers each request as told; the connection stays open unless the answer closes it."""
    server = RawServer()
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        writers.append(writer)
        on_connection = 0
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while not writer.is_closing():
                server.heads.append(await reader.readuntil(b"\r\n\r\n"))
                on_connection += 1
                await answer(Peer(len(server.heads), on_connection, writer))
        writer.close()
        server.gone.set()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.base_url = "http://{}:{}".format(*listener.sockets[0].getsockname())
    try:
        yield server
    finally:
        listener.close()
        for writer in writers:
            writer.transport.abort()
        await listener.wait_closed()

"""Servers on loopback: the sandbox as these tests use it, one that answers with raw bytes, two that do worse."""

import asyncio
import datetime as dt
import logging
import re
import select
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

import pytest

from harvester.api.envelope import Passport, Request, Response
from harvester.api.protocol import request_calls
from harvester.api.transport import AiohttpTransport
from harvester.errors import AttemptError
from harvester.model import AccountId, Query
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Grant, Switches
from harvester.sandbox.world import World
from harvester.secret import Secret
from tests.api.helpers import NOW_S, QUERY, TOKEN, all_of

WORLD = World(today=dt.date(2026, 10, 31), accounts=3, calls_per_day=40.0)
_NO_LINGER = struct.pack("ii", 1, 0)


@asynccontextmanager
async def sandbox(*, ticking: bool = False, **switches: object) -> AsyncIterator[Sandbox]:
    """The sandbox; the tests' secret token works, its clock stands still, or goes with the loop's from `NOW_S` on."""
    loop, set_up = asyncio.get_running_loop(), Switches(grants=(Grant(access=TOKEN),), **switches)  # type: ignore[arg-type]
    start_s = loop.time()
    async with serve(WORLD, set_up, clock=lambda: NOW_S + (loop.time() - start_s if ticking else 0.0)) as served:
        yield served


def query_for(account_id: AccountId) -> Query:
    """A page of some calls."""
    return Query(account_id=account_id, window=QUERY.window, page=1, page_size=20)


def secret_request(number: int = 0) -> Request:
    """A good request under the secret token, each number with a nonce of its own."""
    query = query_for(WORLD.account_ids[0])
    return request_calls(query, Passport(access=Secret(TOKEN), nonce=f"n{number}", timestamp=int(NOW_S)))


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


class HangsUp(Enum):
    """When a server that promised to keep a connection closes it."""

    UNREAD = "the second request has come, and is not read"
    HALF_READ = "the second request was read to its half"
    ANSWERED = "right behind the first answer"


@asynccontextmanager
async def hanging_up_server(when: HangsUp) -> AsyncIterator[RawServer]:
    """Answers the first request of each connection; `heads` holds what has come of all, read or not."""
    server, loop = RawServer(), asyncio.get_running_loop()

    async def one(peer: socket.socket) -> None:
        server.connections += 1
        with peer:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += await loop.sock_recv(peer, 65_536)
            server.heads.append(head)
            await loop.sock_sendall(peer, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            if when is not HangsUp.ANSWERED and (seen := await _peek(peer)):
                server.heads.append(seen)
                if when is HangsUp.HALF_READ:
                    await loop.sock_recv(peer, len(seen) // 2)

    async def accept() -> None:
        async with asyncio.TaskGroup() as connections:
            while True:
                peer, _ = await loop.sock_accept(listener)
                peer.setblocking(False)
                connections.create_task(one(peer))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        server.base_url = "http://{}:{}".format(*listener.getsockname())
        accepting = asyncio.create_task(accept())
        try:
            yield server
        finally:
            accepting.cancel()
            await asyncio.wait([accepting])


async def _peek(peer: socket.socket) -> bytes:
    """What has come, left where it is."""
    came = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(peer, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(peer)
    return peer.recv(65_536, socket.MSG_PEEK)


@contextmanager
def full_server() -> Iterator[str]:
    """The address of a server that has no place left for a connection: who asks for one gets no answer at all."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        while True:
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            if not select.select([], [filler], [], 0.02)[1]:
                break
        yield "http://{}:{}".format(*listener.getsockname())


def nonces(server: RawServer) -> list[str]:
    """Of all requests that have come, in their order."""
    return [re.findall(rb"nonce=([^&]*)", head)[0].decode() for head in server.heads]


def whole_story(error: BaseException) -> str:
    """All that could be shown of an error and of every other that hangs on it, also where a traceback would not."""
    told, left = "", [error]
    while left:
        one = left.pop()
        told += all_of(one)
        left.extend(other for other in (one.__cause__, one.__context__) if other is not None)
    return told


@contextmanager
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No log of any level or library holds the token or a piece of a URL while it lasts."""
    caplog.set_level(logging.DEBUG)
    yield
    shown = caplog.text + "".join(record.getMessage() + str(record.args) for record in caplog.get_records("call"))
    forbidden = (TOKEN, "access_token", "nonce=", "/v3.0/", "127.0.0.1", "nowhere.invalid")
    assert not [secret for secret in forbidden if secret in shown]


async def attempt(transport: AiohttpTransport, number: int, base_url: str) -> Response | AttemptError:
    """What one send brings; an error has proved to show neither a secret nor where it was to go."""
    try:
        return await transport.send(secret_request(number))
    except AttemptError as error:
        shown = whole_story(error)
        host, _, port = base_url.partition("://")[2].partition(":")
        forbidden = [TOKEN, "access_token", "nonce", "/v3.0/", host, *([port] if port else [])]
        assert not [secret for secret in forbidden if secret in shown]
        return error

"""Connections that never come about, and kept ones that die: what was sent, and how often."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import anyio
import pytest

from harvester.api.envelope import Response
from harvester.api.transport import AiohttpTransport
from harvester.errors import AttemptError
from tests.api.helpers import TOKEN
from tests.api.wire import (
    HangsUp,
    Peer,
    attempt,
    full_server,
    hanging_up_server,
    nonces,
    nothing_logged,
    raw_server,
    secret_request,
)

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BROKEN = {
    "the connection broke (Connection reset by peer)",
    "the connection broke (Broken pipe)",
    "the server closed the connection before it answered",
}


@pytest.fixture(autouse=True)
def _logs_tell_nothing(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither the token nor where it was sent."""
    with nothing_logged(caplog):
        yield


async def failure(base_url: str, timeout_s: float = 30) -> AttemptError:
    """The error of one send; the task that sent is as it was."""
    async with AiohttpTransport(base_url, timeout_s=timeout_s) as transport:
        error = await attempt(transport, 0, base_url)
    assert isinstance(error, AttemptError)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    return error


@asynccontextmanager
async def plain_server(answer: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The address, with `https`, of a server that speaks no TLS: it answers so, or never; and all that it read."""
    read: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            read.append(data)
            if answer is not None:
                writer.write(answer)
                break
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listener:
        yield "https://{}:{}".format(*listener.sockets[0].getsockname()), read


class TestUnreachable:
    """No connection came about: nothing was sent, and the error says so."""

    async def test_a_refused_connection(self) -> None:
        """Nobody listens there."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        error = await failure(f"http://127.0.0.1:{port}")
        assert (str(error), error.unreachable) == ("no connection (Connection refused)", True)

    @pytest.mark.parametrize(("timeout_s", "bound_s"), [(30, 10), (11, 10), (10, 10), (2.5, 2.5)])
    async def test_a_server_without_a_place(self, timeout_s: float, bound_s: float) -> None:
        """It is given up after ten seconds, or with the timeout if that is shorter."""
        await anyio.sleep(0.3)  # off the full second: nothing is rounded
        with full_server() as base_url:
            began = anyio.current_time()
            error = await failure(base_url, timeout_s)
            assert bound_s - 0.01 <= anyio.current_time() - began < bound_s + 0.1
        assert (str(error), error.unreachable) == (f"no connection within {bound_s:g} s", True)

    @pytest.mark.parametrize("timeout_s", [30, 2.5])
    async def test_a_resolver_that_is_silent(self, monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> None:
        """The host's name belongs to the connecting."""

        async def resolve(*_: object, **__: object) -> list[object]:
            await anyio.sleep(3_600)
            return []

        monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
        error = await failure("http://nowhere.invalid", timeout_s)
        assert (str(error), error.unreachable) == (f"no connection within {min(10, timeout_s):g} s", True)

    @pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
    async def test_a_name_that_cannot_be_resolved(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        """Not known, or not now: aiohttp's resolver asks the system's, which answers as the real one does."""

        async def getaddrinfo(*_: object, **__: object) -> list[object]:
            raise socket.gaierror(number, "Name or service not known: nowhere.invalid")

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
        error = await failure("http://nowhere.invalid")
        assert (str(error), error.unreachable) == ("the host name cannot be resolved", True)

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x15\x03\x03\x00\x02\x02\x28"])
    async def test_a_handshake_that_fails(self, answer: bytes) -> None:
        """The other side speaks no TLS, hangs up, or refuses; not a byte of the request has left."""
        async with plain_server(answer) as (base_url, read):
            error = await failure(base_url)
            assert TOKEN.encode() not in b"".join(read)
        assert str(error).startswith(("no trusted TLS connection (", "no connection ("))
        assert error.unreachable

    @pytest.mark.parametrize("timeout_s", [30, 7])
    async def test_a_handshake_that_stalls(self, timeout_s: float) -> None:
        """The connection is there, its encryption never is."""
        async with plain_server(None) as (base_url, read):
            error = await failure(base_url, timeout_s)
            assert TOKEN.encode() not in b"".join(read)
        assert (str(error), error.unreachable) == (f"no connection within {min(10, timeout_s):g} s", True)

    @pytest.mark.parametrize("base_url", ["http://[::1", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
    async def test_an_impossible_address(self, base_url: str) -> None:
        """Nothing can be sent there."""
        assert (await failure(base_url)).unreachable

    async def test_a_server_that_comes_back(self) -> None:
        """What could not be reached once is tried anew by the next send."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        async with AiohttpTransport(f"http://127.0.0.1:{port}", timeout_s=30) as transport:
            assert isinstance(await attempt(transport, 0, "http://127.0.0.1"), AttemptError)

            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(OK)
                writer.close()

            async with await asyncio.start_server(accept, "127.0.0.1", port):
                assert isinstance(await attempt(transport, 1, "http://127.0.0.1"), Response)


class TestReached:
    """A connection was there: whether the request counted, nobody knows."""

    @pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Le"])
    @pytest.mark.parametrize("how", ["reset", "close"])
    @pytest.mark.parametrize("kept", [False, True])
    async def test_a_connection_that_ends_before_the_answer(self, sent: bytes, how: str, *, kept: bool) -> None:
        """Before the headers or within them, on a new connection or a kept one: sent once, and not unreachable."""

        async def answer(peer: Peer) -> None:
            if kept and peer.on_connection == 1:
                return await peer.write(OK)
            await peer.write(sent)
            await anyio.sleep(0.1)
            return peer.reset() if how == "reset" else peer.writer.close()

        async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            for number in range(6):
                answered = await attempt(transport, number, server.base_url)
                assert isinstance(answered, Response) is (kept and number % 2 == 0)
                assert isinstance(answered, Response) or (str(answered) in BROKEN and not answered.unreachable)
            assert nonces(server) == [f"n{number}" for number in range(6)]

    @pytest.mark.parametrize("kept", [False, True])
    @pytest.mark.parametrize(
        ("sent", "text"),
        [
            (b"", "no answer within 30 s"),
            (b"HTTP/1.1 200 OK\r\nContent-Le", "no answer within 30 s"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "the answer did not end within 30 s"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "the answer did not end within 30 s"),
        ],
    )
    async def test_an_answer_that_stalls(self, sent: bytes, text: str, *, kept: bool) -> None:
        """The bound of connecting does not end it; the whole attempt's does, and it is said how far it had come."""

        async def answer(peer: Peer) -> None:
            if kept and peer.on_connection == 1:
                return await peer.write(OK)
            await peer.write(sent)
            return await anyio.sleep(3_600)

        async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            if kept:
                await transport.send(secret_request(0))
            began = anyio.current_time()
            error = await attempt(transport, 1, server.base_url)
            assert 30 <= anyio.current_time() - began < 30.1
            assert isinstance(error, AttemptError)
            assert (str(error), error.unreachable) == (text, False)
            assert len(server.heads) == 1 + kept


class TestKeptConnections:
    """Servers that promise to keep a connection and close it."""

    @pytest.mark.parametrize("when", [HangsUp.UNREAD, HangsUp.HALF_READ])
    async def test_a_request_that_was_not_read_is_not_repeated(self, when: HangsUp) -> None:
        """As many requests come as were sent, each with its own nonce, and each that died is an error."""
        async with hanging_up_server(when) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            answers = [await attempt(transport, number, server.base_url) for number in range(8)]
            assert nonces(server) == [f"n{number}" for number in range(8)]
            assert server.connections == 4
        assert all(isinstance(one, Response) for one in answers[::2])
        for error in answers[1::2]:
            assert isinstance(error, AttemptError)
            assert str(error) in BROKEN
            assert not error.unreachable

    async def test_a_connection_that_closed_meanwhile_is_not_used(self) -> None:
        """Its end was noticed before the next request: that takes a new one, and nothing is lost."""
        async with (
            hanging_up_server(HangsUp.ANSWERED) as server,
            AiohttpTransport(server.base_url, timeout_s=30) as transport,
        ):
            for number in range(8):
                assert isinstance(await transport.send(secret_request(number)), Response)
                await anyio.sleep(1)
            assert nonces(server) == [f"n{number}" for number in range(8)]
            assert server.connections == 8

    async def test_a_connection_that_closes_just_now_costs_an_attempt_at_most(self) -> None:
        """Without a moment in between a request may go to nobody; no nonce is seen twice."""
        async with (
            hanging_up_server(HangsUp.ANSWERED) as server,
            AiohttpTransport(server.base_url, timeout_s=30) as transport,
        ):
            answers = [await attempt(transport, number, server.base_url) for number in range(50)]
            assert len(set(nonces(server))) == len(server.heads)
        lost = [str(one) for one in answers if isinstance(one, AttemptError)]
        assert set(lost) <= BROKEN
        assert len(server.heads) == len(answers) - len(lost)

    async def test_a_fresh_request_has_a_connection_of_its_own(self) -> None:
        """It meets no kept-alive one that may be closed under it, and leaves none behind."""

        async def answer(peer: Peer) -> None:
            await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        connections = []
        async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            for request in (secret_request(1), replace(secret_request(2), fresh=True), secret_request(3)):
                await transport.send(request)
                connections.append(server.connections)
        assert connections == [1, 2, 2]

import asyncio
import gzip
import ssl
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp
import anyio
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from harvester.api.codes import Fault, Verdict, judge
from harvester.api.envelope import Response
from harvester.api.protocol import read_page
from harvester.api.transport import MAX_BODY_BYTES, AiohttpTransport
from harvester.errors import AttemptError
from harvester.model import Page
from tests.api.helpers import TOKEN, WINDOW, all_of
from tests.api.wire import Peer, raw_server, sandbox, secret_request

pytestmark = pytest.mark.anyio
MIB = 2**20
CUT = "the body was cut short or is not what its headers say"
NOTHING = "the server closed the connection before it answered"
BROKEN = r"the connection broke \(Connection reset by peer\)|the server closed the connection before it answered"
SILENT = "no answer within 7 s"
UNFINISHED = "the answer did not end within 7 s"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def outcome(transport: AiohttpTransport, number: int = 0) -> Response | str:
    """One attempt's answer, or its error's text once it has proved to show no secret."""
    try:
        return await transport.send(secret_request(number))
    except AttemptError as error:
        shown = all_of(error)
        for secret in (TOKEN, "access_token", "/v3.0/", "nonce"):
            assert secret not in shown
        return str(error)


def replies(content: bytes) -> Callable[[Peer], Awaitable[None]]:
    """A server that answers every request with these bytes and closes the connection."""

    async def answer(peer: Peer) -> None:
        await peer.write(content)
        peer.writer.close()

    return answer


class TestSandboxFaults:
    """Each of the sandbox's faults, over real sockets."""

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            ("reset", BROKEN),
            ("cut", CUT),
            ("hang", "no answer within 30 s"),
            ("huge", "a body of more than 8 MiB, which is no page"),
            ("bomb", "a body of more than 8 MiB, which is no page"),
        ],
    )
    async def test_no_whole_answer_is_an_attempts_error(self, fault: str, expected: str) -> None:
        """In words without a URL, sent once; the next attempt is untouched by it."""
        async with (
            sandbox(fault_bytes=32 * MIB) as served,
            AiohttpTransport(served.base_url, timeout_s=30) as transport,
        ):
            served.script(fault)
            answer = await outcome(transport, 1)
            assert isinstance(answer, str)
            assert answer in expected.replace("\\", "").split("|")
            assert served.stats.requests == 1
            again = await outcome(transport, 2)
            assert isinstance(again, Response)
            assert isinstance(read_page(again), Page)
            assert (served.stats.requests, served.stats.repeated_nonces) == (2, 0)

    @pytest.mark.parametrize(
        ("fault", "status", "code", "verdict"),
        [
            ("garbage", 200, None, Verdict.RETRY),
            ("bad-gateway", 502, None, Verdict.RETRY),
            ("unavailable", 503, None, Verdict.RETRY),
            ("redirect", 302, None, Verdict.RETRY),
            ("code:11017", 200, 11017, Verdict.PAUSE_APP),
            ("code:51001", 200, 51001, Verdict.RETRY),
        ],
    )
    async def test_a_bad_answer_is_a_response(
        self, fault: str, status: int, code: int | None, verdict: Verdict
    ) -> None:
        """What it means is for the protocol to say."""
        async with sandbox() as served, AiohttpTransport(served.base_url, timeout_s=30) as transport:
            served.script(fault)
            answer = await outcome(transport)
            assert isinstance(answer, Response)
            read = read_page(answer)
            assert isinstance(read, Fault)
            assert (answer.status, read.code, judge(read)) == (status, code, verdict)
            assert served.stats.requests == 1

    @pytest.mark.parametrize("fault", [None, "close", "drip"])
    @pytest.mark.parametrize("gzip_it", [False, True])
    async def test_a_good_answer_comes_whole(self, fault: str | None, *, gzip_it: bool) -> None:
        """Compressed or not, in one piece or in sixteen, its connection kept or not; headers in lower case."""
        async with sandbox(gzip=gzip_it) as served, AiohttpTransport(served.base_url, timeout_s=30) as transport:
            served.script(fault)
            answer = await outcome(transport)
            assert isinstance(answer, Response)
            page = read_page(answer)
            assert isinstance(page, Page)
            assert len(page.calls) == 20
            truth = set(served.world.calls(served.world.account_ids[0], WINDOW))
            assert {one.line for one in page.calls} <= truth
            assert set(answer.headers) == {"date", "x-tsa-trace-id", "x-ratelimit-remaining"}

    async def test_a_kept_connection_is_used_again(self) -> None:
        """Many requests, one connection, one request each."""

        async def answer(peer: Peer) -> None:
            await peer.write(OK)

        async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            for number in range(5):
                await transport.send(secret_request(number))
            assert (server.connections, len(server.heads)) == (1, 5)


class TestSentOnce:
    """One send, one request on the wire: aiohttp's own resend has the old nonce and no permit."""

    async def reset(self, peer: Peer) -> None:
        """The connection is reset when the request has arrived."""
        peer.reset()

    async def close(self, peer: Peer) -> None:
        """The connection is closed when the request has arrived."""
        peer.writer.close()

    @pytest.mark.parametrize("how", ["reset", "close"])
    async def test_a_first_request_that_is_dropped_is_not_repeated(self, how: str) -> None:
        """Though aiohttp would, also on a new connection."""
        async with (
            raw_server(getattr(self, how)) as server,
            AiohttpTransport(server.base_url, timeout_s=30) as transport,
        ):
            for number in range(1, 4):
                assert await outcome(transport, number) in BROKEN.replace("\\", "").split("|")
                assert len(server.heads) == number

    @pytest.mark.parametrize("how", ["reset", "close"])
    async def test_a_request_on_a_kept_connection_that_dies_is_not_repeated(self, how: str) -> None:
        """The server took it and hung up: nobody knows whether it counted."""

        async def answer(peer: Peer) -> None:
            await (getattr(self, how)(peer) if peer.on_connection == 2 else peer.write(OK))

        async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            kinds = [type(await outcome(transport, number)) for number in range(6)]
            assert kinds == [Response, str, Response, str, Response, str]
            assert len(server.heads) == 6

    async def test_a_kept_connection_that_was_closed_meanwhile_is_noticed(self) -> None:
        """Each send is at most one request, and no nonce is seen twice."""
        async with raw_server(replies(OK)) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            for number in range(1, 6):
                await outcome(transport, number)
                assert len(server.heads) <= number
            assert len(set(server.heads)) == len(server.heads)

    async def test_aiohttp_itself_would_repeat_it(self) -> None:
        """The danger is real: without our translation inside of its retry, two requests arrive for one."""
        async with raw_server(self.reset) as server, aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientOSError):
                await session.get(server.base_url)
            assert len(server.heads) == 2

    async def test_many_at_once_over_dying_connections(self) -> None:
        """A hundred sends are a hundred requests, each with its own nonce."""

        async def answer(peer: Peer) -> None:
            if peer.number % 3 == 0:
                peer.reset()
            elif peer.number % 5 == 0:
                peer.writer.close()
            else:
                await peer.write(OK)

        async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            for first in range(0, 100, 10):
                async with anyio.create_task_group() as tasks:
                    for number in range(first, first + 10):
                        tasks.start_soon(outcome, transport, number)
            assert len(server.heads) <= 100
            assert len(set(server.heads)) == len(server.heads)


class TestWire:
    """What travels, and what is taken back."""

    async def test_the_query_travels_as_it_was_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not encoded anew, without cookies, on the path below the base URL."""

        async def resolve(_: object, host: str, port: int, family: int) -> list[dict[str, object]]:
            return [
                {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0},
            ]

        monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)  # aiohttp keeps cookies of names only
        async with (
            raw_server(
                replies(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            ) as server,
            AiohttpTransport(server.base_url.replace("127.0.0.1", "api.test") + "/", timeout_s=30) as transport,
        ):
            request = secret_request()
            for _ in range(2):
                await transport.send(request)
        for head in server.heads:
            first, *headers = head.decode().lower().splitlines()
            assert first == f"get {request.path}?{request.query} http/1.1".lower()
            assert "accept: application/json" in headers
            assert "accept-encoding: gzip" in headers
            assert not [line for line in headers if line.startswith(("cookie:", "referer:"))]

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_not_followed(self, status: int) -> None:
        """The other host sees nothing, least of all the token."""
        async with raw_server(replies(OK)) as elsewhere:
            head = f"HTTP/1.1 {status} Found\r\nLocation: {elsewhere.base_url}/login\r\nContent-Length: 0\r\n\r\n"
            async with (
                raw_server(replies(head.encode())) as server,
                AiohttpTransport(server.base_url, timeout_s=30) as transport,
            ):
                answer = await transport.send(secret_request())
            assert (answer.status, elsewhere.connections, len(server.heads)) == (status, 0, 1)

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"", NOTHING),
            (b"HTTP/1.1 200 OK\r\nContent-Le", NOTHING),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "an answer that is no HTTP"),
            (b"HTTP/1.1 abc OK\r\n\r\n", "an answer that is no HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "an answer that is no HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", CUT),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", CUT),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", "an answer that is no HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!", CUT),
        ],
    )
    async def test_what_is_no_http_is_an_attempts_error(self, content: bytes, expected: str) -> None:
        """Whatever aiohttp makes of it."""
        async with (
            raw_server(replies(content)) as server,
            AiohttpTransport(server.base_url, timeout_s=30) as transport,
        ):
            assert await outcome(transport) == expected
            assert len(server.heads) == 1

    async def test_headers_without_end_are_an_attempts_error(self) -> None:
        """And their text is not shown."""
        content = b"HTTP/1.1 200 OK\r\nX-Echo: " + TOKEN.encode() * 10_000 + b"\r\n\r\n"
        async with (
            raw_server(replies(content)) as server,
            AiohttpTransport(server.base_url, timeout_s=30) as transport,
        ):
            assert await outcome(transport) == "an answer that is no HTTP"

    @pytest.mark.parametrize(
        ("encoding", "body"),
        [
            (b"zebra", b"\x01\x02"),
            (b"br", b"\x01\x02"),
            (b"zstd", b"\x01\x02"),
            (b"deflate", b"\x01\x02"),
            (b"gzip", gzip.compress(b'{"code":0}')[:14]),  # whole by its length: aiohttp gives what there is
        ],
    )
    async def test_a_body_that_cannot_be_unpacked_is_no_page(self, encoding: bytes, body: bytes) -> None:
        """Its body comes as it is, or not at all."""
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
        content = head % (encoding, len(body)) + body
        async with (
            raw_server(replies(content)) as server,
            AiohttpTransport(server.base_url, timeout_s=30) as transport,
        ):
            answer = await outcome(transport)
            assert isinstance(answer, str) or isinstance(read_page(answer), Fault)


class TestMemory:
    """A body is bounded."""

    @pytest.mark.parametrize(("size", "whole"), [(MAX_BODY_BYTES, True), (MAX_BODY_BYTES + 1, False)])
    @pytest.mark.parametrize("packed", [False, True])
    async def test_the_bound_counts_what_comes_out_of_the_compression(
        self, size: int, *, whole: bool, packed: bool
    ) -> None:
        """To the byte."""
        body = zlib.compress(b"0" * size, 1, 31) if packed else b"0" * size
        encoding = b"Content-Encoding: gzip\r\n" if packed else b""
        head = b"HTTP/1.1 200 OK\r\n" + encoding + b"Content-Length: %d\r\n\r\n" % len(body)
        async with (
            raw_server(replies(head + body)) as server,
            AiohttpTransport(server.base_url, timeout_s=30) as transport,
        ):
            answer = await outcome(transport)
        assert (len(answer.body) == size) if isinstance(answer, Response) else not whole

    @pytest.mark.parametrize("fault", ["huge", "bomb"])
    async def test_a_body_without_end_costs_little(self, fault: str) -> None:
        """A gibibyte that is promised is never held."""
        async with (
            sandbox(fault_bytes=1024 * MIB) as served,
            AiohttpTransport(served.base_url, timeout_s=30) as transport,
        ):
            served.script(fault)
            tracemalloc.start()
            try:
                assert isinstance(await outcome(transport), str)
                assert tracemalloc.get_traced_memory()[1] < 48 * MIB
            finally:
                tracemalloc.stop()


class TestTimeouts:
    """One clock for the whole attempt."""

    async def stall(self, sent: bytes, peer: Peer) -> None:
        """Sends so much, then nothing."""
        await peer.write(sent)
        await anyio.sleep(3_600)

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (b"", SILENT),
            (b"HTTP/1.1 20", SILENT),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", UNFINISHED),
            (OK[:-1], UNFINISHED),
        ],
        ids=range(4),
    )
    async def test_an_answer_that_stalls_ends_with_the_timeout(self, sent: bytes, expected: str) -> None:
        """Before the headers, within them, after them, within the body."""
        async with (
            raw_server(partial(self.stall, sent)) as server,
            AiohttpTransport(server.base_url, timeout_s=7) as transport,
        ):
            began = anyio.current_time()
            assert await outcome(transport) == expected
            assert 7 <= anyio.current_time() - began <= 7.1
            assert len(server.heads) == 1

    async def test_drops_do_not_extend_the_timeout(self) -> None:
        """A body that drips for eight seconds is given up after three."""
        async with sandbox(drip_s=0.5) as served, AiohttpTransport(served.base_url, timeout_s=3) as transport:
            served.script("drip")
            assert await outcome(transport) == "the answer did not end within 3 s"

    async def test_a_handshake_that_stalls_ends_with_the_timeout(self) -> None:
        """The connection is there, its encryption never is."""

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
            base_url = "https://{}:{}".format(*listener.sockets[0].getsockname())
            async with AiohttpTransport(base_url, timeout_s=7) as transport:
                assert await outcome(transport) == "no connection within 7 s"

    async def test_a_cancelled_attempt_closes_its_connection(self) -> None:
        """It is not reused, and the transport goes on."""

        async def answer(peer: Peer) -> None:
            await (self.stall(b"", peer) if peer.number == 1 else peer.write(OK))

        async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
            with anyio.move_on_after(1) as scope:
                await transport.send(secret_request())
            assert scope.cancelled_caught
            assert isinstance(await outcome(transport), Response)
            assert (server.connections, len(server.heads)) == (2, 2)


URL_ = f"https://api.e.qq.com/v3.0/x?access_token={TOKEN}"
KEY = ConnectionKey("api.e.qq.com", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
INFO = aiohttp.RequestInfo(URL(URL_), "GET", CIMultiDictProxy(CIMultiDict()), URL(URL_))


class TestTranslation:
    """aiohttp's exceptions, the ones that print a URL first."""

    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, URL_)), "the host name cannot be resolved"),
            (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, URL_)), "no trusted TLS connection (SSLError)"),
            (aiohttp.ClientConnectorError(KEY, OSError(113, URL_)), "no connection (No route to host)"),
            (aiohttp.ClientConnectorError(KEY, OSError(URL_)), "no connection (OSError)"),
            (aiohttp.ServerDisconnectedError(URL_), NOTHING),
            (aiohttp.ClientPayloadError(URL_), CUT),
            (aiohttp.ClientResponseError(INFO, (), status=500, message=URL_), "an answer that is no HTTP"),
            (aiohttp.TooManyRedirects(INFO, ()), "an answer that is no HTTP"),
            (ConnectionResetError(104, "Connection reset by peer"), "the connection broke (Connection reset by peer)"),
            (TimeoutError(110, "Connection timed out"), "the connection broke (Connection timed out)"),
            (aiohttp.ClientConnectionError(URL_), "the attempt failed (ClientConnectionError)"),
            (aiohttp.InvalidURL(URL_), "the attempt failed (InvalidURL)"),
            (ValueError(URL_), "the attempt failed (ValueError)"),
        ],
    )
    def test_each_becomes_words_without_a_url(self, error: Exception, text: str) -> None:
        """Only what kind of thing went wrong, and the system's own words for it."""
        assert str(AiohttpTransport("https://x", timeout_s=30)._failed(error, reading=False)) == text

    @pytest.mark.parametrize(
        ("error", "reading", "timeout_s", "text"),
        [
            (aiohttp.ConnectionTimeoutError, False, 30, "no connection within 10 s"),
            (aiohttp.ConnectionTimeoutError, False, 2.5, "no connection within 2.5 s"),
            (TimeoutError, False, 30, "no answer within 30 s"),
            (aiohttp.SocketTimeoutError, False, 30, "no answer within 30 s"),
            (TimeoutError, True, 2.5, "the answer did not end within 2.5 s"),
        ],
    )
    def test_a_timeout_says_what_did_not_come(
        self, error: type[Exception], *, reading: bool, timeout_s: float, text: str
    ) -> None:
        """Whoever noticed it; only without a connection nothing was sent."""
        failure = AiohttpTransport("https://x", timeout_s=timeout_s)._failed(error(URL_), reading=reading)
        assert (str(failure), failure.unreachable) == (text, error is aiohttp.ConnectionTimeoutError)


class TestConnecting:
    """No connection, no request."""

    async def test_a_refused_connection(self) -> None:
        """The system's own words, without the host."""
        async with raw_server(replies(OK)) as server:
            base_url = server.base_url
        async with AiohttpTransport(base_url, timeout_s=30) as transport:
            assert await outcome(transport) == "no connection (Connection refused)"

    async def test_encryption_to_a_plain_port(self) -> None:
        """The other side does not speak TLS."""

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(plain, "127.0.0.1", 0) as listener:
            base_url = "https://{}:{}".format(*listener.sockets[0].getsockname())
            async with AiohttpTransport(base_url, timeout_s=30) as transport:
                answer = await outcome(transport)
        assert isinstance(answer, str)
        assert answer.startswith(("no trusted TLS connection (", "no connection (", "the connection broke ("))

    async def test_a_name_that_cannot_be_resolved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The resolver's error is translated; no network is asked."""

        async def resolve(*_: object, **__: object) -> list[object]:
            raise OSError(-2, "Name or service not known")

        monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
        async with AiohttpTransport("http://nowhere.invalid", timeout_s=30) as transport:
            assert await outcome(transport) == "the host name cannot be resolved"

    @pytest.mark.parametrize("base_url", ["http://[::1", "http://127.0.0.1:99999", "nonsense", "ftp://127.0.0.1"])
    async def test_an_impossible_base_url(self, base_url: str) -> None:
        """The config refuses those; were one to come through, the token would still not show."""
        async with AiohttpTransport(base_url, timeout_s=30) as transport:
            assert isinstance(await outcome(transport), str)

    async def test_it_is_used_inside_of_its_context(self) -> None:
        """Before and after there is no session."""
        transport = AiohttpTransport("http://127.0.0.1:1", timeout_s=30)
        with pytest.raises(RuntimeError, match="async with"):
            await transport.send(secret_request())
        await transport.__aexit__(None, None, None)

"""The one seam to the outside: a request out, a response in. Everything above runs without a network."""

import os
from dataclasses import replace
from math import inf
from types import TracebackType
from typing import Final, Protocol, Self

import aiohttp
from yarl import URL

from harvester import __version__
from harvester.api.envelope import Request, Response
from harvester.errors import AttemptError

MAX_BODY_BYTES: Final = 8 * 2**20
"""A body larger than this, decompressed, is not a page: 1,000 calls are about half a megabyte."""
CONNECT_S: Final = 10.0
"""Longer than this no connection is waited for: a host that is there takes far less than a second."""
_TRUST: Final = (
    "nothing was sent: look after this machine's clock and its CA certificates, and after [api] base_url; the CA of a "
    "proxy in between can be named in SSL_CERT_FILE"
)
"""What to do about a certificate that is not trusted: there is no way to turn that off."""
_NOTHING_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.NonHttpUrlClientError, ValueError)
"""No connection, or an address that cannot have one."""
_READ_BUFFER_BYTES: Final = 2**20
_KEPT_HEADERS: Final = ("date", "retry-after", "x-tsa-trace-id", "x-ratelimit-remaining")
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"harvester/{__version__}",
}


class Transport(Protocol):
    """Sends one request, once."""

    async def send(self, request: Request) -> Response:
        """Sends the request exactly once and reads the whole answer.

        Raises:
            AttemptError: No whole answer came; its message holds no URL.
        """
        ...


def _timeout(timeout_s: float) -> aiohttp.ClientTimeout:
    """To the split second. Connecting is all from the name to the TLS handshake: the pool has a place for everybody."""
    return aiohttp.ClientTimeout(total=timeout_s, connect=_connect_s(timeout_s), ceil_threshold=inf)


def _connect_s(timeout_s: float) -> float:
    """A little less than all of it: two timers that fire at once would cancel twice."""
    return min(CONNECT_S, timeout_s - 0.001)


class AiohttpTransport:
    """The real thing. An async context manager; leaving it closes every connection.

    Args:
        base_url: Scheme, host and port.
        timeout_s: For one attempt, from connecting to the last byte; connecting has `CONNECT_S` of it at most.
    """

    def __init__(self, base_url: str, *, timeout_s: float) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the quota's places in flight are the limit
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            middlewares=(self._translate,),
            read_bufsize=_READ_BUFFER_BYTES,
            timeout=_timeout(self._timeout_s),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def send(self, request: Request) -> Response:
        """See `Transport.send`. Redirects are not followed: they would carry the token along.

        Cancellation: the connection is closed, not reused.
        """
        if self._session is None:
            raise RuntimeError("AiohttpTransport is used inside of `async with`")
        if request.fresh:
            async with AiohttpTransport(self._base_url, timeout_s=self._timeout_s) as once:
                return await once.send(replace(request, fresh=False))
        reading = False
        try:
            url = URL(f"{self._base_url}{request.path}?{request.query}", encoded=True)
            async with self._session.get(url, allow_redirects=False) as response:
                reading = True
                body = await _read(response)
                headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
                return Response(response.status, headers, body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = self._failed(error, reading=reading)
        raise failure  # not where it is caught: several of aiohttp's exceptions print the URL, and the token in it

    async def _translate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Translates what goes wrong before the headers, inside of aiohttp's own retry.

        aiohttp sends an idempotent request a second time by itself when a kept-alive connection turns out dead: same
        nonce, no permit. It does so on its own exceptions only; ours pass it by.
        """
        try:
            return await handler(request)
        except (aiohttp.ClientError, OSError) as error:
            failure = self._failed(error, reading=False)
        raise failure  # not where it is caught: aiohttp's own would come along as its context, with the URL

    def _failed(self, error: Exception, *, reading: bool) -> AttemptError:
        """What went wrong, in words that hold no URL."""
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return AttemptError(f"no connection within {min(CONNECT_S, self._timeout_s):g} s", unreachable=True)
        if isinstance(error, TimeoutError) and error.errno is None:  # ours; the system's own has a number
            what = "the answer did not end" if reading else "no answer"
            return AttemptError(f"{what} within {self._timeout_s:g} s")
        return AttemptError(_reason(error), unreachable=isinstance(error, _NOTHING_SENT))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            response.close()
            raise AttemptError(f"a body of more than {MAX_BODY_BYTES // 2**20} MiB, which is no page")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _reason(error: Exception) -> str:
    """What went wrong, in words that hold no URL: only the kind, and the system's own text for an errno."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", "") or type(error.certificate_error).__name__
            text = f"no trusted TLS connection ({why}); {_TRUST}"
        case aiohttp.ClientConnectorSSLError():
            text = f"no trusted TLS connection ({type(error.os_error).__name__})"
        case aiohttp.ClientConnectorDNSError():
            text = "the host name cannot be resolved"
        case aiohttp.ClientConnectorError():
            # asyncio's own text holds an address in place of the reason
            code = error.os_error.errno
            text = f"no connection ({os.strerror(code) if code else type(error.os_error).__name__})"
        case aiohttp.ServerDisconnectedError():
            text = "the server closed the connection before it answered"
        case aiohttp.ClientPayloadError():
            text = "the body was cut short or is not what its headers say"
        case aiohttp.ClientResponseError():
            text = "an answer that is no HTTP"
        case OSError():
            text = f"the connection broke ({error.strerror or type(error).__name__})"
        case _:
            text = f"the attempt failed ({type(error).__name__})"
    return text

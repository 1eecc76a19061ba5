"""Posting: every webhook at once, each a few times, all of them within a bound, whatever they do."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import aiohttp
import anyio
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from harvester import __version__
from harvester.api.envelope import cleaned
from harvester.notice import Value
from harvester.telling.services import Verdict, Webhook, letter, verdict

ATTEMPT_S: Final = 5.0
"""One attempt, from the name to the answer's last byte."""
ATTEMPTS: Final = 3
BOUND_S: Final = 20.0
"""All webhooks, all attempts: a run is not held up any longer."""
HURRY_S: Final = 5.0
"""The same, of a run that a signal ended: whoever sent it will not wait for long."""
_PAUSE_S: Final = 1.0
_BODY_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of one webhook.

    Attributes:
        name: Whose.
        failure: Why it was not told, for a person; `None` when it was.
    """

    name: str
    failure: str | None = None


async def tell(
    webhooks: Sequence[Webhook], values: Mapping[str, Value], wall: Callable[[], float], *, bound_s: float = BOUND_S
) -> list[Told]:
    """Tells all of them at the same time.

    Args:
        webhooks: Whom.
        values: The fields, without secrets.
        wall: Unix seconds.
        bound_s: After so many seconds nothing is waited for any more.

    Returns:
        What became of each, in their order. Nothing is raised.

    Cancellation: connections are closed; who was told, was told.
    """
    late = f"no answer within {bound_s:g} s"
    found = {webhook.name: Told(name=webhook.name, failure=late) for webhook in webhooks}

    async def one(webhook: Webhook, session: aiohttp.ClientSession) -> None:
        found[webhook.name] = Told(name=webhook.name, failure=await _tell(webhook, values, wall, session))

    async with _session() as session:
        with anyio.move_on_after(bound_s):
            async with anyio.create_task_group() as group:
                for webhook in webhooks:
                    group.start_soon(one, webhook, session)
    return list(found.values())


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=_Resolver(), force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": f"harvester/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=ATTEMPT_S, ceil_threshold=inf),
    )


async def _tell(
    webhook: Webhook, values: Mapping[str, Value], wall: Callable[[], float], session: aiohttp.ClientSession
) -> str | None:
    result = Verdict()
    for attempt in range(1, ATTEMPTS + 1):
        result = await _attempt(webhook, values, wall, session)
        if result.refused is None:
            return None
        if not result.again:
            break
        if attempt < ATTEMPTS:
            await anyio.sleep(_PAUSE_S * attempt)
    return result.refused if not result.again else f"{result.refused}, {ATTEMPTS} times"


async def _attempt(
    webhook: Webhook, values: Mapping[str, Value], wall: Callable[[], float], session: aiohttp.ClientSession
) -> Verdict:
    try:
        ready = letter(webhook, values, wall())
        url = URL(ready.url.reveal(), encoded=True)
        async with session.post(url, data=ready.body, allow_redirects=False) as response:
            body = await _read(response)
            return verdict(webhook.service, response.status, body, cleaned(body.decode(errors="replace")))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and nothing fails by it
        return Verdict(refused=_reason(error), again=isinstance(error, aiohttp.ClientConnectionError | OSError))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for block in response.content.iter_any():
        body += block
        if len(body) > _BODY_BYTES:
            response.close()
            break
    return body[:_BODY_BYTES]


def _reason(error: Exception) -> str:
    """In words that hold no URL: several of aiohttp's exceptions print it, and the key in it."""
    match error:
        case TimeoutError():
            return f"no answer within {ATTEMPT_S:g} s"
        case aiohttp.ClientConnectorCertificateError():
            return "no trusted TLS connection: look after this machine's clock and CA certificates"
        case aiohttp.ClientConnectorDNSError():
            return "the host name cannot be resolved"
        case aiohttp.ClientConnectorError():
            code = error.os_error.errno
            return f"no connection ({os.strerror(code) if code else type(error.os_error).__name__})"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection before it answered"
        case _:
            return f"it failed ({type(error).__name__})"


class _Resolver(AbstractResolver):
    """Asks the system for addresses in a thread that nobody waits for.

    Other threads have to end before a process does, and a name server that does not answer takes half a minute.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver`. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def settle(addresses: list[Any] | None, error: OSError | None) -> None:
            if not found.done():
                found.set_exception(error) if error else found.set_result(addresses or [])

        def ask() -> None:
            addresses, failure = None, None
            try:
                addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                failure = error if isinstance(error, OSError) else OSError("no host name")
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, addresses, failure)

        threading.Thread(target=ask, daemon=True, name="webhook address").start()
        return [
            ResolveResult(hostname=host, host=address[0], port=address[1], family=kind, proto=0, flags=0)
            for kind, _, _, _, address in await found
        ]

    async def close(self) -> None:
        """Nothing is open."""

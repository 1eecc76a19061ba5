"""The stand-in API over real HTTP, on loopback only."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from typing import Final

from aiohttp import web

from harvester.sandbox.backstage import Backstage
from harvester.sandbox.bureau import Bureau
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.envelope import refusal
from harvester.sandbox.stage import LOOPED, Scene
from harvester.sandbox.switches import Switches
from harvester.sandbox.wire import Rejected, parameters
from harvester.sandbox.world import World, beijing_day, chance

PATH: Final = Endpoint.CALLS.value
"""Where the calls are, below the base URL."""


class Sandbox(Bureau):
    """A running sandbox.

    Attributes:
        base_url: For a client's configuration; no slash at its end.
        on_renewal: Called with the name of a grant that has new tokens, as soon as the last byte of the answer was
            handed to the system, or the connection was broken instead; `None`: nobody is told.
    """

    def __init__(self, world: World, switches: Switches, clock: Callable[[], float]) -> None:
        super().__init__(world, switches, clock)
        self.base_url = ""
        self.on_renewal: Callable[[str], None] | None = None
        self._closing = asyncio.Event()

    def release(self) -> None:
        """Let go of clients that hang: the sandbox is about to close."""
        self._closing.set()

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for calls, late or badly if the switches say so."""
        number = self.stats.enter()
        try:
            return await self._act(request, Endpoint.CALLS, chance(self.switches.seed, "request", number))
        finally:
            self.stats.leave()

    async def accounts(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for a list of accounts, late or badly if the switches say so."""
        endpoint = Endpoint(request.path)
        return await self._act(request, endpoint, self._luck(endpoint))

    async def renew(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for tokens, late or badly if the switches say so; what was renewed by then stays so."""
        endpoint = Endpoint(request.path)
        with self._oauth.in_hand(parameters(request.rel_url.raw_query_string)):
            return await self._act(request, endpoint, self._luck(endpoint))

    async def unknown(self, request: web.Request) -> web.Response:
        """Another path or method: the API's own refusal below `/v3.0/`, with 404 everywhere else."""
        self.stats.elsewhere += 1
        trace_id = f"{chance(request.method, request.path):032x}"
        status = 200 if request.path.startswith("/v3.0/") else 404
        return web.Response(status=status, body=refusal(Rejected(12007), trace_id), headers=_headers(trace_id))

    def _luck(self, endpoint: Endpoint) -> int:
        return chance(self.switches.seed, endpoint, self.stats.count(endpoint))

    async def _act(self, request: web.Request, endpoint: Endpoint, luck: int) -> web.StreamResponse:
        """Judge the request, then let happen to its answer what happens."""
        query = request.rel_url.raw_query_string
        given = parameters(query)
        fault = self.meet(endpoint, given, luck, looped=query.startswith(LOOPED))
        verdict = self.judge(endpoint, given, luck, fault)
        scene = self._scene(request, verdict.body, self.headers(endpoint, given, luck))
        try:
            if latency_s := self._weather.latency_s():
                await asyncio.sleep(latency_s * (0.5 + (luck & 0xFFFF) / 0x10000))
            response = await scene.play(fault)
            if verdict.renewed:
                await _written(response, request)
        finally:
            if verdict.renewed and self.on_renewal is not None:
                self.on_renewal(verdict.renewed)
        return response

    def headers(self, endpoint: Endpoint, given: dict[str, str], luck: int) -> dict[str, str]:
        """Those of the answer to the request that was judged last."""
        headers = _headers(self.trace_id(luck))
        headers["Date"] = formatdate(self._weather.now_s(), usegmt=True)
        if (remaining := self.remaining(endpoint, given)) is not None:
            headers["X-RateLimit-Remaining"] = remaining
        return headers

    def _scene(self, request: web.Request, body: bytes, headers: dict[str, str]) -> Scene:
        if self.switches.gzip and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = zlib.compress(body, 1, 31)
            headers["Content-Encoding"] = "gzip"
        return Scene(
            request=request,
            body=body,
            headers=headers,
            fault_bytes=self.switches.fault_bytes,
            drip_s=self.switches.drip_s,
            closing=self._closing,
        )


async def _written(response: web.StreamResponse, request: web.Request) -> None:
    """The answer's bytes are with the system; a connection that broke meanwhile takes none."""
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write_eof()


def _headers(trace_id: str) -> dict[str, str]:
    """What every answer of the API carries (documented)."""
    return {"Content-Type": "application/json;charset=utf-8", "X-TSA-Trace-Id": trace_id}


@asynccontextmanager
async def serve(
    world: World | None = None,
    switches: Switches | None = None,
    *,
    port: int = 0,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Sandbox]:
    """A sandbox on 127.0.0.1 for as long as the block lasts; its end closes every connection at once.

    Args:
        world: What it holds; `None`: 20 accounts, looked at today.
        switches: How it behaves; `None`: as the API most likely does.
        port: 0 takes a free one.
        clock: Unix seconds; timestamps, quotas and the `Date` header go by it.

    Raises:
        OSError: The port is taken.
    """
    sandbox = Sandbox(world or World(today=beijing_day(clock())), switches or Switches(), clock)
    app = web.Application()
    for endpoint in Endpoint:
        handler = sandbox.get if endpoint is Endpoint.CALLS else sandbox.renew if endpoint.renews else sandbox.accounts
        app.router.add_get(endpoint.value, handler, allow_head=False)
    app.add_routes(Backstage(sandbox).routes())
    app.router.add_route("*", "/{path:.*}", sandbox.unknown)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, bound, *_ = runner.addresses[0]
        sandbox.base_url = f"http://{host}:{bound}"
        yield sandbox
    finally:
        sandbox.release()
        await runner.cleanup()

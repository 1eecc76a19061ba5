"""The stand-in API over real HTTP, on loopback only."""

import asyncio
import time
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Final
from uuid import UUID

from aiohttp import web

from harvester.model import AccountId
from harvester.sandbox.backstage import Backstage
from harvester.sandbox.envelope import answer, refusal
from harvester.sandbox.faults import Fault, FaultKind, pick
from harvester.sandbox.gate import Gate
from harvester.sandbox.pages import leaf, shelf
from harvester.sandbox.stage import LOOPED, Scene
from harvester.sandbox.stats import Stats
from harvester.sandbox.switches import Switches
from harvester.sandbox.weather import Weather
from harvester.sandbox.wire import Rejected, ask, credentials, parameters
from harvester.sandbox.world import World, beijing_day, chance

PATH: Final = "/v3.0/leads_call_records/get"
"""Where the endpoint lives below the base URL (documented)."""


class Sandbox:
    """A running sandbox.

    Attributes:
        base_url: For a client's configuration; no slash at its end.
        world: What it holds.
        switches: How it behaves.
        stats: What it saw.
    """

    def __init__(self, world: World, switches: Switches, clock: Callable[[], float]) -> None:
        self.base_url = ""
        self.world = world
        self.switches = switches
        self.stats = Stats()
        self._weather = Weather(switches, clock)
        self._gate = Gate(switches, self._weather.began_s)
        self._served: Counter[AccountId] = Counter()
        self._script: deque[Fault | None] = deque()
        self._closing = asyncio.Event()

    def script(self, *faults: Fault | str | None) -> None:
        """The next requests meet these faults, one each, in this order, instead of chance; `None`: all is well.

        Raises:
            ValueError: There is no such fault.
        """
        self._script.extend([Fault.parse(fault) if isinstance(fault, str) else fault for fault in faults])

    def outage(self, kind: Fault | str | None) -> None:
        """From now on every request meets this fault, whatever was scripted; `None`: no longer.

        Raises:
            ValueError: There is no such fault.
        """
        self._weather.storm = Fault.parse(kind) if isinstance(kind, str) else kind

    def release(self) -> None:
        """Let go of clients that hang: the sandbox is about to close."""
        self._closing.set()

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer `leads_call_records/get`, late or badly if the switches say so."""
        number = self.stats.enter()
        try:
            luck = chance(self.switches.seed, "request", number)
            fault = self._fault(luck, looped=request.rel_url.raw_query_string.startswith(LOOPED))
            scene = self._scene(request, luck, fault)
            if latency_s := self._weather.latency_s():
                await asyncio.sleep(latency_s * (0.5 + (luck & 0xFFFF) / 0x10000))
            return await scene.play(fault)
        finally:
            self.stats.leave()

    async def unknown(self, request: web.Request) -> web.Response:
        """Another path or method: the API's own refusal below `/v3.0/`, with 404 everywhere else."""
        self.stats.elsewhere += 1
        trace_id = f"{chance(request.method, request.path):032x}"
        status = 200 if request.path.startswith("/v3.0/") else 404
        return web.Response(status=status, body=refusal(Rejected(12007), trace_id), headers=_headers(trace_id))

    def _fault(self, luck: int, *, looped: bool) -> Fault | None:
        fault = Fault(FaultKind.LOOP) if looped else self._weather.outage()
        if fault is None:
            fault = self._script.popleft() if self._script else pick(self.switches.faults, luck / 2**64)
        if fault is not None:
            self.stats.faults[str(fault)] += 1
        return fault

    def _scene(self, request: web.Request, luck: int, fault: Fault | None) -> Scene:
        """The answer as it would be if nothing went wrong on its way."""
        now_s = self._weather.now_s()
        given = parameters(request.rel_url.raw_query_string)
        headers = _headers(f"{luck:016x}{self.stats.requests:016x}")
        try:
            body = self._page(given, now_s, luck, fault)
            self.stats.codes[0] += 1
        except Rejected as rejected:
            body = refusal(rejected, headers["X-TSA-Trace-Id"])
            self.stats.codes[rejected.code] += 1
        headers["Date"] = formatdate(now_s, usegmt=True)
        if self.switches.quota_header:
            headers["X-RateLimit-Remaining"] = self._gate.remaining(given.get("access_token", ""), now_s)
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

    def _page(self, given: dict[str, str], now_s: float, luck: int, fault: Fault | None) -> bytes:
        """The body of a good answer.

        Raises:
            Rejected: There is none.
        """
        grant = self._gate.admit(credentials(given), now_s, self.stats)
        wanted = ask(given, self.switches)
        account_id = wanted.account_id
        if account_id not in self.world.sizes or (grant.accounts is not None and account_id not in grant.accounts):
            raise Rejected(12201)
        if code := self.switches.code_of(account_id):
            raise Rejected(code)
        if fault is not None and fault.kind is FaultKind.CODE:
            raise Rejected(fault.code)
        calls = shelf(self.world, self.switches, wanted, (self._served[account_id], luck))
        page = leaf(calls, self.switches, wanted)
        self._served[account_id] += 1
        self.stats.calls += len(page.entities)
        return answer(page, self.switches, str(UUID(int=luck << 64 | luck, version=4)), wanted.fields)


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
    app.router.add_get(PATH, sandbox.get, allow_head=False)
    app.add_routes(Backstage(sandbox.world, sandbox.switches, sandbox.stats).routes())
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

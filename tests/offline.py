"""The sandbox without sockets: a `Transport` that asks it directly, on whatever clock the loop has."""

from collections.abc import Callable
from random import Random

import anyio

from harvester.api.envelope import Request, Response
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.server import Sandbox
from harvester.sandbox.switches import Switches
from harvester.sandbox.wire import parameters
from harvester.sandbox.world import World, chance


class OfflineTransport:
    """Answers as the sandbox would, after a while; counts in flight. Only faults that are codes happen.

    Args:
        world: What it holds.
        switches: How it behaves; its latency passes half before and half after the request is counted.
        wall: Unix seconds.
    """

    def __init__(self, world: World, switches: Switches, wall: Callable[[], float]) -> None:
        self.sandbox = Sandbox(world, switches, wall)
        self._luck = Random(switches.seed)  # noqa: S311 - a test's chance

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        stats, given, endpoint = self.sandbox.stats, parameters(request.query), Endpoint(request.path)
        latency_s = self.sandbox.switches.latency_s * (0.5 + self._luck.random())
        number = stats.enter() if endpoint is Endpoint.CALLS else stats.count(endpoint)
        try:
            await anyio.sleep(latency_s / 2)
            fault = self.sandbox.meet(endpoint, given, chance(self.sandbox.switches.seed, endpoint, number))
            verdict = self.sandbox.judge(endpoint, given, number, fault)
            left = self.sandbox.remaining(endpoint, given)
            await anyio.sleep(latency_s / 2)
        finally:
            if endpoint is Endpoint.CALLS:
                stats.leave()
        if verdict.renewed and self.sandbox.on_renewal is not None:
            self.sandbox.on_renewal(verdict.renewed)
        return Response(200, {} if left is None else {"x-ratelimit-remaining": left}, verdict.body)

"""The sandbox without sockets: a `Transport` that asks it directly, on whatever clock the loop has."""

from collections.abc import Callable
from random import Random

import anyio

from harvester.api.protocol import Request, Response
from harvester.sandbox.envelope import refusal
from harvester.sandbox.server import Sandbox
from harvester.sandbox.switches import Switches
from harvester.sandbox.wire import Rejected, parameters
from harvester.sandbox.world import World


class OfflineTransport:
    """Answers as the sandbox would, after a while; counts in flight.

    Args:
        world: What it holds.
        switches: How it behaves; its latency passes half before and half after the request is counted.
        wall: Unix seconds.
    """

    def __init__(self, world: World, switches: Switches, wall: Callable[[], float]) -> None:
        self.sandbox = Sandbox(world, switches, wall)
        self._wall = wall
        self._luck = Random(switches.seed)  # noqa: S311 - a test's chance

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        stats, given = self.sandbox.stats, parameters(request.query)
        latency_s = self.sandbox.switches.latency_s * (0.5 + self._luck.random())
        number = stats.enter()
        try:
            await anyio.sleep(latency_s / 2)
            try:
                body = self.sandbox._page(given, self._wall(), number, None)
                stats.codes[0] += 1
            except Rejected as rejected:
                body = refusal(rejected, f"{number:032x}")
                stats.codes[rejected.code] += 1
            left = self.sandbox._gate.remaining(given["access_token"], self._wall())
            await anyio.sleep(latency_s / 2)
        finally:
            stats.leave()
        return Response(200, {"x-ratelimit-remaining": left}, body)

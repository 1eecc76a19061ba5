"""What changes while the sandbox serves: outages, slow times, a bar; by a clock that tests move."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Switches
from harvester.sandbox.weather import Weather
from harvester.sandbox.world import World
from tests.sandbox.helpers import NOW_S, Client, Clock, until

pytestmark = pytest.mark.anyio
Connect = Callable[[Sandbox], Client]


async def status(client: Client) -> int:
    """The HTTP status of an answer; 0: none came."""
    try:
        async with client.session.get(client.url(timestamp=int(client.sandbox._weather.now_s()))) as response:
            return response.status
    except aiohttp.ClientError:
        return 0


async def test_outages_begin_and_end_by_the_clock(world: World, clock: Clock, connect: Connect) -> None:
    """Everybody meets the fault from the first second on, nobody at the last; chance and script wait meanwhile."""
    switches = Switches(outages=((30, 90, "unavailable"), (90, 100, "bad-gateway")))
    async with serve(world, switches, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script(None, "server-error")
        seen = []
        for at in (0, 30, 60, 89.9, 90, 100, 101):
            clock.now_s = NOW_S + at
            seen.append(await status(client))
    assert seen == [200, 503, 503, 503, 502, 500, 200]
    assert sandbox.stats.faults == {"unavailable": 3, "bad-gateway": 1, "server-error": 1}
    assert sandbox.stats.requests == len(sandbox.stats.arrivals["1100000"]) == 7


async def test_an_outage_is_switched_by_hand(world: World, clock: Clock, connect: Connect) -> None:
    """It begins and ends when told to, whatever the clock and the script say; requests that meet it are counted."""
    async with serve(world, Switches(outages=((0, 9, "unavailable"),)), clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("bad-gateway")
        assert await status(client) == 503
        sandbox.outage("reset")
        assert await status(client) == 0
        sandbox.outage("code:51001")
        assert await client.code() == 51001
        sandbox.outage(None)
        assert await status(client) == 503
        clock.now_s += 9
        assert [await status(client) for _ in range(2)] == [502, 200]
    # the client resends once by itself after the reset
    assert sandbox.stats.requests == len(sandbox.stats.arrivals["1100000"]) == 7


async def test_an_outage_may_hang(world: World, clock: Clock, connect: Connect) -> None:
    """Its requests stay in flight until their clients go; afterwards all is well."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.outage("hang")
        tasks = [asyncio.create_task(client.body()) for _ in range(3)]
        await until(lambda: sandbox.stats.in_flight == 3)
        sandbox.outage(None)
        assert await client.code() == 0
        for task in tasks:
            task.cancel()
        await until(lambda: sandbox.stats.in_flight == 0)
        assert all(isinstance(one, BaseException) for one in await asyncio.gather(*tasks, return_exceptions=True))


def test_an_unknown_outage_is_no_switch() -> None:
    """Neither by the clock nor by hand."""
    with pytest.raises(ValueError, match="nope"):
        Switches(outages=((0, 1, "nope"),))
    with pytest.raises(ValueError, match="neighbour"):
        Switches(neighbour_per_minute=-1)


def test_slow_times_come_and_go() -> None:
    """Between two moments, from the beginning, or from then on; without a slow latency never."""
    clock = Clock()
    between = Weather(Switches(latency_s=0.1, slow_latency_s=5, slow_from_s=10, slow_until_s=20), clock)
    at_first = Weather(Switches(slow_latency_s=5, slow_until_s=20), clock)
    at_last = Weather(Switches(slow_latency_s=5, slow_from_s=20), clock)
    never = Weather(Switches(latency_s=0.1, slow_from_s=0), clock)
    seen = []
    for at in (0, 10, 19.9, 20):
        clock.now_s = NOW_S + at
        seen.append([weather.latency_s() for weather in (between, at_first, at_last, never)])
    assert seen == [[0.1, 5, 0, 0.1], [5, 5, 0, 0.1], [5, 5, 0, 0.1], [0.1, 0, 5, 0.1]]


async def test_slow_answers_are_waited_for(
    world: World, clock: Clock, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the slow latency to one and a half of it, while the times are slow."""
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)

    async with serve(world, Switches(slow_latency_s=20.0, slow_until_s=5), clock=clock) as sandbox:
        client = connect(sandbox)
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            assert [await client.code() for _ in range(5)] == [0] * 5
            clock.now_s += 5
            assert [await client.code() for _ in range(5)] == [0] * 5
    assert len(set(waits)) == 5
    assert all(10 <= wait < 30 for wait in waits)


async def test_requests_behind_a_closed_door_are_counted(world: World, clock: Clock, connect: Connect) -> None:
    """Not the one that closed it, but every later one until it opens, whatever fault it meets."""
    async with serve(world, Switches(requests_per_minute=2, penalty_s=60), clock=clock) as sandbox:
        client = connect(sandbox)
        assert [await client.code() for _ in range(3)] == [0, 0, 11017]
        assert sandbox.stats.barred == 0
        sandbox.script(None, "unavailable")
        assert [await status(client) for _ in range(3)] == [200, 503, 200]
        assert sandbox.stats.barred == 3
        clock.now_s += 60
        assert await status(client) == 200
        async with client.session.get(f"{sandbox.base_url}/sandbox/stats") as response:
            assert (await response.json())["barred"] == 3


async def test_the_header_can_be_left_out(world: World, clock: Clock, connect: Connect) -> None:
    """An API that does not tell what is left."""
    async with serve(world, Switches(quota_header=False), clock=clock) as sandbox:
        client = connect(sandbox)
        async with client.session.get(client.url()) as response:
            assert "X-RateLimit-Remaining" not in response.headers
            assert "X-TSA-Trace-Id" in response.headers


async def test_the_header_is_of_this_moment_for_refused_requests_too(
    world: World, clock: Clock, connect: Connect
) -> None:
    """A neighbour and a fixed minute show in it, also when a token has expired meanwhile."""
    switches = Switches(requests_per_minute=100, neighbour_per_minute=60)
    async with serve(world, switches, clock=clock) as sandbox:
        client = connect(sandbox)
        clock.now_s += 9
        async with client.session.get(client.url(page_size="x")) as response:
            assert response.headers["X-RateLimit-Remaining"] == "100%,89%"


async def test_strangers_are_counted_though_no_app_is_theirs(world: World, clock: Clock, connect: Connect) -> None:
    """A bad token is a request and a code; arrivals are those of known apps."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        assert [await client.code(access_token=token) for token in ("stranger", "", None)] == [11002, 11005, 12000]
    assert (sandbox.stats.requests, sandbox.stats.arrivals) == (3, {})
    assert sandbox.stats.codes == {11002: 1, 11005: 1, 12000: 1}

"""Each fault, as a client meets it on a real connection."""

import asyncio
import zlib
from collections.abc import Callable

import aiohttp
import orjson
import pytest

from harvester.sandbox.faults import Fault, FaultKind, pick
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.stage import ELSEWHERE, gzip_bomb
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.sandbox.helpers import Client, Clock, until

pytestmark = pytest.mark.anyio
Connect = Callable[[Sandbox], Client]
SMALL = Switches(fault_bytes=3 << 20, drip_s=0.0)


async def test_a_reset_comes_before_the_headers(world: World, clock: Clock, connect: Connect) -> None:
    """The client's own resend meets it too, so it gives up; the sandbox has judged both nevertheless."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        sandbox.script("reset", "reset")
        with pytest.raises(aiohttp.ClientOSError):
            await connect(sandbox).body()
        assert sandbox.stats.codes == {0: 1, 12100: 1}


async def test_a_silent_resend_shows_as_a_repeated_nonce(world: World, clock: Clock, connect: Connect) -> None:
    """The client sends an idempotent request again by itself when its kept connection dies: one call, two requests."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script(None, "reset")
        assert await client.code() == 0
        assert await client.code() == 12100
        assert (sandbox.stats.requests, sandbox.stats.repeated_nonces) == (3, 1)


async def test_a_connection_closes_behind_a_good_answer(world: World, clock: Clock, connect: Connect) -> None:
    """The answer is whole and promises to keep the connection, which is gone."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("close")
        async with client.session.get(client.url()) as response:
            assert orjson.loads(await response.read())["code"] == 0
            assert response.headers.get("Connection", "keep-alive") == "keep-alive"
            assert response.content.at_eof()
        assert await client.code() == 0


async def test_a_body_is_cut_short(world: World, clock: Clock, connect: Connect) -> None:
    """Less comes than the header promised."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        sandbox.script("cut")
        with pytest.raises(aiohttp.ClientPayloadError):
            await connect(sandbox).body()


async def test_garbage_is_no_json(world: World, clock: Clock, connect: Connect) -> None:
    """HTTP 200, the promised length, and half of a text."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        sandbox.script("garbage")
        with pytest.raises(orjson.JSONDecodeError):
            await connect(sandbox).ask()


@pytest.mark.parametrize(
    ("fault", "status", "type_"),
    [
        ("bad-gateway", 502, "text/html"),
        ("unavailable", 503, None),
        ("server-error", 500, "text/html"),
        ("html", 200, "text/html"),
        ("too-many", 429, None),
    ],
)
async def test_a_gateway_answers_without_an_envelope(
    world: World, connect: Connect, fault: str, status: int, *, type_: str | None
) -> None:
    """HTML or nothing, and with 429 when to come again; the request counts as any other."""
    async with serve(world, SMALL, clock=Clock()) as sandbox:
        client = connect(sandbox)
        sandbox.script(fault)
        async with client.session.get(client.url()) as response:
            body = await response.read()
    assert response.status == status
    assert bool(body) is (type_ is not None)
    assert type_ is None or (response.content_type == type_ and b"<html>" in body)
    assert response.headers.get("Retry-After") == ("7" if status == 429 else None)
    assert "X-TSA-Trace-Id" not in response.headers
    assert (sandbox.stats.requests, sandbox.stats.faults) == (1, {fault: 1})
    assert len(sandbox.stats.arrivals["1100000"]) == 1


@pytest.mark.parametrize(
    ("code", "kind"), [(51001, "SysException"), (30007, "SysException"), (11016, "BusinessException")]
)
async def test_any_code_can_be_told(world: World, connect: Connect, code: int, kind: str) -> None:
    """HTTP 200 with the code that was scripted and the kind that goes with it."""
    async with serve(world, SMALL, clock=Clock()) as sandbox:
        sandbox.script(f"code:{code}")
        answer = await connect(sandbox).ask()
    assert (answer["code"], answer["code_type"]) == (code, kind)
    assert "data" not in answer


async def test_a_redirect_leads_elsewhere(world: World, clock: Clock, connect: Connect) -> None:
    """302 to another host."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("redirect")
        async with client.session.get(client.url(), allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (302, ELSEWHERE)


@pytest.mark.parametrize("fault", ["huge", "bomb"])
async def test_a_body_is_far_too_large(world: World, connect: Connect, fault: str) -> None:
    """It becomes as many bytes as the switch says, whether they travel or not."""
    async with serve(world, SMALL, clock=Clock()) as sandbox:
        client = connect(sandbox)
        sandbox.script(fault)
        async with client.session.get(client.url()) as response:
            size = sum([len(piece) async for piece in response.content.iter_any()])
    assert 3 << 20 <= size < (3 << 20) + 100


def test_a_bomb_is_small_and_valid() -> None:
    """A thousandth on the wire, and a gzip stream to its last byte."""
    packed = b"".join(gzip_bomb(8 << 20))
    assert len(packed) < 20_000
    assert zlib.decompress(packed, 31) == b"0" * (8 << 20)


async def test_a_hanging_answer_ends_with_its_client(world: World, clock: Clock, connect: Connect) -> None:
    """Nothing comes; when the client goes, the sandbox notices."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("hang")
        task = asyncio.create_task(client.body())
        await until(lambda: sandbox.stats.in_flight == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: sandbox.stats.in_flight == 0)


async def test_a_stalled_body_ends_with_its_client(world: World, clock: Clock, connect: Connect) -> None:
    """The headers and half of the body come at once, then nothing; when the client goes, the sandbox notices."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("stall")
        async with client.session.get(client.url()) as response:
            promised = int(response.headers["Content-Length"])
            assert len(await response.content.readexactly(promised // 2)) == promised // 2
            assert sandbox.stats.in_flight == 1
        await until(lambda: sandbox.stats.in_flight == 0)


async def test_noise_is_no_http(world: World, clock: Clock, connect: Connect) -> None:
    """The client cannot read it, the connection ends, and the request was counted."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("noise")
        with pytest.raises(aiohttp.ClientResponseError):
            await client.body()
        assert (sandbox.stats.requests, sandbox.stats.codes) == (1, {0: 1})
        assert await client.code() == 0


async def test_a_loop_is_endless(world: World, clock: Clock, connect: Connect) -> None:
    """Whoever follows it stays on the host, carries the query along, and is counted each time."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("loop")
        with pytest.raises(aiohttp.TooManyRedirects):
            await client.session.get(client.url(), max_redirects=5)
        assert (sandbox.stats.requests, sandbox.stats.repeated_nonces, sandbox.stats.faults) == (5, 4, {"loop": 5})
        sandbox.script("loop")
        url = client.url()
        async with client.session.get(url, allow_redirects=False) as response:
            assert response.headers["Location"] == f"get?sandbox_loop=1&{url.raw_query_string}"
        assert await client.code() == 0


async def test_an_odd_gzip_is_none(world: World, clock: Clock, connect: Connect) -> None:
    """The header says so, the body does not begin like one."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        sandbox.script("odd-gzip")
        with pytest.raises(aiohttp.ClientPayloadError):
            await connect(sandbox).body()


async def test_a_header_is_far_too_long(world: World, clock: Clock, connect: Connect) -> None:
    """A mebibyte of it, in front of a good answer."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("long-header")
        async with client.session.get(client.url(), max_field_size=2 << 20, max_line_size=2 << 20) as response:
            assert len(response.headers["X-Long"]) == 1 << 20
            assert orjson.loads(await response.read())["code"] == 0


async def test_a_dripping_body_is_whole_in_the_end(world: World, clock: Clock, connect: Connect) -> None:
    """Sixteen pieces, one good answer."""
    async with serve(world, SMALL, clock=clock) as sandbox:
        sandbox.script("drip")
        assert await connect(sandbox).code() == 0


async def test_latency_is_waited_for(
    world: World, clock: Clock, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer waits between half of the latency and one and a half of it."""
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)

    async with serve(world, Switches(latency_s=0.2), clock=clock) as sandbox:
        client = connect(sandbox)
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            assert [await client.code() for _ in range(20)] == [0] * 20
    assert len(set(waits)) > 10
    assert all(0.1 <= wait < 0.3 for wait in waits)


async def test_faults_by_chance_are_seeded(world: World, connect: Connect) -> None:
    """About as many as their probability says, the same ones in every run."""
    switches = Switches(faults={Fault(FaultKind.CODE, 51001): 0.3, Fault(FaultKind.CODE, 10000): 0.2})
    runs = []
    for _ in range(2):
        async with serve(world, switches, clock=Clock()) as sandbox:
            client = connect(sandbox)
            runs.append([await client.code() for _ in range(100)])
    assert runs[0] == runs[1]
    assert 20 <= runs[0].count(51001) <= 40
    assert 10 <= runs[0].count(10000) <= 30


def test_faults_are_read_by_name() -> None:
    """Every kind reads back as it is written; a code needs its number, and nothing else has one."""
    for kind in FaultKind:
        fault = Fault(kind, 51001 if kind is FaultKind.CODE else 0)
        assert Fault.parse(str(fault)) == fault
    for wrong in ("", "nope", "code", "code:0", "code:x", "reset:5"):
        with pytest.raises(ValueError, match=r".+"):
            Fault.parse(wrong)


def test_a_share_falls_on_one_fault() -> None:
    """Probabilities lie side by side."""
    faults = {Fault(FaultKind.RESET): 0.25, Fault(FaultKind.CUT): 0.25}
    picked = [pick(faults, share) for share in (0.0, 0.24, 0.25, 0.49, 0.5, 0.99)]
    assert [str(fault) for fault in picked] == ["reset", "reset", "cut", "cut", "None", "None"]

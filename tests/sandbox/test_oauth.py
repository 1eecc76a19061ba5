"""Tokens over the wire: what answers look like, what is refused, what faults do to a renewal."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.faults import IN_FRONT, Fault, FaultKind
from harvester.sandbox.grants import ACCESS, CLIENT_ID, CLIENT_SECRET, REFRESH, SCOPES, Grant
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Numbers, Switches
from harvester.sandbox.world import World
from tests.sandbox.helpers import NOW_S, Client, Clock, until

pytestmark = pytest.mark.anyio
Connect = Callable[[Sandbox], Client]
ROTATE = Endpoint.ROTATE
OTHER, STRANGER = "other-refresh-token", "stranger"


async def test_an_extension_looks_as_documented(world: World, clock: Clock, connect: Connect) -> None:
    """No refresh token, lives in seconds, who granted what; nothing asks for token, timestamp or nonce."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        answer = await client.renew()
        pair = sandbox.authority.pair()
        assert await client.code(access_token=pair.access) == 0
        assert await client.code() == 0
    assert (answer["code"], answer["message"], answer["message_cn"]) == (0, "", "")
    assert answer["data"].pop("authorizer_info")["scope_list"] == list(SCOPES)
    assert answer["data"] == {
        "access_token": pair.access,
        "access_token_expires_in": 86_400,
        "refresh_token_expires_in": 2_592_000,
    }
    assert (sandbox.stats.token_requests, sandbox.stats.renewals) == (1, {(ACCESS, "extend"): 1})
    assert (sandbox.stats.requests, sandbox.stats.codes, sandbox.stats.faults) == (2, {0: 2}, {})


async def test_a_rotation_looks_as_documented(world: World, clock: Clock, connect: Connect) -> None:
    """Both tokens and both lives; the old access token is dead on arrival."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        answer = await client.renew(ROTATE)
        pair = sandbox.authority.pair()
        assert [await client.code(), await client.code(access_token=pair.access)] == [11002, 0]
        assert (await client.renew(ROTATE))["code"] == 11012
    assert answer["data"] == {
        "access_token": pair.access,
        "refresh_token": pair.refresh,
        "access_token_expires_in": 86_400,
        "refresh_token_expires_in": 2_592_000,
    }
    assert (sandbox.stats.bad_token, sandbox.stats.dead_token) == (1, {ACCESS: 1})
    assert sandbox.stats.refused_renewals == {11012: 1}


async def test_switches_shape_the_answer(world: World, clock: Clock, connect: Connect) -> None:
    """The refresh token repeated, no authorizer, lives as strings, other lives."""
    switches = Switches(
        repeat_refresh=True,
        authorizer_info=False,
        lives=Numbers.STRING,
        grants=(Grant(refresh=REFRESH, access_life_s=60),),
    )
    async with serve(world, switches, clock=clock) as sandbox:
        data = (await connect(sandbox).renew())["data"]
    assert data.pop("access_token")
    assert data == {
        "refresh_token": REFRESH,
        "access_token_expires_in": "60",
        "refresh_token_expires_in": "2592000",
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": None}, 18001),
        ({"client_id": "app"}, 18002),
        ({"client_id": 7}, 11007),
        ({"client_secret": None}, 18001),
        ({"client_secret": "wrong"}, 11007),
        ({"client_secret": "x" * 257}, 18003),
        ({"grant_type": None}, 18001),
        ({"grant_type": "password"}, 18009),
        ({"grant_type": "authorization_code"}, 11011),
        ({"refresh_token": None}, 18001),
        ({"refresh_token": ""}, 11010),
        ({"refresh_token": "x" * 257}, 11010),
        ({"refresh_token": "unknown"}, 11012),
    ],
)
async def test_wrong_requests_are_refused(
    world: World, connect: Connect, changes: dict[str, object], *, code: int
) -> None:
    """An envelope with HTTP 200 and both messages, and nothing is renewed."""
    async with serve(world, clock=Clock()) as sandbox:
        answer = await connect(sandbox).renew(Endpoint.EXTEND, **changes)
        assert sandbox.authority.pair().access == ACCESS
    assert answer["code"] == code
    assert answer["message"]
    assert answer["message_cn"]
    assert answer["code_type"] == "BusinessException"
    assert (sandbox.stats.refused_renewals, sandbox.stats.renewals, sandbox.stats.codes) == ({code: 1}, {}, {})


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in IN_FRONT and kind is not FaultKind.CODE])
async def test_after_most_faults_the_tokens_are_new(world: World, connect: Connect, kind: FaultKind) -> None:
    """The answer is lost or spoilt, and the old pair is dead all the same; whoever listens is told."""
    told: list[str] = []
    async with serve(world, Switches(fault_bytes=1 << 20, drip_s=0.0), clock=Clock()) as sandbox:
        client = connect(sandbox)
        sandbox.on_renewal = told.append
        sandbox.script_oauth(Fault(kind))
        request = asyncio.create_task(client.renew(ROTATE))
        await until(lambda: bool(sandbox.stats.renewals))
        if kind in {FaultKind.HANG, FaultKind.STALL}:
            request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        assert await client.code() == 11002
        await until(lambda: bool(told))
    assert sandbox.stats.renewals[ACCESS, "rotate"] == 1
    assert told == [ACCESS]
    assert sandbox.stats.faults == {f"token {kind}": 1}


@pytest.mark.parametrize("fault", [*(str(kind) for kind in sorted(IN_FRONT)), "code:51001", "code:11017"])
async def test_what_stands_in_front_lets_nothing_through(world: World, connect: Connect, fault: str) -> None:
    """Nothing was renewed, nobody is told, and the same request again succeeds."""
    told: list[str] = []
    async with serve(world, clock=Clock()) as sandbox:
        client = connect(sandbox)
        sandbox.on_renewal = told.append
        sandbox.script_oauth(fault)
        given = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH}
        async with client.session.get(sandbox.base_url + ROTATE, params=given, allow_redirects=False) as response:
            await response.read()
        assert (sandbox.authority.pair().access, told) == (ACCESS, [])
        assert (await client.renew(ROTATE))["code"] == 0


async def test_codes_come_before_anything_is_renewed(world: World, clock: Clock, connect: Connect) -> None:
    """Busy now, well the next time, with the same refresh token."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script_oauth("code:51001", None)
        assert [(await client.renew(ROTATE))["code"] for _ in range(3)] == [51001, 0, 11012]
    assert sandbox.stats.refused_renewals == {51001: 1, 11012: 1}


async def test_faults_of_calls_spare_tokens_and_the_other_way_round(
    world: World, clock: Clock, connect: Connect
) -> None:
    """Each kind of request meets its own script, chance and outage."""
    busy = Fault(FaultKind.CODE, 51001)
    async with serve(world, Switches(faults={busy: 1.0}), clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.outage("code:10000")
        sandbox.script("code:60000")
        assert [(await client.renew())["code"], (await client.list())["code"]] == [0, 0]
        assert await client.code() == 10000
    async with serve(world, Switches(oauth_faults={busy: 1.0}, listing_faults={busy: 0.5}), clock=clock) as sandbox:
        client = connect(sandbox)
        assert [(await client.renew())["code"], await client.code()] == [51001, 0]
        lists = [(await client.list())["code"] for _ in range(40)]
        assert 10 < lists.count(51001) < 30
        sandbox.script_lists("code:60000")
        assert (await client.list())["code"] == 60000


async def test_concurrent_renewals_are_counted(world: World, clock: Clock, connect: Connect) -> None:
    """Those with the same refresh token while one is being answered, not those before or after."""
    grants = (Grant(refresh=REFRESH), Grant(access="b", refresh=OTHER))
    async with asyncio.TaskGroup() as tasks, serve(world, Switches(grants=grants), clock=clock) as sandbox:
        client = connect(sandbox)
        assert (await client.renew())["code"] == 0
        sandbox.script_oauth("hang")
        tasks.create_task(_fails(client))
        await until(lambda: sandbox.stats.token_requests == 2)
        assert (await client.renew(refresh_token=OTHER))["code"] == 0
        assert sandbox.stats.concurrent_renewals == 0
        assert (await client.renew())["code"] == 0
        assert sandbox.stats.concurrent_renewals == 1


async def _fails(client: Client) -> None:
    with pytest.raises(aiohttp.ClientError):
        await client.renew()


async def test_whoever_listens_is_told_when_the_answer_is_out(world: World, clock: Clock) -> None:
    """The bytes can be read from the socket in the very moment of the call."""
    async with serve(world, Switches(grants=(Grant(name="north", refresh=REFRESH),)), clock=clock) as sandbox:
        host, _, port = sandbox.base_url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        raw = writer.get_extra_info("socket").dup()
        raw.setblocking(False)
        seen: list[tuple[str, bytes]] = []
        sandbox.on_renewal = lambda name: seen.append((name, bytes(raw.recv(1 << 16, 2))))  # 2 is MSG_PEEK
        query = f"client_id=1100000&client_secret=sandbox-client-secret&refresh_token={REFRESH}"
        writer.write(f"GET {ROTATE}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        await until(lambda: bool(seen))
        whole = await reader.read()
        writer.close()
        raw.close()
    assert seen == [("north", whole)]
    assert sandbox.authority.pair("north").access.encode() in whole


async def test_a_token_that_is_not_good_yet_becomes_good(world: World, clock: Clock, connect: Connect) -> None:
    """A private app waits ten minutes, in which the old token, rotated away, does not help either."""
    async with serve(world, Switches(new_token_after_s=600), clock=clock) as sandbox:
        client = connect(sandbox)
        access = (await client.renew(ROTATE))["data"]["access_token"]
        assert [await client.code(), await client.code(access_token=access)] == [11002, 11002]
        clock.now_s += 600
        assert await client.code(access_token=access, timestamp=int(clock.now_s)) == 0


async def test_tokens_are_revoked_by_hand(world: World, clock: Clock, connect: Connect) -> None:
    """A person withdrew what was granted."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.revoke(ACCESS)
        sandbox.revoke(REFRESH)
        assert [await client.code(), (await client.list())["code"], (await client.renew())["code"]] == [
            11002,
            11002,
            11012,
        ]
    assert (sandbox.stats.bad_token, sandbox.stats.dead_token) == (2, {ACCESS: 2})


async def test_statistics_tell_of_tokens(world: World, clock: Clock, connect: Connect) -> None:
    """For people, as JSON."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        account_id = world.account_ids[0]
        await client.renew()
        await client.renew(refresh_token=STRANGER)
        await client.list()
        await client.code(access_token=STRANGER)
        async with client.session.get(f"{sandbox.base_url}/sandbox/stats") as response:
            stats = await response.json()
    assert stats["renewals"] == [{"grant": ACCESS, "how": "extend", "count": 1}]
    expected = {
        "token_requests": 2,
        "refused_renewals": {"11012": 1},
        "concurrent_renewals": 0,
        "bad_token": 1,
        "dead_token": {},
        "list_requests": {"advertiser": 1},
        "list_codes": {"0": 1},
        "by_account": {str(account_id): 1},
        "codes": {"11002": 1},
    }
    assert {name: stats[name] for name in expected} == expected


async def test_oauth_is_asked_by_get_without_a_version(world: World, clock: Clock, connect: Connect) -> None:
    """Any other method or place is elsewhere; the answer is compressed and indented like every other."""
    async with serve(world, Switches(gzip=True, pretty=True, extra_field=True), clock=clock) as sandbox:
        client = connect(sandbox)
        for method, path, status in (("POST", ROTATE, 404), ("GET", "/v3.0/oauth/token", 200), ("GET", "/oauth", 404)):
            async with client.session.request(method, sandbox.base_url + path) as response:
                assert (response.status, (await response.json())["code"]) == (status, 12007)
        assert sandbox.stats.elsewhere == 3
        answer = await client.renew()
        assert list(answer) == ["sandbox_extra", "code", "message", "message_cn", "data"]


async def test_latency_is_waited_for_here_too(
    world: World, clock: Clock, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens and lists take as long as calls do; the tokens are new before the wait."""
    waits: list[tuple[float, bool]] = []
    async with serve(world, Switches(latency_s=0.2), clock=clock) as sandbox:
        client = connect(sandbox)

        async def sleep(delay_s: float) -> None:
            waits.append((delay_s, sandbox.authority.pair().access != ACCESS))

        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            await client.list()
            await client.renew()
    assert [new for _, new in waits] == [False, True]
    assert all(0.1 <= wait < 0.3 for wait, _ in waits)
    assert clock.now_s == NOW_S

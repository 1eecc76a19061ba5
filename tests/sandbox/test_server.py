"""The stand-in over real sockets: envelope, headers, switches of the body, backstage."""

import asyncio
from collections.abc import Callable

import aiohttp
import orjson
import pytest

from harvester.model import AccountId
from harvester.sandbox.entity import FIELDS
from harvester.sandbox.server import PATH, Sandbox, serve
from harvester.sandbox.switches import ACCESS, Empty, Grant, Numbers, Switches, Ties
from harvester.sandbox.world import World
from tests.sandbox.helpers import NOW_S, WINDOW, Client, Clock, until

pytestmark = pytest.mark.anyio
Connect = Callable[[Sandbox], Client]


async def raw(sandbox: Sandbox, head: str) -> tuple[bytes, bytes]:
    """Headers and body of the answer to these bytes, on a connection of its own."""
    host, _, port = sandbox.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.replace("\n", "\r\n").encode())
    head_out, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head_out, body


async def test_the_official_go_client_is_understood(world: World, heaviest: AccountId, clock: Clock) -> None:
    """Sorted parameters, `+` for a space, `Content-Type: text/plain`, `fields` as a JSON array, gzip accepted."""
    fields = "%5B" + "%2C".join(f"%22{name}%22" for name in FIELDS) + "%5D"
    query = (
        f"access_token={ACCESS}&account_id={heaviest}&end_date=2026-10-30&fields={fields}&nonce=5577006791947779410"
        f"&page=2&page_size=10&search_after=2026-10-29+13%3A15%3A29&start_date=2026-10-01&timestamp={int(NOW_S)}"
    )
    async with serve(world, clock=clock) as sandbox:
        head, body = await raw(
            sandbox,
            f"GET {PATH}?{query} HTTP/1.1\nHost: api.e.qq.com\nUser-Agent: Go-http-client/1.1\n"
            "Accept: application/json\nContent-Type: text/plain\nAccept-Encoding: gzip\nConnection: close\n\n",
        )
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Type: application/json;charset=utf-8\r\n" in head
    assert b"\r\nDate: Sat, 31 Oct 2026 00:00:00 GMT\r\n" in head
    assert b"\r\nX-RateLimit-Remaining: 100%,100%\r\n" in head
    answer = orjson.loads(body)
    assert list(answer) == ["code", "data", "message_cn", "message"]
    assert len(answer["data"]["entities"]) == 10
    assert {call["account_id"] for call in answer["data"]["entities"]} == {heaviest}


async def test_the_official_php_client_is_understood(world: World, heaviest: AccountId, clock: Clock) -> None:
    """Globals last, `%20` for a space, another order."""
    query = (
        f"account_id={heaviest}&page_size=10&page=1&start_date=2026-10-01&end_date=2026-10-30"
        f"&search_after=2026-10-29%2013%3A15%3A29&access_token={ACCESS}&timestamp={int(NOW_S)}&nonce=5f8d1c0c9ab3f"
    )
    async with serve(world, clock=clock) as sandbox:
        _, body = await raw(
            sandbox,
            f"GET {PATH}?{query} HTTP/1.1\nHost: api.e.qq.com\nUser-Agent: GuzzleHttp/7\nAccept: application/json\n"
            "Content-Type: text/plain\nConnection: close\n\n",
        )
    assert orjson.loads(body)["code"] == 0


async def test_a_page_holds_the_truths_own_bytes(
    world: World, heaviest: AccountId, clock: Clock, connect: Connect
) -> None:
    """Each call on the wire is, byte for byte, a line of the truth."""
    async with serve(world, Switches(ties=Ties.REVERSED), clock=clock) as sandbox:
        client = connect(sandbox)
        body = await client.body(account_id=heaviest, page_size=200)
        async with client.session.get(
            f"{sandbox.base_url}/sandbox/truth?account_id={heaviest}&start_date={WINDOW.start}&end_date={WINDOW.end}"
        ) as response:
            truth = (await response.read()).splitlines()
    assert truth == list(world.calls(heaviest, WINDOW))
    info = orjson.loads(body)["data"]["page_info"]
    total = len(truth)
    assert info == {"page": 1, "page_size": 200, "total_number": total, "total_page": -(-total // 200)}
    assert body[body.index(b"[") : body.index(b"]") + 1] == b"[" + b",".join(truth[:-201:-1]) + b"]"


async def test_an_error_is_an_envelope_with_http_200(world: World, clock: Clock, connect: Connect) -> None:
    """`trace_id` is the header's, `code_type` says whose fault it is, a wrong parameter is named."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        async with client.session.get(client.url(page_size="ten")) as response:
            answer = await response.json()
            trace_id = response.headers["X-TSA-Trace-Id"]
    assert response.status == 200
    assert (answer["code"], answer["trace_id"], answer["code_type"]) == (18002, trace_id, "BusinessException")
    assert "page_size" in answer["message"]
    assert "page_size" in answer["message_cn"]
    assert "page_size" in answer["errors"][0]["description"]


async def test_accounts_are_refused_with_their_codes(world: World, clock: Clock, connect: Connect) -> None:
    """Unknown, outside of the token's grant, and dead by a switch."""
    first, second, third, *_ = world.account_ids
    switches = Switches(account_codes={second: 32211}, grants=(Grant(accounts=frozenset({first, second})),))
    async with serve(world, switches, clock=clock) as sandbox:
        client = connect(sandbox)
        assert [await client.code(account_id=account_id) for account_id in (1, first, second, third)] == [
            12201,
            0,
            32211,
            12201,
        ]
    dead = Switches(dead_account_share=0.5)
    codes = {dead.code_of(AccountId(account_id)) for account_id in range(100)}
    assert codes == {0, 12201, 32211, 60002, 60003}


@pytest.mark.parametrize(("empty", "entities"), [(Empty.LIST, []), (Empty.NULL, None), (Empty.ABSENT, "absent")])
@pytest.mark.parametrize(("numbers", "total"), [(Numbers.INT, 0), (Numbers.STRING, "0"), (Numbers.EMPTY_ZERO, "")])
async def test_nothing_has_many_shapes(
    world: World, connect: Connect, empty: Empty, entities: object, *, numbers: Numbers, total: object
) -> None:
    """Entities as a list, null or absent; zero as a number, a string or an empty string."""
    async with serve(world, Switches(empty=empty, numbers=numbers), clock=Clock()) as sandbox:
        data = (await connect(sandbox).ask(start_date="2020-01-01", end_date="2020-01-02"))["data"]
    assert data.get("entities", "absent") == entities
    assert data["page_info"]["total_number"] == total


async def test_switches_of_the_body_keep_the_calls(
    world: World, heaviest: AccountId, clock: Clock, connect: Connect
) -> None:
    """Indented, compressed and extended bodies hold the same calls."""
    switches = Switches(pretty=True, gzip=True, extra_field=True)
    async with serve(world, switches, clock=clock) as sandbox:
        client = connect(sandbox)
        async with client.session.get(client.url(account_id=heaviest)) as response:
            body = await response.read()
            assert response.headers["Content-Encoding"] == "gzip"
    answer = orjson.loads(body)
    assert b"2.50" in body
    assert b"{\n" in body
    assert answer["sandbox_extra"] == ["unknown", None]
    truth = {orjson.loads(line)["call_id"]: orjson.loads(line) for line in world.calls(heaviest, WINDOW)}
    for call in answer["data"]["entities"]:
        assert call.pop("sandbox_extra")["big"] == 2**64 - 1
        assert truth[call["call_id"]] == call


async def test_fields_are_honoured(world: World, heaviest: AccountId, clock: Clock, connect: Connect) -> None:
    """Only the fields asked for come back."""
    async with serve(world, clock=clock) as sandbox:
        data = (await connect(sandbox).ask(account_id=heaviest, fields='["call_id","call_start_time"]'))["data"]
    assert {tuple(call) for call in data["entities"]} == {("call_id", "call_start_time")}


async def test_late_calls_arrive_while_an_account_is_read(
    world: World, heaviest: AccountId, clock: Clock, connect: Connect
) -> None:
    """The total grows once the account was served often enough, and for that account only."""
    other = next(account_id for account_id in world.account_ids if account_id != heaviest)
    async with serve(world, Switches(late_calls=1, late_after=2), clock=clock) as sandbox:
        client = connect(sandbox)
        totals = [
            (await client.ask(account_id=account_id))["data"]["page_info"]["total_number"]
            for account_id in (heaviest, other, heaviest, heaviest)
        ]
    whole = world.count(heaviest, WINDOW)
    assert [totals[0], *totals[2:]] == [whole - 7, whole - 7, whole]


async def test_the_quota_is_counted_where_it_is_spent(world: World, clock: Clock, connect: Connect) -> None:
    """Requests beyond the minute's quota get 11017, headers tell what is left, statistics tell what came."""
    async with serve(world, Switches(requests_per_minute=4), clock=clock) as sandbox:
        client = connect(sandbox)
        async with client.session.get(client.url()) as response:
            assert response.headers["X-RateLimit-Remaining"] == "100%,75%"
        assert [await client.code() for _ in range(5)] == [0, 0, 0, 11017, 11017]
        clock.now_s += 61
        assert await client.code(timestamp=int(clock.now_s)) == 0
        assert await client.code(timestamp=int(clock.now_s), nonce="nonce-0") == 12100
        async with client.session.get(f"{sandbox.base_url}/sandbox/stats") as response:
            stats = await response.json()
    assert stats["codes"] == {"0": 5, "11017": 2, "12100": 1}
    assert stats["repeated_nonces"] == 1
    assert stats["busiest"]["1100000"] == {"second": 6, "minute": 6, "day": 8}


async def test_unknown_paths_and_methods_are_refused(world: World, clock: Clock, connect: Connect) -> None:
    """12007 below the API's namespace, 404 elsewhere, always an envelope; they are counted by themselves."""
    async with serve(world, clock=clock) as sandbox:
        session = connect(sandbox).session
        for method, path, status in (("POST", PATH, 200), ("GET", "/v3.0/x/get", 200), ("GET", "/", 404)):
            async with session.request(method, sandbox.base_url + path) as response:
                assert (response.status, (await response.json())["code"]) == (status, 12007)
        assert (sandbox.stats.elsewhere, sandbox.stats.requests) == (3, 0)
        async with session.get(f"{sandbox.base_url}/sandbox/truth?account_id=x") as response:
            assert response.status == 400
        async with session.get(f"{sandbox.base_url}/sandbox/accounts") as response:
            assert [account["account_id"] for account in await response.json()] == list(world.account_ids)


async def test_concurrency_is_measured(world: World, clock: Clock, connect: Connect) -> None:
    """Requests that hang are in flight together, until the sandbox closes."""
    async with asyncio.TaskGroup() as tasks, serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("hang", "hang", "hang")
        for _ in range(3):
            tasks.create_task(_fails(client))
        await until(lambda: sandbox.stats.in_flight == 3)
        assert sandbox.stats.most_in_flight == 3


async def _fails(client: Client) -> None:
    with pytest.raises(aiohttp.ClientError):
        await client.body()

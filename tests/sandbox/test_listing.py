"""The accounts of a token: both endpoints, both ways to page, and how lists may end."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from harvester.model import AccountId
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.grants import Grant, Kind
from harvester.sandbox.roll import NASTY_NAME, STATUSES, TELLING_NAME, Roll
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Empty, Listing, Numbers, Switches
from harvester.sandbox.world import World
from tests.sandbox.helpers import NOW_S, TODAY, Client, Clock

pytestmark = pytest.mark.anyio
Connect = Callable[[Sandbox], Client]
LISTS = (Endpoint.ADVERTISER, Endpoint.ORGANIZATION)
NORMAL = "PAGINATION_MODE_NORMAL"


async def pages(client: Client, endpoint: Endpoint, most: int = 9) -> list[Any]:
    """The data of each page by cursor, until the last one, or as many as that."""
    seen: list[Any] = []
    cursor: object = None
    while len(seen) < most:
        seen.append((await client.list(endpoint, cursor=cursor))["data"])
        info = seen[-1]["cursor_page_info"]
        if not info.get("has_more"):
            break
        cursor = info["cursor"]
    return seen


def ids(data: Any) -> list[Any]:
    """The accounts of a page."""
    return [entry["account_id"] for entry in data.get("list") or []]


@pytest.mark.parametrize("endpoint", LISTS)
async def test_all_accounts_are_listed_by_cursor(world: World, connect: Connect, endpoint: Endpoint) -> None:
    """Each once, ascending, two a page; the last page says that it is the last."""
    async with serve(world, clock=Clock()) as sandbox:
        seen = await pages(connect(sandbox), endpoint)
    assert [account_id for data in seen for account_id in ids(data)] == list(world.account_ids)
    assert [len(ids(data)) for data in seen] == [2, 2, 1]
    assert [data["cursor_page_info"]["has_more"] for data in seen] == [True, True, False]
    assert {(data["cursor_page_info"]["page_size"], data["cursor_page_info"]["total_number"]) for data in seen} == {
        (2, 5)
    }
    assert all("page_info" not in data for data in seen)
    assert (sandbox.stats.list_requests, sandbox.stats.list_codes) == ({endpoint.noun: 3}, {0: 3})
    assert (sandbox.stats.requests, sandbox.stats.codes, sandbox.stats.arrivals) == (0, {}, {})


@pytest.mark.parametrize("endpoint", LISTS)
async def test_accounts_are_listed_by_page(world: World, connect: Connect, endpoint: Endpoint) -> None:
    """With the pages' own count; beyond the last one nothing comes."""
    async with serve(world, clock=Clock()) as sandbox:
        client = connect(sandbox)
        seen = [(await client.list(endpoint, pagination_mode=NORMAL, page=page))["data"] for page in (1, 2, 3, 4)]
    assert [ids(data) for data in seen] == [list(world.account_ids)[first : first + 2] for first in (0, 2, 4, 6)]
    assert seen[1]["page_info"] == {"page": 2, "page_size": 2, "total_number": 5, "total_page": 3}
    assert all("cursor_page_info" not in data for data in seen)


async def test_the_normal_mode_ends_at_a_thousand(clock: Clock, connect: Connect) -> None:
    """One endpoint shows nothing beyond, the other refuses to try; the cursor reaches all."""
    world = World(today=TODAY, accounts=1_010, calls_per_day=0)
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        tens = [
            ids((await client.list(pagination_mode=NORMAL, page=page, page_size=99))["data"]) for page in (10, 11, 12)
        ]
        refused = await client.list(Endpoint.ORGANIZATION, pagination_mode=NORMAL, page=11, page_size=100)
        by_cursor = await client.list(cursor=world.account_ids[999], page_size=100)
    assert [len(found) for found in tens] == [99, 10, 0]
    assert refused["code"] == 18003
    assert ids(by_cursor["data"]) == list(world.account_ids[1_000:])


async def test_each_list_says_its_own_share(world: World, clock: Clock, connect: Connect) -> None:
    """The advertisers' what was asked for, the organisation's all it has, and no state."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        asked = '["system_status","account_id","websites"]'
        (advertiser, *_), (own, *_) = (
            (await client.list(fields=asked))["data"]["list"],
            (await client.list(Endpoint.ORGANIZATION))["data"]["list"],
        )
        (few, *_) = (await client.list(Endpoint.ORGANIZATION, fields='["account_id"]'))["data"]["list"]
    assert set(advertiser) == {"account_id", "system_status"}
    assert set(own) == {"account_id", "corporation_name", "is_bid", "is_mp", "is_adx", "comment_list"}
    assert set(few) == {"account_id"}


@pytest.mark.parametrize(
    ("endpoint", "changes", "code"),
    [
        (Endpoint.ADVERTISER, {"fields": None}, 18001),
        (Endpoint.ADVERTISER, {"fields": ""}, 12003),
        (Endpoint.ADVERTISER, {"fields": "account_id"}, 12003),
        (Endpoint.ADVERTISER, {"fields": '"account_id"'}, 12008),
        (Endpoint.ADVERTISER, {"fields": '["call_id"]'}, 12009),
        (Endpoint.ADVERTISER, {"fields": "[]"}, 18012),
        (Endpoint.ORGANIZATION, {"fields": '["system_status"]'}, 12009),
        (Endpoint.ORGANIZATION, {"fields": "[]"}, 0),
        (Endpoint.ADVERTISER, {"pagination_mode": None}, 18001),
        (Endpoint.ORGANIZATION, {"pagination_mode": "CURSOR"}, 18009),
        (Endpoint.ADVERTISER, {"page_size": None}, 18001),
        (Endpoint.ORGANIZATION, {"page_size": None}, 0),
        (Endpoint.ADVERTISER, {"page_size": 0}, 18004),
        (Endpoint.ADVERTISER, {"page_size": 101}, 18003),
        (Endpoint.ADVERTISER, {"page_size": "2.0"}, 18002),
        (Endpoint.ADVERTISER, {"cursor": 0}, 18004),
        (Endpoint.ADVERTISER, {"cursor": ""}, 0),
        (Endpoint.ADVERTISER, {"pagination_mode": NORMAL}, 18001),
        (Endpoint.ORGANIZATION, {"pagination_mode": NORMAL}, 0),
        (Endpoint.ADVERTISER, {"pagination_mode": NORMAL, "page": 1_001}, 18003),
        (Endpoint.ORGANIZATION, {"pagination_mode": NORMAL, "page": 101}, 18003),
        (Endpoint.ADVERTISER, {"account_id": 1}, 12201),
        (Endpoint.ADVERTISER, {"agency_id": 0}, 18004),
        (Endpoint.ORGANIZATION, {"business_unit_id": "x"}, 18002),
        (Endpoint.ORGANIZATION, {"advertiser_type": "AGENCY"}, 18009),
        (Endpoint.ORGANIZATION, {"advertiser_type": "SUB_ADVERTISER"}, 0),
        (Endpoint.ADVERTISER, {"access_token": "stranger"}, 11002),
        (Endpoint.ADVERTISER, {"access_token": None}, 12000),
        (Endpoint.ADVERTISER, {"timestamp": 1}, 12101),
    ],
)
async def test_mistakes_have_their_codes(
    world: World, connect: Connect, endpoint: Endpoint, *, changes: dict[str, object], code: int
) -> None:
    """As the official pages have the parameters; nonces and tokens are looked at as with calls."""
    async with serve(world, clock=Clock()) as sandbox:
        answer = await connect(sandbox).list(endpoint, **changes)
    assert answer["code"] == code
    assert bool(answer["message_cn"]) is (code != 0)


async def test_a_grant_lists_its_own_accounts(world: World, clock: Clock, connect: Connect) -> None:
    """One of them can be asked for, one of somebody else's cannot."""
    mine = frozenset(world.account_ids[1:3])
    async with serve(world, Switches(grants=(Grant(accounts=mine),)), clock=clock) as sandbox:
        client = connect(sandbox)
        whole = (await client.list(page_size=100))["data"]
        one = (await client.list(account_id=max(mine)))["data"]
        assert (await client.list(account_id=world.account_ids[0]))["code"] == 12201
    assert (ids(whole), whole["cursor_page_info"]["total_number"]) == (sorted(mine), 2)
    assert (ids(one), one["cursor_page_info"]["has_more"]) == ([max(mine)], False)


async def test_the_roll_changes(world: World, clock: Clock, connect: Connect) -> None:
    """An account vanishes between two pages, or comes back; its calls are another matter."""
    first, second, third, fourth, fifth = world.account_ids
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.vanish(first)
        before = (await client.list())["data"]
        sandbox.vanish(third)
        after = (await client.list(cursor=before["cursor_page_info"]["cursor"]))["data"]
        sandbox.appear(first)
        assert await client.code(account_id=third) == 0
        again = (await client.list(page_size=9))["data"]
    assert [ids(before), ids(after), ids(again)] == [[second, third], [fourth, fifth], [first, second, fourth, fifth]]


@pytest.mark.parametrize(
    ("kind", "codes"), [(Kind.ANY, [0, 0]), (Kind.ADVERTISER, [0, 71003]), (Kind.ORGANIZATION, [60003, 0])]
)
async def test_a_token_of_the_other_kind_is_refused(
    world: World, connect: Connect, kind: Kind, *, codes: list[int]
) -> None:
    """By a business error; calls can be read under both."""
    async with serve(world, Switches(grants=(Grant(kind=kind),)), clock=Clock()) as sandbox:
        client = connect(sandbox)
        assert [(await client.list(endpoint))["code"] for endpoint in LISTS] == codes
        assert await client.code() == 0


async def test_a_company_names_its_agency(world: World, clock: Clock, connect: Connect) -> None:
    """Where a grant has one, the list of advertisers is not given without it, nor for another one."""
    async with serve(world, Switches(grants=(Grant(agency_id=AccountId(77)),)), clock=clock) as sandbox:
        client = connect(sandbox)
        codes = [(await client.list(agency_id=agency_id))["code"] for agency_id in (None, "", 78, 77)]
        assert (await client.list(Endpoint.ORGANIZATION))["code"] == 0
    assert codes == [18001, 18001, 12201, 0]


@pytest.mark.parametrize(
    ("listing", "sizes", "more"),
    [
        (Listing.HONEST, [2, 2], [True, False]),
        (Listing.BARE, [2, 2], [True, None]),
        (Listing.EMPTY_TAIL, [2, 2, 0], [True, True, False]),
        (Listing.ENDLESS, [2, 2, 0, 0, 0, 0, 0, 0, 0], [True] * 9),
        (Listing.REPEATS, [2] * 9, [True] * 9),
    ],
)
async def test_lists_end_in_many_ways(
    world: World, connect: Connect, listing: Listing, *, sizes: list[int], more: list[bool | None]
) -> None:
    """A client that believes `has_more` alone would go on for ever, by new cursors or by the same."""
    switches = Switches(listing=listing, grants=(Grant(accounts=frozenset(world.account_ids[:4])),))
    async with serve(world, switches, clock=Clock()) as sandbox:
        seen = await pages(connect(sandbox), Endpoint.ADVERTISER)
    assert [len(ids(data)) for data in seen] == sizes
    assert [data["cursor_page_info"].get("has_more") for data in seen] == more
    cursors = [data["cursor_page_info"].get("cursor") for data in seen]
    assert len(set(cursors)) == (1 if listing is Listing.REPEATS else len(cursors))
    assert {account_id for data in seen for account_id in ids(data)} == set(world.account_ids[:4])


@pytest.mark.parametrize("listing", Listing)
@pytest.mark.parametrize(("empty", "shown"), [(Empty.LIST, []), (Empty.NULL, None), (Empty.ABSENT, "absent")])
async def test_a_token_without_accounts_has_an_empty_list(
    world: World, connect: Connect, listing: Listing, empty: Empty, *, shown: object
) -> None:
    """In every shape that nothing has, and with numbers in theirs."""
    switches = Switches(listing=listing, empty=empty, numbers=Numbers.EMPTY_ZERO, grants=(Grant(accounts=frozenset()),))
    async with serve(world, switches, clock=Clock()) as sandbox:
        data = (await connect(sandbox).list())["data"]
    assert data.get("list", "absent") == shown
    assert data["cursor_page_info"]["total_number"] == ""


async def test_numbers_may_be_strings(world: World, clock: Clock, connect: Connect) -> None:
    """Ids and page infos, in both modes; a cursor stays a number."""
    async with serve(world, Switches(numbers=Numbers.STRING), clock=clock) as sandbox:
        client = connect(sandbox)
        by_cursor = (await client.list())["data"]
        normal = (await client.list(pagination_mode=NORMAL, page=1))["data"]
    assert by_cursor["cursor_page_info"]["total_number"] == "5"
    assert by_cursor["cursor_page_info"]["cursor"] == world.account_ids[1]
    assert ids(normal) == [str(account_id) for account_id in world.account_ids[:2]]
    assert normal["page_info"] == {"page": "1", "page_size": "2", "total_number": "5", "total_page": "3"}


async def test_each_endpoint_has_a_quota_of_its_own(world: World, clock: Clock, connect: Connect) -> None:
    """What one used is free at the others; the neighbour asks for calls only."""
    switches = Switches(requests_per_minute=2, neighbour_per_minute=2, neighbour_from_s=-60)
    async with serve(world, switches, clock=clock) as sandbox:
        client = connect(sandbox)
        assert [(await client.list())["code"] for _ in range(3)] == [0, 0, 11017]
        assert [(await client.list(Endpoint.ORGANIZATION))["code"] for _ in range(3)] == [0, 0, 11017]
        assert await client.code() == 11017
        assert sandbox.stats.list_codes == {0: 4, 11017: 2}
        query = f"?access_token=sandbox-access-token&timestamp={int(NOW_S)}&nonce=n"
        async with client.session.get(sandbox.base_url + Endpoint.ADVERTISER + query) as response:
            assert response.headers["X-RateLimit-Remaining"] == "100%,0%"


async def test_a_nonce_is_good_once_over_all_endpoints(world: World, clock: Clock, connect: Connect) -> None:
    """A token's nonces are never repeated, whatever is asked."""
    async with serve(world, clock=clock) as sandbox:
        client = connect(sandbox)
        assert (await client.code(nonce="n"), (await client.list(nonce="n"))["code"]) == (0, 12100)
    assert sandbox.stats.repeated_nonces == 1


def test_names_are_seeded_and_some_are_nasty() -> None:
    """Chinese and others, one that would command a terminal, one that tells a phone number."""
    world = World(today=dt.date(2026, 10, 31), accounts=200, calls_per_day=0)
    names = [Roll(world, 1).name(account_id) for account_id in world.account_ids]
    assert names == [Roll(world, 1).name(account_id) for account_id in world.account_ids]
    assert names[1:3] == [NASTY_NAME, TELLING_NAME]
    assert "\x1b" in NASTY_NAME
    assert 100 < sum(name.endswith("有限公司") for name in names) < 190
    assert names != [Roll(world, 2).name(account_id) for account_id in world.account_ids]


def test_states_are_seeded() -> None:
    """Most accounts are in order, and every other state occurs."""
    world = World(today=dt.date(2026, 10, 31), accounts=500, calls_per_day=0)
    states = [Roll(world, 1).status(account_id) for account_id in world.account_ids]
    assert set(states) == set(STATUSES)
    assert 400 < states.count("CUSTOMER_STATUS_NORMAL") < 470


def test_a_small_world_has_no_nasty_names() -> None:
    """The second and third account are nasty, if there are that many."""
    world = World(today=TODAY, accounts=1)
    assert Roll(world, 1).name(world.account_ids[0]) not in {NASTY_NAME, TELLING_NAME}
    assert Roll(world, 1).accounts(Grant(accounts=frozenset({AccountId(1)}))) == []

"""Accounts that answer with codes: altogether or on a day, from the beginning or by hand."""

import datetime as dt
from collections.abc import Callable

import aiohttp
import pytest

from harvester.model import AccountId
from harvester.sandbox.codes import messages
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.sickness import Sickness
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.sandbox.helpers import WINDOW, Client, Clock

pytestmark = pytest.mark.anyio
Connect = Callable[[Sandbox], Client]
DAY = dt.date(2026, 10, 27)


@pytest.mark.parametrize("code", [51001, 31002, 99999])
async def test_a_poisoned_day_spoils_every_window_that_has_it(world: World, connect: Connect, code: int) -> None:
    """Its first day and its last day included; other windows and other accounts are well."""
    sick, well, *_ = world.account_ids
    async with serve(world, Switches(poison=((sick, DAY, code),)), clock=Clock()) as sandbox:
        client = connect(sandbox)
        windows = [
            (WINDOW.start, WINDOW.end),
            (DAY, DAY),
            (DAY, WINDOW.end),
            (WINDOW.start, DAY),
            (WINDOW.start, DAY - dt.timedelta(1)),
            (DAY + dt.timedelta(1), WINDOW.end),
        ]
        codes = [await client.code(account_id=sick, start_date=start, end_date=end) for start, end in windows]
        assert await client.code(account_id=well) == 0
    assert codes == [code] * 4 + [0, 0]
    assert sandbox.stats.codes == {code: 4, 0: 3}
    assert sandbox.stats.by_account == {sick: 6, well: 1}


async def test_poison_may_be_any_fault(world: World, clock: Clock, connect: Connect) -> None:
    """Scripts and chance wait meanwhile."""
    sick, well, *_ = world.account_ids
    async with serve(world, Switches(poison=((sick, DAY, "unavailable"),)), clock=clock) as sandbox:
        client = connect(sandbox)
        sandbox.script("bad-gateway")
        for account_id, status in ((sick, 503), (sick, 503), (well, 502), (well, 200)):
            async with client.session.get(client.url(account_id=account_id)) as response:
                assert response.status == status
        sandbox.sicken(sick, "reset", DAY)
        with pytest.raises(aiohttp.ClientError):
            await client.body(account_id=sick, start_date=DAY, end_date=DAY)
    assert sandbox.stats.faults["unavailable"] == 2


async def test_accounts_fall_ill_and_recover(world: World, clock: Clock, connect: Connect) -> None:
    """A cure ends whatever it was; what people see backstage is what is true now."""
    first, second, *_ = world.account_ids
    switches = Switches(account_codes={first: 32211}, poison=((second, DAY, 51001),))
    async with serve(world, switches, clock=clock) as sandbox:
        client = connect(sandbox)

        async def codes() -> list[int]:
            return [await client.code(account_id=account_id) for account_id in (first, second)]

        assert await codes() == [32211, 51001]
        sandbox.cure(first)
        sandbox.cure(second)
        assert await codes() == [0, 0]
        sandbox.sicken(first, 64015)
        sandbox.sicken(second, 99999, DAY)
        async with client.session.get(f"{sandbox.base_url}/sandbox/accounts") as response:
            assert [account["code"] for account in await response.json()][:2] == [64015, 0]
        assert await codes() == [64015, 99999]
    assert sandbox.stats.by_account == {first: 3, second: 3}


async def test_a_bad_token_hides_what_ails_an_account(world: World, clock: Clock, connect: Connect) -> None:
    """A code is answered where the page would have been; requests count for their account all the same."""
    sick = world.account_ids[0]
    async with serve(world, Switches(poison=((sick, DAY, 51001),)), clock=clock) as sandbox:
        client = connect(sandbox)
        assert await client.code(access_token="x") == 11002  # noqa: S106 - nobody's
        assert await client.code(start_date="2026-10-27", page_size="x") == 18002
        for text in ("x", "", "9" * 20, "-5"):
            assert await client.code(account_id=text) != 0
    assert sandbox.stats.by_account == {sick: 2}


def test_sickness_needs_a_meaning() -> None:
    """Without a day it is a return code, and a fault must exist."""
    sickness = Sickness(Switches())
    for what, day in (("reset", None), ("nope", DAY), (0, None)):
        with pytest.raises(ValueError, match=r".+"):
            sickness.sicken(AccountId(1), what, day)
    with pytest.raises(ValueError, match="nope"):
        Switches(poison=((AccountId(1), DAY, "nope"),))
    sickness.sicken(AccountId(1), "code:12201")
    assert (sickness.code(AccountId(1)), sickness.code(AccountId(2))) == (12201, 0)


def test_the_earliest_poison_of_a_window_counts() -> None:
    """Days and parameters that make no sense meet nothing."""
    sickness = Sickness(Switches(poison=((AccountId(1), DAY, 2), (AccountId(1), DAY - dt.timedelta(2), 1))))
    given = {"account_id": "1", "start_date": "2026-10-01", "end_date": "2026-10-30"}
    met = [sickness.strikes(given), sickness.strikes(given | {"start_date": "2026-10-26"})]
    assert [fault and fault.code for fault in met] == [1, 2]
    for wrong in ({}, given | {"account_id": "x"}, given | {"end_date": "soon"}, given | {"account_id": "2"}):
        assert sickness.strikes(wrong) is None


TOKENS = {11000, 11002, 11004, 11005, 11007, 11010, 11012, 11014, 11030, 60001, 60081, 71003}
ACCOUNTS = {12201, 12203, 32211, 60002, 60003, 64015, 80008, 51001, 60000}


@pytest.mark.parametrize("code", sorted(TOKENS | ACCOUNTS))
def test_codes_of_tokens_and_accounts_have_words(code: int) -> None:
    """In both languages, those of the official table."""
    message, message_cn = messages(code, ())
    assert message != messages(99999, ())[0]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in message_cn)

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest

from harvester.api.client import Client
from harvester.api.effort import Retry, Surroundings
from harvester.api.quota import Limits, Quota
from harvester.api.tokens import Credentials, Renewal, Tokens
from harvester.api.tokens.brake import AT_ONCE, PER_S
from harvester.api.tokens.store import TokenStore
from harvester.api.traffic import Traffic
from harvester.errors import CallError, TokenFault
from harvester.model import Account, AccountId, AppName, Query, TokenName, Window
from harvester.sandbox.authority import Authority
from harvester.sandbox.grants import ACCESS, CLIENT_ID, CLIENT_SECRET, REFRESH, Grant
from harvester.sandbox.stats import busiest
from harvester.sandbox.switches import FormerToken, Switches
from harvester.sandbox.world import World, beijing_day
from harvester.secret import Secret
from tests.api.helpers import NOW_S
from tests.offline import OfflineTransport
from tests.virtual_time import PureVirtualTimeLoop

pytestmark = pytest.mark.anyio
APP, TOKEN = AppName("main"), TokenName("agency")
TODAY = beijing_day(NOW_S)
WORLD = World(today=TODAY, accounts=4, days=8, calls_per_day=3.0)
WINDOW = Window(WORLD.last_day, WORLD.last_day)
LIVELY = Grant(name="agency", refresh=REFRESH, access_life_s=30.0)
HOW = pytest.mark.parametrize("how", list(Renewal))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Time jumps at once."""
    return "asyncio", {"loop_factory": PureVirtualTimeLoop}


def wall() -> float:
    """A wall clock that goes with the loop."""
    return NOW_S + anyio.current_time()


def given(how: Renewal = Renewal.EXTEND, access: str = ACCESS, refresh: str | None = REFRESH) -> Credentials:
    """What a config has."""
    return Credentials(
        app=APP,
        access=Secret(access),
        refresh=Secret(refresh) if refresh else None,
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        renewal=how,
    )


@dataclass
class Fleet:
    """Walks that ask for pages all the time, under tokens."""

    transport: OfflineTransport
    credentials: dict[TokenName, Credentials]
    folder: Path | None = None
    patience_s: float = 1800.0
    limits: Limits = field(default_factory=Limits)
    pages: int = 0
    ends: list[CallError] = field(default_factory=list)

    def __post_init__(self) -> None:
        store = TokenStore(self.folder) if self.folder else None
        self.tokens = Tokens(self.credentials, self.transport, wall, store=store, patience_s=self.patience_s)
        traffic = Traffic(64, wall)
        around = Surroundings(wall=wall, chance=lambda: 0.5)
        self.client = Client(self.transport, {APP: Quota(APP, self.limits, traffic)}, self.tokens, Retry(), around)

    async def walk(self, seconds: float, walks: int = 64) -> None:
        """Lets so many of them ask for so long."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as tasks:
                for number in range(walks):
                    for name in self.credentials:
                        tasks.start_soon(self._ask, name, WORLD.account_ids[number % 4])

    async def _ask(self, token: TokenName, account_id: AccountId) -> None:
        account = Account(id=account_id, token=token, app=APP)
        query = Query(account_id=account_id, window=WINDOW, page=1, page_size=10)
        while True:
            try:
                await self.client.fetch(account, query)
                self.pages += 1
            except CallError as error:
                self.ends.append(error)
                return

    @property
    def authority(self) -> Authority:
        """Which tokens are alive."""
        return self.transport.sandbox.authority


def api(*grants: Grant, latency_s: float = 1.0, **switches: object) -> OfflineTransport:
    """The stand-in API, which grants this."""
    options = replace(Switches(grants=grants or (LIVELY,), latency_s=latency_s), **switches)  # type: ignore[arg-type]  # a test's shorthand
    return OfflineTransport(WORLD, options, wall)


def fleet(transport: OfflineTransport, folder: Path | None = None, how: Renewal = Renewal.EXTEND) -> Fleet:
    """A fleet of one token."""
    return Fleet(transport, {TOKEN: given(how)}, folder)


class TestRenewal:
    """A token that expires again and again."""

    @HOW
    async def test_walks_do_not_notice_that_tokens_expire(self, tmp_path: Path, how: Renewal) -> None:
        """64 walks in flight: no request ever carries a dead token, nobody is refused, each renewal is one request."""
        transport = api()
        one = fleet(transport, tmp_path, how)
        await one.walk(120)
        stats = transport.sandbox.stats
        assert (stats.codes[11002], stats.codes[11000], stats.bad_token) == (0, 0, 0)
        assert one.ends == []
        assert stats.concurrent_renewals == 0
        assert stats.token_requests == one.tokens.renewed.get(TOKEN, 0) == stats.renewals["agency", how.value]

    @HOW
    async def test_a_life_that_nobody_told_ends_in_one_renewal_for_all(self, tmp_path: Path, how: Renewal) -> None:
        """The config's token dies under 64 requests: what was in flight is refused, then one renewal serves all."""
        transport = api(replace(LIVELY, expires_at=NOW_S + 5))
        one = fleet(transport, tmp_path, how)
        await one.walk(8)
        stats = transport.sandbox.stats
        assert 1 <= stats.codes[11000] <= 64
        assert (stats.codes[11002], stats.token_requests, one.ends) == (0, 1, [])
        later = stats.codes[11000]
        await one.walk(120)
        assert stats.codes[11000] == later
        assert stats.token_requests == pytest.approx(120 / 27, abs=2)
        assert one.pages > 5_000

    @pytest.mark.parametrize("former", list(FormerToken))
    @pytest.mark.parametrize("new_token_after_s", [0.0, 600.0])
    @HOW
    async def test_whatever_becomes_of_the_former_token(
        self, tmp_path: Path, how: Renewal, former: FormerToken, new_token_after_s: float
    ) -> None:
        """It stays or dies, the new one works at once or after 10 minutes: a handful of refusals, and all goes on."""
        grant = replace(LIVELY, access_life_s=7200.0)
        transport = api(grant, latency_s=20.0, former_token=former, new_token_after_s=new_token_after_s)
        one = fleet(transport, tmp_path, how)
        await one.walk(1, walks=1)
        one.transport.sandbox.revoke(ACCESS)
        await one.walk(3 * 7200, walks=8)
        stats = transport.sandbox.stats
        assert one.ends == []
        assert stats.renewals["agency", how.value] == stats.token_requests
        in_flight, knocks = 8, 5
        assert stats.bad_token <= in_flight + knocks * stats.token_requests + (2 * in_flight) * stats.token_requests

    async def test_a_store_is_newer_than_the_config(self, tmp_path: Path) -> None:
        """A second run goes on with what the first one rotated to, without a refusal."""
        transport = api()
        await fleet(transport, tmp_path, Renewal.ROTATE).walk(1)
        transport.sandbox.authority.revoke(ACCESS)
        await fleet(transport, tmp_path, Renewal.ROTATE).walk(100)
        before = transport.sandbox.stats.bad_token
        second = fleet(transport, tmp_path, Renewal.ROTATE)
        await second.walk(100)
        assert (transport.sandbox.stats.bad_token, second.ends) == (before, [])

    async def test_what_a_person_changed_since_is_newer_than_the_store(self, tmp_path: Path) -> None:
        """A new authorisation in the config is used at once, whatever is stored."""
        other = Grant(access="another-access-token", refresh="another-refresh-token", name="new")
        transport = api(replace(LIVELY, expires_at=NOW_S + 1), other)
        await fleet(transport, tmp_path, Renewal.ROTATE).walk(20)
        transport.sandbox.revoke(transport.sandbox.authority.pair("agency").access)
        refused = transport.sandbox.stats.bad_token
        renewed = Fleet(transport, {TOKEN: given(Renewal.ROTATE, other.access, other.refresh)}, tmp_path)
        await renewed.walk(5)
        assert (transport.sandbox.stats.bad_token, renewed.ends) == (refused, [])


class TestTogether:
    """Two processes, one store."""

    @HOW
    async def test_two_processes_share_a_token(self, tmp_path: Path, how: Renewal) -> None:
        """Neither loses it, and none of them renews what the other has renewed already."""
        transport = api(replace(LIVELY, expires_at=NOW_S + 20))
        ones = [fleet(transport, tmp_path, how), fleet(transport, tmp_path, how)]
        async with anyio.create_task_group() as tasks:
            for one in ones:
                tasks.start_soon(one.walk, 300.0, 8)
        stats = transport.sandbox.stats
        assert [one.ends for one in ones] == [[], []]
        assert stats.concurrent_renewals == 0
        assert stats.refused_renewals.total() == 0
        assert stats.token_requests <= 300 / 27 + 2
        assert sum(sum(one.tokens.renewed.values()) for one in ones) == stats.token_requests

    async def test_another_process_keeps_the_lock(self, tmp_path: Path) -> None:
        """Its pair is waited for, for two minutes at most; then it is a renewal that failed."""
        transport = api(replace(LIVELY, expires_at=NOW_S + 1))
        one = fleet(transport, tmp_path)
        with TokenStore(tmp_path).held(TOKEN) as mine:
            assert mine
            await one.walk(100, walks=2)
            assert transport.sandbox.stats.token_requests == 0
            await one.walk(60, walks=2)
        await one.walk(120, walks=2)
        assert (transport.sandbox.stats.token_requests > 0, one.ends) == (True, [])


class TestTrouble:
    """Renewals that do not work."""

    async def test_a_token_without_refresh_data_is_used_until_it_dies(self, tmp_path: Path) -> None:
        """One answer ends it, and says what to do."""
        transport = api(Grant(expires_at=NOW_S + 5))
        one = Fleet(transport, {TOKEN: given(refresh=None)}, tmp_path)
        await one.walk(60)
        assert {type(end) for end in one.ends} == {TokenFault}
        assert "put a working access_token into the config" in one.tokens.dead[TOKEN]
        assert len(one.ends) == 64
        assert transport.sandbox.stats.token_requests == 0

    async def test_a_refresh_token_that_is_refused(self, tmp_path: Path) -> None:
        """While the access token lives it is used; afterwards the token is dead, and a person must authorise."""
        transport = api(replace(LIVELY, access_life_s=7200.0, expires_at=NOW_S + 1), latency_s=4.0)
        await fleet(transport, tmp_path).walk(10)
        transport.sandbox.revoke(REFRESH)
        one = fleet(transport, tmp_path)
        await one.walk(7000, walks=2)
        assert one.ends == []
        assert len(one.tokens.notes()) == 1
        await one.walk(400, walks=2)
        assert len(one.ends) == 2
        assert "authorise the app again" in one.tokens.dead[TOKEN]
        assert transport.sandbox.stats.refused_renewals.total() == 1

    @HOW
    async def test_renewals_that_fail_for_a_while(self, tmp_path: Path, how: Renewal) -> None:
        """They are tried again, less and less often, and walks wait until one works."""
        transport = api(replace(LIVELY, expires_at=NOW_S + 1))
        transport.sandbox.script_oauth(*["code:51001"] * 6)
        one = fleet(transport, tmp_path, how)
        await one.walk(200)
        assert one.ends == []
        assert transport.sandbox.stats.refused_renewals[51001] == 6
        assert one.pages > 3_000

    @pytest.mark.parametrize("fault", ["code:51001", "unavailable"])
    async def test_a_rotation_that_was_answered_took_nothing_along(self, tmp_path: Path, fault: str) -> None:
        """A business error proves that nothing was rotated: nobody is told otherwise, and nothing is left behind."""
        transport = api(replace(LIVELY, expires_at=NOW_S + 1))
        transport.sandbox.script_oauth(fault, fault, fault)
        one = fleet(transport, tmp_path, Renewal.ROTATE)
        await one.walk(6, walks=2)
        stored = TokenStore(tmp_path).read(TOKEN)
        assert stored
        assert fault == "unavailable" or stored.rotating_since is None
        assert "may have taken the pair" not in " ".join(one.tokens.notes())
        await one.walk(60, walks=2)
        assert one.ends == []

    @pytest.mark.parametrize("when", ["before", "at a renewal"])
    async def test_a_store_that_cannot_be_used_stops_its_own_token_only(self, tmp_path: Path, when: str) -> None:
        """The other token's walks go on; what is wrong with the disk is said."""
        other = Grant(access="another-access-token", name="new")
        transport = api(replace(LIVELY, expires_at=NOW_S + 5), other)
        if when == "before":
            (tmp_path / f"{TOKEN}.json").write_text("{")
        else:
            (tmp_path / f"{TOKEN}.lock").mkdir()
        healthy = TokenName("healthy")
        one = Fleet(transport, {TOKEN: given(), healthy: given(access=other.access, refresh=None)}, tmp_path)
        await one.walk(60, walks=4)
        assert len(one.ends) == 4
        assert list(one.tokens.dead) == [TOKEN]
        assert str(tmp_path) in one.tokens.dead[TOKEN]
        assert one.pages > 100

    async def test_patience_has_an_end(self, tmp_path: Path) -> None:
        """A token that cannot be renewed for half an hour is given up for this run."""
        transport = api(replace(LIVELY, expires_at=NOW_S + 1), oauth_faults={})
        transport.sandbox.script_oauth(*["code:51001"] * 1000)
        one = fleet(transport, tmp_path)
        await one.walk(3600, walks=2)
        assert len(one.ends) == 2
        assert "for 31 min" in one.tokens.dead[TOKEN]
        assert transport.sandbox.stats.refused_renewals.total() < 45

    async def test_a_new_token_that_never_works(self, tmp_path: Path) -> None:
        """After two renewals in vain a person has to look; that costs a handful of refusals."""
        grant = replace(LIVELY, expires_at=NOW_S, access_life_s=86_400.0)
        transport = api(grant, latency_s=5.0, new_token_after_s=10.0**9)
        one = fleet(transport, tmp_path)
        await one.walk(7200, walks=16)
        assert len(one.ends) == 16
        assert transport.sandbox.stats.bad_token <= 12
        assert transport.sandbox.stats.token_requests <= 3

    async def test_a_rotation_is_ended_though_the_run_is_stopped(self, tmp_path: Path) -> None:
        """What the API has rotated is stored: a cancelled run loses no pair."""
        transport = api(replace(LIVELY, expires_at=NOW_S + 1))
        one = fleet(transport, tmp_path, Renewal.ROTATE)
        for seconds in range(11, 40):
            await one.walk(seconds / 10, walks=2)
            stored = TokenStore(tmp_path).read(TOKEN)
            live = transport.sandbox.authority.pair("agency")
            assert stored is None or stored.pair.access.reveal() == live.access
            one = fleet(transport, tmp_path, Renewal.ROTATE)
        assert transport.sandbox.stats.refused_renewals.total() == 0


class TestBrake:
    """Many tokens that do not work."""

    async def test_never_more_than_so_many_a_minute(self, tmp_path: Path) -> None:
        """Of 40 dead tokens ten are tried at once, and then ten a minute; a good one has its turn among them."""
        transport = api(Grant())
        bad = {TokenName(f"bad-{number}"): given(access=f"unknown-{number}", refresh=None) for number in range(40)}
        refused: list[float] = []
        one = Fleet(transport, {**bad, TokenName("good"): given(refresh=None)}, tmp_path)
        before = 0

        async def watch() -> None:
            nonlocal before
            while True:
                seen = transport.sandbox.stats.bad_token
                refused.extend([anyio.current_time()] * (seen - before))
                before = seen
                await anyio.sleep(0.1)

        with anyio.move_on_after(400):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                tasks.start_soon(one.walk, 399.0, 1)
        assert len(refused) == 40
        assert most_within(refused, PER_S - 1) <= AT_ONCE
        assert len(one.tokens.dead) == 40
        assert one.pages > 150


def most_within(times: Sequence[float], seconds: float) -> int:
    """The most of these times within so long."""
    return busiest(times, seconds)

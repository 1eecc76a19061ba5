import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.api.client import Client
from harvester.api.codes import TABLE, Verdict
from harvester.api.effort import Retry, Surroundings
from harvester.api.envelope import Request, Response
from harvester.api.quota import Limit, Limits, Permit, Quota
from harvester.api.tokens import Tokens
from harvester.api.traffic import Traffic
from harvester.api.transport import AiohttpTransport, Transport
from harvester.errors import AccountFault, AttemptError, CallError, QuotaSpent, RefusedFault, SliceFault, TokenFault
from harvester.model import Account, AccountId, AppName, Page, Query, Refusal, TokenName
from harvester.sandbox.server import Sandbox
from tests.api.helpers import (
    ACCOUNT,
    ACCOUNT_ID,
    APP,
    NOW_S,
    PHONE,
    QUERY,
    TOKEN,
    TOKEN_NAME,
    Answer,
    ScriptedTransport,
    all_of,
    call,
    envelope,
    good,
    refused,
)
from tests.api.wire import WORLD, query_for, sandbox
from tests.credentials import fleet
from tests.virtual_time import PureVirtualTimeLoop, VirtualTimeLoop

pytestmark = pytest.mark.anyio
OTHER_TOKEN: Final = TokenName("other")
OTHER_ACCOUNT: Final = Account(id=AccountId(7), token=OTHER_TOKEN, app=APP)
ECHO: Final = f"bad request: access_token={TOKEN}&nonce=1 caller {PHONE} (100-0000-0001)"
"""What a server says that says everything it knows."""
LOST: Final = AttemptError("the connection broke")
BUSY, WRONG, PAGE = refused(51001, "busy"), refused(18002, "wrong"), good(call(1))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """No sockets but where a test says so: time jumps at once."""
    return "asyncio", {"loop_factory": PureVirtualTimeLoop}


@dataclass
class Bench:
    """A client and what it works with."""

    client: Client
    transport: Transport
    quota: Quota
    tokens: Tokens
    traffic: Traffic

    @property
    def taken(self) -> int:
        """Places in flight that are taken."""
        return self.traffic._places._taken

    async def fetch(self, account: Account = ACCOUNT, query: Query = QUERY) -> Page | Refusal:
        """One logical call."""
        return await self.client.fetch(account, query)


def bench(
    transport: Transport,
    *,
    limits: Limits | None = None,
    retry: Retry | None = None,
    chance: float | Random = 0.5,
    clock_off_s: float = 0.0,
) -> Bench:
    """A client whose wall clock goes with the loop."""
    traffic = Traffic(8, lambda: NOW_S + anyio.current_time(), patience_s=1800.0)
    quota = Quota(APP, limits or Limits(), traffic)
    tokens = fleet({TOKEN_NAME: TOKEN, OTHER_TOKEN: "other"}, transport, lambda: NOW_S + anyio.current_time())
    around = Surroundings(
        wall=lambda: NOW_S + clock_off_s + anyio.current_time(),
        chance=chance.random if isinstance(chance, Random) else lambda: chance,
    )
    client = Client(transport, {APP: quota}, tokens, retry or Retry(), around)
    return Bench(client, transport, quota, tokens, traffic)


def scripted(*script: Answer, latency_s: float = 0.0) -> ScriptedTransport:
    """A transport that answers so, and well afterwards."""
    return ScriptedTransport(script, latency_s)


def code_of(verdict: Verdict) -> int:
    """A return code of this verdict."""
    return next(code for code, meaning in TABLE.items() if meaning.verdict is verdict)


class TestRetry:
    """How long is waited."""

    @pytest.mark.parametrize(
        ("attempt", "chance", "expected_s"),
        [
            (1, 0.0, 0),
            (1, 0.5, 0.5),
            (1, 1.0, 1),
            (2, 1.0, 2),
            (3, 1.0, 4),
            (6, 1.0, 32),
            (7, 1.0, 60),
            (100, 0.5, 30),
        ],
    )
    def test_backoff_doubles_up_to_its_bound(self, attempt: int, chance: float, expected_s: float) -> None:
        """A second, two, four, …, never more than a minute; chance takes its share."""
        assert Retry().backoff_s(attempt, chance) == expected_s

    @given(st.integers(1, 100), st.floats(0, 1, exclude_max=True), st.floats(0.001, 3600))
    def test_jitter_is_full(self, attempt: int, chance: float, max_backoff_s: float) -> None:
        """Between nothing and the bound, in proportion to chance."""
        retry = Retry(max_backoff_s=max_backoff_s)
        ceiling = min(max_backoff_s, 1.0 * 2 ** (attempt - 1))
        assert 0 <= retry.backoff_s(attempt, chance) <= ceiling
        assert retry.backoff_s(attempt, chance) == pytest.approx(chance * ceiling)

    @settings(max_examples=30)
    @given(st.integers(0, 99), st.integers(1, 12), st.sampled_from([0.5, 4.0, 60.0]))
    def test_waits_stay_within_their_bounds(self, seed: int, attempts: int, max_backoff_s: float) -> None:
        """Each wait of a real call, whatever chance says."""
        transport = ScriptedTransport(answer=lambda _: BUSY)
        retry = Retry(attempts=attempts, max_backoff_s=max_backoff_s)

        async def run() -> None:
            with pytest.raises(SliceFault):
                await bench(transport, retry=retry, chance=Random(seed)).fetch()  # noqa: S311 - a test's chance

        with asyncio.Runner(loop_factory=PureVirtualTimeLoop) as runner:
            runner.run(run())
        waits = [later - at for at, later in zip(transport.sent_at, transport.sent_at[1:], strict=False)]
        assert len(waits) == attempts - 1
        assert all(0 <= wait <= min(max_backoff_s, 1.0 * 2**n) + 1e-9 for n, wait in enumerate(waits))


class TestVerdicts:
    """What each one does."""

    @pytest.mark.parametrize(
        ("first", "sent_at"),
        [
            (BUSY, [0, 0.5]),
            (LOST, [0, 0.5]),
            (Response(502, {}, b"<html>"), [0, 0.5]),
            (Response(403, {}, b"nginx"), [0, 0.5]),
            (Response(200, {}, b'{"code":0,"da'), [0, 0.5]),
            (envelope({"code": 999_999, "code_type": "SysException"}), [0, 0.5]),
            (refused(12100), [0, 0]),
            (refused(12101, date="Sat, 31 Oct 2026 00:00:00 GMT"), [0, 0]),
            (refused(12101), [0, 0.5]),
            (refused(11016), [0, 1]),
            (refused(11017), [0, 60]),
            (refused(11019), [0, 15]),
            (Response(429, {}, b""), [0, 15]),
            (refused(11019, retry_after="5"), [0, 5]),
            (refused(11019, retry_after="200"), [0, 200]),
            (refused(11019, retry_after="999999"), [0, 300]),
            (refused(51001, retry_after="5"), [0, 5]),
            (refused(51001, retry_after="0"), [0, 0.5]),
            (refused(51001, retry_after="999999"), [0, 60]),
            (Response(503, {"retry-after": "7"}, b""), [0, 7]),
        ],
    )
    async def test_what_helps_is_tried_again(self, first: Answer, sent_at: list[float]) -> None:
        """After its wait, under a fresh nonce; the wait that the server wishes for has a bound."""
        transport = scripted(first, PAGE)
        one = bench(transport)
        page = await one.fetch()
        assert isinstance(page, Page)
        assert [call.id for call in page.calls] == ["call-1"]
        assert transport.sent_at == pytest.approx(sent_at)
        assert len(set(transport.values("nonce"))) == 2
        assert one.client.attempts_failed == 1

    @pytest.mark.parametrize(
        ("answer", "error", "text"),
        [
            (WRONG, RefusedFault, "code 18002, a wrong request, the API says: wrong"),
            (refused(999_999), RefusedFault, "code 999999, an unknown code"),
            (refused(12201), AccountFault, "code 12201, the token may not read this account"),
            (refused(32211), AccountFault, "code 32211, the account is inactive"),
            (refused(60002), AccountFault, "code 60002, the account is unknown, of the wrong role, or barred"),
            (refused(11018), QuotaSpent, "app main: code 11018, the app's limit per day is reached"),
            (
                refused(11002),
                TokenFault,
                "token agency is dead: code 11002, the access token is invalid",
            ),
        ],
    )
    async def test_what_cannot_help_is_not_repeated(self, answer: Response, error: type[CallError], text: str) -> None:
        """One request, and an error that says what happened."""
        transport = ScriptedTransport(answer=lambda _: answer)
        with pytest.raises(error) as raised:
            await bench(transport).fetch()
        assert (type(raised.value), str(raised.value), len(transport.requests)) == (error, text, 1)

    @pytest.mark.parametrize(
        ("code", "exploratory", "refusal"),
        [
            (60013, False, Refusal.PAGE_SIZE),
            (60012, False, Refusal.DEPTH),
            (60022, False, Refusal.DEPTH),
            (60013, True, Refusal.PAGE_SIZE),
            (18002, True, Refusal.OTHER),
            (999_999, True, Refusal.OTHER),
        ],
    )
    async def test_a_page_that_is_not_served_is_a_refusal(
        self, code: int, *, exploratory: bool, refusal: Refusal
    ) -> None:
        """It is an answer, for the walk to use, and no failed attempt."""
        one = bench(scripted(refused(code)))
        assert await one.fetch(query=replace(QUERY, exploratory=exploratory)) is refusal
        assert one.client.attempts_failed == 0

    @pytest.mark.parametrize(("answers", "sent"), [([LOST] * 6, 6), ([BUSY] * 6, 6), ([WRONG], 1)])
    async def test_where_fewer_calls_may_do_a_failure_is_an_answer(self, answers: list[Answer], sent: int) -> None:
        """Nothing helped, or nothing can: the walk is told, and asks for less."""
        one = bench(scripted(*answers))
        assert await one.fetch(query=replace(QUERY, fewer_may_do=True)) is Refusal.FAILED
        assert len(one.transport.requests) == sent  # type: ignore[attr-defined]

    async def test_fewer_calls_mend_no_account(self) -> None:
        """What is about the account, not the page, is raised as ever."""
        with pytest.raises(AccountFault):
            await bench(scripted(refused(12201))).fetch(query=replace(QUERY, fewer_may_do=True))

    async def test_what_may_be_the_reason_itself_does_not_wait_for_the_api(self) -> None:
        """While nothing is answered at all, large pages are given up at once; a usual one waits, and is the probe."""
        one = bench(scripted(*[LOST] * 14))
        large, answers = replace(QUERY, fewer_may_do=True), list[object]()

        async def ask(account: Account, query: Query) -> None:
            answers.append(await one.fetch(account, query))

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(ask, replace(ACCOUNT, id=AccountId(number + 1)), large)
        assert answers == [Refusal.FAILED] * 6
        assert 10 <= len(one.transport.requests) <= 14  # type: ignore[attr-defined]
        assert one.traffic.is_down
        assert await one.fetch(query=large) is Refusal.FAILED
        assert isinstance(await one.fetch(), Page)

    @pytest.mark.parametrize("exploratory", [False, True])
    @pytest.mark.parametrize("verdict", Verdict)
    async def test_every_verdict_ends(self, verdict: Verdict, *, exploratory: bool) -> None:
        """Though the API never says anything else, and in bounded time: three hours at most."""
        one = bench(ScriptedTransport(answer=lambda _: refused(code_of(verdict))))
        try:
            answer = await one.fetch(query=replace(QUERY, exploratory=exploratory))
        except CallError:
            pass
        else:
            assert isinstance(answer, Refusal)
        assert anyio.current_time() < 3 * 3600
        assert one.taken == 0

    @pytest.mark.parametrize("attempts", [1, 2, 6])
    async def test_attempts_are_counted(self, attempts: int) -> None:
        """The first included; the error says how many, and how the last one failed."""
        transport = ScriptedTransport([BUSY] * (attempts - 1) + [LOST], answer=lambda _: PAGE)
        many = "the only attempt failed" if attempts == 1 else f"{attempts} attempts failed, the last one"
        with pytest.raises(SliceFault, match=f"^{many}: the connection broke"):
            await bench(transport, retry=Retry(attempts=attempts)).fetch()
        assert len(transport.requests) == attempts

    async def test_pauses_consume_no_attempts(self) -> None:
        """With a single attempt, a call still outlives every limit it meets."""
        transport = scripted(refused(11017), refused(11017), refused(11016), refused(11019), PAGE)
        page = await bench(transport, retry=Retry(attempts=1)).fetch()
        assert isinstance(page, Page)
        assert transport.sent_at == pytest.approx([0, 60, 360, 361, 376])

    async def test_an_app_is_not_held_back_for_ever(self) -> None:
        """Half an hour of refusals, then the rest is left to the next run."""
        transport = ScriptedTransport(answer=lambda _: refused(11017))
        with pytest.raises(QuotaSpent, match="app main: the API has refused everything for 30 min: minute quota"):
            await bench(transport).fetch()
        assert transport.sent_at == pytest.approx([0, *range(60, 1800, 300)])

    async def test_a_limit_holds_back_the_whole_app(self) -> None:
        """Another call of the app waits too, one of another app does not."""
        transport = scripted(PAGE, refused(11017))
        one, second = bench(transport), AppName("second")
        quotas = {APP: one.quota, second: Quota(second, Limits(), one.traffic)}
        client = Client(transport, quotas, one.tokens, Retry(), one.client._around)
        await client.fetch(ACCOUNT, QUERY)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.fetch, ACCOUNT, replace(QUERY, page=2))
            await anyio.sleep(1)
            tasks.start_soon(client.fetch, ACCOUNT, replace(QUERY, page=3))
            tasks.start_soon(client.fetch, replace(OTHER_ACCOUNT, app=second), replace(QUERY, page=4))
        sent = list(zip(transport.values("page"), transport.sent_at, strict=True))
        assert sent == [("1", 0), ("2", 0), ("4", 1), ("2", 60), ("3", 60)]

    async def test_the_end_of_the_day_closes_the_app(self) -> None:
        """Nothing more is sent, by anyone of the app."""
        transport = scripted(refused(11018))
        one = bench(transport)
        for account in (ACCOUNT, OTHER_ACCOUNT):
            with pytest.raises(QuotaSpent):
                await one.fetch(account)
        assert len(transport.requests) == 1

    async def test_all_calls_hit_by_the_limit_of_the_minute_pause_once(self) -> None:
        """Eight requests under way are refused together: one pause of 60 s, one request that knocks, then all."""
        transport = ScriptedTransport([PAGE, *[refused(11017)] * 8], latency_s=0.5)
        one = bench(transport)
        await one.fetch()
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one.fetch)
        assert len(transport.requests) == 17
        assert max(transport.sent_at) == pytest.approx(61.5)
        assert transport.most_in_flight == 8


class TestFreshness:
    """Every attempt is new to the API."""

    @given(st.lists(st.sampled_from([BUSY, LOST, refused(12100), refused(11016)]), max_size=5))
    def test_nonce_and_timestamp_are_fresh(self, script: Sequence[Answer]) -> None:
        """No nonce twice, each timestamp the second in which it is sent, all else the same."""
        transport = ScriptedTransport(script)

        async def run() -> None:
            await bench(transport).fetch()

        with asyncio.Runner(loop_factory=PureVirtualTimeLoop) as runner:
            runner.run(run())
        nonces = transport.values("nonce")
        assert len(set(nonces)) == len(nonces) == len(script) + 1
        assert all(1 <= len(nonce) <= 32 for nonce in nonces)
        assert [int(at) for at in transport.values("timestamp")] == [int(NOW_S + at) for at in transport.sent_at]
        assert len({part for one in transport.requests for part in one.query.split("&")[3:]}) == 5

    @pytest.mark.parametrize("off_s", [-86_400.0, -3 * 3600.0, -301.0, 301.0, 3 * 3600.0, 10 * 365 * 86_400.0])
    async def test_a_wrong_clock_is_healed(self, off_s: float) -> None:
        """From the server's `Date`: at once, for all later calls, and once only."""

        def answer(request: Request) -> Response:
            sent = int(dict(part.split("=") for part in request.query.split("&"))["timestamp"])
            return PAGE if abs(sent - NOW_S) <= 300 else refused(12101, date="Sat, 31 Oct 2026 00:00:00 GMT")

        transport = ScriptedTransport(answer=answer)
        one = bench(transport, clock_off_s=off_s)
        for _ in range(3):
            assert isinstance(await one.fetch(), Page)
        assert len(transport.requests) == 4
        assert [abs(int(at) - NOW_S) <= 1 for at in transport.values("timestamp")] == [False, True, True, True]

    async def test_a_clock_that_drifts_is_healed_again(self) -> None:
        """A second correction takes the place of the first."""
        transport = scripted(
            refused(12101, date="Sat, 31 Oct 2026 01:00:00 GMT"),
            PAGE,
            refused(12101, date="Sat, 31 Oct 2026 02:00:00 GMT"),
        )
        one = bench(transport)
        await one.fetch()
        await one.fetch()
        assert [int(at) - NOW_S for at in transport.values("timestamp")] == [0, 3600, 3600, 7200]


class TestTokens:
    """Many calls with a bad token can get the IP banned."""

    async def test_the_first_request_under_a_token_goes_alone(self) -> None:
        """Then all others together; another token has a first request of its own."""
        transport = ScriptedTransport(latency_s=1.0)
        one = bench(transport)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(one.fetch)
            tasks.start_soon(one.fetch, OTHER_ACCOUNT)
        assert transport.sent_at == pytest.approx([0, 0, 1, 1, 1, 1])
        assert sorted(transport.values("access_token")[:2]) == sorted([TOKEN, "other"])

    @pytest.mark.parametrize("code", [11000, 11002, 11004, 11005, 11014, 60001, 60081])
    async def test_a_dead_token_is_used_once(self, code: int) -> None:
        """However many calls wait for it; the other token goes on."""
        transport = ScriptedTransport(
            answer=lambda request: refused(code) if TOKEN in request.query else good(call(1)), latency_s=1.0
        )
        one = bench(transport)
        faults: list[str] = []

        async def fetch() -> None:
            with pytest.raises(TokenFault) as raised:
                await one.fetch()
            faults.append(str(raised.value))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(fetch)
            for _ in range(3):
                tasks.start_soon(one.fetch, OTHER_ACCOUNT)
        with pytest.raises(TokenFault):
            await one.fetch()
        assert transport.values("access_token").count(TOKEN) == 1
        assert transport.values("access_token").count("other") == 3
        assert len(set(faults)) == 1
        assert faults[0].startswith(f"token agency is dead: code {code}, ")
        assert f"token agency: code {code}, " in one.tokens.dead[TOKEN_NAME]
        assert len(faults) == 20

    async def test_a_token_that_dies_later_stops_those_who_wait_for_permits(self) -> None:
        """What is under way finishes, nothing else is sent."""
        transport = scripted(PAGE, refused(11004))
        one = bench(transport, limits=Limits(per_second=1))
        ends: list[str] = []

        async def fetch() -> None:
            try:
                await one.fetch()
                ends.append("page")
            except TokenFault:
                ends.append("dead")

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(fetch)
        assert (ends.count("page"), ends.count("dead"), len(transport.requests)) == (1, 9, 2)
        assert one.taken == 0

    async def test_a_dead_token_does_not_wait_for_a_permit(self) -> None:
        """Its calls fail at once, also while the app pauses."""
        one = bench(scripted(refused(11004)))
        with pytest.raises(TokenFault):
            await one.fetch()
        one.quota.refused(Permit(anyio.current_time(), 0), Limit.MINUTE, "a test")
        with pytest.raises(TokenFault):
            await one.fetch()
        assert (anyio.current_time(), one.quota.sent) == (0, 1)

    async def test_the_first_reason_of_a_death_stays(self) -> None:
        """Later answers under the same token are its echoes."""
        transport = ScriptedTransport([PAGE, refused(11004), refused(11002)], latency_s=1.0)
        one = bench(transport)
        await one.fetch()
        with pytest.RaisesGroup(TokenFault, TokenFault):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._slow, one)
                tasks.start_soon(self._slow, one)
        assert list(one.tokens.dead) == [TOKEN_NAME]
        assert "code 11004" in one.tokens.dead[TOKEN_NAME]

    @staticmethod
    async def _slow(one: Bench) -> None:
        with anyio.CancelScope(shield=True):  # the other one's error must not cancel it
            await one.fetch()

    @pytest.mark.parametrize("first", [LOST, BUSY, refused(12201), refused(11017)])
    async def test_any_other_answer_lets_the_others_go(self, first: Answer) -> None:
        """A first request that fails for another reason holds nobody back for longer."""
        transport = ScriptedTransport([first], latency_s=1.0)
        one = bench(transport)

        async def fetch() -> None:
            with suppress(AccountFault):
                await one.fetch()

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(fetch)
        assert transport.most_in_flight >= 3

    async def test_a_cancelled_first_request_passes_the_trial_on(self) -> None:
        """The next one goes alone in its place."""
        transport = ScriptedTransport(latency_s=10.0)
        one = bench(transport)
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(1):
                for _ in range(3):
                    tasks.start_soon(one.fetch)
                await one.fetch()
        assert transport.sent_at == pytest.approx([0, 1, 11, 11])

    def test_tokens_do_not_show_themselves(self) -> None:
        """Only their names."""
        tokens = fleet({TOKEN_NAME: TOKEN}, scripted(), lambda: NOW_S)
        assert repr(tokens) == str(tokens) == "Tokens(agency)"


class TestCancellation:
    """At any await; nothing is left behind."""

    @pytest.mark.parametrize("after_s", [0.5, 1.2, 1.5, 2.0, 62.0])
    async def test_a_cancelled_call_gives_everything_back(self, after_s: float) -> None:
        """In flight, in its backoff, in a pause: no place and no turn is lost."""
        transport = ScriptedTransport([BUSY, refused(11017)], latency_s=1.0)
        one = bench(transport, limits=Limits(per_second=10))
        with anyio.move_on_after(after_s) as scope:
            await one.fetch()
        assert scope.cancelled_caught
        assert one.taken == 0
        assert isinstance(await one.fetch(), Page)


class TestManyFaults:
    """All together."""

    @pytest.mark.parametrize("seed", range(5))
    async def test_ten_percent_of_all_faults_lose_no_page(self, seed: int) -> None:
        """Every page is fetched in the end, within the quota, no nonce twice."""
        luck = Random(seed)  # noqa: S311 - a test's chance
        faults: list[Answer] = [
            LOST,
            BUSY,
            Response(502, {}, b"<html>"),
            Response(503, {"retry-after": "3"}, b""),
            Response(200, {}, b'{"code":0,"data":{"enti'),
            Response(200, {}, b""),
            refused(12100),
            refused(12101, date="Sat, 31 Oct 2026 00:00:00 GMT"),
            refused(11016),
            refused(11017),
            refused(11019),
            refused(30001),
        ]

        def answer(request: Request) -> Answer:
            number = int(dict(part.split("=") for part in request.query.split("&"))["page"])
            return luck.choice(faults) if luck.random() < 0.1 else good(call(number))

        transport = ScriptedTransport(answer=answer, latency_s=0.1)
        one = bench(transport, limits=Limits(per_second=20), chance=luck)
        left, fetched = list(range(1, 401)), list[str]()

        async def work() -> None:
            while left:
                number = left.pop()
                page = await one.fetch(query=replace(QUERY, page=number))
                assert isinstance(page, Page)
                assert [one.id for one in page.calls] == [f"call-{number}"]
                fetched.append(page.calls[0].id)

        async with anyio.create_task_group() as tasks:
            for _ in range(16):
                tasks.start_soon(work)
        assert len(set(fetched)) == 400
        assert len(transport.requests) == 400 + one.client.attempts_failed == one.quota.sent
        assert len(set(transport.values("nonce"))) == len(transport.requests)
        assert all(later - at >= 1 for at, later in zip(transport.sent_at, transport.sent_at[20:], strict=False))
        assert transport.most_in_flight <= 8


class TestSecrets:
    """A server that says everything it knows."""

    @pytest.mark.parametrize(
        "answer",
        [
            *[refused(code_of(verdict), ECHO, x_tsa_trace_id=f"{TOKEN} x") for verdict in Verdict],
            refused(999_999, ECHO),
            Response(200, {}, ECHO.encode()),
            Response(200, {}, b'{"code":0,"data":{"page_info":{"total_number":"' + ECHO.encode() + b'"}}}'),
            Response(403, {"retry-after": ECHO, "date": ECHO, "x-tsa-trace-id": ECHO}, ECHO.encode()),
            LOST,
        ],
    )
    async def test_no_failure_shows_them(self, answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
        """Neither in an error with all its causes, nor in a log, nor in what is left of a dead token."""
        transport = ScriptedTransport(answer=lambda _: answer)
        one = bench(transport, retry=Retry(attempts=3))
        shown = [repr(one), repr(one.client), repr(one.tokens), repr(one.quota)]
        try:
            shown.append(repr(await one.fetch()))
        except CallError as error:
            shown.append(all_of(error))
        shown += [repr(transport.requests), repr(one.tokens.dead), caplog.text]
        for secret in (TOKEN, PHONE, "100-0000-0001"):
            assert not [text for text in shown if secret in text]


@dataclass(frozen=True)
class Run:
    """What one call came to."""

    end: str
    requests: int
    failed: int


FAKED: Final[dict[str, Answer]] = {
    "reset": AttemptError("the connection broke (Connection reset by peer)"),
    "cut": AttemptError("the body was cut short or is not what its headers say"),
    "huge": AttemptError("a body of more than 8 MiB, which is no page"),
    "bomb": AttemptError("a body of more than 8 MiB, which is no page"),
    "hang": AttemptError("no whole answer within the timeout"),
    "garbage": Response(200, {}, b'{"code":0,"data":'),
    "bad-gateway": Response(502, {}, b"<html>"),
    "unavailable": Response(503, {}, b""),
    "redirect": Response(302, {}, b""),
    "code:11002": refused(11002),
    "code:11016": refused(11016),
    "code:11017": refused(11017),
    "code:11018": refused(11018),
    "code:12101": refused(12101, date="Sat, 31 Oct 2026 00:00:00 GMT"),
    "code:12201": refused(12201),
    "code:60070": refused(60070),
    "code:60013": refused(60013),
    "code:51001": refused(51001),
    "close": good(call(1)),
    "drip": good(call(1)),
}


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})])
@pytest.mark.parametrize(
    "script", [[fault] for fault in FAKED] + [["reset", "code:11017", "cut", "unavailable"], ["hang"] * 6]
)
async def test_the_fake_transport_and_the_real_one_agree(script: Iterable[str]) -> None:
    """The same script, played by the sandbox over real sockets and by the fake, ends in the same way."""

    async def run(transport: Transport, account_id: AccountId) -> Run:
        one = bench(transport)
        account = replace(ACCOUNT, id=account_id)
        try:
            answer = await one.fetch(account, query_for(account_id))
            end = "page" if isinstance(answer, Page) else answer.name
        except CallError as error:
            end = f"{type(error).__name__}"
        return Run(end, one.quota.sent, one.client.attempts_failed)

    async with sandbox(fault_bytes=16 * 2**20) as served:
        served.script(*script)
        async with AiohttpTransport(served.base_url, timeout_s=30) as real:
            met = await run(real, WORLD.account_ids[0])
        assert met.requests == served.stats.requests
        assert served.stats.repeated_nonces == 0
    fake = ScriptedTransport([FAKED[fault] for fault in script])
    assert await run(fake, ACCOUNT_ID) == met
    assert len(fake.requests) == met.requests


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})])
async def test_a_stormy_api_is_read_whole_over_real_sockets(caplog: pytest.LogCaptureFixture) -> None:
    """Many calls at once, a fault in every third answer, dying connections: all pages come, each request is counted."""
    storm = ["reset", None, "cut", None, None, "close", None, "code:51001", None, "bad-gateway", None, "garbage", None]
    async with sandbox(fault_bytes=16 * 2**20, gzip=True) as served:
        served.script(*storm * 10)
        async with AiohttpTransport(served.base_url, timeout_s=30) as real:
            one = bench(real, retry=Retry(attempts=20))
            pages: list[Page | Refusal] = []

            async def fetch(account_id: AccountId) -> None:
                pages.append(await one.fetch(replace(ACCOUNT, id=account_id), query_for(account_id)))

            async with anyio.create_task_group() as tasks:
                for number in range(60):
                    tasks.start_soon(fetch, WORLD.account_ids[number % 3])
        assert_counted(served, one)
    assert len(pages) == 60
    assert all(isinstance(page, Page) for page in pages)
    assert TOKEN not in caplog.text


def assert_counted(served: Sandbox, one: Bench) -> None:
    """Every permit was one request on the wire but for those whose connection died before they left."""
    assert served.stats.requests <= one.quota.sent
    assert served.stats.repeated_nonces == 0

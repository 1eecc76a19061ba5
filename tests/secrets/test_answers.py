"""Whatever the wire and a server do to an answer, nothing secret of it is said or written."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.accounts import read_accounts
from harvester.api.codes import TABLE, Fault, Verdict, judge
from harvester.api.effort import Retry
from harvester.api.envelope import Response, cleaned, label
from harvester.api.protocol import read_figure, read_page
from harvester.api.tokens import Pair, Renewal
from harvester.api.tokens.oauth import read_renewal
from harvester.errors import ExitCode
from harvester.report.logs import FORMATS
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.faults import FaultKind
from harvester.sandbox.world import World
from harvester.secret import Secret, masked
from tests.flows import TODAY
from tests.secrets.stage import BOTH, DESK, HOW, ODD, PHONE, PLAIN, Keys, harvested, stage
from tests.secrets_hunt import (
    TRICKS,
    Echo,
    Hunt,
    refusing,
    sayings,
)  # fmt: skip

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.CODE])
async def test_faults_on_calls(kind: FaultKind, tmp_path: Path) -> None:
    """Whatever the wire does to an answer with calls, for a while or for good."""
    for keys, many, style in zip(BOTH, (2, 50), FORMATS, strict=True):
        async with stage(tmp_path / style, keys) as on:
            on.echo.script(*[str(kind)] * many)
            assert await harvested(on, style)
            assert on.hunt.nothing()


@HOW
@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.CODE])
async def test_faults_on_renewals(kind: FaultKind, how: Renewal, tmp_path: Path) -> None:
    """Whatever the wire does to an answer with new tokens, the rotation's only one among them."""
    async with stage(tmp_path, PLAIN, how, expired=True) as on:
        on.echo.script_oauth(*[str(kind)] * 3)
        assert await harvested(on)
        assert on.hunt.nothing()


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_server_that_says_everything_back(trick: str, tmp_path: Path) -> None:
    """In messages, trace ids, headers, HTML, the status line, where it redirects to: once, and to the end."""
    for keys, style in zip(BOTH, FORMATS, strict=True):
        async with stage(tmp_path / style, keys) as on:
            on.echo.on = frozenset({Endpoint.CALLS})
            on.echo.tricks.extend([TRICKS[trick]] * 2)
            on.echo.always = TRICKS[trick] if keys is ODD else None
            assert await harvested(on, style)
            assert on.echo.met >= 2
            assert on.hunt.nothing()


@HOW
@pytest.mark.parametrize("trick", TRICKS)
async def test_a_renewal_that_says_everything_back(trick: str, how: Renewal, tmp_path: Path) -> None:
    """The secret of the app and the refresh token are in what it was asked."""
    extended = how is Renewal.EXTEND
    async with stage(tmp_path, BOTH[extended], how, expired=True) as on:
        on.echo.on = frozenset({Endpoint.EXTEND, Endpoint.ROTATE})
        on.echo.tricks.extend([TRICKS[trick]] * 3)
        on.echo.always = None if extended else TRICKS[trick]
        assert await harvested(on)
        assert on.echo.met
        assert on.hunt.nothing()


def by_verdict() -> dict[Verdict, list[int]]:
    """The codes of the table, by what is done about them."""
    found: dict[Verdict, list[int]] = {}
    for code in TABLE:
        found.setdefault(judge(Fault(text="", code=code)), []).append(code)
    return found


async def test_every_return_code_of_a_busy_api(tmp_path: Path) -> None:
    """One after the other on the same request, with everything said back; then all is well."""
    async with stage(tmp_path, ODD) as on:
        on.assignment = replace(on.assignment, give_up_after_s=None, retry=Retry(attempts=400))
        on.echo.tricks.extend(map(refusing, by_verdict()[Verdict.RETRY]))
        assert (report := await harvested(on))
        assert not on.echo.tricks
        assert report.exit_code == ExitCode.COMPLETE
        assert on.hunt.nothing()


@pytest.mark.parametrize("verdict", [Verdict.FAIL_SLICE, Verdict.SKIP_ACCOUNT])
async def test_every_return_code_of_an_account(verdict: Verdict, tmp_path: Path) -> None:
    """Each code of the table, an account each, with everything said back."""
    codes = by_verdict()[verdict]
    world = World(accounts=len(codes), calls_per_day=2, today=TODAY)
    told = dict(zip(map(str, world.account_ids), codes, strict=True))
    seen: set[int] = set()

    def refused(echo: Echo, request: web.Request) -> web.StreamResponse:
        code = told[request.query["account_id"]]
        seen.add(code)
        return refusing(code)(echo, request)

    async with stage(tmp_path, ODD, world=world) as on:
        on.assignment = replace(on.assignment, give_up_after_s=None)
        on.echo.always = refused
        assert await harvested(on)
        assert seen == set(codes)
        assert on.hunt.nothing()


OTHERS = [
    code
    for verdict, codes in by_verdict().items()
    if verdict not in {Verdict.FAIL_SLICE, Verdict.SKIP_ACCOUNT, Verdict.RETRY}
    for code in codes
]


@pytest.mark.parametrize("code", OTHERS)
async def test_every_return_code_of_tokens_and_apps(code: int, tmp_path: Path) -> None:
    """Those that are about more than an account, on every request: for calls, and for tokens."""
    how = list(Renewal)[code % 2]
    async with stage(tmp_path, BOTH[code // 2 % 2], how) as on:
        on.echo.always = refusing(code)
        assert await harvested(on)
        assert on.echo.met
        assert on.hunt.nothing()


class TestWhatAServerSays:
    """Without a network: every spelling, also where texts are cut."""

    @pytest.mark.parametrize("keys", BOTH, ids=["plain", "odd"])
    def test_no_saying_comes_through(self, keys: Keys) -> None:
        """In a message, a trace id or a header, of calls, lists and renewals; also of tokens that were not sent."""
        alive = [Secret(value) for value in (keys.access, keys.refresh, keys.client)]
        hunt = Hunt({str(index): secret.reveal() for index, secret in enumerate(alive)}, frozenset({PHONE, DESK}))
        pair = Pair(access=alive[0], refresh=alive[1])
        readers: list[Callable[[Response], object]] = [
            read_page, read_accounts, partial(read_renewal, before=pair, sent_at=0.0)
        ]  # fmt: skip
        for saying in sayings(hunt.secrets.values(), hunt.phones):
            for reader in readers:
                for body in (
                    {"code": 1, "message": saying, "trace_id": saying},
                    {"code": 11002, "message_cn": saying, "code_type": saying},
                    {"code": saying, "message": saying},
                    {"code": 0, "data": {"page_info": {"total_number": saying}, "list": saying, "access_token": ""}},
                ):
                    answer = Response(200, {"x-tsa-trace-id": saying, "date": saying}, orjson.dumps(body))
                    fault = reader(answer)
                    if isinstance(fault, Fault):
                        hunt.in_text("a fault", f"{fault} {fault!r} {fault.complaint} {answer!r}")
        assert hunt.nothing()

    @given(st.text(), st.sampled_from(["", "Sun, 22 Nov 2026 23:00:06 GMT", "22 Nov 2026", "0 0 0 0"]), st.text())
    def test_no_header_makes_it_fail(self, before: str, date: str, after: str) -> None:
        """Whatever it holds."""
        names = ("date", "retry-after", "x-tsa-trace-id", "x-ratelimit-remaining")
        answer = Response(200, dict.fromkeys(names, before + date + after), b'{"code": 1}')
        assert isinstance(read_page(answer), Fault)
        read_figure(answer)

    def test_an_honest_message_stays(self) -> None:
        """What helps a person is not masked along."""
        alive = Secret(PLAIN.access)
        for text in (
            "参数错误",
            "page_size must be in [1, 200]",
            "the access_token is invalid",
            "code 11017, again in 60 s",
        ):
            assert cleaned(text) == text
        for trace in ("0af7651916cd43dd8448eb211c80319c", "7d3f0c1e-1b2a-4c5d-8e9f-0a1b2c3d4e5f", "trace-1"):
            assert label(trace) == trace
        for line in ("run 20261123T075836+08-559612: 2 accounts, 2026-11-21..2026-11-22", "account 13912345678 of 9"):
            assert masked(line) == line
        assert alive

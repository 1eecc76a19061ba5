"""No secret, no token and no phone number gets anywhere, whatever happens: all that is said and written is searched."""

import ast
import asyncio
import errno
import ipaddress
import json
import logging
import os
import re
import shutil
import signal
import sqlite3
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import click
import orjson
import pytest
import zstandard
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from yarl import URL

import harvester
from harvester.api.accounts import read_accounts
from harvester.api.codes import TABLE, Fault, Verdict, judge
from harvester.api.effort import Retry
from harvester.api.envelope import Passport, Request, Response, cleaned, label
from harvester.api.protocol import CALLS_PATH, read_figure, read_page, request_calls
from harvester.api.quota import Limits
from harvester.api.tokens import Credentials, Pair, Renewal, apart
from harvester.api.tokens.life import Life, Use
from harvester.api.tokens.oauth import EXTEND_PATH, ROTATE_PATH, read_renewal, request_renewal
from harvester.api.tokens.stored import Stored, mark_of
from harvester.api.transport import AiohttpTransport
from harvester.calls import Call, Calls, Stray
from harvester.cli import cli
from harvester.config import load
from harvester.config.values import parse_base_url
from harvester.endings import report_a_bug, show_problems
from harvester.enrolment import Discovery
from harvester.errors import ConfigError, ExitCode, HarvesterError, SliceFault
from harvester.harvest.assignment import Assignment
from harvester.harvest.inspect import Orders, status, verify
from harvester.harvest.pace import Pace
from harvester.harvest.preview import forecast
from harvester.harvest.run import as_json, harvest
from harvester.model import ONE_DAY, Account, AccountId, Batch, End, Page, Query, Slice, Status, Window
from harvester.plan import Scope
from harvester.report import soundness, summary
from harvester.report import status as standing
from harvester.report.logs import FORMATS
from harvester.report.summary import Report
from harvester.roll import Selection, Table, Via
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.faults import FaultKind
from harvester.sandbox.grants import CLIENT_ID, Grant
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World, beijing_day
from harvester.secret import Net, Secret, masked
from tests.flows import APP, NOW_S, TODAY, TOKEN, assign, clock, last_days, run, surroundings
from tests.secrets_hunt import (
    TRICKS,
    Echo,
    Hunt,
    echoing,
    listening,
    no_http,
    phones_of,
    redirect_to,
    refusing,
    sayings,
    spellings,
    whole_story,
)  # fmt: skip
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio
WORLD = World(accounts=2, calls_per_day=6, today=TODAY)
DAYS = 2
HOW = pytest.mark.parametrize("how", list(Renewal))


@dataclass(frozen=True)
class Keys:
    """The secrets of a run."""

    access: str
    refresh: str
    client: str


PLAIN = Keys("5d8a41c09e7b3f62a1d4c8e05b97f213", "e31f7ab2096c4d58b0a2f9d1c7438e65", "Qm7TzLw2RkXv9BnYc4HdJs8PfGa3EuKo")
"""As they come."""
ODD = Keys(
    "aB3/x+y=z&w%41,q'<r>\"s{t}~\\u00e9@v", "/+Zk=&?#9$d!(m)*;:|`^[p]-_.,Y0w7", "%2B%26<&amp;>\"'\\n/T5r+Q=9xZ~{}|`u"
)
"""With all that a URL, JSON, HTML and Python write in another way."""
BOTH = (PLAIN, ODD)


@dataclass
class Stage:
    """A run against an echo, and what must not be seen of it."""

    echo: Echo
    hunt: Hunt
    assignment: Assignment


@asynccontextmanager
async def stage(
    folder: Path,
    keys: Keys = PLAIN,
    how: Renewal = Renewal.EXTEND,
    *,
    expired: bool = False,
    world: World = WORLD,
    **switches: object,
) -> AsyncIterator[Stage]:
    """An echo, and an assignment for it; `expired`: the access token has come to its end, and is renewed first."""
    grant = Grant(
        name="grant", access=keys.access, refresh=keys.refresh, client_secret=keys.client,
        expires_at=NOW_S - 1 if expired else None,
    )  # fmt: skip
    phones = phones_of(world, last_days(DAYS))
    hunt = Hunt({"access": keys.access, "refresh": keys.refresh, "client": keys.client}, phones)
    options = Switches(**{"grants": (grant,), "fault_bytes": 9 * 2**20, "drip_s": 0.01, **switches})  # type: ignore[arg-type]  # a test's shorthand
    async with echoing(world, options, clock()) as echo:
        echo.arm(hunt)

        def renewed(name: str) -> None:
            pair = echo.authority.pair(name)
            hunt.also(f"access, renewed {len(hunt.secrets)}", pair.access)
            hunt.also(f"refresh, renewed {len(hunt.secrets)}", pair.refresh)
            echo.arm(hunt)

        echo.on_renewal = renewed
        credentials = Credentials(
            app=APP,
            access=Secret(keys.access),
            refresh=Secret(keys.refresh),
            client_id=CLIENT_ID,
            client_secret=Secret(keys.client),
            renewal=how,
        )
        assignment = replace(
            assign(echo, folder / "landing", days=DAYS, page_size=3),
            tokens={TOKEN: credentials},
            retry=Retry(attempts=2),
            timeout_s=5.0,
            give_up_after_s=60.0,
        )
        yield Stage(echo, hunt, assignment)


class InThisProcess:
    """The real transport, and no process of its own for a rotation: what that says is heard here."""

    def __init__(self, real: AiohttpTransport) -> None:
        self._real = real

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        return await self._real.send(request)


async def harvest_of(assignment: Assignment) -> Report:
    """A run with the test's time and chance."""
    async with AiohttpTransport(assignment.base_url, timeout_s=assignment.timeout_s) as real:
        return await harvest(assignment, around=surroundings(), transport=InThisProcess(real))


async def harvested(on: Stage, style: str = "text") -> Report | None:
    """A run at debug level, everything that it says and writes searched; `None` when an error ended it."""
    assignment, hunt = on.assignment, on.hunt
    report, after = None, {"the assignment": repr(assignment)}
    asyncio.get_running_loop().set_debug(True)
    with listening(style) as heard:
        try:
            report = await harvest_of(assignment)
            after |= inspected(assignment, report)
        except HarvesterError as error:
            after["what ended it"] = str(error)
    heard.give(hunt)
    for name, text in after.items():
        hunt.in_text(name, text)
    for text in (heard.printed.getvalue(), *after.values()):
        hunt.found |= {f"a character that steers a terminal: {one!a}" for one in text if not _is_tame(one)}
    hunt.in_folder(assignment.output_dir.parent, tokens=assignment.state_dir / "tokens")
    return report


def _is_tame(character: str) -> bool:
    return character == "\n" or character.isprintable()


def inspected(assignment: Assignment, report: Report) -> dict[str, str]:
    """All that the other commands say afterwards, and how things print themselves."""
    state, found = status(assignment, every_gap=True), verify(assignment, Orders(heal=True), lambda: NOW_S)
    return {
        "the summary": summary.in_words(report),
        "--summary": as_json(report).decode(),
        "the report": repr(report),
        "status": standing.in_words(state, every=True) + repr(standing.to_json(state)),
        "verify": soundness.in_words(found, "zone", "config") + repr(soundness.to_json(found)),
        "plan": forecast(assignment),
    }


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


class TestThingsThatPrintThemselves:
    """Should one of them come into a log, an error or a traceback."""

    def test_nothing_of_calls(self) -> None:
        """A call, a page, a batch, an answer: how much it is, and nothing of what is in it."""
        account = Account(id=AccountId(1), token=TOKEN, app=APP)
        whole = Slice(account, last_days(1))
        line = orjson.dumps({"caller": PHONE})
        calls, strays = [Call(PHONE, "2026-03-14 00:00:00", line)], [Stray(PHONE, "no usable call_start_time", line)]
        page = Page(calls=Calls.of(calls), strays=strays, total=2)
        batch = Batch(slice=whole, calls=Calls.of(calls), strays=strays, size_bytes=9, state=PHONE.encode())
        end = End(slice=whole, status=Status.FAILED, state=PHONE.encode())
        hunt = Hunt({}, frozenset({PHONE}))
        for one in (*calls, *strays, page, batch, end, Response(200, {"date": PHONE}, line)):
            hunt.in_text(type(one).__name__, f"{one} {one!r} {[one]}")
        assert hunt.nothing()

    @pytest.mark.parametrize("keys", BOTH, ids=["plain", "odd"])
    def test_nothing_of_tokens(self, keys: Keys) -> None:
        """Requests, pairs, credentials and all that holds them."""
        access, refresh, client = map(Secret, (keys.access, keys.refresh, keys.client))
        credentials = Credentials(app=APP, access=access, refresh=refresh, client_id="1", client_secret=client)
        pair = Pair(access=access, refresh=refresh)
        passport = Passport(access=access, nonce="n", timestamp=1)
        query = Query(account_id=AccountId(1), window=last_days(1), page=1, page_size=1)
        answer = orjson.dumps({"code": 0, "data": {"access_token": keys.access, "refresh_token": keys.refresh}})
        hunt = Hunt({"access": keys.access, "refresh": keys.refresh, "client": keys.client})
        for one in (
            credentials, pair, passport, request_calls(query, passport), request_renewal(credentials, refresh),
            Response(200, {}, answer), read_renewal(Response(200, {}, answer), pair, 0.0), Life(pair=pair),
            Stored(token=TOKEN, serial=1, pair=pair, access_mark=mark_of(access), refresh_mark=mark_of(refresh)),
            Use(pair, 1, alone=True), AiohttpTransport("https://x", timeout_s=1),
        ):  # fmt: skip
            hunt.in_text(type(one).__name__, f"{one} {one!r} {[one]}")
        assert hunt.nothing()


async def test_new_tokens_are_their_owner_s_alone(tmp_path: Path) -> None:
    """Whatever the umask, and whatever was there before: files 0600 in a folder 0700; what was open is told."""
    for umask in (0o000, 0o022, 0o077):
        before = os.umask(umask)
        try:
            async with stage(tmp_path / str(umask), PLAIN, Renewal.ROTATE, expired=True) as on:
                assert (report := await harvested(on))
                assert report.exit_code == ExitCode.COMPLETE
                tokens = on.assignment.state_dir / "tokens"
                assert {stat.S_IMODE(path.stat().st_mode) for path in tokens.iterdir()} == {0o600}
                for path in (tokens, *tokens.iterdir()):
                    path.chmod(0o777)
                with listening() as heard:
                    await harvest_of(on.assignment)
                assert heard.printed.getvalue().count("could be read by others") == 3
                on.hunt.in_folder(tmp_path / str(umask), tokens=tokens)
                assert len(on.hunt.secrets) == 5
                assert on.hunt.nothing()
        finally:
            os.umask(before)


def _bug(on: Stage, line: str) -> Exception:
    """What a bug may say at worst."""
    error = KeyError(f"{line} of access_token={on.hunt.secrets['access']}")
    error.__cause__ = ValueError(orjson.dumps(list(on.hunt.secrets.values())), sorted(on.hunt.phones))
    error.add_note(repr([*on.hunt.secrets.values(), *on.hunt.phones]))
    return error


@pytest.mark.parametrize(
    "where",
    [
        "harvester.landing.writer.Writer._collect",
        "harvester.landing.group.prepare",
        "harvester.harvest.walk.Walk.take",
        "harvester.api.client.Client._send",
        "harvester.api.transport.AiohttpTransport.send",
        "harvester.api.tokens.renewing.Renewer.renew",
        "harvester.landing.marks.Marks.account_committed",
        "harvester.harvest.run.fold",
        "harvester.harvest.run.as_json",
    ],
)
async def test_a_bug_anywhere(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its traceback is printed without a secret or a phone, in its message, its causes and its notes."""
    async with stage(tmp_path, PLAIN, expired=True) as on:

        def stumble(*_: object, **__: object) -> None:
            line = next(WORLD.calls(WORLD.account_ids[0], last_days(DAYS))).decode()
            raise _bug(on, line)

        monkeypatch.setattr(where, stumble)
        with listening() as heard, pytest.raises((KeyError, ExceptionGroup)) as caught:
            await harvest_of(on.assignment)
        report_a_bug(caught.value)
        logging.getLogger("asyncio").addHandler(handler := logging.StreamHandler())
        handler.addFilter(Net())
        logging.getLogger("asyncio").error("never retrieved", exc_info=caught.value)
        logging.getLogger("asyncio").removeHandler(handler)
        printed = "".join(capsys.readouterr())
        assert printed.count("KeyError") >= 2
        on.hunt.in_text("the traceback", printed)
        on.hunt.in_text("what was printed", heard.printed.getvalue())
        on.hunt.in_folder(tmp_path, tokens=on.assignment.state_dir / "tokens")
        assert on.hunt.nothing()


@pytest.mark.parametrize(
    "where",
    [
        "harvester.landing.files._write_durably",
        "harvester.landing.part.Part.make_durable",
        "harvester.landing.marks.replace_whole",
        "harvester.api.tokens.store._write_all",
        "harvester.api.tokens.store._read",
        "harvester.landing.ledger.database.hold",
    ],
)
async def test_a_disk_that_is_full(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the moment in which new tokens are stored."""
    async with stage(tmp_path, PLAIN, Renewal.ROTATE, expired=True) as on:
        on.assignment = replace(on.assignment, pace=Pace(every_s=None, every_bytes=1))

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

        monkeypatch.setattr(where, full)
        await harvested(on)
        assert on.hunt.nothing()


def _plant_in_ledger(column: str, value: str | bytes) -> Callable[[Stage], None]:
    def plant(on: Stage) -> None:
        with sqlite3.connect(on.assignment.state_dir / "ledger.sqlite") as ledger:
            table, name = column.split(".")
            ledger.execute(f"UPDATE {table} SET {name} = ?", (value,))  # noqa: S608 - the test's own words
        ledger.close()

    return plant


def _plant_in_file(path: str, text: str) -> Callable[[Stage], None]:
    def plant(on: Stage) -> None:
        file = on.assignment.output_dir / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as out:
            out.write(text)

    return plant


def _plant_in_calls(on: Stage) -> None:
    file = next(on.assignment.output_dir.glob("dt=*/*/calls.ndjson.zst"))
    file.write_bytes(zstandard.compress(orjson.dumps({"caller": PLAIN.access}) + b"\n"))


def _open_up(name: str, mode: int) -> Callable[[Stage], None]:
    return lambda on: (on.assignment.state_dir / name).chmod(mode)


PHONE = "13800138000"
DESK = "01085170811"
PLANTED: dict[str, Callable[[Stage], None]] = {
    "a token in the report": _plant_in_file("runs/x.json", f'"{PLAIN.access}"'),
    "a phone in the report": _plant_in_file("runs/x.json", f'"{PHONE}"'),
    "a phone in a mark": _plant_in_file("dt=2026-03-14/_COMPLETE.json", PHONE),
    "a token in the name of a file": _plant_in_file(f"runs/{PLAIN.refresh}.json", ""),
    "a phone in the name of a folder": _plant_in_file(f"dt={PHONE}/x", ""),
    "a token in a lock": _plant_in_file(".harvester/lock", PLAIN.client),
    "a token in calls": _plant_in_calls,
    "a token in the quarantine": _plant_in_file("quarantine/account_id=1/calls.ndjson", PLAIN.access),
    "a token in a part": _plant_in_file(".harvester/unfinished/x.part", PLAIN.access),
    "a token in the ledger": _plant_in_ledger("receipts.reason", f"no {PLAIN.client}"),
    "a phone in the ledger": _plant_in_ledger("receipts.reason", f"no +86 {PHONE}"),
    "a token in a blob": _plant_in_ledger("days.digest", PLAIN.access.encode()),
    "an open file of tokens": _open_up(f"tokens/{TOKEN}.json", 0o640),
    "an open folder of tokens": _open_up("tokens", 0o711),
}


class TestTheHunt:
    """It finds what is planted: a hunt that finds nothing must have looked."""

    @pytest.mark.parametrize("keys", BOTH, ids=["plain", "odd"])
    def test_every_spelling(self, keys: Keys) -> None:
        """Of a secret, whole or a part of it, and of a phone number; in the midst of other text."""
        for name, value in vars(keys).items():
            for spelling in (*spellings(value), value[:20], value[-18:], value[5:21]):
                hunt = Hunt({name: value})
                hunt.in_text("here", f"x = {spelling};")
                assert hunt.found, (name, spelling)
        for saying in sayings((), (PHONE, DESK)):
            hunt = Hunt({}, frozenset({PHONE, DESK}))
            hunt.in_text("here", f"x = {saying};")
            assert hunt.found, saying

    @pytest.mark.parametrize("name", PLANTED)
    async def test_files(self, name: str, tmp_path: Path) -> None:
        """Each kind of file, their names, every column of the ledger, and who may read tokens."""
        async with stage(tmp_path, PLAIN, expired=True) as on:
            await harvested(on)
            assert not on.hunt.found
            on.hunt.also_phones(PHONE)
            PLANTED[name](on)
            on.hunt.in_folder(tmp_path, tokens=on.assignment.state_dir / "tokens")
            assert on.hunt.found

    @pytest.mark.parametrize("secret", [PLAIN.access, PHONE], ids=["a token", "a phone"])
    @pytest.mark.parametrize(
        "where", ["stdout", "stderr", "log", "argument", "library", "traceback", "error", "context"]
    )
    async def test_words(self, where: str, secret: str) -> None:
        """On both streams, in a line of the log, in what it hangs on an error of harvester's own."""
        own, other = logging.getLogger("harvester.api.client"), logging.getLogger("aiohttp.client")
        leaks: dict[str, Callable[[], object]] = {
            "stdout": lambda: sys.stdout.write(secret),
            "stderr": lambda: sys.stderr.write(secret),
            "log": lambda: own.debug("of %s", secret),
            "argument": lambda: own.debug("of %.3s", secret),
            "library": lambda: other.debug(f"GET /?access_token={secret}"),
            "traceback": lambda: other.error("no", exc_info=ValueError(secret)),
            "error": lambda: SliceFault(f"of {secret}"),
            "context": lambda: setattr(SliceFault("hidden"), "__context__", KeyError(secret)),
        }
        with listening() as heard:
            leaks[where]()
        hunt = Hunt({"it": secret} if secret != PHONE else {}, frozenset({PHONE}))
        heard.give(hunt)
        assert hunt.found

    @pytest.mark.parametrize(
        ("room", "name", "leaky"),
        [
            ("harvester.api.envelope", "cleaned", str),
            ("harvester.api.envelope", "label", lambda text: text),
            ("harvester.api.envelope", "tells", lambda _: False),
            ("harvester.api.transport", "_reason", lambda error: f"{error!r} {error}"),
        ],
    )
    async def test_a_hole_in_the_wall(
        self, room: str, name: str, leaky: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without one of the cleaners a whole harvest is seen to leak: into the summary, the ledger, the log."""
        monkeypatch.setattr(f"{room}.{name}", leaky)
        async with stage(tmp_path, ODD) as on:
            on.echo.always = no_http if name == "_reason" else refusing(60008)
            await harvested(on)
            assert len({one.partition(":")[0] for one in on.hunt.found}) > 3, on.hunt.found

    async def test_a_net_that_is_gone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A line with a URL is caught by the net; without the net it is seen."""
        send = AiohttpTransport.send

        async def told(self: AiohttpTransport, request: Request) -> Response:
            logging.getLogger("aiohttp.client").debug("GET %s?%s", request.path, request.query)
            return await send(self, request)

        monkeypatch.setattr(AiohttpTransport, "send", told)
        for net in (True, False):
            if not net:
                monkeypatch.setattr(Net, "filter", lambda *_: True)
            async with stage(tmp_path / str(net)) as on:
                await harvested(on)
                places = {one.partition(":")[0] for one in on.hunt.found}
                assert places == {"the log before the net", *([] if net else ["what was printed"])}


class TestRedirects:
    """Nobody follows them: they would carry the token along."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "target",
        ["http://{host}/?{{query}}", "//{host}/?{{query}}", "{{here}}", "?{{query}}&again=1", "file:///etc/hostname",
         "http://user:pass@{host}/", "https://{host}/?{{query}}", "//{host}\\@x/"],
    )  # fmt: skip
    async def test_another_server_sees_nothing(self, status: int, target: str, tmp_path: Path) -> None:
        """Nor does the same one see a request that nobody counted; for calls and for tokens."""
        async with trap() as (host, seen), stage(tmp_path, PLAIN, expired=status % 2 == 0) as on:
            on.echo.on = frozenset(Endpoint) - ({Endpoint.CALLS} if status % 2 == 0 else set())
            on.echo.tricks.extend([redirect_to(status, target.format(host=host))] * 3)
            report = await harvested(on)
            assert report
            assert report.exit_code == ExitCode.COMPLETE
            assert sum(report.requests.values()) == on.echo.stats.requests + (3 if status % 2 else 0)
            assert seen == []
            assert on.hunt.nothing()

    async def test_no_proxy_of_the_environment_is_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that somebody put there would see the token of a request to loopback."""
        async with trap() as (host, seen), stage(tmp_path) as on:
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://{host}")
            assert (report := await harvested(on))
            assert (report.exit_code, seen) == (ExitCode.COMPLETE, [])


@asynccontextmanager
async def trap(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that must not be asked: its address, and what it heard."""
    heard: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))
        writer.close()

    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda *_: None)  # of a handshake that the other side refuses
    async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls) as listener:
        yield "{}:{}".format(*listener.sockets[0].getsockname()), heard
    loop.set_exception_handler(before)


class TestTls:
    """Verified always."""

    def test_nothing_turns_it_off(self) -> None:
        """No argument, no attribute, no name of Python's ways to do so is in the program."""
        names = {"ssl", "verify_ssl", "ssl_context", "ssl_shutdown_timeout", "fingerprint", "verify", "trust_env",
                 "CERT_NONE", "check_hostname", "verify_mode", "_create_unverified_context", "proxy"}  # fmt: skip
        for path in Path(harvester.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.keyword(arg=str(name)) | ast.Attribute(attr=name) | ast.alias(name=name):
                        assert name not in names - ({"verify"} if "api" not in path.parts else set()), path

    @pytest.mark.parametrize(
        "url",
        [
            "http://api.e.qq.com", "http://127.0.0.1.evil.com", "http://localhost@evil.com", "http://evil#@localhost",
            "http://localhost:80@evil.com", "http://0x7f.1", "http://0x7f000001", "http://2130706433", "http://127.1",
            "http://0", "http://0.0.0.0", "http://[::]", "http://[::ffff:127.0.0.1]", "http://localhost.",
            "http://[::1]@evil", "http://127.0.0.1.", "http://127\u30020\u30020\u30021",
            "http://127\u20240\u20240\u20241", "http://\u24dbocalhost", "http://localhost%2eevil",
            "http://localhost\\@evil.com", "http://localhost\t.evil.com", "http://localhost.evil",
            "http://evil?localhost", "//localhost",
            "http://127.0.0.1/@evil.com", "http://127.0.0.1:80:80", "http:localhost", "http:///localhost",
            "HTTP://evil.com", "hTTp://10.0.0.1", "http://[fe80::1]", "http://[::1%25lo]", "http://127.0.0.1:99999",
            "ftp://127.0.0.1", "file:///etc", "unix://x", "https://user:pass@api.e.qq.com", "https://api.e.qq.com?x=1",
            "http://localhost\n", " http://localhost", "http://127.00.0.1",
        ],
    )  # fmt: skip
    def test_http_is_for_loopback_only(self, url: str) -> None:
        """Whatever it is disguised as."""
        with pytest.raises(ValueError, match="expected"):
            parse_base_url(url)

    @pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9:1", "http://[::1]:80"])
    def test_loopback_is_loopback(self, url: str) -> None:
        """For the sandbox."""
        assert parse_base_url(url) == url

    @given(st.text(st.sampled_from("127.0:/@[]lochst\\%2e#?a\t\u3002"), max_size=24))
    def test_what_passes_leads_to_loopback(self, rest: str) -> None:
        """As the client itself reads the URL."""
        try:
            url = parse_base_url(f"http://{rest}")
        except ValueError:
            return
        host = URL(f"{url}/v3.0/x?access_token=1", encoded=True).host
        assert host
        assert host == "localhost" or ipaddress.ip_address(host).is_loopback

    async def test_an_untrusted_certificate(self, tmp_path: Path) -> None:
        """No token goes there, and a person is told what to do; by the first request and by a renewal."""
        with certificate(tmp_path) as (tls, _):
            for expired in (False, True):
                async with trap(tls) as (host, seen), stage(tmp_path / str(expired), PLAIN, expired=expired) as on:
                    on.assignment = replace(on.assignment, base_url=f"https://{host}")
                    report = await harvested(on)
                    assert report
                    assert seen == []
                    said = summary.in_words(report)
                    assert "no trusted TLS connection (self-signed certificate); nothing was sent" in said
                    assert "SSL_CERT_FILE" in said
                    assert on.hunt.nothing()

    @pytest.mark.parametrize("trusted", [True, False])
    def test_a_certificate_for_another_host(self, trusted: bool, tmp_path: Path) -> None:
        """One that is trusted does for its own name only; with that one a run goes on, so the refusal is TLS's own."""
        name = "IP:127.0.0.1" if trusted else "DNS:another.example"
        with (
            certificate(tmp_path, name) as (tls, file),
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(trap(tls)) as (host, seen),
        ):
            config = write_config(tmp_path, f"https://{host}")
            done = program("run", config, SSL_CERT_FILE=str(file), **environment(PLAIN))
        assert done.returncode in {ExitCode.PARTIAL, ExitCode.BUDGET}
        assert bool(seen) is trusted
        assert ("no trusted TLS connection (IP address mismatch" in done.stderr) is (not trusted)


@contextmanager
def certificate(folder: Path, name: str = "IP:127.0.0.1") -> Iterator[tuple[ssl.SSLContext, Path]]:
    """A server's side of TLS with a certificate that nobody has heard of, and its file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here to make a certificate with")
    folder.mkdir(exist_ok=True)
    key, file = folder / "tls.key", folder / "tls.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "9",
    ]
    names = ["-subj", "/CN=sandbox", "-addext", f"subjectAltName={name}"]
    subprocess.run([*command, *names, "-keyout", key, "-out", file], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file, key)
    key.unlink()
    yield tls, file


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["../../../escaped", "/var/../escaped", "..", ".", "", "\0", "a\0b", "~root", "C:\\x", "x" * 70_000,
         "\ud800", "\u202e\u2066\x1b[2J\x9b31m\x07", "dt=2026-03-14/account_id=1/calls.ndjson", "\n", "%2e%2e%2f",
         "-rf", "*", "2026-03-14 10:00:00", "2026-03-13 00:00:00", "2026-02-30 10:00:00", "0000-00-00 00:00:00",
         "../26-03-14 10:0:0", "9999-12-31 23:59:59", "0001-01-01 00:00:00", "2026-03-14/../..",
         "\uff12\uff10\uff12\uff16-03-14 10:00:00"]
    ),
    st.integers(), st.none(), st.booleans(), st.floats(), st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)  # fmt: skip
STARTS = st.one_of(HOSTILE, st.sampled_from(["2026-03-14 10:00:00", "2026-03-13 23:59:59"]))
DOCUMENTED = re.compile(
    r"dt=2026-03-1[34]/account_id=\d+/calls\.ndjson\.zst|dt=2026-03-1[34]/_COMPLETE\.json"
    r"|quarantine/account_id=\d+/calls\.ndjson|runs/\d{8}T\d{6}\+08-[0-9a-f]{6}\.json"
    r"|\.harvester/(ledger\.sqlite(-wal|-shm)?|lock|zone\.lock|tokens/agency\.(json|lock))"
    r"|\.harvester/unfinished/[0-9A-Za-z+.-]+"
)


class TestPaths:
    """Nothing of the API's is used as a path."""

    @settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
    @given(
        calls=st.lists(st.fixed_dictionaries({"call_id": HOSTILE, "call_start_time": STARTS}), max_size=6),
        more=st.tuples(*[HOSTILE] * 8),
        listed=st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), max_size=3),
        code=st.sampled_from([0, 0, 0, 60008, 51001, 12201]),
    )
    def test_every_file_has_a_documented_name(
        self, calls: list[dict[str, Any]], more: tuple[Any, ...], listed: list[tuple[Any, ...]], code: int
    ) -> None:
        """Whatever ids, times, names, states, tokens and page infos are, no file is written or made anywhere else."""
        server = Hostile(calls, more, listed, code)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "a", "b")
            folder.mkdir(parents=True)
            with writes() as written, asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                runner.run(self._harvest(server, folder / "landing"))
            made = [path for path in folder.parent.parent.rglob("*") if not path.is_dir()]
            names = [str(path.relative_to(folder / "landing")) for path in made]  # fails for one that is outside
            landing = str(folder / "landing")
            outside = {path for path in written if not path.startswith((f"{landing}/", landing)) and path != os.devnull}
        assert [one for one in names if not DOCUMENTED.fullmatch(one)] == []
        assert outside == set()

    async def _harvest(self, server: "Hostile", folder: Path) -> None:
        secrets = {
            "access": Secret(PLAIN.access),
            "refresh": Secret(PLAIN.refresh),
            "client_secret": Secret(PLAIN.client),
        }
        table = Table(
            name="all", token=TOKEN, app=APP, via=Via.ADVERTISER, agency_id=None, every_s=60.0, selection=Selection()
        )
        account = Account(id=AccountId(7), token=TOKEN, app=APP)
        assignment = Assignment(
            base_url="http://127.0.0.1", timeout_s=1, page_size=5, accounts=[account],
            scope=Scope(window=last_days(2), today=TODAY), in_flight=2, limits={APP: Limits()},
            tokens={TOKEN: Credentials(app=APP, client_id="1", renewal=Renewal.ROTATE, **secrets)},
            discovery=Discovery(tables=(table,), disabled=(), only=()),
            retry=Retry(attempts=2), output_dir=folder, state_dir=folder / ".harvester", compression="zstd",
            fleet=[account.id], max_requests=60, give_up_after_s=5.0, pace=Pace(every_s=None, every_bytes=1),
        )  # fmt: skip
        await harvest(assignment, around=surroundings(), transport=server)


@dataclass
class Hostile:
    """A transport whose answers are made of what somebody drew."""

    calls: list[dict[str, Any]]
    more: tuple[Any, ...]
    listed: list[tuple[Any, ...]]
    code: int
    sent: int = 0

    async def send(self, request: Request) -> Response:
        """The first request is told that its token has expired."""
        await anyio.lowlevel.checkpoint()
        self.sent += 1
        one, two, three, four, five, six, seven, eight = self.more
        data: dict[str, Any] = {"page_info": {"total_number": one, "page_size": two, "page": three}, "request_id": four}
        if request.path in {EXTEND_PATH, ROTATE_PATH}:
            data |= {"access_token": five, "refresh_token": six, "access_token_expires_in": seven}
        elif request.path == CALLS_PATH:
            data["entities"] = self.calls
            data["page_info"] |= {"total_number": len(self.calls)} if self.sent % 2 else {}
        else:
            data["list"] = [
                {"account_id": id_ if index else 9, "corporation_name": name, "system_status": state}
                for index, (id_, name, state) in enumerate(self.listed)
            ]
            data["cursor_page_info"] = {"has_more": False, "total_number": len(self.listed)}
        code = 11000 if self.sent == 1 else self.code if self.sent % 3 == 0 else 0
        body = {"code": code, "message": five, "message_cn": six, "trace_id": seven, "code_type": eight, "data": data}
        headers = {"x-tsa-trace-id": str(eight), "date": str(one), "retry-after": str(two)}
        return Response(200, headers, json.dumps(body, default=str).encode(errors="surrogatepass"))


_WRITTEN: list[set[str]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Notes what is opened for writing, made, moved or removed; Python has no way to take such a hook off again."""
    if not _WRITTEN or event not in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink"}:
        return
    if event == "open" and not (
        isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    ):
        return
    paths = arguments[:2] if event in {"os.rename", "os.link", "os.symlink"} else arguments[:1]
    _WRITTEN[-1].update(str(Path(os.fsdecode(path)).absolute()) for path in paths if not isinstance(path, int))


@contextmanager
def writes() -> Iterator[set[str]]:
    """Every path that this process writes to while it lasts, wherever it is."""
    if not getattr(writes, "hooked", False):
        sys.addaudithook(_audit)
        writes.hooked = True  # type: ignore[attr-defined]  # once in a process
    found: set[str] = set()
    _WRITTEN.append(found)
    try:
        yield found
    finally:
        _WRITTEN.pop()


STEERING = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\u2028\x00\x7f\x85\r\b"


class TestTerminal:
    """Nothing from outside steers one."""

    async def test_nothing_of_the_api(self, tmp_path: Path) -> None:
        """Messages, trace ids, states, names: in the summary, the log, `status`, `verify`, errors."""
        for code in (60008, 12201, 51001, 11002, 11017):
            async with stage(tmp_path / str(code)) as on:
                on.echo.always = lambda *_, code=code: web.Response(
                    body=orjson.dumps({"code": code, "message": STEERING, "message_cn": f"{STEERING}x"}), reason="\x85x"
                )
                assert await harvested(on)
                assert on.hunt.nothing()

    def test_nothing_of_the_accounts_file(self, tmp_path: Path) -> None:
        """Names, and cells that are wrong, in every command that tells of accounts."""
        config = write_config(tmp_path, "http://127.0.0.1:9", ids="")
        name = STEERING.replace("\x00", "").replace("\r", "").replace("\x85", "").replace("\u2028", "")
        (tmp_path / "a.csv").write_text(f"account_id,name\n7,{name}one\n8,two {name}\n")
        config.write_text(config.read_text() + 'file = "a.csv"\n')
        for command in (
            "accounts list", "accounts list --json", "status --all", "status --json", "plan", "config explain",
            "verify", "doctor --no-probe", "doctor --no-probe --json",
        ):  # fmt: skip
            done = program(*command.split(), config, **environment(PLAIN))
            assert "Traceback" not in done.stderr, done.stderr
            assert all(one.isprintable() or one == "\n" for one in done.stdout + done.stderr), command
        export = program("accounts", "export", config, "-", **environment(PLAIN))
        assert "two" in export.stdout
        assert all(one.isprintable() or one == "\n" for one in export.stdout)
        (tmp_path / "a.csv").write_text(f"account_id,token,{name}\n{name},{name},{name}\n8{name},x,y\n")
        wrong = program("run", config, **environment(PLAIN))
        assert wrong.returncode == 2
        assert all(one.isprintable() or one == "\n" for one in wrong.stdout + wrong.stderr)


ROOT = Path(__file__).parent.parent
LOUD = (sys.executable, "-X", "dev", "-X", "faulthandler", "-m", "tests.secrets_hunt")


def environment(keys: Keys) -> dict[str, str]:
    """What `write_config` refers to."""
    return {"HARVESTER_TOKEN": keys.access, "HARVESTER_REFRESH": keys.refresh, "HARVESTER_SECRET": keys.client}


def write_config(folder: Path, base_url: str, *, ids: str = "ids = [7]\n", renewal: str = "extend") -> Path:
    """A config that holds no secret by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nightly.toml"
    config.write_text(
        f'[api]\nbase_url = "{base_url}"\npage_size = 3\n[window]\nstart = "today-2"\n'
        '[retry]\nattempts = 2\nmax_backoff = "5ms"\ngive_up_after = "1s"\n'
        f'[apps.app]\nclient_id = "{CLIENT_ID}"\nclient_secret = "${{HARVESTER_SECRET}}"\n'
        '[tokens.agency]\naccess_token = "${HARVESTER_TOKEN}"\nrefresh_token = "${HARVESTER_REFRESH}"\n'
        f'renewal = "{renewal}"\n[accounts]\n{ids}'
    )
    return config


def program(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the program at debug level to its end, whatever the umask."""
    return subprocess.run(
        [*LOUD, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | env,
        check=False,
        timeout=120,
        umask=0,
    )


@dataclass
class Town:
    """An echo on real time, and a config for it."""

    echo: Echo
    hunt: Hunt
    config: Path

    def look(self, *texts: str) -> None:
        """Searches what was said, and all that lies beside the config."""
        for text in texts:
            self.hunt.in_text("what was printed", text)
        self.hunt.in_folder(self.config.parent, tokens=self.config.parent / "landing" / ".harvester" / "tokens")
        assert self.hunt.nothing()


@contextmanager
def town(folder: Path, keys: Keys = PLAIN, renewal: str = "extend", **switches: object) -> Iterator[Town]:
    """Serves an echo from another thread."""
    today = beijing_day(time.time())
    world = World(accounts=2, calls_per_day=6, today=today)
    phones = phones_of(world, Window(today - ONE_DAY * 2, today - ONE_DAY))
    hunt = Hunt({"access": keys.access, "refresh": keys.refresh, "client": keys.client}, phones)
    grant = Grant(name="grant", access=keys.access, refresh=keys.refresh, client_secret=keys.client)
    options = Switches(**{"grants": (grant,), **switches})  # type: ignore[arg-type]  # a test's shorthand
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(echoing(world, options, time.time)) as echo,
    ):
        echo.arm(hunt)
        ids = f"ids = {list(world.account_ids)}\n"
        yield Town(echo, hunt, write_config(folder, echo.base_url, ids=ids, renewal=renewal))


class TestTheProgram:
    """As a shell sees it: at debug level, in Python's development mode, its umask wide open."""

    @pytest.mark.parametrize("style", FORMATS)
    def test_a_server_that_says_everything_back(self, style: str, tmp_path: Path) -> None:
        """Every command, after a night in which every answer said everything back."""
        with town(tmp_path, ODD) as here:
            here.echo.on = frozenset({Endpoint.CALLS})
            here.echo.always = refusing(60008 if style == "json" else 51001)
            said, env = "", environment(ODD)
            summary_file = tmp_path / "summary.json"
            done = program("run", here.config, "--summary", summary_file, "--log-format", style, **env)
            assert done.returncode in {ExitCode.PARTIAL, ExitCode.BUDGET}, done.stderr
            assert summary_file.exists()
            for words in ("status", "verify", "plan", "config explain", "accounts list", "run --dry-run", "doctor"):
                told = program(*words.split(), here.config, **env)
                assert "Traceback" not in told.stderr
                said += told.stdout + told.stderr
            here.look(done.stdout, done.stderr, said)

    @pytest.mark.parametrize("renewal", list(Renewal))
    def test_renewals(self, renewal: str, tmp_path: Path) -> None:
        """The first answer to a renewal is echoed back, the second is well."""
        with town(tmp_path, PLAIN, renewal) as here:
            here.echo.on_renewal = lambda name: here.hunt.also("renewed", here.echo.authority.pair(name).access)
            here.echo.revoke(PLAIN.access)
            done = program("run", here.config, **environment(PLAIN))
            assert done.returncode == 0, done.stderr
            assert "was renewed" in done.stderr
            assert len(here.hunt.secrets) == 4
            here.look(done.stdout, done.stderr)

    @pytest.mark.parametrize("bug", ["error", "thread", "finaliser", "warning", "group", "callback"])
    def test_a_bug(self, bug: str, tmp_path: Path) -> None:
        """Whichever way Python tells of it, no token and no call that was in its words is printed."""
        with town(tmp_path) as here:
            done = program("run", here.config, HUNT_BUG=bug, **environment(PLAIN))
            assert "***" in done.stderr
            assert done.returncode == (1 if bug in {"error", "group"} else 0)
            here.look(done.stdout, done.stderr)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_and_what_the_system_shows(self, number: signal.Signals, code: int, tmp_path: Path) -> None:
        """Stopped once; before that its command line and environment are what they were given, and it has no child."""
        with town(tmp_path, latency_s=30.0) as here:
            env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment(PLAIN)}
            command = [*LOUD, "run", str(here.config)]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env
            ) as process:
                assert process.stderr
                assert process.stdout
                said = ""
                while "accounts" not in said:
                    said += process.stderr.readline()
                while not here.echo.stats.requests:
                    assert process.poll() is None
                system = Path("/proc") / str(process.pid)
                if system.exists():
                    shown = (system / "cmdline").read_bytes().decode().split("\0")[:-1]
                    assert shown == command
                    here.hunt.in_text("the command line", " ".join(shown))
                    given = (system / "environ").read_bytes().decode().split("\0")[:-1]
                    assert sorted(given) == sorted(f"{name}={value}" for name, value in env.items())
                    assert [(task / "children").read_text() for task in (system / "task").iterdir()] != []
                    assert not "".join((task / "children").read_text() for task in (system / "task").iterdir())
                process.send_signal(number)
                out, err = process.communicate(timeout=60)
            assert process.returncode == code
            here.look(out, said + err)

    def test_no_option_takes_a_secret(self) -> None:
        """Of no command; and nothing that a command takes is free text but paths, days, durations and words."""
        todo: list[tuple[str, click.Command]] = [("harvester", cli)]
        seen, told = set(), set()
        while todo:
            name, command = todo.pop()
            seen.add(name)
            if isinstance(command, click.Group):
                context = click.Context(command)
                for inner in command.list_commands(context):
                    found = command.get_command(context, inner)
                    assert found
                    todo.append((f"{name} {inner}", found))
            for parameter in command.params:
                words = " ".join([*parameter.opts, parameter.name or "", str(parameter.metavar)]).lower()
                free = isinstance(parameter.type, click.types.StringParamType)
                if free and re.search(r"secret|token|passw|credential|api.?key", words):
                    told.add(f"{name} {words}")
        assert told == set()
        assert {"harvester run", "harvester accounts list", "harvester sandbox", "harvester config explain"} <= seen

    def test_processes_are_started_in_one_place(self) -> None:
        """So there is one command line to look at; and the environment is passed on as it was given."""
        starting = {"subprocess", "multiprocessing", "pty", "ProcessPoolExecutor", "run_process", "open_process"}
        calls = {"system", "popen", "fork", "forkpty", "posix_spawn", "execv", "execve", "spawnv", "putenv"}
        places = set()
        for path in Path(harvester.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.alias(name=name) | ast.Attribute(attr=name) if name in starting:
                        places.add(path.name)
                    case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in calls:
                        places.add(path.name)
                    case ast.Subscript(value=ast.Attribute(attr="environ"), ctx=ast.Store() | ast.Del()):
                        pytest.fail(f"{path} changes the environment")
        assert places == {"apart.py"}

    @pytest.mark.anyio
    async def test_a_process_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """That of a rotation gets secrets by its stdin alone, and says none, whatever it was answered."""
        started: list[tuple[object, ...]] = []
        said = b""
        start, answer = subprocess.Popen, apart._answer

        def started_with(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
            started.append((command, set(options), options.get("env")))
            return start(command, **options)

        async def answered(process: "subprocess.Popen[bytes]", errand: bytes) -> bytes:
            nonlocal said
            answer_of_it = await answer(process, errand)
            said += answer_of_it
            return answer_of_it

        monkeypatch.setattr(subprocess, "Popen", started_with)
        monkeypatch.setattr(apart, "_answer", answered)
        async with stage(tmp_path, ODD, Renewal.ROTATE, expired=True) as on:
            on.echo.on = frozenset({Endpoint.ROTATE})
            on.echo.tricks.extend([refusing(51001), TRICKS["half of a JSON"]])
            await run(replace(on.assignment, give_up_after_s=None))
            assert len(started) >= 3  # the test's time runs on while another process works
            on.hunt.in_text("a command line", repr(started))
            on.hunt.in_text("what it said", said.decode())
            on.hunt.in_folder(tmp_path, tokens=on.assignment.state_dir / "tokens")
            assert all(environment is None for _, _, environment in started)
            assert on.hunt.nothing()

    @pytest.mark.parametrize("keys", BOTH, ids=["plain", "odd"])
    def test_mistakes_in_a_config(self, keys: Keys, tmp_path: Path) -> None:
        """Each secret in each wrong place, by value or by reference, and a file that is no TOML: exit code 2."""
        good = write_config(tmp_path, "http://127.0.0.1:9").read_text()
        hunt = Hunt({"access": keys.access, "refresh": keys.refresh, "client": keys.client})
        quoted = {name: json.dumps(value) for name, value in vars(keys).items()}
        mistakes = {
            "a typo": good.replace('access_token = "${HARVESTER_TOKEN}"', f"acess_token = {quoted['access']}"),
            "no quotes": good.replace('"${HARVESTER_TOKEN}"', keys.access),
            "not closed": good.replace('"${HARVESTER_SECRET}"', quoted["client"][:-1]),
            "in the URL": good.replace("http://127.0.0.1:9", "https://${HARVESTER_TOKEN}@api.e.qq.com"),
            "as the URL": good.replace("http://127.0.0.1:9", "${HARVESTER_SECRET}"),
            "as a reference": good.replace("${HARVESTER_REFRESH}", "${" + keys.refresh + "}"),
            "as an id": good.replace("ids = [7]", f"ids = [{quoted['access']}]"),
            "as a day": good.replace("today-2", "${HARVESTER_TOKEN}"),
            "as an app": good.replace("[tokens.agency]\n", f"[tokens.agency]\napp = {quoted['client']}\n"),
            "as a table": good.replace("[apps.app]", f"[apps.{json.dumps(keys.client + '!')}]"),
            "as a file": good.replace("ids = [7]", f"file = {quoted['refresh']}"),
            "with a space": good.replace('"${HARVESTER_TOKEN}"', json.dumps(f"{keys.access} ")),
        }
        for name, text in mistakes.items():
            config = tmp_path / "wrong.toml"
            config.write_text(text)
            try:
                load(config, environment(keys))
            except ConfigError as error:
                with listening() as heard:
                    show_problems(error)
                hunt.in_text(name, whole_story(error) + heard.printed.getvalue())
            else:
                pytest.fail(f"{name} is no mistake")
        assert hunt.nothing()

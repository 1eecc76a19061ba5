"""Bugs, full disks, open files, things in a log: none of them shows a secret or a call."""

import errno
import logging
import os
import stat
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from harvester.api.envelope import Passport, Response
from harvester.api.protocol import request_calls
from harvester.api.tokens import Credentials, Pair, Renewal
from harvester.api.tokens.life import Life, Use
from harvester.api.tokens.oauth import read_renewal, request_renewal
from harvester.api.tokens.stored import Stored, mark_of
from harvester.api.transport import AiohttpTransport
from harvester.calls import Call, Calls, Stray
from harvester.endings import report_a_bug
from harvester.errors import ExitCode
from harvester.harvest.pace import Pace
from harvester.model import Account, AccountId, Batch, End, Page, Query, Slice, Status
from harvester.secret import Net, Secret
from tests.flows import APP, TOKEN, last_days
from tests.secrets.stage import BOTH, DAYS, PHONE, PLAIN, WORLD, Keys, Stage, harvest_of, harvested, stage
from tests.secrets_hunt import (
    Hunt,
    listening,
)  # fmt: skip

pytestmark = pytest.mark.anyio


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
        "harvester.harvest.books.fold",
        "harvester.harvest.closing.as_json",
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

"""The hunt for secrets finds what is planted."""

import logging
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import zstandard

from harvester.api.envelope import Request, Response
from harvester.api.transport import AiohttpTransport
from harvester.errors import SliceFault
from harvester.secret import Net
from tests.flows import TOKEN
from tests.secrets.stage import BOTH, DESK, ODD, PHONE, PLAIN, Keys, Stage, harvested, stage
from tests.secrets_hunt import (
    Hunt,
    listening,
    no_http,
    refusing,
    sayings,
    spellings,
)  # fmt: skip

pytestmark = pytest.mark.anyio


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

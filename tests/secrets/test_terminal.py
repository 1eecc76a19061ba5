"""Nothing from outside steers a terminal."""

from pathlib import Path

import orjson
import pytest
from aiohttp import web

from tests.secrets.stage import PLAIN, harvested, stage
from tests.secrets.town import environment, program, write_config

pytestmark = pytest.mark.anyio
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
        page = tmp_path / "page.html"
        assert program("report", config, "--output", page, **environment(PLAIN)).returncode == 0
        assert all(one.isprintable() or one == "\n" for one in page.read_text(encoding="utf-8"))
        export = program("accounts", "export", config, "-", **environment(PLAIN))
        assert "two" in export.stdout
        assert all(one.isprintable() or one == "\n" for one in export.stdout)
        (tmp_path / "a.csv").write_text(f"account_id,token,{name}\n{name},{name},{name}\n8{name},x,y\n")
        wrong = program("run", config, **environment(PLAIN))
        assert wrong.returncode == 2
        assert all(one.isprintable() or one == "\n" for one in wrong.stdout + wrong.stderr)

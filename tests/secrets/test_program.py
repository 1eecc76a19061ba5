"""No secret, no token and no phone number is printed or written by the program, whatever happens."""

import ast
import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

import harvester
from harvester.api.tokens import Renewal, apart
from harvester.cli import cli
from harvester.config import load
from harvester.endings import show_problems
from harvester.errors import ConfigError, ExitCode
from harvester.report.logs import FORMATS
from harvester.sandbox.endpoints import Endpoint
from tests.flows import run
from tests.secrets.stage import (
    BOTH,
    ODD,
    PLAIN,
    Keys,
    stage,
)
from tests.secrets.town import LOUD, ROOT, environment, program, town, write_config
from tests.secrets_hunt import (
    TRICKS,
    Hunt,
    listening,
    refusing,
    whole_story,
)  # fmt: skip

pytestmark = pytest.mark.anyio


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
            page = tmp_path / "page.html"
            told = program("report", here.config, "--output", page, **env)
            here.look(done.stdout, done.stderr, said + told.stdout + told.stderr + page.read_text(encoding="utf-8"))

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

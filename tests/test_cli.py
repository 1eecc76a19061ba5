"""The program as a shell sees it: what it prints, where, and its exit codes."""

import datetime as dt
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import orjson
import pytest

from harvester.assign import Options, assignment_of
from harvester.cli import main
from harvester.config import load
from harvester.landing.ndjson import read_lines
from harvester.sandbox.switches import ACCESS, REFRESH

HARVESTER = (sys.executable, "-W", "error", "-m", "harvester")


def harvester(*arguments: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the program to its end, with warnings as errors."""
    return subprocess.run(
        [*HARVESTER, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | env,
        check=False,
        timeout=120,
    )


@dataclass(frozen=True)
class Served:
    """A sandbox in a process of its own, and a config for it."""

    base_url: str
    config: Path

    @property
    def landing(self) -> Path:
        """Where a run of the config lands."""
        return self.config.parent / "landing"

    def wait_for_requests(self, number: int) -> None:
        """Asks the sandbox until it has seen this many requests of the API."""
        seen, deadline = 0, time.monotonic() + 60
        while seen < number:
            assert time.monotonic() < deadline, "whoever should ask has died"
            with urllib.request.urlopen(f"{self.base_url}/sandbox/stats", timeout=30) as answer:
                seen = orjson.loads(answer.read())["requests"]

    def edit(self, old: str, new: str) -> None:
        """Changes the config's text."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


@contextmanager
def sandbox(folder: Path, *options: str) -> Iterator[Served]:
    """Serves for as long as the block lasts."""
    config = folder / "nightly.toml"
    command = [*HARVESTER, "sandbox", "--port", "0", "--accounts", "4", "--calls-per-day", "20"]
    with subprocess.Popen(
        [*command, "--write-config", str(config), *options], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            first, last = process.stdout.readline(), process.stdout.readline()
            assert last.startswith("Now run:")
            yield Served(first.removeprefix("Serving ").strip(), config)
        finally:
            process.terminate()
            assert process.wait(30) == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A well-behaved sandbox."""
    with sandbox(tmp_path) as a_sandbox:
        yield a_sandbox


def test_the_nightly_run_is_complete(served: Served, tmp_path: Path) -> None:
    """`harvester run CONFIG` exits 0, says COMPLETE first, and leaves partitions and a report."""
    summary = tmp_path / "summary.json"
    done = harvester("run", served.config, "--summary", summary)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert done.stdout.startswith("COMPLETE")
    report = orjson.loads(summary.read_bytes())
    assert report["complete"] is True
    lines = [line for path in served.landing.glob("dt=*/*/calls.ndjson.zst") for line in read_lines(path)]
    assert len(lines) == report["calls"] > 0
    assert (served.landing / "runs" / f"{report['run_id']}.json").read_bytes() == summary.read_bytes()


def test_plan_and_dry_run_ask_nothing(served: Served) -> None:
    """`plan` and `run --dry-run` say the same and leave no trace, before and after a run."""
    before = harvester("plan", served.config)
    assert before.returncode == 0
    assert before.stdout.startswith("4 slices: 4 accounts, 28 days of accounts")
    assert harvester("run", served.config, "--dry-run").stdout == before.stdout
    assert not served.landing.exists()
    harvester("run", served.config)
    after = harvester("plan", served.config, "--start", "today-20")
    assert "28 of 80 days were read before; the others are estimated, 52 by their account's mean" in after.stdout
    assert "no quota is configured, and none was learned" in after.stdout
    bounded = harvester("plan", served.config, "--start", "today-20", "--max-requests", "3", "--max-duration", "1h")
    assert "slices before --max-requests 3 or --max-duration 1:00:00 ends it" in bounded.stdout
    assert "the oldest and smallest debts first" in bounded.stdout


def test_window_and_accounts_are_chosen_on_the_command_line(served: Served) -> None:
    """`--start`, `--end` and `--account` narrow the run."""
    account = int(served.config.with_suffix(".accounts.csv").read_text().splitlines()[1])
    done = harvester("run", served.config, "--account", str(account), "--start", "today-3", "--end", "today-2")
    assert done.returncode == 0
    assert "1 account · 2 days · 1 of 1 slice complete" in done.stdout
    assert len(list(served.landing.glob("dt=*"))) == 2
    assert {path.name for path in served.landing.glob("dt=*/*")} == {f"account_id={account}"}
    unknown = harvester("run", served.config, "--account", "5")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "--account 5: no enabled account of this id" in unknown.stderr


def test_quiet_is_silent(served: Served) -> None:
    """`--quiet` prints nothing when nothing is wrong."""
    done = harvester("run", served.config, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_partial_run_names_what_is_missing(tmp_path: Path) -> None:
    """Exit code 3: the first line says so, and each cause is named with its accounts."""
    with sandbox(tmp_path, "--account-code", "20000562=12201") as served:
        done = harvester("run", served.config)
    assert done.returncode == 3
    assert done.stdout.startswith("NOT COMPLETE")
    assert "denied (1; new today): code 12201" in done.stdout
    assert "authorise the app, or take it out (enabled = false)" in " ".join(done.stdout.split())
    assert "20000562" in done.stdout


def test_no_token_works(served: Served) -> None:
    """Exit code 5, and the token is named, not shown."""
    served.edit(ACCESS, "a-token-that-nobody-must-see")
    served.edit(REFRESH, "nor-a-refresh-token-that-nobody-must-see")
    done = harvester("run", served.config)
    assert done.returncode == 5
    assert "token sandbox" in done.stdout
    assert "nobody-must-see" not in done.stdout + done.stderr


def test_budgets_end_a_run_softly(served: Served) -> None:
    """Exit code 8 when the requests are used up; the next run goes on."""
    served.edit("page_size = 100", "page_size = 10")
    done = harvester("run", served.config, "--max-requests", "3")
    assert done.returncode == 8
    assert "--max-requests" in done.stdout
    assert "the oldest and smallest debts come first" in done.stderr
    assert re.search(
        r"^  left: 4 slices \(\d (was|were) open\), (about|at least) \d+ requests", done.stdout, re.MULTILINE
    )
    assert harvester("run", served.config, "--max-duration", "1h").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "no-such.toml"), "no-such.toml"),
        (("run",), "Missing argument"),
        (("run", "nightly.toml", "--max-duration", "4"), "unit"),
        (("run", "nightly.toml", "--start", "tomorrow"), "today"),
        (("run", "nightly.toml", "--max-requests", "0"), "x>=1"),
        (("run", "nightly.toml", "--start", "today", "--end", "yesterday"), "before it starts"),
        (("sandbox", "--order", "sideways"), "sideways"),
        (("dance",), "dance"),
    ],
)
def test_usage_errors_exit_2(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """Whatever is wrong with a command line or a config is said on stderr, with exit code 2."""
    config = '[apps.main]\nclient_id = "1"\n[tokens.a]\naccess_token = "x"\n[accounts]\nids = [5]\n'
    (tmp_path / "nightly.toml").write_text(config)
    done = harvester(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_storage_error_exits_4(served: Served) -> None:
    """A landing zone that cannot be made: the path and what to do, no traceback."""
    served.landing.write_text("a file in the way")
    done = harvester("run", served.config)
    assert (done.returncode, done.stdout) == (4, "")
    assert str(served.landing) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """One signal begins no slice and saves the open ones at once, whatever they were waiting for."""
    with sandbox(tmp_path, "--latency", "30s") as served:
        with subprocess.Popen(
            [*HARVESTER, "run", str(served.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            assert process.stderr
            assert "4 accounts" in process.stderr.readline()
            served.wait_for_requests(1)
            process.send_signal(number)
            assert re.search(r"stopping: (1 open slice is|\d open slices are) being saved", process.stderr.readline())
            out = process.stdout.read()
        assert process.returncode == code
    assert out.startswith("NOT COMPLETE")
    assert {130: "ended by: interrupt (SIGINT)", 143: "ended by: request (SIGTERM)"}[code] in out
    left = r"left: 4 slices \(\d (was|were) open\), at least 4 requests; the next run goes on with them"
    assert re.search(left, " ".join(out.split()))
    assert not list(served.landing.glob("dt=*"))


def test_killed_and_run_again(tmp_path: Path) -> None:
    """After SIGKILL in the middle the next run needs nobody's help and completes everything."""
    with sandbox(tmp_path, "--latency", "60ms") as served:
        served.edit("page_size = 100", "page_size = 10")
        for requests in (3, 30, 60, 90):
            with subprocess.Popen([*HARVESTER, "run", str(served.config), "--quiet"]) as process:
                served.wait_for_requests(requests)
                process.kill()
            for path in served.landing.glob("dt=*/*/*"):
                assert path.name == "calls.ndjson.zst"
                assert all(orjson.loads(line)["call_id"] for line in read_lines(path))
        done = harvester("run", served.config)
    assert done.returncode == 0
    assert not list((served.landing / ".harvester" / "unfinished").iterdir())


def test_json_logs_are_one_object_a_line(tmp_path: Path) -> None:
    """`--log-format json` writes every log line as an object, those about an API that is down among them."""
    with sandbox(tmp_path, "--fault", "unavailable=1") as served:
        served.edit("[window]", '[retry]\nmax_backoff = "5ms"\nattempts = 20\n[window]')
        done = harvester("run", served.config, "--log-format", "json", "--max-duration", "1s")
    lines = [orjson.loads(line) for line in done.stderr.splitlines()]
    assert lines
    logged = [line for line in lines if line["event"] == "log"]
    assert all(set(line) == {"at", "event", "level", "logger", "message"} for line in logged)
    assert any("HTTP 503" in line["message"] for line in logged)


def test_the_demo_proves_itself(tmp_path: Path) -> None:
    """`harvester demo` ends complete, checked against the sandbox, with the landing zone under ./demo/; twice."""
    for _ in range(2):
        done = harvester("demo", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert re.search(r"^Checked: all [\d,]+ calls are there", done.stdout, re.MULTILINE)
    assert list((tmp_path / "demo" / "landing").glob("dt=*/account_id=*/calls.ndjson.zst"))


def test_config_commands(served: Served) -> None:
    """`config schema` is a JSON Schema; `config explain` shows every setting and no secret."""
    schema = orjson.loads(harvester("config", "schema").stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    explained = harvester("config", "explain", served.config)
    assert explained.returncode == 0
    assert "***" in explained.stdout
    assert ACCESS not in explained.stdout


def test_budgets_are_explained() -> None:
    """`--help` says that a budget ends a run softly, and with which exit code."""
    for command in ("run", "plan"):
        text = " ".join(harvester(command, "--help").stdout.split())
        softly = "end softly: what is open is saved, exit code 8, the next run goes on."
        assert f"--max-duration 4h After this long {softly}" in text
        assert f"--max-requests N After so many requests {softly}" in text


def test_the_config_s_patience_reaches_the_run(tmp_path: Path) -> None:
    """`[retry] give_up_after` is what the assignment says, "none" included."""
    config = '[apps.main]\nclient_id = "1"\n[tokens.a]\naccess_token = "x"\n[accounts]\nids = [5]\n'
    path, today = tmp_path / "nightly.toml", dt.date(2026, 11, 23)
    for given, expected in (("", 1800.0), ('"45s"', 45.0), ('"none"', None)):
        path.write_text(config + (f"[retry]\ngive_up_after = {given}\n" if given else ""))
        assert assignment_of(load(path, {}), Options(), today).give_up_after_s == expected


def test_version_and_help() -> None:
    """`--version` and `--help` answer; every command has a help text of its own."""
    assert re.fullmatch(r"harvester, version \d+\.\d+\.\d+\n", harvester("--version").stdout)
    for command in ("run", "plan", "verify", "status", "demo", "sandbox", "config", "config schema", "config explain"):
        shown = harvester(*command.split(), "--help")
        assert shown.returncode == 0
        assert len(shown.stdout.splitlines()) > 4


def test_a_bug_is_told_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1: the traceback is printed to be reported, with the tokens of the config struck out."""
    config = '[apps.main]\nclient_id = "1"\n[tokens.a]\naccess_token = "se/cret-token"\n[accounts]\nids = [5]\n'
    (tmp_path / "nightly.toml").write_text(config)

    async def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError("at https://api/?access_token=se%2Fcret-token, that is se/cret-token")

    monkeypatch.setattr("harvester.harvest.run.harvest", stumble)
    monkeypatch.setattr(sys, "argv", ["harvester", "run", str(tmp_path / "nightly.toml")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    printed = capsys.readouterr().err
    assert "ZeroDivisionError: at https://api/?access_token=***, that is ***" in printed
    assert "This is a bug in harvester" in printed


def test_who_asks_is_told_and_nothing_is_killed(tmp_path: Path) -> None:
    """SIGUSR1 prints where a run stands, whatever is shown of it; as an event under JSON."""
    for options, begins in ((["--quiet"], "run 2"), (["--no-progress"], "run 2"), (["--log-format", "json"], "{")):
        folder = tmp_path / options[0]
        folder.mkdir()
        with sandbox(folder, "--latency", "200ms") as served:
            served.edit("page_size = 100", "page_size = 20")
            with subprocess.Popen(
                [*HARVESTER, "run", str(served.config), *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                served.wait_for_requests(3)
                process.send_signal(signal.SIGUSR1)
                _, err = process.communicate(timeout=60)
            assert process.returncode == 0
            told = [line for line in err.splitlines() if "slices" in line and '"slice_done"' not in line]
            assert told
            assert any(line.startswith(begins) for line in err.splitlines())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_before_the_run_begins(number: signal.Signals, served: Served) -> None:
    """SIGTERM has its own exit code from the first moment on; SIGUSR1 never kills."""
    code = (
        "import os, signal, sys, harvester.cli as c\n"
        "def prepare(*_):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    sys.exit(0)\n"
        "c._prepare = prepare\n"
        f"sys.argv = ['harvester', 'run', {str(served.config)!r}]\n"
        "c.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    if number == signal.SIGTERM:
        assert (done.returncode, done.stderr) == (143, "terminated before anything was begun: run again\n")
    else:
        assert (done.returncode, done.stderr) == (0, "")


def test_a_summary_that_cannot_be_written_is_told_before_the_run(served: Served, tmp_path: Path) -> None:
    """Not after a whole night."""
    done = harvester("run", served.config, "--summary", tmp_path / "nowhere" / "summary.json")
    assert done.returncode == 2
    assert f"there is no folder {tmp_path / 'nowhere'} to write it in" in " ".join(done.stderr.split())
    assert not list(served.landing.glob("runs/*"))


def test_a_dry_run_has_a_summary(served: Served, tmp_path: Path) -> None:
    """`--dry-run --summary FILE` writes what would be done."""
    harvester("run", served.config, "--dry-run", "--summary", tmp_path / "plan.json")
    values = orjson.loads((tmp_path / "plan.json").read_bytes())
    assert (values["dry_run"], values["slices"], values["at_least"], values["requests_range"]) == (True, 4, True, None)
    assert values["apps"]["sandbox"]["slices"] == 4
    assert not served.landing.exists()


def test_the_report_s_schema_is_printed(served: Served, tmp_path: Path) -> None:
    """`config schema --of report` is what a real report is valid against, `--summary` and `runs/` alike."""
    published = orjson.loads(harvester("config", "schema", "--of", "report").stdout)
    harvester("run", served.config, "--summary", tmp_path / "summary.json")
    served.edit("page_size = 100", "page_size = 10")
    harvester("run", served.config, "--again", "--max-requests", "3")
    reports = [tmp_path / "summary.json", *served.landing.glob("runs/*.json")]
    assert len(reports) == 3
    for path in reports:
        jsonschema.validate(orjson.loads(path.read_bytes()), published)


def test_json_events(served: Served) -> None:
    """`--log-format json`: every line an object with `at`, `event` and `level`; start first, end last."""
    done = harvester("run", served.config, "--log-format", "json")
    lines = [orjson.loads(line) for line in done.stderr.splitlines()]
    assert all({"at", "event", "level"} <= line.keys() for line in lines)
    events = [line["event"] for line in lines if line["event"] != "log"]
    assert (events[0], events[-1], events.count("slice_done")) == ("start", "end", 4)
    assert lines[-1]["complete"] is True


def test_a_wrong_host_is_named(served: Served) -> None:
    """When nobody can be reached, the host and the key that names it are told."""
    text = served.config.read_text()
    served.config.write_text(re.sub(r'base_url = ".*"', 'base_url = "http://127.0.0.1:9"', text))
    served.edit("[window]", '[retry]\ngive_up_after = "1s"\n[window]')
    done = harvester("run", served.config)
    assert done.returncode == 8
    assert "asked was 127.0.0.1, as [api] base_url says" in " ".join(done.stderr.split())
    assert "asked was 127.0.0.1" in " ".join(done.stdout.split())


def test_a_terminal_that_does_not_know_all(served: Served) -> None:
    """The summary is printed whatever stdout can show."""
    done = harvester("run", served.config, PYTHONIOENCODING="iso-8859-5")
    assert (done.returncode, done.stdout.splitlines()[1]) == (
        0,
        r"  4 accounts \xb7 7 days \xb7 4 of 4 slices complete",
    )

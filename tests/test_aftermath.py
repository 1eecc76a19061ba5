"""What follows a run, whatever its end: a real receiver is told, and neither the run nor its exit code changes."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harvester.aftermath import followed as around
from harvester.cli import main
from harvester.errors import ConfigError, ExitCode, HarvesterError, LockedError, Problem, StorageError
from harvester.harvest import closing
from harvester.report.summary import Report, exit_code
from harvester.telling import post
from tests.telling.test_message import REPORT
from tests.test_cli import HARVESTER, sandbox

COMPLETE = replace(REPORT, slices={}, not_begun=0, exit_code=ExitCode.COMPLETE)
KEY = "0123456789-key-of-a-robot"
CONFIG = """
[output]
dir = "zone"
[[notify]]
service = "json"
url = "{url}/hook?key={key}"
on = {on}
"""


@dataclass
class Receiver:
    """A webhook's other end, in a thread of its own.

    Attributes:
        url: Where it is.
        status: What it answers.
        got: What was posted.
    """

    url: str
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)
    hang: threading.Event | None = None

    @property
    def events(self) -> list[str]:
        """Of everything that was posted."""
        return [one["event"] for one in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything, on port 0."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            here.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if here.hang:
                here.hang.wait(60)
            self.send_response(here.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield here
        if here.hang:
            here.hang.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def config(tmp_path: Path, receiver: Receiver) -> Path:
    """A config that tells of everything; nothing else of it is there."""
    path = tmp_path / "nightly.toml"
    path.write_text(CONFIG.format(url=receiver.url, key=KEY, on='["always"]'))
    (tmp_path / "zone" / ".harvester" / "unfinished").mkdir(parents=True)
    (tmp_path / "zone" / "runs").mkdir()
    return path


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sleeps for real."""
    monkeypatch.setattr(post, "_PAUSE_S", 0.0)


def followed(config: Path, work: Callable[[], Report]) -> Report:
    """A run, and what follows it."""
    with around(config) as follow:
        return follow(work())


def fails(config: Path, error: BaseException) -> None:
    """A run that ends by this."""

    def work() -> Report:
        raise error

    with pytest.raises(type(error)) as raised:
        followed(config, work)
    assert raised.value is error


def test_a_run_is_told(config: Path, receiver: Receiver) -> None:
    """With its figures; the report comes back as it was."""
    assert followed(config, lambda: REPORT) is REPORT
    (told,) = receiver.got
    assert (told["event"], told["exit_code"], told["calls"], told["config"]) == ("partial", 3, 1234, "nightly.toml")
    assert told["report"] == str(config.parent / "zone" / "runs" / "r.json")
    assert list((config.parent / "zone" / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "event", "words"),
    [
        (StorageError("cannot publish x: disk full"), "failure", "FAILED (exit code 4): cannot publish x: disk full"),
        (LockedError("run by 17"), "failure", "FAILED (exit code 11): run by 17"),
        (ConfigError([Problem(where="a", message="b")]), "failure", "FAILED (exit code 2): 1 problem with the config"),
        (SystemExit(ExitCode.TERMINATED), "partial", "exit code 143): terminated before anything was begun: run again"),
        (KeyboardInterrupt(), "partial", "FAILED (exit code 130): interrupted"),
        (ValueError(f"{KEY} of 13912345678"), "failure", "a bug in harvester (ValueError)"),
        (BaseExceptionGroup("x", [ValueError(KEY)]), "failure", "a bug in harvester (ExceptionGroup)"),
    ],
)
def test_a_run_that_ends_by_an_error_is_told(
    config: Path, receiver: Receiver, error: BaseException, event: str, words: str
) -> None:
    """What it raises is raised again; a bug's own text is not sent anywhere."""
    fails(config, error)
    (told,) = receiver.got
    assert told["event"] == event
    assert words in told["headline"]
    assert KEY not in json.dumps(told)


def test_recovered_is_told_once(config: Path, receiver: Receiver) -> None:
    """After any night that did not end well, by report or by error; not after a good one, and not after a first one."""
    for work in (COMPLETE, REPORT, COMPLETE, COMPLETE):
        followed(config, lambda work=work: work)  # type: ignore[misc]  # bound now, not when it is called
    fails(config, StorageError("full"))
    followed(config, lambda: COMPLETE)
    assert receiver.events == ["complete", "partial", "recovered", "complete", "failure", "recovered"]


def test_a_run_that_finds_the_lock_held_changes_no_memory(config: Path, receiver: Receiver) -> None:
    """The run that holds it will say itself how it ended."""
    followed(config, lambda: COMPLETE)
    fails(config, LockedError("held"))
    followed(config, lambda: COMPLETE)
    assert receiver.events == ["complete", "failure", "complete"]


def test_a_full_disk_has_room_for_the_memory(config: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written into any file, and the recovery is told all the same."""

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        patch.setattr(Path, "write_bytes", full)
        fails(config, StorageError("full"))
    followed(config, lambda: COMPLETE)
    assert receiver.events == ["failure", "recovered"]


@pytest.mark.parametrize(
    ("on", "events"),
    [
        ('["failure"]', ["failure"]),
        ('["partial", "recovered"]', ["partial", "recovered"]),
        ('["recovered"]', ["recovered"]),
    ],
)
def test_only_who_asked_is_told(config: Path, receiver: Receiver, on: str, events: list[str]) -> None:
    """A night of each kind."""
    config.write_text(CONFIG.format(url=receiver.url, key=KEY, on=on))
    followed(config, lambda: COMPLETE)
    fails(config, StorageError("full"))
    followed(config, lambda: REPORT)
    followed(config, lambda: COMPLETE)
    assert receiver.events == events


def test_a_failure_to_tell_is_a_note_and_changes_nothing_else(config: Path, receiver: Receiver) -> None:
    """The report is saved again with it; its exit code stays."""
    receiver.status = 500
    report = followed(config, lambda: COMPLETE)
    note = "notify[0] (json) was not told of this run: HTTP 500, 3 times"
    assert report == replace(COMPLETE, notes=(note,))
    assert exit_code(report, None) is ExitCode.COMPLETE
    saved = json.loads((config.parent / "zone" / "runs" / "r.json").read_bytes())
    assert (saved["notes"], saved["exit_code"]) == ([note], 0)
    assert len(receiver.got) == 3


def test_a_note_that_cannot_be_saved(
    config: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the report comes back."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(closing, "replace_whole", full)
    receiver.status = 404
    assert followed(config, lambda: COMPLETE).exit_code is ExitCode.COMPLETE
    assert "could not be saved again: cannot write" in caplog.text


def test_an_error_comes_through_though_nobody_can_be_told(
    config: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged: there is no report to note it in."""
    receiver.status = 404
    fails(config, HarvesterError("x"))
    assert "notify[0] (json) was not told of this run: HTTP 404" in caplog.text
    assert KEY not in caplog.text


def test_what_follows_was_read_before_the_run(config: Path, receiver: Receiver) -> None:
    """Whoever edits the config in the night does so for the next one."""

    def work() -> Report:
        config.write_text("")
        return COMPLETE

    followed(config, work)
    assert receiver.events == ["complete"]


def test_an_error_that_comes_with_a_report(config: Path, receiver: Receiver) -> None:
    """It is told once, though the process ends by it next; what could not be told is noted in that report."""
    error = StorageError("full")
    error.report = REPORT

    def end() -> None:
        with around(config) as follow:
            assert follow.failed(error) is REPORT
            sys.exit(error.exit_code)

    with pytest.raises(SystemExit):
        end()
    (told,) = receiver.got
    assert (told["exit_code"], told["calls"]) == (4, 1234)
    receiver.status = 404
    with around(config) as follow:
        noted = follow.failed(error)
    assert noted
    assert noted.notes == ("notify[0] (json) was not told of this run: HTTP 404",)
    saved = json.loads((config.parent / "zone" / "runs" / "r.json").read_bytes())
    assert saved["notes"] == list(noted.notes)


def test_without_webhooks_nothing_follows(tmp_path: Path) -> None:
    """Not even the state directory is looked at."""
    assert followed(tmp_path / "none.toml", lambda: REPORT) is REPORT
    assert list(tmp_path.iterdir()) == []


class TestTheProgram:
    """As a shell sees it."""

    def test_a_night_and_the_next(self, tmp_path: Path, receiver: Receiver) -> None:
        """A bad row, told though the config cannot be used; then recovered; the exit codes are the run's."""
        with sandbox(tmp_path) as served:
            with served.config.open("a") as config:
                config.write(f'\n[[notify]]\nservice = "json"\nurl = "{receiver.url}/hook?key={KEY}"\n')
            (served.landing / ".harvester").mkdir(parents=True)
            accounts = tmp_path / "nightly.accounts.csv"
            good = accounts.read_text()
            accounts.write_text(f"{good}nonsense\n")
            codes = [run(served.config).returncode]
            accounts.write_text(good)
            receiver.status = 404
            done = run(served.config, "--summary", str(tmp_path / "summary.json"))
            codes.append(done.returncode)
        assert codes == [2, 0]
        assert receiver.events == ["failure", "recovered"]
        assert "nonsense" in receiver.got[0]["details"]
        assert receiver.got[1]["calls"] > 0
        assert "note: notify[0] (json) was not told of this run: HTTP 404" in done.stdout
        notes = json.loads((tmp_path / "summary.json").read_bytes())["notes"]
        assert notes == ["notify[0] (json) was not told of this run: HTTP 404"]
        assert KEY not in done.stdout + done.stderr

    def test_a_signal_ends_the_telling_and_not_the_run(self, tmp_path: Path, receiver: Receiver) -> None:
        """While a webhook hangs, SIGTERM is obeyed at once; the run had ended, and its exit code stands."""
        receiver.hang = threading.Event()
        with sandbox(tmp_path) as served:
            with served.config.open("a") as config:
                config.write(f'\n[[notify]]\nservice = "json"\nurl = "{receiver.url}/hook"\non = ["always"]\n')
            with subprocess.Popen(
                [*HARVESTER, "run", str(served.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                while not receiver.got:
                    assert process.poll() is None
                    threading.Event().wait(0.01)
                process.send_signal(signal.SIGTERM)
                said, _ = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert "COMPLETE" in said
        assert "was not told of this run" in said

    def test_a_dry_run_is_told_to_nobody(self, tmp_path: Path, receiver: Receiver) -> None:
        """Nor is a plan."""
        with sandbox(tmp_path) as served, served.config.open("a") as config:
            config.write(f'\n[[notify]]\nservice = "json"\nurl = "{receiver.url}/hook"\non = ["always"]\n')
            config.flush()
            assert run(served.config, "--dry-run").returncode == 0
        assert receiver.got == []


def run(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs a night."""
    return subprocess.run(
        [*HARVESTER, "run", str(config), *options],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ},
    )  # fmt: skip


class TestTheCommand:
    """`harvester notify`."""

    @pytest.fixture(autouse=True)
    def whole(self, config: Path) -> None:
        """It loads the config as a run does."""
        usual = '[apps.a]\nclient_id = "1"\n[tokens.t]\naccess_token = "x"\n[accounts]\nids = [5]\n'
        config.write_text(config.read_text() + usual)

    def call(self, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
        """Its exit code."""
        monkeypatch.setattr(sys, "argv", ["harvester", "notify", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    @pytest.mark.parametrize("event", ["failure", "partial", "recovered", "complete"])
    def test_it_tells_of_a_run_that_never_was(
        self, config: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, event: str
    ) -> None:
        """Whatever `on` says, and marked as a test; nothing is remembered of it."""
        config.write_text(config.read_text().replace('["always"]', '["recovered"]'))
        assert self.call(monkeypatch, config, "--event", event) == 0
        (told,) = receiver.got
        assert told["event"] == event
        assert "TEST, no real run" in told["text"]
        assert not (config.parent / "zone" / ".harvester" / "last").exists()

    def test_it_says_what_did_not_work(
        self, config: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """By name, with the answer, and by its exit code."""
        receiver.status = 403
        assert self.call(monkeypatch, config) == 3
        assert capsys.readouterr().out == "notify[0] (json): did NOT take it: HTTP 403\n"

    def test_a_dry_run_sends_nothing(
        self, config: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It prints what would be said."""
        assert self.call(monkeypatch, config, "--dry-run") == 0
        assert receiver.got == []
        assert "NOT COMPLETE" in capsys.readouterr().out

    def test_no_webhook_is_a_usage_error(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It says where to find an example."""
        config.write_text(config.read_text().split("[[notify]]")[0] + config.read_text().split('["always"]')[1])
        assert self.call(monkeypatch, config) == 2
        assert "has no [[notify]] table" in capsys.readouterr().err

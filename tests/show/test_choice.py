"""Which way a run is shown: on a terminal, on none, as JSON, or not at all."""

import io
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest

from harvester.events import TOLD, Problem, Progressed, SliceDone, Waiting
from harvester.secret import Secret
from harvester.show import Style, showing
from harvester.show.lines import json_of
from tests.show.test_live import BAD, CALM

LOG = logging.getLogger("harvester.somewhere")
PROGRESS = (
    "312 of 530 slices, 201,332 of about 350,000 calls, 2,411 of about 3,614 requests; main 988 of 1,000 a minute; "
    "about 1 min 20 s left"
)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """The tests' own logging comes back afterwards."""
    root, harvester = logging.getLogger(), logging.getLogger("harvester")
    handlers, levels = root.handlers[:], (root.level, harvester.level)
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    harvester.setLevel(levels[1])


class Tty(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def test_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """Not on a terminal: the standing is a line of the log, once a minute; the log goes on as it is."""
    with showing(Style()) as audience:
        assert audience.every_s == 60
        assert audience.tell
        audience.tell(Progressed(standing=CALM))
        audience.tell(SliceDone(account_id=1, start=CALM.start, end=CALM.end, status="complete"))
        LOG.info("a line")
    lines = [line[25:] for line in capsys.readouterr().err.splitlines()]
    assert lines == [PROGRESS, "a line"]


def test_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """`--no-progress`: nothing every so often, but whoever asks is told."""
    with showing(Style(progress=False)) as audience:
        assert audience.every_s is None
        assert audience.tell
        audience.tell(Progressed(standing=BAD, asked=True))
    assert capsys.readouterr().err.splitlines()[:2] == [
        "run r: 500 accounts, 2026-11-16..2026-11-22, for 0:03:12 now",
        "312 of 530 slices, 201,332 of about 350,000 calls, 2,411 of about 3,614 requests",
    ]


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """`--quiet`: only errors, and answers to whoever asks."""
    with showing(Style(quiet=True)) as audience:
        assert audience.every_s is None
        assert audience.tell
        audience.tell(Problem(status="failed", reason="why", slices=1))
        audience.tell(Progressed(standing=CALM))
        LOG.warning("a warning")
        assert capsys.readouterr().err == ""
        audience.tell(Progressed(standing=CALM, asked=True))
    assert capsys.readouterr().err.startswith("run r: ")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Every event and every line of the log is an object; what an event tells is not told twice."""
    with showing(Style(log_format="json")) as audience:
        assert audience.tell
        audience.tell(Waiting(why="minute quota of app main", app="main", until=CALM_UNTIL))
        LOG.warning("waiting: minute quota of app main", extra=TOLD)
        LOG.info("a line")
        audience.tell(Progressed(standing=CALM, asked=True))
    waiting, line, progress = map(orjson.loads, capsys.readouterr().err.splitlines())
    assert list(waiting)[:3] == [*list(line)[:2], "level"] == ["at", "event", "level"]
    assert (waiting["event"], waiting["level"], waiting["until"]) == ("waiting", "warning", CALM_UNTIL.isoformat())
    assert (line["event"], line["message"]) == ("log", "a line")
    assert (progress["event"], progress["slices_done"], progress["asked"]) == ("progress", 312, True)
    assert progress["apps"][0]["last_minute"] == 988


CALM_UNTIL = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)


def test_no_secret_is_in_an_event() -> None:
    """The net is under events, too; an account whose id looks like a phone number stays a number."""
    secret = Secret("se/cret-token-of-somebody")
    event = Problem(status="failed", reason=f"at {secret.reveal()}", slices=1, account_id=13800138000)
    values = orjson.loads(json_of(event, CALM_UNTIL))
    assert (values["reason"], values["account_id"]) == ("at ***", 13800138000)


@pytest.mark.parametrize(
    ("term", "stderr", "loaded"),
    [
        ("xterm-256color", Tty, True),
        ("tmux", Tty, True),
        ("dumb", Tty, False),
        ("", Tty, False),
        ("xterm", io.StringIO, False),
    ],
)
def test_the_display_is_for_terminals_that_can(
    term: str, stderr: type[io.StringIO], loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is drawn where it can be; elsewhere rich is not even loaded."""
    monkeypatch.setenv("TERM", term)
    screen = stderr()
    monkeypatch.setattr(sys, "stderr", screen)
    with showing(Style()) as audience:
        assert (audience.every_s == 0.5) is loaded
        assert audience.tell
        audience.tell(Progressed(standing=CALM))
        LOG.info("a line")
    assert ("━" in screen.getvalue() or "\x1b[?25l" in screen.getvalue()) is loaded
    assert "a line" in screen.getvalue()
    LOG.info("another line")
    assert "another line" in screen.getvalue()

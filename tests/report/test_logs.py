import contextlib
import io
import logging
import os
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.report.logs import FORMATS, set_up
from harvester.secret import Secret

LOG = logging.getLogger("harvester.somewhere")
VALUE = "fake/secret+0123=456789"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """The tests' own logging comes back afterwards."""
    root, harvester = logging.getLogger(), logging.getLogger("harvester")
    handlers, levels = root.handlers[:], (root.level, harvester.level)
    root.handlers.clear()  # so that they are not closed
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    harvester.setLevel(levels[1])


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """For people: the time with its zone, and the message, on stderr."""
    set_up("text", quiet=False)
    LOG.info("%d slices ended", 3)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err[24:] == " 3 slices ended\n"
    assert datetime.strptime(shown.err[:24], "%Y-%m-%d %H:%M:%S%z").utcoffset() is not None


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """For machines: one JSON object a line, whatever the message holds, with a time that names its zone."""
    set_up("json", quiet=False)
    LOG.warning("a line\nand %s", '"another"')
    [line] = capsys.readouterr().err.splitlines()
    values = orjson.loads(line)
    assert datetime.fromisoformat(values.pop("at")).tzinfo is not None
    assert values == {
        "event": "log",
        "level": "warning",
        "logger": "harvester.somewhere",
        "message": 'a line\nand "another"',
    }


@pytest.mark.parametrize("style", FORMATS)
def test_errors_are_told_whole(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that is logged is shown in both formats."""
    set_up(style, quiet=True)
    try:
        int("no number")
    except ValueError:
        LOG.exception("it failed")
    assert "ValueError: invalid literal" in capsys.readouterr().err


@pytest.mark.parametrize("style", FORMATS)
def test_quiet(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Quiet leaves errors, nothing below."""
    set_up(style, quiet=True)
    LOG.warning("a warning")
    LOG.error("an error")
    [line] = capsys.readouterr().err.splitlines()
    assert "an error" in line


def test_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    """Libraries are heard from warnings on."""
    set_up("text", quiet=False)
    logging.getLogger("aiohttp.client").info("an URL, perhaps with a token")
    logging.getLogger("aiohttp.client").warning("a warning")
    assert "an URL" not in (shown := capsys.readouterr().err)
    assert "a warning" in shown


def test_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """Setting up again replaces what was set up."""
    set_up("text", quiet=False)
    set_up("json", quiet=False)
    LOG.info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("style", FORMATS)
@pytest.mark.parametrize("name", ["harvester.somewhere", "aiohttp.client", "asyncio", "root"])
def test_no_secret_is_shown(style: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in messages nor in their arguments, tracebacks and stacks, of whichever library."""
    set_up(style, quiet=False)
    secret, log = Secret(VALUE), logging.getLogger(name)
    log.error("of %s, %r", secret.reveal(), {"token": secret.reveal()})
    log.error("of %s /oauth/token?client_secret=unknown&x=1", secret)
    log.error("%d", secret.reveal())
    log.error("here", stack_info=len("fake/secret+0123=456789") > 0)
    try:
        try:
            os.environ[secret.reveal()]
        except KeyError as error:
            raise ExceptionGroup("of https://host/?access_token=unknown", [error]) from error
    except ExceptionGroup:
        log.exception("it failed: %s", f"refresh_token={quote(VALUE, safe='')}")
    shown = capsys.readouterr().err
    assert [form for form in (VALUE, quote(VALUE, safe=""), "unknown") if form in shown] == []
    for told in (
        "of ***, {'token': '***'}",
        "client_secret=***&x=1",
        "cannot be formatted",
        "KeyError",
        "refresh_token=***",
    ):
        assert told in shown
    assert "Logging error" not in shown


def test_a_traceback_in_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception stands in its own field, whole."""
    set_up("json", quiet=True)
    try:
        int("no number")
    except ValueError:
        LOG.exception("it failed")
    LOG.error("fine", exc_info=(None, None, None))
    first, second = (orjson.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["message"] == "it failed"
    assert first["error"].startswith("Traceback (most recent call last):\n")
    assert first["error"].endswith("ValueError: invalid literal for int() with base 10: 'no number'")
    assert second.get("error", "NoneType: None") == "NoneType: None"


@pytest.mark.parametrize("style", FORMATS)
def test_a_line_that_cannot_be_formatted(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told as one line, without its arguments, and without a traceback of the log's own."""
    set_up(style, quiet=False)
    LOG.warning("%d calls", "many")
    [line] = capsys.readouterr().err.splitlines()
    assert "a log line of harvester.somewhere that cannot be formatted" in line
    assert "many" not in line


@given(st.text(), st.lists(st.text() | st.integers() | st.binary(max_size=9), max_size=3))
def test_any_message_is_a_line_of_json(message: str, arguments: list[object]) -> None:
    """Whatever is logged, each line is one object."""
    out = io.StringIO()
    with contextlib.redirect_stderr(out):
        set_up("json", quiet=False)
    LOG.warning(message, *arguments)
    line, rest = out.getvalue().split("\n")  # other breaks are not escaped, and are no breaks of JSON lines
    assert rest == ""
    assert orjson.loads(line)["level"] == "warning"

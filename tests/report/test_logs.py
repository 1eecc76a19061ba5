import logging
from collections.abc import Iterator
from datetime import datetime

import orjson
import pytest

from harvester.report.logs import FORMATS, set_up

LOG = logging.getLogger("harvester.somewhere")


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
    assert values == {"level": "warning", "logger": "harvester.somewhere", "message": 'a line\nand "another"'}


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

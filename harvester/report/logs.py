"""Log lines on stderr: text for people, one JSON object a line for machines."""

import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Final

import orjson

from harvester.secret import Net

FORMATS: Final = ("text", "json")


def set_up(style: str, *, quiet: bool, write: Callable[[str], None] | None = None) -> None:
    """Sends the log of harvester to stderr, and nothing of any library below a warning.

    Args:
        style: "text" or "json".
        quiet: Whether only errors are logged.
        write: Is given each line in place of stderr.
    """
    handler = _Lines(write) if write else logging.StreamHandler(sys.stderr)
    handler.addFilter(Net())
    if style == "json":
        handler.addFilter(lambda record: not getattr(record, "is_event", False))
    handler.setFormatter(_Json() if style == "json" else logging.Formatter("%(asctime)s %(message)s", "%F %T%z"))
    logging.captureWarnings(capture=True)  # a library's may show what it holds, such as an URL
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("harvester").setLevel(logging.ERROR if quiet else logging.INFO)


class _Lines(logging.Handler):
    """Gives lines to somebody who prints them."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self.format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds"),
            "event": "log",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:  # the net under all lines has written it
            line["error"] = record.exc_text
        printable = {name: text.encode(errors="backslashreplace").decode() for name, text in line.items()}
        return orjson.dumps(printable).decode()  # a path may hold bytes that are no text

"""Log lines on stderr: text for people, one JSON object a line for machines."""

import logging
import sys
from datetime import datetime
from typing import Final

import orjson

from harvester.secret import Net

FORMATS: Final = ("text", "json")


def set_up(style: str, *, quiet: bool) -> None:
    """Sends the log of harvester to stderr, and nothing of any library below a warning.

    Args:
        style: "text" or "json".
        quiet: Whether only errors are logged.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Net())
    handler.setFormatter(_Json() if style == "json" else logging.Formatter("%(asctime)s %(message)s", "%F %T%z"))
    logging.captureWarnings(capture=True)  # a library's may show what it holds, such as an URL
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("harvester").setLevel(logging.ERROR if quiet else logging.INFO)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:  # the net under all lines has written it
            line["error"] = record.exc_text
        printable = {name: text.encode(errors="backslashreplace").decode() for name, text in line.items()}
        return orjson.dumps(printable).decode()  # a path may hold bytes that are no text

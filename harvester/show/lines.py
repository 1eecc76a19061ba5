"""Events as lines of the log: a line a minute for people, one object for each event for machines."""

import logging
import sys
from datetime import datetime
from typing import Any, Final

import orjson

from harvester.events import Event, Progressed, to_json
from harvester.report.position import asked_in_words, in_words
from harvester.secret import masked

log = logging.getLogger(__name__)

_LEVELS: Final = {"problem": "warning", "waiting": "warning"}


def as_text(event: Event) -> None:
    """Logs the standing; what else happens is logged where it happens."""
    if not isinstance(event, Progressed):
        return
    if event.asked:
        say(asked_in_words(event.standing))
    else:
        log.info("%s", in_words(event.standing))


def if_asked(event: Event) -> None:
    """Says where the run stands only when somebody asks."""
    if isinstance(event, Progressed) and event.asked:
        say(asked_in_words(event.standing))


def as_json_if_asked(event: Event) -> None:
    """The same as one object."""
    if isinstance(event, Progressed) and event.asked:
        as_json(event)


def say(lines: list[str]) -> None:
    """Prints what somebody asked for, whatever is logged."""
    sys.stderr.write("".join(f"{masked(line)}\n" for line in lines))
    sys.stderr.flush()


def as_json(event: Event) -> None:
    """Prints the event as one object on a line of stderr."""
    sys.stderr.write(f"{json_of(event, datetime.now().astimezone())}\n")
    sys.stderr.flush()


def json_of(event: Event, at: datetime) -> str:
    """`at`, `event` and `level` as every line has them, then the event's own fields; no secret is in it."""
    values = to_json(event)
    name = values.pop("event")
    head = {"at": at.isoformat(timespec="milliseconds"), "event": name, "level": _LEVELS.get(name, "info")}
    return orjson.dumps(head | {key: _printable(value) for key, value in values.items()}).decode()


def _printable(value: Any) -> Any:
    """The value, its texts without secrets and without bytes that are no text."""
    match value:
        case str():
            return masked(value).encode(errors="backslashreplace").decode()
        case dict():
            return {key: _printable(one) for key, one in value.items()}
        case list() | tuple():
            return [_printable(one) for one in value]
        case _:
            return value

"""Calls → NDJSON bytes. Pure."""

from collections.abc import Iterable
from operator import attrgetter

import orjson

from harvester.calls import Call, Stray

_order = attrgetter("start", "id")


def in_order(calls: Iterable[Call]) -> list[Call]:
    """By `call_start_time`, then `call_id`: the order of a landing file (contract)."""
    return sorted(calls, key=_order)


def to_lines(calls: Iterable[Call]) -> bytes:
    """One JSON object a line: the API's own bytes."""
    return b"".join([line for call in calls for line in (call.line, b"\n")])


def to_quarantine(stray: Stray) -> bytes:
    """A line of the quarantine: the reason, and the record whole as the API sent it."""
    return b'{"reason":%b,"record":%b}' % (orjson.dumps(stray.reason), stray.line)

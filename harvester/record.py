"""One record's bytes, and the only two of its fields that harvester looks at. Pure.

The bytes stay as the API sent them: field order, unknown fields, 64-bit integers and all.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import msgspec

from harvester.calls import Call, Calls, Stray


class _Keys(msgspec.Struct, gc=False):
    call_id: Any = None
    call_start_time: Any = None


class UsualKeys(msgspec.Struct, gc=False):
    """A call's keys as they usually are: ids that are numbers, or no call at all, are left to `read_record`."""

    call_id: str
    call_start_time: str


_keys = msgspec.json.Decoder(_Keys).decode
_all_keys = msgspec.json.Decoder(list[UsualKeys]).decode
_keys_of_lines = msgspec.json.Decoder(UsualKeys).decode_lines
_first_byte, _last_byte = itemgetter(0), itemgetter(-1)
_OPENING, _CLOSING = set(b"{"), set(b"}")
_STARTS = re.compile(r"(?:\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d,)*", re.ASCII)
_START_LENGTH = len("2026-11-22 09:30:00,")


def read_record(line: bytes) -> Call | Stray:
    """A call, or why this record cannot be placed in a partition.

    Args:
        line: The record's JSON; line breaks between its tokens become spaces, so that it fits on one line.
    """
    if b"\n" in line or b"\r" in line:  # inside a JSON string they would be escaped
        line = line.replace(b"\n", b" ").replace(b"\r", b" ")
    try:
        keys = _keys(line)
    except (msgspec.DecodeError, RecursionError):  # the latter for arrays nested a thousand deep
        return Stray(key=_digest(line), reason="not a JSON object", line=line)
    call_id, start = keys.call_id, keys.call_start_time
    if isinstance(call_id, int) and not isinstance(call_id, bool):
        call_id = str(call_id)
    if not isinstance(call_id, str) or not call_id:
        return Stray(key=_digest(line), reason="no usable call_id", line=line)
    if not _is_start(start):
        return Stray(key=call_id, reason="no usable call_start_time", line=line)
    return Call(call_id, start, line)


def read_records(lines: Sequence[bytes]) -> Calls | None:
    """What `read_record` makes of each line, all at once; `None` unless every one is a call as most calls are.

    A fifth of the cost of one by one.
    """
    text = b"[" + b",".join(lines) + b"]"
    if b"\n" in text or b"\r" in text:
        return None
    try:
        return usual_calls(_all_keys(text), list(lines))
    except (msgspec.DecodeError, RecursionError):
        return None


def read_text(text: bytes) -> Calls | None:
    """What `read_record` makes of each line of NDJSON, all at once; `None` unless every one is a call as most are.

    Args:
        text: Whole lines.
    """
    if not text.endswith(b"}\n") or b"\r" in text:
        return None
    lines = text[:-1].split(b"\n")
    if not all(lines) or {*map(_first_byte, lines)} != _OPENING or {*map(_last_byte, lines)} != _CLOSING:
        return None  # else no value goes over the end of its line, so that none is lost where another one has two
    try:
        keys = _keys_of_lines(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return usual_calls(keys, lines) if len(keys) == len(lines) else None


def usual_calls(keys: Sequence[UsualKeys], lines: list[bytes]) -> Calls | None:
    """Calls by their keys; `None` when one is empty, or no real second. The lines must hold no line breaks."""
    ids, starts = [one.call_id for one in keys], [one.call_start_time for one in keys]
    return Calls(ids, starts, lines) if all(ids) and _are_starts(starts) else None


def _are_starts(values: list[str]) -> bool:
    """Whether all are real `YYYY-MM-DD HH:MM:SS`."""
    text = ",".join([*values, ""])
    if len(text) != _START_LENGTH * len(values) or not _STARTS.fullmatch(text):
        return False
    first, last = min(values, default="")[:10], max(values, default="")[:10]
    return all(map(_is_day, {first, last} if first == last else {value[:10] for value in values}))


@lru_cache(maxsize=1000)
def _is_day(text: str) -> bool:
    return not text or _is_start(f"{text} 00:00:00")


def _is_start(value: object) -> bool:
    """Whether it is a real `YYYY-MM-DD HH:MM:SS`."""
    if not isinstance(value, str) or len(value) != 19 or value[4] != "-" or value[7] != "-" or value[10] != " ":
        return False
    try:
        return str(datetime.fromisoformat(value)) == value
    except ValueError:
        return False


def _digest(line: bytes) -> str:
    return "digest " + blake2b(line, digest_size=12).hexdigest()

"""One record's bytes, and the only two of its fields that harvester looks at. Pure.

The bytes stay as the API sent them: field order, unknown fields, 64-bit integers and all.
"""

from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from harvester.model import Call, Stray


class _Keys(msgspec.Struct, gc=False):
    call_id: Any = None
    call_start_time: Any = None


_keys = msgspec.json.Decoder(_Keys).decode


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

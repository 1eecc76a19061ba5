"""Landed calls → counts: when they were, how they ended, how long they took. Pure.

Four fields of a call are looked at, and no number that anybody could be called by: those are not even decoded.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate
from typing import Any, Final

import msgspec

CONNECTED: Final = 0
"""The `end_status` of a normal call (documented)."""
_CODE_MOST: Final = 9_999
"""A larger code is none; it might be a phone number."""
LONGEST_S: Final = 86_400
"""Longer calls count as calls of a day."""
_DIRECTIONS: Final = ("CALL_IN", "CALL_OUT")
OTHER: Final = "other"
"""A direction that no document names."""


class _Fields(msgspec.Struct, gc=False):
    """What is looked at of a call. The API has been seen to write numbers as text, and to leave fields out."""

    call_start_time: str = ""
    call_direction: str | None = None
    duration: int | str | None = None
    end_status: int | str | None = None


class _AnyFields(msgspec.Struct, gc=False):
    """The same, whatever is in them."""

    call_start_time: str = ""
    call_direction: Any = None
    duration: Any = None
    end_status: Any = None


_usual: Final = msgspec.json.Decoder(_Fields)
_unusual: Final = msgspec.json.Decoder(_AnyFields)
_Key = tuple[str, object, object, object]
_HOURS: Final = frozenset(f"{hour:02d}" for hour in range(24))


@dataclass(slots=True)
class Day:
    """A day's calls, counted.

    Attributes:
        calls: All.
        connected: Of these, with `end_status` 0.
    """

    calls: int = 0
    connected: int = 0


@dataclass(slots=True)
class Counts:
    """Calls, counted; grows with the days, hours, codes and durations there are, not with calls.

    Attributes:
        days: By day.
        hours: By day and hour, 0 to 23.
        statuses: By `end_status`; `None`: no usable one.
        directions: By `call_direction` and whether they were connected.
        durations_s: Connected calls by `duration`, whole seconds, at most a day.
        without_duration: Connected calls without a usable one.
    """

    days: dict[date, Day] = field(default_factory=dict)
    hours: Counter[tuple[date, int]] = field(default_factory=Counter)
    statuses: Counter[int | None] = field(default_factory=Counter)
    directions: Counter[tuple[str, bool]] = field(default_factory=Counter)
    durations_s: Counter[int] = field(default_factory=Counter)
    without_duration: int = 0

    @property
    def calls(self) -> int:
        """All of them."""
        return self.statuses.total()

    @property
    def connected(self) -> int:
        """Those with `end_status` 0."""
        return self.statuses[CONNECTED]

    def add(self, day: date, seen: Counter[_Key]) -> None:
        """Adds a file's calls of a day."""
        of_day = self.days.setdefault(day, Day())
        for (hour, direction, duration, end_status), number in seen.items():
            status = _code(end_status)
            is_connected = status == CONNECTED
            of_day.calls += number
            of_day.connected += number * is_connected
            self.hours[day, int(hour)] += number
            self.statuses[status] += number
            way = direction if isinstance(direction, str) and direction in _DIRECTIONS else OTHER
            self.directions[way, is_connected] += number
            if is_connected:
                self._last(duration, number)

    def _last(self, duration: object, number: int) -> None:
        seconds = _whole(duration)
        if seconds is None or seconds < 0:
            self.without_duration += number
        else:
            self.durations_s[min(seconds, LONGEST_S)] += number

    def weekly(self) -> list[list[int]]:
        """Calls by weekday (Monday first) and hour."""
        found = [[0] * 24 for _ in range(7)]
        for (day, hour), number in self.hours.items():
            found[day.weekday()][hour] += number
        return found

    def percentiles(self, shares: Sequence[float]) -> list[int | None]:
        """The durations in seconds that such shares (0 to 1) of connected calls do not exceed; `None` without any."""
        ordered = sorted(self.durations_s.items())
        reached = list(accumulate(number for _, number in ordered))
        if not reached:
            return [None for _ in shares]
        return [ordered[bisect_left(reached, share * reached[-1])][0] for share in shares]


def seen_in(text: bytes) -> Counter[_Key]:
    """What is looked at of NDJSON, whole lines: hour, direction, duration, end status; each with its number.

    Raises:
        msgspec.DecodeError, RecursionError, ValueError: It is not as harvester writes it.
    """
    calls: Iterable[_Fields | _AnyFields]
    try:
        calls = _usual.decode_lines(text)
    except msgspec.ValidationError:
        calls = map(_hashable, _unusual.decode_lines(text))
    seen = Counter((one.call_start_time[11:13], one.call_direction, one.duration, one.end_status) for one in calls)
    if not {hour for hour, *_ in seen} <= _HOURS:
        raise ValueError("a call without a usable call_start_time")
    return seen


def _hashable(one: _AnyFields) -> _AnyFields:
    for name in ("call_direction", "duration", "end_status"):
        if isinstance(getattr(one, name), list | dict):
            setattr(one, name, None)
    return one


def _code(value: object) -> int | None:
    code = _whole(value)
    return code if code is not None and abs(code) <= _CODE_MOST else None


def _whole(value: object) -> int | None:
    """A whole number, also as text; `None` for anything else."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 and abs(value) < 1e9 else None

"""The page's words: what codes and marks mean, numbers and times for a person, and texts of others made fit. Pure."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby, pairwise
from types import MappingProxyType
from typing import Final

from harvester.model import BEIJING
from harvester.page.values import Mark
from harvester.secret import masked

END_STATUS: Final = MappingProxyType(
    {
        0: ("normal call", "正常通话"),
        1: ("rejected", "拒接"),
        2: ("not answered", "无人接听"),
        3: ("switched off", "关机"),
        4: ("out of service", "停机"),
        5: ("busy", "正在通话中"),
        6: ("out of reach for now", "暂时无法接通"),
        7: ("no such number", "空号"),
        8: ("the caller hung up", "主叫挂断"),
        9: ("the caller cancelled", "主叫取消"),
        10: ("other", "其他"),
    }
)
"""`end_status` → what it means, in English and as the official page says it (documented)."""
DIRECTIONS: Final = MappingProxyType({"CALL_IN": ("incoming", "呼入"), "CALL_OUT": ("outgoing", "呼出")})
"""`call_direction` → what it means (documented)."""
MARKS: Final = MappingProxyType(
    {
        Mark.COMPLETE: "complete",
        Mark.SHORT: "short: fewer calls than the API counts, or not proven",
        Mark.EARLY: "read before it was over",
        Mark.QUEUED: "to be read again",
        Mark.POISONED: "poisoned: the API fails on this day",
        Mark.UNREAD: "not read yet",
        Mark.BEFORE: "before its first day",
    }
)
"""How a day stands, in the order in which it is told."""
WEEKDAYS: Final = (
    ("Mon", "一"),
    ("Tue", "二"),
    ("Wed", "三"),
    ("Thu", "四"),
    ("Fri", "五"),
    ("Sat", "六"),
    ("Sun", "日"),
)
DURATION_BINS_S: Final = (0, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600)
"""Durations are shown from one of these to the next, that one left out, and from the last on."""
_MINUTE_S: Final = 60
_TEXT_MAX: Final = 400
_UNSEEN: Final = re.compile(r"[\s\u0000-\u001f\u007f-\u009f]+")


def end_status(code: int | None) -> tuple[str, str]:
    """An `end_status` in English and Chinese; of one that is not documented, that it is not."""
    if code is None:
        return "no usable end_status", "无效"
    return END_STATUS.get(code, ("not documented", "未知"))


def shown(text: object) -> str:
    """A text from a config, a file or the API on one line, without control characters, secrets and phone numbers."""
    plain = "".join(one for one in _UNSEEN.sub(" ", str(text)) if one.isprintable())
    plain = masked(plain).strip()
    return plain if len(plain) <= _TEXT_MAX else f"{plain[: _TEXT_MAX - 1]}…"


def many(number: int, what: str) -> str:
    """`1 account`, `2 accounts`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def percent(part: float, whole: float) -> str:
    """A share with one decimal, rounded down, so that 100 % is all of it; "-" of nothing."""
    return f"{part * 1000 // whole / 10:.1f} %" if whole else "-"


def moment(at: float | datetime) -> str:
    """A moment in Beijing, to the minute."""
    when = datetime.fromtimestamp(at, BEIJING) if isinstance(at, int | float) else at.astimezone(BEIJING)
    return f"{when:%Y-%m-%d %H:%M}"


def lasting(seconds: float) -> str:
    """How long: `5 s`, `2:05 min`, `1:02 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def duration_bins() -> list[str]:
    """The names of the bins: `10-20 s`, `1-2 min`."""
    pairs = [(low, high, 1 if high <= _MINUTE_S else _MINUTE_S) for low, high in pairwise(DURATION_BINS_S)]
    names = [f"{low // unit}-{high // unit} {'s' if unit == 1 else 'min'}" for low, high, unit in pairs]
    return [*names, f"over {DURATION_BINS_S[-1] // 3600} h"]


def gaps(days: Sequence[date], marks: bytes) -> Iterator[tuple[Mark, date, date]]:
    """The days that are lacking: runs of one mark, each with its first and its last day, in order."""
    for mark, run in groupby(zip(marks, days, strict=True), key=lambda pair: pair[0]):
        if mark not in {Mark.COMPLETE, Mark.BEFORE}:
            found = [day for _, day in run]
            yield Mark(mark), found[0], found[-1]

"""One call as the API prints it: the 13 fields of the official page, in its order, numbers as JSON numbers."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from harvester.model import AccountId

FIELDS: Final = (
    "call_id",
    "account_id",
    "leads_id",
    "caller",
    "callee",
    "call_direction",
    "duration",
    "call_start_time",
    "call_end_time",
    "ring_time",
    "answer_time",
    "end_status",
    "call_record_url",
)
"""The names and the order of the official page's answer."""

CALLS_A_DAY_MAX: Final = 1 << 20
"""How many calls of one account and day keep their ids in order and apart: 1,048,576."""

SECONDS_A_DAY: Final = 86_400

_HOUR_MINUTE: Final = tuple(f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1_440))
_TWO_DIGITS: Final = tuple(f"{second:02d}" for second in range(60))
_FAILURES: Final = (1, 2, 2, 2, 2, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 10)
"""`end_status` of unanswered calls, the common ones more often; 0 is a normal call (documented)."""
_SILENT: Final = frozenset({3, 4, 6, 7})
"""Switched off, suspended, out of reach, unassigned: the other phone never rang."""
_NOTHING: Final = ('"{0}":"",', '"{0}":null,', "")
"""Empty string, null, absent: all three occur in the API's answers."""
_NO_ANSWER: Final = tuple(form.format("answer_time") for form in (_NOTHING[0], *_NOTHING))
_NO_RING: Final = '"ring_time":"",'
_NO_RECORDING: Final = (*(',"call_record_url":""',) * 6, ',"call_record_url":null', "")


class DayStamp:
    """Prints the times of one Beijing day; a call that runs past midnight ends on the next date.

    Attributes:
        code: The day as `YYMMDD`, as call ids carry it.
        unix: Unix seconds of the day's first second in Beijing.
    """

    __slots__ = ("_date", "_next", "code", "unix")

    def __init__(self, day: dt.date) -> None:
        self.code = day.strftime("%y%m%d")
        self.unix = (day.toordinal() - dt.date(1970, 1, 1).toordinal()) * SECONDS_A_DAY - 8 * 3_600
        self._date = f"{day.isoformat()} "
        self._next = f"{(day + dt.timedelta(days=1)).isoformat()} "

    def __call__(self, second: int) -> str:
        """`YYYY-MM-DD HH:MM:SS` of a second counted from the day's midnight, 0 to two days."""
        date = self._date
        if second >= SECONDS_A_DAY:
            date, second = self._next, second - SECONDS_A_DAY
        return f"{date}{_HOUR_MINUTE[second // 60]}{_TWO_DIGITS[second % 60]}"


def call_id(stamp: DayStamp, second: int, index: int, account_id: AccountId) -> str:
    """An id shaped like the official page's example: a snowflake, the Unix second, fourteen digits.

    Of fixed width, so that ids of one day sort as their `index` does; unique over accounts below 10**9.
    """
    unix = stamp.unix + second
    salt = (index * 2_654_435_761 + account_id) & 0xFFF
    return f"clouspstn_16-{stamp.code}-{unix << 32 | index << 12 | salt}{unix}{account_id:09d}{index % 100_000:05d}"


def _phone(bits: int) -> str:
    """An 11-digit mobile, one in sixteen a landline: the two shapes of the official page, plainly made up."""
    if bits & 15:
        return f"1{3 + (bits >> 4) % 7}{(bits >> 8) % 10}0000{(bits >> 12) % 10_000:04d}"
    return f"0{10 + (bits >> 4) % 2 * 11:02d}8500{(bits >> 12) % 10_000:04d}"


def render(stamp: DayStamp, account_id: AccountId, place: tuple[int, int], bits: Sequence[int]) -> str:
    """The call's exact JSON, compact, ASCII.

    Args:
        stamp: The day of the call's start.
        account_id: Whose call.
        place: `(index, second)`: which call of the day, and when it starts.
        bits: Eight independent uniform 32-bit numbers.
    """
    index, start = place
    unique = call_id(stamp, start, index, account_id)
    ring, wait = start + 1 + bits[0] % 3, 2 + bits[0] % 29
    if bits[1] % 100 < 62:
        duration, status = 1 + (bits[2] ** 3 * 900 >> 96), 0
        end = ring + wait + duration
        ringing = f'"ring_time":"{stamp(ring)}",'
        answer = f'"answer_time":"{stamp(ring + wait)}",'
        recording = _recording(stamp, unique, bits[3])
    else:
        duration, status, end = 0, _FAILURES[bits[2] & 15], ring + wait
        ringing = _NO_RING if status in _SILENT else f'"ring_time":"{stamp(ring)}",'
        answer, recording = _NO_ANSWER[bits[3] & 3], _NO_RECORDING[bits[3] >> 4 & 7]
    # api documents: ids are int64. One in 64 does not survive a trip through a double.
    lead = 200_000_000 + bits[4] % 50_000_000 if bits[5] & 63 else 7_000_000_000_000_000_000 + bits[4]
    desk, customer = f"010850{account_id % 1_000:03d}{bits[5] >> 6 & 7:02d}", _phone(bits[6])
    incoming = bits[7] % 10 < 3
    caller, callee = (customer, desk) if incoming else (desk, customer)
    return (
        f'{{"call_id":"{unique}","account_id":{account_id},"leads_id":{lead},"caller":"{caller}","callee":"{callee}",'
        f'"call_direction":"{"CALL_IN" if incoming else "CALL_OUT"}","duration":{duration},'
        f'"call_start_time":"{stamp(start)}","call_end_time":"{stamp(end)}",{ringing}{answer}"end_status":{status}'
        f"{recording}}}"
    )


def _recording(stamp: DayStamp, unique: str, bits: int) -> str:
    """The link on 14 of 16 connected calls; `""` (the official page's own example) or null on the others."""
    if bits & 15 > 1:
        return f',"call_record_url":"https://recordings.sandbox.example/{stamp.code}/{unique}.mp3?sign={bits:08x}&v=1"'
    return ',"call_record_url":""' if bits & 1 else ',"call_record_url":null'

"""The machine: its clock, its disk, and who may read what. Pure."""

from collections.abc import Sequence
from math import ceil
from statistics import mean
from typing import Final

from harvester.errors import ExitCode
from harvester.health.values import Area, Check, failure, ok, warning

SKEW_WARNS_S: Final = 60.0
SKEW_FAILS_S: Final = 300.0
"""A timestamp that is further off is refused (documented)."""
ROOM_FAILS_BYTES: Final = 64 * 2**20
ROOM_WARNS_BYTES: Final = 2**30
ROOM_FAILS_NIGHTS: Final = 2.0
"""A night stages what it replaces beside what is there, and keeps the parts of open slices."""
ROOM_WARNS_NIGHTS: Final = 14.0
_MANY: Final = 1000


def clock(skew_s: float) -> Check:
    """This machine's clock against the API's.

    Args:
        skew_s: What has to be added to this machine's, in seconds, to about a second.
    """
    off = abs(skew_s)
    if off <= SKEW_WARNS_S:
        return ok(Area.CLOCK, f"in step with the API's ({'less than 2 s' if off < 2 else f'{off:,.0f} s'} off)")
    what = f"{off:,.0f} s {'behind' if skew_s > 0 else 'ahead of'} the API's"
    if off <= SKEW_FAILS_S:
        return warning(Area.CLOCK, what, "let NTP set this machine's clock: at 300 s the API refuses everything")
    advice = "let NTP set this machine's clock: a run corrects its timestamps, but reads the days that the clock says"
    return failure(Area.CLOCK, what, advice)


def room(free_bytes: int, nights: Sequence[int], where: str) -> Check:
    """The space that is left.

    Args:
        free_bytes: On the landing zone's file system, for this user.
        nights: What each of the last days landed, in bytes; empty when none did.
        where: For a person.
    """
    a_night = mean(nights) if nights else 0.0
    lasts = free_bytes / a_night if a_night else None
    what = f"{size(free_bytes)} free on {where}"
    if lasts is not None:
        what += f", room for {_many(lasts)} days such as the last {len(nights)} ({size(ceil(a_night))} each)"
    if free_bytes < ROOM_FAILS_BYTES or (lasts is not None and lasts < ROOM_FAILS_NIGHTS):
        advice = "free some space before the next run: nothing that was published is harmed by a full disk"
        return failure(Area.DISK, what, advice, ExitCode.STORAGE)
    if free_bytes < ROOM_WARNS_BYTES or (lasts is not None and lasts < ROOM_WARNS_NIGHTS):
        return warning(Area.DISK, what, "free some space, or give the landing zone a larger disk")
    return ok(Area.DISK, what)


def _many(days: float) -> str:
    return f"{days:,.0f}" if days <= _MANY else f"more than {_MANY:,}"


def size(number: int) -> str:
    """Bytes for a person."""
    value, units = float(number), iter(("bytes", "KiB", "MiB", "GiB"))
    for unit in units:
        if value < 1024:
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"


def private(what: str, mode: int, *, group_too: bool) -> str | None:
    """Who else may read a file, in words; `None` when nobody may that should not.

    Args:
        what: The file, for a person.
        mode: Its permission bits.
        group_too: Whether its group must not, either.
    """
    others, group = mode & 0o007, mode & 0o070 if group_too else 0
    if not (others or group):
        return None
    who = "everybody on this machine" if others else "its group"
    return f"{what} is open to {who} (mode {mode & 0o777:04o})"

"""How late calls come, and what that says about `reread_days`. Pure."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from harvester.inspection import Arrival
from harvester.report.table import table

_AGES_SHOWN: Final = 14
_MOST: Final = 0.99
"""Of the late calls: after how many days these are there is told apart from the last ones."""
_NIGHTS: Final = 14
"""On fewer nights than that, chance decides what is seen."""
_HEAD: Final = ("days later", "days read again", "calls in them", "new", "of all calls", "of late calls so far")


def in_words(arrivals: Sequence[Arrival], nights: int, reread_days: int | None) -> list[str]:
    """The evidence and the verdict, as lines.

    Args:
        arrivals: What reading days again brought, by ascending age.
        nights: On how many days that was.
        reread_days: The config's.
    """
    lines = ["How late calls come:"]
    rows = list(_rows(arrivals))[:_AGES_SHOWN]
    if rows:
        lines += table([_HEAD, *rows])
    if len(arrivals) > len(rows):
        lines.append(f"  … and {len(arrivals) - len(rows):,} more, later still: `--json` has them all")
    return [*lines, f"  {verdict(arrivals, nights, reread_days)}"]


def _rows(arrivals: Sequence[Arrival]) -> Iterator[tuple[str, ...]]:
    total, so_far = sum(one.new for one in arrivals), 0
    for one in arrivals:
        so_far += one.new
        shares = _percent(one.new, one.calls), _percent(so_far, total)
        yield (f"{one.age}", f"{one.days:,}", f"{one.calls:,}", f"{one.new:,}", *shares)


def verdict(arrivals: Sequence[Arrival], nights: int, reread_days: int | None) -> str:
    """What the evidence says about `reread_days`, and how good it is; arguments as of `in_words`."""
    if not arrivals:
        return "No day has been read again yet: nothing is known about late calls."
    total, last_read = sum(one.new for one in arrivals), arrivals[-1].age
    little = f" Little evidence: it is from {_many(nights, 'night')}." if nights < _NIGHTS else ""
    if not total:
        days = _many(sum(one.days for one in arrivals), "day")
        many = _many(last_read, "day")
        return f"No call came late: nothing new in {days} of accounts that were read again up to {many} later.{little}"
    last = max(one.age for one in arrivals if one.new)
    nothing = [one.age for one in arrivals if one.age > last]
    if nothing:
        then = f"nothing new was found {_ages(nothing)} days later"
    else:
        longest = f"{_many(last, 'day')}, the longest that was looked at"
        then = f"they still came after {longest}: a larger reread_days may find more"
    return f"With reread_days = {reread_days or 'none'}: {_came(arrivals, total, last)}; {then}.{little}"


def _came(arrivals: Sequence[Arrival], total: int, last: int) -> str:
    so_far = accumulate(one.new for one in arrivals)
    most, there = next((one.age, here) for one, here in zip(arrivals, so_far, strict=True) if here >= total * _MOST)
    if most == last:
        return f"all {total:,} late calls came within {_many(last, 'day')}"
    share = _percent(there, total)
    return f"{share} of {total:,} late calls came within {_many(most, 'day')}, the last after {last}"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _ages(ages: Sequence[int]) -> str:
    return f"{ages[0]} to {ages[-1]}" if len(ages) > 1 else str(ages[0])


def _percent(part: int, whole: int) -> str:
    """Rounded down, so that 100 % is all of it."""
    return f"{part * 10_000 // whole / 100:.2f} %" if whole else "-"

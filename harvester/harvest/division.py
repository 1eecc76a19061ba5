"""How a window that fails is divided, so that only the day is lost that makes it fail. Pure.

Parts are lists of windows, of which the last is asked for first.
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

from harvester.model import ONE_DAY, Window

MOST_SPLITS: Final = 10
"""Windows of an account that are divided in one run: enough for two bad days in a month, wherever they are. The first
division gives up to 5 parts, each other one 2: so no more than 23 parts of an account are asked for."""
ATTEMPTS: Final = 2
"""For the first answer of a part that can be divided further."""
ATTEMPTS_FOR_A_DAY: Final = 3
"""For the first answer of a part that cannot: what fails then is lost."""


def halves(window: Window) -> list[Window]:
    """A window of two days at least in two, the later half first."""
    return list(window.halves())


def samples(window: Window) -> list[Window]:
    """A window of an account of which nothing was answered yet: its last, first and middle day, and then what is left.

    If nothing of the account can be had, these three show it; if a single day is bad, two of them are answered.
    """
    days = dict.fromkeys((window.end, window.start, window.start + ONE_DAY * (len(window) // 2)))
    return [*_without(window, days), *(Window(day, day) for day in reversed(days))]


def around(window: Window, day: date) -> list[Window]:
    """One day of a window first, and then what is left of it."""
    return [*_without(window, [day]), Window(day, day)]


def day_of_the_night(window: Window, today: date) -> date:
    """The day that stands for a window tonight: each of them in turn, night after night."""
    return window.start + ONE_DAY * (today.toordinal() % len(window))


def _without(window: Window, days: Iterable[date]) -> list[Window]:
    start, left = window.start, []
    for day in sorted(days):
        if start < day:
            left.append(Window(start, day - ONE_DAY))
        start = day + ONE_DAY
    return [*left, Window(start, window.end)] if start <= window.end else left

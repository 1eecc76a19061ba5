"""Foresight: what reading slices is expected to take, from what the ledger remembers of their accounts. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, sqrt
from typing import Final

from harvester.model import AccountId, Window
from harvester.usage import Experience

LONGEST: Final = 100
"""Pages of a walk, about: the pages of a walk can only come one after the other, and a longer one would end last."""
_RATIO_MIN: Final = 0.5
"""Giant seconds are read by larger pages, so a walk may take fewer requests than its calls fill pages."""
_RATIO_MAX: Final = 20.0
"""Seconds of 350 calls in any order took 3 times the least; beyond this it is bad luck that will not come again."""
_DAY_SPREAD: Final = 0.5
"""By how much of what it is taken for a day of an account may differ from it."""
_HARDLY_ANY: Final = 1e-3
_NOTHING: Final = Experience()
EVEN_WEEK: Final = (1.0,) * 7
_WEEKDAY_MIN, _WEEKDAY_MAX = 0.2, 2.0
_EVIDENCE_CALLS: Final = 100
"""Of fewer calls on a weekday nothing is concluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How far earlier runs came with a slice.

    Attributes:
        calls: That were read.
        requests: That this took.
        total: Calls of the slice by the API's own count; `None` when it gave none.
    """

    calls: int
    requests: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a slice is expected to take. A fraction: only sums of many are rounded, and the sums are right.

    Attributes:
        requests: That are still to be sent.
        spent: That earlier runs sent of it; its receipt will count them, too.
        known_days: Days whose calls were counted when they were read before.
        own_days: Days never read, taken for the account's mean.
        fleet_days: Days never read of an account that nothing is known of, taken for the mean of all accounts.
        blind_days: Days that nothing at all is known of; they are taken for empty, so it is *at least* this many.
        calls: That will be there in the end, those read before included.
        doubt: By how many requests it may be more or less, since days are guessed; 0 when all were counted before.
    """

    requests: float
    spent: int = 0
    known_days: int = 0
    own_days: int = 0
    fleet_days: int = 0
    blind_days: int = 0
    calls: float = 0.0
    doubt: float = 0.0


class Foresight:
    """What is known of accounts, asked for what their slices will take.

    Expected requests are the pages that the calls fill, at least one, times a *ratio*: what ties, probes, clamped pages
    and mending cost on top.

    Args:
        experience: What reading each account took lately; accounts never read may be absent.
        page_size: Calls a page.
        week: How many calls come on a Monday, a Tuesday, and so on, as a multiple of the mean; see `weekly`.
    """

    def __init__(
        self, experience: Mapping[AccountId, Experience], page_size: int, week: Sequence[float] = EVEN_WEEK
    ) -> None:
        self._experience = experience
        self._page_size = page_size
        self._week = week
        self._whole_week = sum(week)
        self._two_weeks = (*week, *week)
        means = [one.calls_a_day for one in experience.values() if one.calls_a_day is not None]
        self._mean = sum(means) / len(means) if means else None
        requests, least = (sum(getattr(one, name) for one in experience.values()) for name in ("requests", "least"))
        self._ratio = _ratio(requests, least) or 1.0

    def expect(
        self, account: AccountId, window: Window, counts: Mapping[date, int], reached: Reached | None = None
    ) -> Expected:
        """What a slice is expected to take.

        Args:
            account: Whose.
            window: Its days.
            counts: Calls that the last reading brought, by day; days never read are absent.
            reached: How far earlier runs came with it; `None` when none began it.
        """
        own = self._experience.get(account, _NOTHING)
        ratio = _ratio(own.requests, own.least) or self._ratio
        if reached and reached.total is not None:
            requests = self._pages(reached.total - reached.calls) * ratio
            return Expected(
                requests=requests, spent=reached.requests, known_days=len(window), calls=float(reached.total)
            )
        known = [day for day in window if day in counts] if counts else []
        never = len(window) - len(known)
        mean = self._mean if own.calls_a_day is None else own.calls_a_day
        guess = self._weight(window, counts) * mean if never and mean else 0.0
        calls = sum(counts[day] for day in known) + guess - (reached.calls if reached else 0)
        spread = guess * (1.0 if own.calls_a_day is None else _DAY_SPREAD / sqrt(never or 1))
        return Expected(
            requests=self._pages(calls, spread) * ratio,
            spent=reached.requests if reached else 0,
            known_days=len(known),
            own_days=0 if own.calls_a_day is None else never,
            fleet_days=never if own.calls_a_day is None and mean is not None else 0,
            blind_days=never if mean is None else 0,
            calls=calls + (reached.calls if reached else 0),
            doubt=spread / self._page_size * ratio,
        )

    def _weight(self, window: Window, counts: Mapping[date, int]) -> float:
        """What the days that are not counted weigh, in mean days."""
        if counts:
            return sum(self._week[day.weekday()] for day in window if day not in counts)
        weeks, rest = divmod(len(window), 7)
        first = window.start.weekday()
        return weeks * self._whole_week + sum(self._two_weeks[first : first + rest])

    def pages_of(self, account: AccountId, days: int) -> int:
        """Whole pages that so many days of an account fill, about; 0 for an account that nothing is known of."""
        calls_a_day = self._experience.get(account, _NOTHING).calls_a_day
        return int((calls_a_day or 0.0) * days / self._page_size)

    def parts_of(self, account: AccountId, window: Window) -> Sequence[Window]:
        """A window in equal parts that take at most `LONGEST` pages each, as far as days allow, the latest first.

        An account that is quiet, or that nothing is known of, has just the whole.
        """
        parts = ceil(self.pages_of(account, len(window)) / LONGEST)
        return (window,) if parts <= 1 else tuple(window.split(ceil(len(window) / parts)))

    def _pages(self, calls: float, spread: float = 0.0) -> float:
        """Pages that so many calls fill, at least one: the mean over all numbers that it may be.

        A number that is known is rounded up. Were a guess rounded up too, all accounts that are taken for the same mean
        would err to the same side.

        Args:
            calls: How many.
            spread: How many more or less it may be.
        """
        pages, around = calls / self._page_size, spread / self._page_size
        if around < _HARDLY_ANY:
            return max(1.0, ceil(pages))
        return max(1.0, (_sum_of_pages(pages + around) - _sum_of_pages(pages - around)) / (2 * around))


def weekly(days: Iterable[tuple[date, int]]) -> tuple[float, ...]:
    """How the calls of a week are spread: those of a Monday, a Tuesday, and so on, as a multiple of the mean.

    Args:
        days: Days of accounts that were read to their end, with their calls; of the same accounts all over the week.
    """
    number, calls = [0] * 7, [0] * 7
    for day, count in days:
        number[day.weekday()] += 1
        calls[day.weekday()] += count
    if not sum(calls):
        return EVEN_WEEK
    mean = sum(calls) / sum(number)
    return tuple(
        min(max(some / days / mean, _WEEKDAY_MIN), _WEEKDAY_MAX) if some >= _EVIDENCE_CALLS else 1.0
        for some, days in zip(calls, number, strict=True)
    )


def _sum_of_pages(most: float) -> float:
    """The integral, from 0, of the pages that are asked for when the calls fill so many."""
    whole = floor(most)
    return most if most <= 1 else whole * (whole + 1) / 2 + (most - whole) * (whole + 1)


def _ratio(requests: int, least: int) -> float | None:
    """Requests that one page's worth of calls takes; `None` when nothing was read."""
    return min(max(requests / least, _RATIO_MIN), _RATIO_MAX) if least > 0 and requests > 0 else None

"""What of thousands is shown one by one: accounts, minutes, days. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from harvester.page.counting import Counts
from harvester.page.values import AccountDays, Findings, Mark
from harvester.page.words import DURATION_BINS_S
from harvester.usage import Pause

ACCOUNTS_SHOWN: Final = 60
RANKED: Final = 15
_BANDS: Final = 30
_NOT_LACKING: Final = frozenset({Mark.COMPLETE, Mark.BEFORE})
_APART_MINUTES: Final = 60
"""Requests that lie further apart are of different times of sending."""
_BINS: Final = 240
_BEIJING_MINUTES: Final = 480


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Accounts that stand together in the order of what they lack.

    Attributes:
        first: Place of the first of them, from 1.
        accounts: How many.
        lacking: How many of them lack the day, by day.
    """

    first: int
    accounts: int
    lacking: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A time of sending: no hour of it passed without a request.

    Attributes:
        first: Its first minute (Unix time / 60).
        last: Its last one.
        by_app: Requests by app and minute.
    """

    first: int
    last: int
    by_app: Mapping[str, Mapping[int, int]]

    def pauses(self, all_of_them: Iterable[Pause]) -> list[Pause]:
        """The pauses in it."""
        begins, ends = self.first * 60, (self.last + 1) * 60
        return [one for one in all_of_them if one.since < ends and one.until > begins]


def shown_accounts(found: Findings) -> Sequence[AccountDays]:
    """The accounts that are shown one by one: all of few, of many those that lack most."""
    return found.accounts[:ACCOUNTS_SHOWN]


def bands_of(found: Findings) -> list[Band]:
    """All accounts, those that lack most first, in at most 30 bands; then one of those that lack nothing."""
    lacking = found.incomplete
    size = max(1, -(-lacking // _BANDS))
    bands = []
    for first in [*range(0, lacking, size), lacking]:
        some = found.accounts[first : min(first + size, lacking) if first < lacking else None]
        if not some:
            continue
        lack = [sum(one.marks[day] not in _NOT_LACKING for one in some) for day in range(len(found.window))]
        bands.append(Band(first=first + 1, accounts=len(some), lacking=lack))
    return bands


def marks_by_day(found: Findings) -> list[tuple[date, Counter[Mark]]]:
    """How many accounts stand how, by day."""
    return [(day, Counter(Mark(one.marks[place]) for one in found.accounts)) for place, day in enumerate(found.window)]


def sendings(found: Findings) -> list[Sending]:
    """The times of sending of the last two days, in order."""
    minutes = sorted({minute for one in found.traffic for minute in one.by_minute})
    runs: list[list[int]] = []
    for minute in minutes:
        if not runs or minute - runs[-1][-1] > _APART_MINUTES:
            runs.append([])
        runs[-1].append(minute)
    return [
        Sending(
            first=run[0],
            last=run[-1],
            by_app={
                one.app: {minute: one.by_minute[minute] for minute in run if minute in one.by_minute}
                for one in found.traffic
                if any(minute in one.by_minute for minute in run)
            },
        )
        for run in runs
    ]


def binned(sending: Sending, by_minute: Mapping[int, int]) -> tuple[int, list[float]]:
    """A picture's bars: minutes of each, and its mean of requests a minute; at most 240."""
    minutes = sending.last - sending.first + 1
    size = -(-minutes // _BINS)
    sums = [0.0] * -(-minutes // size)
    for minute, requests in by_minute.items():
        sums[(minute - sending.first) // size] += requests
    lengths = [min(size, minutes - place * size) for place in range(len(sums))]
    return size, [total / length for total, length in zip(sums, lengths, strict=True)]


def paused_s(pauses: Iterable[Pause], app: str) -> float:
    """How long an app was paused, in seconds; what overlaps counts once."""
    total, end = 0.0, float("-inf")
    for one in sorted(pauses, key=lambda one: one.since):
        if one.app in {None, app}:
            total += max(0.0, one.until - max(one.since, end))
            end = max(end, one.until)
    return total


def clock(minute: int) -> str:
    """The time of day in Beijing of a minute (Unix time / 60)."""
    of_day = (minute + _BEIJING_MINUTES) % 1440
    return f"{of_day // 60:02d}:{of_day % 60:02d}"


def largest_accounts(found: Findings) -> list[AccountDays]:
    """Those with the most calls, the most first."""
    ranked = sorted(found.accounts, key=lambda one: (-one.calls, one.account_id))
    return [one for one in ranked[:RANKED] if one.calls]


def slowest_accounts(found: Findings) -> list[AccountDays]:
    """Those that took the most requests, the most first."""
    ranked = sorted(found.accounts, key=lambda one: (-one.requests, one.account_id))
    return [one for one in ranked[:RANKED] if one.requests]


def duration_counts(counts: Counts) -> list[int]:
    """Connected calls by the bins of `DURATION_BINS_S`."""
    found = [0] * len(DURATION_BINS_S)
    for seconds, number in counts.durations_s.items():
        found[max(place for place, low in enumerate(DURATION_BINS_S) if low <= seconds)] += number
    return found

"""The requests of the last 24 hours: never more than the day's quota in any of them. Pure.

Requests are remembered by minute, so that a day of a run costs 1,440 numbers. A request counts until the end of its
minute is 24 hours old: a minute too long at most, never too short.
"""

from collections import Counter, deque
from collections.abc import Mapping
from math import floor
from typing import Final

from harvester.api.decisions import GO, Decision, Over, Wait

DAY_S: Final = 86_400.0
PATIENCE_S: Final = 3_600.0
"""So long a run waits for requests of the night before to be a day old; a permit further away ends the app's day."""


class Day:
    """How much of a day's quota is used.

    Args:
        per_day: Requests in any 24 hours; `None` for any number.
        by_minute: What earlier runs sent, by Unix minute; minutes to come count as this one.
        wall: Unix seconds.
    """

    def __init__(self, per_day: int | None, by_minute: Mapping[int, int], wall: float) -> None:
        self._per_day = per_day
        self._used = sum(by_minute.values())
        sent: Counter[int] = Counter()
        for minute, requests in by_minute.items():
            sent[min(minute, floor(wall / 60))] += requests
        self._minutes = deque(sorted(sent.items()))

    def used(self, wall: float) -> int:
        """Requests that count at Unix time `wall`."""
        while self._minutes and _free_at(self._minutes[0][0]) <= wall:
            self._used -= self._minutes.popleft()[1]
        return self._used

    def take(self, wall: float) -> None:
        """Counts a request that is sent at Unix time `wall`."""
        minute = floor(wall / 60)
        if self._minutes and self._minutes[-1][0] >= minute:  # a clock that was set back counts as if it had not been
            last, requests = self._minutes.pop()
            self._minutes.append((last, requests + 1))
        else:
            self._minutes.append((minute, 1))
        self._used += 1

    def decide(self, wall: float, now: float, app: str) -> Decision:
        """Whether the day allows another request.

        Args:
            wall: Unix seconds.
            now: Loop time in seconds; what a `Wait` is told in.
            app: For a person.
        """
        if self._per_day is None or self.used(wall) < self._per_day:
            return GO
        away_s = self._free_at(wall) - wall
        if away_s <= PATIENCE_S:
            return Wait(now + away_s, f"day quota of app {app}")
        hours, minutes = divmod(round(away_s / 60), 60)
        quota = f"its quota of {self._per_day:,} requests a day is used up"
        return Over(f"app {app}: {quota}; requests are free again in {hours} h {minutes} min")

    def _free_at(self, wall: float) -> float:
        """The Unix time at which a request is allowed again."""
        over = self.used(wall) - (self._per_day or 0) + 1
        for minute, requests in self._minutes:
            over -= requests
            if over <= 0:
                return _free_at(minute)
        return wall + DAY_S  # a quota of nothing


def _free_at(minute: int) -> float:
    return (minute + 1) * 60 + DAY_S

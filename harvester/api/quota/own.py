"""What this run itself has sent, moment by moment, and how much of it the API has surely counted. Pure."""

from bisect import bisect_left
from dataclasses import dataclass
from math import floor, inf
from typing import Final

from harvester.model import AccountId

_PER_SECOND: Final = 4
"""Moments of a second; counts are as fine as that."""
_KEPT: Final = 64 * _PER_SECOND


@dataclass(slots=True)
class Permit:
    """Leave to send one request.

    Attributes:
        at: When it was given, loop time.
        counted: How many requests of the app the API had surely counted by then.
        lost: How many were over by then, and may or may not have been counted.
        told: Whether what became of the request was told.
        account_id: Whose calls it is for; `None` when they are nobody's.
    """

    at: float
    counted: int = 0
    lost: int = 0
    told: bool = False
    account_id: AccountId | None = None


class Own:
    """Running counts of one app's requests.

    Attributes:
        sent: Permits given.
        counted: Requests that the API answered and did not refuse: those it has surely counted.
        lost: Requests that are over, and may or may not have been counted.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.counted = 0
        self.lost = 0
        self._earlier = 0
        """What runs before this one sent a moment ago; of that nothing is known but that it was sent."""
        self._moments: list[int] = []
        """The moments in which permits were given…"""
        self._before: list[tuple[int, int]] = []
        """… and how many had been sent, and lost, before each."""

    @property
    def under_way(self) -> int:
        """Requests that have not ended."""
        return self.sent - self.counted - self.lost

    def remember(self, at: float, requests: int) -> None:
        """An earlier run sent so many, loop time `at` or before; to be called before anything is sent, in order."""
        self._note(floor(at * _PER_SECOND))
        self._earlier += requests

    def send(self, now: float) -> None:
        """A permit is given at loop time `now`."""
        self._note(floor(now * _PER_SECOND))
        self.sent += 1

    def _note(self, moment: int) -> None:
        if not self._moments or self._moments[-1] < moment:
            self._moments.append(moment)
            self._before.append((self._earlier + self.sent, self.lost))
            if len(self._moments) > 2 * _KEPT:
                del self._moments[:-_KEPT], self._before[:-_KEPT]

    def sent_since(self, since: float) -> int:
        """Permits given since loop time `since`, a minute ago at most; up to a moment's too many, never too few."""
        return self._earlier + self.sent - self._at(floor(since * _PER_SECOND))[0]

    def not_lost_by(self, by: float) -> int:
        """Of the permits given up to loop time `by`, a minute ago at most, those whose requests were not lost by then.

        Up to a moment's too many, never too few.
        """
        moment = floor(by * _PER_SECOND)
        return max(0, self._at(moment + 1)[0] - self._at(moment)[1] - self._earlier)

    def freed_at(self, most: int, now: float) -> float:
        """The loop time from which the last minute holds fewer than `most` permits; `-inf` if it does now."""
        if self.sent_since(now - 60) < most:
            return -inf
        for moment, (sent, _) in zip(reversed(self._moments), reversed(self._before), strict=True):
            if self._earlier + self.sent - sent >= most:
                return 60 + (moment + 1) / _PER_SECOND
        return now + 60

    def _at(self, moment: int) -> tuple[int, int]:
        """How many had been sent, and lost, when a moment began."""
        at = bisect_left(self._moments, moment)
        return self._before[at] if at < len(self._moments) else (self._earlier + self.sent, self.lost)

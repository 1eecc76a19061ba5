"""What this run itself has sent, moment by moment, and how much of it the API has surely counted. Pure."""

from bisect import bisect_left
from math import floor, inf
from typing import Final

_PER_SECOND: Final = 4
"""Moments of a second; counts are as fine as that."""
_KEPT: Final = 64 * _PER_SECOND


class Own:
    """Running counts of one app's requests.

    Attributes:
        sent: Permits given.
        counted: Requests that the API answered and did not refuse: those it has surely counted.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.counted = 0
        self._moments: list[int] = []
        """The moments in which permits were given…"""
        self._before: list[int] = []
        """… and how many there had been before each."""

    def send(self, now: float) -> None:
        """A permit is given at loop time `now`."""
        moment = floor(now * _PER_SECOND)
        if not self._moments or self._moments[-1] < moment:
            self._moments.append(moment)
            self._before.append(self.sent)
            if len(self._moments) > 2 * _KEPT:
                del self._moments[:-_KEPT], self._before[:-_KEPT]
        self.sent += 1

    def sent_since(self, since: float) -> int:
        """Permits given since loop time `since`, a minute ago at most; up to a moment's too many, never too few."""
        return self.sent - self._sent_before(floor(since * _PER_SECOND))

    def sent_by(self, by: float) -> int:
        """Permits given up to loop time `by`, a minute ago at most; up to a moment's too many, never too few."""
        return self._sent_before(floor(by * _PER_SECOND) + 1)

    def freed_at(self, most: int, now: float) -> float:
        """The loop time from which the last minute holds fewer than `most` permits; `-inf` if it does now."""
        if self.sent_since(now - 60) < most:
            return -inf
        for moment, before in zip(reversed(self._moments), reversed(self._before), strict=True):
            if self.sent - before >= most:
                return 60 + (moment + 1) / _PER_SECOND
        return now + 60

    def _sent_before(self, moment: int) -> int:
        """How many permits there had been when a moment began."""
        at = bisect_left(self._moments, moment)
        return self._before[at] if at < len(self._moments) else self.sent

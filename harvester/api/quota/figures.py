"""`X-RateLimit-Remaining`: what is left of an app's day and minute, in whole percents (documented). Pure."""

from collections import deque
from dataclasses import dataclass
from typing import Final

_KEPT_S: Final = 31.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One answer's figures: percents left, 0 to 100."""

    day: int
    minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A figure, and how it came about.

    Attributes:
        at: When its request was permitted, loop time.
        used: Percents of the minute that were used up, rounded up.
        counted: Requests of this run that the API had surely counted by then.
        lost: Requests of this run that were over by then, and may or may not have been counted.
        sent: Requests of this run that it can have counted when it answered.
    """

    at: float
    used: int
    counted: int
    lost: int
    sent: int


class Lately:
    """The samples of the last half minute, one a second."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> None:
        """Takes a sample in, if the one before is a second old."""
        samples = self._samples
        if not samples or sample.at - samples[-1].at >= 1:
            samples.append(sample)
        while samples[0].at < sample.at - _KEPT_S:
            samples.popleft()

    def clear(self) -> None:
        """Forgets all: the time between was not watched."""
        self._samples.clear()

    def before(self, at: float) -> Sample | None:
        """The last sample at or before a loop time; `None` when there is none."""
        return next((one for one in reversed(self._samples) if one.at <= at), None)

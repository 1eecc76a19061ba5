"""How long a run has still to go: from the plan, and from what it learned since it began. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LEARNED: Final = 20.0
"""Requests that ended slices were expected to take before what they took says anything of the others."""
_RATIO_MOST: Final = 50.0
_AS_PLANNED: Final = 1.1
"""A pace that is so much slower than the quota, or less, is the quota's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppsWork:
    """What an app has to do and how fast it does it.

    Attributes:
        expected: Requests of its whole plan.
        settled: Of these, of slices that have ended.
        took: What those slices took.
        sent: All that the app has sent.
        slices_left: Its slices that have not ended: each needs a request, or the rest of one.
        spacing_s: Seconds between two permits at its quota; `None` when no quota is known.
        pace_s: Seconds between two requests as it was lately; `None` while that is not known.
        wait_s: Seconds for which it sends nothing now; `None` when it is not known for how long.
    """

    expected: float
    settled: float = 0.0
    took: float = 0.0
    sent: int = 0
    slices_left: int = 0
    spacing_s: float | None = None
    pace_s: float | None = None
    wait_s: float | None = 0.0

    @property
    def total(self) -> float:
        """Requests of its whole plan, in the light of what those took that are over."""
        ratio = min(_RATIO_MOST, self.took / self.settled) if self.settled >= LEARNED and self.took else 1.0
        rest = max(0.0, self.expected - self.settled) * ratio
        return max((self.took if self.settled else 0.0) + rest, float(self.sent + self.slices_left))

    @property
    def is_learned(self) -> bool:
        """Whether enough slices have ended to judge others by of which nothing is known: the small ones end first."""
        return self.settled >= max(LEARNED, self.expected / 2)

    @property
    def left_s(self) -> float | None:
        """Seconds until it is done; `None` while nobody knows."""
        left = self.total - self.sent
        if left <= 0:
            return 0.0
        pace = self._pace_s
        return None if pace is None or self.wait_s is None else self.wait_s + left * pace

    @property
    def _pace_s(self) -> float | None:
        if self.spacing_s is None or self.pace_s is None:
            return self.pace_s if self.spacing_s is None else self.spacing_s
        return self.pace_s if self.pace_s > self.spacing_s * _AS_PLANNED else self.spacing_s


def left_s(
    apps: Iterable[AppsWork], *, requests_left: float | None = None, time_left_s: float | None = None
) -> float | None:
    """Seconds until the last app is done, since apps work side by side; `None` while that is not known.

    Args:
        apps: All of them.
        requests_left: What the run's budget still allows, all apps together; `None` for any number.
        time_left_s: What the run's time still allows; `None` for any.
    """
    works = list(apps)
    to_send = sum(max(0.0, one.total - one.sent) for one in works)
    times = [one.left_s for one in works]
    if None in times:
        return None
    longest = max((time for time in times if time is not None), default=0.0)
    if requests_left is not None and to_send > requests_left:
        longest *= max(0.0, requests_left) / to_send
    return longest if time_left_s is None else min(longest, max(0.0, time_left_s))

"""An app's quota as the config knows it, and how far apart its permits are. Pure."""

from dataclasses import dataclass
from typing import Final

from harvester.usage import Sending

MINUTE_S: Final = 60.0
LATE_S: Final = 0.005
"""Timers fire late, by a millisecond or so. So much the next permit makes up for: half of the headroom in a second."""
ROUNDING_S: Final = 1e-6
"""What the sums of floating-point seconds may be off."""
HEADROOM: Final = 0.99
"""The share of a minute's quota that is used. The rest is for the network, which bunches requests: 0.6 s a minute, …"""
_HEADROOM_SECOND: Final = 0.985
"""… 15 ms a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """An app's quota; `None` where it is not known or does not exist.

    Attributes:
        per_second: Requests in any second.
        per_minute: Requests in any 60 seconds.
        per_day: Requests in any 24 hours.
    """

    per_second: int | None = None
    per_minute: int | None = None
    per_day: int | None = None

    @property
    def spacing_s(self) -> float:
        """Seconds between two permits; 0 when neither the second nor the minute is limited.

        Permits that are so far apart are never more than the quota in any second or minute, wherever it begins.
        """
        spacings = (
            1 / self.per_second / _HEADROOM_SECOND if self.per_second else 0.0,
            60 / self.per_minute / HEADROOM if self.per_minute else 0.0,
        )
        return max(spacings)


def still_to_wait_s(spacing_s: float, earlier: Sending, wall: float) -> float:
    """Seconds until a run's first permit, so that its requests and those of the run before keep the quota together.

    A run that kept permits as far apart is gone on with: its last permit counts as ours. One that kept them closer, or
    had no limit, may have used up the minute: that has to be over.

    Args:
        spacing_s: Seconds between two permits from now on; 0 when there is no limit.
        earlier: What earlier runs sent.
        wall: Unix seconds.
    """
    if not spacing_s or earlier.last_at is None:
        return 0.0
    gap_s = spacing_s if earlier.spacing_s >= spacing_s - ROUNDING_S else max(MINUTE_S, spacing_s)
    return min(gap_s, max(0.0, earlier.last_at + gap_s - wall))


def sent_lately(earlier: Sending, wall: float) -> list[tuple[float, int]]:
    """What earlier runs sent in the last minute or two: how many seconds ago at the latest, and how many; oldest first.

    Args:
        earlier: What earlier runs sent.
        wall: Unix seconds.
    """
    last = wall if earlier.last_at is None else min(wall, earlier.last_at)
    lately = sorted((minute, many) for minute, many in earlier.by_minute.items() if (minute + 2) * MINUTE_S > wall)
    return [(max(0.0, wall - min((minute + 1) * MINUTE_S, last)), many) for minute, many in lately]

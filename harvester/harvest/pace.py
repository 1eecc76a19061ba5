"""When it is time to save what an open slice has so far. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a slice is saved: whichever comes first.

    Attributes:
        every_s: Seconds since it was begun or saved last; `None` for any time.
        every_bytes: Bytes of its calls in memory since then; `None` for any number.
    """

    every_s: float | None = 30.0
    every_bytes: int | None = 8 * 2**20


@dataclass(slots=True)
class Since:
    """What has come since a slice was begun or saved last.

    Attributes:
        at: Loop time of that, in seconds.
        size_bytes: Of its calls since then, in memory.
    """

    at: float
    size_bytes: int = 0

    def is_due(self, pace: Pace, now: float) -> bool:
        """Whether it is time to save the slice, at loop time `now`."""
        by_time = pace.every_s is not None and now - self.at >= pace.every_s
        return by_time or (pace.every_bytes is not None and self.size_bytes >= pace.every_bytes)

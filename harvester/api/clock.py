"""How far this machine's clock is from the API's, measured by the `Date` of its refusals. Pure.

A timestamp more than 300 s off is refused (12101, documented); days and hours are corrected as well as seconds.
"""

from typing import Final

TOLERATED_S: Final = 300.0
_SAME_S: Final = 60.0
"""A correction that differs by less is the one that was made before, in vain."""


class Clock:
    """The API's time, as far as it is known: this machine's, until the API refuses a timestamp.

    A good answer proves the clock right, whatever its `Date` says.

    Attributes:
        skew_s: What has to be added to this machine's clock, in seconds.
    """

    def __init__(self) -> None:
        self.skew_s = 0.0

    def timestamp(self, wall: float) -> int:
        """The API's time at this machine's `wall`, Unix seconds."""
        return int(wall + self.skew_s)

    def refused(self, date: float | None, wall: float, sent_with_s: float) -> float | None:
        """The API refused a timestamp: corrects the clock by the answer's `Date`, or takes a vain correction back.

        Args:
            date: Unix seconds; `None` when the answer had none.
            wall: This machine's, when the answer came.
            sent_with_s: The skew by which the timestamp was made.

        Returns:
            The new skew, if there is one; `None` otherwise.
        """
        if date is None or sent_with_s != self.skew_s:
            return None  # corrected since
        before, skew = self.skew_s, date - wall
        self.skew_s = skew if abs(skew - before) >= _SAME_S else 0.0
        return self.skew_s if self.skew_s != before else None

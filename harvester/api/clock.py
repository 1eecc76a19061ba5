"""How far this machine's clock is from the API's, measured by the `Date` of its answers. Pure.

A timestamp more than 300 s off is refused (12101, documented); days and hours are corrected as well as seconds.
"""

from typing import Final

TOLERATED_S: Final = 300.0
_WORTH_CORRECTING_S: Final = 30.0


class Clock:
    """The API's time, as far as answers have shown it.

    Attributes:
        skew_s: What has to be added to this machine's clock, in seconds.
    """

    def __init__(self) -> None:
        self.skew_s = 0.0
        self._measured = False

    def timestamp(self, wall: float) -> int:
        """The API's time at this machine's `wall`, Unix seconds."""
        return int(wall + self.skew_s)

    def measure(self, date: float | None, wall: float, *, refused: bool) -> float | None:
        """Takes in an answer's `Date`; the run's first one, and any that comes with a refused timestamp.

        Args:
            date: Unix seconds; `None` when the answer had none.
            wall: This machine's, when the answer came.
            refused: Whether the API refused the timestamp.

        Returns:
            The new skew, if it was corrected; `None` otherwise.
        """
        if date is None or (self._measured and not refused):
            return None
        self._measured = True
        skew = date - wall
        if abs(skew - self.skew_s) < (1.0 if refused else _WORTH_CORRECTING_S):
            return None
        self.skew_s = skew
        return skew

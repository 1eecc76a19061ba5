"""A brake over all tokens: requests with tokens that do not work are few, however many such tokens there are. Pure.

Many of them can get the machine's address banned (documented; how many is unknown).
"""

from collections.abc import Sequence
from typing import Final

AT_ONCE: Final = 10
"""So many in any `PER_S` seconds."""
PER_S: Final = 60.0


def wait_s(refused_at: Sequence[float], now: float) -> float:
    """Seconds until another token that may not work may be tried.

    Args:
        refused_at: When such tokens were refused, ascending, in seconds; the last `AT_ONCE` are enough.
        now: On the same clock.
    """
    if len(refused_at) < AT_ONCE:
        return 0.0
    return max(0.0, refused_at[-AT_ONCE] + PER_S - now)

"""A brake over all tokens: requests with tokens that do not work are few, however many such tokens there are. Pure.

Many of them can get the machine's address banned (documented; how many is unknown).
"""

from collections.abc import Sequence
from typing import Final

AT_ONCE: Final = 10
"""So many are tried at a time; one that was refused counts for `PER_S` seconds more."""
PER_S: Final = 60.0
_SOON_S: Final = 0.25
"""After so long it is looked whether one of those that are being tried has worked."""


def wait_s(refused_at: Sequence[float], trying: int, now: float) -> float:
    """Seconds until another token that may not work may be tried, or until it has to be looked again.

    Args:
        refused_at: When such tokens were refused, ascending, in seconds; the last `AT_ONCE` are enough.
        trying: How many are being tried.
        now: On the same clock.
    """
    counting = [at for at in refused_at if now < at + PER_S]
    over = len(counting) + trying - AT_ONCE
    if over < 0:
        return 0.0
    return counting[over] + PER_S - now if over < len(counting) and not trying else _SOON_S

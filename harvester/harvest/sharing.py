"""When a walk gives days away to another one, and how much it keeps. Pure.

The pages of a walk can only come one after the other, so the longest walk decides when a night ends. Each division
costs about two requests: one that counts again what is left, and a page that is not full.
"""

from collections.abc import Iterable
from math import ceil
from typing import Final

from harvester.foresight import LONGEST
from harvester.harvest.far import Far
from harvester.model import Window

TOO_LONG: Final = LONGEST * 3 // 2
"""Pages ahead of a walk that gives days away at once: with room for slices that took more than was foreseen."""
WORTH_IT: Final = 8
"""Pages that a walk can give away when others have nothing to do; of fewer it is done sooner alone."""


def kept_at_once(far: Far) -> int | None:
    """Pages that a walk keeps whose window is too wide for how busy its account is; `None`: all."""
    return LONGEST if far.pages > TOO_LONG else None


def kept_for_others(far: Far, others: Iterable[int]) -> int | None:
    """Pages that a walk keeps when others have nothing to do; `None`: all.

    Args:
        far: What is ahead of it.
        others: About how many pages each open walk could give away: the one with the most does.
    """
    return far.pages // 2 if far.beyond >= max([WORTH_IT, *others]) else None


def parts_of(given: Window, far: Far) -> list[tuple[Window, int]]:
    """What was given away, in parts that are not too long, as far as days allow, the latest first.

    Returns:
        Each part, and about how many pages it will take.
    """
    a_day = far.pages / (far.days + 1)
    parts = given.split(ceil(len(given) / max(1, ceil(a_day * len(given) / LONGEST))))
    return [(part, round(a_day * len(part))) for part in parts]

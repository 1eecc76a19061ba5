"""One account's Beijing day: how many calls, when each starts, and each as JSON, in any order, without the others.

The i-th of n calls starts at F⁻¹((i + uᵢ) / n), F being the day's profile and uᵢ a keyed chance: so starts ascend with
the index, and any one of them is computed alone. Ties are laid over this without disturbing the order.
"""

import datetime as dt
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from struct import Struct
from typing import Final

from harvester.model import AccountId
from harvester.sandbox.entity import SECONDS_A_DAY, DayStamp, render

_PROFILE: Final = (3, 2, 1, 1, 1, 2, 5, 15, 60, 110, 125, 95, 55, 75, 115, 120, 115, 95, 60, 40, 30, 20, 12, 6)
"""Calls by the hour: business hours, a lunch break, a thin but never empty night."""
_CUMULATIVE: Final = tuple(total / sum(_PROFILE) for total in accumulate(_PROFILE, initial=0))
_SECONDS_A_SHARE: Final = tuple(3_600 * sum(_PROFILE) / hour for hour in _PROFILE)
_EIGHT_WORDS: Final = Struct("<8I")
_MASK: Final = (1 << 64) - 1
_TWO_32: Final = 1 << 32


def mix(value: int, key: int) -> int:
    """A cheap keyed hash to 32 uniform bits (splitmix64's finaliser): for what is asked for in a binary search."""
    bits = (value + key) * 0x9E3779B97F4A7C15 & _MASK
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _MASK
    return bits >> 32


def _second_at(share: float) -> int:
    """The second of the day, 0 to 86,399, by which this share (0 to 1) of its calls has started."""
    hour = bisect_right(_CUMULATIVE, share, 0, 24) - 1
    second = int(hour * 3_600 + (share - _CUMULATIVE[hour]) * _SECONDS_A_SHARE[hour])
    return second if second < SECONDS_A_DAY else SECONDS_A_DAY - 1


@lru_cache(maxsize=1_024)
def _stamp(day: dt.date) -> DayStamp:
    return DayStamp(day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One account's day.

    Attributes:
        account_id: Whose.
        date: Which Beijing day.
        count: How many calls; at most `CALLS_A_DAY_MAX`.
        key: 64 bits that all chance of this day comes from.
        tie_share: Share of calls, 0 to 1, that share their second with their neighbour, in pairs.
        giant: Indices `[first, end)` that all start in one second; empty when `first == end`.
    """

    account_id: AccountId
    date: dt.date
    count: int
    key: int
    tie_share: float = 0.0
    giant: tuple[int, int] = (0, 0)

    def second(self, index: int) -> int:
        """When the call starts, in seconds since the day's midnight; never less than the call before it."""
        first, end = self.giant
        if first <= index < end:
            index = first
        elif mix(index >> 1, ~self.key) < self.tie_share * _TWO_32:
            index &= ~1
        return _second_at((index + mix(index, self.key) / _TWO_32) / self.count)

    def before(self, second: int) -> int:
        """How many calls start before this second of the day: binary search, nothing is generated."""
        return bisect_left(range(self.count), second, key=self.second)

    def entity(self, index: int, second: int) -> str:
        """The call's exact JSON; `second` is `self.second(index)`, which callers know already."""
        digest = blake2b((self.key << 64 | index).to_bytes(16, "little"), digest_size=32).digest()
        return render(_stamp(self.date), self.account_id, (index, second), _EIGHT_WORDS.unpack(digest))

"""What the sandbox holds: accounts and their calls, all of it computed from a seed when asked for, nothing stored."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from harvester.model import BEIJING, ONE_DAY, AccountId, Window
from harvester.sandbox.day import Day, mix
from harvester.sandbox.entity import CALLS_A_DAY_MAX

_TWO_32: Final = 1 << 32
_WEEK: Final = (1.18, 1.2, 1.16, 1.14, 1.12, 0.68, 0.52)
"""Monday to Sunday, mean 1."""
_QUIET_ACCOUNTS: Final = 8
"""One account in this many is closed on half of its days."""


def beijing_day(now_s: float) -> dt.date:
    """The Beijing date of a moment in Unix seconds; the machine's own zone does not matter."""
    return dt.datetime.fromtimestamp(now_s, BEIJING).date()


def chance(*parts: object) -> int:
    """64 uniform bits that depend on nothing but the parts."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every call there is. Two worlds with equal settings hold equal bytes.

    Attributes:
        seed: Another seed, another world.
        today: The Beijing day on which the world is looked at; its last calls are of the day before.
        accounts: How many accounts; memory grows with these only.
        days: How many days back calls go.
        calls_per_day: Mean over accounts and days; sizes follow Zipf's law, so most accounts have far fewer.
        skew: The law's exponent; with 1 the first of 500 accounts has a seventh of all calls, with 2 three fifths.
        tie_share: Share of calls, 0 to 1, that share their second with a neighbour.
        tie_size: Calls of one giant second, added to the other calls of some days; 0: none.
        tie_day_share: Share, 0 to 1, of (account, day) that hold a giant second when `tie_size` is not 0.
        sizes: Mean calls a day of each account, in the order of the ids; computed.
    """

    today: dt.date
    seed: int = 1
    accounts: int = 20
    days: int = 400
    calls_per_day: float = 200.0
    skew: float = 1.0
    tie_share: float = 0.02
    tie_size: int = 0
    tie_day_share: float = 0.1
    sizes: Mapping[AccountId, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.accounts < 1 or self.days < 1 or self.calls_per_day < 0 or self.tie_size < 0:
            raise ValueError(f"a world has accounts, days, and no negative numbers: {self}")
        weights = [1 / rank**self.skew for rank in range(1, self.accounts + 1)]
        scale = self.calls_per_day * self.accounts / sum(weights)
        ids = [AccountId(20_000_000 + 997 * n + chance(self.seed, "id", n) % 997) for n in range(self.accounts)]
        ranked = sorted(ids, key=lambda account_id: chance(self.seed, "rank", account_id))
        means = {account_id: weight * scale for account_id, weight in zip(ranked, weights, strict=True)}
        object.__setattr__(self, "sizes", {account_id: means[account_id] for account_id in ids})

    @property
    def first_day(self) -> dt.date:
        """The first day with calls."""
        return self.today - ONE_DAY * self.days

    @property
    def last_day(self) -> dt.date:
        """The last day with calls: yesterday."""
        return self.today - ONE_DAY

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        """All accounts, ascending."""
        return tuple(self.sizes)

    def day(self, account_id: AccountId, date: dt.date) -> Day:
        """One account's day; empty for an unknown account or a day outside the world."""
        return _day(self, account_id, date)

    def count(self, account_id: AccountId, window: Window) -> int:
        """How many calls start in the window; costs its days, not its calls."""
        return sum(self.day(account_id, date).count for date in window)

    def calls(self, account_id: AccountId, window: Window) -> Iterator[bytes]:
        """The truth: each call's exact JSON as the server sends it, ordered by start, then by `call_id`."""
        for date in window:
            day = self.day(account_id, date)
            for index in range(day.count):
                yield day.entity(index, day.second(index)).encode()


@lru_cache(maxsize=16_384)
def _day(world: World, account_id: AccountId, date: dt.date) -> Day:
    key = chance(world.seed, account_id, date)
    mean = world.sizes.get(account_id, 0.0) if world.first_day <= date <= world.last_day else 0.0
    quiet = chance(world.seed, "quiet", account_id) % _QUIET_ACCOUNTS == 0
    if mean == 0.0 or (quiet and mix(1, key) & 1):
        return Day(account_id=account_id, date=date, count=0, key=key)
    expected = mean * _WEEK[date.weekday()] * (0.75 + 0.5 * mix(2, key) / _TWO_32)
    count = int(expected + mix(3, key) / _TWO_32)
    size = world.tie_size if mix(4, key) < world.tie_day_share * _TWO_32 else 0
    first = mix(5, key) % (count + 1)
    if count + size > CALLS_A_DAY_MAX:
        raise ValueError(f"a day holds at most {CALLS_A_DAY_MAX} calls of an account; scale the world down")
    return Day(
        account_id=account_id,
        date=date,
        count=count + size,
        key=key,
        tie_share=world.tie_share,
        giant=(first, first + size),
    )

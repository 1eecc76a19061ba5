"""How often a call is tried and how long it waits; time and chance, handed in. Pure but for its nonces."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final

_BASE_BACKOFF_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often one call is tried, and how long it waits in between.

    Attributes:
        attempts: The first included.
        max_backoff_s: The longest wait, in seconds.
    """

    attempts: int = 6
    max_backoff_s: float = 60.0

    def backoff_s(self, attempt: int, chance: float) -> float:
        """Full jitter: a uniform share of 1 s · 2^(attempt-1), at most `max_backoff_s`.

        Args:
            attempt: The one that failed, from 1.
            chance: In [0, 1).
        """
        return chance * min(self.max_backoff_s, _BASE_BACKOFF_S * 2.0 ** (attempt - 1))


def _nonces() -> Callable[[], str]:
    """A prefix that nobody else has, and a number: the system is asked for chance once, not for each request."""
    prefix, numbers = secrets.token_hex(10), count()
    return lambda: f"{prefix}{next(numbers):012x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time and chance, handed in so that tests own them.

    Attributes:
        wall: Unix seconds.
        chance: Uniform in [0, 1).
        nonce: A string never given before, at most 32 characters.
    """

    wall: Callable[[], float]
    chance: Callable[[], float]
    nonce: Callable[[], str] = field(default_factory=_nonces)

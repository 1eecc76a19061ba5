"""How many retries all calls together may add to what the API is asked: no storm on top of its troubles. Pure.

Each answer earns a share of a retry, and time earns a little; a call whose retry is not covered waits until it is.
"""

from dataclasses import dataclass, replace
from typing import Final

RESERVE: Final = 50.0
"""Retries that may be spent at once."""
PER_ANSWER: Final = 0.25
PER_SECOND: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """The budget of retries.

    Attributes:
        credit: Retries earned and not spent; below zero, how many are waiting.
        at: Loop time of that.
    """

    credit: float = RESERVE
    at: float = 0.0


def answered(retries: Retries) -> Retries:
    """After an answer."""
    return replace(retries, credit=min(RESERVE, retries.credit + PER_ANSWER)) if retries.credit < RESERVE else retries


def spend(retries: Retries, now: float) -> tuple[Retries, float]:
    """Spends a retry at loop time `now`; says how many seconds it has to wait for it."""
    credit = min(RESERVE, retries.credit + PER_SECOND * max(0.0, now - retries.at)) - 1
    return Retries(credit=credit, at=now), max(0.0, -credit) / PER_SECOND

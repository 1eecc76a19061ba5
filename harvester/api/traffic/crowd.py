"""How many requests may be in flight: fewer while the API is slow or fails, more again when it is well. Pure.

A healthy API is asked with as many as the config allows, or as the quota needs: permits come no faster than it allows.
One that answers much slower than it used to, or fails a third of what it is asked, is not helped by more requests.
"""

from dataclasses import dataclass, replace
from typing import Final

SLOW_S: Final = 1.0
"""An answer within a second is never slow."""
_SLOWER: Final = 3.0
"""So many times what answers usually take is slow."""
_RECENT: Final = 0.2
"""The weight of the last answer in what answers take lately."""
_USUAL_DOWN: Final = 0.05
_USUAL_UP: Final = 0.002
"""What is usual follows quicker answers soon, slower ones over hundreds of answers."""
_FAILING: Final = 0.3
"""The share of recent attempts that failed from which on the API is overloaded, …"""
WELL: Final = 0.15
"""… and up to which it is well."""
_FAILURE_WEIGHT: Final = 0.02
_CUT: Final = 0.7
_LEAST_SLOW: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """The requests in flight, all apps together.

    Attributes:
        most: What the config allows.
        allowed: Places that may be taken now, at least 1.
        recent_s: What answers take lately; `None` before the first.
        usual_s: What they usually take.
        failing: The share of recent attempts that failed.
        heard: Answers since `allowed` changed last: a round is as many as there are places.
        cut_at: When it was cut last, loop time: older requests were sent before that, and tell nothing new.
    """

    most: int
    allowed: int
    recent_s: float | None = None
    usual_s: float = 0.0
    failing: float = 0.0
    heard: int = 0
    cut_at: float = float("-inf")

    @property
    def is_slow(self) -> bool:
        """Whether answers take much longer than they used to."""
        return self.recent_s is not None and self.recent_s > max(SLOW_S, _SLOWER * self.usual_s)


def answered(crowd: Crowd, took_s: float, now: float) -> Crowd:
    """After a good answer that took so long from its permit on."""
    recent = took_s if crowd.recent_s is None else crowd.recent_s + _RECENT * (took_s - crowd.recent_s)
    usual = took_s if crowd.recent_s is None else crowd.usual_s
    usual += (_USUAL_DOWN if took_s < usual else _USUAL_UP) * (took_s - usual)
    failing = crowd.failing * (1 - _FAILURE_WEIGHT)
    if crowd.allowed == crowd.most and recent <= SLOW_S:  # the everyday case, a few hundred times a second
        most, cut_at = crowd.most, crowd.cut_at  # `replace` would take three times as long
        return Crowd(
            most=most, allowed=most, recent_s=recent, usual_s=usual, failing=failing, heard=crowd.heard, cut_at=cut_at
        )
    crowd = replace(crowd, recent_s=recent, usual_s=usual, failing=failing, heard=crowd.heard + 1)
    if crowd.heard < crowd.allowed:
        return crowd
    if crowd.is_slow:
        return _cut(crowd, _LEAST_SLOW, now)
    if failing <= WELL and crowd.allowed < crowd.most:
        return replace(crowd, allowed=crowd.allowed + 1, heard=0)
    return crowd


def failed(crowd: Crowd, permit_at: float, now: float) -> Crowd:
    """After an attempt, permitted at `permit_at`, that brought no answer, or that the API was busy."""
    crowd = replace(crowd, failing=crowd.failing + _FAILURE_WEIGHT * (1 - crowd.failing))
    return _cut(crowd, 1, now) if crowd.failing >= _FAILING and permit_at >= crowd.cut_at else crowd


def _cut(crowd: Crowd, least: int, now: float) -> Crowd:
    fewer = min(crowd.allowed, max(least, int(crowd.allowed * _CUT)))
    return replace(crowd, allowed=fewer, heard=0, cut_at=now)

"""What the API's figures show of a quota's size: never more than it is. Pure.

What this run has surely sent, divided by what was used up of the minute, is at most the quota, whoever else used it up.
It is taken over what must lie in one minute of the API's, whether that is a calendar one or the last 60 seconds (which
is not known): over a rise of the figure, and over the last 60 seconds; the smaller one counts.
"""

from math import inf
from typing import Final

from harvester.api.quota.figures import Sample
from harvester.api.quota.limits import MINUTE_S
from harvester.api.quota.own import Own

_ENOUGH: Final = 5
"""Percents that must be used up before a quota is told from them: they are rounded."""
_LATE_S: Final = 2.0
_FEEL_A_MINUTE: Final = 0.03
_FEEL_LEAST: Final = 0.003
_FEEL_LESS: Final = 3.0
"""Each time that too much was felt for, it is gone about more slowly."""
_FEEL_MOST: Final = 2.0
_NO_MORE: Final = 10**9
_FORGOTTEN_S: Final = 900.0
"""So long after a refusal, what figures show counts again, whatever was refused."""


class Learning:
    """The size of a quota.

    Attributes:
        shown: Requests a minute, at least; 0 while nothing is known.
    """

    def __init__(self, earlier: int = 0) -> None:
        self.shown = earlier
        self._most = _NO_MORE
        self._struck_at = -inf
        self._lowest: Sample | None = None
        """Where the figure began to rise."""
        self._last: Sample | None = None
        self._felt_from: float | None = 0.0 if earlier else None
        """Since when a quota is felt for that no figure shows, such as that of an earlier run."""
        self._feel_a_minute = _FEEL_A_MINUTE

    def observe(self, sample: Sample, own: Own, now: float, *, steady_s: float) -> None:
        """Takes in a sample.

        Args:
            sample: The figure, and what this run had sent.
            own: What this run has sent.
            now: Loop time.
            steady_s: For how long the figure has been watched without falling back.
        """
        fell = self._last is not None and sample.used < self._last.used
        if self._lowest is None or fell or not steady_s:
            self._lowest = sample
        self._last = sample
        if self.must_measure and own.under_way:
            return  # others are under way: too little is surely counted
        rise = sample.used - self._lowest.used
        by_minute = (sample.counted - own.not_lost_by(now - MINUTE_S)) / max(1, sample.used)
        by_rise = (sample.counted - (self._lowest.sent - self._lowest.lost)) / (max(0, rise) + 2)
        enough = 1 if self.shown else _ENOUGH
        if now - self._struck_at > _FORGOTTEN_S:
            self._most = _NO_MORE
        if rise >= enough:
            self._show(100 * min(by_minute, by_rise))
        elif sample.used >= enough and steady_s > MINUTE_S + _LATE_S:  # a calendar minute would have begun anew
            self._show(100 * by_minute * sample.used / (sample.used + 2))

    def _show(self, shown: float) -> None:
        if self._felt_from is not None:
            self.shown, self._felt_from = 0, None
        self.shown = max(self.shown, min(int(shown), self._most))

    @property
    def is_felt(self) -> bool:
        """Whether no figure has shown it: it was refused, or is an earlier run's."""
        return self._felt_from is not None

    @property
    def must_measure(self) -> bool:
        """Whether there is a quota that is not known: a request that goes alone, after all others, measures it."""
        if self.shown or self._last is None or self._lowest is None:
            return False
        return self._last.used - self._lowest.used >= _ENOUGH

    def struck(self, sent: int, now: float, strikes: int) -> None:
        """The API refused a request at loop time `now`, since the minute is used up.

        Where figures told a quota, it is less than that, if this run used a good part of it. Where none did and it
        happens again, what this run has sent is the best that is known, and more is felt for from there.

        Args:
            sent: What this run has sent in the minute before.
            now: Loop time.
            strikes: How often it has happened lately, this time included.
        """
        self._struck_at = now
        tells = self._last is not None and self._last.used >= _ENOUGH
        if not tells and strikes > 1 and sent >= _ENOUGH:
            self.shown, self._felt_from = max(1, sent * 9 // 10), now
            self._feel_a_minute = max(_FEEL_LEAST, self._feel_a_minute / _FEEL_LESS)
        elif self.shown and 2 * sent >= self.shown:
            self._most = self.shown = max(1, self.shown * 9 // 10)

    def quota_at(self, now: float) -> int:
        """Requests a minute, as far as is known at loop time `now`; 0 while nothing is."""
        if self._felt_from is None:
            return self.shown
        return int(self.shown * min(_FEEL_MOST, 1 + self._feel_a_minute * (now - self._felt_from) / MINUTE_S))

"""How much of an app's minute is this run's to use, as far as the API's figures show what others use. Pure.

Whether the API's minute is a calendar one or the last 60 seconds is not known. So what others use is estimated from two
sides, each right either way or too low: what is used up of the minute, less all that this run has sent in that time;
and what was used up within the last 10 to 30 s, less what this run has sent since. The larger one counts, for as long
as the figures of a minute have to be reckoned with.

While nobody else is seen, the whole quota is this run's. Else it takes what is left, less a guard; it makes good what
it had sent too much before it saw them, and brakes when the minute nears its end.
"""

from collections import deque
from typing import Final

from harvester.api.quota.figures import Figure, Lately, Sample
from harvester.api.quota.learning import Learning
from harvester.api.quota.limits import HEADROOM, MINUTE_S
from harvester.api.quota.own import Own, Permit

WORTH_MINDING: Final = 0.03
"""The share of others below which they are not minded: what rounding and the network amount to."""
_WORTH_MINDING_WARY: Final = 0.01
"""The same once the API has refused requests."""
_LATE_S: Final = 2.0
"""How much later than it was sent a request may be counted."""
_GUARD: Final = 0.02
"""The share that is left alone while others use the app, besides what refusals have taught to leave alone."""
_LEAST_SHARE: Final = 0.02
_LEAST_BRAKE: Final = 0.1
_TRICKLE: Final = 6.0
"""So many requests a minute are sent though others use it all: how else would it be seen that they are gone?"""
_BRAKE_FROM: Final = 0.03
"""When less than that is left of the minute, permits come more slowly still."""
_MAKE_GOOD_S: Final = 15.0
"""In so much time is saved what was sent too much before others were seen."""
_SPANS_S: Final = (5.0, 10.0, 20.0, 30.0)
_TELLING_S: Final = 10.0
"""A rise in less than that tells what others use at least, but not about how much."""
_DROP: Final = 1
"""A figure that falls back by more than that began a new minute, or was relieved of an old one."""
_SILENCE_S: Final = 35.0
"""Figures that come so seldom tell nothing of the time between them, unless requests are as far apart anyway."""
_LITTLE: Final = 3
_HARDLY: Final = 0.05
_BELIEVED_S: Final = 120.0
"""So long it is believed that others use nearly all while the API answers everything; four times as long each time
that it turns out to be true."""
_LEAP: Final = 10
_LEAPS: Final = 4
_LEAPS_OF: Final = 12
_LEAPS_WITHIN_S: Final = 90.0
"""A minute's figure falls back by a tenth once a minute, or when a burst is a minute old. One that does so at every
third answer says nothing."""
_NONSENSE_S: Final = 900.0
"""After that the figures are given another chance."""


class Steering:
    """How much of an app's minute is this run's to use.

    Args:
        per_minute: The quota as configured; `None` to learn it.
        learned: What an earlier run learned of it.

    Attributes:
        others: The share of the quota that others use, 0 to 1, about.
        figure: The last one seen; `None` while there was none.
    """

    def __init__(self, per_minute: int | None, learned: int | None = None) -> None:
        self.others = 0.0
        self.figure: Figure | None = None
        self._configured = per_minute
        self._learning = Learning((learned or 0) if per_minute is None else 0)
        self._learned = self._learning.shown
        self._lately = Lately()
        self._held = (0.0, 0.0)
        """The most that others were seen to use in the minute before this one, and in this one."""
        self._turned_at = -MINUTE_S
        self._steady_since = self._watched_since = 0.0
        """Since when the figure has not fallen back; since when it has been seen every few seconds."""
        self._last_used = 0
        self._seen_at: float | None = None
        self._used_up_since: float | None = None
        """Since when every figure said that hardly anything is left of the minute."""
        self._believed_s = _BELIEVED_S
        self._leaps: deque[tuple[float, bool]] = deque(maxlen=_LEAPS_OF)
        self._nonsense_since = 0.0
        self.is_nonsense = False
        """Whether the figures are not heeded any more: they cannot be what is left of a minute."""
        self._day_was_left = False
        self._is_wary = False
        """Whether the API has refused requests: then little signs of others count as well."""

    @property
    def quota(self) -> int | None:
        """Requests a minute; `None` while unknown."""
        return self._configured or self._learned or None

    @property
    def shown(self) -> int:
        """What the figures have shown of the quota, configured or not: at least so much; 0 while nothing."""
        return self._learning.shown

    @property
    def learned(self) -> int | None:
        """The quota, where none is configured; `None` while unknown."""
        return None if self._configured else self.quota

    @property
    def is_shown(self) -> bool:
        """Whether figures of this run have shown the quota that was learned."""
        return not self._learning.is_felt

    @property
    def must_measure(self) -> bool:
        """Whether a request has to go alone, so that the quota is known."""
        return not self._configured and self._learning.must_measure

    @property
    def day_is_ending(self) -> bool:
        """Whether less than one percent of the day is left: then a request waits for the answer to the one before.

        A figure that never was anything but zero is not believed: some apps have no limit a day.
        """
        return self._day_was_left and self.figure is not None and self.figure.day <= 0

    def observe(self, figure: Figure, own: Own, permit: Permit, now: float) -> None:
        """Takes in an answer's figures, if they are surely later than those before: answers overtake one another.

        Args:
            figure: The figures.
            own: What this run has sent by now.
            permit: The request's.
            now: Loop time.
        """
        if self.is_nonsense and now - self._nonsense_since > _NONSENSE_S:
            self.is_nonsense = False
            self._leaps.clear()
        if self.is_nonsense or (self._seen_at is not None and permit.at < self._seen_at):
            return  # it may have been counted before the one that was seen last
        self.figure = figure
        self._day_was_left = self._day_was_left or figure.day > 0
        if not self._crawls(figure, own, now):
            self._used_up_since = None
        elif self._used_up_since is None:
            self._used_up_since = now
        sample = Sample(at=permit.at, used=100 - figure.minute, counted=permit.counted, lost=permit.lost, sent=own.sent)
        if not self._watch(sample, now):
            self.others, self._learned, self._learning = 0.0, 0, Learning()
            return
        self._learning.observe(sample, own, now, steady_s=now - self._steady_since)
        self._learned = self._learning.quota_at(now)
        if quota := self.quota:
            self._look_for_others(sample, own, quota, now)

    def _crawls(self, figure: Figure, own: Own, now: float) -> bool:
        """Whether hardly anything is left of the minute, though this run uses hardly any of it."""
        mine = own.sent_since(now - MINUTE_S) / (self.quota or 1)
        return figure.minute == 0 or (figure.minute <= _LITTLE and mine <= _HARDLY)

    def _watch(self, sample: Sample, now: float) -> bool:
        """Whether the figures still can be what is left of a minute."""
        used, silent_s = sample.used, now - (self._seen_at or 0.0)
        apart_s = 3 * MINUTE_S / self.quota if self.quota else 0.0
        if silent_s > _SILENCE_S + apart_s + 2 * (now - sample.at):
            self._lately.clear()
            self._watched_since = self._steady_since = now
            self._turned_at += silent_s  # what was seen of others before a pause is still the last that was seen
        if used < self._last_used - _DROP:
            self._steady_since = now
        self._leaps.append((now, used < self._last_used - _LEAP))
        leaps = [at for at, leap in self._leaps if leap]
        if len(leaps) >= _LEAPS and now - leaps[-_LEAPS] < _LEAPS_WITHIN_S:
            self.is_nonsense, self._nonsense_since = True, now
        self._last_used, self._seen_at = used, now
        return not self.is_nonsense

    def struck(self, own: Own, now: float, strikes: int) -> None:
        """The API refused a request because the minute is used up, not for the first time lately if `strikes` > 1."""
        self._used_up_since, self._believed_s = now, 4 * self._believed_s
        self._is_wary = True
        if not self._configured:
            self._learning.struck(own.sent_since(now - MINUTE_S), now, strikes)
            self._learned = self._learning.quota_at(now)

    def _look_for_others(self, sample: Sample, own: Own, quota: int, now: float) -> None:
        surely, likely = self._seen(sample, own, quota, now)
        if now - self._turned_at > MINUTE_S:
            self._held, self._turned_at = (self._held[1], 0.0), now
        self._held = (self._held[0], max(self._held[1], surely))
        for span_s in _SPANS_S:
            if before := self._lately.before(sample.at - span_s):
                in_a_minute = MINUTE_S / (sample.at - before.at)
                rise, mine = sample.used - before.used, (sample.sent - before.sent) / quota
                most = (sample.sent - before.counted - before.lost) / quota
                surely = max(surely, ((rise - 1) / 100 - most) * in_a_minute)
                if span_s >= _TELLING_S:
                    likely = max(likely, (rise / 100 - mine) * in_a_minute)
        self._lately.add(sample)
        held = max(self._held)
        shown = likely if self._is_wary else max(surely, held)
        found = max(held, surely, likely) if shown >= self._worth_minding else 0.0
        self.others = 0.0 if self._says_nothing(now) else min(1.0, found)

    @staticmethod
    def _seen(sample: Sample, own: Own, quota: int, now: float) -> tuple[float, float]:
        """The share that others have used of the last minute: surely, and likely."""
        latest = own.sent_since(now - MINUTE_S - _LATE_S) / quota
        return (sample.used - 1) / 100 - latest, (sample.used - 0.5) / 100 - own.sent_since(now - MINUTE_S) / quota

    @property
    def _worth_minding(self) -> float:
        return _WORTH_MINDING_WARY if self._is_wary else WORTH_MINDING

    def _says_nothing(self, now: float) -> bool:
        """Whether the minute is said to be used up for minutes on end, while the API refuses nothing."""
        return self._used_up_since is not None and now - self._used_up_since > self._believed_s

    def pace(self, own: Own, now: float, reserve: float) -> float | None:
        """Requests a minute that are this run's to send now; `None` while no quota is known.

        Args:
            own: What it has sent.
            now: Loop time.
            reserve: The share that is left alone because the API has refused requests lately.
        """
        if not self._configured:
            self._learned = self._learning.quota_at(now)
        quota = self.quota
        if quota is None or not self.others:
            return quota and quota * self.share(reserve)
        allowed = quota * self.share(reserve)
        watched_s = min(MINUTE_S, now - self._watched_since)
        too_much = own.sent_since(now - watched_s) - allowed * watched_s / MINUTE_S
        left = 1.0 if self.figure is None else self.figure.minute / 100
        brake = max(_LEAST_BRAKE, min(1.0, left / _BRAKE_FROM))
        braked = brake * (allowed - max(0.0, too_much) * MINUTE_S / _MAKE_GOOD_S)
        return min(quota * HEADROOM, max(_TRICKLE, braked))

    def share(self, reserve: float = 0.0) -> float:
        """The share of the quota that is this run's, 0 to 1."""
        if not self.others:
            return HEADROOM - reserve
        return min(HEADROOM, max(_LEAST_SHARE, 1 - self.others - _GUARD - reserve))

"""What a person is told of an app's quota while a run goes on, and afterwards."""

import logging
from math import inf
from typing import Final

from harvester.api.decisions import Wait
from harvester.api.quota.limits import HEADROOM
from harvester.api.quota.pauses import Limit
from harvester.api.quota.steering import WORTH_MINDING, Steering
from harvester.api.traffic import Traffic
from harvester.events import TOLD
from harvester.model import AppName

log = logging.getLogger(__name__)

_CHANGE: Final = 0.1
_SELDOM_S: Final = 30.0
_LITTLE_DAY: Final = 10
_LONG_S: Final = 5.0


class Words:
    """Says each thing once, and not too often.

    Args:
        app: Which app.
        traffic: Knows the time of day.
    """

    def __init__(self, app: AppName, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic
        self._told_wait = -inf
        self._told_learned = 0
        self._told_others = 0.0
        self._told_others_at = -inf
        self._most_others = 0.0
        self._told_day = False
        self._told_nonsense = False
        self._refusals: dict[Limit, int] = {}
        self._reason = ""

    def begins(self, wait_s: float, learned: int | None) -> None:
        """The app begins: so many seconds until its first request, and the quota that an earlier run learned."""
        if wait_s > _LONG_S:
            text = "app %s: the first request goes in %.0f s, when the minute of the run before is over"
            log.info(text, self._app, wait_s)
        if learned:
            log.info("app %s: %d requests a minute, as an earlier run learned", self._app, learned)

    def waits(self, wait: Wait, now: float) -> None:
        """The app waits for something that is worth telling."""
        if wait.why is None or wait.until <= self._told_wait or self._traffic.is_down:
            return
        self._told_wait = wait.until
        reason = self._reason if wait.until - now > 1 else ""
        log.warning("%s%s", self._traffic.told(wait), reason, extra=TOLD)

    def refused(self, limit: Limit, text: str, until: float) -> None:
        """The API refused a request for a limit: the app pauses up to loop time `until`."""
        if limit is not Limit.SECOND:
            self._traffic.paused(self._app, until, limit.value)
        self._refusals[limit] = self._refusals.get(limit, 0) + 1
        self._reason = f" ({text})"

    def heard(self, steering: Steering, now: float) -> None:
        """The API's figures were taken in."""
        if steering.is_nonsense and not self._told_nonsense:
            self._told_nonsense = True
            log.warning(
                "app %s: the API's figures of its quota leap to and fro; they are not heeded any more", self._app
            )
        self._tell_learned(steering)
        self._tell_others(steering, now)
        if steering.figure and 0 < steering.figure.day <= _LITTLE_DAY and not self._told_day:
            self._told_day = True
            log.warning("app %s: %d %% of its day's quota are left", self._app, steering.figure.day)

    def _tell_learned(self, steering: Steering) -> None:
        learned = steering.learned
        if learned and not self._told_learned * (1 - _CHANGE) <= learned <= self._told_learned * (1 + _CHANGE):
            self._told_learned = learned
            log.info(
                "app %s: the API's figures show a quota of at least %s requests a minute", self._app, f"{learned:,}"
            )

    def _tell_others(self, steering: Steering, now: float) -> None:
        others, quota = steering.others, steering.quota or 0
        self._most_others = max(self._most_others, others)
        gone = others < WORTH_MINDING <= self._told_others
        more = others >= WORTH_MINDING and abs(others - self._told_others) >= _CHANGE
        if not (gone or more) or now - self._told_others_at < _SELDOM_S:
            return
        self._told_others, self._told_others_at = others, now
        if gone:
            log.info("app %s: nobody else is seen to use its quota any more", self._app)
            return
        left = int(quota * min(HEADROOM, steering.share()))
        text = "app %s: others use %.0f %% of its minute quota, or it is set too high; %d of %d requests are this run's"
        log.warning(text, self._app, 100 * others, left, quota)

    def notes(self, steering: Steering) -> list[str]:
        """What a person should know of afterwards."""
        found = []
        if steering.learned:
            found.append(
                f"app {self._app}: no requests_per_minute is configured; the API's figures showed at least"
                f" {steering.learned:,} a minute, which is kept to"
            )
        if self._most_others >= _CHANGE:
            share = f"{100 * self._most_others:.0f} %"
            found.append(f"app {self._app}: others used up to {share} of its minute quota, or it is set too high")
        if Limit.MINUTE in self._refusals:
            number = self._refusals[Limit.MINUTE]
            times = "once" if number == 1 else f"{number:,} times"
            found.append(f"app {self._app}: the API refused requests for the minute quota {times} (code 11017)")
        return found

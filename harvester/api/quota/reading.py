"""Where an app's quota stands, for a person who asks while the run goes on. Pure."""

from dataclasses import dataclass
from typing import Self

from harvester.api.decisions import Decision, Wait
from harvester.api.quota.limits import MINUTE_S, Limits
from harvester.api.quota.own import Own
from harvester.api.quota.steering import Steering


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the meter of an app shows.

    Attributes:
        sent: Requests of this run.
        last_minute: Permits of the last 60 s, of this run.
        per_minute: The quota, configured or learned; `None` when none is known.
        spacing_s: Seconds between two permits at the quota; `None` when none is known.
        others: The share of it that others are seen to use, 0 to 1.
        wait: What the app waits for, if that is worth telling.
    """

    sent: int
    last_minute: int
    per_minute: int | None = None
    spacing_s: float | None = None
    others: float = 0.0
    wait: Wait | None = None

    @classmethod
    def of(cls, own: Own, steering: Steering, limits: Limits, decision: Decision, now: float) -> Self:
        """The reading at loop time `now`, when this is what the app's limits say of its next request."""
        spacing_s = Limits(per_second=limits.per_second, per_minute=steering.quota).spacing_s
        per_second = None if limits.per_second is None else int(limits.per_second * MINUTE_S)
        known = [one for one in (steering.quota, per_second) if one]
        return cls(
            sent=own.sent,
            last_minute=min(own.sent, own.sent_since(now - MINUTE_S)),
            per_minute=min(known) if known else None,
            spacing_s=spacing_s or None,
            others=steering.others,
            wait=decision if isinstance(decision, Wait) and decision.why else None,
        )

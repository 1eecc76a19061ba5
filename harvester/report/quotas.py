"""How much of its quota an app used: as a value, and in words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_APPS_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """One app's requests, against what it might have sent.

    Attributes:
        app: Its name.
        requests: Sent by the run.
        per_minute: Its quota, configured or learned; `None` when none is known.
        share: Of what the quota allowed while the run went on, 0 to 1; `None` when none is known.
        others: The share of the quota that others were seen to use at last.
    """

    app: str
    requests: int
    per_minute: int | None = None
    share: float | None = None
    others: float = 0.0


def in_words(quotas: Sequence[QuotaUse]) -> str:
    """What was used, the busiest apps first; empty when no quota is known."""
    known = sorted((one for one in quotas if one.share is not None), key=lambda one: -one.requests)
    named = [f"{one.app} {100 * (one.share or 0.0):.0f} % of {one.per_minute or 0:,} a minute" for one in known]
    more = [f"{len(named) - _APPS_NAMED} more apps"] if len(named) > _APPS_NAMED else []
    return ", ".join(named[:_APPS_NAMED] + more)


def to_json(quotas: Sequence[QuotaUse]) -> list[dict[str, Any]]:
    """As the report's file holds it."""
    return [
        {
            "app": one.app,
            "requests": one.requests,
            "per_minute": one.per_minute,
            "share": None if one.share is None else round(one.share, 4),
            "others": round(one.others, 4),
        }
        for one in quotas
    ]

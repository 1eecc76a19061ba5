"""An app's quota: what is configured, what was used, what the API says is left. Pure."""

from dataclasses import dataclass
from typing import Final

from harvester.errors import ExitCode
from harvester.health.values import Area, Check, failure, note, ok, warning

MINUTE_WARNS_PERCENT: Final = 20
DAY_WARNS_PERCENT: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaFacts:
    """What is known of an app's quota.

    Attributes:
        app: Its name.
        per_second: As configured; `None`: not; so the next two.
        per_minute: Requests a minute.
        per_day: Requests in 24 hours.
        learned: Requests a minute that the API's figures showed to earlier runs; `None` if unknown.
        used: Requests of the last 24 hours that the ledger knows of.
        day_left: Percent of the day's that the API says are left; `None` when it did not say.
        minute_left: The same of the minute's.
    """

    app: str
    per_second: int | None = None
    per_minute: int | None = None
    per_day: int | None = None
    learned: int | None = None
    used: int = 0
    day_left: int | None = None
    minute_left: int | None = None


def quota(facts: QuotaFacts) -> list[Check]:
    """What an app may still send."""
    app = f"app {facts.app}"
    return [_limits(app, facts), *_day(app, facts), *_left(app, facts)]


def _limits(app: str, facts: QuotaFacts) -> Check:
    bounds = [
        f"{bound:,} a {name}"
        for name, bound in (("second", facts.per_second), ("minute", facts.per_minute), ("day", facts.per_day))
        if bound is not None
    ]
    used = f"{facts.used:,} request{'' if facts.used == 1 else 's'} sent in the last 24 hours"
    if facts.per_minute is None:
        known = f", {facts.learned:,} a minute learned from the API's figures" if facts.learned else ""
        advice = f"write requests_per_minute = … into [apps.{facts.app}], as the developer's console shows it"
        told = ", ".join(bounds) or "no quota configured"
        return note(Area.QUOTA, f"{app}: {told}{known}; {used}", advice)
    return ok(Area.QUOTA, f"{app}: {', '.join(bounds)}; {used}")


def _day(app: str, facts: QuotaFacts) -> list[Check]:
    if facts.per_day is None:
        return []
    left = max(0, facts.per_day - facts.used)
    what = f"{app}: {left:,} of its {facts.per_day:,} requests a day are left"
    if not left:
        advice = "wait: they come back 24 hours after each was sent; or raise requests_per_day, if the console allows"
        return [failure(Area.QUOTA, what, advice, ExitCode.BUDGET)]
    if left * 100 < facts.per_day * DAY_WARNS_PERCENT:
        return [warning(Area.QUOTA, what, "a run now would end on it; `harvester plan CONFIG` says what it would take")]
    return []


def _left(app: str, facts: QuotaFacts) -> list[Check]:
    if facts.day_left is None or facts.minute_left is None:
        return []
    what = f"{app}: the API says that {facts.day_left} % of the day and {facts.minute_left} % of the minute are left"
    if facts.day_left == 0:
        advice = "wait for the next day in Beijing, and see in the console which program uses this app"
        return [failure(Area.QUOTA, what, advice, ExitCode.BUDGET)]
    if facts.day_left < DAY_WARNS_PERCENT or facts.minute_left < MINUTE_WARNS_PERCENT:
        return [warning(Area.QUOTA, what, "see in the console which other program uses this app: a run leaves it room")]
    return [ok(Area.QUOTA, what)]

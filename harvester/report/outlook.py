"""The forecast in words, for a person who decides whether tonight is enough. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import ceil, inf
from typing import Any, Final

from harvester.model import AppName
from harvester.report.blocks import plural
from harvester.report.forecast import Bounds, Forecast, Means

_APPS_SHOWN: Final = 8
_NOTHING: Final = "Nothing is due: every day of the window is complete."


def in_words(forecast: Forecast, bounds: Bounds, unknown: Sequence[str] = ()) -> str:
    """What a run would do.

    Args:
        forecast: The sums over its plans.
        bounds: What it may use.
        unknown: `[discover]` tables whose accounts nobody knows.
    """
    total = forecast.slices
    lines = [f"the accounts of {', '.join(unknown)} are not known yet: they are not in these sums"] if unknown else []
    if not total:
        nothing = "Of the accounts that are known nothing is due." if unknown else _NOTHING
        return "\n".join([*lines, nothing])
    accounts, requests = plural(len(forecast.accounts), "account"), plural(_requests(forecast), "request")
    lines += [
        f"{plural(total, 'slice')}: {accounts}, {plural(forecast.days, 'day')} of accounts",
        f"{_about(forecast)} {requests} expected{_range(forecast)}, {_time(forecast, bounds)}",
        f"  {_evidence(forecast)}",
    ]
    if forecast.resumed:
        lines.append(
            f"  {forecast.resumed:,} of the slices go on from a checkpoint: {forecast.saved:,} calls are read already"
        )
    for app in sorted(forecast.costs, key=lambda app: (-forecast.requests(app), app))[:_APPS_SHOWN]:
        lines += _of_app(forecast, app, bounds.of(app))
    if len(forecast.costs) > _APPS_SHOWN:
        lines.append(f"  … and {len(forecast.costs) - _APPS_SHOWN:,} more apps")
    lines += _reach(forecast, bounds)
    order = "the oldest and smallest debts first" if forecast.thrifty else "the latest days first"
    lines.append(f"In this order, {'after what was begun ' if forecast.resumed else ''}{order}:")
    lines += [f"  {one.account.id}  {one.window}" for one in forecast.first]
    if total > len(forecast.first):
        lines.append(f"  … and {total - len(forecast.first):,} more")
    return "\n".join(lines)


def to_json(forecast: Forecast, bounds: Bounds) -> dict[str, Any]:
    """The same as plain values: what `run --dry-run --summary FILE` writes."""
    least, most = forecast.range
    return {
        "dry_run": True,
        "slices": forecast.slices,
        "accounts": len(forecast.accounts),
        "days": forecast.days,
        "requests": round(forecast.total),
        "requests_range": None if forecast.blind_days else [least, most],
        "at_least": forecast.blind_days > 0,
        "calls": None if forecast.blind_days else round(forecast.calls),
        "slices_within_budget": forecast.reached(bounds),
        "apps": {
            app: {
                "slices": len(costs),
                "requests": round(forecast.requests(app)),
                "seconds": None if (spacing := bounds.of(app).spacing_s) is None else forecast.requests(app) * spacing,
            }
            for app, costs in forecast.costs.items()
        },
    }


def _about(forecast: Forecast) -> str:
    return "at least" if forecast.blind_days else "about"


def _range(forecast: Forecast) -> str:
    if forecast.blind_days:
        return ""
    least, most = forecast.range
    return f" ({least:,} to {most:,})" if least < most else ""


def _requests(forecast: Forecast) -> int:
    return round(forecast.total)


def _time(forecast: Forecast, bounds: Bounds) -> str:
    """How long the slowest app takes, since apps work side by side."""
    unknown = [app for app in forecast.costs if bounds.of(app).spacing_s is None]
    longest_s = max((forecast.requests(app) * (bounds.of(app).spacing_s or 0.0) for app in forecast.costs), default=0.0)
    if not unknown:
        least = "at least " if forecast.blind_days else ""
        return f"{least}{_duration(longest_s)} at the quota"
    if len(unknown) == len(forecast.costs):
        return "the time is not known: no quota is configured, and none was learned"
    return f"at least {_duration(longest_s)}: of {plural(len(unknown), 'app')} no quota is known"


def _evidence(forecast: Forecast) -> str:
    """How sure it is."""
    known, strangers = forecast.known_days, len(forecast.strangers)
    accounts = "1 account" if strangers == 1 else f"{strangers:,} accounts"
    if known == forecast.days:
        return "every day's calls are known from when it was read before"
    read = f"{known:,} of {forecast.days:,} days were read before" if known else "no day was read before"
    if forecast.blind_days:
        return f"{read}; nothing is known of {accounts}, so that is a request for each slice"
    guessed = []
    if forecast.own_days:
        guessed.append(f"{forecast.own_days:,} by their account's mean")
    if forecast.fleet_days:
        guessed.append(f"{forecast.fleet_days:,} of {accounts} never read by the mean of all accounts")
    return f"{read}; the others are estimated, {' and '.join(guessed)}"


def _of_app(forecast: Forecast, app: AppName, means: Means) -> Iterator[str]:
    requests = round(forecast.requests(app))
    if means.spacing_s is None:
        time = "no quota is configured, and none was learned"
    else:
        whose = "the API's own figures" if means.learned else "the quota"
        time = f"{_duration(forecast.requests(app) * means.spacing_s)} at {whose}"
    yield f"  app {app}: {plural(len(forecast.costs[app]), 'slice')}, {plural(requests, 'request')}, {time}"
    if means.per_day is not None and requests > means.left_today:
        nights = 1 + ceil((requests - means.left_today) / means.per_day)
        used = f", {means.used:,} of today's are used" if means.used else ""
        yield f"      needs {requests:,} requests, {means.per_day:,} a day{used}: {nights:,} nights"


def _reach(forecast: Forecast, bounds: Bounds) -> Iterator[str]:
    """How far the run gets before something ends it."""
    budget = []
    if bounds.max_requests is not None:
        budget.append(f"--max-requests {bounds.max_requests:,}")
    if bounds.max_duration_s is not None:
        budget.append(f"--max-duration {_duration(bounds.max_duration_s)}")
    day = any(forecast.requests(app) > bounds.of(app).left_today for app in forecast.costs)
    reached = forecast.reached(bounds)
    if reached < forecast.slices:
        ends = " or ".join(budget + ["requests_per_day"] * day)
        yield f"about {reached:,} of {forecast.slices:,} slices before {ends} ends it; the next run goes on from there"
    elif budget and not forecast.blind_days:
        yield f"{' and '.join(budget)} should be enough"
    elif budget:
        yield f"whether {' and '.join(budget)} will be enough is not known"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=ceil(seconds))) if seconds < inf else "for ever"

"""Where a run stands, in words: on one line, for logs, and on a few, for somebody who asks. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from harvester.report.blocks import plural
from harvester.standing import AppStanding, Stage, Standing, Wait

_APPS_NAMED: Final = 3
_WAITS_NAMED: Final = 3
_ROUND_S: Final = ((7200, 600), (600, 60), (120, 30), (0, 10))
"""From so many seconds on, so coarse: what is left is not known to the second."""


def in_words(standing: Standing) -> str:
    """One line: what is done of what is expected, the quota, what waits, what failed, what is left."""
    return "; ".join(_parts(standing))


def asked_in_words(standing: Standing) -> list[str]:
    """The same on a few lines, for somebody who asks."""
    first = (
        f"{plural(standing.accounts, 'account')}, {standing.start}..{standing.end}, for {clock(standing.elapsed_s)} now"
    )
    causes = [f"{one.status} ({one.slices:,}): {one.reason}" for one in standing.causes]
    return [f"run {standing.run_id}: {first}", *_parts(standing), *causes]


def _parts(standing: Standing) -> Iterator[str]:
    if standing.stage is not Stage.READING:
        yield str(standing.stage)
    yield f"{slices(standing)}, {calls(standing)}, {requests(standing)}"
    if quotas := [f"{one.app} {quota(one)}" for one in _busiest(standing.apps)]:
        yield ", ".join(quotas)
    for one in standing.waits[:_WAITS_NAMED]:
        yield f"waiting: {wait(one)}"
    if len(standing.waits) > _WAITS_NAMED:
        yield f"{len(standing.waits) - _WAITS_NAMED:,} more are waiting"
    yield from standing.slowed
    if standing.failed:
        yield f"{plural(standing.failed, 'slice')} not complete"
    yield left(standing)


def _busiest(apps: Sequence[AppStanding]) -> list[AppStanding]:
    return sorted(apps, key=lambda one: -one.last_minute)[:_APPS_NAMED]


def of(number: int, expected: int | None, what: str, *, at_least: bool = False) -> str:
    """`312 of about 530 calls`; just `312 calls` while nothing is expected."""
    if expected is None:
        return plural(number, what)
    return f"{number:,} of {'at least ' if at_least else 'about '}{plural(expected, what)}"


def slices(standing: Standing) -> str:
    """Those that have ended."""
    if standing.slices_expected is None:
        return plural(standing.slices_done, "slice")
    return f"{standing.slices_done:,} of {plural(standing.slices_expected, 'slice')}"


def calls(standing: Standing) -> str:
    """Those that have landed."""
    return of(standing.calls, None if standing.at_least else standing.calls_expected, "call")


def requests(standing: Standing) -> str:
    """Those that were sent."""
    return of(standing.requests, standing.requests_expected, "request", at_least=standing.at_least)


def quota(one: AppStanding) -> str:
    """The last minute of an app, against its quota."""
    if one.per_minute is None:
        return f"{one.last_minute:,} in the last minute, no quota known"
    return f"{min(one.last_minute, one.per_minute):,} of {one.per_minute:,} a minute"


def wait(one: Wait, now: datetime | None = None) -> str:
    """What is waited for, and until when; with `now`, also how long that is."""
    if one.until is None:
        return one.why
    rest = f" (in {_short(max(0.0, (one.until - now).total_seconds()))})" if now else ""
    return f"{one.why}, until {one.until:%H:%M:%S}{rest}"


def _short(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else coarse(seconds)


def left(standing: Standing) -> str:
    """How long it takes to the end, as far as that is known."""
    if standing.stage is Stage.ENDING:
        return "nearly done"
    if standing.left_s is None:
        return "left: unknown"
    if standing.left_s < 5:
        return "left: unknown" if standing.at_least else "a few seconds left"
    return f"{'at least' if standing.at_least else 'about'} {coarse(standing.left_s)} left"


def coarse(seconds: float) -> str:
    """A time for a person, no finer than it is known: `40 s`, `12 min`, `3 h 20 min`."""
    step = next(step for least, step in _ROUND_S if seconds >= least)
    whole = max(step, ceil(seconds / step) * step)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        parts = [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest and minutes < 2)
    else:
        parts = [f"{minutes // 60} h"] + [f"{minutes % 60} min"] * bool(minutes % 60)
    return " ".join(parts)


def clock(seconds: float) -> str:
    """A time to the second: `0:03:12`."""
    return str(timedelta(seconds=int(seconds)))

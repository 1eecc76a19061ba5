"""Pictures of what was sent: by minute against the quota, by run; and how late calls came."""

from typing import Any, Final

from harvester.page.plots.bars import scale, upright
from harvester.page.plots.canvas import COLOURS, Picture, figure, picture, place
from harvester.page.selecting import Sending, binned, clock, paused_s, sendings
from harvester.page.values import Findings, Traffic
from harvester.page.words import lasting, many, moment

_APPS: Final = 6
_PANEL_IN: Final = 1.9
_TICKS: Final = 10
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720)
_BEIJING_MINUTES: Final = 480
_AGES: Final = 31


def requests(found: Findings) -> Picture:
    """Requests a minute in the last time of sending, app by app, against the quota, with pauses."""
    sending = sendings(found)[-1]
    apps = sorted((one for one in found.traffic if one.app in sending.by_app), key=lambda one: -_sum(sending, one))
    apps = apps[:_APPS]
    with figure(0.3 + _PANEL_IN * len(apps), rows=len(apps)) as (fig, panels):
        place(fig, left_in=0.65, right_in=0.3, top_in=0.3, bottom_in=0.55)
        fig.subplots_adjust(hspace=0.6)
        for axes, one in zip(panels, apps, strict=True):
            _panel(axes, found, sending, one)
        panels[-1].set_xlabel(f"Beijing time, from {moment(sending.first * 60)} on")
        return picture(fig, "requests", "Requests a minute against the quota", _alt(found, sending, apps))


def _panel(axes: Any, found: Findings, sending: Sending, one: Traffic) -> None:
    size, means = binned(sending, sending.by_app[one.app])
    edges = [*(min(place * size, sending.last + 1 - sending.first) for place in range(len(means) + 1))]
    axes.stairs(means, edges, fill=True, color=COLOURS["accent"], label="sent")
    for pause in sending.pauses(found.pauses):
        if pause.app in {None, one.app}:
            begins, ends = (moment_s / 60 - sending.first for moment_s in (pause.since, pause.until))
            axes.axvspan(begins, min(ends, edges[-1]), color=COLOURS["short"], alpha=0.35, linewidth=0)
    most = max(means)
    if one.per_minute:
        axes.axhline(one.per_minute, color=COLOURS["warn"], linewidth=1.2, linestyle=(0, (5, 3)))
        most = max(most, one.per_minute)
    axes.set_xlim(0, max(edges[-1], 1))
    axes.set_ylim(0, most * 1.15)
    quota = f"quota {one.per_minute:,} a minute" if one.per_minute else "no quota known"
    axes.set_title(f"{one.app}: {quota}{' (learned)' if one.learned else ''}", loc="left", fontsize=9)
    scale(axes)
    step = next((step for step in _STEPS if (edges[-1] + step) // step <= _TICKS), 1440)
    first = -(-(sending.first + _BEIJING_MINUTES) // step) * step - _BEIJING_MINUTES
    ticks = list(range(first, sending.last + 2, step))
    axes.set_xticks([minute - sending.first for minute in ticks], [clock(minute) for minute in ticks])


def _sum(sending: Sending, one: Traffic) -> int:
    return sum(sending.by_app[one.app].values())


def _alt(found: Findings, sending: Sending, apps: list[Traffic]) -> str:
    told = []
    for one in apps:
        peak, paused = max(sending.by_app[one.app].values()), paused_s(sending.pauses(found.pauses), one.app)
        quota = f" of a quota of {one.per_minute:,}" if one.per_minute else ""
        pauses = f", paused for {lasting(paused)}" if paused else ", no pause"
        told.append(f"app {one.app}: {_sum(sending, one):,} requests, at most {peak:,}{quota} in a minute{pauses}")
    return f"From {moment(sending.first * 60)} to {clock(sending.last + 1)}: {'; '.join(told)}."


def runs(found: Findings) -> Picture:
    """Requests of the latest runs; a run that was not complete is in the colour of a warning."""
    ones = found.runs.runs
    columns = [(f"{one.started:%m-%d}", float(one.requests), f"{one.requests:,}") for one in ones]
    colours = ["accent" if one.complete else "short" for one in ones]
    complete = sum(one.complete for one in ones)
    alt = f"{many(len(ones), 'run')}, {complete} complete; the last one sent {ones[-1].requests:,} requests."
    words = ("runs", "Requests by run", alt)
    return upright(columns, words, below="start of the run; not complete in the second colour", colours=colours)


def late(found: Findings) -> Picture:
    """Calls that came late, by how many days later they were found."""
    ones = [one for one in found.arrivals if one.age <= _AGES]
    columns = [(f"{one.age}", float(one.new), f"{one.new:,}") for one in ones]
    total = sum(one.new for one in found.arrivals)
    alt = f"{total:,} calls were found when days were read again, on {found.nights:,} nights."
    return upright(columns, ("late", "Calls found later, by days since", alt), below="days later")

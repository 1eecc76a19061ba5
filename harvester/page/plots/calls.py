"""Pictures of calls: when they were, how they ended, how long they took."""

from matplotlib.patches import PathPatch
from matplotlib.path import Path

from harvester.page.counting import CONNECTED, Counts
from harvester.page.plots.bars import across, upright
from harvester.page.plots.canvas import COLOURS, LEVELS, Picture, figure, picture, place
from harvester.page.selecting import duration_counts
from harvester.page.words import WEEKDAYS, duration_bins, end_status, percent


def hours(counts: Counts) -> Picture:
    """Weekdays by hours: the more calls, the stronger the colour."""
    by_day = counts.weekly()
    most = max(map(max, by_day))
    busiest = next((day, hour) for day in range(7) for hour in range(24) if by_day[day][hour] == most)
    with figure(2.5) as (fig, (axes,)):
        place(fig, left_in=0.75, top_in=0.05, bottom_in=0.55)
        shapes: dict[int, list[Path]] = {}
        for day, of_day in enumerate(by_day):
            for hour, number in enumerate(of_day):
                corners = [(hour + 0.04, day + 0.04), (hour + 0.96, day + 0.04), (hour + 0.96, day + 0.96),
                           (hour + 0.04, day + 0.96), (hour + 0.04, day + 0.04)]  # fmt: skip
                strength = -(-number * (LEVELS - 1) // most)
                shapes.setdefault(strength, []).append(Path(corners, closed=True))
        for strength, paths in sorted(shapes.items()):
            shape = Path.make_compound_path(*paths)
            axes.add_patch(PathPatch(shape, facecolor=COLOURS[f"level-{strength}"], linewidth=0))
        axes.set_xlim(0, 24)
        axes.set_ylim(7, 0)
        axes.set_yticks([day + 0.5 for day in range(7)], [f"{english} {chinese}" for english, chinese in WEEKDAYS])
        axes.set_xticks([hour + 0.5 for hour in range(24)], [f"{hour:02d}" for hour in range(24)])
        axes.set_xlabel("hour of the call's start, Beijing")
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        day, hour = busiest
        alt = f"The busiest hour is {WEEKDAYS[day][0]} {hour:02d}:00 with {most:,} of {counts.calls:,} calls. "
        alt += f"The palest cells are empty; from there each step of colour is {most / (LEVELS - 1):,.0f} calls more."
        return picture(fig, "hours", "Calls by weekday and hour", alt)


def ends(counts: Counts) -> Picture:
    """How calls ended, the most common first."""
    rows = []
    for code, number in counts.statuses.most_common():
        english, chinese = end_status(code)
        name = f"{'-' if code is None else code} {chinese} {english}"
        rows.append((name, float(number), f"{number:,} ({percent(number, counts.calls)})"))
    share = percent(counts.connected, counts.calls)
    alt = f"{share} of {counts.calls:,} calls were connected (end_status {CONNECTED})."
    return across(rows, ("ends", "How calls ended", alt))


def connected(counts: Counts) -> Picture:
    """The share of connected calls, by day."""
    ordered = sorted(counts.days.items())
    shares = [100 * of_day.connected / of_day.calls for _, of_day in ordered]
    columns = [(f"{day:%m-%d}", share, f"{share:.0f} %") for (day, _), share in zip(ordered, shares, strict=True)]
    low, high = min(columns, key=lambda one: one[1]), max(columns, key=lambda one: one[1])
    alt = f"Between {low[1]:.1f} % on {low[0]} and {high[1]:.1f} % on {high[0]}."
    return upright(columns, ("connected", "Share of connected calls by day, in percent", alt), below="day")


def durations(counts: Counts) -> Picture:
    """Connected calls by how long they took."""
    found = duration_counts(counts)
    columns = [(name, float(number), f"{number:,}") for name, number in zip(duration_bins(), found, strict=True)]
    middle, most, longest = counts.percentiles((0.5, 0.9, 1.0))
    alt = f"Half of the connected calls took {middle} s or less, nine in ten {most} s or less, the longest {longest} s."
    return upright(columns, ("durations", "Durations of connected calls", alt), below="duration")

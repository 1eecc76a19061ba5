"""The comparison as a picture: `python -m tests.benchmarks.speed.plot RESULTS.json PLOT.svg`.

The same figures give the same bytes.
"""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.speed.measure import Outcome, loaded
from tests.benchmarks.speed.report import Figures, figures

COLOURS: Final = {"floor": "#b8bfc8", "harvester": "#0b6e4f"}
PEER: Final = "#6b8cae"
INK: Final = "#24292f"
FAINT: Final = "#d8dee4"
STYLE: Final = {
    "svg.hashsalt": "harvester",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
}


def lacking() -> str | None:
    """What to do before a plot can be drawn; None: nothing."""
    if importlib.util.find_spec("matplotlib"):
        return None
    return "a plot needs matplotlib: pip install -e '.[bench]'"


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Writes an SVG: a panel a page size, a bar a contender, calls a second on a logarithmic scale."""
    import matplotlib as mpl  # noqa: PLC0415 - optional, and slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415 - likewise

    good = [one for one in figures(outcomes) if not one.trouble]
    page_sizes = sorted({one.page_size for one in good})
    titles = list(dict.fromkeys(one.title for one in good))[::-1]  # by the first page size, the fastest on top
    with mpl.rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure = Figure(figsize=(9.2, 0.42 * len(titles) + 1.1), layout=layout, facecolor="white")
        panels = figure.subplots(1, len(page_sizes), sharex=True, sharey=True, squeeze=False)[0]
        for panel, page_size in zip(panels, page_sizes, strict=True):
            _panel(panel, [one for one in good if one.page_size == page_size], titles)
            panel.set_title(f"{page_size:,} calls a page", loc="left", fontsize=10, fontweight="bold")
        low, high = min(one.slowest for one in good), max(one.fastest for one in good)
        panels[0].set_xlim(10 ** _floor_of(low), high * 3)
        figure.supxlabel("calls a second, logarithmic; the line spans the rounds", fontsize=9)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _floor_of(low: float) -> int:
    """The exponent of the power of ten below a speed, half a power at least."""
    return len(str(int(low / 2))) - 1


def _panel(panel: Any, some: Sequence[Figures], titles: Sequence[str]) -> None:
    places = [titles.index(one.title) for one in some]
    panel.barh(places, [one.speed for one in some], height=0.62, color=[COLOURS.get(one.name, PEER) for one in some])
    for colour, width in (("white", 2.4), (INK, 1.0)):
        panel.hlines(places, [one.slowest for one in some], [one.fastest for one in some], color=colour, lw=width)
    for place, one in zip(places, some, strict=True):
        bold = "bold" if one.name == "harvester" else "normal"
        panel.text(one.fastest * 1.12, place, _short(one.speed), va="center", fontsize=9, fontweight=bold)
    panel.set_xscale("log")
    panel.set_yticks(range(len(titles)), titles)
    panel.xaxis.set_major_formatter(lambda value, _: _short(value))
    panel.minorticks_off()
    panel.grid(axis="x", color=FAINT, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(length=0)
    panel.spines[["top", "right", "bottom"]].set_visible(False)


def _short(speed: float) -> str:
    """Two digits that count, or all before the thousands: 5.4 k, 37 k, 294 k, 1.2 M."""
    for unit, name in ((1e6, " M"), (1e3, " k"), (1.0, "")):
        if speed >= unit:
            return f"{speed / unit:.1f}".removesuffix(".0") + name if speed < 10 * unit else f"{speed / unit:.0f}{name}"
    return f"{speed:.1f}"


def main() -> None:
    """The command line."""
    if why := lacking():
        sys.exit(why)
    results, path = (Path(argument) for argument in sys.argv[1:])
    plot(loaded(results), path)


if __name__ == "__main__":
    main()

"""Bars, which most pictures are made of: across with their names, or upright, each with its number."""

from collections.abc import Sequence
from typing import Any, Final

from harvester.page.plots.canvas import COLOURS, FONT_PT, Picture, figure, picture, place, width_in

_ROW_IN: Final = 0.24
_HEIGHT_IN: Final = 2.4
_WIDE: Final = 10
"""Names of more columns are written smaller."""


def across(rows: Sequence[tuple[str, float, str]], words: tuple[str, str, str], *, colour: str = "accent") -> Picture:
    """Bars across, the first on top.

    Args:
        rows: Name, value, and what is written at the end of the bar.
        words: The picture's name, its title, and what is to be seen.
        colour: Of the bars.
    """
    with figure(0.35 + _ROW_IN * len(rows)) as (fig, (axes,)):
        widest = max(width_in(name) for name, _, _ in rows)
        place(fig, left_in=0.2 + widest, top_in=0.1, bottom_in=0.1)
        axes.barh(range(len(rows)), [value for _, value, _ in rows], color=COLOURS[colour], height=0.72)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        most = max(value for _, value, _ in rows) or 1.0
        axes.set_xlim(0, most * 1.25)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0, labelcolor=COLOURS["ink"])
        for row, (_, value, told) in enumerate(rows):
            axes.annotate(told, (value, row), xytext=(4, 0), textcoords="offset points", va="center_baseline")
        return picture(fig, *words)


def upright(
    columns: Sequence[tuple[str, float, str]],
    words: tuple[str, str, str],
    *,
    below: str,
    colours: Sequence[str] = (),
    ticks: int = 16,
) -> Picture:
    """Upright bars, the first on the left.

    Args:
        columns: Name, value, and what is written above the bar; nothing above any if there are more than `ticks`.
        words: As of `across`.
        below: What the columns are.
        colours: Of each bar; the usual one by default.
        ticks: As many names are written at most.
    """
    with figure(_HEIGHT_IN) as (fig, (axes,)):
        place(fig, left_in=0.65, top_in=0.25, bottom_in=0.55)
        painted = [COLOURS[colour] for colour in colours] or COLOURS["accent"]
        axes.bar(range(len(columns)), [value for _, value, _ in columns], color=painted, width=0.78)
        axes.set_xlim(-0.6, max(len(columns), 8) - 0.4)
        most = max(value for _, value, _ in columns) or 1.0
        axes.set_ylim(0, most * 1.12)
        step = -(-len(columns) // ticks)
        axes.set_xticks(range(0, len(columns), step), [name for name, _, _ in columns[::step]])
        axes.tick_params(axis="x", labelsize=FONT_PT if len(columns[::step]) <= _WIDE else FONT_PT - 1)
        axes.set_xlabel(below)
        scale(axes)
        if step == 1:
            for column, (_, value, told) in enumerate(columns):
                axes.annotate(told, (column, value), xytext=(0, 3), textcoords="offset points", ha="center")
        return picture(fig, *words)


def scale(axes: Any) -> None:
    """A scale with few lines, in whole thousands with commas."""
    axes.yaxis.get_major_locator().set_params(nbins=5, integer=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)

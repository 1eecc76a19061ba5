"""Pictures of completeness: accounts by days, one by one or in bands."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from harvester.page.plots.canvas import COLOURS, LABEL_UNITS, Picture, cut, figure, picture, place, width_in
from harvester.page.selecting import bands_of, marks_by_day, shown_accounts
from harvester.page.values import AccountDays, Findings, Mark
from harvester.page.words import MARKS, percent

_ROW_IN: Final = 0.19
_GAP: Final = 0.08
"""Of a row, left free above and below."""
_LACKING: Final = ("complete", "lack-1", "lack-2", "lack-3", "lack-4")
_TICKS: Final = 12
_TICKS_LONG: Final = 8
_LONG: Final = 300
"""Days, from which on their names have a year."""
_MANY: Final = 100
"""Days, from which on there are no lines between them."""
_COLOUR_OF: Final = MappingProxyType({mark: COLOURS[mark.name.lower()] for mark in Mark})
Cells = Sequence[Sequence[int]]


def days(found: Findings) -> Picture:
    """Accounts by days, each in the colour of how it stands."""
    accounts = shown_accounts(found)
    labels = [label(one) for one in accounts]
    with _grid(labels, found.days) as (fig, axes):
        _paint(axes, [one.marks for one in accounts], lambda mark: _COLOUR_OF[Mark(mark)])
        there = [mark for mark in MARKS if any(mark in one.marks for one in accounts)]
        _legend(axes, [(_COLOUR_OF[mark], MARKS[mark].split(":")[0]) for mark in there])
        whose = (
            f"Of {len(found.accounts):,} accounts those {len(accounts)} that lack most. "
            if len(accounts) < len(found.accounts)
            else ""
        )
        return picture(fig, "days", "Completeness by account and day", whose + _alt(found))


def bands(found: Findings) -> Picture:
    """All accounts, those that lack most on top, in bands: the share that lacks a day."""
    rows = bands_of(found)
    labels = [f"{one.first:,} to {one.first + one.accounts - 1:,}" for one in rows]
    levels = [[level(lack, one.accounts) for lack in one.lacking] for one in rows]
    with _grid(labels, found.days) as (fig, axes):
        _paint(axes, levels, lambda one: COLOURS[_LACKING[one]])
        names = ("all complete", "under 20 % lack the day", "20 to 60 %", "60 to under 100 %", "none complete")
        _legend(axes, [(COLOURS[colour], name) for colour, name in zip(_LACKING, names, strict=True)])
        order = "those that lack most on top, those that lack nothing at the bottom"
        alt = f"{len(found.accounts):,} accounts in {len(rows)} bands, {order}. {_alt(found)}"
        return picture(fig, "bands", "Share of accounts that lack a day", alt)


def level(part: int, whole: int) -> int:
    """0 for none, 1 for less than a fifth, 2 for less than three fifths, 3 for less than all, 4 for all."""
    if part in {0, whole}:
        return 4 if part else 0
    return 1 + (part * 5 >= whole) + (part * 5 >= whole * 3)


def label(one: AccountDays) -> str:
    """An account beside a picture."""
    return cut(f"{one.account_id} {one.name}" if one.name else str(one.account_id), LABEL_UNITS)


def _alt(found: Findings) -> str:
    sums = {mark: sum(by_mark[mark] for _, by_mark in marks_by_day(found)) for mark in MARKS if mark != Mark.BEFORE}
    told = [f"{number:,} {MARKS[mark].split(':')[0]}" for mark, number in sums.items() if number]
    share = percent(sums[Mark.COMPLETE], sum(sums.values()))
    when = f"from {found.window.start} to {found.window.end}"
    return f"{share} of all days of accounts are complete {when}: {', '.join(told)}."


@contextmanager
def _grid(labels: Sequence[str], days: Sequence[date]) -> Iterator[tuple[Any, Any]]:
    """A figure of a row for each label and a column for each day, the first row on top."""
    height = 0.75 + _ROW_IN * len(labels)
    with figure(height) as (fig, (axes,)):
        widest = max((width_in(text) for text in labels), default=0.0)
        place(fig, left_in=0.2 + widest, right_in=0.35, top_in=0.35, bottom_in=0.4)
        axes.set_xlim(0, len(days))
        axes.set_ylim(len(labels), 0)
        axes.set_yticks([row + 0.5 for row in range(len(labels))], labels)
        is_long = len(days) > _LONG
        step = -(-len(days) // (_TICKS_LONG if is_long else _TICKS))
        shown = range((len(days) - 1) % step, len(days), step)
        axes.set_xticks(
            [day + 0.5 for day in shown], [f"{days[day]:{'%Y-%m-%d' if is_long else '%m-%d'}}" for day in shown]
        )
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        yield fig, axes


def _paint(axes: Any, rows: Cells, colour: Callable[[int], str]) -> None:
    """Cells, each in the colour of its value: neighbours of one value are one shape, and one value is one path."""
    shapes: defaultdict[int, list[list[tuple[float, float]]]] = defaultdict(list)
    for row, cells in enumerate(rows):
        top, bottom, begin = row + _GAP, row + 1 - _GAP, 0
        for value, run in groupby(cells):
            end = begin + len(list(run))
            shapes[value].append([(begin, top), (end, top), (end, bottom), (begin, bottom), (begin, top)])
            begin = end
    for value, polygons in sorted(shapes.items()):
        path = Path.make_compound_path(*(Path(polygon, closed=True) for polygon in polygons))
        axes.add_patch(PathPatch(path, facecolor=colour(value), linewidth=0))
    columns = len(rows[0]) if rows else 0
    if columns < _MANY:
        axes.vlines(range(1, columns), 0, len(rows), colors=COLOURS["ground"], linewidth=0.8)


def _legend(axes: Any, entries: Sequence[tuple[str, str]]) -> None:
    """Above the grid, in one line."""
    handles = [Patch(facecolor=colour, linewidth=0, label=name) for colour, name in entries]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), borderaxespad=0.2,
                handlelength=1.0, columnspacing=1.2, handletextpad=0.5)  # fmt: skip

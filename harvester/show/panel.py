"""The live display as something that rich can draw: a few lines, for any width. No cell of it is ever wrapped."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from harvester.report import position
from harvester.report.blocks import plural
from harvester.standing import AppStanding, Stage, Standing

_WIDEST: Final = 100
_BAR_FROM: Final = 50
"""Columns below which bars are left out."""
_BAR_LEAST, _BAR_MOST = 8, 40
_APPS_SHOWN: Final = 5
_WAITS_SHOWN: Final = 3
_CAUSES_SHOWN: Final = 3


class Panel:
    """A standing, drawn.

    Args:
        standing: What to draw.
        now: The moment; what is waited for is told by how long that is from now.
    """

    def __init__(self, standing: Standing, now: datetime) -> None:
        self._standing = standing
        self._now = now

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(20, min(_WIDEST, options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lines of at most one column less than there are: so a terminal that is made narrower wraps few of them."""
        columns = max(10, min(_WIDEST, options.max_width - 1))
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(no_wrap=True, style="bold")
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        grid.width = columns
        for name, value in self._lines(columns):
            grid.add_row(Text(name), value)
        lines = console.render_lines(grid, options.update(width=columns, height=None), pad=False)
        for number, line in enumerate(lines):
            if number:
                yield Segment.line()
            yield from _without_blanks(line)

    def _lines(self, columns: int) -> Iterator[tuple[str, Text | Table]]:
        one = self._standing
        yield (
            "run",
            Text(f"{one.start}..{one.end} · {plural(one.accounts, 'account')} · {position.clock(one.elapsed_s)}"),
        )
        if one.stage is not Stage.READING:
            yield "stage", Text(str(one.stage))
        yield "slices", _bar(one.slices_done, one.slices_expected, position.slices(one), columns)
        known_calls = None if one.at_least else one.calls_expected
        yield "calls", _bar(one.calls, known_calls, position.calls(one), columns)
        for app in sorted(one.apps, key=lambda app: -app.last_minute)[:_APPS_SHOWN]:
            yield _short(app.app), self._quota(app, columns)
        if len(one.apps) > _APPS_SHOWN:
            yield "", Text(plural(len(one.apps) - _APPS_SHOWN, "more app"), style="dim")
        for wait in one.waits[:_WAITS_SHOWN]:
            yield "waiting", Text(position.wait(wait, self._now), style="yellow")
        if len(one.waits) > _WAITS_SHOWN:
            yield "", Text(f"{len(one.waits) - _WAITS_SHOWN:,} more are waiting", style="yellow")
        for why in one.slowed:
            yield "slower", Text(why, style="yellow")
        for cause in one.causes[:_CAUSES_SHOWN]:
            yield cause.status, Text(f"{plural(cause.slices, 'slice')}: {cause.reason}", style="red")
        if one.failed and len(one.causes) > _CAUSES_SHOWN:
            yield "", Text(f"{plural(one.failed, 'slice')} not complete, all causes together", style="red")
        yield "time", Text(f"{position.left(one)} · {position.requests(one)}")

    @staticmethod
    def _quota(app: AppStanding, columns: int) -> Text | Table:
        """The last minute against the quota."""
        if app.per_minute is None:
            return Text(position.quota(app))
        return _bar(app.last_minute, app.per_minute, position.quota(app), columns, style="cyan")


def _without_blanks(line: list[Segment]) -> Iterator[Segment]:
    """A line without blanks at its end: a terminal that is made narrower would wrap them, too."""
    kept = list(line)
    while kept and not kept[-1].text.strip():
        kept.pop()
    yield from kept[:-1]
    if kept:
        yield Segment(kept[-1].text.rstrip(), kept[-1].style)


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"


def _bar(done: int, expected: int | None, words: str, columns: int, style: str = "green") -> Text | Table:
    """A bar and its words; just these where there is no room, or nothing to measure by."""
    room = columns - 14 - len("99,999 of about 9,999,999 calls") - 1
    if expected is None or columns < _BAR_FROM or room < _BAR_LEAST:
        return Text(words, overflow="ellipsis", no_wrap=True)
    wide = min(_BAR_MOST, room)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=wide, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(
        total=max(1, expected), completed=min(done, expected), width=wide, complete_style=style, finished_style=style
    )
    grid.add_row(bar, Text(words))
    return grid

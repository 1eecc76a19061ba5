"""The live display: one thread owns the terminal, so that a terminal that stalls stalls no run.

Log lines are printed above what is drawn, never into it.
"""

import threading
import time
from collections import deque
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.control import Control
from rich.live import Live as RichLive
from rich.segment import ControlType
from rich.text import Text

from harvester.events import Event, Progressed
from harvester.report.position import asked_in_words
from harvester.secret import masked
from harvester.show.panel import Panel
from harvester.standing import Standing

_REDRAW_S: Final = 0.5
_LEAST_S: Final = 0.05
_PATIENCE_S: Final = 2.0
"""A terminal that takes nothing any more is not waited for any longer when the run has ended."""


class Live:
    """Draws where a run stands, until it is left. A context manager.

    Args:
        console: Where to; stderr by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=False)
        self._live = RichLive(
            console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop", redirect_stdout=False
        )
        self._lines: deque[str] = deque()
        self._standing: Standing | None = None
        self._over = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live display", daemon=True)
        self._drawn: list[int] = []
        """Cells of each line as it was drawn last, when the terminal had so many columns: …"""
        self._columns = self._console.width

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True
        self._wake.set()
        self._thread.join(_PATIENCE_S)

    def tell(self, event: Event) -> None:
        """Takes an event in; what is drawn follows within half a second."""
        if isinstance(event, Progressed):
            self._standing = event.standing
            if event.asked:
                self._lines.extend(asked_in_words(event.standing))
                self._wake.set()

    def log(self, line: str) -> None:
        """Takes a line that is to be printed above."""
        self._lines.append(line)
        self._wake.set()

    def _run(self) -> None:
        with self._live:
            while not self._over:
                self._draw()
                self._wake.wait(_REDRAW_S)
                self._wake.clear()
                if not self._over:
                    time.sleep(_LEAST_S)  # many lines at once are one drawing
            self._mend()
            self._print_lines()

    def _draw(self) -> None:
        self._mend()
        self._print_lines()
        if self._standing:
            panel = Panel(self._standing, datetime.now().astimezone())
            options = self._console.options
            lines = self._console.render_lines(panel, options, pad=False)
            self._drawn = [sum(one.cell_length for one in line) for line in lines]
            self._columns = self._console.width
            self._live.update(panel, refresh=True)

    def _print_lines(self) -> None:
        while self._lines:
            text = Text(masked(self._lines.popleft()))
            self._console.print(text, soft_wrap=True)

    def _mend(self) -> None:
        """A terminal that became narrower has wrapped what was drawn: takes away rows that rich does not know of."""
        columns = max(1, self._console.width)
        if columns < self._columns:
            further = sum((cells - 1) // columns for cells in self._drawn if cells)
            up = [(ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)] * further
            self._console.control(Control(*up))
            self._columns, self._drawn = columns, []

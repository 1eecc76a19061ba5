"""A terminal, as far as the live display needs one: rows that wrap, a cursor, and reflow as tmux has it.

Each character takes one cell; nothing scrolls away.
"""

import io
import re
from typing import Final

from rich.console import Console

_PIECES: Final = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    """Rows, and whether each goes on in the next one.

    Args:
        columns: How wide it is.
        height: How many rows it says that it has.
    """

    def __init__(self, columns: int, height: int) -> None:
        super().__init__()
        self._columns, self._height = columns, height
        self._rows: list[str] = [""]
        self._goes_on: list[bool] = [False]
        self._row = self._column = 0
        self._console = Console(
            file=self, force_terminal=True, width=columns, height=height, color_system=None, highlight=False
        )

    def isatty(self) -> bool:
        """Whether it is one."""
        return True

    def console(self) -> Console:
        """What draws on it."""
        return self._console

    def resize(self, columns: int) -> None:
        """Lays lines that were wrapped, or now have to be, anew; the cursor stays behind what was before it."""
        before = self._lines([*self._rows[: self._row], self._rows[self._row][: self._column]])
        lines = self._lines(self._rows)
        self._columns = columns
        self._rows, self._goes_on = [], []
        for number, line in enumerate(lines):
            if number + 1 == len(before):
                place = len(before[-1])
                full, rest = divmod(place, columns)
                at_end = place and not rest
                self._row, self._column = len(self._rows) + full - bool(at_end), columns if at_end else rest
            self._lay(line)
        self._console.width = columns

    def _lay(self, line: str) -> None:
        while len(line) > self._columns:
            self._rows.append(line[: self._columns])
            self._goes_on.append(True)
            line = line[self._columns :]
        self._rows.append(line)
        self._goes_on.append(False)

    def _lines(self, rows: list[str]) -> list[str]:
        lines, line = [], ""
        for number, row in enumerate(rows):
            line += row
            if not self._goes_on[number] or number + 1 == len(rows):
                lines.append(line)
                line = ""
        return lines

    def write(self, text: str) -> int:
        """Takes what is written; only what is used is known."""
        for found in _PIECES.finditer(text):
            number, final, control, plain = found.groups()
            if plain:
                for one in plain:
                    self._put(one)
            elif control == "\r":
                self._column = 0
            elif control == "\n":
                self._down()
            elif final == "A":
                self._row = max(0, self._row - int(number or 1))
            elif final == "K":
                self._rows[self._row], self._goes_on[self._row] = "", False
            else:
                assert final in "mhl", found.group()
        return len(text)

    def _put(self, one: str) -> None:
        if self._column == self._columns:
            self._goes_on[self._row] = True
            self._down()
        row = self._rows[self._row].ljust(self._column)
        self._rows[self._row] = row[: self._column] + one + row[self._column + 1 :]
        self._column += 1

    def _down(self) -> None:
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._rows):
            self._rows.append("")
            self._goes_on.append(False)

    def lines(self) -> list[str]:
        """What stands there, without blanks at the ends."""
        lines = [line.rstrip() for line in self._lines(self._rows)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

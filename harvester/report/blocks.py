"""Lines that belong together, and how many of them a screen has room for. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_HANG: Final = "      "
_WORD: Final = re.compile(r" *\S+")
_TRACES: Final = re.compile(r",? \(?trace [0-9A-Za-z-]+\)?")
_TWICE: Final = re.compile(r'("[^"]*"), "[^"]*[\u4e00-\u9fff][^"]*"')
"""The API's words, and once more in Chinese."""
IN_FULL: Final = (1, 2, 4)
"""Ranks of which the first block is shown in full, if it fits at all: what ended it, a dead token, a cause."""
_ROWS_OF_A_BLOCK: Final = 4
"""No cause takes more of a screen than that: what it lacks is in the run's report."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that are shown together or not at all.

    Attributes:
        rank: How important it is; 0 is always shown.
        lines: Each begins with its own indentation.
    """

    rank: int
    lines: Sequence[str]


def in_blocks(rank: int, lines: Iterable[str]) -> list[Block]:
    """Lines as blocks: those that are indented further belong to the one before them."""
    found: list[list[str]] = []
    for line in lines:
        if found and line.startswith(_HANG):
            found[-1].append(line)
        else:
            found.append([line])
    return [Block(rank, block) for block in found]


def plural(number: int, what: str) -> str:
    """A number of things that form their plural with an s: "1 slice", "2,000 slices"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def fitted(blocks: Sequence[Block], tail: Sequence[str], *, columns: int, rows: int) -> list[str]:
    """As many blocks as fit, in their order: the first of some ranks in full, then all by a row, then more in full.

    Args:
        blocks: All of them; those that are left out are counted.
        tail: Lines that end it, always shown, as they are.
        columns: Of the screen.
        rows: Of the screen.
    """
    end = [row for line in tail for row in _cut(line, columns)]
    brief = [_brief(block) for block in blocks]
    full = [_rows(block, columns) for block in blocks]
    if sum(map(len, full)) + len(end) > rows or any(some[-1].endswith(" …") for some in full):
        full = [_rows(block, columns) for block in brief]
    heads = [[_shortened(f"{one.lines[0]} …", columns)] if len(full[n]) > 1 else full[n] for n, one in enumerate(brief)]
    order = sorted((n for n, block in enumerate(blocks) if block.rank), key=lambda n: (blocks[n].rank, n))
    first = {blocks[n].rank: n for n in reversed(order)}
    shown = {n: full[n] for n, block in enumerate(blocks) if not block.rank}
    room = rows - len(end) - 1 - sum(map(len, shown.values()))
    for n, best in (
        *((first[rank], full) for rank in IN_FULL if rank in first),
        *((n, heads) for n in order),
        *((n, full) for n in order),
    ):
        more = len(best[n]) - len(shown.get(n, ()))
        if 0 < more <= room:
            shown[n] = best[n]
            room -= more
    lines = [row for n in range(len(blocks)) for row in shown.get(n, ())]
    if left_out := len(blocks) - len(shown):
        lines.append(f"  … and {plural(left_out, 'more finding')}, in the report:")
    return [*lines, *end]


def _brief(block: Block) -> Block:
    """The same without what only Tencent's support asks for, and in one language: the report has both."""
    return Block(block.rank, [_TRACES.sub("", _TWICE.sub(r"\1", line)) for line in block.lines])


def _rows(block: Block, columns: int) -> list[str]:
    """A block's lines, wrapped; only the first few rows of one that is long."""
    rows = [row for line in block.lines for row in _cut(line, columns)]
    if block.rank and len(rows) > _ROWS_OF_A_BLOCK:
        rows = [*rows[: _ROWS_OF_A_BLOCK - 1], _shortened(f"{rows[_ROWS_OF_A_BLOCK - 1]} …", columns)]
    return rows


def _cut(line: str, columns: int) -> list[str]:
    """A line in rows of so many cells; those that follow hang. A word that is longer than a row stays whole."""
    indent = " " * (len(line) - len(line.lstrip()))
    hang = indent + "    " if indent else "  "
    rows, row = [], ""
    for word in _WORD.findall(line):
        if row.strip() and width(row + word) > columns:
            rows.append(row)
            row = hang + word.lstrip()
        else:
            row += word
    return [*rows, row]


def _shortened(row: str, columns: int) -> str:
    """A row that ends in an ellipsis and fits."""
    while width(row) > columns:
        row = f"{row[:-3].rstrip()} …"
    return row


def width(text: str) -> int:
    """Cells that a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)

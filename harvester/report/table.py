"""Columns that stand under each other. Pure."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], details: Sequence[Sequence[str]] = ()) -> list[str]:
    """Lines of a table.

    Args:
        rows: The head first; all of the same length.
        details: What follows each row, indented; rows beyond have none.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for number, row in enumerate(rows):
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        lines += [f"      {detail}" for detail in (details[number] if number < len(details) else ())]
    return lines

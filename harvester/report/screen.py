"""The summary of a run as one screen shows it: complete or not first, then what needs a person. Pure."""

from typing import Final

from harvester.report.blocks import fitted
from harvester.report.summary import Report, blocks

COLUMNS: Final = 80
ROWS: Final = 23
"""A terminal's 24, less the line of the prompt."""


def one_screen(report: Report, folder: str, *, columns: int = COLUMNS, rows: int = ROWS) -> str:
    """What is printed when a run ends; the report's file has all of it.

    Args:
        report: What it did.
        folder: The landing zone.
        columns: Of the screen.
        rows: Of the screen.
    """
    tail = [f"  files  {folder}", f"  report {folder}/runs/{report.run_id}.json"]
    return "\n".join(fitted(blocks(report), tail, columns=columns, rows=rows))

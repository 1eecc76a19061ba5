"""The summary of a run as one screen shows it: complete or not first, then what needs a person. Pure."""

from typing import Final

from harvester.report.blocks import fitted
from harvester.report.summary import Report, blocks

COLUMNS: Final = 80
ROWS: Final = 23
"""A terminal's 24, less the line of the prompt."""


def path_of(report: Report, folder: str) -> str:
    """Where a report lies in a landing zone."""
    return f"{folder}/runs/{report.run_id}.json"


def one_screen(report: Report, folder: str, *, saved: bool = True, columns: int = COLUMNS, rows: int = ROWS) -> str:
    """What is printed when a run ends; the report's file has all of it.

    Args:
        report: What it did.
        folder: The landing zone.
        saved: Whether the report is there.
        columns: Of the terminal; more than `COLUMNS` are not used, and fewer than half of them are not believed.
        rows: Of the screen.
    """
    tail = [f"  files  {folder}"]
    tail.append(f"  report {path_of(report, folder)}" if saved else "  report could not be saved")
    return "\n".join(fitted(blocks(report), tail, columns=min(COLUMNS, max(COLUMNS // 2, columns)), rows=rows))

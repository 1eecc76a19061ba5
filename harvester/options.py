"""What options of several commands have in common: what is typed is checked before anything is done."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harvester.config import DayExpr


def day(text: str) -> "DayExpr":
    """A day as the config writes it; raises `click.BadParameter`."""
    from harvester.config import parse_day  # noqa: PLC0415 - `harvester --help` loads little

    try:
        return parse_day(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def file_to_write(_context: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """A file in a folder that is there: or a whole night would pass before anybody says that it is not.

    Raises:
        click.BadParameter: The folder is not there.
    """
    if path and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"{path}: there is no folder {path.parent} to write it in; make it first")
    return path

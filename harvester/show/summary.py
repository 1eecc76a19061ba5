"""What is printed, and written, when a run has ended."""

import shutil
from pathlib import Path

import click

from harvester.disk import storage
from harvester.report.screen import one_screen, path_of
from harvester.report.summary import Report, as_json


def say_what_was_done(report: object | None, folder: Path, *, file: Path | None, quiet: bool) -> None:
    """Prints the summary of a run to stdout, and writes its report to a file.

    Args:
        report: Of the run, also of one that an error ended; anything else is nothing to tell.
        folder: The landing zone.
        file: What `--summary` names.
        quiet: Whether only bad news are told, to stderr.

    Raises:
        StorageError: The file cannot be written; the summary is printed first.
    """
    if not isinstance(report, Report):
        return
    if report.exit_code or not quiet:
        saved, columns = Path(path_of(report, str(folder))).is_file(), shutil.get_terminal_size().columns
        click.echo(one_screen(report, str(folder), saved=saved, columns=columns), err=quiet)
    if file:
        with storage(file, "write"):
            file.write_bytes(as_json(report))

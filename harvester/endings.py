"""How the program ends when it cannot go on: what is printed on stderr, and with which exit code."""

import contextlib
import errno
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Final, NoReturn

import click

from harvester.errors import ConfigError, ExitCode
from harvester.secret import masked

_PROBLEMS_SHOWN: Final = 100


def report_a_bug(error: BaseException) -> None:
    """Prints a traceback in which no secret can stand."""
    text = masked("".join(traceback.format_exception(error)))
    click.echo(
        f"{text}\nThis is a bug in harvester: what was published stays. Please report it with this text.", err=True
    )


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """What Python itself prints of errors that nobody can catch, a thread's or a finaliser's, holds no secret."""

    def told(uncaught: "threading.ExceptHookArgs | sys.UnraisableHookArgs") -> None:
        error = uncaught.exc_value
        click.echo(masked("".join(traceback.format_exception(error)) if error else "an unknown error"), err=True)

    before = sys.unraisablehook, threading.excepthook
    sys.unraisablehook = threading.excepthook = told
    try:
        yield
    finally:
        sys.unraisablehook, threading.excepthook = before


def print_anything() -> None:
    """What stdout cannot show, such as a dot where all is ASCII, is written as an escape: no summary fails for it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def answer_signals() -> None:
    """Until a command takes them itself: SIGTERM ends the program with its own exit code, SIGUSR1 does it no harm."""

    def terminated(*_: object) -> NoReturn:
        click.echo("terminated before anything was begun", err=True)
        sys.exit(ExitCode.TERMINATED)

    if threading.current_thread() is threading.main_thread():  # nobody else may
        signal.signal(signal.SIGTERM, terminated)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def show_problems(error: ConfigError) -> None:
    """Prints what is wrong with a config or a command line."""
    shown = error.problems[:_PROBLEMS_SHOWN]
    for problem in shown:
        click.echo(f"error: {problem}", err=True)
    more = len(error.problems) - len(shown)
    many = f"{len(error.problems)} problems" if len(error.problems) != 1 else "1 problem"
    click.echo(f"{many}{f', {more} not shown' if more else ''}; nothing was asked of the API", err=True)


def give_up_printing(error: OSError) -> NoReturn:
    """Ends with what can still be said: stdout is full, or nobody reads it any more."""
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - what Python flushes at exit has to go somewhere
    if error.errno != errno.EPIPE:
        click.echo(
            f"error: cannot print: {error.strerror}; a run's report is under runs/ in its landing zone", err=True
        )
    sys.exit(ExitCode.STORAGE)

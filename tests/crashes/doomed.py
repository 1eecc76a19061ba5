"""The real command line in a process that is bound to die: `python -m tests.crashes.doomed --at "part durable:3" …`.

The death is a signal that the process sends itself, `SIGKILL` unless told otherwise: after a named step of checkpoint
or publish, after some milliseconds, or before a request. Production code has no such switch: the hooks are put in here.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from harvester.api.envelope import Request, Response
from harvester.api.transport import AiohttpTransport
from harvester.harvest import sharing
from harvester.landing import steps
from harvester.landing.steps import Step

_BLOCK_BYTES: Final = 4096
_NEVER: Final = 10**9
"""Pages that no walk has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doom:
    """How a process ends.

    Attributes:
        at: After a step, for the n-th time, from 1; `None` for no step.
        after_ms: After so many milliseconds; `None` for never.
        at_request: Instead of sending this request, from 1; `None` for none.
        number: The signal.
        fill: A file that takes all that is left of its disk, instead of the signal; `None` for the signal.
        leave_bytes: How much of the disk that leaves.
        tally: Where to write how often each step was passed, should the process come to its own end; `None` nowhere.
    """

    at: tuple[Step, int] | None = None
    after_ms: int | None = None
    at_request: int | None = None
    number: signal.Signals = signal.SIGKILL
    fill: Path | None = None
    leave_bytes: int = 0
    tally: Path | None = None

    def __str__(self) -> str:
        when = f"{self.at[0]}:{self.at[1]}" if self.at else f"request {self.at_request}"
        return f"{self.number.name} at {when if self.after_ms is None else f'{self.after_ms} ms'}"

    def options(self) -> list[str]:
        """For the command line."""
        given = {
            "--at": self.at and f"{self.at[0]}:{self.at[1]}",
            "--after-ms": self.after_ms,
            "--at-request": self.at_request,
            "--signal": self.number.name,
            "--fill": self.fill,
            "--leave-bytes": self.leave_bytes,
            "--tally": self.tally,
        }
        return [f"{name}={value}" for name, value in given.items() if value is not None]

    def arm(self) -> "Passes":
        """Puts the hooks in; from now on the process is doomed."""
        if self.at_request is not None:
            self._before_request(self.at_request)
        if self.after_ms is not None:
            timer = threading.Timer(self.after_ms / 1000, self.strike)
            timer.daemon = True
            timer.start()
        passes = Passes(self)
        steps.passed = passes
        _share(early=self.fill is None)
        return passes

    def strike(self) -> None:
        """Now."""
        if self.fill is None:
            os.kill(os.getpid(), self.number)
        else:
            fill(self.fill, self.leave_bytes)

    def _before_request(self, number: int) -> None:
        really, sent = AiohttpTransport.send, Counter[str]()

        async def send(transport: AiohttpTransport, request: Request) -> Response:
            sent["all"] += 1
            if sent["all"] == number:
                self.strike()
            return await really(transport, request)

        AiohttpTransport.send = send  # type: ignore[method-assign,assignment] # that is what this program is for


def _share(*, early: bool) -> None:
    """Lets walks give days away after their first page, or never; but not since others happen to have nothing to do."""
    names = {"TOO_LONG": 9 if early else _NEVER, "LONGEST": 6, "WORTH_IT": _NEVER}
    for name, pages in names.items():
        setattr(sharing, name, pages)


class Passes:
    """Counts the steps that are passed, from any thread, and strikes at the one that is doomed."""

    def __init__(self, doom: Doom) -> None:
        self._doom = doom
        self._mutex = threading.Lock()
        self.counts: Counter[Step] = Counter()

    def __call__(self, step: Step) -> None:
        """A step was passed."""
        with self._mutex:
            self.counts[step] += 1
            if self._doom.at == (step, self.counts[step]):
                self._doom.strike()

    def write(self) -> None:
        """Leaves the counts where they were asked for, one `step:count` a line."""
        if self._doom.tally:
            self._doom.tally.write_text("".join(f"{step}:{count}\n" for step, count in self.counts.items()))


def fill(path: Path, leave_bytes: int) -> None:
    """Writes to a file until its disk is full, but for some bytes."""
    with path.open("ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(_BLOCK_BYTES))
        file.truncate(file.tell() - leave_bytes)


def read_tally(path: Path) -> Counter[Step]:
    """How often each step was passed, as `Passes.write` left it."""
    named = (line.split(":") for line in path.read_text().splitlines())
    return Counter({Step(name): int(count) for name, count in named})


def parse(arguments: Sequence[str]) -> tuple[Doom, list[str]]:
    """The doom, and what is left for the real command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--at", metavar="STEP:N")
    parser.add_argument("--after-ms", type=int)
    parser.add_argument("--at-request", type=int)
    parser.add_argument("--signal", default="SIGKILL")
    parser.add_argument("--fill", type=Path)
    parser.add_argument("--leave-bytes", type=int, default=0)
    parser.add_argument("--tally", type=Path)
    parser.add_argument("harvester", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    at = None
    if given.at:
        name, _, count = given.at.partition(":")
        at = (Step(name), int(count or 1))
    doom = Doom(
        at=at,
        after_ms=given.after_ms,
        at_request=given.at_request,
        number=signal.Signals[given.signal],
        fill=given.fill,
        leave_bytes=given.leave_bytes,
        tally=given.tally,
    )
    return doom, given.harvester


def live(doom: Doom, arguments: Sequence[str]) -> NoReturn:
    """Runs the real command line under a doom, to its end or the process's."""
    from harvester.cli import main  # noqa: PLC0415 - as the program itself: with the signals of a fresh process

    sys.argv = ["harvester", *arguments]
    passes = doom.arm()
    try:
        main()
    finally:
        passes.write()
    raise AssertionError("the command line always exits")


if __name__ == "__main__":
    live(*parse(sys.argv[1:]))

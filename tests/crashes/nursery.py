"""Doomed processes by the dozen: one helper that has everything imported forks a child for each.

A fork costs milliseconds, a Python process that imports harvester half a second. The helper has a single thread, and
its children are processes like any other: `SIGKILL` is `SIGKILL`.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from tests.crashes.doomed import Doom, live, parse

WAIT_S: Final = 60.0
"""Longer than anything that is not stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a child ended.

    Attributes:
        code: Its exit code; of one that a signal killed, the signal's number, negative.
        out: What it printed.
        err: And on stderr.
    """

    code: int
    out: str
    err: str


class Nursery:
    """The helper, seen from the tests; one child at a time.

    Args:
        process: The helper.
        folder: For what the children print.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def begin(self, *arguments: str | Path, doom: Doom | None = None, user: int | None = None) -> int:
        """Starts `harvester ARGUMENTS` under a doom, as a user if one is named; its pid."""
        for name in ("out", "err"):
            (self._folder / name).write_bytes(b"")
        order = {
            "arguments": [*(doom or Doom()).options(), *map(str, arguments)],
            "folder": str(self._folder),
            "user": user,
        }
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def end(self, within_s: float = WAIT_S) -> Ended:
        """Waits for the child's end."""
        code = int(self._line(within_s))
        out, err = ((self._folder / name).read_text() for name in ("out", "err"))
        return Ended(code=code, out=out, err=err)

    def run(self, *arguments: str | Path, doom: Doom | None = None, user: int | None = None) -> Ended:
        """Starts a child and waits for its end."""
        self.begin(*arguments, doom=doom, user=user)
        return self.end()

    def _line(self, within_s: float = WAIT_S) -> str:
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], within_s)
        assert ready, f"a child is still there after {within_s:.0f} s:\n{(self._folder / 'err').read_text()}"
        return self._process.stdout.readline()


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """A helper for as long as the block lasts; the folder is for what its children print."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.crashes.nursery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        start_new_session=True,
    ) as process:
        try:
            yield Nursery(process, folder)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # and a child that did not end


def _serve() -> None:
    """Reads an order a line; tells the child's pid, and then its end."""
    import encodings.utf_8_sig  # noqa: F401, PLC0415 - a child that is somebody else may not be able to read it

    import anyio._backends._asyncio  # noqa: F401, PLC0415 - what a run imports late, imported once for all children

    import harvester.assign  # noqa: PLC0415
    import harvester.config  # noqa: PLC0415
    import harvester.harvest.run  # noqa: PLC0415
    import harvester.tuning  # noqa: F401, PLC0415

    while line := sys.stdin.readline():
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _be(order["arguments"], Path(order["folder"]), order["user"])
        print(child, flush=True)  # noqa: T201 - its output
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - its output


def _be(arguments: Sequence[str], folder: Path, user: int | None) -> NoReturn:
    """The child: a process of its own with its own stdin, stdout, stderr, and user."""
    for handle, name in ((1, "out"), (2, "err")):
        file = os.open(folder / name, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, handle)
        os.close(file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    live(*parse(arguments))


if __name__ == "__main__":
    _serve()

"""Runs the contenders in turns, each a whole process on a core of its own, beside the server on another."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.speed import launch
from tests.benchmarks.speed.check import difference, truth
from tests.benchmarks.speed.contenders import Contender, Trial
from tests.benchmarks.speed.server import FIRST_ACCOUNT, World

ROOT: Final = Path(__file__).resolve().parents[3]
LIMIT_S: Final = 1800
"""A process that takes longer is ended, and shown as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one process took.

    Attributes:
        title: The contender's.
        name: Likewise.
        page_size: Calls a page.
        calls: How many the server has.
        wall_s: From its start to its end, interpreter and imports included.
        cpu_s: User and system, of it and its children.
        peak_mib: Its greatest resident size.
        requests: As the server counted them.
        server_cpu_s: The server's own, meanwhile.
        trouble: Why its figures do not count; None: they do.
    """

    title: str
    name: str
    page_size: int
    calls: int
    wall_s: float
    cpu_s: float
    peak_mib: float
    requests: int
    server_cpu_s: float
    trouble: str | None

    @property
    def speed(self) -> float:
        """Calls a second."""
        return self.calls / self.wall_s


@dataclass(frozen=True, slots=True)
class Cores:
    """Where processes stay; None: wherever the system puts them."""

    server: int | None
    client: int | None


def cores() -> Cores:
    """The first two that this process may use, or none if there is one only, or no way to choose."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(*usable[:2]) if len(usable) > 1 else Cores(None, None)


class Arena:
    """A server with a world of calls, and a folder for what the contenders write.

    Args:
        world: The calls.
        base_url: Of the server.
        folder: For what the contenders write; it grows by its names only.
        core: Where the contenders stay.
    """

    def __init__(self, world: World, base_url: str, folder: Path, core: int | None) -> None:
        self._world, self._base_url, self._folder, self._core = world, base_url, folder, core
        self._truth = truth(world)
        self._done = 0
        self._accounts = folder / "accounts"
        ids = range(FIRST_ACCOUNT, FIRST_ACCOUNT + world.accounts)
        self._accounts.write_text("".join(f"{account}\n" for account in ids), encoding="utf-8")

    def run(self, contender: Contender, page_size: int) -> Outcome:
        """One process, and a look at what it landed."""
        trial = self._trial(self._accounts, page_size)
        before = self._stats()
        took = launched(contender.command(trial), trial.output, self._core)
        after = self._stats()
        outcome = Outcome(
            title=contender.title,
            name=contender.name,
            page_size=page_size,
            calls=len(self._truth),
            wall_s=took["wall_s"],
            cpu_s=took["cpu_s"],
            peak_mib=took["peak_mib"],
            requests=after["requests"] - before["requests"],
            server_cpu_s=after["cpu_s"] - before["cpu_s"],
            trouble=took.get("trouble"),
        )
        if not outcome.trouble:
            outcome = replace(outcome, trouble=difference(self._truth, trial.output, contender.landed))
        self._put_aside(trial.output)
        return outcome

    def warm(self, contender: Contender) -> None:
        """One process that reads one account: compiles what has to be, and brings it into memory."""
        one = self._folder / "one account"
        one.write_text(f"{FIRST_ACCOUNT}\n", encoding="utf-8")
        trial = self._trial(one, 1000)
        launched(contender.command(trial), trial.output, self._core)
        self._put_aside(trial.output)

    def _put_aside(self, output: Path) -> None:
        """Empties the files and keeps their names: ext4 passes over every inode that was freed some seconds ago.

        After the removal of 1,400 files and folders the next process's own would cost up to 20 times as much.
        """
        for path in output.rglob("*"):
            if path.is_file():
                os.truncate(path, 0)
        output.rename(self._folder / f"done-{self._done}")
        self._done += 1

    def _trial(self, accounts: Path, page_size: int) -> Trial:
        output = self._folder / "output"
        output.mkdir()
        world = self._world
        return Trial(
            base_url=self._base_url,
            accounts=accounts,
            start=(world.end - timedelta(days=world.days - 1)).isoformat(),
            end=world.end.isoformat(),
            page_size=page_size,
            output=output,
        )

    def _stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._base_url}/stats", timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


@contextmanager
def served(world: World, core: int | None) -> Iterator[str]:
    """The base URL of a server in a process of its own; it ends when its standard input does."""
    command = [
        sys.executable, "-m", "tests.benchmarks.speed.server", "--accounts", str(world.accounts),
        "--calls", str(world.calls), "--zipf", str(world.zipf), "--end", world.end.isoformat(),
        "--days", str(world.days), *([] if core is None else ["--core", str(core)]),
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        if not (base_url := process.stdout.readline().strip()):
            raise RuntimeError("the server does not start")
        yield base_url


def launched(command: Sequence[str], folder: Path, core: int | None) -> dict[str, Any]:
    """Runs a command to its end; whatever happens, no process of it is left.

    Returns:
        `wall_s`, `cpu_s`, `peak_mib`, and `trouble` if it failed.
    """
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled once, not at each start
    environment["PYTHONPATH"] = str(ROOT)
    where = "any" if core is None else str(core)
    with subprocess.Popen(
        [sys.executable, "-I", "-S", launch.__file__, where, str(folder), *command],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            answer, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            answer = b""
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    nothing = {"wall_s": float(LIMIT_S), "cpu_s": 0.0, "peak_mib": 0.0}
    if not answer:
        return {**nothing, "trouble": f"not done after {LIMIT_S} s"}
    took: dict[str, Any] = json.loads(answer)
    if took["exit_code"]:
        last = (folder / "stderr").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        took["trouble"] = f"exit code {took['exit_code']}: {' '.join(last)[:200]}"
    return took


def measured(
    arena: Arena,
    some: Sequence[Contender],
    rounds: int,
    page_sizes: Sequence[int],
    say: Callable[[str], None],
) -> Iterator[Outcome]:
    """Every contender once a page size and round, each round in another order."""
    for contender in some:
        say(f"warming up: {contender.name}")
        arena.warm(contender)
    for number in range(rounds):
        turned = [*some[number % len(some) :], *some[: number % len(some)]]
        for page_size in page_sizes:
            for contender in turned if number % 2 == 0 else reversed(turned):
                outcome = arena.run(contender, page_size)
                said = outcome.trouble or (
                    f"{outcome.speed:,.0f} calls/s, {outcome.wall_s:.2f} s, server {outcome.server_cpu_s:.2f} s"
                )
                say(f"round {number + 1} of {rounds}, {page_size:,} a page: {contender.name}: {said}")
                yield outcome


def saved(outcomes: Sequence[Outcome], path: Path) -> None:
    """Writes them as JSON."""
    path.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n", encoding="utf-8")


def loaded(path: Path) -> list[Outcome]:
    """Reads what `saved` wrote."""
    return [Outcome(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]

"""How long harvester takes to start: to say its version, to plan for a large fleet, to send its first request.

Run by hand: `python -m tests.benchmarks.startup [--rounds 5] [--accounts 10000] [--days 365] [--known 60 365]`. Each
figure is the median of processes of their own, from the start of the process: to its end, or until a server on loopback
has received the first request.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from harvester.landing.ledger import Ledger
from harvester.landing.ledger.days import _PUT_DAY
from harvester.model import BEIJING, ONE_DAY
from tests.benchmarks.ledger import row

FEW: Final = 10
"""Accounts of a run whose start is not about its fleet."""
CONFIG: Final = """
[api]
base_url = "{base_url}"
[window]
start = "today-{days}"
end = "yesterday"
[apps.main]
client_id = "1"
requests_per_minute = 1000
[tokens.a]
access_token = "x"
[accounts]
file = "accounts.csv"
"""
Took = tuple[float, float]
"""Seconds, by the clock and of the processor."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--known", type=int, nargs="*", default=[60, 365], help="days that a ledger has complete")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as server:
        base_url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def fleet(accounts: int, known: int) -> Path:
            folder = Path(name) / f"{accounts}-{known}"
            return folder if folder.exists() else made(folder, base_url, accounts, given.days, known)

        print("| what | took | CPU |")
        print("|---|---|---|")
        show("`--version`", given.rounds, partial(to_its_end, "--version"))
        for known in (0, *given.known):
            planned = partial(to_its_end, "plan", str(fleet(given.accounts, known) / "nightly.toml"))
            what = f"`plan`, {given.accounts:,} accounts over {given.days} days, {known} of them complete"
            show(what, given.rounds, planned)
        for accounts, known in ((FEW, 0), *((given.accounts, known) for known in (0, *given.known[:1]))):
            begun = partial(to_its_first_request, fleet(accounts, known), server)
            what = f"`run` to its first request, {accounts:,} accounts, {known} days complete"
            show(what, given.rounds, begun)


def made(folder: Path, base_url: str, accounts: int, days: int, known: int) -> Path:
    """A folder with a config, its accounts, and a ledger that has all accounts' last days complete."""
    folder.mkdir()
    ids = [20_000_000 + 7 * number for number in range(accounts)]
    (folder / "nightly.toml").write_text(CONFIG.format(base_url=base_url, days=days))
    (folder / "accounts.csv").write_text("account_id,name\n" + "".join(f"{one},Company {one}\n" for one in ids))
    today = datetime.now(BEIJING).date()
    if known:
        with Ledger.open(folder / "landing" / ".harvester") as ledger, ledger._transaction() as db:
            for account in ids:
                rows = (row(account, today - ONE_DAY * ago) for ago in range(known, 0, -1))
                db.executemany(_PUT_DAY, (one | {"calls": 0, "in_file": 0, "digest": None} for one in rows))
    return folder


def show(what: str, rounds: int, measured: Callable[[], Took]) -> None:
    """Prints a line of the table; the first round, which reads the files from the disk, does not count."""
    measured()
    took, cpu = zip(*(measured() for _ in range(rounds)), strict=True)
    print(f"| {what} | {median(took):.2f} s | {median(cpu):.2f} s |", flush=True)


def to_its_end(*arguments: str) -> Took:
    """Runs the program."""
    began = time.perf_counter()
    with program(*arguments) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - began
    assert process.returncode == 0, process.returncode
    return took, used.ru_utime + used.ru_stime


def to_its_first_request(folder: Path, server: socket.socket) -> Took:
    """Runs it until something is asked, and no longer; leaves the ledger as it was."""
    began = time.perf_counter()
    with program("run", str(folder / "nightly.toml"), "--quiet") as process:
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1), "nothing was asked"
            took = time.perf_counter() - began
            process.kill()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    return took, used.ru_utime + used.ru_stime


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program as it is installed, saying nothing; dead in the end."""
    command = [str(Path(sys.executable).with_name("harvester")), *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


if __name__ == "__main__":
    main()

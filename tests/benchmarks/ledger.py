"""How long `status` and `verify` take, and how much memory, on a large ledger and landing zone; prints a table.

Run by hand: `python -m tests.benchmarks.ledger [ACCOUNTS [DAYS [ACCOUNTS_WITH_FILES [DAYS_WITH_FILES]]]]`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from harvester.landing.files import digest_of, replace_whole
from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.days import _PUT_DAY
from harvester.landing.partition import Zone
from harvester.model import ONE_DAY, AccountId, Window
from harvester.sandbox.world import World

END = date(2026, 3, 14)
LACKING = 100
"""One account of so many lacks a week of days, every one when it is 1."""
CONFIG = """
[window]
start = "{start}"
end = "{end}"
[apps.main]
client_id = "1"
[tokens.a]
access_token = "x"
[accounts]
file = "accounts.csv"
"""


def main(accounts: int = 10_000, days: int = 365, with_files: int = 1000, days_with_files: int = 30) -> None:
    """Measures on ledgers without files, then on a landing zone with calls."""
    print("| what | took | memory |")
    print("|---|---|---|")
    for lacking in (LACKING, 1):
        with tempfile.TemporaryDirectory() as name:
            folder, ids = Path(name), [20_000_000 + 7 * number for number in range(accounts)]
            window = Window(END - ONE_DAY * (days - 1), END)
            configure(folder, ids, window)
            fill(folder / "landing" / ".harvester", ids, window, lacking)
            of = f"{accounts:,} accounts of {days} days, one in {lacking} lacks days"
            for arguments in (("status",), ("status", "--json")):
                measure(f"`{' '.join(arguments)}`, {of}", folder, *arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = World(today=END + ONE_DAY, accounts=with_files, calls_per_day=40.0)
        window = Window(END - ONE_DAY * (days_with_files - 1), END)
        configure(folder, world.account_ids, window)
        calls = land(folder / "landing", world, window)
        measure(f"`verify`, {with_files:,} accounts of {days_with_files} days, {calls:,} calls", folder, "verify")


def configure(folder: Path, ids: list[int] | tuple[AccountId, ...], window: Window) -> None:
    """Writes a config of these accounts."""
    (folder / "nightly.toml").write_text(CONFIG.format(start=window.start, end=window.end))
    (folder / "accounts.csv").write_text("account_id\n" + "".join(f"{one}\n" for one in ids))


def fill(state_dir: Path, ids: list[int], window: Window, lacking: int) -> None:
    """A ledger in which each day was read on the day after."""
    with Ledger.open(state_dir) as ledger, ledger._transaction() as db:
        for number, account in enumerate(ids):
            days = (day for day in window if number % lacking or day.day > 7 or day.month % 2)
            db.executemany(_PUT_DAY, (row(account, day) for day in days))


def row(account: int, day: date) -> dict[str, object]:
    """A complete day."""
    ordinal = day.toordinal()
    digest = account.to_bytes(8, "big") + ordinal.to_bytes(8, "big")
    known = {"complete": 1, "queued": 0, "calls": 40, "in_file": 40, "digest": digest}
    return {"account": account, "day": ordinal, "read_on": ordinal + 1, **known}


def land(root: Path, world: World, window: Window) -> int:
    """Puts a world's calls into a landing zone, and into its ledger; how many."""
    zone, calls = Zone(root, "zstd"), 0
    zone.scratch.mkdir(parents=True)
    with Ledger.open(root / ".harvester") as ledger:
        for account in world.account_ids:
            known: dict[date, Known] = {}
            for day in window:
                lines = [line + b"\n" for line in world.calls(account, Window(day, day))]
                path = zone.partition(account, str(day))
                if lines:
                    replace_whole(path, lines, scratch=zone.scratch)
                digest = digest_of(path) if lines else None
                known[day] = Known(len(lines), complete=False, in_file=len(lines), digest=digest)
                calls += len(lines)
            ledger.take_over(account, known)
    return calls


def measure(what: str, folder: Path, command: str, *options: str) -> None:
    """Runs the program, and prints a line of the table."""
    started = time.perf_counter()
    arguments = [sys.executable, "-m", "harvester", command, str(folder / "nightly.toml"), *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout
        lines = sum(1 for _ in read(process.stdout.fileno()))
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (process.returncode, lines)
    took = time.perf_counter() - started
    scale = 2**20 if sys.platform == "darwin" else 2**10
    print(f"| {what} | {took:.1f} s | {used.ru_maxrss / scale:.0f} MB |", flush=True)


def read(handle: int) -> Iterator[bytes]:
    """What comes through a pipe, to its end."""
    while block := os.read(handle, 2**16):
        yield block


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

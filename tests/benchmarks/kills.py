"""Hundreds of nights that are killed at random and resumed until they are complete; prints what that cost.

Run by hand: `python -m tests.benchmarks.kills --cycles 300`. A night that does not end as it should is named with its
seed, which brings it back: `--seed N --cycles 1`.
"""

import argparse
import shutil
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.crashes.cycles import PAGES_A_KILL, Cycle, run_cycle
from tests.crashes.nursery import nursery


def main() -> None:
    """Runs the cycles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1000, help="of the first cycle")
    given = parser.parse_args()
    cycles: list[Cycle] = []
    failed: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for seed in range(given.seed, given.seed + given.cycles):
            with nursery(root / "nursery") as mother:
                try:
                    cycles.append(run_cycle(mother, root / str(seed), seed))
                except Exception:  # noqa: BLE001 - told, counted, and on with the next
                    print(f"seed {seed} FAILED\n{traceback.format_exc()}", flush=True)
                    failed.append(seed)
            shutil.rmtree(root / str(seed), ignore_errors=True)
    print("\n".join(table(cycles)))
    beyond = [one for one in cycles if one.allowed is not None and one.twice > one.allowed]
    print(f"\nfailed: {failed or 'none'}; beyond their bound: {beyond or 'none'}")


def table(cycles: Sequence[Cycle]) -> list[str]:
    """The numbers, as a Markdown table."""
    kinds = {
        "first night": [one for one in cycles if one.mild and not one.again],
        "first night, giant seconds": [one for one in cycles if not one.mild and not one.again],
        "second night, everything read again": [one for one in cycles if one.again],
        "all": list(cycles),
    }
    each_may = f"a kill or stop (may: {PAGES_A_KILL})"
    lines = [f"| a cycle is a | cycles | kills | stops | pages asked | needed | twice | {each_may} |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for kind, some in kinds.items():
        kills, stops, twice = (sum(getattr(one, what) for one in some) for what in ("kills", "stops", "twice"))
        asked, needed = sum(one.asked for one in some), sum(one.needed for one in some)
        each = f"{twice / (kills + stops):.1f}" if kills + stops else "-"
        lines.append(f"| {kind} | {len(some)} | {kills} | {stops} | {asked:,} | {needed:,} | {twice:,} | {each} |")
    only_stopped = [one for one in cycles if one.stops and not one.kills and one.mild and not one.again]
    stops, twice = sum(one.stops for one in only_stopped), sum(one.twice for one in only_stopped)
    return [*lines, f"\nfirst nights that were stopped only: {stops} stops, {twice} pages twice"]


if __name__ == "__main__":
    main()

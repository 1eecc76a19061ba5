"""A large harvest in which every tenth request meets a fault, of all kinds; every file compared with the truth.

Run by hand: `python -m tests.benchmarks.storms [ACCOUNTS [DAYS]]`. Over real sockets, in virtual time.
"""

import asyncio
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from harvester.api.quota import Limits
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.stats import busiest
from harvester.sandbox.switches import CLIENT_ID, Switches
from harvester.sandbox.world import World
from tests.flows import APP, TODAY, assign, differences, run, sandbox
from tests.virtual_time import VirtualTimeLoop

PER_MINUTE = 1_000
CODES = (10000, 11008, 11016, 11017, 11019, 12100, 12101, 30001, 51001, 60005)


async def storm(accounts: int, days: int) -> None:
    """Harvests and prints what was seen."""
    kinds = [Fault(kind) for kind in FaultKind if kind is not FaultKind.CODE]
    faults = [*kinds, *(Fault(FaultKind.CODE, code) for code in CODES)]
    switches = Switches(
        faults=dict.fromkeys(faults, 0.1 / len(faults)),
        fault_bytes=16 * 2**20,
        latency_s=0.2,
        requests_per_minute=PER_MINUTE,
    )
    world = World(accounts=accounts, calls_per_day=100, today=TODAY)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        async with sandbox(world, switches) as served:
            assignment = assign(served, Path(folder), days=days, page_size=20)
            assignment = replace(assignment, limits={APP: Limits(per_minute=PER_MINUTE)}, in_flight=32)
            report = await run(assignment)
            stats = served.stats
        wrong = differences(assignment, world)
    requests, faulty = stats.requests, sum(stats.faults.values())
    worst = busiest(stats.arrivals[CLIENT_ID], 60.0)
    print(f"{len(faults)} faults on {faulty:,} of {requests:,} requests: {dict(sorted(stats.faults.items()))}")
    print(f"exit code {report.exit_code}, {report.calls:,} calls, {len(wrong)} of {accounts} accounts differ")
    print(f"nonces used twice {stats.repeated_nonces}, sent elsewhere {stats.elsewhere}, worst minute {worst:,}")
    took = (report.ended or report.started) - report.started
    print(f"took {took} of virtual time, {time.perf_counter() - began:.0f} s of real time")


def main() -> None:
    """Runs it."""
    given = [int(one) for one in sys.argv[1:]]
    accounts, days = [*given, *(60, 14)[len(given) :]]
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(storm(accounts, days))


if __name__ == "__main__":
    main()

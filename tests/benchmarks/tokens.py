"""Tokens that expire all the time, over real sockets: `python -m tests.benchmarks.tokens [night|kills|together]`.

night: a harvest with 64 walks in flight whose token lives a few seconds. kills: processes killed by SIGKILL some
milliseconds after a renewal's answer was sent. together: two processes, one token store.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio

from harvester.api.quota import Limits
from harvester.api.tokens import Renewal
from harvester.api.tokens.store import TokenStore
from harvester.harvest.run import harvest
from harvester.plan import Scope
from harvester.report.summary import Report
from harvester.sandbox.grants import ACCESS, CLIENT_ID, CLIENT_SECRET, REFRESH, Grant
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World, beijing_day
from harvester.secret import Secret
from tests.flows import APP, TOKEN, assign, last_days

_LIFE_S: Final = 3.0
_DELAYS_MS: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)


def world(accounts: int) -> World:
    """Accounts with some pages each."""
    return World(today=beijing_day(time.time()), accounts=accounts, days=8, calls_per_day=400.0)


async def one_run(served: Sandbox, folder: Path, store: Path, how: Renewal) -> Report:
    """A harvest with 64 requests in flight."""
    assignment = assign(served, folder, page_size=20)
    token = replace(
        assignment.tokens[TOKEN],
        refresh=Secret(REFRESH),
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        renewal=how,
    )
    today = served.world.today
    window = replace(last_days(1), start=served.world.last_day, end=served.world.last_day)
    return await harvest(
        replace(
            assignment,
            tokens={TOKEN: token},
            tokens_dir=store,
            in_flight=64,
            limits={APP: Limits()},
            scope=Scope(window=window, today=today),
        )
    )


async def night(how: Renewal, runs: int) -> None:
    """One or two harvests under tokens that die every few seconds."""
    grant = Grant(access=ACCESS, refresh=REFRESH, access_life_s=_LIFE_S, expires_at=time.time() + 1.0, name="agency")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with serve(world(200), Switches(grants=(grant,), latency_s=0.1)) as served:
            began, reports = time.monotonic(), list[Report]()

            async def go(number: int) -> None:
                reports.append(await one_run(served, home / str(number), home / "tokens", how))

            async with anyio.create_task_group() as tasks:
                for number in range(runs):
                    tasks.start_soon(go, number)
            took_s = time.monotonic() - began
            stats, stored = served.stats, TokenStore(home / "tokens").read(TOKEN)
            live = served.authority.pair("agency")
            same = stored is not None and stored.pair.access.reveal() == live.access
            print(
                f"{how}, {runs} at once: {stats.requests} requests in {took_s:.0f} s, {stats.token_requests} renewals, "
                f"11000: {stats.codes[11000]}, 11002: {stats.codes[11002]}, concurrent renewals: "
                f"{stats.concurrent_renewals}, refused renewals: {stats.refused_renewals.total()}, "
                f"the store holds the live pair: {same}, complete: {all(one.complete for one in reports)}"
            )


async def kills(how: Renewal, times: int) -> None:
    """Kills a process soon after the answer to its renewal was sent, and looks whether the next one can go on."""
    luck = random.Random(1)  # noqa: S311 - a benchmark's chance
    lost, gone_on = Counter[float](), Counter[float]()
    for number in range(times):
        delay_ms = _DELAYS_MS[number % len(_DELAYS_MS)]
        grant = Grant(refresh=REFRESH, expires_at=1.0, name="agency", access=ACCESS)
        with tempfile.TemporaryDirectory() as folder:
            async with serve(world(1), Switches(grants=(grant,), seed=luck.randrange(10**6))) as served:
                await _killed(served, Path(folder), how, delay_ms)
                done = await _renewer(served, Path(folder), how)
                said = (await done.communicate())[0].decode().strip()
        (gone_on if said == "a page" else lost)[delay_ms] += 1
        if said != "a page" and "whose answer never came" not in said:
            print(f"  unexpected: {said}")
    by_delay = ", ".join(f"{delay:g} ms: {lost[delay]} of {lost[delay] + gone_on[delay]}" for delay in _DELAYS_MS)
    print(f"{how}: killed {times} times, lost {lost.total()} pairs ({by_delay})")


async def _killed(served: Sandbox, folder: Path, how: Renewal, delay_ms: float) -> None:
    loop = asyncio.get_running_loop()
    process = await _renewer(served, folder, how)

    def strike(_: str) -> None:
        loop.call_later(delay_ms / 1000, _kill, process.pid)

    served.on_renewal = strike
    await process.wait()
    served.on_renewal = None


def _kill(pid: int) -> None:
    if os.path.exists(f"/proc/{pid}"):  # noqa: PTH110 - it may have come to its own end
        os.kill(pid, signal.SIGKILL)


async def _renewer(served: Sandbox, folder: Path, how: Renewal) -> asyncio.subprocess.Process:
    given = [f"--url={served.base_url}", f"--folder={folder}", f"--account={served.world.account_ids[0]}"]
    command = [sys.executable, "-m", "tests.crashes.renewer", *given, f"--how={how}", "--apart"]
    return await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def main(given: Sequence[str] | None = None) -> None:
    """Measures what is named, or all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["night", "together", "kills"])
    parser.add_argument("--times", type=int, default=102)
    options = parser.parse_args(given)
    for what in [options.what] if options.what else ["night", "together", "kills"]:
        for how in Renewal:
            if what == "kills":
                asyncio.run(kills(how, options.times))
            else:
                asyncio.run(night(how, 1 if what == "night" else 2))


if __name__ == "__main__":
    main()

import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from harvester.api.tokens import Renewal
from harvester.api.tokens.store import Step, TokenStore
from harvester.sandbox.grants import REFRESH, Grant
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World, beijing_day

pytestmark = pytest.mark.anyio
GRANT = Grant(name="agency", refresh=REFRESH, expires_at=1.0)
"""Its access token has expired."""


async def ask(served: Sandbox, folder: Path, how: Renewal, at: tuple[Step, int] | None = None) -> tuple[int, str]:
    """A process asks for a page; what it ended with, and what it printed."""
    given = arguments(served, folder, how)
    at_step = [f"--at={at[0]}", f"--nth={at[1]}"] if at else []
    done = await anyio.run_process([*given, *at_step], check=False, stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode().strip()


def arguments(served: Sandbox, folder: Path, how: Renewal) -> list[str]:
    """The command of such a process."""
    account = served.world.account_ids[0]
    given = [f"--url={served.base_url}", f"--folder={folder}", f"--account={account}", f"--how={how}"]
    return [sys.executable, "-m", "tests.crashes.renewer", *given]


def live(served: Sandbox) -> tuple[str, str | None]:
    """What the API takes for good."""
    pair = served.authority.pair("agency")
    return pair.access, pair.refresh


def stored(folder: Path) -> tuple[str, str | None] | None:
    """What the store holds."""
    one = TokenStore(folder).read("agency")
    return (one.pair.access.reveal(), one.pair.refresh.reveal() if one.pair.refresh else None) if one else None


KILLS = [
    *[(Renewal.EXTEND, step, 1) for step in Step],
    *[(Renewal.ROTATE, step, nth) for step in Step for nth in (1, 2)],  # first it is written down that it begins
]


@pytest.mark.parametrize(("how", "step", "nth"), KILLS)
async def test_a_pair_that_was_written_is_never_lost(tmp_path: Path, how: Renewal, step: Step, nth: int) -> None:
    """Killed at each step of a renewal; the next process goes on, unless a rotation's answer was in memory only."""
    world = World(today=beijing_day(time.time()), accounts=1)
    async with serve(world, Switches(grants=(GRANT,))) as served:
        code, _ = await ask(served, tmp_path, how, at=(step, nth))
        assert code == -signal.SIGKILL
        before = served.stats.token_requests
        code, said = await ask(served, tmp_path, how)
        assert code == 0
        assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".new")] == []
        if (how, step, nth) == (Renewal.ROTATE, Step.ANSWERED, 2):
            assert "never came: that may have taken the pair" in said
            assert "authorise the app again" in said
            return
        assert said == "a page"
        assert stored(tmp_path) == live(served)
        was_stored = step in {Step.WRITTEN, Step.REPLACED} and (how is Renewal.EXTEND or nth == 2)
        assert served.stats.token_requests - before == (not was_stored)


async def test_a_rotation_outlives_the_run_that_wanted_it(tmp_path: Path) -> None:
    """Killed the moment the answer leaves the API: the process that rotates stores it, and the next run goes on."""
    world = World(today=beijing_day(time.time()), accounts=1)
    async with serve(world, Switches(grants=(GRANT,))) as served:
        async with await anyio.open_process([*arguments(served, tmp_path, Renewal.ROTATE), "--apart"]) as process:
            served.on_renewal = lambda _: process.kill()
            assert await process.wait() == -signal.SIGKILL
        served.on_renewal = None
        code, said = await ask(served, tmp_path, Renewal.ROTATE)
        assert (code, said) == (0, "a page")
        assert stored(tmp_path) == live(served)
        assert served.stats.token_requests == 1

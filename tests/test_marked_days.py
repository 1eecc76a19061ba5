"""What is marked complete, and what is not taken for there when somebody took it away."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harvester.errors import ExitCode, StorageError
from harvester.landing.ndjson import read_lines
from harvester.model import ONE_DAY, AccountId, Status
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.flows import TODAY, assign, run, sandbox
from tests.nights import WORLD, compare, marked_days, night, stamps

pytestmark = pytest.mark.anyio
TIED = World(accounts=5, calls_per_day=60, tie_size=90, tie_day_share=0.5, today=TODAY)
NEVER = 10**9


async def test_days_are_marked_when_every_account_is_complete(tmp_path: Path) -> None:
    """Each day of the window has its mark, which names all accounts and counts what a warehouse will find."""
    await night(tmp_path)
    marks = marked_days(tmp_path)
    assert set(marks) == {str(TODAY - ONE_DAY * age) for age in range(1, 8)}
    for day, mark in marks.items():
        files = list(tmp_path.glob(f"dt={day}/*/calls.ndjson.zst"))
        assert list(mark.accounts) == sorted(WORLD.account_ids)
        assert mark.files == len(files)
        assert mark.calls == sum(len(list(read_lines(path))) for path in files)


async def test_no_day_is_marked_while_an_account_lacks(tmp_path: Path) -> None:
    """As long as one enabled account is not complete no day has a mark; reading that account alone brings them."""
    dead = WORLD.account_ids[1]
    report = await night(tmp_path, Switches(account_codes={dead: 12201}))
    assert report.exit_code is ExitCode.PARTIAL
    assert marked_days(tmp_path) == {}
    async with sandbox(WORLD) as served:
        everyone = assign(served, tmp_path)
        alone = [account for account in everyone.accounts if account.id == dead]
        await run(replace(everyone, accounts=alone, named=[dead]))
    assert len(marked_days(tmp_path)) == 7


async def test_a_new_account_takes_the_marks_away(tmp_path: Path) -> None:
    """Once another account is enabled, a day is not complete before that one is, too."""
    await night(tmp_path)
    async with sandbox(WORLD) as served:
        everyone = assign(served, tmp_path)
        await run(replace(everyone, fleet=[*WORLD.account_ids, AccountId(99)]))
    assert marked_days(tmp_path) == {}


async def test_today_is_never_marked(tmp_path: Path) -> None:
    """A day that was not over when it was read is harvested, but neither complete nor marked."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        window = replace(assignment.scope.window, end=TODAY)
        report = await run(replace(assignment, scope=replace(assignment.scope, window=window)))
    assert report.exit_code is ExitCode.COMPLETE
    assert str(TODAY) not in marked_days(tmp_path)


async def test_a_lost_ledger_is_not_begun_anew_in_silence(tmp_path: Path) -> None:
    """Days without a ledger end the run before any request, with the command that makes a new one."""
    await night(tmp_path)
    before = stamps(tmp_path)
    for path in (tmp_path / ".harvester").glob("ledger.sqlite*"):
        path.unlink()
    async with sandbox(WORLD) as served:
        with pytest.raises(StorageError, match="verify CONFIG --rebuild"):
            await run(assign(served, tmp_path))
        assert served.stats.requests == 0
    assert stamps(tmp_path) == before


@pytest.mark.parametrize("interrupted", [False, True])
async def test_files_that_are_gone_are_read_again(tmp_path: Path, *, interrupted: bool) -> None:
    """Days of the window whose files somebody took away are read again, old ones and those of tonight too."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        scope = replace(assignment.scope, reread_days=None)
        assignment = replace(assignment, scope=scope, in_flight=1)
        first = await run(replace(assignment, max_requests=60 if interrupted else None))
        assert first.slices[Status.COMPLETE] > 0
        gone = sorted(tmp_path.glob("dt=*"))[3]
        shutil.rmtree(gone)
        second = await run(assignment)
    assert second.exit_code is ExitCode.COMPLETE
    assert any("was gone" in note for note in second.notes)
    await compare(tmp_path)
    assert len(marked_days(tmp_path)) == 7


async def test_a_day_without_its_files_gets_no_mark(tmp_path: Path) -> None:
    """A day outside of the window, of which a file is gone, is not marked anew."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path, days=20)
        await run(assignment)
        gone = min(tmp_path.glob("dt=*"))
        shutil.rmtree(gone)
        await run(assign(served, tmp_path, days=7))
    assert not gone.exists()
    assert len(marked_days(tmp_path)) == 19


async def test_an_empty_landing_zone_is_not_filled_in_silence(tmp_path: Path) -> None:
    """Where the ledger knows of files and no day is there at all, a run ends before any request."""
    async with sandbox(WORLD) as served:
        assignment = replace(assign(served, tmp_path / "zone"), state_dir=tmp_path / "state")
        await run(assignment)
        asked = served.stats.requests
        (tmp_path / "zone").rename(tmp_path / "away")
        with pytest.raises(StorageError, match="is the disk mounted"):
            await run(assignment)
        assert served.stats.requests == asked
    assert not list((tmp_path / "zone").glob("dt=*"))

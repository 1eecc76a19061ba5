"""`verify` and `status` over whole harvests: what breaks is found, healed and read again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest
from msgspec import structs

from harvester.calls import Calls
from harvester.errors import ConfigError, ExitCode, LockedError, StorageError
from harvester.harvest.assignment import Assignment
from harvester.harvest.inspect import Orders, status, verify
from harvester.inspection import Cure, Healed, Kind, Walking
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.database import ledger_of
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.marks import mark_of
from harvester.landing.partition import Zone
from harvester.landing.publication import Publication
from harvester.landing.publish import Reading, prepare
from harvester.landing.runs import Gathered, Run
from harvester.model import BEIJING, ONE_DAY, AccountId, Status, Window
from harvester.report.soundness import Soundness
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.flows import NOW_S, TODAY, assign, differences, last_days, run, sandbox, window_of
from tests.landing.helpers import call

pytestmark = pytest.mark.anyio

WORLD = World(today=TODAY, accounts=4, calls_per_day=25, tie_size=0)
HEAL, REBUILD = Orders(heal=True), Orders(rebuild=True)


def look(assignment: Assignment, orders: Orders | None = None) -> Soundness:
    """Verifies at the test's time."""
    return verify(assignment, orders or Orders(), lambda: NOW_S)


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every visible file with its time and its inode."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("dt=*/**/*") if path.is_file()}


@dataclass
class Harvested:
    """A zone after a complete run."""

    assignment: Assignment

    @property
    def folder(self) -> Path:
        """The landing zone."""
        return self.assignment.output_dir

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return ledger_of(self.assignment.state_dir)

    def files(self) -> list[Path]:
        """All partitions, in order."""
        return sorted(self.folder.glob("dt=*/*/calls.ndjson.zst"))


@pytest.fixture
async def harvested(tmp_path: Path) -> AsyncIterator[Harvested]:
    """Seven complete days of four accounts, and the sandbox that has more."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        assert (await run(assignment)).complete
        yield Harvested(assignment)


async def test_a_harvest_is_sound(harvested: Harvested) -> None:
    """After a complete run every file is sound, and looking changes nothing."""
    before = snapshot(harvested.folder)
    found = look(harvested.assignment)
    assert found.sound
    assert found.partitions == len(harvested.files())
    assert found.calls == sum(sum(1 for _ in WORLD.calls(one, last_days(7))) for one in WORLD.account_ids)
    assert snapshot(harvested.folder) == before


async def test_what_is_broken_is_healed_by_the_next_run(harvested: Harvested) -> None:
    """Missing and damaged files, also of days that no window covers any more, are read again; then all is sound."""
    first, second, third, *_ = harvested.files()
    first.unlink()
    second.write_bytes(second.read_bytes()[:-20])
    third.write_bytes(b"noise")
    found = look(harvested.assignment, HEAL)
    assert found.kinds == {Kind.MISSING: 1, Kind.DAMAGED: 2}
    assert found.healed == Healed(days=3, accounts=3)
    assert look(harvested.assignment).queued == 3
    report = await run(window_of(harvested.assignment, 1))
    assert report.complete
    assert look(harvested.assignment).sound
    assert differences(harvested.assignment, WORLD) == {}
    assert status(harvested.assignment).incomplete == 0


async def test_a_well_named_foreign_file_is_read_again_and_kept(harvested: Harvested) -> None:
    """Of a day that the ledger does not know the file is taken for what landed once, and the day is read."""
    account, day = WORLD.account_ids[0], TODAY - ONE_DAY * 20
    zone = Zone(harvested.folder, "zstd")
    source = zone.partition(account, str(TODAY - ONE_DAY))
    moved = zone.partition(account, str(day))
    moved.parent.mkdir(parents=True)
    moved.write_bytes(source.read_bytes())
    note = harvested.folder / "dt=notes"
    note.touch()
    found = look(harvested.assignment, HEAL)
    assert (found.kinds, found.healed) == ({Kind.FOREIGN: 2}, Healed(days=1, accounts=1))
    assert note.exists()
    note.unlink()
    await run(harvested.assignment)
    assert look(harvested.assignment).sound
    assert differences(window_of(harvested.assignment, 7), WORLD) == {}


async def test_only_enabled_accounts_are_queued(harvested: Harvested) -> None:
    """What is wrong with an account that the config does not have is named, and left."""
    gone = harvested.files()[0]
    gone.unlink()
    account = AccountId(int(gone.parent.name.removeprefix("account_id=")))
    others = [one for one in harvested.assignment.fleet if one != account]
    found = look(replace(harvested.assignment, fleet=others), HEAL)
    assert (found.cures, found.healed) == ({Cure.OTHER_CONFIG: 1}, Healed())


async def test_an_unmounted_disk_is_not_healed(harvested: Harvested) -> None:
    """When no day at all is there, nothing is queued: all that was ever read would be."""
    for path in harvested.folder.glob("dt=*"):
        path.rename(harvested.folder / f"away-{path.name}")
    assert look(harvested.assignment).kinds[Kind.MISSING] > 20
    with pytest.raises(StorageError, match=r"holds no day at all.*Nothing was changed"):
        look(harvested.assignment, HEAL)
    with Ledger.open(harvested.assignment.state_dir) as ledger:
        assert ledger.queued() == {}


async def test_every_finding_or_the_first_ones(harvested: Harvested) -> None:
    """All findings are remembered only when all are asked for."""
    for path in harvested.files():
        path.unlink()
    assert len(look(harvested.assignment).findings[Kind.MISSING]) == 20
    every = look(harvested.assignment, Orders(all_findings=True)).findings[Kind.MISSING]
    assert len(every) == look(harvested.assignment).kinds[Kind.MISSING] > 20


async def test_a_run_is_going(harvested: Harvested) -> None:
    """Verifying waits for nobody: it is told who holds the ledger, or the zone, and touches nothing."""
    with Ledger.open(harvested.assignment.state_dir), pytest.raises(LockedError, match="pid"):
        look(harvested.assignment)
    with Zone(harvested.folder, "zstd").held():
        for orders in (Orders(), HEAL, REBUILD):
            with pytest.raises(LockedError, match="pid"):
                look(harvested.assignment, orders)
    assert look(harvested.assignment).sound


async def test_what_a_dead_run_was_publishing_is_finished_first(harvested: Harvested) -> None:
    """The files of an intended publication are put in place, and its checkpoints are left to the next run."""
    account, day = WORLD.account_ids[0], TODAY
    zone = Zone(harvested.folder, "zstd")
    fresh = Gathered.of([Run(Calls.of([call("1", f"{day} 01:00:00")]))])
    change = prepare(zone, Reading(account=account, day=day, gathered=fresh, complete=False))
    intended = Publication(
        run_id="dead", account_id=account, first_day=day, last_day=day, status=Status.COMPLETE, read_on=day,
        days=(change,),
    )  # fmt: skip
    other = WORLD.account_ids[1]
    (zone.scratch / "dead.part").write_bytes(b"x" * 10)
    checkpoint = Checkpoint(
        account_id=other, first_day=day, last_day=day, part="dead.part", size_bytes=10, calls=1, state=b"?",
        read_on=day, at=datetime.fromtimestamp(NOW_S, BEIJING),
    )  # fmt: skip
    with Ledger.open(harvested.assignment.state_dir) as ledger:
        ledger.intend(intended)
        ledger.save_checkpoint(checkpoint)
        ledger.save_checkpoint(structs.replace(checkpoint, first_day=day - ONE_DAY, last_day=day - ONE_DAY))
    found = look(harvested.assignment)
    assert found.sound
    assert zone.partition(account, str(day)).exists()
    walking = Walking(window=Window(day, day), calls=1, since=day, saved_at="2026-03-15T02:00:00+08:00")
    before = replace(walking, window=Window(day - ONE_DAY, day - ONE_DAY))
    standings = {one.account_id: one for one in status(harvested.assignment).accounts}
    assert (standings[other].walking, standings[account].walking) == ((before, walking), ())
    with Ledger.open(harvested.assignment.state_dir) as ledger:
        assert ledger.intended() == []
        assert [one.part for one in ledger.checkpoints()] == ["dead.part"] * 2
    (zone.scratch / "dead.part").unlink()
    assert look(harvested.assignment, HEAL).healed == Healed(checkpoints=2)
    assert look(harvested.assignment).sound


async def test_a_damaged_ledger_is_rebuilt(harvested: Harvested) -> None:
    """From the landing zone alone: afterwards all is sound, and the next run changes no file."""
    before = snapshot(harvested.folder)
    harvested.ledger.write_bytes(harvested.ledger.read_bytes()[:5000])
    for orders in (Orders(), HEAL):
        with pytest.raises(StorageError, match="--rebuild"):
            look(harvested.assignment, orders)
    found = look(harvested.assignment, REBUILD)
    assert found.sound
    assert found.rebuilt
    assert (found.rebuilt.partitions, found.rebuilt.complete) == (len(harvested.files()), 4 * 7)
    assert "ledger.sqlite.20260315T020000" in (found.rebuilt.aside or "")
    assert status(harvested.assignment).incomplete == 0
    report = await run(harvested.assignment)
    assert (report.complete, report.new, report.changed) == (True, 0, 0)
    assert {path: time for path, time in snapshot(harvested.folder).items() if "_COMPLETE" not in path.name} == {
        path: time for path, time in before.items() if "_COMPLETE" not in path.name
    }


async def test_rebuilt_and_healed_at_once(harvested: Harvested) -> None:
    """With a lost ledger and a damaged file, two commands bring everything back."""
    harvested.ledger.unlink()
    damaged = harvested.files()[0]
    damaged.write_bytes(b"noise")
    found = look(harvested.assignment, Orders(rebuild=True, heal=True))
    assert found.kinds == {Kind.DAMAGED: 1, Kind.MARK: 1}
    assert found.healed == Healed(days=1, accounts=1, marks=1)
    assert not mark_of(Zone(harvested.folder, "zstd"), TODAY - ONE_DAY * 7).exists()
    assert (await run(window_of(harvested.assignment, 1))).complete
    assert differences(harvested.assignment, WORLD) == {}
    assert look(harvested.assignment).sound


async def test_a_sound_ledger_is_not_rebuilt(harvested: Harvested) -> None:
    """It would lose evidence: a usage error, and everything stays."""
    before = harvested.ledger.read_bytes()
    with pytest.raises(ConfigError, match="nothing is wrong with the ledger") as caught:
        look(harvested.assignment, REBUILD)
    assert caught.value.exit_code is ExitCode.USAGE
    assert harvested.ledger.read_bytes() == before


async def test_a_lost_ledger_is_not_taken_for_a_new_one(harvested: Harvested) -> None:
    """A landing zone without a ledger is an error that says what to do, and no ledger is made."""
    harvested.ledger.unlink()
    with pytest.raises(StorageError, match=r"there is no ledger in .*--rebuild"):
        look(harvested.assignment)
    assert not harvested.ledger.exists()


async def test_before_the_first_run(tmp_path: Path) -> None:
    """There is nothing to verify and no state to tell; both leave no trace."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path / "landing")
    found, state = look(assignment), status(assignment)
    assert (found.sound, found.ledger) == (True, False)
    assert (state.there, state.incomplete, len(state.accounts)) == (False, 4, 4)
    assert not list(tmp_path.iterdir())


async def test_gaps_are_looked_up_of_those_that_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of accounts that lack days cost little, unless every gap is asked for."""
    monkeypatch.setattr("harvester.harvest.inspect.ACCOUNTS_SHOWN", 1)
    Ledger.open(tmp_path / ".harvester").close()
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
    week = (last_days(7),)
    assert [one.gaps for one in status(assignment).accounts] == [week, None, None, None]
    assert [one.gaps for one in status(assignment, every_gap=True).accounts] == [week] * 4


async def test_status_tells_who_lacks_what(tmp_path: Path) -> None:
    """Per account: complete through which day, gaps and the last failure; whoever lacks most comes first."""
    dead, late = WORLD.account_ids[2], WORLD.account_ids[1]
    async with sandbox(WORLD, Switches(account_codes={dead: 12201})) as served:
        assignment = assign(served, tmp_path)
        await run(assignment)
        earlier = Window(TODAY - ONE_DAY * 12, TODAY - ONE_DAY * 10)
        scope = replace(assignment.scope, window=earlier)
        one = [account for account in assignment.accounts if account.id == late]
        await run(replace(assignment, scope=scope, accounts=one))
    with Ledger.open(assignment.state_dir):
        state = status(assignment)
    assert [one.account_id for one in state.accounts[:2]] == [dead, late]
    nothing, gap, *whole = state.accounts
    assert (nothing.through, nothing.complete, nothing.gaps) == (None, 0, (last_days(7),))
    assert nothing.failure
    assert "12201" in (nothing.failure.reason or "")
    assert (gap.through, gap.complete) == (earlier.end, 10)
    assert gap.gaps == (Window(TODAY - ONE_DAY * 9, TODAY - ONE_DAY * 8),)
    assert all(one.through == TODAY - ONE_DAY and one.gaps == () for one in whole)
    assert state.incomplete == 2
    fewer = replace(assignment, accounts=assignment.accounts[:1])
    assert status(fewer).others == 2

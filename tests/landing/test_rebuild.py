import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from harvester.errors import StorageError
from harvester.inspection import Rebuilt
from harvester.landing.ledger import Known
from harvester.landing.ledger.database import ledger_of
from harvester.landing.ledger.overview import Overview
from harvester.landing.marks import mark_of
from harvester.landing.partition import Zone
from harvester.landing.upkeep import rebuild as rebuilding
from harvester.landing.upkeep import survey as surveys
from harvester.landing.upkeep.rebuild import rebuild, why_rebuild
from harvester.model import AccountId
from tests.landing.scene import BUSY, CALLS, FIRST, QUIET, SECOND, THIRD, Scene, scene

STRANGER = AccountId(99)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound landing zone, left alone."""
    with scene(tmp_path):
        return tmp_path


@contextlib.contextmanager
def changed(folder: Path) -> Iterator[Scene]:
    """The zone, for changes."""
    with Overview.open(folder / ".harvester") as ledger:
        yield Scene(folder, ledger)


def everything(state_dir: Path) -> dict[tuple[AccountId, str], Known]:
    """All that a ledger knows."""
    with Overview.open(state_dir) as ledger:
        return {(account, str(day)): known for day in ledger.days() for account, known in ledger.on(day).items()}


def rebuilt(folder: Path) -> Rebuilt:
    """Rebuilds, whatever the ledger is like."""
    return rebuild(Zone(folder, "zstd"), folder / ".harvester", (BUSY, QUIET), "why", "20240305T013000")


def test_the_new_ledger_knows_what_the_old_one_knew(folder: Path) -> None:
    """From files and marks alone every day comes back: counts, digests, completeness, also days without calls."""
    before = everything(folder / ".harvester")
    done = rebuilt(folder)
    assert everything(folder / ".harvester") == before
    aside = str(folder / ".harvester" / "ledger.sqlite.20240305T013000")
    assert done == Rebuilt(why="why", aside=aside, partitions=4, calls=4 * CALLS, complete=6)
    with contextlib.closing(sqlite3.connect(aside)) as old:
        assert old.execute("SELECT count(*) FROM days").fetchone() == (6,)
    assert not (folder / ".harvester" / "rebuilding").exists()


def test_days_without_a_mark_are_not_complete(folder: Path) -> None:
    """Their files are taken over; days without calls are not known at all."""
    mark_of(Zone(folder, "zstd"), SECOND).unlink()
    done = rebuilt(folder)
    known = everything(folder / ".harvester")
    assert (BUSY, str(SECOND)) in known
    assert not known[BUSY, str(SECOND)].complete
    assert (QUIET, str(SECOND)) not in known
    assert (done.complete, done.unproven, done.unproven_since, done.queued) == (4, 1, SECOND, 0)


def test_the_mark_of_another_day_proves_nothing(folder: Path) -> None:
    """A mark that was copied says nothing of the day that it lies on."""
    zone = Zone(folder, "zstd")
    mark_of(zone, SECOND).write_bytes(mark_of(zone, FIRST).read_bytes())
    assert rebuilt(folder).complete == 4


def test_what_cannot_be_relied_on_is_queued(folder: Path) -> None:
    """Damaged files, and days with two files, are read again by the next run; nothing of them is taken over."""
    with changed(folder) as zone:
        zone.path(BUSY, FIRST).write_bytes(b"noise")
        zone.write(BUSY, SECOND, suffix=".gz")
        zone.write(STRANGER, THIRD).write_bytes(b"noise")
    done = rebuilt(folder)
    known = everything(folder / ".harvester")
    queued = {key for key, what in known.items() if what.queued}
    assert queued == {(BUSY, str(FIRST)), (BUSY, str(SECOND))}
    assert all(known[key] == Known(0, complete=False, queued=True) for key in queued)
    assert (STRANGER, str(THIRD)) not in known
    assert (done.queued, done.complete, done.partitions) == (2, 4, 2)


def test_sound_files_of_other_accounts_are_taken_over(folder: Path) -> None:
    """What landed once stays known, though the config has the account no more."""
    with changed(folder) as zone:
        zone.write(STRANGER, FIRST - timedelta(1))
    done = rebuilt(folder)
    known = everything(folder / ".harvester")[STRANGER, str(FIRST - timedelta(1))]
    assert (known.calls, known.in_file, known.complete, known.queued) == (CALLS, CALLS, False, False)
    assert done.unproven_since == FIRST - timedelta(1)


def test_a_file_that_is_gone_is_not_taken_for_a_day_without_calls(folder: Path) -> None:
    """When fewer files are there than the mark counted, every account without one is read again."""
    with changed(folder) as zone:
        zone.path(BUSY, SECOND).unlink()
        zone.fleet = (BUSY,)
    rebuild(Zone(folder, "zstd"), folder / ".harvester", (BUSY,), "why", "20240305T013000")
    known = everything(folder / ".harvester")
    assert known[BUSY, str(SECOND)] == Known(0, complete=False, queued=True)
    assert (QUIET, str(SECOND)) not in known
    assert known[QUIET, str(THIRD)] == Known(0, complete=True, in_file=0)


def test_a_file_that_the_disk_does_not_give_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queueing it would end each night's run: `verify` names it."""

    def fails(path: Path) -> bytes:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(surveys, "digest_of", fails)
    assert rebuilt(folder).queued == 0


def test_many_days_are_written_as_they_come(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all of a large zone is held in memory, and the result is the same."""
    before = everything(folder / ".harvester")
    monkeypatch.setattr(rebuilding, "_DAYS_HELD", 2)
    rebuilt(folder)
    assert everything(folder / ".harvester") == before


def test_killed_while_it_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old ledger is untouched until the new one is whole, and what was left is no hindrance."""
    before = everything(folder / ".harvester")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "set_aside", dies)
        with pytest.raises(KeyboardInterrupt):
            rebuilt(folder)
    assert everything(folder / ".harvester") == before
    assert rebuilt(folder).partitions == 4
    assert everything(folder / ".harvester") == before


def test_no_old_ledger(folder: Path) -> None:
    """A ledger that is gone is not set aside."""
    before = everything(folder / ".harvester")
    ledger_of(folder / ".harvester").unlink()
    assert rebuilt(folder).aside is None
    assert everything(folder / ".harvester") == before


def falsify(path: Path) -> None:
    """Changes a value of one day, as a flipped bit would."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA ignore_check_constraints = 1")
        database.execute("UPDATE days SET in_file = in_file + 1 WHERE day = 1 + (SELECT min(day) FROM days)")
        database.commit()


def newer(path: Path) -> None:
    """Makes it one of a harvester to come."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 9")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda path: path.write_bytes(b""), r"^the ledger .*ledger\.sqlite is damaged \(it is empty\)$"),
        (lambda path: path.write_bytes(b"x" * 5000), r"^the ledger .*ledger\.sqlite is damaged \(.*not a database\)$"),
        (falsify, r"^the ledger .*ledger\.sqlite is damaged \(a day is not as it was written\)$"),
        (newer, r"ledger\.sqlite is of schema 9, this harvester knows \d+$"),
        (Path.unlink, r"^there was no ledger in .*\.harvester$"),
    ],
    ids=["empty", "noise", "falsified", "newer", "gone"],
)
def test_why_a_ledger_is_rebuilt(harm: Callable[[Path], object], why: str, folder: Path) -> None:
    """What is wrong with it is told, without advice that is being taken just now."""
    harm(ledger_of(folder / ".harvester"))
    assert re.search(why, why_rebuild(folder / ".harvester") or "")


def test_a_sound_ledger_is_not_rebuilt(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is wrong with one that knows days; one that knows none knows less than the landing zone."""
    assert why_rebuild(folder / ".harvester") is None
    empty = tmp_path_factory.mktemp("empty")
    Overview.open(empty).close()
    assert why_rebuild(empty) == f"the ledger {empty / 'ledger.sqlite'} knew of no day"


def test_a_ledger_that_the_disk_does_not_give(folder: Path) -> None:
    """What is no damage is an error, and nothing is rebuilt."""
    ledger_of(folder / ".harvester").unlink()
    ledger_of(folder / ".harvester").mkdir()
    with pytest.raises(StorageError, match=r"ledger\.sqlite"):
        why_rebuild(folder / ".harvester")

import errno
from datetime import date, datetime
from pathlib import Path

import msgspec
import orjson
import pytest

from harvester.errors import StorageError
from harvester.landing.ledger import Known, Ledger
from harvester.landing.marks import NAME, Mark, Marks, mark_of, read_mark
from harvester.landing.partition import Zone
from harvester.landing.publication import DayChange, Publication
from harvester.model import BEIJING, AccountId, Receipt, Status, Window
from tests.landing.disk import Disk
from tests.landing.helpers import DAYS, NIGHT, files_under, identity, zone_at

D = [date.fromisoformat(day) for day in DAYS]
WINDOW = Window(D[0], D[1])
ONE, TWO, STRANGER = AccountId(1), AccountId(2), AccountId(3)
FLEET = (TWO, ONE)


@pytest.fixture
def zone(tmp_path: Path) -> Zone:
    """A landing zone that is ready."""
    return zone_at(tmp_path)


def marks_of(zone: Zone, ledger: Ledger, fleet: tuple[AccountId, ...] = FLEET, run_id: str = "run-1") -> Marks:
    """The marks of a run that has begun."""
    marks = Marks(zone, ledger, run_id, NIGHT.timestamp, fleet)
    marks.set_right(WINDOW)
    return marks


def commit(
    ledger: Ledger, marks: Marks | None, whose: AccountId, *days: date, complete: bool = True, in_file: int = 5
) -> None:
    """Reads these days of an account, as the writer does but for the files."""
    window = Window(min(days), max(days))
    for day in days if in_file else ():
        path = Zone(ledger.path.parents[1], "zstd").partition(whose, day.isoformat())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    before = {day: one.complete for day, one in ledger.known(window, [whose]).get(whose, {}).items()}
    changes = tuple(DayChange(day=day, path="p", complete=complete, calls=7, in_file=in_file) for day in days)
    publication = Publication(
        run_id="run-1", account_id=whose, first_day=window.start, last_day=window.end, status=Status.COMPLETE,
        receipt=Receipt(requests=1, read=7, distinct=7, counted=7), read_on=NIGHT.date(), days=changes,
    )  # fmt: skip
    if marks:
        marks.expect(days)
    ledger.commit(publication, NIGHT)
    if marks:
        marks.account_committed(whose, before, dict.fromkeys(days, complete))


def marked(zone: Zone) -> list[str]:
    """The days that have a mark."""
    return [day for day in DAYS if mark_of(zone, date.fromisoformat(day)).exists()]


def test_mark_of_the_last_account(zone: Zone, ledger: Ledger) -> None:
    """A day is marked when its last account is complete, not before, and other days are not."""
    marks = marks_of(zone, ledger)
    commit(ledger, marks, ONE, D[0], D[1])
    assert marked(zone) == []
    commit(ledger, marks, TWO, D[0], in_file=0)
    assert marked(zone) == [DAYS[0]]
    path = zone.root / f"dt={DAYS[0]}" / "_COMPLETE.json"
    assert mark_of(zone, D[0]) == path
    assert path.read_bytes().endswith(b"}\n")
    assert orjson.loads(path.read_bytes()) == {
        "day": DAYS[0], "accounts": [1, 2], "files": 1, "calls": 5, "run_id": "run-1",
        "at": "2024-03-05T01:30:00+08:00",
    }  # fmt: skip
    assert read_mark(path) == Mark(
        day=D[0], accounts=[ONE, TWO], files=1, calls=5, run_id="run-1", at=datetime(2024, 3, 5, 1, 30, tzinfo=BEIJING)
    )
    assert files_under(zone.scratch) == set()


def test_mark_counts_files(zone: Zone, ledger: Ledger) -> None:
    """A mark says how many files its accounts have and how many calls are in them, strangers' not counted."""
    marks = marks_of(zone, ledger)
    commit(ledger, marks, STRANGER, D[0], in_file=1000)
    commit(ledger, marks, ONE, D[0], in_file=3)
    commit(ledger, marks, TWO, D[0], in_file=4)
    mark = read_mark(mark_of(zone, D[0]))
    assert mark is not None
    assert (mark.files, mark.calls) == (2, 7)


def test_days_that_are_not_complete(zone: Zone, ledger: Ledger) -> None:
    """A reading that proves nothing marks nothing, and one that takes proof away takes the account away."""
    marks = marks_of(zone, ledger)
    commit(ledger, marks, ONE, D[0], complete=False)
    commit(ledger, marks, TWO, D[0])
    assert marked(zone) == []
    commit(ledger, marks, TWO, D[0], complete=False)
    commit(ledger, marks, ONE, D[0])
    assert marked(zone) == []
    commit(ledger, marks, TWO, D[0])
    assert marked(zone) == [DAYS[0]]


def test_accounts_outside_of_the_fleet(zone: Zone, ledger: Ledger) -> None:
    """An account that is not enabled neither completes a day nor holds it up, read before or now."""
    commit(ledger, None, STRANGER, D[0])
    marks = marks_of(zone, ledger)
    commit(ledger, marks, STRANGER, D[0], D[1])
    commit(ledger, marks, ONE, D[0], D[1])
    assert marked(zone) == []
    commit(ledger, marks, STRANGER, D[0], complete=False)
    commit(ledger, marks, TWO, D[0])
    assert marked(zone) == [DAYS[0]]


def test_the_same_account_again(zone: Zone, ledger: Ledger) -> None:
    """An account that is read twice counts once."""
    marks = marks_of(zone, ledger)
    for _ in range(3):
        commit(ledger, marks, ONE, D[0])
    assert marked(zone) == []


def test_day_read_again(zone: Zone, ledger: Ledger) -> None:
    """A day that is read again and does not change keeps its mark, byte by byte, in this run and in the next."""
    marks = marks_of(zone, ledger)
    for whose in FLEET:
        commit(ledger, marks, whose, D[0])
    before = identity(mark_of(zone, D[0]))
    for run in ("run-1", "run-2"):
        marks = marks_of(zone, ledger, run_id=run)
        for whose in FLEET:
            commit(ledger, marks, whose, D[0])
        marks.finish()
        assert identity(mark_of(zone, D[0])) == before


def test_withdrawn_until_the_end(zone: Zone, ledger: Ledger) -> None:
    """A mark that was withdrawn comes back at the run's end, not with the next account, and says what is so then."""
    marks = marks_of(zone, ledger)
    for whose in FLEET:
        commit(ledger, marks, whose, D[0], D[1])
    assert marked(zone) == list(DAYS[:2])
    marks = marks_of(zone, ledger, run_id="run-2")
    marks.withdraw([D[0]])
    assert marked(zone) == [DAYS[1]]
    commit(ledger, marks, ONE, D[0], complete=False)
    commit(ledger, marks, ONE, D[0], in_file=9)
    assert marked(zone) == [DAYS[1]]
    kept = identity(mark_of(zone, D[1]))
    marks.finish()
    mark = read_mark(mark_of(zone, D[0]))
    assert mark is not None
    assert (mark.run_id, mark.calls) == ("run-2", 14)
    assert identity(mark_of(zone, D[1])) == kept


def test_touched_without_a_mark(zone: Zone, ledger: Ledger) -> None:
    """A day that had no mark when it was touched is marked with its last account, and left alone at the run's end."""
    marks = marks_of(zone, ledger)
    for whose in FLEET:
        assert marked(zone) == []
        marks.withdraw([D[0]])
        commit(ledger, marks, whose, D[0])
    before = identity(mark_of(zone, D[0]))
    marks.finish()
    assert identity(mark_of(zone, D[0])) == before


def test_withdrawn_and_not_complete(zone: Zone, ledger: Ledger) -> None:
    """A day that was withdrawn and did not become complete again stays without a mark."""
    marks = marks_of(zone, ledger)
    for whose in FLEET:
        commit(ledger, marks, whose, D[0])
    marks.withdraw([D[0], D[2]])
    commit(ledger, marks, ONE, D[0], complete=False)
    marks.finish()
    assert marked(zone) == []


def test_withdrawn_and_half_published(zone: Zone, ledger: Ledger) -> None:
    """A day that a failed publication will still change gets no mark at the run's end: the next run finishes first."""
    marks = marks_of(zone, ledger)
    for whose in FLEET:
        commit(ledger, marks, whose, D[0], D[1])
    marks.withdraw([D[0], D[1]])
    ledger.intend(
        Publication(
            run_id="run-1", account_id=ONE, first_day=D[0], last_day=D[0], status=Status.COMPLETE, read_on=NIGHT.date()
        )
    )
    marks.finish()
    assert marked(zone) == [DAYS[1]]


def test_withdrawing_is_durable(zone: Zone, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark is gone from the disk before the days that it spoke of are touched; days without one cost nothing."""
    marks = marks_of(zone, ledger)
    for whose in FLEET:
        commit(ledger, marks, whose, D[0])
    disk = Disk(monkeypatch)
    marks.withdraw([D[0], D[1]])
    assert disk.steps == [f"unlink {NAME}", f"fsync dt={DAYS[0]}", "passed marks withdrawn"]


def test_days_outside_of_the_window(zone: Zone, ledger: Ledger) -> None:
    """A day that is read though it is not in the run's window is marked and withdrawn like any other."""
    commit(ledger, None, ONE, D[2])
    marks = marks_of(zone, ledger)
    commit(ledger, marks, TWO, D[2])
    assert marked(zone) == [DAYS[2]]
    marks = marks_of(zone, ledger)
    marks.withdraw([D[2]])
    commit(ledger, marks, ONE, D[2])
    commit(ledger, marks, TWO, D[2], complete=False)
    assert marked(zone) == []
    commit(ledger, marks, TWO, D[2])
    assert marked(zone) == []
    marks.finish()
    assert marked(zone) == [DAYS[2]]


def test_queued_days(zone: Zone, ledger: Ledger) -> None:
    """A queued day that is complete again is marked with it, though others of the fleet were complete all along."""
    for whose in FLEET:
        commit(ledger, None, whose, D[0], D[2])
    ledger.queue(TWO, [D[0], D[2]])
    marks = marks_of(zone, ledger)
    assert marked(zone) == []
    commit(ledger, marks, TWO, D[0], D[2])
    assert marked(zone) == [DAYS[0], DAYS[2]]


def test_set_right(zone: Zone, ledger: Ledger) -> None:
    """What a dead run left undone is made good: marks that are missing are made, those that are wrong are withdrawn."""
    for whose in FLEET:
        commit(ledger, None, whose, D[0])
    for day in D[1:]:
        mark_of(zone, day).parent.mkdir()
        mark_of(zone, day).write_bytes(b"{}")
    marks_of(zone, ledger)
    assert marked(zone) == [DAYS[0], DAYS[2]]  # the last one is outside of the window


@pytest.mark.parametrize("fleet", [(ONE, TWO, STRANGER), (ONE,), ()])
def test_fleet_that_changed(fleet: tuple[AccountId, ...], zone: Zone, ledger: Ledger) -> None:
    """When accounts were added the mark goes until they are complete, too; when some left it is made anew."""
    marks = marks_of(zone, ledger)
    for whose in FLEET:
        commit(ledger, marks, whose, D[0])
    marks = marks_of(zone, ledger, fleet)
    mark = read_mark(mark_of(zone, D[0]))
    assert (mark.accounts if mark else None) == ([ONE] if fleet == (ONE,) else None)
    if STRANGER in fleet:
        commit(ledger, marks, STRANGER, D[0])
        assert marked(zone) == [DAYS[0]]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"day":"\xff"}'])
def test_mark_that_cannot_be_read(content: bytes, zone: Zone, ledger: Ledger) -> None:
    """A mark that cannot be read is made anew."""
    marks = marks_of(zone, ledger)
    for whose in FLEET:
        commit(ledger, marks, whose, D[0])
    path = mark_of(zone, D[0])
    path.write_bytes(content)
    assert read_mark(path) is None
    marks_of(zone, ledger, run_id="run-2")
    mark = read_mark(path)
    assert mark is not None
    assert mark.run_id == "run-2"


def test_marks_that_cannot_be_changed(zone: Zone, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that cannot be made or withdrawn is an error of storage that names it, and half a mark is never seen."""
    for whose in FLEET:
        commit(ledger, None, whose, D[0])
    with monkeypatch.context() as patch:
        Disk(patch, 1, OSError(errno.ENOSPC, "full"))
        with pytest.raises(StorageError, match=r"cannot write .*_COMPLETE\.json: full\. Free some space"):
            marks_of(zone, ledger)
    assert (marked(zone), files_under(zone.scratch)) == ([], set())
    marks = marks_of(zone, ledger)
    Disk(monkeypatch, 0, OSError(errno.EROFS, "read-only"))
    with pytest.raises(StorageError, match=r"cannot withdraw .*_COMPLETE\.json: read-only"):
        marks.withdraw([D[0]])


def test_mark_on_the_disk(zone: Zone, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark is whole and durable before its step is passed."""
    commit(ledger, None, ONE, D[0])
    marks = marks_of(zone, ledger)
    disk = Disk(monkeypatch)
    commit(ledger, marks, TWO, D[0], in_file=0)
    made = [step for step in disk.steps if not step.endswith(".tmp")]
    assert made == [f"replace {NAME}", f"fsync dt={DAYS[0]}", "passed day marked"]
    assert msgspec.json.decode(mark_of(zone, D[0]).read_bytes(), type=Mark).day == D[0]


def test_marks_that_a_dead_run_did_not_make(zone: Zone, ledger: Ledger) -> None:
    """A day outside of the window gets the mark that it lacks once all are complete; marks that are there stay."""
    commit(ledger, None, ONE, D[1], D[2])
    commit(ledger, None, TWO, D[2])
    marks = marks_of(zone, ledger)
    marks.make_up()
    assert marked(zone) == [DAYS[2]]
    before = identity(mark_of(zone, D[2]))
    marks.make_up()
    assert identity(mark_of(zone, D[2])) == before


def test_mark_of_an_older_ledger(zone: Zone, ledger: Ledger) -> None:
    """Where the ledger does not know what is in the files, the mark does not say so either."""
    ledger.take_over(ONE, {D[0]: Known(5, complete=True)})
    ledger.take_over(TWO, {D[0]: Known(0, complete=True, in_file=0)})
    marks_of(zone, ledger)
    mark = read_mark(mark_of(zone, D[0]))
    assert mark is not None
    assert (mark.files, mark.calls) == (None, None)

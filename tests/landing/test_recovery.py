import contextlib
import logging
import shutil
from datetime import date
from pathlib import Path

import pytest

from harvester.calls import Call
from harvester.errors import StorageError
from harvester.landing.ledger import Ledger
from harvester.landing.partition import Zone
from harvester.landing.publication import DayChange, Publication
from harvester.landing.publish import prepare
from harvester.landing.recovery import clear_remains, finish_publications
from harvester.landing.writer import Landing
from harvester.model import Receipt, Status
from tests.landing.disk import Died, Disk
from tests.landing.helpers import (
    ACCOUNT,
    DAYS,
    NIGHT,
    SLICE,
    account,
    call,
    files_under,
    identity,
    landed,
    landing_in,
    reading,
    rows_of,
    slice_of,
)

A, B, C = (call(key, f"{day} 00:00:00") for key, day in zip("abc", DAYS, strict=True))
LATE = call("a", A.start, url="late")
RECEIPT = Receipt(requests=1, read=3, distinct=3, counted=3)


@pytest.fixture
def landing(tmp_path: Path, ledger: Ledger) -> Landing:
    """Where the run after the crash works."""
    return landing_in(tmp_path, ledger, run_id="run-2")


def publication(*days: DayChange) -> Publication:
    """The end of a slice that a dead run was publishing."""
    return Publication(
        run_id="run-1", account_id=ACCOUNT.id, first_day=SLICE.window.start, last_day=SLICE.window.end,
        status=Status.COMPLETE, receipt=RECEIPT, read_on=NIGHT.date(), days=days,
    )  # fmt: skip


def intend(landing: Landing, *some: Call, drop: bool = False) -> Publication:
    """What a dead run does before it dies."""
    days = [
        prepare(landing.zone, reading(*(one for one in some if one.day == day), day=day, drop=drop)) for day in DAYS
    ]
    landing.ledger.intend(publication(*days))
    return publication(*days)


def files(zone: Zone) -> list[list[Call]]:
    """What lies in the slice's days."""
    return [landed(zone, day) for day in DAYS]


def publish(landing: Landing, *some: Call) -> None:
    """Lands calls before it all begins."""
    intend(landing, *some)
    finish_publications(landing)


def test_nothing_to_finish(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no run died nothing is done."""
    disk = Disk(monkeypatch)
    finish_publications(landing)
    assert disk.steps == []
    assert rows_of(landing.ledger, "receipts") == []


def test_publication_is_finished(landing: Landing, caplog: pytest.LogCaptureFixture) -> None:
    """What was intended is done and committed, as the dead run would have, and that is said."""
    caplog.set_level(logging.INFO)
    intended = intend(landing, A, B)
    finish_publications(landing)
    assert files(landing.zone) == [[A], [B], []]
    known = landing.ledger.known(SLICE.window, [ACCOUNT.id])[ACCOUNT.id]
    assert [(one.calls, one.complete, one.in_file) for one in known.values()] == [
        (1, True, 1),
        (1, True, 1),
        (0, True, 0),
    ]
    assert [one.digest for one in known.values()] == [day.digest for day in intended.days]
    assert [(row["run_id"], row["landed"], row["new"]) for row in rows_of(landing.ledger, "receipts")] == [
        ("run-1", 2, 2)
    ]
    assert landing.ledger.intended() == []
    assert "the last run died while it was publishing; that is finished now" in caplog.text


def test_finishing_is_committed_once(landing: Landing) -> None:
    """However often it is finished, what it brought is counted once."""
    intend(landing, A, B)
    for _ in range(3):
        finish_publications(landing)
    assert sorted((row["age"], row["days"], row["new"]) for row in rows_of(landing.ledger, "arrivals")) == [
        (4, 1, 0), (5, 1, 1), (6, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("drop", [True, False])
def test_killed_while_finishing(drop: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any step of finishing, and at any step of finishing that, everything comes to be as intended, once."""

    def begun(name: str) -> Path:
        root = tmp_path / name
        with Ledger.open(root / ".harvester") as ledger:
            landing = landing_in(root, ledger)
            publish(landing, A, B, C)
            intend(landing, LATE, B, drop=drop)
        return root

    def finished(root: Path) -> tuple[object, ...]:
        with Ledger.open(root / ".harvester") as ledger:
            landing = landing_in(root, ledger)
            finish_publications(landing)
            known = ledger.known(SLICE.window, [ACCOUNT.id])
            return files(landing.zone), known, rows_of(ledger, "arrivals"), ledger.intended()

    root = begun("undisturbed")
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        expected = finished(root)
    for at in range(len(disk.steps)):
        root = begun(str(at))
        for once_more in (at, at // 2):
            with monkeypatch.context() as patch, contextlib.suppress(Died):
                Disk(patch, once_more, Died())
                finished(root)
        assert finished(root) == expected
        shutil.rmtree(root)


def test_staged_file_that_is_lost(landing: Landing) -> None:
    """When staged files are lost their days are as they were and not complete; the others are, and the run begins."""
    publish(landing, A)
    change = intend(landing, LATE, B, C)
    assert change.days[0].staged
    assert change.days[1].staged
    (landing.zone.scratch / change.days[0].staged).unlink()
    shutil.rmtree(landing.zone.scratch / change.days[1].staged)
    finish_publications(landing)
    assert files(landing.zone) == [[A], [], [C]]
    known = list(landing.ledger.known(SLICE.window, [ACCOUNT.id])[ACCOUNT.id].values())
    assert [(one.complete, one.in_file) for one in known] == [(False, 1), (False, 0), (True, 1)]
    assert known[0].digest is not None
    assert known[1].digest is None


def test_file_that_somebody_changed(landing: Landing) -> None:
    """A file that is not what was prepared, whyever, is taken for not complete, with what is in it."""
    change = intend(landing, A, B, C)
    path = landing.zone.root / change.days[1].path
    finish_publications(landing)
    landing.ledger.intend(change)
    path.write_bytes(b"garbage")
    finish_publications(landing)
    known = list(landing.ledger.known(SLICE.window, [ACCOUNT.id])[ACCOUNT.id].values())
    assert [(one.complete, one.in_file) for one in known] == [(True, 1), (False, 0), (True, 1)]


def test_file_that_was_not_to_change(landing: Landing) -> None:
    """A day that was not to change is not even looked at."""
    publish(landing, A, B)
    intend(landing, A, B, C)
    before = identity(landing.zone.partition(ACCOUNT.id, DAYS[0]))
    finish_publications(landing)
    assert identity(landing.zone.partition(ACCOUNT.id, DAYS[0])) == before


def test_folders_that_are_gone(landing: Landing) -> None:
    """When a day's whole folder was removed by hand meanwhile, a publication that would empty it is finished."""
    publish(landing, A, B, C)
    intend(landing, drop=True)
    shutil.rmtree(landing.zone.root / f"dt={DAYS[0]}")
    finish_publications(landing)
    assert files(landing.zone) == [[], [], []]


def test_publication_that_cannot_be_read(landing: Landing, caplog: pytest.LogCaptureFixture) -> None:
    """When it cannot be read what was intended, the slice's days are queued and not complete, others are finished."""
    publish(landing, A, B, C)
    intend(landing, LATE, B, C)
    landing.ledger._db.execute("UPDATE publications SET digest = x'00'")
    finish_publications(landing)
    assert landing.ledger.queued() == {ACCOUNT.id: set(SLICE.window)}
    assert landing.ledger.complete_days(SLICE.window, [ACCOUNT.id]) == {}
    assert landing.ledger.intended() == []
    assert files(landing.zone) == [[A], [B], [C]]
    assert "what was being published cannot be read; its days are read again" in caplog.text
    clear_remains(landing)
    assert files_under(landing.zone.scratch) == set()


def test_finishing_that_fails(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails while it is finished is an error of storage; it is finished when the disk is well again."""
    intend(landing, A, B, C)
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        disk.fail_at = 1
        disk.error = OSError(5, "broken")
        with pytest.raises(StorageError, match=r"cannot publish .*broken"):
            finish_publications(landing)
    assert len(landing.ledger.intended()) == 1
    finish_publications(landing)
    assert files(landing.zone) == [[A], [B], [C]]


def test_slices_of_other_accounts(landing: Landing) -> None:
    """Every slice that a dead run was publishing is finished."""
    for number in (1, 2):
        whose = account(number).id
        days = [prepare(landing.zone, reading(A, whose=whose))]
        one = slice_of(DAYS[0], DAYS[0], account(number))
        landing.ledger.intend(
            Publication(
                run_id="run-1", account_id=whose, first_day=one.window.start, last_day=date.fromisoformat(DAYS[0]),
                status=Status.COMPLETE, receipt=RECEIPT, read_on=NIGHT.date(), days=tuple(days),
            )
        )  # fmt: skip
    finish_publications(landing)
    assert [landed(landing.zone, DAYS[0], account(number).id) for number in (1, 2)] == [[A], [A]]
    assert landing.ledger.intended() == []

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from harvester.calls import Call
from harvester.errors import StorageError
from harvester.landing import writer as writer_module
from harvester.landing.ledger import Ledger
from harvester.landing.marks import mark_of, read_mark
from harvester.landing.recovery import adopt, clear_remains, finish_publications
from harvester.model import Batch, End, Slice
from tests.landing.disk import Died, Disk
from tests.landing.helpers import (
    ACCOUNT,
    DAYS,
    SLICE,
    Night,
    account,
    batch,
    call,
    end,
    files_under,
    getting,
    landed,
    night_in,
    rows_of,
    stray,
)

A, B, C, D = (call(key, f"{day} 00:00:00") for key, day in zip("abcd", (*DAYS, DAYS[0]), strict=True))
LATE = call("a", A.start, url="late")
LOST = stray(b'{"call_id":"x"}')
OLD = [[A], [B], [C]]
PAGES = [batch(SLICE, LATE, state=b"0"), batch(SLICE, D, strays=[LOST], state=b"1"), batch(SLICE, B)]
MESSAGES: list[Batch | End] = [*PAGES, end(SLICE, 4)]
TABLES = ("days", "receipts", "arrivals", "failures", "checkpoints", "publications")


def new(*, keep: bool) -> list[list[Call]]:
    """What the slice's days hold after the second night."""
    return [[LATE, D], [B], [C] if keep else []]


def ready(root: Path, ledger: Ledger, *, keep: bool, adopted: Any = None) -> Night:
    """The second night."""
    return night_in(root, ledger, run_id="run-2", fleet=[ACCOUNT.id], keep_missing=keep, adopted=adopted)


@pytest.fixture
def first_night(tmp_path: Path) -> Path:
    """A landing zone after a first night: three days with a call each, marked."""
    root = tmp_path / "first"
    with Ledger.open(root / ".harvester") as ledger:
        night = night_in(root, ledger, fleet=[ACCOUNT.id])
        night.landing.marks.set_right(SLICE.window)
        anyio.run(night.writer.drain, getting([batch(SLICE, A, B, C), end(SLICE, 3)]))
        assert [landed(night.zone, day) for day in DAYS] == OLD
        assert marked(night) == [True] * 3
    return root


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps come in a fixed order."""
    monkeypatch.setattr(writer_module, "THREADS", 1)


def marked(night: Night) -> list[bool]:
    """Which days are marked."""
    return [mark_of(night.zone, day).exists() for day in SLICE.window]


def taken_up(root: Path, ledger: Ledger, *, keep: bool) -> tuple[Night, int]:
    """Begins a run as every run begins; also gives how many pages need not be walked again."""
    night = ready(root, ledger, keep=keep)
    finish_publications(night.landing)
    parts = {Slice(ACCOUNT, one.window): (one, adopt(night.landing, one)) for one in ledger.checkpoints()}
    clear_remains(night.landing)
    assert all(part for _, part in parts.values())
    walked = max((int(one.state) + 1 for one, _ in parts.values()), default=0)
    night = ready(root, ledger, keep=keep, adopted={one: part for one, (_, part) in parts.items()})
    night.landing.marks.set_right(SLICE.window)
    return night, walked


def drain(night: Night, messages: list[Batch | End]) -> None:
    """The writer's work, and the run's end."""
    anyio.run(night.writer.drain, getting(messages))
    night.landing.marks.finish()


def state_of(night: Night) -> tuple[Any, ...]:
    """How everything stands."""
    marks = [read_mark(mark_of(night.zone, day)) for day in SLICE.window]
    return (
        [landed(night.zone, day) for day in DAYS],
        files_under(night.zone.root) - {".harvester/ledger.sqlite-wal", ".harvester/ledger.sqlite-shm"},
        (night.zone.root / "quarantine" / f"account_id={ACCOUNT.id}" / "calls.ndjson").read_bytes(),
        [(mark.files, mark.calls) if mark else None for mark in marks],
        {table: rows_of(night.ledger, table) for table in TABLES},
    )


def disturbed(
    tmp_path: Path, first_night: Path, error: BaseException, *, keep: bool
) -> Iterator[tuple[str, Path, tuple[Any, ...]]]:
    """The second night, failing at each of its steps in turn: the step, where, and how it all should stand."""
    root = tmp_path / "undisturbed"
    shutil.copytree(first_night, root)
    with pytest.MonkeyPatch.context() as patch, Ledger.open(root / ".harvester") as ledger:
        night, _ = taken_up(root, ledger, keep=keep)
        disk = Disk(patch)
        drain(night, MESSAGES)
        expected = state_of(night)
    assert expected[0] == new(keep=keep)
    assert expected[3] == [(1, 2), (1, 1), (1, 1) if keep else (0, 0)]
    steps = disk.steps
    for at in range(len(steps)):
        if not isinstance(error, Died) and steps[at].startswith(("passed", "rmdir")):
            continue  # these cannot fail, or may
        root = tmp_path / str(at)
        shutil.copytree(first_night, root)
        with pytest.MonkeyPatch.context() as patch, Ledger.open(root / ".harvester") as ledger:
            night, _ = taken_up(root, ledger, keep=keep)
            disk = Disk(patch, at, error)
            with pytest.raises(type(error) if isinstance(error, Died) else StorageError) as caught:
                drain(night, MESSAGES)
        assert disk.steps[at].split()[0] == steps[at].split()[0]
        if not isinstance(error, Died):
            assert str(root) in str(caught.value), steps[at]
            assert "Free some space" in str(caught.value)
        yield steps[at], root, expected
        shutil.rmtree(root)


def assert_unharmed(root: Path, *, keep: bool) -> None:
    """Every day is as it was or as it should be, and marked only if it will not change any more."""
    with Ledger.open(root / ".harvester") as ledger:
        night = ready(root, ledger, keep=keep)
        for number, day in enumerate(SLICE.window):
            there = landed(night.zone, DAYS[number])
            assert there in (OLD[number], new(keep=keep)[number])
            mark = read_mark(mark_of(night.zone, day))
            changing = {day for _, window, _ in ledger.intended() for day in window}
            assert mark is None or mark.calls == len(there)
            assert mark is None or day not in changing or OLD[number] == new(keep=keep)[number]
        visible = {name for name in files_under(root) if name.startswith("dt=")}
        assert {name.split("/")[-1] for name in visible} == {"calls.ndjson.zst", "_COMPLETE.json"} - (
            set() if any(marked(night)) else {"_COMPLETE.json"}
        )


@pytest.mark.parametrize("keep", [True, False])
def test_killed_at_any_step(keep: bool, tmp_path: Path, first_night: Path) -> None:
    """Killed at any step of checkpoint and publish, no day is harmed, and the next run ends as if nothing had been."""
    walked = set()
    for step, root, expected in disturbed(tmp_path, first_night, Died(), keep=keep):
        assert_unharmed(root, keep=keep)
        with Ledger.open(root / ".harvester") as ledger:
            night, pages = taken_up(root, ledger, keep=keep)
            walked.add(pages)
            if not any(row["run_id"] == "run-2" for row in rows_of(ledger, "receipts")):
                drain(night, MESSAGES[pages:])
            assert state_of(night) == expected, step
    assert walked == {0, 1, 2}


@pytest.mark.parametrize("keep", [True, False])
def test_full_disk_at_any_step(keep: bool, tmp_path: Path, first_night: Path) -> None:
    """Whichever step has no space, the path is named, no day is harmed, nothing is left, and the next run goes on."""
    for step, root, expected in disturbed(tmp_path, first_night, OSError(errno.ENOSPC, "full"), keep=keep):
        assert_unharmed(root, keep=keep)
        with Ledger.open(root / ".harvester") as ledger:
            if not ledger.intended():
                assert not list((root / ".harvester" / "unfinished").glob("*.tmp")), step
            night, pages = taken_up(root, ledger, keep=keep)
            if not any(row["run_id"] == "run-2" for row in rows_of(ledger, "receipts")):
                drain(night, MESSAGES[pages:])
            assert state_of(night) == expected, step


@pytest.mark.anyio
@pytest.mark.parametrize("table", ["checkpoints", "publications", "days"])
async def test_ledger_that_fails(table: str, tmp_path: Path, ledger: Ledger) -> None:
    """When the ledger takes no word the writer ends, and what it said before stands."""
    night = night_in(tmp_path, ledger)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    known, outcomes = night.known(), list(night.outcomes)
    ledger._db.execute(f"CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'it broke'); END")
    with pytest.raises(StorageError, match="it broke"):
        await night.drain(*MESSAGES)
    assert night.known() == known
    assert night.outcomes == outcomes
    assert [night.landed(day) for day in DAYS] == (new(keep=True) if table == "days" else OLD)
    ledger._db.execute("DROP TRIGGER broken")
    finish_publications(night.landing)
    if table == "days":
        assert [one.in_file for one in night.known().values()] == [2, 1, 1]
    else:
        assert night.known() == known


@pytest.mark.anyio
async def test_day_that_cannot_be_written(tmp_path: Path, ledger: Ledger) -> None:
    """When one day has no place the writer ends and nothing is committed; with a place, the next run goes on."""
    night = night_in(tmp_path, ledger)
    (tmp_path / f"dt={DAYS[1]}").touch()
    other = Slice(account(1), SLICE.window)
    with pytest.raises(StorageError, match=f"dt={DAYS[1]}"):
        await night.drain(batch(SLICE, A, B, C), end(SLICE, 3), end(other, 0))
    assert (night.known(), night.outcomes) == ({}, [])
    (tmp_path / f"dt={DAYS[1]}").unlink()
    again = night_in(tmp_path, ledger)
    finish_publications(again.landing)
    await again.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    assert [again.landed(day) for day in DAYS] == OLD
    assert again.complete() == [True] * 3


@pytest.mark.anyio
async def test_zone_that_is_taken_away(tmp_path: Path) -> None:
    """When the landing zone goes while a run writes to it that is an error of storage, and it is not made anew."""
    root = tmp_path / "zone"
    with Ledger.open(tmp_path / "state") as ledger:
        night = night_in(root, ledger)
        await night.drain(batch(SLICE, A, state=b"0"))
        root.rename(tmp_path / "away")
        with pytest.raises(StorageError, match=r"zone.*taken away"):
            await night.drain(batch(SLICE, B, state=b"1"))
        assert [one.state for one in ledger.checkpoints()] == [b"0"]
        with pytest.raises(StorageError, match=r"zone.*taken away"):
            await night.drain(end(SLICE, 2))
        assert not root.exists()


@pytest.mark.anyio
async def test_state_that_is_taken_away(tmp_path: Path) -> None:
    """When the state directory goes while a run uses it, nothing is published that no ledger would know of."""
    with Ledger.open(tmp_path / "state") as ledger:
        night = night_in(tmp_path / "zone", ledger)
        (tmp_path / "state").rename(tmp_path / "away")
        for message in (batch(SLICE, A, state=b"0"), end(SLICE, 1)):
            with pytest.raises(StorageError, match=r"state/ledger\.sqlite was taken away"):
                await night.drain(message)
    assert not list((tmp_path / "zone").glob("dt=*"))


@pytest.mark.anyio
async def test_spilling_that_fails(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """When memory is full and the disk does not take it, the writer ends."""
    monkeypatch.setattr(writer_module, "MEMORY_BYTES", 0)
    night = night_in(tmp_path, ledger)
    Disk(monkeypatch, 1, OSError(errno.ENOSPC, "full"))
    with pytest.raises(StorageError, match=r"cannot write to .*run-1-1\.part: full"):
        await night.drain(batch(SLICE, A))

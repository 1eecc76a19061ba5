import contextlib
import itertools
import os
import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from harvester.errors import DamagedError, StorageError
from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.schema import SCHEMA_VERSION
from harvester.model import ONE_DAY, AccountId, AppName, Window
from tests.landing.helpers import ACCOUNT, account, slice_of
from tests.landing.test_ledger import NOW, checkpoint, published
from tests.landing.test_ledger_accounts import denied, poisoned

MONTH = Window(date(2024, 2, 1), date(2024, 3, 1))
ACCOUNTS = [ACCOUNT.id, AccountId(1), AccountId(2**63 - 1)]
MAIN = AppName("main")
SENT_AT = NOW.timestamp() + 0.25
ways = pytest.mark.parametrize("way", [Ledger.open, Ledger.peek])


def small(state_dir: Path) -> bytes:
    """A small ledger with something in each table, closed; its bytes."""
    with Ledger.open(state_dir) as ledger:
        for number, whose in enumerate(ACCOUNTS):
            one = slice_of("2024-02-01", "2024-02-05", account(whose))
            ledger.commit(published(one, calls=number), NOW)
            ledger.take_over(whose, {MONTH.end: Known(0, number == 1, 0, None)})
        ledger.queue(ACCOUNT.id, [MONTH.start + ONE_DAY * 10])
        ledger.save_checkpoint(checkpoint(slice_of("2024-02-20", "2024-02-21")))
        ledger.intend(published(slice_of("2024-02-25", "2024-02-26")))
        ledger.count(MAIN, 3, SENT_AT, spacing_s=0.606, going=True)
        ledger.learn(MAIN, 100, SENT_AT)
        ledger.remember([denied(), poisoned()])
    return (state_dir / "ledger.sqlite").read_bytes()


def days_of(ledger: Ledger) -> list[Any]:
    """All that decides what is read, and what is said of days."""
    known = {
        whose: {day: (one.calls, one.complete, one.in_file, one.queued) for day, one in days.items()}
        for whose, days in ledger.known(MONTH, ACCOUNTS).items()
    }
    complete = ledger.complete_days(MONTH, ACCOUNTS)
    return [known, complete, ledger.accounts_complete(MONTH, ACCOUNTS), ledger.queued()]


def assert_sent(ledger: Ledger) -> None:
    """Of what was sent a ledger says what was written, times to the millisecond and the spacing to the microsecond."""
    sending = ledger.sending(MAIN, SENT_AT + 20)
    assert sending.by_minute == {int(SENT_AT // 60): 3 + 34}
    assert sending.last_at == pytest.approx(SENT_AT + 20, rel=0, abs=0.001)
    assert sending.spacing_s == pytest.approx(0.606, rel=0, abs=1e-6)
    assert sending.learned_per_minute == 100


def assert_accounts(ledger: Ledger) -> None:
    """Of accounts that are not well a ledger says what was written, or nothing: then they are asked as any other."""
    assert ledger.conditions() in ({}, {ACCOUNT.id: denied()})
    assert ledger.poison() in ({}, {ACCOUNT.id: {poisoned().day: poisoned()}})


def looked_at(state_dir: Path) -> Ledger:
    """The ledger as someone sees it who only looks."""
    peeked = Ledger.peek(state_dir)
    assert peeked is not None
    return peeked


@ways
@pytest.mark.parametrize(
    ("column", "value"),
    [
        *itertools.product(["account_id", "day"], [8, 2**40]),
        *itertools.product(["complete", "queued"], [0, 1, 2, None, b""]),
        *itertools.product(["calls", "in_file"], [0, 6, 2**33, None, b"", "", "x"]),
        *itertools.product(["read_on", "seal"], [0, 2**33, None, b""]),
    ],
)
def test_day_that_is_not_as_it_was_written(
    column: str, value: object, way: Callable[[Path], Ledger], tmp_path: Path
) -> None:
    """Whatever of a day is not as it was written is noticed when the ledger is opened."""
    with Ledger.open(tmp_path) as ledger:
        ledger.commit(published(slice_of("2024-02-28", "2024-02-28"), calls=0), NOW)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = 1")
        (before,) = database.execute(f"SELECT {column} FROM days").fetchone()  # noqa: S608 - the test's own words
        with contextlib.suppress(sqlite3.IntegrityError):  # NULL where there must be something
            database.execute(f"UPDATE days SET {column} = ?", (value,))  # noqa: S608 - the test's own words
        (after,) = database.execute(f"SELECT {column} FROM days").fetchone()  # noqa: S608 - the test's own words
    if (after, type(after)) == (before, type(before)):
        way(tmp_path).close()
    elif column in {"complete", "queued"} and not before and after == b"":
        with looked_at(tmp_path) as ledger:  # as false as a 0
            assert ledger.queued() == {}
    else:
        with pytest.raises(DamagedError, match=r"CHECK constraint failed|not as it was written"):
            way(tmp_path)


@ways
@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("usage", "minute", 2**40),
        *itertools.product(["usage"], ["requests"], [0, -3, 2, 2**33, 2**63 - 1, 1e300, b"", "x", "3x"]),
        *itertools.product(["apps"], ["told_at"], [0, -1, 1e300, float("inf"), float("nan"), None, b"", "x"]),
        *itertools.product(["apps"], ["spacing_s"], [0, -0.606, 0.60601, 1e-300, 1e300, float("inf"), b"", "x"]),
        *itertools.product(["apps"], ["going"], [0, 2, b"", "x"]),
        *itertools.product(["apps"], ["per_minute"], [0, -100, 101, 2**62, None, b"", "x"]),
        *itertools.product(["apps"], ["learned_at"], [0, 1e300, None, b"", "x"]),
        *itertools.product(["apps", "usage"], ["app", "seal"], ["maim", "", b"main", 7]),
    ],
)
def test_sending_that_is_not_as_it_was_written(
    table: str, column: str, value: object, way: Callable[[Path], Ledger], tmp_path: Path
) -> None:
    """Whatever of the requests of an app is not as it was written is noticed when the ledger is opened."""
    small(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = 1")
        database.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608 - the test's own words
    with pytest.raises(DamagedError, match=r"CHECK constraint failed|not as it was written"):
        way(tmp_path)


def test_any_flipped_bit(tmp_path: Path) -> None:
    """With a wrong bit a ledger is damaged or of another version, or it says of its days exactly what was written."""
    whole = small(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        expected, checkpoints, intended = days_of(ledger), ledger.checkpoints(), ledger.intended()
    noticed = 0
    positions = [at for at, byte in enumerate(whole) if byte or at % 512 == 0][::3]
    for number, at in enumerate(positions):
        broken = bytearray(whole)
        broken[at] ^= 1 << number % 8
        (tmp_path / "ledger.sqlite").write_bytes(broken)
        try:
            with looked_at(tmp_path) as ledger:
                assert_accounts(ledger)
                assert days_of(ledger) == expected
                assert ledger.checkpoints() in ([], checkpoints)
                assert [one for one in ledger.intended() if one[2]] in ([], intended)
                assert len(ledger.intended()) == 1
                assert_sent(ledger)
        except DamagedError as error:
            noticed += 1
            assert "verify CONFIG --rebuild" in str(error)  # noqa: PT017 - most of them raise
        except StorageError as error:
            assert f"this harvester knows {SCHEMA_VERSION}" in str(error)  # noqa: PT017
    assert noticed > len(positions) / 3


@pytest.mark.parametrize("table", ["days", "apps", "usage", "conditions", "poison"])
def test_any_flipped_bit_of_what_counts(table: str, tmp_path: Path) -> None:
    """Where the days themselves lie, and what was sent, every wrong bit is noticed or without effect."""
    whole = small(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        expected = days_of(ledger)
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        root = ledger._db.execute(query, (table,)).fetchone()[0]
    page = range((root - 1) * 4096, root * 4096)
    for at, bit in itertools.product([at for at in page if whole[at]], range(8)):
        if table == "days" and (at + bit) % 5:
            continue
        broken = bytearray(whole)
        broken[at] ^= 1 << bit
        (tmp_path / "ledger.sqlite").write_bytes(broken)
        with contextlib.suppress(DamagedError), looked_at(tmp_path) as ledger:
            assert days_of(ledger) == expected
            assert_sent(ledger)
            assert_accounts(ledger)


@ways
def test_cut_short(way: Callable[[Path], Ledger], tmp_path: Path) -> None:
    """A ledger that was cut short is damaged, wherever; it stays for a person, and the lock is given back."""
    whole = small(tmp_path)
    path = tmp_path / "ledger.sqlite"
    for kept_bytes in (0, 1, 10, 99, 100, *range(4096, len(whole), 4096), len(whole) - 4095):
        path.write_bytes(whole[:kept_bytes])
        with pytest.raises(DamagedError, match=r"ledger\.sqlite is damaged(?s:.*)verify CONFIG --rebuild"):
            way(tmp_path)
        assert path.read_bytes() == whole[:kept_bytes]
    path.write_bytes(whole)
    Ledger.open(tmp_path).close()


@ways
def test_empty_file(way: Callable[[Path], Ledger], tmp_path: Path) -> None:
    """A file of no bytes is a damaged ledger, though SQLite takes it for a new database."""
    (tmp_path / "ledger.sqlite").touch()
    with pytest.raises(DamagedError, match="it is empty") as caught:
        way(tmp_path)
    frames = caught.traceback  # they keep what is still open
    assert not [one for one in Path("/proc/self/fd").iterdir() if "ledger.sqlite" in os.path.realpath(one)], frames
    assert (tmp_path / "ledger.sqlite").stat().st_size == 0


@ways
@pytest.mark.parametrize("start", [0, 100, 4096])
def test_noise(start: int, way: Callable[[Path], Ledger], tmp_path: Path) -> None:
    """What is noise, or noise behind a good beginning, is damaged."""
    whole = small(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(whole[:start] + os.urandom(len(whole) - start))
    with pytest.raises(DamagedError, match=r"ledger\.sqlite is damaged"):
        way(tmp_path)


@ways
@pytest.mark.parametrize("tables", ["", "CREATE TABLE theirs (x)"])
def test_someone_else_s_database(tables: str, way: Callable[[Path], Ledger], tmp_path: Path) -> None:
    """A database that is not ours, or an empty one, is left alone."""
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(tables)
    with pytest.raises(DamagedError, match="holds no ledger"):
        way(tmp_path)


def test_tables_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    """A ledger of the right version whose tables are others is damaged when that shows."""
    small(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        database.execute("ALTER TABLE days RENAME COLUMN calls TO cells")
    with Ledger.open(tmp_path) as ledger, pytest.raises(DamagedError, match="no such column"):
        ledger.known(MONTH, ACCOUNTS)


@ways
def test_newer_schema(way: Callable[[Path], Ledger], tmp_path: Path) -> None:
    """A ledger of a newer harvester is left alone, with both versions told, and the lock is not kept."""
    Ledger.open(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for _ in range(2):
        with pytest.raises(StorageError, match=f"schema {SCHEMA_VERSION + 1}.* knows {SCHEMA_VERSION}") as caught:
            way(tmp_path)
        assert not isinstance(caught.value, DamagedError)


def test_directory_in_place_of_the_ledger(tmp_path: Path) -> None:
    """What is no file is an error of storage, and the lock is given back."""
    (tmp_path / "ledger.sqlite").mkdir()
    for _ in range(2):
        with pytest.raises(StorageError, match=r"ledger\.sqlite"):
            Ledger.open(tmp_path)

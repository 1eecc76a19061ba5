import contextlib
import itertools
import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from harvester.errors import StorageError
from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.schema import SCHEMA_VERSION
from harvester.model import ONE_DAY, AccountId, AppName, Window
from tests.landing.helpers import ACCOUNT, unprivileged_folder
from tests.landing.test_ledger import NOW, published

MONTH = Window(date(2024, 2, 1), date(2024, 3, 1))
ACCOUNTS = [ACCOUNT.id, AccountId(1), AccountId(2**63 - 1)]
ways = pytest.mark.parametrize("way", [Ledger.open, Ledger.peek])
OLD_DDL = """
CREATE TABLE IF NOT EXISTS days (  -- one row for each account's Beijing day that a finished walk covered
    account_id INTEGER NOT NULL,
    day INTEGER NOT NULL,   -- days since 0001-01-01 (proleptic Gregorian ordinal)
    complete INTEGER NOT NULL,
    calls INTEGER NOT NULL, -- different calls in the last reading
    run_id TEXT NOT NULL,
    PRIMARY KEY (account_id, day)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS days_by_day ON days (day, account_id, complete);
CREATE TABLE IF NOT EXISTS receipts (  -- how each slice of each run ended
    run_id TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    requests INTEGER, read INTEGER, distinct_calls INTEGER, counted INTEGER,
    landed INTEGER NOT NULL, new INTEGER NOT NULL, changed INTEGER NOT NULL, missing INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (account_id, first_day, last_day, run_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage (  -- requests sent, by app and hour (Unix time / 3600)
    app TEXT NOT NULL,
    hour INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (app, hour)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def old(state_dir: Path, more: str = "") -> Path:
    """A ledger as version 1 of the schema made it."""
    state_dir.mkdir(exist_ok=True)
    path = state_dir / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"BEGIN IMMEDIATE; {OLD_DDL} COMMIT;")
        for whose, day in itertools.product(ACCOUNTS, range(3)):
            ordinal = MONTH.start.toordinal() + day
            database.execute("INSERT INTO days VALUES (?,?,?,?,?)", (whose, ordinal, day != 1, day, "run"))
        receipt = ("run", 7, "2024-02-01", "2024-02-03", "short", "why", 1, 2, 3, 4, 5, 6, 7, 8, 9, "then")
        database.execute("INSERT INTO receipts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", receipt)
        database.execute("INSERT INTO usage VALUES ('main', 0, 42)")
        database.executescript(more)
    return path


def assert_migrated(ledger: Ledger) -> None:
    """A ledger holds what the old one held."""
    days = {MONTH.start + ONE_DAY * day: Known(day, complete=day != 1) for day in range(3)}
    assert ledger.known(MONTH, ACCOUNTS) == dict.fromkeys(ACCOUNTS, days)
    assert ledger.usage(AppName("main"), 0) == 42
    with ledger._reading() as db:
        receipts = db.execute("SELECT * FROM receipts").fetchall()
        read_on = db.execute("SELECT DISTINCT read_on - day FROM days").fetchall()
    assert receipts == [("run", 7, "2024-02-01", "2024-02-03", "short", "why", 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, "then")]
    assert read_on == [(1,)]  # only days that were over were recorded


def test_older_schema(tmp_path: Path) -> None:
    """A ledger of an older harvester is brought up to date for a run, for good, and works like a new one."""
    path = old(tmp_path)
    for _ in range(2):
        with Ledger.open(tmp_path) as ledger:
            assert_migrated(ledger)
    Ledger.open(tmp_path / "new").close()
    schemas = []
    for one in (path, tmp_path / "new" / "ledger.sqlite"):
        with contextlib.closing(sqlite3.connect(one)) as database:
            schemas.append(set(database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")))
            assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert schemas[0] == schemas[1]
    with Ledger.open(tmp_path) as ledger:
        ledger.commit(published(), NOW)


@pytest.mark.parametrize("writable", [True, False])
def test_peek_at_an_older_schema(writable: bool) -> None:
    """Whoever only looks reads an older ledger without changing it."""
    with unprivileged_folder() as folder:
        path = old(folder / "state")
        before = path.read_bytes()
        if not writable:
            path.parent.chmod(0o500)
        peeked = Ledger.peek(path.parent)
        assert peeked is not None
        with peeked:
            assert_migrated(peeked)
        assert path.read_bytes() == before


@ways
def test_migration_that_fails(way: Callable[[Path], Ledger], tmp_path: Path) -> None:
    """When an older ledger cannot be brought up to date it stays as it is, and the lock is given back."""
    path = old(tmp_path, "CREATE TABLE arrivals (x)")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StorageError, match=r"ledger\.sqlite.*arrivals"):
            way(tmp_path)
    assert path.read_bytes() == before


def test_older_schema_that_may_not_be_written() -> None:
    """An older ledger that may not be written is told as such by a run, and stays as it is."""
    with unprivileged_folder() as folder:
        path = old(folder)
        before = path.read_bytes()
        path.chmod(0o400)
        with pytest.raises(StorageError, match=r"ledger\.sqlite.*permissions"):
            Ledger.open(folder)
        assert path.read_bytes() == before


def test_migration_that_the_database_ends_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the database has ended a failing migration by itself the cause is told, not that nothing is to undo."""
    monkeypatch.setattr("harvester.landing.ledger.database.MIGRATE", {1: "ROLLBACK; SELECT * FROM nowhere;"})
    path = old(tmp_path)
    with pytest.raises(StorageError, match="nowhere"):
        Ledger.open(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)

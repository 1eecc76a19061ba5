import contextlib
import itertools
import operator
import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from harvester.errors import DamagedError, StorageError
from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.schema import SCHEMA_VERSION
from harvester.model import ONE_DAY, AccountId, AppName, Window
from harvester.usage import Sending
from tests.landing import schema_3, schema_4
from tests.landing.helpers import ACCOUNT, unprivileged_folder
from tests.landing.test_ledger import NOW, published

MONTH = Window(date(2024, 2, 1), date(2024, 3, 1))
ACCOUNTS = [ACCOUNT.id, AccountId(1), AccountId(2**63 - 1)]
LAST_MINUTE = 473_570 * 60 + 59
"""Of the hour in which requests were counted."""
MAIN = AppName("main")
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
OLD_DDL_2 = """
CREATE TABLE days (  -- each account's Beijing day that a finished walk covered, or that has to be read again
    account_id INTEGER NOT NULL,
    day INTEGER NOT NULL,       -- days since 0001-01-01 (proleptic Gregorian ordinal), as read_on
    complete INTEGER NOT NULL,
    queued INTEGER NOT NULL,    -- whether the next run reads it, whatever its window
    calls INTEGER NOT NULL,     -- different calls in the last reading
    in_file INTEGER,            -- calls in its file; NULL when that is not known
    digest BLOB,                -- of the file; NULL when there is none, or when it is not known
    read_on INTEGER NOT NULL,   -- the Beijing day on which it was read last
    seal INTEGER NOT NULL CHECK (seal = (ifnull(account_id, -1) % 2147483647 * 31 + ifnull(day, -1) % 2147483647 * 7 + ifnull(complete, -1) % 2147483647 * 3 + ifnull(queued, -1) % 2147483647 * 5 + ifnull(calls, -1) % 2147483647 * 11 + ifnull(in_file, -1) % 2147483647 * 13 + ifnull(read_on, -1) % 2147483647 * 17) % 2147483629 AND typeof(calls) = 'integer' AND typeof(in_file) IN ('integer', 'null')),
    PRIMARY KEY (account_id, day)
) WITHOUT ROWID;

CREATE TABLE receipts (  -- how each slice of each run ended
    run_id TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    requests INTEGER, read INTEGER, distinct_calls INTEGER, counted INTEGER,
    landed INTEGER NOT NULL, new INTEGER NOT NULL, changed INTEGER NOT NULL, missing INTEGER NOT NULL,
    dropped INTEGER NOT NULL, quarantined INTEGER NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (account_id, first_day, last_day, run_id)
) WITHOUT ROWID;

CREATE TABLE failures (  -- the last slice of each account that did not end complete
    account_id INTEGER PRIMARY KEY,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    at TEXT NOT NULL
);
CREATE TABLE checkpoints (  -- slices that are being walked: go on from here
    account_id INTEGER NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    part TEXT NOT NULL,         -- the file's name
    size_bytes INTEGER NOT NULL, -- so much of it is good
    calls INTEGER NOT NULL,     -- that it holds, for a person
    state BLOB NOT NULL,        -- the walk's own
    read_on INTEGER NOT NULL,
    at TEXT NOT NULL,
    digest BLOB NOT NULL,       -- of all of that
    PRIMARY KEY (account_id, first_day, last_day)
) WITHOUT ROWID;
CREATE TABLE night (  -- the runs since one of the same scope last came to its end
    scope TEXT NOT NULL,
    run_id TEXT NOT NULL,
    began_on INTEGER NOT NULL,  -- the Beijing day
    PRIMARY KEY (scope, run_id)
) WITHOUT ROWID;
CREATE TABLE publications (  -- slices that are being published: if the run died, the next one finishes it
    account_id INTEGER NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    publication BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (account_id, first_day, last_day)
) WITHOUT ROWID;
CREATE TABLE arrivals (  -- what was read of days that were over, by when and how old they were
    read_on INTEGER NOT NULL,
    age INTEGER NOT NULL,       -- read_on - day, from 1
    again INTEGER NOT NULL,     -- whether the day had been read before, when it was over
    days INTEGER NOT NULL,
    calls INTEGER NOT NULL, new INTEGER NOT NULL, changed INTEGER NOT NULL, missing INTEGER NOT NULL,
    PRIMARY KEY (read_on, age, again)
) WITHOUT ROWID;

CREATE TABLE usage (  -- requests sent, by app and hour (Unix time / 3600)
    app TEXT NOT NULL,
    hour INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (app, hour)
) WITHOUT ROWID;
 PRAGMA user_version = 2;
"""  # noqa: E501 - as it was


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
        database.execute("INSERT INTO usage VALUES ('main', 473570, 42)")
        database.executescript(more)
    return path


def old_2(state_dir: Path, more: str = "") -> Path:
    """A ledger as version 2 of the schema made it."""
    usage = "INSERT INTO usage VALUES ('main', 473570, 42), ('main', 473569, 1), ('other', 473570, 8);"
    return with_days(state_dir, OLD_DDL_2, f"{usage} {more}")


def old_3(state_dir: Path, more: str = "") -> Path:
    """A ledger as version 3 of the schema made it."""
    return with_usage(state_dir, schema_3.DDL, more)


def old_4(state_dir: Path, more: str = "") -> Path:
    """A ledger as version 4 of the schema made it."""
    return with_usage(state_dir, schema_4.DDL, more)


def with_usage(state_dir: Path, ddl: str, more: str) -> Path:
    """A ledger of version 3 or later, with a few days, a receipt, and what an app sent."""
    last = (LAST_MINUTE + 1) * 60
    app_seal, seal = f"{last}000 % 2147483647 * 31 - 7 - 11", f"{LAST_MINUTE} * 31 + 42 * 7"
    app = f"'main', {last}.0, 0.0, 0, NULL, NULL, ({app_seal}) % 2147483629"
    usage = f"'main', {LAST_MINUTE}, 42, ({seal}) % 2147483629"
    entries = f"INSERT INTO apps VALUES ({app}); INSERT INTO usage VALUES ({usage});"  # noqa: S608 - the test's own words
    return with_days(state_dir, ddl, f"{entries} {more}")


def with_days(state_dir: Path, ddl: str, more: str) -> Path:
    """A ledger of version 2 or later, with a few days and a receipt."""
    state_dir.mkdir(exist_ok=True)
    path = state_dir / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(f"BEGIN IMMEDIATE; {ddl} COMMIT;")
        database.execute("PRAGMA journal_mode = WAL")
        for whose, day in itertools.product(ACCOUNTS, range(3)):
            ordinal = MONTH.start.toordinal() + day
            values = (whose % 2147483647, ordinal, int(day != 1), 0, day, -1, ordinal + 1)  # -1: NULL
            seal = sum(map(operator.mul, values, (31, 7, 3, 5, 11, 13, 17))) % 2147483629
            database.execute(
                "INSERT INTO days VALUES (?,?,?,0,?,NULL,NULL,?,?)", (whose, ordinal, day != 1, day, ordinal + 1, seal)
            )
        receipt = ("run", 7, "2024-02-01", "2024-02-03", "short", "why", 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, "then")
        database.execute("INSERT INTO receipts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", receipt)
        database.executescript(more)
    return path


Maker = Callable[[Path], Path]
makers = pytest.mark.parametrize("make", [old, old_2, old_3, old_4])


def assert_migrated(ledger: Ledger) -> None:
    """A ledger holds what the old one held."""
    days = {MONTH.start + ONE_DAY * day: Known(day, complete=day != 1) for day in range(3)}
    assert ledger.known(MONTH, ACCOUNTS) == dict.fromkeys(ACCOUNTS, days)
    assert ledger.sending(MAIN, LAST_MINUTE * 60 + 61.0).by_minute[LAST_MINUTE] == 42
    with ledger._reading() as db:
        receipts = db.execute("SELECT * FROM receipts").fetchall()
        read_on = db.execute("SELECT DISTINCT read_on - day FROM days").fetchall()
    assert receipts == [("run", 7, "2024-02-01", "2024-02-03", "short", "why", 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, "then")]
    assert read_on == [(1,)]  # only days that were over were recorded


@makers
def test_older_schema(make: Maker, tmp_path: Path) -> None:
    """A ledger of an older harvester is brought up to date for a run, for good, and works like a new one."""
    path = make(tmp_path)
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
        ledger.count(MAIN, 1, LAST_MINUTE * 60.0, spacing_s=1, going=True)
        assert (ledger.conditions(), ledger.poison()) == ({}, {})


@pytest.mark.parametrize("writable", [True, False])
@makers
def test_peek_at_an_older_schema(make: Maker, writable: bool) -> None:
    """Whoever only looks reads an older ledger without changing it."""
    with unprivileged_folder() as folder:
        path = make(folder / "state")
        before = path.read_bytes()
        if not writable:
            path.parent.chmod(0o500)
        peeked = Ledger.peek(path.parent)
        assert peeked is not None
        with peeked:
            assert_migrated(peeked)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("minutes_later", "by_minute"),
    [
        (-59, {LAST_MINUTE - 60: 1, LAST_MINUTE - 59: 42}),
        (0, {LAST_MINUTE - 60: 1, LAST_MINUTE: 42}),
        (1380, {LAST_MINUTE - 60: 1, LAST_MINUTE: 42}),
        (1381, {LAST_MINUTE: 42}),
        (1440, {LAST_MINUTE: 42}),
        (1441, {}),
        (1442, {}),
    ],
)
def test_hours_become_minutes(minutes_later: int, by_minute: dict[int, int], tmp_path: Path) -> None:
    """An hour's requests count as of its last minute, and as of now while that lies ahead."""
    old_2(tmp_path)
    at = (LAST_MINUTE + minutes_later) * 60 + 30.0
    with Ledger.open(tmp_path) as ledger:
        sending = ledger.sending(MAIN, at)
    assert sending.by_minute == by_minute
    assert sending.last_at == (min(at, (LAST_MINUTE + 1) * 60) if minutes_later < 1442 else None)


@ways
@pytest.mark.parametrize("requests", ["-1", "0", "1e300", "'many'", "x'ff'", "9223372036854775807", "2.5"])
def test_hours_that_cannot_be(requests: str, way: Callable[[Path], Ledger], tmp_path: Path) -> None:
    """An hour that no run can have written is left out, and the others stay."""
    old_2(
        tmp_path,
        f"INSERT INTO usage VALUES ('main', 473568, {requests}), ('worse', 1, {requests}), ('main', 'noon', 1),"  # noqa: S608
        "('main', -5, 1), ('main', 9223372036854775807, 1), (x'00', 1, 1)",
    )
    with way(tmp_path) as ledger:
        assert ledger.sending(MAIN, LAST_MINUTE * 60.0).by_minute == {LAST_MINUTE - 60: 1, LAST_MINUTE: 42}
        assert ledger.sending(AppName("worse"), 3600.0) == Sending()


@ways
def test_falsified_day_of_an_older_schema(way: Callable[[Path], Ledger], tmp_path: Path) -> None:
    """A wrong bit in the days of an older ledger is noticed, also by whoever only looks."""
    old_2(tmp_path, "PRAGMA ignore_check_constraints = 1; UPDATE days SET complete = 1 WHERE NOT complete")
    with pytest.raises(DamagedError, match=r"CHECK constraint failed|not as it was written"):
        way(tmp_path)


@ways
@pytest.mark.parametrize(
    ("make", "already"),
    [(old, "arrivals"), (old, "apps"), (old_2, "apps"), (old_2, "poison"), (old_3, "rolls"), (old_4, "pauses")],
)
def test_migration_that_fails(
    make: Callable[[Path, str], Path], already: str, way: Callable[[Path], Ledger], tmp_path: Path
) -> None:
    """When an older ledger cannot be brought up to date it stays as it is, and the lock is given back."""
    path = make(tmp_path, f"CREATE TABLE {already} (x)")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StorageError, match=rf"ledger\.sqlite.*{already}"):
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
    monkeypatch.setattr(
        "harvester.landing.ledger.database.MIGRATE", {1: "ROLLBACK;", 2: "SELECT * FROM nowhere;", 3: "", 4: ""}
    )
    path = old(tmp_path)
    with pytest.raises(StorageError, match="nowhere"):
        Ledger.open(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)

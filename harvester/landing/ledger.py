"""The ledger: what is complete, with the evidence. SQLite in WAL mode, one writer.

A transaction that a power cut takes away costs a slice read again, never a call: files are durable before the ledger
says so. So `synchronous=NORMAL`.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from harvester.errors import StorageError
from harvester.landing.files import make_directory, storage
from harvester.landing.lock import hold
from harvester.model import AccountId, AppName, Outcome, Window

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = f"""
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
PRAGMA user_version = {SCHEMA_VERSION};
"""
_DAY_HOURS: Final = 25
"""The hours whose buckets may hold requests of the last 24: rather one too many."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one day of an account: its calls at the last reading, and whether it was complete."""

    calls: int
    complete: bool


class Ledger:
    """What has been committed. One process at a time; `Ledger.open` takes the lock.

    Args:
        path: The database file.
        lock: The locked file, kept open for as long as the ledger is; `None` for a ledger that is only read.
    """

    def __init__(self, path: Path, lock: TextIO | None) -> None:
        self._path = path
        self._lock = lock
        self._mutex = threading.Lock()
        with self._translated():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Opens the ledger of a state directory for a run, making what is missing.

        Raises:
            LockedError: Another run holds it.
            StorageError: It cannot be written, is damaged, or was made by a newer version.
        """
        with storage(state_dir, "prepare"):
            make_directory(state_dir)
            state_dir.chmod(0o700)
            lock = hold(state_dir / "lock")
        try:
            return cls(state_dir / "ledger.sqlite", lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def peek(cls, state_dir: Path) -> Self | None:
        """The ledger for reading, without the lock; `None` when there is none yet.

        Raises:
            StorageError: It cannot be read, is damaged, or was made by a newer version.
        """
        path = state_dir / "ledger.sqlite"
        return cls(path, None) if path.exists() else None

    def _prepare(self) -> None:
        with self._translated():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            elif version != SCHEMA_VERSION:
                raise StorageError(
                    f"{self._path} is of schema {version}, this harvester knows {SCHEMA_VERSION}: "
                    "use the harvester that made it, or a state directory of its own"
                )
            self._db.execute("PRAGMA synchronous = NORMAL")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database and gives the lock back."""
        self._db.close()
        if self._lock:
            self._lock.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """One thread at a time: the writer commits in one, the plan reads in another."""
        try:
            with self._mutex:
                yield
        except sqlite3.Error as error:
            raise StorageError(
                f"the ledger {self._path} cannot be used: {error}. If the disk has space and is writable, the file is "
                "damaged: move it away; the next run reads its window again, and nothing that was published is harmed."
            ) from error

    def commit(self, outcome: Outcome, *, run_id: str, days: Mapping[date, Known], at: datetime) -> None:
        """Records how a slice ended, and for a finished walk its days, in one transaction.

        Args:
            outcome: How it ended.
            run_id: Of this run.
            days: What is known of its days now; only of those that were over when they were read.
            at: Now.

        Raises:
            StorageError: Nothing of it was recorded.
        """
        receipt, window = outcome.receipt, outcome.slice.window
        evidence = (receipt.requests, receipt.read, receipt.distinct, receipt.counted) if receipt else (None,) * 4
        account = outcome.slice.account.id
        with self._translated(), self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO receipts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    run_id, account, str(window.start), str(window.end), outcome.status, outcome.reason, *evidence,
                    outcome.landed, outcome.new, outcome.changed, outcome.missing, outcome.quarantined,
                    at.isoformat(timespec="seconds"),
                ),
            )  # fmt: skip
            if receipt:
                self._db.executemany(
                    "INSERT OR REPLACE INTO days VALUES (?,?,?,?,?)",
                    [(account, day.toordinal(), one.complete, one.calls, run_id) for day, one in days.items()],
                )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it already
                self._db.execute("ROLLBACK")
            raise

    def known(self, window: Window) -> dict[AccountId, dict[date, Known]]:
        """What is known of these days, by account; days never read are absent. Raises `StorageError`."""
        days: dict[AccountId, dict[date, Known]] = {}
        with self._translated():
            rows = self._db.execute(
                "SELECT account_id, day, calls, complete FROM days WHERE day BETWEEN ? AND ?",
                (window.start.toordinal(), window.end.toordinal()),
            )
            for account, day, calls, complete in rows:
                days.setdefault(AccountId(account), {})[date.fromordinal(day)] = Known(calls, bool(complete))
        return days

    def add_usage(self, app: AppName, requests: int, at: float) -> None:
        """Counts requests sent by an app at Unix time `at`. Raises `StorageError`."""
        with self._translated():
            self._db.execute(
                "INSERT INTO usage VALUES (?,?,?) ON CONFLICT DO UPDATE SET requests = requests + excluded.requests",
                (app, int(at) // 3600, requests),
            )

    def usage(self, app: AppName, at: float) -> int:
        """Requests that the app sent in the 24 hours before Unix time `at`, rounded up. Raises `StorageError`."""
        with self._translated():
            row = self._db.execute(
                "SELECT coalesce(sum(requests), 0) FROM usage WHERE app = ? AND hour > ?",
                (app, int(at) // 3600 - _DAY_HOURS),
            ).fetchone()
        return int(row[0])

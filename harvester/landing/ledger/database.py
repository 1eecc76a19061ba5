"""The ledger's file: SQLite in WAL mode. Opened whole or not at all: a damaged one is recognised, never half-used.

A transaction is on the disk when it has ended (`synchronous=FULL`).
"""

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from harvester.disk import make_directory, storage, sync_directory
from harvester.errors import DamagedError, NewerError, StorageError
from harvester.landing.ledger.schema import CREATE, MIGRATE, SCHEMA_VERSION, SOUND
from harvester.landing.lock import hold

_NAME: Final = "ledger.sqlite"
_BESIDE: Final = ("-wal", "-shm")
_HARDLY_ANY_BYTES: Final = 2**20
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""The last one is for tables that are not what they should be: the statements are always the same."""


class Database:
    """A state directory's ledger file. One process writes at a time: `open` takes the lock.

    Args:
        path: The file.
        connection: To it.
        lock: The locked file, kept open for as long as the ledger is; `None` for a ledger that is only read.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: TextIO | None) -> None:
        self.path = path
        self._db = connection
        self._db.text_factory = lambda text: text.decode(errors="replace")  # a flipped bit is no error of the disk
        self._lock = lock
        self._mutex = threading.Lock()
        self._identity = _identity(path)

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Opens the ledger of a state directory for a run, making what is missing.

        Raises:
            LockedError: Another run holds it.
            DamagedError: It is there and cannot be used.
            StorageError: It cannot be written, or was made by a newer version.
        """
        return cls.open_locked(state_dir, take_lock(state_dir))

    @classmethod
    def open_locked(cls, state_dir: Path, lock: TextIO) -> Self:
        """As `open`, for whoever holds the lock already; it is given back when the ledger cannot be used."""
        path = state_dir / _NAME
        try:
            with _translated(path):
                if not path.exists():
                    create(path)
                connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                try:
                    _check(connection, path)
                    _bring_up_to_date(connection)
                    connection.execute("PRAGMA synchronous = FULL")
                except BaseException:
                    connection.close()
                    raise
            return cls(path, connection, lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def peek(cls, state_dir: Path) -> Self | None:
        """The ledger for reading, without the lock; `None` when there is none yet.

        Raises:
            DamagedError: It is there and cannot be used.
            StorageError: It cannot be read, or was made by a newer version.
        """
        path = state_dir / _NAME
        with storage(path, "read"):
            if not path.exists():
                return None
        with _translated(path):
            connection = _read_only(path)
            try:
                version = _check(connection, path)
                if version < SCHEMA_VERSION:
                    in_memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                    connection.backup(in_memory)
                    connection.close()
                    connection = in_memory
                    _bring_up_to_date(connection)
                _check_values(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, None)

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
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One thread at a time: the writer commits in one, the plan reads in another."""
        with _translated(self.path), self._mutex:
            yield self._db

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside lasts, or nothing of it does; raises `StorageError`."""
        with _translated(self.path), self._mutex:
            if _identity(self.path) != self._identity:
                raise StorageError(
                    f"the ledger {self.path} was taken away while a run used it. Bring the state directory back and "
                    "run again: nothing that was published is harmed."
                )
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise


def take_lock(state_dir: Path) -> TextIO:
    """Takes the lock of a state directory, making that if it is missing; closing the file gives the lock back.

    Raises:
        LockedError: Another run holds it.
        StorageError: It cannot be written.
    """
    with storage(state_dir, "prepare"):
        make_directory(state_dir)
        state_dir.chmod(0o700)
        return hold(state_dir / "lock")


def ledger_of(state_dir: Path) -> Path:
    """Where a state directory's ledger is, or would be."""
    return state_dir / _NAME


def create(path: Path) -> None:
    """Makes an empty ledger, which appears whole."""
    unfinished = path.with_name(f"{_NAME}.new")
    for left in (unfinished, *_companions(unfinished), *_companions(path)):  # an old log would be played into it
        left.unlink(missing_ok=True)
    connection = sqlite3.connect(unfinished, isolation_level=None)
    with contextlib.closing(connection):
        connection.executescript(f"BEGIN IMMEDIATE; {CREATE} COMMIT;")
        connection.execute("PRAGMA journal_mode = WAL")  # only now: nothing of it may be in a log that stays behind
    unfinished.replace(path)
    sync_directory(path.parent)


def set_aside(state_dir: Path, at: str) -> Path | None:
    """Moves a ledger out of the way, whatever is in it; `None` when there is none.

    Args:
        state_dir: Where it is.
        at: Made part of its new name.

    Raises:
        StorageError: It cannot be moved.
    """
    path = state_dir / _NAME
    away = path.with_name(f"{_NAME}.{at}")
    with storage(path, "move away"):
        if path.exists():  # first: without its log a ledger lacks its last commits, a log without a ledger is nothing
            path.replace(away)
        for one in _companions(path):
            if one.exists():
                one.replace(Path(str(one).replace(str(path), str(away))))
        sync_directory(state_dir)
        return away if away.exists() else None


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _BESIDE]


def _read_only(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not os.access(path.parent, os.W_OK, effective_ids=True) and not _companions(path)[0].exists():
        uri += "&immutable=1"  # in a folder that cannot be written SQLite cannot make the files that it wants beside it
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _check(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version; raises when the file is damaged or of a newer harvester."""
    if path.stat().st_size == 0:
        raise damaged(path, "it is empty")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise NewerError(
            f"{path} is of schema {version}, this harvester knows {SCHEMA_VERSION}: "
            "use the harvester that made it, or a state directory of its own; "
            "`harvester verify CONFIG --rebuild` sets it aside and makes one of this version from the landing zone"
        )
    for (finding,) in connection.execute("PRAGMA quick_check(1)"):
        if finding != "ok":
            raise damaged(path, finding)
    if version != SCHEMA_VERSION and version not in MIGRATE:
        raise damaged(path, "it holds no ledger")
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise damaged(path, "an app's name is not as it was written")
    return version


def _check_values(connection: sqlite3.Connection, path: Path) -> None:
    """What `quick_check` does not see without write access: SQLite leaves a table's checks out then."""
    for table, (sound, what) in SOUND.items():
        broken = f"SELECT 1 FROM {table} WHERE ({sound}) IS NOT TRUE LIMIT 1"  # noqa: S608 - our own words
        if connection.execute(broken).fetchone():
            raise damaged(path, f"{what} is not as it was written")


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    steps = "".join(MIGRATE[one] for one in range(version, SCHEMA_VERSION))
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {steps} COMMIT;" if steps else "")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_full(path: Path) -> bool:
    """Whether the disk has hardly any room: SQLite tells of some of that as an error of the disk."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path.parent).free < _HARDLY_ANY_BYTES
    return False


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def damaged(path: Path, why: str) -> DamagedError:
    """What to say of a ledger that is not as it was written."""
    words = " ".join(why.replace("*** in database main ***", "").split())
    return DamagedError(
        f"the ledger {path} is damaged ({words}). Nothing that was published is harmed: "
        "`harvester verify CONFIG --rebuild` makes a new ledger from the landing zone."
    )


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        with storage(path, "use"):
            yield
    except UnicodeDecodeError as error:  # in what SQLite says of the damage
        raise damaged(path, str(error)) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise damaged(path, str(error)) from error
        full = code == sqlite3.SQLITE_FULL or _is_full(path)
        advice = "Free some space" if full else "Look after the disk and its permissions"
        raise StorageError(
            f"the ledger {path} cannot be used: {error}. {advice} and run again: nothing that was published is harmed."
        ) from error

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import LockedError, StorageError
from harvester.landing.ledger import SCHEMA_VERSION, Known, Ledger
from harvester.model import BEIJING, ONE_DAY, AccountId, AppName, Outcome, Receipt, Slice, Status, Window
from tests.landing.helpers import ACCOUNT, account, slice_of, unprivileged_folder

NOW = datetime(2024, 3, 5, 1, 30, tzinfo=BEIJING)
RECEIPT = Receipt(requests=3, read=205, distinct=200, counted=200)
MAIN = AppName("main")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger.open(tmp_path / "state") as opened:
        yield opened


def outcome(one: Slice, status: Status = Status.COMPLETE, reason: str | None = None) -> Outcome:
    """What became of a slice whose walk came to its end."""
    return Outcome(slice=one, status=status, reason=reason, receipt=RECEIPT, landed=200)


def commit(ledger: Ledger, what: Outcome, calls: int = 5, run_id: str = "run-1") -> None:
    """Records a slice, all of its days with so many calls."""
    known = Known(calls, complete=what.status is Status.COMPLETE)
    ledger.commit(what, run_id=run_id, days=dict.fromkeys(what.slice.window, known), at=NOW)


def rows_of(ledger: Ledger, table: str) -> list[dict[str, object]]:
    """A table as it is on disk."""
    with contextlib.closing(sqlite3.connect(ledger._path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT * FROM {table}")]  # noqa: S608 - the tests' own names


def test_new_ledger(ledger: Ledger) -> None:
    """A new ledger knows nothing, carries its schema's version, is in WAL mode and nobody else's business."""
    assert ledger.known(Window(date(2000, 1, 1), date(2100, 1, 1))) == {}
    with contextlib.closing(sqlite3.connect(ledger._path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger._path.parent.stat().st_mode & 0o777 == 0o700


def test_commit_lasts(tmp_path: Path) -> None:
    """What was committed is known to the next run, with the evidence."""
    one = slice_of("2024-02-28", "2024-03-01")
    with Ledger.open(tmp_path) as first:
        commit(first, outcome(one))
    with Ledger.open(tmp_path) as second:
        assert second.known(one.window) == {ACCOUNT.id: dict.fromkeys(one.window, Known(5, complete=True))}
        assert rows_of(second, "receipts") == [
            {
                "run_id": "run-1", "account_id": ACCOUNT.id, "first_day": "2024-02-28", "last_day": "2024-03-01",
                "status": "complete", "reason": None, "requests": 3, "read": 205, "distinct_calls": 200,
                "counted": 200, "landed": 200, "new": 0, "changed": 0, "missing": 0, "quarantined": 0,
                "at": "2024-03-05T01:30:00+08:00",
            }
        ]  # fmt: skip


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPLETE])
def test_only_complete_is_complete(status: Status, ledger: Ledger) -> None:
    """Days of a slice that is not complete are known and not complete, also if they once were."""
    one = slice_of("2024-02-28", "2024-02-29")
    commit(ledger, outcome(one))
    commit(ledger, outcome(one, status, "why"), calls=3, run_id="run-2")
    assert ledger.known(one.window) == {ACCOUNT.id: dict.fromkeys(one.window, Known(3, complete=False))}
    assert [(row["run_id"], row["status"], row["reason"]) for row in rows_of(ledger, "receipts")] == [
        ("run-1", "complete", None),
        ("run-2", status, "why"),
    ]


def test_slice_without_receipt(ledger: Ledger) -> None:
    """A walk that did not come to its end leaves a reason and says nothing of any day."""
    one = slice_of("2024-02-28", "2024-02-29")
    commit(ledger, outcome(one))
    commit(ledger, Outcome(slice=one, status=Status.FAILED, reason="why"), calls=0, run_id="run-2")
    assert ledger.known(one.window)[ACCOUNT.id] == dict.fromkeys(one.window, Known(5, complete=True))
    assert rows_of(ledger, "receipts")[1]["requests"] is None


days = st.dates(date(2024, 2, 25), date(2024, 3, 5))
windows = st.builds(lambda first, length: Window(first, first + ONE_DAY * length), days, st.integers(0, 5))


@given(
    commits=st.lists(
        st.tuples(st.integers(1, 3), windows, st.sampled_from([Status.COMPLETE, Status.SHORT]), st.integers(0, 9))
    ),
    asked=windows,
)
def test_last_commit_of_a_day_counts(
    commits: list[tuple[int, Window, Status, int]], asked: Window, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of each account's day the last commit is known, and nothing of days that were not asked for."""
    expected: dict[AccountId, dict[date, Known]] = {}
    with Ledger.open(tmp_path_factory.mktemp("state")) as ledger:
        for turn, (number, window, status, calls) in enumerate(commits):
            one = Slice(account(number), window)
            commit(ledger, outcome(one, status), calls, f"run-{turn}")
            for day in window:
                if day in asked:
                    expected.setdefault(AccountId(number), {})[day] = Known(calls, status is Status.COMPLETE)
        assert ledger.known(asked) == expected


@pytest.mark.parametrize(("hours_later", "used"), [(0, 7), (1, 7), (23, 7), (24, 7), (25, 0), (1000, 0)])
def test_usage(hours_later: int, used: int, ledger: Ledger) -> None:
    """Requests of the last 24 hours are counted by app, rather an hour too long than too short, over restarts too."""
    at = NOW.timestamp()
    ledger.add_usage(MAIN, 3, at)
    ledger.add_usage(MAIN, 4, at + 60)
    ledger.add_usage(AppName("other"), 100, at)
    ledger.close()
    with Ledger.open(ledger._path.parent) as again:
        assert again.usage(MAIN, at + 3600 * hours_later) == used
        assert again.usage(AppName("unknown"), at) == 0


@given(sent=st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 9)), max_size=8), now=st.floats(0, 1e6))
def test_usage_is_never_too_low(
    sent: list[tuple[float, int]], now: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every request of the last 24 hours is counted, and none that is older than 25."""
    with Ledger.open(tmp_path_factory.mktemp("state")) as ledger:
        for at, requests in sent:
            ledger.add_usage(MAIN, requests, at)
        used = ledger.usage(MAIN, now)
    assert used >= sum(requests for at, requests in sent if now - 24 * 3600 <= at <= now)
    assert used <= sum(requests for at, requests in sent if now - 26 * 3600 < at)


def test_second_opener(ledger: Ledger) -> None:
    """A second run is told who holds the lock: pid, host and since when."""
    with pytest.raises(LockedError) as caught:
        Ledger.open(ledger._path.parent)
    text = str(caught.value)
    assert f"pid {os.getpid()} on {socket.gethostname()} since {datetime.now().astimezone():%Y-%m-%dT}" in text
    assert str(ledger._path.parent) in text


def test_closing_frees_the_lock(tmp_path: Path) -> None:
    """The lock is free after a run has closed its ledger, also if the run failed."""
    with pytest.raises(ZeroDivisionError), Ledger.open(tmp_path):
        raise ZeroDivisionError
    Ledger.open(tmp_path).close()


def test_killed_holder(tmp_path: Path) -> None:
    """The lock of a killed process is taken over without a person, and what it had committed is there."""
    code = (
        "import signal, sys; from pathlib import Path; from harvester.landing.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1])); ledger.add_usage('main', 7, 0); print('held', flush=True)\n"
        "signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(LockedError, match=f"pid {holder.pid} "):
                Ledger.open(tmp_path)
        finally:
            holder.kill()
    with Ledger.open(tmp_path) as ledger:
        assert ledger.usage(MAIN, 0) == 7


def test_peek_of_nothing(tmp_path: Path) -> None:
    """Where no run ever was there is nothing to peek at, and peeking leaves nothing behind."""
    assert Ledger.peek(tmp_path / "state") is None
    assert not list(tmp_path.iterdir())


def test_peek_while_a_run_holds_it(ledger: Ledger) -> None:
    """Whoever only looks needs no lock, takes none, and sees what was committed."""
    commit(ledger, outcome(slice_of("2024-02-28", "2024-02-28")))
    peeked = Ledger.peek(ledger._path.parent)
    assert peeked is not None
    with peeked:
        assert peeked.known(Window(date(2024, 2, 1), date(2024, 3, 1)))[ACCOUNT.id]
    commit(ledger, outcome(slice_of("2024-02-29", "2024-02-29")))


def test_peek_at_a_ledger_that_is_being_made(tmp_path: Path) -> None:
    """A ledger whose making was interrupted, or seen in its middle, is empty to everyone."""
    path = tmp_path / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        peeked = Ledger.peek(tmp_path)
        assert peeked is not None
        with peeked, Ledger.open(tmp_path) as ledger:
            assert peeked.known(Window(date(2024, 2, 1), date(2024, 3, 1))) == {}
            commit(ledger, outcome(slice_of("2024-02-28", "2024-02-28")))
            assert peeked.known(Window(date(2024, 2, 1), date(2024, 3, 1)))


@pytest.mark.parametrize("way", ["open", "peek"])
def test_newer_schema(way: str, tmp_path: Path) -> None:
    """A ledger of a newer harvester is left alone, with both versions told, and the lock is not kept."""
    Ledger.open(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for _ in range(2):
        with pytest.raises(StorageError, match=f"schema {SCHEMA_VERSION + 1}.* knows {SCHEMA_VERSION}"):
            getattr(Ledger, way)(tmp_path)


def test_someone_else_s_database(tmp_path: Path) -> None:
    """A database that is not ours is left alone."""
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        database.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StorageError, match="schema 0"):
        Ledger.open(tmp_path)


def filled(state_dir: Path) -> Path:
    """A ledger of many pages, closed; returns its file."""
    with Ledger.open(state_dir) as ledger:
        for number in range(200):
            commit(ledger, outcome(slice_of("2024-02-01", "2024-03-01", account(number))))
    return state_dir / "ledger.sqlite"


@pytest.mark.parametrize("way", ["open", "peek"])
@pytest.mark.parametrize("damage", ["noise", "noise behind the header", "half", "one page", "ten bytes"])
def test_damaged_ledger(way: str, damage: str, tmp_path: Path) -> None:
    """A damaged ledger is told as such with its path, is not used, and gives its lock back."""
    path = filled(tmp_path)
    whole = path.read_bytes()
    match damage:
        case "noise":
            path.write_bytes(os.urandom(len(whole)))
        case "noise behind the header":
            path.write_bytes(whole[:100] + os.urandom(len(whole) - 100))
        case "half":
            path.write_bytes(whole[: len(whole) // 2])
        case "one page":
            path.write_bytes(whole[:4096])
        case _:
            path.write_bytes(whole[:10])
    for _ in range(2):
        with pytest.raises(StorageError, match=str(path)), getattr(Ledger, way)(tmp_path) as ledger:
            ledger.known(Window(date(2024, 1, 1), date(2024, 12, 31)))


def test_directory_in_place_of_the_ledger(tmp_path: Path) -> None:
    """What is no file is an error of storage, and the lock is given back."""
    (tmp_path / "ledger.sqlite").mkdir()
    for _ in range(2):
        with pytest.raises(StorageError, match=r"ledger\.sqlite"):
            Ledger.open(tmp_path)


def test_full_disk(ledger: Ledger) -> None:
    """A commit for which there is no space records nothing, says so by its cause, and breaks nothing."""
    one = slice_of("2024-02-28", "2024-02-29")
    commit(ledger, outcome(one))
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    huge = slice_of("2000-01-01", "2023-12-31")
    with pytest.raises(StorageError, match="full"):
        commit(ledger, outcome(huge), run_id="run-2")
    ledger._db.execute("PRAGMA max_page_count = 1000000")
    assert ledger.known(huge.window) == {}
    assert len(rows_of(ledger, "receipts")) == 1
    commit(ledger, outcome(huge), run_id="run-2")
    assert len(ledger.known(huge.window)[ACCOUNT.id]) == len(huge.window)


def test_disk_that_fails_within_a_transaction(ledger: Ledger) -> None:
    """When the database itself has ended a failing transaction, the cause is told, not that nothing is to undo."""
    one = slice_of("2024-02-28", "2024-02-29")
    ledger._db.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON days BEGIN SELECT RAISE(ROLLBACK, 'the disk broke'); END"
    )
    with pytest.raises(StorageError, match="the disk broke"):
        commit(ledger, outcome(one))
    assert rows_of(ledger, "receipts") == []


def test_state_directory_that_may_not_be_written() -> None:
    """A state directory of another owner is told with its path and what to do."""
    with unprivileged_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0o500)
        with pytest.raises(StorageError, match=r"closed/state.*Make it writable"):
            Ledger.open(closed / "state")


def test_ledger_file_that_may_not_be_written() -> None:
    """A ledger that may not be written is told when it is opened or at the first commit."""
    with unprivileged_folder() as folder:
        Ledger.open(folder).close()
        (folder / "ledger.sqlite").chmod(0o400)
        with pytest.raises(StorageError, match=r"ledger\.sqlite"), Ledger.open(folder) as ledger:
            commit(ledger, outcome(slice_of("2024-02-28", "2024-02-28")))
        (folder / "ledger.sqlite").chmod(0o000)
        with pytest.raises(StorageError, match=r"ledger\.sqlite"):
            Ledger.open(folder)


def test_lock_that_may_not_be_written() -> None:
    """A lock file of another owner is told with its path."""
    with unprivileged_folder() as folder:
        (folder / "lock").touch(mode=0o400)
        with pytest.raises(StorageError, match="lock"):
            Ledger.open(folder)


@pytest.mark.anyio
async def test_commits_in_a_thread_while_the_loop_reads(ledger: Ledger) -> None:
    """A reader sees each commit whole or not at all, while another thread commits."""
    one = slice_of("2024-02-01", "2024-03-01")
    versions: set[int] = set()

    def write() -> None:
        for number in range(200):
            commit(ledger, outcome(one), calls=number, run_id=f"run-{number}")
            ledger.add_usage(MAIN, 1, NOW.timestamp())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, write)
        while ledger.usage(MAIN, NOW.timestamp()) < 200:
            seen = ledger.known(one.window).get(ACCOUNT.id, {})
            assert len(seen) in {0, len(one.window)}
            assert len({known.calls for known in seen.values()}) <= 1
            versions.update(known.calls for known in seen.values())
            await anyio.lowlevel.checkpoint()
    assert len(versions) > 1
    assert ledger.known(one.window)[ACCOUNT.id] == dict.fromkeys(one.window, Known(199, complete=True))

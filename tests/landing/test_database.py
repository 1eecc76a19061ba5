import contextlib
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pytest

from harvester.errors import DamagedError, LockedError, StorageError
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.database import create, set_aside
from harvester.landing.ledger.schema import SCHEMA_VERSION
from harvester.model import AppName, Window
from harvester.usage import Sending
from tests.landing.disk import Disk
from tests.landing.helpers import ACCOUNT, unprivileged_folder
from tests.landing.test_ledger import NOW, ONE, known, published

MAIN = AppName("main")
MONTH = Window(date(2024, 2, 1), date(2024, 3, 1))
EXPECTED = {ACCOUNT.id: dict.fromkeys(ONE.window, known())}


def test_new_ledger_file(ledger: Ledger) -> None:
    """A new ledger carries its schema's version, is in WAL mode, alone in its folder and nobody else's business."""
    with contextlib.closing(sqlite3.connect(ledger.path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: a commit lasts
    assert ledger.path.parent.stat().st_mode & 0o777 == 0o700
    ledger.close()
    assert sorted(path.name for path in ledger.path.parent.iterdir()) == ["ledger.sqlite", "lock"]


def test_ledger_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger is made aside, and appears under its name only when all of it is there, and that durably."""
    disk = Disk(monkeypatch)
    create(tmp_path / "ledger.sqlite")
    assert disk.steps[-2:] == ["replace ledger.sqlite", f"fsync {tmp_path.name}"]
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.sqlite"]


def test_making_that_was_interrupted(tmp_path: Path) -> None:
    """What an interrupted making left is not taken for a ledger, and is no obstacle."""
    for name in ("ledger.sqlite.new", "ledger.sqlite.new-wal", "ledger.sqlite.new-shm"):
        (tmp_path / name).write_bytes(b"half a ledger")
    assert Ledger.peek(tmp_path) is None
    Ledger.open(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.sqlite", "lock"]


def test_log_of_a_ledger_that_is_gone(tmp_path: Path) -> None:
    """A log that lies beside no ledger is not played into the new one."""
    state, copy = tmp_path / "state", tmp_path / "copy"
    with Ledger.open(state) as ledger:
        ledger.commit(published(), NOW)
        shutil.copytree(state, copy)
    (copy / "ledger.sqlite").unlink()
    assert (copy / "ledger.sqlite-wal").stat().st_size > 0
    assert Ledger.peek(copy) is None
    with Ledger.open(copy) as ledger:
        assert ledger.known(MONTH, [ACCOUNT.id]) == {}


def test_log_of_a_dead_run(tmp_path: Path) -> None:
    """What a run committed before it died without closing its ledger is all there, to runs and to those who look."""
    state, copy = tmp_path / "state", tmp_path / "copy"
    with Ledger.open(state) as ledger:
        ledger.commit(published(), NOW)
        shutil.copytree(state, copy)
    peeked = Ledger.peek(copy)
    assert peeked is not None
    with peeked:
        assert peeked.known(MONTH, [ACCOUNT.id]) == EXPECTED
    with Ledger.open(copy) as ledger:
        assert ledger.known(MONTH, [ACCOUNT.id]) == EXPECTED


def test_second_opener(ledger: Ledger) -> None:
    """A second run is told who holds the lock: pid, host and since when."""
    with pytest.raises(LockedError) as caught:
        Ledger.open(ledger.path.parent)
    text = str(caught.value)
    assert f"pid {os.getpid()} on {socket.gethostname()} since {datetime.now().astimezone():%Y-%m-%dT}" in text
    assert str(ledger.path.parent) in text


def test_closing_frees_the_lock(tmp_path: Path) -> None:
    """A ledger that was closed can be opened again."""
    for _ in range(3):
        Ledger.open(tmp_path).close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_dead_holder(number: signal.Signals, tmp_path: Path) -> None:
    """While another process lives it holds the lock; when it was killed the next run takes over what it committed."""
    code = (
        "import sys, signal\nfrom pathlib import Path\nfrom harvester.landing.ledger import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1]))\nledger.count('main', 7, 0, spacing_s=1, going=True)\n"
        "print('held', flush=True)\nsignal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(LockedError, match=f"pid {holder.pid} "):
                Ledger.open(tmp_path)
            peeked = Ledger.peek(tmp_path)
            assert peeked is not None
            with peeked:
                assert peeked.sending(MAIN, 0).by_minute == {0: 7}
        finally:
            holder.send_signal(number)
    with Ledger.open(tmp_path) as ledger:
        assert ledger.sending(MAIN, 5).by_minute == {0: 7 + 5}


def test_peek_of_nothing(tmp_path: Path) -> None:
    """Where no run ever was there is nothing to peek at, and peeking leaves nothing behind."""
    assert Ledger.peek(tmp_path / "state") is None
    assert not list(tmp_path.iterdir())


def test_peek_while_a_run_holds_it(ledger: Ledger) -> None:
    """Whoever only looks needs no lock, takes none, sees what was committed, and what is committed meanwhile."""
    ledger.commit(published(), NOW)
    peeked = Ledger.peek(ledger.path.parent)
    assert peeked is not None
    with peeked:
        assert peeked.known(MONTH, [ACCOUNT.id]) == EXPECTED
        ledger.queue(ACCOUNT.id, [ONE.window.start])
        assert peeked.queued() == {ACCOUNT.id: {ONE.window.start}}
        with pytest.raises(StorageError):
            peeked.queue(ACCOUNT.id, [ONE.window.end])


@pytest.mark.parametrize("left_open", [True, False])
def test_peek_where_nothing_may_be_written(left_open: bool) -> None:
    """A ledger can be looked at in a folder that may not be written, and is left as it is."""
    with unprivileged_folder() as folder:
        with Ledger.open(folder / "made") as ledger:
            ledger.commit(published(), NOW)
            if left_open:  # as on a read-only mount, where a run that died left its log
                shutil.copytree(folder / "made", folder / "state")
        if not left_open:
            shutil.copytree(folder / "made", folder / "state")
        before = {path.name: path.read_bytes() for path in (folder / "state").iterdir()}
        for path in (folder / "state").iterdir():
            path.chmod(0o400)
        (folder / "state").chmod(0o500)
        peeked = Ledger.peek(folder / "state")
        assert peeked is not None
        with peeked:
            assert peeked.known(MONTH, [ACCOUNT.id]) == EXPECTED
        assert {path.name: path.read_bytes() for path in (folder / "state").iterdir()} == before


def test_peek_where_nothing_may_be_looked_at() -> None:
    """A state directory of another owner is an error of storage, not an empty one."""
    with unprivileged_folder() as folder:
        Ledger.open(folder / "state").close()
        (folder / "state").chmod(0o000)
        with pytest.raises(StorageError, match=r"ledger\.sqlite.*Make it writable"):
            Ledger.peek(folder / "state")


def test_state_directory_that_may_not_be_written() -> None:
    """A state directory of another owner is told with its path and what to do."""
    with unprivileged_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0o500)
        with pytest.raises(StorageError, match=r"closed/state.*Make it writable"):
            Ledger.open(closed / "state")


def test_ledger_file_that_may_not_be_written() -> None:
    """A ledger that may not be written is told when it is opened or at the first commit, and is not damaged."""
    with unprivileged_folder() as folder:
        Ledger.open(folder).close()
        (folder / "ledger.sqlite").chmod(0o400)
        with pytest.raises(StorageError, match=r"ledger\.sqlite") as caught, Ledger.open(folder) as ledger:
            ledger.commit(published(), NOW)
        assert not isinstance(caught.value, DamagedError)
        (folder / "ledger.sqlite").chmod(0o000)
        with pytest.raises(StorageError, match=r"ledger\.sqlite.*permissions") as caught:
            Ledger.open(folder)
        assert not isinstance(caught.value, DamagedError)


def test_lock_that_may_not_be_written() -> None:
    """A lock file of another owner is told with its path."""
    with unprivileged_folder() as folder:
        (folder / "lock").touch(mode=0o400)
        with pytest.raises(StorageError, match="lock"):
            Ledger.open(folder)


@pytest.mark.parametrize("how", ["moved away", "removed", "another in its place"])
def test_ledger_that_is_taken_away(how: str, tmp_path: Path) -> None:
    """A ledger whose directory goes while a run uses it takes no commit: nobody would ever find it."""
    state, away = tmp_path / "state", tmp_path / "away"
    with Ledger.open(state) as ledger:
        ledger.commit(published(), NOW)
        if how == "removed":
            shutil.rmtree(state)
        else:
            state.rename(away)
        if how == "another in its place":
            Ledger.open(state).close()
        with pytest.raises(StorageError, match=rf"{state}/ledger\.sqlite was taken away.* Bring"):
            ledger.count(MAIN, 1, 0, spacing_s=0, going=True)
    if how != "removed":
        away.rename(tmp_path / "back")
        with Ledger.open(tmp_path / "back") as ledger:
            assert ledger.known(MONTH, [ACCOUNT.id]) == EXPECTED
            assert ledger.sending(MAIN, 0) == Sending()


def test_setting_aside(tmp_path: Path) -> None:
    """A ledger is moved out of the way with its log, whatever is in it; where there is none nothing is moved."""
    state, copy = tmp_path / "state", tmp_path / "copy"
    assert set_aside(tmp_path, "noon") is None
    with Ledger.open(state) as ledger:
        ledger.commit(published(), NOW)
        shutil.copytree(state, copy)
    assert set_aside(copy, "noon") == copy / "ledger.sqlite.noon"
    names = {"lock", "ledger.sqlite.noon", "ledger.sqlite.noon-wal", "ledger.sqlite.noon-shm"}
    assert {path.name for path in copy.iterdir()} == names
    with Ledger.open(copy) as ledger:
        assert ledger.known(MONTH, [ACCOUNT.id]) == {}
    (tmp_path / "other").mkdir()
    for name in names - {"lock"}:
        (copy / name).rename(tmp_path / "other" / name.replace(".noon", ""))
    with Ledger.open(tmp_path / "other") as ledger:
        assert ledger.known(MONTH, [ACCOUNT.id]) == EXPECTED


@pytest.mark.parametrize("steps", range(3))
def test_setting_aside_in_order(steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger goes before its log, and what fails is an error of storage; the next try ends it."""
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (tmp_path / name).write_bytes(b"garbage")
    with monkeypatch.context() as patch:
        disk = Disk(patch, steps, OSError(5, "broken"))
        with pytest.raises(StorageError, match=r"cannot move away .*broken"):
            set_aside(tmp_path, "noon")
    order = [f"replace ledger.sqlite.noon{suffix}" for suffix in ("", "-wal", "-shm")]
    assert disk.steps == order[: steps + 1]
    assert set_aside(tmp_path, "noon") == tmp_path / "ledger.sqlite.noon"
    assert len(list(tmp_path.iterdir())) == 3


def test_making_on_a_disk_that_is_full(tmp_path: Path) -> None:
    """However little there is room for, no half of a ledger appears; with room, the next run makes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    made = 0
    for room_bytes in range(0, 2**17, 4096):
        state = tmp_path / str(room_bytes)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, hard))
        try:
            Ledger.open(state).close()
            made += 1
        except StorageError:
            assert room_bytes < 3 * 2**15
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        with Ledger.open(state) as ledger:
            ledger.commit(published(), NOW)
            assert ledger.known(MONTH, [ACCOUNT.id]) == EXPECTED
    assert 0 < made < 32

import errno
import os
import resource
from itertools import product
from pathlib import Path

import pytest

from harvester.disk import make_directory, storage
from harvester.errors import StorageError
from harvester.landing.files import put, replace_whole, stage
from harvester.landing.ndjson import SUFFIXES, read_lines
from tests.landing.disk import Disk
from tests.landing.helpers import files_under, unprivileged_folder

OLD, NEW = [b"old\n"], [b"new %d\n" % number for number in range(100)]
NEW_LINES = [line.rstrip() for line in NEW]
suffixes = pytest.mark.parametrize("suffix", SUFFIXES.values())


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where unfinished files live."""
    path = tmp_path / "unfinished"
    path.mkdir()
    return path


def read(target: Path) -> list[bytes]:
    """The lines, with errors translated as the landing zone translates them."""
    with storage(target, "read"):
        return list(read_lines(target))


def test_steps_to_durability(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new folder appears with its file: durable inside, then in place, then the place itself."""
    (tmp_path / "zone").mkdir()
    disk = Disk(monkeypatch)
    replace_whole(tmp_path / "zone" / "dt=1" / "account_id=2" / "calls", OLD, scratch=scratch)
    unfinished = disk.steps[0].removeprefix("mkdir ")
    assert disk.steps == [
        f"mkdir {unfinished}",
        "open calls",
        "write calls",
        "fsync calls",
        f"fsync {unfinished}",
        "mkdir dt=1",
        "fsync zone",
        "replace account_id=2",
        "fsync dt=1",
    ]
    disk.steps.clear()
    replace_whole(tmp_path / "zone" / "dt=1" / "account_id=2" / "calls", NEW, scratch=scratch)
    unfinished = disk.steps[0].removeprefix("open ")
    assert [step for step in disk.steps if not step.startswith("write")] == [
        f"open {unfinished}",
        f"fsync {unfinished}",
        "replace calls",
        "fsync account_id=2",
    ]


@pytest.mark.parametrize(
    ("suffix", "there", "number"),
    [*product(SUFFIXES.values(), [True, False], [errno.ENOSPC]), ("", True, errno.EIO), (".zst", False, errno.EROFS)],
)
def test_failure_at_any_step(  # noqa: PLR0917 - fixtures
    suffix: str, there: bool, number: int, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step fails, the old file or all of the new is there, nothing unfinished is, and the next try works."""
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        replace_whole(tmp_path / "dt=0" / f"calls{suffix}", NEW, scratch=scratch)
        if there:  # a file that is there already has its directories
            disk.steps.clear()
            replace_whole(tmp_path / "dt=0" / f"calls{suffix}", NEW, scratch=scratch)
        steps = [step.split()[0] for step in disk.steps]
    assert {"write", "fsync", "replace"} <= set(steps)
    for at in range(len(steps)):
        target = tmp_path / f"dt={at + 1}" / f"calls{suffix}"
        if there:
            make_directory(target.parent)
            replace_whole(target, OLD, scratch=scratch)
        with monkeypatch.context() as patch:
            Disk(patch, at, OSError(number, os.strerror(number)))
            with pytest.raises(OSError, match=os.strerror(number)):
                replace_whole(target, NEW, scratch=scratch)
        assert not files_under(scratch)
        if at > steps.index("replace"):
            assert read(target) == NEW_LINES
        elif there:
            assert read(target) == [b"old"]
        else:
            assert not target.exists()
        replace_whole(target, NEW, scratch=scratch)
        assert read(target) == NEW_LINES


def test_first_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk turns read-only while it fails, the failure is told, not that the clearing failed too."""
    Disk(monkeypatch, 2, OSError(errno.EIO, "broken"))

    def unlink(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(OSError, match="broken"):
        replace_whole(tmp_path / "calls", NEW, scratch=tmp_path)


def test_content_that_cannot_be_made(tmp_path: Path, scratch: Path) -> None:
    """When the new content fails in its making, the old file stays and nothing unfinished does."""
    target = tmp_path / "calls.zst"
    replace_whole(target, OLD, scratch=scratch)
    with pytest.raises(ZeroDivisionError):
        replace_whole(target, (b"%d\n" % (1 // number) for number in (1, 0)), scratch=scratch)
    assert read(target) == [b"old"]
    assert not files_under(scratch)


@suffixes
def test_really_full(suffix: str, tmp_path: Path, scratch: Path) -> None:
    """A write that the system really refuses leaves the old file."""
    target = tmp_path / f"calls{suffix}"
    replace_whole(target, OLD, scratch=scratch)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match=rf"publish {target}"), storage(target, "publish"):
            replace_whole(target, [os.urandom(4096) for _ in range(300)], scratch=scratch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read(target) == [b"old"]
    assert not files_under(scratch)


def test_directory_that_may_not_be_written() -> None:
    """A directory of another owner is told as such, with its path."""
    with unprivileged_folder() as folder:
        (folder / "unfinished").mkdir()
        (folder / "zone").mkdir(mode=0o500)
        target = folder / "zone" / "dt=1" / "calls"
        with pytest.raises(StorageError, match=r"zone/dt=1.*Make it writable"), storage(target, "publish"):
            replace_whole(target, OLD, scratch=folder / "unfinished")
        assert files_under(folder) == set()


def test_file_in_the_way(tmp_path: Path, scratch: Path) -> None:
    """A file where a directory has to be is an error of storage."""
    (tmp_path / "dt=1").touch()
    target = tmp_path / "dt=1" / "account_id=2" / "calls"
    with pytest.raises(StorageError, match="dt=1"), storage(target, "publish"):
        replace_whole(target, OLD, scratch=scratch)
    assert not files_under(scratch)


def test_a_zone_that_was_taken_away_is_not_made_again(tmp_path: Path, scratch: Path) -> None:
    """Only the day's folder is made for a new partition, nothing above it."""
    staged, _ = stage(tmp_path / "zone" / "dt=1" / "account_id=2" / "calls", OLD, scratch=scratch)
    with pytest.raises(FileNotFoundError):
        put(staged, tmp_path / "zone" / "dt=1" / "account_id=2" / "calls")
    assert not (tmp_path / "zone").exists()

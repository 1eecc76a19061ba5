from pathlib import Path

import pytest

from harvester.disk import make_directory, remove, sync_directory
from harvester.landing.files import (
    digest_of,
    is_staged,
    put,
    replace_whole,
    stage,
    take_away,
)  # fmt: skip
from harvester.landing.ndjson import SUFFIXES, read_lines
from tests.landing.disk import Died, Disk
from tests.landing.helpers import files_under

OLD, NEW = [b"old\n"], [b"new %d\n" % number for number in range(100)]
NEW_LINES = [line.rstrip() for line in NEW]
suffixes = pytest.mark.parametrize("suffix", SUFFIXES.values())


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where unfinished files live."""
    path = tmp_path / "unfinished"
    path.mkdir()
    return path


@suffixes
@pytest.mark.parametrize("there", [True, False])
def test_staged_is_out_of_sight(suffix: str, there: bool, tmp_path: Path, scratch: Path) -> None:
    """What is staged is whole and digested among the unfinished files; its target is as it was until it is put."""
    target = tmp_path / "dt=1" / f"calls{suffix}"
    if there:
        replace_whole(target, OLD, scratch=scratch)
    staged, digest = stage(target, NEW, scratch=scratch)
    assert staged.parent == scratch
    assert target.exists() == target.parent.exists() == there
    assert is_staged(staged, target)
    put(staged, target)
    assert list(read_lines(target)) == NEW_LINES
    assert digest_of(target) == digest
    assert not is_staged(staged, target)
    assert list(scratch.iterdir()) == []


def test_digest(tmp_path: Path) -> None:
    """A digest is of the bytes on the disk, all of them, whatever they are; other bytes, another digest."""
    target = tmp_path / "calls"
    target.write_bytes(bytes(2**20) + b"x")
    long = digest_of(target)
    target.write_bytes(bytes(2**20) + b"y")
    assert digest_of(target) != long
    assert len(long) == 16
    target.write_bytes(b"")
    assert digest_of(target).hex() == "cae66941d9efbd404e4d88758ea67670"  # BLAKE2b-128 of nothing


def test_folder_that_somebody_made_meanwhile(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that appears between staging and putting is used, and what else is in it stays."""
    target = tmp_path / "dt=1" / "account_id=2" / "calls"
    staged, _ = stage(target, NEW, scratch=scratch)
    target.parent.mkdir(parents=True)
    (target.parent / "theirs").touch()
    disk = Disk(monkeypatch)
    put(staged, target)
    assert disk.steps == ["replace calls", f"rmdir {staged.name}", "fsync account_id=2"]
    assert files_under(tmp_path) == {"dt=1/account_id=2/calls", "dt=1/account_id=2/theirs"}


@pytest.mark.parametrize("folder", [True, False])
def test_what_is_not_staged_cannot_be_put(folder: bool, tmp_path: Path, scratch: Path) -> None:
    """Putting what is not there is an error: it was lost, and the target is not what it should be."""
    target = tmp_path / "dt=1" / "calls"
    staged, _ = stage(target, NEW, scratch=scratch)
    replace_whole(target, OLD, scratch=scratch)
    if folder:
        (staged / "calls").unlink()
    else:
        remove(staged)
    assert not is_staged(staged, target)
    with pytest.raises(FileNotFoundError):
        put(staged, target)
    assert list(read_lines(target)) == [b"old"]


def test_taking_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file goes with its folder, durably, and it does no harm to take it away again, whatever is left there."""
    target = tmp_path / "dt=1" / "account_id=2" / "calls"
    make_directory(target.parent)
    target.touch()
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        take_away(target)
    assert disk.steps == ["unlink calls", "rmdir account_id=2", "fsync dt=1"]
    take_away(target)
    assert list((tmp_path / "dt=1").iterdir()) == []
    (tmp_path / "dt=1").rmdir()
    take_away(target)
    assert list(tmp_path.iterdir()) == []


def test_taking_away_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which somebody keeps something stays."""
    target, theirs = tmp_path / "account_id=2" / "calls", tmp_path / "account_id=2" / "theirs"
    make_directory(target.parent)
    target.touch()
    theirs.touch()
    disk = Disk(monkeypatch)
    take_away(target)
    assert disk.steps == ["unlink calls", "rmdir account_id=2", "fsync account_id=2"]
    assert files_under(tmp_path) == {"account_id=2/theirs"}


def test_removing(tmp_path: Path) -> None:
    """Files, folders with what is in them, and links go; what a link leads to stays; nothing is no error."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "link").symlink_to(kept)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    for name in ("link", "folder", "file", "nothing"):
        remove(tmp_path / name)
    assert files_under(tmp_path) == {"kept/file"}
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_killed_at_any_step(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at whichever step, the old file or all of the new is there, and no handle is left open."""
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        replace_whole(tmp_path / "dt=0" / "calls", NEW, scratch=scratch)
    for at in range(len(disk.steps)):
        target = tmp_path / f"dt={at + 1}" / "calls"
        with monkeypatch.context() as patch:
            Disk(patch, at, Died())
            with pytest.raises(Died):
                replace_whole(target, NEW, scratch=scratch)
        assert not target.parent.exists() or list(read_lines(target)) == NEW_LINES
        replace_whole(target, NEW, scratch=scratch)
        assert list(read_lines(target)) == NEW_LINES


def test_syncing_what_is_not_there(tmp_path: Path) -> None:
    """The names in a directory that was taken away cannot be made durable."""
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "gone")

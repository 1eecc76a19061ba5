import errno
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from harvester.disk import make_directory, make_one, remove, storage, sync_directory
from harvester.errors import DamagedError, ExitCode, StorageError
from tests.landing.disk import Disk
from tests.landing.helpers import unprivileged_folder


def handles() -> int:
    """How many are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EACCES, "Make it writable"),
        (errno.EPERM, "Make it writable"),
        (errno.EROFS, "Make it writable"),
        (errno.EIO, "Look after the disk"),
        (errno.EMFILE, "Look after the disk"),
        (errno.ESTALE, "It was taken away"),
        (errno.ENOENT, "It was taken away"),
        (errno.ENOTDIR, "It was taken away"),
    ],
)
def test_translation(number: int, advice: str) -> None:
    """An error of the system becomes one that says what was done to which path, and what to do now."""
    with pytest.raises(StorageError) as caught, storage(Path("zone/calls"), "publish"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"cannot publish zone/calls: {os.strerror(number)}. {advice}")
    assert not isinstance(caught.value, DamagedError)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.exit_code is ExitCode.STORAGE


@pytest.mark.parametrize(
    "error", [EOFError("cut"), zlib.error("cut"), gzip.BadGzipFile("cut"), zstandard.ZstdError("cut")]
)
def test_what_cannot_be_decompressed_is_damaged(error: Exception) -> None:
    """Whatever the compression; a gzip file's own error is one of the system's, and is damage all the same."""
    with pytest.raises(DamagedError) as caught, storage(Path("zone/calls"), "read"):
        raise error
    assert str(caught.value) == "zone/calls is damaged (cut)"
    assert caught.value.__cause__ is error


def test_an_error_without_a_number_is_told_by_its_kind() -> None:
    """Some errors are raised by libraries, with a text of their own or none."""
    with pytest.raises(StorageError, match=r"cannot read zone: BlockingIOError\. Look"), storage(Path("zone"), "read"):
        raise BlockingIOError


@pytest.mark.parametrize("path", ["other", b"other", Path("other")])
def test_translation_names_the_failing_path(path: str | bytes | Path) -> None:
    """When the system says which path failed, that path is named."""
    with pytest.raises(StorageError, match=r"cannot read (b')?other'?:"), storage(Path("zone/calls"), "read"):
        raise FileNotFoundError(errno.ENOENT, "No such file", path)


def test_translation_leaves_other_errors_alone() -> None:
    """What is not about files passes unchanged."""
    with pytest.raises(ZeroDivisionError), storage(Path("zone"), "read"):
        raise ZeroDivisionError
    with pytest.raises(StorageError, match="as it is"), storage(Path("zone"), "read"):
        raise StorageError("as it is")


def test_what_goes_well_is_left_alone() -> None:
    """Nothing is translated where nothing failed."""
    with storage(Path("zone"), "read"):
        done = True
    assert done


def test_a_rename_whose_source_is_gone_names_the_source(tmp_path: Path) -> None:
    """The folder of unfinished files was taken away: that is what to bring back, not the target."""
    staged, target = tmp_path / "unfinished" / "staged", tmp_path / "calls"
    with pytest.raises(StorageError, match=f"publish {staged}: No such file"), storage(target, "publish"):
        staged.replace(target)


def test_a_rename_whose_target_fails_names_the_target(tmp_path: Path) -> None:
    """A source that is there, if only as a link to nowhere, is not what has to be looked after."""
    staged, target = tmp_path / "staged", tmp_path / "gone" / "calls"
    staged.symlink_to("nowhere")
    with pytest.raises(StorageError, match=f"publish {target}: No such file"), storage(tmp_path, "publish"):
        staged.replace(target)


def test_a_directory_appears_durably_with_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the top down, each name made durable before the next; what is there is not touched."""
    disk = Disk(monkeypatch)
    make_directory(tmp_path / "a" / "b")
    make_one(tmp_path / "a" / "b" / "c")
    assert disk.steps == ["mkdir a", f"fsync {tmp_path.name}", "mkdir b", "fsync a", "mkdir c", "fsync b"]
    disk.steps.clear()
    make_directory(tmp_path / "a" / "b")
    make_one(tmp_path / "a" / "b" / "c")
    assert disk.steps == []


def test_a_directory_whose_parent_is_gone_is_not_made_alone(tmp_path: Path) -> None:
    """What was taken away is not made again where only one folder was asked for."""
    with pytest.raises(FileNotFoundError):
        make_one(tmp_path / "gone" / "c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [make_directory, make_one])
def test_a_directory_that_somebody_else_makes_meanwhile(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes may begin at the same time."""
    path, really = tmp_path / "a", os.mkdir

    def mkdir(*arguments: object) -> None:
        really(path)
        really(*arguments)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(os, "mkdir", mkdir)
    make(path)
    assert path.is_dir()


@pytest.mark.parametrize("make", [make_directory, make_one])
def test_a_file_where_a_directory_has_to_be(make: Callable[[Path], None], tmp_path: Path) -> None:
    """It is not removed."""
    (tmp_path / "a").write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        make(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"theirs"


def test_a_directory_that_may_not_be_made() -> None:
    """It is told by its path."""
    with unprivileged_folder() as folder:
        folder.chmod(0o500)
        with pytest.raises(StorageError, match=r"cannot make .*/a: .*Make it writable"), storage(folder / "a", "make"):
            make_directory(folder / "a" / "b")


def test_what_cannot_be_synced(tmp_path: Path) -> None:
    """Neither a directory that is gone nor a file is one whose names could be made durable; no handle is left open."""
    (tmp_path / "file").touch()
    open_before = handles()
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "gone")
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "file")
    sync_directory(tmp_path)
    assert handles() == open_before


def test_a_handle_is_closed_when_syncing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often."""
    open_before = handles()
    with monkeypatch.context() as patch:
        Disk(patch, 0, OSError(errno.EIO, "broken"))
        with pytest.raises(OSError, match="broken"):
            sync_directory(tmp_path)
    assert handles() == open_before


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    """Removing it leaves what it leads to; a link to nowhere goes, too."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("link", "dangling", "nothing"):
        remove(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "kept"]

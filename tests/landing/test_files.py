import contextlib
import errno
import gzip
import os
import resource
from itertools import count, product
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import DamagedError, StorageError
from harvester.landing.files import SUFFIXES, make_directory, read_lines, replace_whole, split_lines, storage
from tests.landing.helpers import Disk, files_under, unprivileged_folder

OLD, NEW = [b"old\n"], [b"new %d\n" % number for number in range(100)]
NEW_LINES = [line.rstrip() for line in NEW]
suffixes = pytest.mark.parametrize("suffix", SUFFIXES.values())
compressed = pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES.values() if suffix])
line_lists = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")).filter(bool), min_size=1)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where unfinished files live."""
    path = tmp_path / "unfinished"
    path.mkdir()
    return path


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the examples of a property."""
    return tmp_path_factory.mktemp("files")


def write(target: Path, chunks: list[bytes]) -> bytes:
    """Writes a file, its own folder being the scratch; returns its bytes."""
    replace_whole(target, chunks, scratch=target.parent)
    return target.read_bytes()


def read(target: Path) -> list[bytes]:
    """The lines, with errors translated as the landing zone translates them."""
    with storage(target, "read"):
        return list(read_lines(target))


@suffixes
def test_round_trip(suffix: str, folder: Path) -> None:
    """What is written is read back, line by line, and the same lines are always the same bytes."""
    numbers = count()

    @given(line_lists, st.integers(1, 50))
    def holds(lines: list[bytes], size: int) -> None:
        text = b"\n".join(lines) + b"\n"
        target = folder / f"{next(numbers)}{suffix}"
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        once = write(target, chunks)
        assert read(target) == lines
        assert write(target, chunks) == once

    holds()


@given(line_lists, st.integers(1, 50))
def test_lines_of_any_blocks(lines: list[bytes], size: int) -> None:
    """Lines do not depend on where the blocks are cut, nor on a last line break."""
    text = b"\n".join(lines)
    assert list(split_lines(text[at : at + size] for at in range(0, len(text), size))) == lines


@pytest.mark.parametrize(("suffix", "magic"), [(".zst", b"\x28\xb5\x2f\xfd"), (".gz", b"\x1f\x8b"), ("", b"old")])
def test_compressions(suffix: str, magic: bytes, tmp_path: Path) -> None:
    """The ending of the name chooses the compression."""
    assert write(tmp_path / f"calls{suffix}", OLD).startswith(magic)


def test_gzip_holds_no_time_and_no_name(tmp_path: Path) -> None:
    """A gzip file's header says nothing of when and as what it was written: the same calls are the same bytes."""
    header = write(tmp_path / "calls.gz", OLD)[:8]
    assert header[3:8] == bytes(5)  # flags, then the time (RFC 1952, 2.3)


def test_files_of_several_frames(tmp_path: Path) -> None:
    """Files that another tool has put together of several frames or members are read whole."""
    zst, gz = tmp_path / "a.zst", tmp_path / "a.gz"
    zst.write_bytes(b"".join(zstandard.ZstdCompressor().compress(line) for line in NEW))
    gz.write_bytes(b"".join(gzip.compress(line) for line in NEW))
    assert read(zst) == read(gz) == NEW_LINES


@compressed
@given(data=st.data())
def test_cut_short(suffix: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A compressed file that is cut short anywhere is damaged, never a shorter file."""
    target = tmp_path_factory.getbasetemp() / f"cut{suffix}"
    whole = write(target, NEW)
    target.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DamagedError, match=str(target)):
        read(target)


@compressed
def test_long_file_cut_between_lines(suffix: str, tmp_path: Path) -> None:
    """Losing the last byte of a file of many blocks is seen, though every line of it could still be read."""
    target = tmp_path / f"long{suffix}"
    whole = write(target, [b"%d\n" % (number * 7919 % 100003) for number in range(200_000)])
    target.write_bytes(whole[:-1])
    with pytest.raises(DamagedError, match=r"cut short|end-of-stream"):
        read(target)


@compressed
@given(data=st.data())
def test_flipped_bits(suffix: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A compressed file with a wrong byte is damaged or, where the byte means nothing, reads as before."""
    target = tmp_path_factory.getbasetemp() / f"flipped{suffix}"
    broken = bytearray(write(target, NEW))
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    target.write_bytes(broken)
    with contextlib.suppress(DamagedError):
        assert read(target) == NEW_LINES


@suffixes
def test_empty_file(suffix: str, tmp_path: Path) -> None:
    """An empty file is damaged: none is ever published."""
    target = tmp_path / f"calls{suffix}"
    target.touch()
    with pytest.raises(DamagedError, match="empty"):
        read(target)


def test_steps_to_durability(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new folder appears with its file: durable inside, then in place, then the place itself."""
    disk = Disk(monkeypatch)
    replace_whole(tmp_path / "zone" / "dt=1" / "account_id=2" / "calls", OLD, scratch=scratch)
    unfinished = disk.steps[0].removeprefix("mkdir ")
    assert disk.steps == [
        f"mkdir {unfinished}",
        "open calls",
        "write calls",
        "fsync calls",
        f"fsync {unfinished}",
        "mkdir zone",
        f"fsync {tmp_path.name}",
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
            disk = Disk(patch)
            disk.fail_at, disk.error = at, OSError(number, os.strerror(number))
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
    disk = Disk(monkeypatch)
    disk.fail_at, disk.error = 2, OSError(errno.EIO, "broken")

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


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EACCES, "Make it writable"),
        (errno.EPERM, "Make it writable"),
        (errno.EROFS, "Make it writable"),
        (errno.EIO, "Look after the disk"),
        (errno.ESTALE, "Look after the disk"),
    ],
)
def test_translation(number: int, advice: str) -> None:
    """An error of the system becomes one that says what was done to which path, and what to do now."""
    with pytest.raises(StorageError) as caught, storage(Path("zone/calls"), "publish"):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"cannot publish zone/calls: {os.strerror(number)}. {advice}")
    assert not isinstance(caught.value, DamagedError)
    assert isinstance(caught.value.__cause__, OSError)


def test_translation_names_the_failing_path() -> None:
    """When the system says which path failed, that path is named."""
    with pytest.raises(StorageError, match="cannot read other:"), storage(Path("zone/calls"), "read"):
        raise FileNotFoundError(errno.ENOENT, "No such file", "other")


def test_translation_leaves_other_errors_alone() -> None:
    """What is not about files passes unchanged."""
    with pytest.raises(ZeroDivisionError), storage(Path("zone"), "read"):
        raise ZeroDivisionError


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

"""What the disk says, in words; directories made durably; files that nobody else may read."""

import contextlib
import errno
import gzip
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from harvester.errors import DamagedError, StorageError


@contextlib.contextmanager
def storage(path: Path, doing: str) -> Iterator[None]:
    """Turns what goes wrong with files into errors that name the path and what to do.

    Args:
        path: What is being worked on.
        doing: For the message: "publish", "read".

    Raises:
        DamagedError: The file is there and cannot be decompressed.
        StorageError: Anything the operating system says.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise DamagedError(f"{path} is damaged ({error})") from error
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise StorageError(f"cannot {doing} {_named(error) or path}: {what}. {_advice(error)}") from error


def _named(error: OSError) -> str | None:
    """What an error is about: of the two names of a rename the target, unless it is the source that is gone."""
    source, target = error.filename, error.filename2
    if isinstance(source, int):  # an open file's number says nothing
        return None
    if source is None or (target and (error.errno != errno.ENOENT or os.path.lexists(source))):
        return target and str(target)
    return str(source)


def _advice(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "Free some space and run again: nothing that was published is harmed."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "Make it writable for the user that runs harvester and run again."
    if error.errno == errno.ELOOP:
        return "It is a link, where a file of its own is expected: remove it and run again."
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}:
        return "It was taken away, or is not mounted: bring it back and run again."
    return "Look after the disk or the mount and run again: nothing that was published is harmed."


def make_directory(path: Path) -> None:
    """Makes a directory and its parents, durably."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def make_one(path: Path) -> None:
    """Makes a directory, durably; never its parents, which may have been taken away."""
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""Files that appear whole or not at all, durably, and what to say when the disk will not."""

import contextlib
import errno
import gzip
import hashlib
import os
import secrets
import shutil
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

import zstandard

from harvester.errors import DamagedError, StorageError
from harvester.landing.ndjson import compressing

_DIGEST_BYTES: Final = 16
_READ_BYTES: Final = 2**20


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
    if source is None or (target and (error.errno != errno.ENOENT or os.path.lexists(source))):
        return target and str(target)
    return str(source)


def _advice(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "Free some space and run again: nothing that was published is harmed."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "Make it writable for the user that runs harvester and run again."
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


def stage(target: Path, blocks: Iterable[bytes], *, scratch: Path) -> tuple[Path, bytes]:
    """Writes a file's new content durably, out of sight; `put` makes it appear.

    A folder that is not there yet is staged together with its file, so that no empty one is ever seen.

    Args:
        target: The file.
        blocks: The new content, compressed by the ending of the target's name.
        scratch: Where the unfinished file lives: a directory of the same file system.

    Returns:
        What was staged, whose name is durable only once `scratch` is synced, and the digest of the file.
    """
    staged = scratch / f"{secrets.token_hex(8)}.tmp"  # never a name of an earlier run's, whatever that left
    try:
        if target.parent.is_dir():
            return staged, _write_durably(staged, blocks, target.suffix)
        staged.mkdir()
        digest = _write_durably(staged / target.name, blocks, target.suffix)
        sync_directory(staged)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell; the next run clears the rest
            remove(staged)
        raise
    return staged, digest


def put(staged: Path, target: Path) -> None:
    """Makes what was staged appear at its target, atomically and durably.

    Raises:
        OSError: The target is as it was, or new but perhaps not durable yet.
    """
    if staged.is_dir() and not target.parent.is_dir():
        make_one(target.parent.parent)
        staged.replace(target.parent)
        sync_directory(target.parent.parent)
        return
    if staged.is_dir():  # somebody made the folder meanwhile
        (staged / target.name).replace(target)
        staged.rmdir()
    else:
        staged.replace(target)
    sync_directory(target.parent)


def is_staged(staged: Path, target: Path) -> bool:
    """Whether there is something left to `put`."""
    return (staged / target.name if staged.is_dir() else staged).is_file()


def take_away(target: Path) -> None:
    """Removes a published file durably, and its folder if nothing else is in it; harmless when that was done before."""
    target.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody keeps something there, or it is gone already
        target.parent.rmdir()
    sync_directory(next(folder for folder in target.parents if folder.is_dir()))


def replace_whole(target: Path, blocks: Iterable[bytes], *, scratch: Path) -> None:
    """Writes a file so that its old content or all of the new is there, whatever happens, and that durably.

    Args:
        target: The file.
        blocks: The new content, compressed by the ending of the target's name.
        scratch: Where the unfinished file lives: a directory of the same file system.
    """
    staged, _ = stage(target, blocks, scratch=scratch)
    try:
        put(staged, target)
    except BaseException:
        with contextlib.suppress(OSError):
            remove(staged)
        raise


class _Digesting:
    """Passes on what is written, and digests it."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._hash = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._raw.write(data)

    def flush(self) -> None:
        self._raw.flush()

    def digest(self) -> bytes:
        return self._hash.digest()


def _write_durably(path: Path, blocks: Iterable[bytes], suffix: str) -> bytes:
    with path.open("wb") as raw:
        digesting = _Digesting(raw)
        with compressing(cast("BinaryIO", digesting), suffix) as out:
            for block in blocks:
                out.write(block)
        raw.flush()
        os.fsync(raw.fileno())
    return digesting.digest()


def digest_of(path: Path) -> bytes:
    """The digest of a file, as `stage` gives it: BLAKE2b, 16 bytes, of the bytes as they lie on the disk."""
    found = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            found.update(block)
    return found.digest()

"""Files that appear whole or not at all, durably."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from harvester.disk import make_one, remove, storage, sync_directory
from harvester.errors import StorageError
from harvester.landing.ndjson import compressing

DIGEST_BYTES: Final = 16
_READ_BYTES: Final = 2**20


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
    content = compressing(blocks, target.suffix)
    try:
        if os.path.isdir(target.parent):  # noqa: PTH112 - here and below: of a small file, paths are the larger part
            return staged, _write_durably(str(staged), content)
        os.mkdir(staged)  # noqa: PTH102
        digest = _write_durably(f"{staged}/{target.name}", content)
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
    sync_directory(move(staged, target))


def move(staged: Path, target: Path) -> Path:
    """As `put`, but for the last step: gives the folder that has to be synced until the target is durable."""
    is_folder, folder = os.path.isdir(staged), target.parent  # noqa: PTH112
    if is_folder and not os.path.isdir(folder):  # noqa: PTH112
        make_one(folder.parent)
        os.replace(staged, folder)  # noqa: PTH105
        return folder.parent
    if is_folder:  # somebody made the folder meanwhile
        (staged / target.name).replace(target)
        staged.rmdir()
    else:
        staged.replace(target)
    return folder


def is_staged(staged: Path, target: Path) -> bool:
    """Whether there is something left to `put`."""
    return (staged / target.name if staged.is_dir() else staged).is_file()


def take_away(target: Path) -> None:
    """Removes a published file durably, and its folder if nothing else is in it; harmless when that was done before."""
    sync_directory(take_off(target))


def take_off(target: Path) -> Path:
    """As `take_away`, but for the last step: gives the folder that has to be synced until the target is gone."""
    target.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody keeps something there, or it is gone already
        target.parent.rmdir()
    return next(folder for folder in target.parents if folder.is_dir())


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


def hand_over(path: Path, content: bytes) -> None:
    """Writes a file that a person asked for, whole or not at all; into what is no file, such as a pipe, just so.

    Raises:
        StorageError: It cannot be written; the message names this file, never the unfinished one.
    """
    with storage(path, "write"):
        target = path.resolve()
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        if not target.parent.is_dir():
            raise StorageError(
                f"cannot write {path}: there is no folder {target.parent}. Make it, or name another file."
            )
        try:
            replace_whole(target, [content], scratch=target.parent)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def _write_durably(path: str, content: Iterable[bytes]) -> bytes:
    """Writes a file, and gives its digest."""
    found = hashlib.blake2b(digest_size=DIGEST_BYTES)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        for block in content:
            found.update(block)
            written = os.write(handle, block)
            while written < len(block):
                written += os.write(handle, memoryview(block)[written:])
        os.fsync(handle)
    finally:
        os.close(handle)
    return found.digest()


def digest_of(path: Path) -> bytes:
    """The digest of a file, as `stage` gives it: BLAKE2b, 16 bytes, of the bytes as they lie on the disk."""
    found = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            found.update(block)
    return found.digest()

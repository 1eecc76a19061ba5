"""Files that appear whole or not at all, and the compressions of the landing zone."""

import contextlib
import errno
import gzip
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final, cast

import zstandard

from harvester.errors import DamagedError, StorageError

SUFFIXES: Final = {"zstd": ".zst", "gzip": ".gz", "none": ""}
"""`[output] compression` → what follows `.ndjson`."""
_ZSTD_LEVEL: Final = 1
_GZIP_LEVEL: Final = 1
_BUFFER_BYTES: Final = 2**18
_BLOCK_BYTES: Final = 2**9
"""Of compressed bytes, read at a time: little, for all runs of a huge day are read at once, and each may grow."""
_numbers = count(1)


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
        raise DamagedError(f"{path} is damaged ({error}): move it away and run again") from error
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise StorageError(
            f"cannot {doing} {error.filename2 or error.filename or path}: {what}. {_advice(error)}"
        ) from error


def _advice(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "Free some space and run again: nothing that was published is harmed."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "Make it writable for the user that runs harvester and run again."
    return "Look after the disk or the mount and run again: nothing that was published is harmed."


def make_directory(path: Path) -> None:
    """Makes a directory and its parents, durably."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_whole(target: Path, blocks: Iterable[bytes], *, scratch: Path) -> None:
    """Writes a file so that its old content or all of the new is there, whatever happens, and that durably.

    A folder that is not there yet appears together with its file, so that no empty one is ever seen.

    Args:
        target: The file.
        blocks: The new content, compressed by the ending of the target's name.
        scratch: Where the unfinished file lives: a directory of the same file system.
    """
    unfinished = scratch / f"{os.getpid()}-{next(_numbers)}.tmp"
    try:
        if target.parent.is_dir():
            _write_durably(unfinished, blocks, target.suffix)
            unfinished.replace(target)
            sync_directory(target.parent)
        else:
            unfinished.mkdir()
            _write_durably(unfinished / target.name, blocks, target.suffix)
            sync_directory(unfinished)
            make_directory(target.parent.parent)
            unfinished.replace(target.parent)
            sync_directory(target.parent.parent)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell; the next run clears the rest
            remove(unfinished)
        raise


def _write_durably(path: Path, blocks: Iterable[bytes], suffix: str) -> None:
    with path.open("wb") as raw:
        with _compressing(raw, suffix) as out:
            for block in blocks:
                out.write(block)
        raw.flush()
        os.fsync(raw.fileno())


def remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _compressing(raw: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    match suffix:
        case ".zst":
            compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
            with compressor.stream_writer(raw, closefd=False, write_size=_BUFFER_BYTES) as out:
                yield cast("BinaryIO", out)
        case ".gz":
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=_GZIP_LEVEL, mtime=0) as zipped:
                yield cast("BinaryIO", zipped)
        case _:
            yield raw


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, without their ends, decompressed by the ending of its name.

    Raises:
        EOFError: It is empty, which no published file is, or compressed and cut short.
        zlib.error, gzip.BadGzipFile, zstandard.ZstdError: It cannot be decompressed.
        OSError: It cannot be read.
    """
    with path.open("rb") as raw:
        if not raw.peek(1):
            raise EOFError("it is empty")
        yield from split_lines(_decompressed(raw, path.suffix))


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Bytes cut anywhere → their lines, without their ends."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _decompressed(raw: BinaryIO, suffix: str) -> Iterator[bytes]:
    match suffix:
        case ".zst":
            yield from read_frames(raw)
        case ".gz":
            with gzip.GzipFile(fileobj=raw) as zipped:
                yield from iter(partial(zipped.read, _BUFFER_BYTES), b"")
        case _:
            yield from iter(partial(raw.read, _BUFFER_BYTES), b"")


def read_frames(raw: BinaryIO) -> Iterator[bytes]:
    """The content of zstd frames, to the end of the file; a `stream_reader` would take one cut short for whole.

    Raises:
        EOFError: There is none, or the last one is cut short.
        zstandard.ZstdError: It cannot be decompressed.
    """
    rest = raw.read(_BLOCK_BYTES)
    while True:
        frame = zstandard.ZstdDecompressor().decompressobj()
        while not frame.eof:
            if not rest:
                raise EOFError("it is cut short")
            yield frame.decompress(rest)
            rest = frame.unused_data or raw.read(_BLOCK_BYTES)
        if not rest:
            return

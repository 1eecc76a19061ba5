"""Files that appear whole or not at all, and the compressions of the landing zone."""

import contextlib
import errno
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
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
        raise StorageError(f"cannot {doing} {error.filename or path}: {what}. {_advice(error)}") from error


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


def replace_whole(target: Path, chunks: Iterable[bytes], *, scratch: Path) -> None:
    """Writes a file so that its old content or all of the new is there, whatever happens, and that durably.

    Args:
        target: The file; its directory is made if need be.
        chunks: The new content, compressed by the ending of the target's name.
        scratch: Where the unfinished file lives: a directory of the same file system.
    """
    unfinished = scratch / f"{os.getpid()}-{next(_numbers)}.tmp"
    try:
        with unfinished.open("wb") as raw:
            with _compressing(raw, target.suffix) as out:
                for chunk in chunks:
                    out.write(chunk)
            raw.flush()
            os.fsync(raw.fileno())
        make_directory(target.parent)
        unfinished.replace(target)
        sync_directory(target.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


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
    """The lines of a file, without their ends, decompressed by the ending of its name."""
    with path.open("rb") as raw, _decompressing(raw, path.suffix) as lines:
        for line in lines:
            yield line.rstrip(b"\n")


def _decompressing(raw: BinaryIO, suffix: str) -> BinaryIO:
    match suffix:
        case ".zst":
            reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=False)
            return cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", reader), _BUFFER_BYTES))
        case ".gz":
            return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
        case _:
            return raw

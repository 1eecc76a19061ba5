"""NDJSON files as bytes: compressing what is written, reading lines back, and seeing when a file was cut short."""

import gzip
import threading
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

SUFFIXES: Final = {"zstd": ".zst", "gzip": ".gz", "none": ""}
"""`[output] compression` → what follows `.ndjson`."""
_ZSTD_LEVEL: Final = 1
_GZIP_LEVEL: Final = 1
_BUFFER_BYTES: Final = 2**18
_BLOCK_BYTES: Final = 2**9
"""Of compressed bytes, read at a time: little, for many runs of a huge day are read at once, and each may grow; and of
a damaged file all that stands before the damage can be had."""
LARGE_BLOCK_BYTES: Final = 2**14
"""Where there is one file only, and it is sound."""


class _Mine(threading.local):
    """A thread's compressor: to make one takes longer than to compress a day with it."""

    zstd: zstandard.ZstdCompressor | None = None


_mine = _Mine()


def _zstd() -> zstandard.ZstdCompressor:
    if _mine.zstd is None:
        _mine.zstd = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
    return _mine.zstd


def compressed(blocks: Collection[bytes]) -> bytes:
    """One zstd frame, which says how much is in it."""
    frame = _zstd().compressobj(size=sum(map(len, blocks)))
    return b"".join([*map(frame.compress, _large_pieces(blocks)), frame.flush()])


def compressing(blocks: Iterable[bytes], suffix: str) -> Iterator[bytes]:
    """Content → a file's, compressed by the ending of its name; its bytes do not depend on where the blocks are cut.

    With zstd it is one frame, for there are readers that end after the first. In a thread, one file after the other.
    """
    match suffix:
        case ".zst":
            frame = _zstd().compressobj()
            yield from filter(None, map(frame.compress, _large_pieces(blocks)))
            yield frame.flush()
        case ".gz":
            made = _Made()
            with gzip.GzipFile(filename="", fileobj=made, mode="wb", compresslevel=_GZIP_LEVEL, mtime=0) as zipped:
                for block in blocks:
                    zipped.write(block)
                    yield from made.taken()
            yield from made.taken()
        case _:
            yield from filter(None, blocks)


def _large_pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: with each, a compressor lets other threads go first, which is dearer than it."""
    held: list[bytes] = []
    size_bytes = 0
    for block in blocks:
        held.append(block)
        size_bytes += len(block)
        if size_bytes >= _BUFFER_BYTES:
            yield b"".join(held)
            held, size_bytes = [], 0
    if held:
        yield b"".join(held)


class _Made:
    """What a compressor has made so far."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._blocks.append(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def taken(self) -> list[bytes]:
        blocks, self._blocks = self._blocks, []
        return blocks


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
        yield from split_lines(decompressed(raw, path.suffix))


def read_blocks(path: Path) -> Iterator[bytes]:
    """The content of a file that should be sound, cut anywhere. Raises as `read_lines`."""
    with path.open("rb") as raw:
        if not raw.peek(1):
            raise EOFError("it is empty")
        yield from decompressed(raw, path.suffix, LARGE_BLOCK_BYTES)


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Bytes cut anywhere → their lines, without their ends."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest


def decompressed(raw: BinaryIO, suffix: str, block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
    """A file's content, decompressed by the ending of its name. Raises as `read_lines`, but for an empty file."""
    match suffix:
        case ".zst":
            yield from read_frames(raw, block_bytes)
        case ".gz":
            with gzip.GzipFile(fileobj=raw) as zipped:
                yield from iter(partial(zipped.read, _BUFFER_BYTES), b"")
        case _:
            yield from iter(partial(raw.read, _BUFFER_BYTES), b"")


def read_frames(raw: BinaryIO, block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
    """The content of zstd frames, to the end of the file; a `stream_reader` would take one cut short for whole.

    Args:
        raw: The file.
        block_bytes: Of it, read at a time.

    Raises:
        EOFError: There is none, or the last one is cut short.
        zstandard.ZstdError: It cannot be decompressed.
    """
    rest = raw.read(block_bytes)
    while True:
        frame = zstandard.ZstdDecompressor().decompressobj()
        while not frame.eof:
            if not rest:
                raise EOFError("it is cut short")
            yield frame.decompress(rest)
            rest = frame.unused_data or raw.read(block_bytes)
        if not rest:
            return

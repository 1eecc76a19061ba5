import contextlib
import gzip
from itertools import count
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from harvester.disk import storage
from harvester.errors import DamagedError
from harvester.landing.files import replace_whole
from harvester.landing.ndjson import SUFFIXES, read_lines, split_lines

OLD, NEW = [b"old\n"], [b"new %d\n" % number for number in range(100)]
NEW_LINES = [line.rstrip() for line in NEW]
suffixes = pytest.mark.parametrize("suffix", SUFFIXES.values())
compressed = pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES.values() if suffix])
line_lists = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")).filter(bool), min_size=1)


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
    assert list(split_lines([text, b"\n"])) == lines


@pytest.mark.parametrize(("suffix", "magic"), [(".zst", b"\x28\xb5\x2f\xfd"), (".gz", b"\x1f\x8b"), ("", b"old")])
def test_compressions(suffix: str, magic: bytes, tmp_path: Path) -> None:
    """The ending of the name chooses the compression."""
    assert write(tmp_path / f"calls{suffix}", OLD).startswith(magic)


def test_zstd_holds_a_checksum(tmp_path: Path) -> None:
    """A zstd file says how to tell that it is whole (RFC 8878, 3.1.1.1.1.5)."""
    assert zstandard.get_frame_parameters(write(tmp_path / "calls.zst", OLD)).has_checksum


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
    assert len(read(target)) == 200_000
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

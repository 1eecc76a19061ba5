import errno
import struct
from datetime import date
from itertools import count
from pathlib import Path
from zlib import crc32

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.calls import Call, Calls, Stray
from harvester.disk import storage
from harvester.errors import DamagedError, StorageError
from harvester.landing.part import Part
from tests.landing.disk import Disk
from tests.landing.helpers import DAYS, call, calls, readings_of, stray

YESTERDAY = date(2024, 3, 4)
STRAYS = [stray(b"[]"), stray(b'{"call_id":"7"}')]


def contents(part: Part) -> tuple[dict[str, list[Call]], list[Stray], int]:
    """All that a part holds."""
    return {day: readings_of(part, day) for day in part.days}, part.strays(), part.calls


def durable(path: Path) -> Part:
    """A part of two checkpoints: two days, ids that come again, strays."""
    part = Part(path, YESTERDAY)
    for turn in range(2):
        some = [call(f"{key}", f"{day} 0{key}:00:00", turn=turn) for day in DAYS[:2] for key in range(turn, 3)]
        part.add(Calls.of(some), STRAYS[:turn])
        part.make_durable()
    return part


def adopt(path: Path, size_bytes: int) -> Part:
    """The part, with errors translated as the landing zone translates them."""
    with storage(path, "go on with"):
        return Part.adopt(path, size_bytes, YESTERDAY)


def test_any_part_is_adopted(tmp_path: Path) -> None:
    """Whatever went to disk is all there when another run takes the part over, up to the checkpoint and not beyond."""
    numbers = count()
    pages = st.lists(st.lists(calls(), max_size=4), max_size=4)

    @given(pages, pages)
    def holds(before: list[list[Call]], after: list[list[Call]]) -> None:
        path = tmp_path / str(next(numbers))
        part = Part(path, YESTERDAY)
        for page in before:
            part.add(Calls.of(page), STRAYS[: len(page) // 3])
            part.make_durable()
        part.make_durable()
        good, size_bytes = contents(part), part.file_bytes
        for page in after:
            part.add(Calls.of(page), STRAYS)
            part.spill()
        adopted = adopt(path, size_bytes)
        assert contents(adopted) == good
        assert path.stat().st_size == adopted.file_bytes == size_bytes
        assert (adopted.read_on, adopted.memory_bytes) == (YESTERDAY, 0)
        for page in after:
            adopted.add(Calls.of(page))
            adopted.make_durable()
        assert adopt(path, adopted.file_bytes).calls == good[2] + sum(map(len, after))

    holds()


def test_newest_first_after_adoption(tmp_path: Path) -> None:
    """What is read after a part was taken over is newer than all that was in it."""
    path = tmp_path / "part"
    readings = [call("1", f"{DAYS[0]} 00:00:00", turn=turn) for turn in range(4)]
    part = Part(path, YESTERDAY)
    for reading in readings[:2]:
        part.add(Calls.of([reading]))
        part.make_durable()
    adopted = adopt(path, part.file_bytes)
    adopted.add(Calls.of([readings[2]]))
    adopted.spill()
    adopted.add(Calls.of([readings[3]]))
    assert readings_of(adopted, DAYS[0]) == readings[::-1]


def test_steps_of_adoption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written behind the checkpoint is gone for good before the part is gone on with."""
    part = durable(tmp_path / "7.part")
    part.add(Calls.of([call("9", f"{DAYS[0]} 00:00:00")]))
    size_bytes = part.file_bytes
    part.spill()
    disk = Disk(monkeypatch)
    adopted = adopt(part.path, size_bytes)
    assert disk.steps == ["open 7.part", "truncate 7.part", "fsync 7.part", "passed part adopted"]
    disk.steps.clear()
    adopted.make_durable()
    assert f"fsync {tmp_path.name}" not in disk.steps  # its name was durable before the checkpoint


def test_cut_short_anywhere(tmp_path: Path) -> None:
    """A part that lacks any of its good bytes is damaged."""
    path = tmp_path / "7.part"
    part = durable(path)
    whole = path.read_bytes()
    for kept_bytes in range(part.file_bytes):
        path.write_bytes(whole[:kept_bytes])
        with pytest.raises(DamagedError, match=r"7\.part is damaged"):
            adopt(path, part.file_bytes)
        assert path.read_bytes() == whole[:kept_bytes]


def test_checkpoint_within_a_run(tmp_path: Path) -> None:
    """A checkpoint at which no run ends is not one of this file; nothing is cut off then."""
    path = tmp_path / "7.part"
    part = durable(path)
    whole = path.read_bytes()
    sound = 0
    for size_bytes in range(part.file_bytes + 1):
        try:
            adopt(path, size_bytes)
            sound += 1
        except DamagedError as error:
            assert "behind the last checkpoint" in str(error)  # noqa: PT017 - most of them raise
            assert path.read_bytes() == whole
        path.write_bytes(whole)
    assert sound == 1 + 2 * 2 + 1  # before the first run; behind two days, twice, and the strays


def test_flipped_bit_anywhere(tmp_path: Path) -> None:
    """A wrong bit in any good byte is noticed, or changes nothing of what is read."""
    path = tmp_path / "7.part"
    part = durable(path)
    good, whole = contents(part), path.read_bytes()
    noticed = 0
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 1 << at % 8
        path.write_bytes(broken)
        try:
            adopted = adopt(path, len(whole))
        except DamagedError:
            noticed += 1
            continue
        assert contents(adopted) == good
    assert noticed > len(whole) * 0.99


@given(data=st.data())
@settings(max_examples=100)
def test_wrong_bytes_anywhere(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any wrong byte is noticed, or changes nothing of what is read."""
    path = tmp_path_factory.mktemp("part") / "7.part"
    part = durable(path)
    good, broken = contents(part), bytearray(path.read_bytes())
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(broken)
    try:
        adopted = adopt(path, len(broken))
    except DamagedError:
        return
    assert contents(adopted) == good


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b'{"day":"2024-02-28","first":["",""],"size_bytes":9,"codec":"lzma"}',
        b'{"day":"2024-02-28","first":["",""]}',
    ],
)
def test_run_of_another_harvester(head: bytes, tmp_path: Path) -> None:
    """A run whose head is sound and says something unknown is not guessed at."""
    path = tmp_path / "7.part"
    begin = struct.pack("<III", 0x184D2A50, 4 + len(head), crc32(head)) + head
    path.write_bytes(begin + zstandard.ZstdCompressor().compress(b"{}\n"))
    with pytest.raises(DamagedError, match=r"7\.part is damaged \(a run is not of this harvester"):
        adopt(path, path.stat().st_size)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 2**31, 2**32 - 1])
def test_odd_lengths(length: int, tmp_path: Path) -> None:
    """A head that says that it is nothing, or more than there is, is damaged."""
    path = tmp_path / "7.part"
    path.write_bytes(struct.pack("<III", 0x184D2A50, length, 7) + b"{}" * 20)
    with pytest.raises(DamagedError, match=r"7\.part"):
        adopt(path, path.stat().st_size)


@pytest.mark.parametrize("step", range(3))
def test_disk_that_fails(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the part cannot be opened, cut or made durable, that is an error of storage that names it."""
    part = durable(tmp_path / "7.part")
    Disk(monkeypatch, step, OSError(errno.EIO, "broken"))
    with pytest.raises(StorageError, match=r"cannot go on with .*7\.part: broken") as caught:
        adopt(part.path, part.file_bytes)
    assert not isinstance(caught.value, DamagedError)

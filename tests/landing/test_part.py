from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import DamagedError, StorageError
from harvester.landing.part import Part
from harvester.model import Call, memory_bytes
from tests.landing.helpers import DAYS, call, calls

SPILL = None
doings = st.lists(st.lists(calls(), max_size=5) | st.just(SPILL), max_size=12)


def filled(path: Path, doings: Sequence[Sequence[Call] | None]) -> Part:
    """A part that has taken calls in and spilled them."""
    part = Part(path)
    for batch in doings:
        if batch is SPILL:
            part.spill()
        else:
            part.add(batch)
    return part


def test_any_batches_and_spills(tmp_path: Path) -> None:
    """However calls come and go to disk, each day gives exactly its own calls, in order."""
    numbers = count()

    @given(doings)
    def holds(doings: list[list[Call] | None]) -> None:
        part = filled(tmp_path / str(next(numbers)), doings)
        given = [one for batch in doings if batch for one in batch]
        assert part.days == sorted({one.day for one in given})
        for day in DAYS:
            read = list(part.calls_of(day))
            assert read == list(part.calls_of(day))  # as often as one likes
            assert [(one.start, one.id) for one in read] == sorted(
                (one.start, one.id) for one in given if one.day == day
            )
            assert sorted(one.line for one in read) == sorted(one.line for one in given if one.day == day)

    holds()


def test_newest_reading_comes_first(tmp_path: Path) -> None:
    """Of a call that was read several times, in memory or spilled, the newest reading comes first."""
    numbers = count()
    versions = st.lists(st.booleans(), min_size=1, max_size=6)

    @given(versions)
    def holds(spills: list[bool]) -> None:
        readings = [call("1", f"{DAYS[0]} 00:00:00", version=number) for number in range(len(spills))]
        doings: list[list[Call] | None] = []
        for reading, spill in zip(readings, spills, strict=True):
            doings += [[reading], SPILL] if spill else [[reading]]
        part = filled(tmp_path / str(next(numbers)), doings)
        assert next(part.calls_of(DAYS[0])) == readings[-1]

    holds()


def test_frames_of_other_days_are_not_read(tmp_path: Path) -> None:
    """Reading a day ends with its frame, though frames of other days and of the same day lie right behind it."""
    part = Part(tmp_path / "part")
    for number in range(20):
        part.add([call(str(number), f"{day} 09:30:00", text="x" * 5000) for day in DAYS])
        part.spill()
    for day in DAYS:
        read = list(part.calls_of(day))
        assert [one.id for one in read] == sorted(map(str, range(20)))
        assert {one.day for one in read} == {day}


def test_memory(tmp_path: Path) -> None:
    """Memory is what the calls hold, and nothing after they went to disk."""
    some = [call(number, f"{DAYS[0]} 00:00:00") for number in range(10)]
    part = filled(tmp_path / "part", [some, some])
    assert part.memory_bytes == 2 * memory_bytes(some)
    part.spill()
    assert part.memory_bytes == 0
    part.add(some)
    assert part.memory_bytes == memory_bytes(some)


def test_file_comes_and_goes(tmp_path: Path) -> None:
    """There is a file only from the first spill to the discarding."""
    part = filled(tmp_path / "part", [[call(1, f"{DAYS[0]} 00:00:00")]])
    part.discard()
    assert not (tmp_path / "part").exists()
    part.spill()
    assert (tmp_path / "part").exists()
    part.discard()
    assert not (tmp_path / "part").exists()


def test_forgotten_day(tmp_path: Path) -> None:
    """A day that is published leaves memory; the others stay."""
    part = filled(tmp_path / "part", [[call(1, f"{day} 00:00:00") for day in DAYS]])
    part.forget_day(DAYS[0])
    part.forget_day("1999-01-01")
    assert part.days == list(DAYS[1:])


@pytest.mark.parametrize("kept_bytes", [0, 10, -1])
def test_damaged_part(kept_bytes: int, tmp_path: Path) -> None:
    """A part that was cut short is damaged, and the part is named, not the partition it was read for."""
    path = tmp_path / "7.part"
    part = filled(path, [[call(number, f"{DAYS[0]} 00:00:00") for number in range(50)], SPILL])
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises((DamagedError, StorageError), match=r"7\.part"):
        list(part.calls_of(DAYS[0]))


def test_part_that_is_gone(tmp_path: Path) -> None:
    """A part that somebody removed is an error of storage."""
    path = tmp_path / "7.part"
    part = filled(path, [[call(1, f"{DAYS[0]} 00:00:00")], SPILL])
    path.unlink()
    with pytest.raises(StorageError, match=r"cannot read .*7\.part"):
        list(part.calls_of(DAYS[0]))

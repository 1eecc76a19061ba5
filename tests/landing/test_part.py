import tracemalloc
from collections.abc import Sequence
from datetime import date
from io import BytesIO
from itertools import count, product
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from harvester.calls import Call, Calls
from harvester.errors import DamagedError, StorageError
from harvester.landing.encode import in_order, to_lines
from harvester.landing.part import Part
from tests.landing.disk import Disk
from tests.landing.helpers import DAYS, call, calls, readings_of, stray

SPILL = None
TODAY = date(2024, 3, 5)
doings = st.lists(st.lists(calls(), max_size=5) | st.just(SPILL), max_size=12)


def filled(path: Path, doings: Sequence[Sequence[Call] | None]) -> Part:
    """A part that has taken calls in and spilled them."""
    part = Part(path, TODAY)
    for batch in doings:
        if batch is SPILL:
            part.spill()
        else:
            part.add(Calls.of(batch))
    return part


def test_any_batches_and_spills(tmp_path: Path) -> None:
    """However calls come and go to disk, each day gives exactly its own calls, in order."""
    numbers = count()

    @given(doings)
    def holds(doings: list[list[Call] | None]) -> None:
        part = filled(tmp_path / str(next(numbers)), doings)
        given = [one for batch in doings if batch for one in batch]
        assert part.days == sorted({one.day for one in given})
        assert part.calls == len(given)
        for day in DAYS:
            read = readings_of(part, day)
            assert read == readings_of(part, day)  # as often as one likes
            assert [(one.start, one.id) for one in read] == sorted(
                (one.start, one.id) for one in given if one.day == day
            )
            assert sorted(one.line for one in read) == sorted(one.line for one in given if one.day == day)
            text = part.gathered(day).text()
            once = list({one.id: one for one in read[::-1]}.values())
            assert b"".join(text) == to_lines(in_order(once))
            assert text.calls == len(once)

    holds()


def test_newest_reading_comes_first(tmp_path: Path) -> None:
    """Of a call that was read several times, in memory or in any run on disk, the newest reading comes first."""
    for number, spills in enumerate(product([True, False], repeat=5)):
        doings: list[list[Call] | None] = []
        readings = [call("1", f"{DAYS[0]} 00:00:00", version=version) for version in range(5)]
        for reading, spill in zip(readings, spills, strict=True):
            doings += [[reading], SPILL] if spill else [[reading]]
        part = filled(tmp_path / str(number), doings)
        assert readings_of(part, DAYS[0]) == readings[::-1]


def test_newest_reading_of_a_run_that_is_open(tmp_path: Path) -> None:
    """The newest reading of a call comes first, though its run begins with it and an older run is open already."""
    old, new = (call("b", f"{DAYS[0]} 00:00:01", version=version) for version in (1, 2))
    part = filled(tmp_path / "part", [[call("a", f"{DAYS[0]} 00:00:00"), old], SPILL, [new], SPILL])
    assert readings_of(part, DAYS[0])[1:] == [new, old]


def test_runs_that_overlap(tmp_path: Path) -> None:
    """Runs that lie inside of each other, beside each other and across each other are read as one."""
    spans = [(0, 60), (10, 20), (15, 30), (40, 50), (0, 5), (59, 60), (20, 21)]
    some = [[call(f"{one}-{at}", f"{DAYS[0]} 00:00:{at:02}") for at in range(*span)] for one, span in enumerate(spans)]
    part = filled(tmp_path / "part", [doing for run in some for doing in (run, SPILL)])
    assert [one.start for one in readings_of(part, DAYS[0])] == sorted(one.start for run in some for one in run)


def test_days_of_other_runs_are_not_read(tmp_path: Path) -> None:
    """Reading a day ends with its runs, though runs of other days and of the same day lie right behind them."""
    part = Part(tmp_path / "part", TODAY)
    for number in range(20):
        part.add(Calls.of([call(str(number), f"{day} 09:30:00", text="x" * 5000) for day in DAYS]))
        part.spill()
    for day in DAYS:
        read = readings_of(part, day)
        assert [one.id for one in read] == sorted(map(str, range(20)))
        assert {one.day for one in read} == {day}


def test_runs_are_opened_when_their_turn_comes(tmp_path: Path) -> None:
    """Of a day that a walk spilled in hundreds of runs, one after the other, few are held in memory at once."""
    part = Part(tmp_path / "part", TODAY)
    for number in range(400):
        clock = f"{number // 60:02}:{number % 60:02}"
        part.add(
            Calls.of(
                [call(f"{number}-{at}", f"{DAYS[0]} {clock}:{at:02}", text=f"{number}{at}" * 500) for at in range(20)]
            )
        )
        part.spill()
    tracemalloc.start()
    try:
        assert sum(map(len, part.gathered(DAYS[0]).readings())) == 8000
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2**20  # of 20 MB, or 200 kB compressed and 2 kB of every open run


def test_any_zstd_tool_reads_it(tmp_path: Path) -> None:
    """The file is a plain sequence of zstd frames, whose content is the calls' own lines."""
    path = tmp_path / "part"
    some = [[call(f"{turn}", f"{day} 00:00:00") for day in DAYS] for turn in range(3)]
    filled(path, [doing for run in some for doing in (run, SPILL)])
    with zstandard.ZstdDecompressor().stream_reader(BytesIO(path.read_bytes()), read_across_frames=True) as reader:
        assert reader.read().splitlines() == [one.line for run in some for one in run]


def test_strays(tmp_path: Path) -> None:
    """Strays that went to disk come back whole, before those that are in memory, and are no calls."""
    lines = (b'{"call_id":"7","call_start_time":"\\t\\n"}', b"[]", b'"\\u0009 \\n"', b"{}\t", b'{"call_id":"8"}')
    some = [stray(line) for line in lines]
    part = Part(tmp_path / "part", TODAY)
    part.add(Calls.of([]), some[:2])
    part.spill()
    part.add(Calls.of([call("1", f"{DAYS[0]} 00:00:00")]), some[2:4])
    part.spill()
    part.add(Calls.of([]), some[4:])
    assert part.strays() == some
    assert part.days == [DAYS[0]]
    assert part.calls == 1


def test_memory(tmp_path: Path) -> None:
    """Memory is what the calls and strays hold, and nothing after they went to disk."""
    some = [call(number, f"{DAYS[0]} 00:00:00") for number in range(10)]
    strays = [stray(b"[]")]
    part = filled(tmp_path / "part", [some])
    part.add(Calls.of(some), strays)
    held_bytes = 2 * sum(len(one.line) + 1 + 8 for one in some) + strays[0].memory_bytes
    assert held_bytes < part.memory_bytes < held_bytes + 2000
    part.spill()
    assert part.memory_bytes == 0
    part.add(Calls.of(some))
    assert held_bytes / 2 < part.memory_bytes < held_bytes / 2 + 1000


@pytest.mark.parametrize("backwards", [True, False])
@pytest.mark.parametrize("page", [7, 100])
def test_memory_is_counted(page: int, backwards: bool, tmp_path: Path) -> None:
    """What is said to be held is what Python holds, whichever way a walk goes, and hardly more than the lines."""
    part = Part(tmp_path / "part", TODAY)
    places = range(5000) if not backwards else range(4999, -1, -1)
    tracemalloc.start()
    try:
        for begin in range(0, 5000, page):
            numbers = places[begin : begin + page]
            clock = [f"{DAYS[0]} {at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}" for at in numbers]
            part.add(
                Calls.of([call(f"{at:05}", start, text="x" * 300) for at, start in zip(numbers, clock, strict=True)])
            )
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert part.memory_bytes * 0.9 < held_bytes < part.memory_bytes * 1.1
    assert part.memory_bytes < 5000 * (362 + 50)
    assert sum(map(len, part.gathered(DAYS[0]).calls())) == 5000


def test_file_comes_and_goes(tmp_path: Path) -> None:
    """There is a file only from the first spill to the discarding, and its size is known."""
    path = tmp_path / "part"
    part = filled(path, [[call(1, f"{DAYS[0]} 00:00:00")]])
    part.discard()
    assert (path.exists(), part.file_bytes) == (False, 0)
    part.spill()
    assert part.file_bytes == path.stat().st_size > 0
    part.add(Calls.of([call(2, f"{DAYS[1]} 00:00:00")]))
    part.spill()
    assert part.file_bytes == path.stat().st_size
    part.discard()
    assert not path.exists()


@pytest.mark.parametrize("spilled_before", [True, False])
def test_steps_to_durability(spilled_before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made durable, first the file and then its name are on the disk, the name once, also when calls spilled before."""
    disk = Disk(monkeypatch)
    part = filled(tmp_path / "7.part", [[call(1, f"{DAYS[0]} 00:00:00")], *[SPILL] * spilled_before])
    disk.steps.clear()
    part.make_durable()
    durable = ["passed part written", "open 7.part", "fsync 7.part", f"fsync {tmp_path.name}", "passed part durable"]
    assert disk.steps[disk.steps.index(durable[0]) :] == durable
    assert ("write 7.part" in disk.steps) != spilled_before
    disk.steps.clear()
    part.add(Calls.of([call(2, f"{DAYS[0]} 00:00:00")]))
    part.make_durable()
    durable.remove(f"fsync {tmp_path.name}")
    assert disk.steps[disk.steps.index(durable[0]) :] == durable
    assert disk.steps[:2] == ["open 7.part", "write 7.part"]


@pytest.mark.parametrize("kept_bytes", [0, 10, -1])
def test_damaged_part(kept_bytes: int, tmp_path: Path) -> None:
    """A part that was cut short is damaged, and the part is named, not the partition it was read for."""
    path = tmp_path / "7.part"
    part = filled(path, [[call(number, f"{DAYS[0]} 00:00:00") for number in range(50)], SPILL])
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(DamagedError, match=r"7\.part"):
        readings_of(part, DAYS[0])


def test_part_that_is_gone(tmp_path: Path) -> None:
    """A part that somebody removed is an error of storage."""
    path = tmp_path / "7.part"
    part = filled(path, [[call(1, f"{DAYS[0]} 00:00:00")], SPILL])
    path.unlink()
    with pytest.raises(StorageError, match=r"cannot read .*7\.part"):
        readings_of(part, DAYS[0])


def test_line_that_is_no_call(tmp_path: Path) -> None:
    """A line of a run that is no call is no call of the day: what landed is counted, so that it is missed."""
    part = filled(tmp_path / "part", [[call(1, f"{DAYS[0]} 00:00:00")], SPILL])
    with part.path.open("ab") as file:
        for day in DAYS[:2]:
            part._write(file, day, ("", ""), [b"[]\n"])
    assert [[one.id for one in readings_of(part, day)] for day in DAYS] == [["1"], [], []]

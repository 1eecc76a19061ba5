import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.calls import Call
from harvester.errors import DamagedError, StorageError
from harvester.landing.encode import in_order, to_lines
from harvester.landing.files import digest_of, replace_whole
from harvester.landing.landed import Landed, checked_calls, salvaged_calls
from harvester.landing.ndjson import SUFFIXES
from tests.landing.helpers import DAYS, call, calls, unprivileged_folder

DAY = DAYS[0]
A, B = call("a", f"{DAY} 00:00:00"), call("b", f"{DAY} 00:00:01")
OTHER = call("c", f"{DAYS[1]} 00:00:00")
suffixes = pytest.mark.parametrize("suffix", SUFFIXES.values())


def written(folder: Path, *lines: bytes | Call, suffix: str = ".zst") -> Path:
    """A file of these lines."""
    path = folder / f"calls.ndjson{suffix}"
    text = b"".join((one.line if isinstance(one, Call) else one) + b"\n" for one in lines)
    replace_whole(path, [text] if text else [], scratch=folder)
    return path


def listed(landed: Landed) -> list[Call]:
    """Its calls."""
    return [one for block in landed.calls(DAY) for one in block]


@suffixes
def test_sound_file(suffix: str, tmp_path: Path) -> None:
    """A file as harvester writes them is read as it is, as often as one likes, and known by its digest."""
    path = written(tmp_path, A, B, suffix=suffix)
    landed = Landed.at(path, DAY)
    assert (landed.path, landed.digest, landed.trouble) == (path, digest_of(path), None)
    assert landed.count == 2
    assert listed(landed) == listed(landed) == [A, B]


def test_no_file(tmp_path: Path) -> None:
    """Where there is no file there are no calls, and that is no trouble."""
    landed = Landed.at(tmp_path / "calls.ndjson", DAY)
    assert landed == Landed(tmp_path / "calls.ndjson")
    assert (landed.count, landed.digest, landed.trouble, listed(landed)) == (0, None, None, [])


@suffixes
@pytest.mark.parametrize(
    ("lines", "trouble", "left"),
    [
        ([A, b"[]", B], "not a JSON object in line 2", [A, B]),
        ([A, b'{"call_id":"x"}'], "no usable call_start_time in line 2", [A]),
        ([b"", A], "not a JSON object in line 1", [A]),
        ([A, OTHER], f"line 2 is a call of {DAYS[1]}", [A]),
        ([A, A], "the call of line 2 was there before", [A]),
        ([A, call("a", f"{DAY} 00:00:09"), B], "the call of line 2 was there before", [A, B]),
        ([B, A], "line 2 is out of order", [A, B]),
        ([call("z", A.start), A], "line 2 is out of order", [A, call("z", A.start)]),
    ],
)
def test_file_as_harvester_writes_none(
    lines: list[bytes | Call], trouble: str, left: list[Call], suffix: str, tmp_path: Path
) -> None:
    """A line that is no call, a call of another day, an id that comes again, a wrong order: each is told by line."""
    path = written(tmp_path, *lines, suffix=suffix)
    landed = Landed.at(path, DAY)
    assert landed.trouble == f"{path} is damaged ({trouble})"
    assert listed(landed) == listed(landed) == left
    assert landed.count == len(left)
    assert landed.digest == digest_of(path)
    with pytest.raises(DamagedError, match="is damaged"):
        list(checked_calls(path, DAY))


@suffixes
def test_empty_file(suffix: str, tmp_path: Path) -> None:
    """An empty file is damaged, and nothing can be had of it."""
    path = tmp_path / f"calls.ndjson{suffix}"
    path.touch()
    landed = Landed.at(path, DAY)
    assert landed.trouble == f"{path} is damaged (it is empty)"
    assert landed.digest == digest_of(path)
    assert listed(landed) == []


def test_file_cut_short(tmp_path: Path) -> None:
    """Of a file that was cut short everything before the cut can still be had."""
    some = [call(f"{number:05}", f"{DAY} 00:00:00", text=os.urandom(100).hex()) for number in range(10_000)]
    path = written(tmp_path, *some)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    landed = Landed.at(path, DAY)
    assert landed.trouble is not None
    left = listed(landed)
    assert 2000 < len(left) < 8000
    assert left == some[: len(left)]
    assert landed.count == len(left)


@given(data=st.data(), some=st.lists(calls((DAY,)), unique_by=lambda one: one.id, min_size=1))
def test_flipped_byte(data: st.DataObject, some: list[Call], tmp_path_factory: pytest.TempPathFactory) -> None:
    """A wrong byte is noticed or harmless, and what is salvaged are calls of the day, in order, each id once."""
    folder = tmp_path_factory.mktemp("zone")
    path = written(folder, *in_order(some))
    broken = bytearray(path.read_bytes())
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(broken)
    landed = Landed.at(path, DAY)
    found = listed(landed)
    assert landed.trouble or found == in_order(some)
    assert found == in_order(found)
    assert len({one.id for one in found}) == len(found)
    assert {one.day for one in found} <= {DAY}


def test_first_version_is_salvaged(tmp_path: Path) -> None:
    """Of an id that comes again the first is salvaged."""
    first, second = (call("a", f"{DAY} 00:00:00", version=number) for number in (1, 2))
    path = tmp_path / "calls.ndjson"
    path.write_bytes(to_lines([first, second]))
    assert list(salvaged_calls(path, DAY)) == [first]


def test_file_that_may_not_be_read() -> None:
    """A file of another owner is an error of storage, and not taken for damaged."""
    with unprivileged_folder() as folder:
        path = written(folder, A)
        path.chmod(0o000)
        with pytest.raises(StorageError, match=r"cannot read .*Make it writable") as caught:
            Landed.at(path, DAY)
        assert not isinstance(caught.value, DamagedError)
        with pytest.raises(StorageError, match="cannot read"):
            salvaged_calls(path, DAY)

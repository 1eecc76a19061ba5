import errno
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from harvester.calls import Call, Calls
from harvester.errors import DamagedError, StorageError
from harvester.landing.files import digest_of, replace_whole
from harvester.landing.ndjson import SUFFIXES
from harvester.landing.part import Part
from harvester.landing.partition import Zone
from harvester.landing.publication import DayChange
from harvester.landing.publish import Reading, carry_out, prepare
from harvester.record import read_record
from tests.landing.disk import Died, Disk
from tests.landing.helpers import ACCOUNT, DAYS, call, files_under, identity, landed, reading, zone_at

DAY = DAYS[0]
D = date.fromisoformat(DAY)
A, B, C = (call(key, f"{DAY} 00:00:00") for key in "abc")


def publish(zone: Zone, *some: Call, drop: bool = False) -> DayChange:
    """Publishes a reading of a day; what was read last comes last."""
    change = prepare(zone, reading(*some, drop=drop))
    carry_out(zone, change)
    return change


def counts(change: DayChange) -> dict[str, int]:
    """The counts of a change that are not 0."""
    names = ("calls", "in_file", "new", "changed", "missing", "dropped")
    return {name: getattr(change, name) for name in names if getattr(change, name)}


def test_lines_are_the_api_s_own(tmp_path: Path) -> None:
    """Unknown fields, their order and 64-bit integers land byte for byte."""
    line = b'{ "z":9223372036854775807,"call_start_time":"2024-02-28 09:30:00","call_id":"7","a":[1.0, null] }'
    record = read_record(line)
    assert isinstance(record, Call)
    zone = zone_at(tmp_path)
    publish(zone, record)
    assert zone.partition(ACCOUNT.id, DAY).read_bytes() == line + b"\n"


def test_day_without_calls(tmp_path: Path) -> None:
    """A day without calls has no file, and no folder."""
    zone = zone_at(tmp_path)
    change = publish(zone)
    assert (counts(change), change.digest, change.touches) == ({}, None, False)
    assert not list(tmp_path.glob("dt=*"))


@pytest.mark.parametrize("complete", [True, False])
def test_what_is_known_of_the_day_is_passed_on(complete: bool, tmp_path: Path) -> None:
    """Whether a day is proven is the caller's word: of a first file, of none, of one that stays, of one that goes."""
    zone = zone_at(tmp_path)
    for some, drop in (([], False), ([A], False), ([A], False), ([A, B], False), ([], True)):
        tonight = replace(reading(*some, drop=drop), complete=complete)
        change = prepare(zone, tonight)
        assert (change.day, change.complete) == (D, complete)
        assert change.path == f"dt={DAY}/account_id={ACCOUNT.id}/calls.ndjson"
        carry_out(zone, change)


def test_two_versions_in_one_reading(tmp_path: Path) -> None:
    """A call that one reading brings twice lands once, as it was read last, and is no change the next night."""
    zone = zone_at(tmp_path)
    old, new = (call("1", f"{DAY} 00:00:00", url=url) for url in ("", "https://recording"))
    assert counts(publish(zone, old, new)) == {"calls": 1, "in_file": 1, "new": 1}
    assert landed(zone) == [new]
    before = identity(zone.partition(ACCOUNT.id, DAY))
    assert counts(publish(zone, old, new)) == {"calls": 1, "in_file": 1}
    assert identity(zone.partition(ACCOUNT.id, DAY)) == before


def test_two_starts_in_one_reading(tmp_path: Path) -> None:
    """A call that one reading brings with two starts lands once, always the same one."""
    zone = zone_at(tmp_path)
    early, late = (call("1", f"{DAY} 00:00:0{second}") for second in (1, 2))
    for some in ([early, late], [late, early], [early, late]):
        publish(zone, *some)
        assert landed(zone) == [early]


def test_call_that_moved(tmp_path: Path) -> None:
    """A call whose start changed within its day moves to its new place, once."""
    zone = zone_at(tmp_path)
    others = [call(key, f"{DAY} 12:00:00") for key in "ac"]
    publish(zone, call("b", f"{DAY} 09:00:00"), *others)
    moved = call("b", f"{DAY} 18:00:00")
    assert counts(publish(zone, moved, *others)) == {"calls": 3, "in_file": 3, "changed": 1}
    assert landed(zone) == [*others, moved]


def test_missing_calls_are_kept(tmp_path: Path) -> None:
    """Calls that the API forgot stay beside those that it found and those that it changed."""
    zone = zone_at(tmp_path)
    publish(zone, A, B)
    changed = call("b", B.start, url="late")
    assert counts(publish(zone, changed, C)) == {"calls": 2, "in_file": 3, "new": 1, "changed": 1, "missing": 1}
    assert landed(zone) == [A, changed, C]
    before = identity(zone.partition(ACCOUNT.id, DAY))
    assert counts(publish(zone)) == {"in_file": 3, "missing": 3}
    assert identity(zone.partition(ACCOUNT.id, DAY)) == before


def test_missing_calls_are_dropped(tmp_path: Path) -> None:
    """Where calls that the API forgot are not wanted they go, the last one with its file and folder."""
    zone = zone_at(tmp_path)
    publish(zone, A, B)
    assert counts(publish(zone, B, drop=True)) == {"calls": 1, "in_file": 1, "missing": 1, "dropped": 1}
    assert landed(zone) == [B]
    change = publish(zone, drop=True)
    assert (counts(change), change.removed, change.digest) == ({"missing": 1, "dropped": 1}, True, None)
    assert list((tmp_path / f"dt={DAY}").iterdir()) == []


def damage(zone: Zone, how: str) -> bytes:
    """Damages a day's file; returns what it is now."""
    path = zone.partition(ACCOUNT.id, DAY)
    whole = path.read_bytes()
    match how:
        case "half":
            path.write_bytes(whole[: len(whole) // 2])
        case "not an object":
            replace_whole(path, [b"[]\n"], scratch=zone.scratch)
        case "no call":
            replace_whole(path, [b'{"call_id": "1"}\n'], scratch=zone.scratch)
        case "another day":
            replace_whole(path, [A.line.replace(b"-28", b"-27") + b"\n"], scratch=zone.scratch)
        case _:
            path.write_bytes(how.encode())
    return path.read_bytes()


@pytest.mark.parametrize("compression", SUFFIXES)
@pytest.mark.parametrize("how", ["", "garbage", "half", "not an object", "no call", "another day"])
def test_damaged_file(compression: str, how: str, tmp_path: Path) -> None:
    """A damaged file is replaced by tonight's calls and what it still held; it is kept, and a person is told where."""
    zone = zone_at(tmp_path, compression)
    some = [call(number, f"{DAY} 00:00:00", text=os.urandom(30).hex()) for number in range(20)]
    publish(zone, *some)
    broken = damage(zone, how)
    path = zone.partition(ACCOUNT.id, DAY)
    digest = digest_of(path).hex()[:8]
    change = prepare(zone, reading(*some[10:]))
    assert path.read_bytes() == broken
    kept = tmp_path / ".harvester" / "damaged" / f"{DAY}-{ACCOUNT.id}-{digest}-{path.name}"
    assert kept.read_bytes() == broken
    carry_out(zone, change)
    found = landed(zone)
    assert [one for one in found if one in some[10:]] == sorted(some[10:], key=lambda one: one.id)
    assert len(found) == change.in_file == 10 + change.missing
    assert change.digest == digest_of(path)
    assert change.note is not None
    assert change.note.startswith(f"{path} is damaged (")
    others = f" and the {change.missing} other calls that could still be read, unproven" if change.missing else ""
    assert change.note.endswith(f"): replaced by what was read tonight{others}; it is kept as {kept}")


@pytest.mark.parametrize("how", ["garbage", ""])
def test_damaged_file_of_nothing(how: str, tmp_path: Path) -> None:
    """A damaged file of which nothing can be read goes when the day has no call tonight."""
    zone = zone_at(tmp_path)
    publish(zone, A)
    damage(zone, how)
    change = publish(zone)
    assert (change.removed, change.in_file, change.digest) == (True, 0, None)
    assert not zone.partition(ACCOUNT.id, DAY).parent.exists()
    assert len(files_under(zone.damaged)) == 1


def test_damaged_part(tmp_path: Path) -> None:
    """When tonight's calls cannot be read back the part is named, the file stays and nothing is left staged."""
    zone = zone_at(tmp_path)
    publish(zone, A)
    part = Part(zone.scratch / "7.part", D)
    part.add(Calls.of([B]))
    part.spill()
    part.path.write_bytes(part.path.read_bytes()[:-1])
    for day in (DAY, DAYS[1]):
        tonight = Reading(account=ACCOUNT.id, day=date.fromisoformat(day), gathered=part.gathered(DAY), complete=True)
        with pytest.raises(DamagedError, match=r"7\.part"):
            prepare(zone, tonight)
    assert landed(zone) == [A]
    assert files_under(zone.scratch) == {"7.part"}


@pytest.mark.parametrize("there", [True, False])
def test_preparing_that_fails_at_any_step(there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever step of preparing fails, nothing is to be seen of it, nothing stays staged, and the file is named."""
    zone = zone_at(tmp_path, "zstd")
    if there:
        publish(zone, A)
    before = files_under(tmp_path)
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        prepare(zone, reading(B))
    zone.clear_staged()
    for at in range(len(disk.steps) - 1):  # the last one is that it is passed
        with monkeypatch.context() as patch:
            Disk(patch, at, OSError(errno.ENOSPC, "full"))
            with pytest.raises(StorageError, match=rf"cannot publish .*dt={DAY}.*full\. Free some space"):
                prepare(zone, reading(B))
        assert files_under(tmp_path) == before


@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_killed_at_any_step_of_carrying_out(
    there: bool, drop: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed anywhere while a day is carried out, it is carried out again as often as one likes, and is as prepared."""
    some = [] if drop else [B]

    def prepared(name: str) -> tuple[Zone, DayChange]:
        zone = zone_at(tmp_path / name, "zstd")
        if there:
            publish(zone, A)
        return zone, prepare(zone, reading(*some, drop=drop))

    with monkeypatch.context() as patch:
        undisturbed = prepared("undisturbed")
        disk = Disk(patch)
        carry_out(*undisturbed)
    assert bool(disk.steps) == (there or not drop)
    for at in range(len(disk.steps)):
        zone, change = prepared(str(at))
        with monkeypatch.context() as patch:
            Disk(patch, at, Died())
            with pytest.raises(Died):
                carry_out(zone, change)
        for _ in range(3):
            carry_out(zone, change, again=True)
            assert landed(zone) == ([A] * (there and not drop) + some)
            path = zone.partition(ACCOUNT.id, DAY)
            assert (digest_of(path) if path.exists() else None) == change.digest


def test_lost_on_the_way(tmp_path: Path) -> None:
    """What was staged and is gone is an error, unless it may have been carried out before."""
    zone = zone_at(tmp_path)
    change = prepare(zone, reading(A))
    zone.clear_staged()
    with pytest.raises(StorageError, match=r"cannot publish .*\.harvester.*: .*taken away"):
        carry_out(zone, change)
    carry_out(zone, change, again=True)
    assert landed(zone) == []


def test_carrying_out_again_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was carried out by a process that died may not be on the disk yet: it is made so."""
    zone = zone_at(tmp_path)
    change = publish(zone, A)
    disk = Disk(monkeypatch)
    carry_out(zone, change, again=True)
    synced = [f"fsync account_id={ACCOUNT.id}", f"fsync dt={DAY}", f"fsync {tmp_path.name}"]
    assert disk.steps == [*synced, "passed day replaced"]

import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from harvester.errors import DamagedError, LockedError, StorageError
from harvester.landing.encode import in_order
from harvester.landing.files import SUFFIXES, make_directory, read_lines, replace_whole
from harvester.landing.partition import Change, Zone
from harvester.model import AccountId, Call, Stray
from harvester.record import read_record
from tests.landing.helpers import ACCOUNT, DAYS, Disk, call, calls, files_under

DAY = DAYS[0]
FOREIGN = ("README", "calls.ndjson.bak", ".calls.ndjson.zst.swp", "calls.parquet")
accounts = st.sampled_from([AccountId(1), AccountId(2**63 - 1)])
compressions = st.sampled_from(sorted(SUFFIXES))


def zone_at(root: Path, compression: str = "none") -> Zone:
    """A landing zone that is ready."""
    zone = Zone(root, compression)
    make_directory(zone.scratch)
    return zone


def publish(zone: Zone, *some: Call, account: AccountId = ACCOUNT.id, day: str = DAY) -> Change:
    """Publishes a reading of a day; what was read last comes last."""
    return zone.publish(account, day, lambda: iter(in_order(reversed(some))))


def landed(zone: Zone, account: AccountId = ACCOUNT.id, day: str = DAY) -> list[Call]:
    """What lies in a day's file."""
    found = [read_record(line) for line in read_lines(zone.partition(account, day))]
    assert all(isinstance(one, Call) for one in found)
    return [one for one in found if isinstance(one, Call)]


class Landing(RuleBasedStateMachine):
    """Days are read again and again, the config's compression changes, and strangers put files beside ours."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="harvester-"))
        self.days: dict[tuple[AccountId, str], dict[str, Call]] = {}
        self.foreign: dict[str, bytes] = {}

    def teardown(self) -> None:
        """Leaves nothing."""
        shutil.rmtree(self.root)

    @rule(account=accounts, day=st.sampled_from(DAYS[:2]), data=st.data(), compression=compressions)
    def read_a_day(self, account: AccountId, day: str, data: st.DataObject, compression: str) -> None:
        """A reading replaces what it knows better and keeps what it does not know."""
        reading = data.draw(st.lists(calls((day,)), max_size=8))
        self._publish(account, day, reading, compression)

    @rule(data=st.data(), compression=compressions)
    def read_the_same_again(self, data: st.DataObject, compression: str) -> None:
        """A reading that brings nothing new leaves the file as it is, inode, time and all."""
        if not self.days:
            return
        account, day = data.draw(st.sampled_from(sorted(self.days)))
        reading = data.draw(st.lists(st.sampled_from(list(self.days[account, day].values()))))
        path = zone_at(self.root).partition(account, day)
        before = path.stat(), path.read_bytes()
        self._publish(account, day, reading, compression)
        after = path.stat(), path.read_bytes()
        assert (after[0].st_ino, after[0].st_mtime_ns, after[1]) == (before[0].st_ino, before[0].st_mtime_ns, before[1])

    @rule(account=accounts, name=st.sampled_from(FOREIGN), content=st.binary(max_size=9))
    def a_stranger_comes(self, account: AccountId, name: str, content: bytes) -> None:
        """A file that is not ours appears in a day's folder."""
        path = self.root / f"dt={DAY}" / f"account_id={account}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.foreign[str(path.relative_to(self.root))] = content

    def _publish(self, account: AccountId, day: str, reading: list[Call], compression: str) -> None:
        tonight: dict[str, Call] = {}
        for one in in_order(reversed(reading)):
            tonight.setdefault(one.id, one)
        there = self.days.get((account, day), {})
        change = publish(zone_at(self.root, compression), *reading, account=account, day=day)
        assert change == Change(
            landed=len(tonight),
            new=len(tonight.keys() - there.keys()),
            changed=sum(there[key].line != one.line for key, one in tonight.items() if key in there),
            missing=len(there.keys() - tonight.keys()),
        )
        if there or tonight:
            self.days[account, day] = there | tonight

    @invariant()
    def every_file_is_right(self) -> None:
        """Each day is one file: the union of all readings, the newest version of each call, in order."""
        zone = zone_at(self.root)
        for (account, day), expected in self.days.items():
            assert landed(zone, account, day) == in_order(expected.values())

    @invariant()
    def nothing_else_is_there(self) -> None:
        """One file a day with calls, the strangers' files as they left them, nothing unfinished."""
        found = files_under(self.root)
        ours = {str(zone_at(self.root).partition(*key).relative_to(self.root)) for key in self.days}
        assert found == ours | self.foreign.keys()
        for name, content in self.foreign.items():
            assert (self.root / name).read_bytes() == content


TestLanding = Landing.TestCase
TestLanding.settings = settings(max_examples=60, stateful_step_count=20)


def test_layout(tmp_path: Path) -> None:
    """A day's file has the contract's name, by compression."""
    found = {
        name: str(Zone(tmp_path, name).partition(ACCOUNT.id, "2026-10-31").relative_to(tmp_path)) for name in SUFFIXES
    }
    folder = "dt=2026-10-31/account_id=2045867/calls.ndjson"
    assert found == {"zstd": f"{folder}.zst", "gzip": f"{folder}.gz", "none": folder}


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
    assert publish(zone) == Change()
    assert not list(tmp_path.glob("dt=*"))


def test_changes_of_days_add_up() -> None:
    """Changes are summed field by field."""
    assert Change(1, 2, 3, 4) + Change(10, 20, 30, 40) == Change(11, 22, 33, 44)


def test_two_versions_in_one_reading(tmp_path: Path) -> None:
    """A call that one reading brings twice lands once, as it was read last, and is no change the next night."""
    zone = zone_at(tmp_path)
    old, new = (call("1", f"{DAY} 00:00:00", url=url) for url in ("", "https://recording"))
    assert publish(zone, old, new) == Change(landed=1, new=1)
    assert landed(zone) == [new]
    path = zone.partition(ACCOUNT.id, DAY)
    inode = path.stat().st_ino
    assert publish(zone, old, new) == Change(landed=1)
    assert path.stat().st_ino == inode


def test_two_starts_in_one_reading(tmp_path: Path) -> None:
    """A call that one reading brings with two starts lands once, always the same one."""
    zone = zone_at(tmp_path)
    early, late = (call("1", f"{DAY} 00:00:0{second}") for second in (1, 2))
    for reading in ([early, late], [late, early], [early, late]):
        publish(zone, *reading)
        assert landed(zone) == [early]


def test_call_that_moved(tmp_path: Path) -> None:
    """A call whose start changed within its day moves to its new place, once."""
    zone = zone_at(tmp_path)
    others = [call(key, f"{DAY} 12:00:00") for key in "ac"]
    publish(zone, call("b", f"{DAY} 09:00:00"), *others)
    moved = call("b", f"{DAY} 18:00:00")
    assert publish(zone, moved, *others) == Change(landed=3, changed=1)
    assert landed(zone) == [*others, moved]


def test_big_days(tmp_path: Path) -> None:
    """A day of many chunks lands whole, and grows by what is new."""
    zone = zone_at(tmp_path, "zstd")
    some = [call(f"{number:06d}", f"{DAY} {number % 24:02d}:00:00", text="x" * 50) for number in range(10_000)]
    publish(zone, *some[::2])
    assert publish(zone, *some[1::2]) == Change(landed=5000, new=5000, missing=5000)
    assert landed(zone) == in_order(some)


@pytest.mark.parametrize("compression", SUFFIXES)
@pytest.mark.parametrize("damage", ["", "garbage", "half", "not an object", "no call"])
def test_damaged_file(compression: str, damage: str, tmp_path: Path) -> None:
    """A file that cannot be read is told by its path and stays for a person to look at, as it is."""
    zone = zone_at(tmp_path, compression)
    publish(zone, *(call(number, f"{DAY} 00:00:00", text=os.urandom(30).hex()) for number in range(20)))
    path = zone.partition(ACCOUNT.id, DAY)
    whole = path.read_bytes()
    match damage:
        case "half":
            path.write_bytes(whole[: len(whole) // 2])
        case "not an object":
            replace_whole(path, [b"[]\n"], scratch=tmp_path)
        case "no call":
            replace_whole(path, [b'{"call_id": "1"}\n'], scratch=tmp_path)
        case _:
            path.write_bytes(damage.encode())
    digest = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(DamagedError, match=str(path)):
        publish(zone, call(99, f"{DAY} 00:00:00"))
    assert hashlib.sha256(path.read_bytes()).digest() == digest


def test_failure_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever step of replacing a day fails, the file is whole, and the next night completes it."""
    zone = zone_at(tmp_path, "zstd")
    old, new = (call(key, f"{DAY} 00:00:00") for key in "ab")
    publish(zone, old)
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        publish(zone, new)
    for at in range(len(disk.steps)):
        path = zone.partition(ACCOUNT.id, DAY)
        path.unlink()
        publish(zone, old)
        with monkeypatch.context() as patch:
            failing = Disk(patch)
            failing.fail_at, failing.error = at, OSError(errno.ENOSPC, "full")
            with pytest.raises(StorageError, match=str(path)):
                publish(zone, new)
        assert landed(zone) in ([old], [old, new])
        assert files_under(tmp_path) == {str(path.relative_to(tmp_path))}
        publish(zone, new)
        assert landed(zone) == [old, new]


def strays(*lines: bytes) -> list[Stray]:
    """Records that cannot be placed."""
    found = [read_record(line) for line in lines]
    assert all(isinstance(one, Stray) for one in found)
    return [one for one in found if isinstance(one, Stray)]


WEIRD = (
    b"null",
    b"[]",
    b'"\\u0000 \\n"',
    b"{}",
    b'{"call_id": "7", "call_start_time": ""}',
    b'{"call_id": "7", "call_start_time": "2024-02-30 00:00:00"}',
    b'{"call_id": {"call_id": []}}',
    b'{\n  "call_id": null,\r\n "record": "}"}',
    b'{"call_id": true, "n": 123456789012345678901234567890}',
)


def quarantined(root: Path) -> list[object]:
    """The lines of the account's quarantine."""
    path = root / "quarantine" / f"account_id={ACCOUNT.id}" / "calls.ndjson"
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_quarantine(tmp_path: Path) -> None:
    """Records that cannot be placed are kept whole, each with its reason, one JSON object a line."""
    zone_at(tmp_path).quarantine(ACCOUNT.id, strays(*WEIRD))
    kept = quarantined(tmp_path)
    assert [line["record"] for line in kept if isinstance(line, dict)] == [orjson.loads(record) for record in WEIRD]
    assert all(isinstance(line, dict) and line.keys() == {"reason", "record"} and line["reason"] for line in kept)


def test_quarantine_holds_each_once(tmp_path: Path) -> None:
    """A record that comes every night is kept once; others are added behind it; without news the file is untouched."""
    zone = zone_at(tmp_path, "zstd")
    zone.quarantine(ACCOUNT.id, strays(WEIRD[3], WEIRD[3]))
    zone.quarantine(ACCOUNT.id, strays(*WEIRD[3:6]))
    path = tmp_path / "quarantine" / f"account_id={ACCOUNT.id}" / "calls.ndjson"
    inode = path.stat().st_ino
    for nothing_new in (WEIRD[3:6], ()):
        zone.quarantine(ACCOUNT.id, strays(*nothing_new))
        assert path.stat().st_ino == inode
    assert len(quarantined(tmp_path)) == 3


def test_quarantine_that_cannot_be_written(tmp_path: Path) -> None:
    """A quarantine that cannot be written is an error of storage that names it."""
    (tmp_path / "quarantine").touch()
    with pytest.raises(StorageError, match="quarantine"):
        zone_at(tmp_path).quarantine(ACCOUNT.id, strays(b"{}"))


def test_a_zone_belongs_to_one_run(tmp_path: Path) -> None:
    """Two runs with state directories of their own cannot write to one landing zone side by side."""
    first, second = Zone(tmp_path, "zstd").prepared(), Zone(tmp_path, "gzip").prepared()
    with first, pytest.raises(LockedError, match="another run holds"), second:
        pass
    with Zone(tmp_path, "gzip").prepared():
        pass


def test_what_a_dead_run_left_is_cleared(tmp_path: Path) -> None:
    """Unfinished files and folders go when the next run takes the zone."""
    zone = Zone(tmp_path, "zstd")
    (zone.scratch / "7-1.tmp").mkdir(parents=True)
    (zone.scratch / "7-1.tmp" / "calls.ndjson.zst").touch()
    (zone.scratch / "1.part").touch()
    with zone.prepared():
        assert list(zone.scratch.iterdir()) == []

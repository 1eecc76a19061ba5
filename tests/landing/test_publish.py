import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from harvester.calls import Call
from harvester.landing.encode import in_order, to_lines
from harvester.landing.files import digest_of, replace_whole
from harvester.landing.ndjson import SUFFIXES, read_lines
from harvester.landing.publication import DayChange
from harvester.landing.publish import carry_out, prepare
from harvester.model import AccountId
from tests.landing.helpers import DAYS, calls, files_under, identity, landed, reading, zone_at

FOREIGN = ("README", "calls.ndjson.bak", ".calls.ndjson.zst.swp", "calls.parquet")
accounts = st.sampled_from([AccountId(1), AccountId(2**63 - 1)])
days = st.sampled_from(DAYS[:2])
compressions = st.sampled_from(sorted(SUFFIXES))


class LandingZone(RuleBasedStateMachine):
    """Days are read again and again, in any compression, files are damaged, and strangers put theirs beside ours."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="harvester-"))
        self.files: dict[tuple[AccountId, str], dict[str, Call]] = {}
        """What can be read of each file that is there."""
        self.damaged: set[tuple[AccountId, str]] = set()
        self.kept: list[bytes] = []
        """What damaged files were like that were replaced."""
        self.foreign: dict[str, bytes] = {}

    def teardown(self) -> None:
        """Leaves nothing."""
        shutil.rmtree(self.root)

    @rule(account=accounts, day=days, data=st.data(), compression=compressions, drop=st.booleans())
    def read_a_day(self, account: AccountId, day: str, data: st.DataObject, compression: str, drop: bool) -> None:
        """A reading replaces what it knows better, and keeps or drops what it does not know."""
        self._publish(account, day, data.draw(st.lists(calls((day,)), max_size=8)), compression, drop=drop)

    @rule(data=st.data(), compression=compressions)
    def read_the_same_again(self, data: st.DataObject, compression: str) -> None:
        """A reading that brings nothing new leaves a sound file as it is, inode, time and all."""
        sound = sorted(self.files.keys() - self.damaged)
        if not sound:
            return
        account, day = data.draw(st.sampled_from(sound))
        known = list(self.files[account, day].values())
        path = zone_at(self.root).partition(account, day)
        before = identity(path)
        change = self._publish(account, day, data.draw(st.lists(st.sampled_from(known))), compression)
        assert not change.touches
        self._publish(account, day, known, compression, drop=True)
        assert identity(path) == before

    @rule(data=st.data(), all_lost=st.booleans())
    def damage_a_file(self, data: st.DataObject, all_lost: bool) -> None:
        """A file becomes garbage, or holds a line that is no call."""
        if not self.files:
            return
        key = data.draw(st.sampled_from(sorted(self.files)))
        path = zone_at(self.root).partition(*key)
        if all_lost:
            path.write_bytes(b"garbage")
            self.files[key] = {}
        else:
            text = to_lines(in_order(self.files[key].values()))
            replace_whole(path, [b"null\n", text], scratch=zone_at(self.root).scratch)
        self.damaged.add(key)

    @rule(account=accounts, day=days, name=st.sampled_from(FOREIGN), content=st.binary(max_size=9))
    def a_stranger_comes(self, account: AccountId, day: str, name: str, content: bytes) -> None:
        """A file that is not ours appears in a day's folder."""
        path = self.root / f"dt={day}" / f"account_id={account}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.foreign[str(path.relative_to(self.root))] = content

    @rule(account=accounts, day=days, data=st.data())
    def prepare_in_vain(self, account: AccountId, day: str, data: st.DataObject) -> None:
        """What is prepared and not carried out changes nothing that can be seen."""
        zone = zone_at(self.root)
        before = files_under(self.root)
        tonight = data.draw(st.lists(calls((day,)), max_size=8))
        change = prepare(zone, reading(*tonight, day=day, whose=account))
        assert files_under(zone.scratch) == {
            name for name in (change.staged, f"{change.staged}/{Path(change.path).name}")
            if name and (zone.scratch / name).is_file()
        }  # fmt: skip
        zone.clear_staged()
        kept = {name for name in files_under(self.root) - before if name.startswith(".harvester/damaged/")}
        assert files_under(self.root) - kept == before

    def _publish(
        self, account: AccountId, day: str, tonight: list[Call], compression: str, *, drop: bool = False
    ) -> DayChange:
        read: dict[str, Call] = {}
        for one in in_order(reversed(tonight)):
            read.setdefault(one.id, one)
        key, there = (account, day), self.files.get((account, day), {})
        after = read if drop else there | read
        damaged = key in self.damaged
        zone = zone_at(self.root, compression)
        before = zone.partition(account, day).read_bytes() if damaged else b""
        change = prepare(zone, reading(*tonight, day=day, whose=account, drop=drop))
        carry_out(zone, change)
        new, missing = read.keys() - there.keys(), there.keys() - read.keys()
        path = zone.partition(account, day)
        assert change == DayChange(
            day=change.day,
            path=str(path.relative_to(self.root)) if after else change.path,
            complete=True,
            calls=len(read),
            in_file=len(after),
            digest=digest_of(path) if after else None,
            new=len(new),
            changed=sum(there[one].line != read[one].line for one in read.keys() & there.keys()),
            missing=len(missing),
            dropped=len(missing) if drop else 0,
            staged=change.staged,
            removed=key in self.files and not after,
            note=change.note,
        )
        assert bool(change.note) == damaged
        self.files[key] = after
        if not after:
            del self.files[key]
        if damaged:
            self.kept.append(before)
            self.damaged.remove(key)
        return change

    @invariant()
    def every_file_is_right(self) -> None:
        """Each day is one file: the newest version of each of its calls, in order."""
        zone = zone_at(self.root)
        for (account, day), expected in self.files.items():
            if (account, day) not in self.damaged:
                assert landed(zone, day, account) == in_order(expected.values())

    @invariant()
    def nothing_else_is_there(self) -> None:
        """One file a day with calls, the strangers' files as they left them, nothing unfinished, no empty folder."""
        zone = zone_at(self.root)
        found = {name for name in files_under(self.root) if not name.startswith(".harvester/damaged/")}
        ours = {str(zone.partition(*key).relative_to(self.root)) for key in self.files}
        assert found == ours | self.foreign.keys()
        for name, content in self.foreign.items():
            assert (self.root / name).read_bytes() == content
        assert {folder for folder in self.root.glob("dt=*/*") if not any(folder.iterdir())} == set()

    @invariant()
    def damaged_files_are_kept(self) -> None:
        """What was damaged and replaced is there for a person to look at."""
        there = {path.read_bytes() for path in zone_at(self.root).damaged.glob("*")}
        assert there >= set(self.kept)


TestLandingZone = LandingZone.TestCase
TestLandingZone.settings = settings(max_examples=25, stateful_step_count=20)


@pytest.mark.parametrize("compression", SUFFIXES)
def test_big_days(compression: str, tmp_path: Path) -> None:
    """A day of many blocks lands whole, and grows by what is new."""
    zone = zone_at(tmp_path, compression)
    some = st_calls(10_000)
    carry_out(zone, prepare(zone, reading(*some[::2])))
    change = prepare(zone, reading(*some[1::2]))
    carry_out(zone, change)
    assert (change.calls, change.in_file, change.new, change.missing) == (5000, 10_000, 5000, 5000)
    assert landed(zone) == in_order(some)
    assert len(list(read_lines(tmp_path / change.path))) == 10_000


def st_calls(count: int) -> list[Call]:
    """Many calls of a day, in no order."""
    return [
        Call(f"{at:06}", f"{DAYS[0]} {at % 24:02}:00:00", b'{"call_id":"%06d","call_start_time":"%b %02d:00:00"}' % (
            at, DAYS[0].encode(), at % 24,
        ))
        for at in range(count)
    ]  # fmt: skip

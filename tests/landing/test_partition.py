import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from harvester.errors import LockedError, StorageError
from harvester.landing.ndjson import SUFFIXES
from harvester.landing.partition import Zone
from tests.landing.disk import Disk
from tests.landing.helpers import ACCOUNT, DAYS, files_under, stray, unprivileged_folder, zone_at

DAY = DAYS[0]
DIGEST = bytes.fromhex("0123456789abcdef0123456789abcdef")
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


def test_layout(tmp_path: Path) -> None:
    """A day's file has the contract's name, by compression."""
    found = {
        name: str(Zone(tmp_path, name).partition(ACCOUNT.id, "2026-10-31").relative_to(tmp_path)) for name in SUFFIXES
    }
    folder = "dt=2026-10-31/account_id=2045867/calls.ndjson"
    assert found == {"zstd": f"{folder}.zst", "gzip": f"{folder}.gz", "none": folder}


@pytest.mark.parametrize("there", SUFFIXES)
@pytest.mark.parametrize("wanted", SUFFIXES)
def test_file_that_is_there_keeps_its_compression(there: str, wanted: str, tmp_path: Path) -> None:
    """A day that has a file never gets a second one, whatever compression is asked for now."""
    path = Zone(tmp_path, there).partition(ACCOUNT.id, DAY)
    path.parent.mkdir(parents=True)
    path.touch()
    assert Zone(tmp_path, wanted).partition(ACCOUNT.id, DAY) == path


def test_folder_that_may_not_be_looked_into() -> None:
    """A day's folder of another owner is an error of storage that names it, not taken for empty."""
    with unprivileged_folder() as root:
        folder = root / f"dt={DAY}"
        folder.mkdir(mode=0o000)
        if os.access(folder / "x", os.F_OK):
            pytest.skip("file modes do not count here")
        with pytest.raises(StorageError, match=f"cannot look into .*dt={DAY}.*Make it writable"):
            Zone(root, "zstd").partition(ACCOUNT.id, DAY)


def quarantined(root: Path) -> list[object]:
    """The lines of the account's quarantine."""
    path = root / "quarantine" / f"account_id={ACCOUNT.id}" / "calls.ndjson"
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_quarantine(tmp_path: Path) -> None:
    """Records that cannot be placed are kept whole, each with its reason, one JSON object a line."""
    zone_at(tmp_path).quarantine(ACCOUNT.id, map(stray, WEIRD))
    kept = quarantined(tmp_path)
    assert [line["record"] for line in kept if isinstance(line, dict)] == [orjson.loads(record) for record in WEIRD]
    assert all(isinstance(line, dict) and line.keys() == {"reason", "record"} and line["reason"] for line in kept)


def test_quarantine_holds_each_once(tmp_path: Path) -> None:
    """A record that comes every night is kept once; others are added behind it; without news the file is untouched."""
    zone = zone_at(tmp_path, "zstd")
    zone.quarantine(ACCOUNT.id, [stray(WEIRD[3]), stray(WEIRD[3])])
    zone.quarantine(ACCOUNT.id, map(stray, WEIRD[3:6]))
    path = tmp_path / "quarantine" / f"account_id={ACCOUNT.id}" / "calls.ndjson"
    inode = path.stat().st_ino
    for nothing_new in (WEIRD[3:6], ()):
        zone.quarantine(ACCOUNT.id, map(stray, nothing_new))
        assert path.stat().st_ino == inode
    assert len(quarantined(tmp_path)) == 3


def test_quarantine_that_cannot_be_written(tmp_path: Path) -> None:
    """A quarantine that cannot be written is an error of storage that names it."""
    (tmp_path / "quarantine").touch()
    with pytest.raises(StorageError, match="quarantine"):
        zone_at(tmp_path).quarantine(ACCOUNT.id, [stray(b"{}")])


def test_a_zone_belongs_to_one_run(tmp_path: Path) -> None:
    """Two runs with state directories of their own cannot write to one landing zone side by side."""
    first, second = Zone(tmp_path, "zstd").held(), Zone(tmp_path, "gzip").held()
    with first, pytest.raises(LockedError, match="another run holds"), second:
        pass
    with Zone(tmp_path, "gzip").held():
        pass


def test_holding_keeps_what_a_dead_run_left(tmp_path: Path) -> None:
    """Holding a zone makes the folder for unfinished files and removes nothing: it may be gone on with."""
    zone = Zone(tmp_path / "a" / "b", "zstd")
    with zone.held():
        (zone.scratch / "1.part").touch()
    with zone.held():
        assert files_under(zone.scratch) == {"1.part"}


def test_zone_that_cannot_be_held(tmp_path: Path) -> None:
    """An output directory that is a file is an error of storage before anything is asked of the API."""
    (tmp_path / "landing").touch()
    with pytest.raises(StorageError, match="landing"), Zone(tmp_path / "landing", "zstd").held():
        pass


def unfinished(zone: Zone) -> None:
    """Leaves what dead runs leave."""
    (zone.scratch / "7-1.tmp").mkdir(parents=True)
    (zone.scratch / "7-1.tmp" / "calls.ndjson.zst").touch()
    for name in ("7-2.tmp", "1.part", "2.part"):
        (zone.scratch / name).touch()


def test_what_a_dead_run_left_is_cleared(tmp_path: Path) -> None:
    """Unfinished files and folders go, but for those that are still needed."""
    zone = Zone(tmp_path, "zstd")
    unfinished(zone)
    zone.clear(but=["2.part", "3.part"])
    assert [path.name for path in zone.scratch.iterdir()] == ["2.part"]
    zone.clear(but=[])
    assert list(zone.scratch.iterdir()) == []


def test_clearing_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be removed is an error of storage that names it."""
    zone = Zone(tmp_path, "zstd")
    unfinished(zone)
    Disk(monkeypatch, 0, OSError(errno.EROFS, "read-only"))
    with pytest.raises(StorageError, match=r"cannot clear .*unfinished: read-only\. Make it writable"):
        zone.clear(but=[])


def test_what_was_staged_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was staged goes, parts stay; what cannot be removed is left to the next run."""
    zone = Zone(tmp_path, "zstd")
    unfinished(zone)
    with monkeypatch.context() as patch:
        disk = Disk(patch, 0, OSError(errno.EROFS, "read-only"))
        zone.clear_staged()
    assert len(disk.steps) > 1
    zone.clear_staged()
    assert files_under(zone.scratch) == {"1.part", "2.part"}
    shutil.rmtree(zone.scratch)
    zone.clear_staged()


@pytest.fixture(params=["link", "copy"])
def damaged(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A damaged file, on a file system with links and on one without."""
    path = zone_at(tmp_path).partition(ACCOUNT.id, DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage")
    if request.param == "copy":

        def link(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", link)
    yield path
    assert path.read_bytes() == b"garbage"


def test_damaged_file_is_kept(damaged: Path, tmp_path: Path) -> None:
    """A damaged file is kept under its day, account and digest, as often as it is, and is not touched."""
    zone = zone_at(tmp_path)
    kept = zone.keep_damaged(damaged, DIGEST)
    assert kept == tmp_path / ".harvester" / "damaged" / f"{DAY}-{ACCOUNT.id}-01234567-calls.ndjson"
    assert kept.read_bytes() == b"garbage"
    assert zone.keep_damaged(damaged, DIGEST) == kept
    other = zone.keep_damaged(damaged, DIGEST[::-1])
    assert {path.name for path in (tmp_path / ".harvester" / "damaged").iterdir()} == {kept.name, other.name}
    assert files_under(zone.scratch) == set()


def test_keeping_costs_no_space(tmp_path: Path) -> None:
    """Where the file system has links a damaged file is kept by one, and keeping it again changes nothing."""
    zone = zone_at(tmp_path)
    path = zone.partition(ACCOUNT.id, DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage")
    for _ in range(2):
        assert zone.keep_damaged(path, DIGEST).samefile(path)


def test_damaged_file_is_kept_for_good(damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged file's copy and its name are on the disk before the file can be replaced."""
    disk = Disk(monkeypatch)
    kept = zone_at(tmp_path).keep_damaged(damaged, DIGEST)
    assert disk.steps[-1] == "fsync damaged"
    if f"link {kept.name}" not in disk.steps or f"replace {kept.name}" in disk.steps:
        assert disk.steps.index(f"fsync {kept.name}.tmp") < disk.steps.index(f"replace {kept.name}")


def test_keeping_that_fails(damaged: Path, tmp_path: Path) -> None:
    """A damaged file that cannot be kept is an error of storage: it must not be replaced then."""
    (tmp_path / ".harvester" / "damaged").touch()
    with pytest.raises(StorageError, match=r"cannot keep .*damaged"):
        zone_at(tmp_path).keep_damaged(damaged, DIGEST)

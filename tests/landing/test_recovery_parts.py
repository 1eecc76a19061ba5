from datetime import timedelta
from pathlib import Path

import pytest

from harvester.calls import Calls
from harvester.errors import StorageError
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.part import Part
from harvester.landing.recovery import adopt, clear_remains, forget_outdated
from harvester.landing.writer import Landing
from harvester.model import AccountId
from tests.landing.disk import Disk
from tests.landing.helpers import ACCOUNT, DAYS, NIGHT, SLICE, call, files_under, landing_in, readings_of

A, B = (call(key, f"{day} 00:00:00") for key, day in zip("ab", DAYS[:2], strict=True))


@pytest.fixture
def landing(tmp_path: Path, ledger: Ledger) -> Landing:
    """Where the run after the crash works."""
    return landing_in(tmp_path, ledger, run_id="run-2")


def checkpoint_of(landing: Landing, whose: AccountId = ACCOUNT.id, days_ago: int = 2) -> Checkpoint:
    """A checkpoint with its part."""
    part = Part(landing.zone.scratch / "run-1-1.part", NIGHT.date())
    part.add(Calls.of([A, B]))
    part.make_durable()
    one = Checkpoint(
        account_id=whose, first_day=SLICE.window.start, last_day=SLICE.window.end, part=part.path.name,
        size_bytes=part.file_bytes, calls=2, state=b"state", read_on=NIGHT.date() - timedelta(days=days_ago), at=NIGHT,
    )  # fmt: skip
    landing.ledger.save_checkpoint(one)
    return one


def test_adopting(landing: Landing) -> None:
    """A part that is as it was at its checkpoint is gone on with, and knows when its walk began."""
    one = checkpoint_of(landing)
    part = adopt(landing, one)
    assert part is not None
    assert (readings_of(part, DAYS[0]), part.read_on) == ([A], one.read_on)
    assert landing.ledger.checkpoints() == [one]


@pytest.mark.parametrize("how", ["gone", "a folder", "cut short", "flipped"])
def test_adopting_what_is_not_as_it_was(how: str, landing: Landing, caplog: pytest.LogCaptureFixture) -> None:
    """A part that is not as it was is not gone on with: its checkpoint is forgotten, and it is said why."""
    one = checkpoint_of(landing)
    path = landing.zone.scratch / one.part
    whole = path.read_bytes()
    match how:
        case "gone":
            path.unlink()
        case "a folder":
            path.unlink()
            path.mkdir()
        case "cut short":
            path.write_bytes(whole[:-1])
        case _:
            path.write_bytes(whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:])
    assert adopt(landing, one) is None
    assert landing.ledger.checkpoints() == []
    assert f"account {ACCOUNT.id} {SLICE.window} is read from its beginning: {path} is " in caplog.text
    clear_remains(landing)
    assert list(landing.zone.scratch.iterdir()) == []


def test_adopting_that_fails(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that the disk does not give now is an error of storage, and its checkpoint stands."""
    one = checkpoint_of(landing)
    Disk(monkeypatch, 0, OSError(5, "broken"))
    with pytest.raises(StorageError, match=r"cannot go on with .*run-1-1\.part: broken"):
        adopt(landing, one)
    assert landing.ledger.checkpoints() == [one]


@pytest.mark.parametrize(("within_days", "left"), [(None, True), (3, True), (2, True), (1, False), (0, False)])
def test_outdated_checkpoints(within_days: int | None, left: bool, landing: Landing) -> None:
    """Walks that began too long ago are not gone on with."""
    one = checkpoint_of(landing)
    fresh = checkpoint_of(landing, AccountId(1), days_ago=0)
    within = None if within_days is None else timedelta(days=within_days)
    assert forget_outdated(landing, within, NIGHT.date()) == [fresh, *[one] * left]
    assert landing.ledger.checkpoints() == [fresh, *[one] * left]


def test_clearing_remains(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a dead run left goes, but for the parts of checkpoints; published files are not touched."""
    published = landing.zone.root / f"dt={DAYS[0]}" / "account_id=1" / "calls.ndjson"
    published.parent.mkdir(parents=True)
    published.touch()
    one = checkpoint_of(landing)
    before = files_under(landing.zone.root)
    for name in ("run-1-2.part", "77-1.tmp"):
        (landing.zone.scratch / name).write_bytes(b"left")
    disk = Disk(monkeypatch)
    clear_remains(landing)
    assert files_under(landing.zone.root) == before
    assert files_under(landing.zone.scratch) == {one.part}
    assert disk.steps[-1] == "passed remains cleared"

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from harvester.inspection import Cure, Healed
from harvester.landing.ledger import Known
from harvester.landing.marks import mark_of, read_mark
from harvester.landing.upkeep.heal import Healer
from harvester.landing.upkeep.verify import Inspector
from harvester.model import Window
from tests.landing.scene import BUSY, FIRST, QUIET, SECOND, THIRD, Break, Scene, scene
from tests.nights import stamps


@pytest.fixture
def zone(tmp_path: Path) -> Iterator[Scene]:
    """A sound landing zone."""
    with scene(tmp_path) as made:
        yield made


def heal(zone: Scene) -> Healed:
    """Heals all that is found."""
    healer, inspector = Healer(zone.landing()), zone.inspector()
    for look in inspector.looks():
        healer.heal_day(look)
    for _, checkpoint in inspector.apart_from_days():
        if checkpoint:
            healer.forget(checkpoint)
    return healer.healed


def test_nothing_to_heal(zone: Scene) -> None:
    """Of a sound zone nothing is queued, and no mark is touched."""
    before = stamps(zone.root)
    assert heal(zone) == Healed()
    assert zone.ledger.queued() == {}
    assert stamps(zone.root) == before


def test_days_to_read_again_are_queued_and_not_marked_any_more(zone: Scene) -> None:
    """Exactly the days that are missing, damaged or unknown are queued; what is known of them stays known."""
    zone.path(BUSY, FIRST).unlink()
    zone.path(BUSY, SECOND).write_bytes(b"noise")
    zone.write(QUIET, SECOND)
    assert heal(zone) == Healed(days=3, accounts=2)
    assert zone.ledger.queued() == {BUSY: {FIRST, SECOND}, QUIET: {SECOND}}
    assert [mark_of(zone.zone, day).exists() for day in (FIRST, SECOND, THIRD)] == [False, False, True]
    assert zone.ledger.on(FIRST)[BUSY].in_file == 3


def test_healed_twice(zone: Scene) -> None:
    """Healing again before the next run changes nothing, and counts what is queued."""
    zone.path(BUSY, FIRST).unlink()
    first = heal(zone)
    changes = zone.ledger._db.total_changes
    assert heal(zone) == first
    assert zone.ledger._db.total_changes == changes


def test_days_of_other_configs_are_left(zone: Scene) -> None:
    """What is wrong with an account that this config does not have is for another one to heal."""
    zone.path(BUSY, FIRST).unlink()
    zone.fleet = (QUIET,)
    assert heal(zone) == Healed()
    assert zone.ledger.queued() == {}


def test_foreign_things_are_not_touched(zone: Scene) -> None:
    """What harvester did not write stays where it is, and queues nothing."""
    (zone.root / f"dt={FIRST}" / "notes.txt").write_text("mine")
    second = zone.write(BUSY, FIRST, suffix="")
    assert heal(zone) == Healed()
    assert (zone.root / f"dt={FIRST}" / "notes.txt").read_text() == "mine"
    assert second.exists()


@pytest.mark.parametrize(
    "harm",
    [
        lambda zone: mark_of(zone.zone, SECOND).unlink(),
        lambda zone: mark_of(zone.zone, SECOND).write_text("{"),
        lambda zone: mark_of(zone.zone, SECOND).write_bytes(mark_of(zone.zone, FIRST).read_bytes()),
    ],
    ids=["gone", "broken", "of another day"],
)
def test_a_wrong_mark_is_made_right(harm: Break, zone: Scene) -> None:
    """A mark that lacks, or says something else, is made anew when the day is complete."""
    harm(zone)
    assert heal(zone) == Healed(marks=1)
    mark = read_mark(mark_of(zone.zone, SECOND))
    assert mark is not None
    assert (mark.day, mark.accounts) == (SECOND, [BUSY, QUIET])
    assert zone.findings() == []


def test_a_mark_that_says_too_much_is_withdrawn(zone: Scene) -> None:
    """A day that is not complete for an account that its mark names has no mark afterwards."""
    zone.know(QUIET, SECOND, Known(0, complete=False, in_file=0))
    assert heal(zone) == Healed(marks=1)
    assert [mark_of(zone.zone, day).exists() for day in Window(FIRST, THIRD)] == [True, False, True]
    assert zone.findings() == []


def test_a_checkpoint_without_its_part_is_forgotten(zone: Scene) -> None:
    """The slice starts anew with the next run."""
    zone.save_checkpoint(10)
    assert heal(zone) == Healed(checkpoints=1)
    assert zone.ledger.checkpoints() == []


def test_names_that_no_ledger_holds(zone: Scene) -> None:
    """Days before any call, ids that are too large and names in no encoding are told of, and nothing is queued."""
    foreign = zone.zone.root / "dt=0001-01-01" / f"account_id={BUSY}"
    too_large = zone.zone.folder_of(str(FIRST)) / "account_id=9999999999999999999"
    for folder in (foreign, too_large):
        folder.mkdir(parents=True)
        (folder / "calls.ndjson.zst").write_bytes(zone.path(BUSY, FIRST).read_bytes())
    odd = Path(os.fsdecode(os.fsencode(zone.zone.folder_of(str(FIRST))) + b"/\xff.txt"))
    odd.touch()
    paths = [finding.path for finding in zone.findings()]
    assert [path.rpartition("/")[2] for path in sorted(paths)] == ["dt=0001-01-01", "\\xff.txt", too_large.name]
    assert heal(zone) == Healed()
    assert zone.ledger.queued() == {}


def test_days_that_are_not_over(zone: Scene) -> None:
    """A file of a day to come is told of; it cannot be read again, so it is not queued."""
    future = date(2030, 1, 1)
    zone.write(BUSY, future)
    found = [one for look in Inspector(zone.zone, zone.ledger, zone.fleet, THIRD).looks() for one in look.findings]
    assert [(one.day, one.cure) for one in found] == [(future, Cure.BY_HAND)]

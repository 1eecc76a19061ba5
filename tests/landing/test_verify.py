import errno
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from harvester.inspection import Cure, Finding, Kind
from harvester.landing.files import digest_of
from harvester.landing.ledger import Known
from harvester.landing.marks import mark_of
from harvester.model import AccountId
from tests.landing.helpers import call
from tests.landing.scene import BUSY, CALLS, FIRST, QUIET, SECOND, THIRD, Break, Scene, scene

STRANGER = AccountId(99)
FILE = f"dt={FIRST}/account_id={BUSY}/calls.ndjson.zst"
MARK = f"dt={SECOND}/_COMPLETE.json"


@pytest.fixture
def zone(tmp_path: Path) -> Iterator[Scene]:
    """A sound landing zone."""
    with scene(tmp_path) as made:
        yield made


def rewrite(lines: list[bytes]) -> Break:
    """Puts other lines into the file, and lets the ledger have its digest."""

    def change(zone: Scene) -> None:
        digest = digest_of(zone.write(BUSY, FIRST, lines))
        zone.know(BUSY, FIRST, Known(CALLS, complete=True, in_file=CALLS, digest=digest))

    return change


def one(number: int, day: date = FIRST, second: int = 0) -> bytes:
    """A call's line."""
    return call(number, f"{day} 09:30:0{second}").line


def cut(zone: Scene) -> None:
    """Takes the file's last byte away."""
    path = zone.path(BUSY, FIRST)
    path.write_bytes(path.read_bytes()[:-1])


def hide(zone: Scene) -> None:
    """Puts a file beside harvester's own where a run would find it first."""
    zone.path(BUSY, FIRST).unlink()
    digest = digest_of(zone.write(BUSY, FIRST, suffix=".gz"))
    zone.know(BUSY, FIRST, Known(CALLS, complete=True, in_file=CALLS, digest=digest))
    zone.write(BUSY, FIRST)


def replace_mark(zone: Scene) -> None:
    """Puts a folder in its place."""
    mark_of(zone.zone, SECOND).unlink()
    mark_of(zone.zone, SECOND).mkdir()


def cut_part(zone: Scene) -> None:
    """Makes a part shorter than its checkpoint."""
    zone.save_checkpoint(10)
    (zone.zone.scratch / "run-1.part").write_bytes(b"x" * 9)


def again(why: str, kind: Kind = Kind.DAMAGED, path: str = FILE, **more: object) -> Finding:
    """What is found of a file that the next run can replace."""
    fields = {"cure": Cure.READ_AGAIN, "account": BUSY, "day": FIRST} | more
    return Finding(kind=kind, path=path, why=why, **fields)  # type: ignore[arg-type]


def foreign(path: str, why: str = "harvester writes nothing of this name here", **more: object) -> Finding:
    """What is found of something that only a person can move away."""
    return again(why, Kind.FOREIGN, path, **{"cure": Cure.BY_HAND, "account": None, "day": None} | more)


def mark(why: str, path: str = MARK, day: date = SECOND) -> Finding:
    """What is found of a mark."""
    return Finding(kind=Kind.MARK, path=path, why=why, cure=Cure.SET_RIGHT, day=day)


def part(why: str) -> Finding:
    """What is found of a checkpoint's part."""
    why = f"{why}; account {BUSY} {FIRST}..{SECOND} was begun with it"
    return Finding(kind=Kind.PART, path=".harvester/unfinished/run-1.part", why=why, cure=Cure.FORGET, account=BUSY)


def test_sound(zone: Scene) -> None:
    """Nothing is found in a zone that is as the ledger says, and every file and call is counted."""
    looks = list(zone.inspector().looks())
    assert zone.findings() == []
    assert [(look.day, look.partitions, look.calls) for look in looks] == [
        (FIRST, 2, 2 * CALLS),
        (SECOND, 1, CALLS),
        (THIRD, 1, CALLS),
    ]


def test_what_a_crash_leaves_is_sound(zone: Scene) -> None:
    """An empty folder of a partition, and a part that is longer than its checkpoint, are nothing wrong."""
    (zone.root / f"dt={SECOND}" / f"account_id={QUIET}").mkdir()
    (zone.zone.scratch / "run-1.part").write_bytes(b"x" * 11)
    zone.save_checkpoint(10)
    assert zone.findings() == []


BREAKS: list[tuple[str, Break, Finding]] = [
    ("file gone", lambda zone: zone.path(BUSY, FIRST).unlink(), again("it held 3 calls", Kind.MISSING)),
    ("cut short", cut, again("it is cut short")),
    ("emptied", lambda zone: zone.path(BUSY, FIRST).write_bytes(b""), again("it is empty")),
    ("no call", rewrite([one(0), b"{}", one(1)]), again("no usable call_id in line 2")),
    ("wrong day", rewrite([one(0), one(1), one(2, SECOND)]), again("line 3 is a call of 2024-02-29")),
    ("twice", rewrite([one(0), one(1), one(1, second=1)]), again("the call of line 3 was there before")),
    ("out of order", rewrite([one(0), one(2, second=1), one(1)]), again("line 3 is out of order")),
    ("fewer", rewrite([one(0), one(1)]), again("it holds 2 calls, 3 were written")),
    ("more", rewrite([one(number) for number in range(4)]), again("it holds 4 calls, 3 were written")),
    (
        "other bytes",
        lambda zone: zone.write(BUSY, FIRST, [one(number) for number in range(3)]),
        again("it was changed by another hand: its digest is not the one that was written"),
    ),
    (
        "a file where there were no calls",
        lambda zone: zone.write(QUIET, SECOND),
        again(
            "the ledger says that there is no call on this day",
            Kind.FOREIGN,
            f"dt={SECOND}/account_id={QUIET}/calls.ndjson.zst",
            account=QUIET,
            day=SECOND,
        ),
    ),
    (
        "a day that the ledger does not know",
        lambda zone: zone.write(BUSY, THIRD + timedelta(1)),
        again(
            "the ledger does not know of this day",
            Kind.FOREIGN,
            f"dt=2024-03-02/account_id={BUSY}/calls.ndjson.zst",
            day=date(2024, 3, 2),
        ),
    ),
    (
        "an account that is not of this config",
        lambda zone: zone.write(STRANGER, FIRST),
        again(
            "the ledger does not know of this day",
            Kind.FOREIGN,
            f"dt={FIRST}/account_id=99/calls.ndjson.zst",
            account=STRANGER,
            cure=Cure.OTHER_CONFIG,
        ),
    ),
    (
        "a second file",
        lambda zone: zone.write(BUSY, FIRST, suffix=".gz"),
        foreign(
            FILE.replace(".zst", ".gz"), "a second file of this day, beside calls.ndjson.zst", account=BUSY, day=FIRST
        ),
    ),
    (
        "a second file that hides harvester's own",
        hide,
        foreign(FILE, "a second file of this day, beside calls.ndjson.gz", account=BUSY, day=FIRST),
    ),
    ("a note", lambda zone: (zone.root / f"dt={FIRST}/notes.txt").touch(), foreign(f"dt={FIRST}/notes.txt")),
    (
        "a note in a partition",
        lambda zone: zone.path(BUSY, FIRST).with_name(".calls.swp").touch(),
        foreign(f"dt={FIRST}/account_id={BUSY}/.calls.swp"),
    ),
    (
        "a folder named like a file",
        lambda zone: zone.path(BUSY, FIRST).with_name("calls.ndjson").mkdir(),
        foreign(f"dt={FIRST}/account_id={BUSY}/calls.ndjson"),
    ),
    (
        "an account's folder that is none",
        lambda zone: (zone.root / f"dt={FIRST}/account_id=007").mkdir(),
        foreign(f"dt={FIRST}/account_id=007"),
    ),
    (
        "a file named like an account's folder",
        lambda zone: (zone.root / f"dt={FIRST}/account_id=7").touch(),
        foreign(f"dt={FIRST}/account_id=7"),
    ),
    (
        "a day that is none",
        lambda zone: (zone.root / "dt=20240228").mkdir(),
        foreign("dt=20240228", "it is named like a day, and is none"),
    ),
    (
        "a day in words",
        lambda zone: (zone.root / "dt=today").mkdir(),
        foreign("dt=today", "it is named like a day, and is none"),
    ),
    (
        "a file named like a day",
        lambda zone: (zone.root / "dt=2024-03-09").touch(),
        foreign("dt=2024-03-09", "a file in the place of a day's folder"),
    ),
    (
        "mark gone",
        lambda zone: mark_of(zone.zone, SECOND).unlink(),
        mark("every account is complete, and the mark is not there"),
    ),
    ("mark broken", lambda zone: mark_of(zone.zone, SECOND).write_text("{"), mark("it cannot be read")),
    (
        "mark of another day",
        lambda zone: mark_of(zone.zone, SECOND).write_bytes(mark_of(zone.zone, FIRST).read_bytes()),
        mark(f"it is the mark of {FIRST}"),
    ),
    (
        "mark of a day that is not complete",
        lambda zone: zone.know(QUIET, SECOND, Known(0, complete=False, in_file=0)),
        mark(f"account {QUIET} is not complete"),
    ),
    (
        "a folder in the place of a mark",
        replace_mark,
        foreign(MARK),
    ),
    ("part gone", lambda zone: zone.save_checkpoint(10), part("it is gone")),
    (
        "part cut short",
        cut_part,
        part("it holds 9 of the 10 bytes that were saved"),
    ),
]


@pytest.mark.parametrize(("harm", "expected"), [rest for _, *rest in BREAKS], ids=[name for name, *_ in BREAKS])
def test_one_thing_broken_is_one_finding(harm: Break, expected: Finding, zone: Scene) -> None:
    """Whatever is broken is found, with what mends it, and nothing else is."""
    harm(zone)
    assert zone.findings() == [expected]


def test_accounts_that_a_mark_leaves_out(zone: Scene) -> None:
    """A mark made before accounts were enabled does not speak for them; wrong is one that names who lacks calls."""
    zone.fleet = (*zone.fleet, *(AccountId(number) for number in (7, 8, 9)))
    assert zone.findings() == []
    zone.fleet = (BUSY,)
    assert zone.findings() == []
    zone.know(QUIET, SECOND, Known(0, complete=False, in_file=0))
    assert [finding.why for finding in zone.findings()] == [f"account {QUIET} is not complete"]


def test_what_the_ledger_does_not_know_cannot_differ(zone: Scene) -> None:
    """Of a ledger of an older harvester, which knew neither, file and calls are looked at and nothing is compared."""
    zone.know(BUSY, FIRST, Known(5, complete=True))
    assert zone.findings() == []
    zone.know(QUIET, SECOND, Known(0, complete=True))
    zone.write(QUIET, SECOND)
    assert zone.findings() == []
    mark_of(zone.zone, FIRST).unlink()
    zone.ledger.queue(BUSY, [FIRST])
    assert zone.findings() == []
    zone.path(BUSY, FIRST).unlink()
    assert zone.findings() == [again("5 calls were read of this day", Kind.MISSING, queued=True)]


def test_queued_days(zone: Scene) -> None:
    """A day that is queued is found as before until it has been read, and is said to be queued."""
    later = THIRD + timedelta(1)
    paths = [zone.write(BUSY, later), zone.path(BUSY, FIRST)]
    paths[1].unlink()
    mark_of(zone.zone, FIRST).unlink()
    zone.ledger.queue(BUSY, [FIRST, later])
    unknown = f"dt={later}/account_id={BUSY}/calls.ndjson.zst"
    assert zone.findings() == [
        again("it held 3 calls", Kind.MISSING, queued=True),
        again("the ledger does not know what is in it", Kind.FOREIGN, unknown, day=later, queued=True),
    ]
    paths[0].write_bytes(b"x" * 100)
    assert zone.findings()[1].kind is Kind.DAMAGED


def test_a_file_that_the_disk_does_not_give(zone: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it again at night would fail just so: a person has to look after the disk."""

    def fails(path: Path) -> bytes:
        if path == zone.path(BUSY, FIRST):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return digest_of(path)

    monkeypatch.setattr("harvester.landing.upkeep.survey.digest_of", fails)
    (finding,) = zone.findings()
    assert (finding.kind, finding.cure) == (Kind.DAMAGED, Cure.BY_HAND)
    assert "Input/output error" in finding.why

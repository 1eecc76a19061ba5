from datetime import date

import orjson

from harvester.inspection import Cure, Finding, Healed, Kind, Rebuilt
from harvester.model import AccountId
from harvester.report.soundness import Soundness, in_words, to_json

DAY = date(2024, 2, 28)


def finding(
    kind: Kind, cure: Cure = Cure.READ_AGAIN, path: str = "dt=2024-02-28/x", *, queued: bool = False
) -> Finding:
    """Something that was found."""
    return Finding(kind=kind, path=path, why="why", cure=cure, account=AccountId(5), day=DAY, queued=queued)


def soundness(*findings: Finding, healed: Healed | None = None) -> Soundness:
    """A zone of two files in which this was found."""
    found = Soundness()
    found.add(findings, partitions=2, calls=1234)
    found.healed = healed
    return found


def words(found: Soundness) -> list[str]:
    """What a person reads."""
    return in_words(found, "/srv/landing", "nightly.toml").splitlines()


def test_sound() -> None:
    """The first line says so, with how much was read."""
    assert words(soundness()) == [
        "SOUND  2 partitions, 1,234 calls: every file is there, can be read, and is as it was written",
        "  files /srv/landing",
    ]


def test_nothing_yet() -> None:
    """Where no run has been made, nothing is sound or unsound."""
    assert words(Soundness(ledger=False)) == [
        "NOTHING YET: there is no ledger, and no day in /srv/landing, so no run has been made with this config"
    ]


def test_every_kind_with_what_to_do() -> None:
    """Findings are grouped by kind, in the same order always, and followed by what mends them."""
    found = soundness(
        finding(Kind.PART, Cure.FORGET, ".harvester/unfinished/p"),
        finding(Kind.MARK, Cure.SET_RIGHT, "dt=2024-02-28/_COMPLETE.json"),
        finding(Kind.FOREIGN, Cure.BY_HAND, "dt=2024-02-28/notes"),
        finding(Kind.FOREIGN, Cure.OTHER_CONFIG),
        finding(Kind.DAMAGED, queued=True),
        finding(Kind.MISSING),
    )
    assert words(found) == [
        "NOT SOUND  1 missing, 1 damaged, 2 foreign, 1 mark, 1 part; 2 partitions, 1,234 calls read",
        "  files /srv/landing",
        "missing (1): the ledger says that calls landed, their file is not there",
        "  dt=2024-02-28/x: why",
        "damaged (1): not as harvester wrote them",
        "  dt=2024-02-28/x: why (the next run reads it)",
        "foreign (2): not written by harvester, or nothing is known of them",
        "  dt=2024-02-28/notes: why",
        "  dt=2024-02-28/x: why (not of this config)",
        "mark (1): marks that are not what the ledger says",
        "  dt=2024-02-28/_COMPLETE.json: why",
        "part (1): of slices that a run began and cannot go on with",
        "  .harvester/unfinished/p: why",
        "What to do:",
        "  `harvester verify nightly.toml --heal` queues the days that have to be read again, and sets marks right",
        "  1 day of accounts queued already: `harvester run nightly.toml` reads them, whatever its window",
        "  1 day of accounts that this config does not have, or not enabled: nothing is queued for them",
        (
            "  1 to be looked at by hand: harvester touches no file that it did not write; "
            "move away what does not belong there, mend the disk where it gives no file"
        ),
    ]


def test_what_was_healed() -> None:
    """After healing it is said what was done, and that a run does the rest."""
    healed = Healed(days=2, accounts=1, marks=1, checkpoints=3)
    assert words(soundness(finding(Kind.MISSING), finding(Kind.MISSING), healed=healed))[-6:] == [
        "Healed:",
        "  2 days of 1 account queued",
        "  1 mark made or withdrawn",
        "  3 checkpoints forgotten: these slices are read from their beginning",
        "What to do:",
        "  `harvester run nightly.toml` reads what is queued, whatever its window; then verify again",
    ]


def test_nothing_left_to_do() -> None:
    """When all is healed, nothing more is asked of the reader."""
    assert words(soundness(finding(Kind.MARK, Cure.SET_RIGHT), healed=Healed(marks=1)))[-3:] == [
        "Healed:",
        "  0 days of 0 accounts queued",
        "  1 mark made or withdrawn",
    ]


def test_only_days_were_healed() -> None:
    """What was not there to heal is not spoken of."""
    lines = words(soundness(finding(Kind.MISSING), healed=Healed(days=1, accounts=1)))
    assert lines[lines.index("Healed:") : lines.index("What to do:")] == ["Healed:", "  1 day of 1 account queued"]


def test_all_is_queued_already() -> None:
    """Healing is not asked for twice."""
    assert words(soundness(finding(Kind.MISSING, queued=True)))[-2:] == [
        "What to do:",
        "  1 day of accounts queued already: `harvester run nightly.toml` reads them, whatever its window",
    ]


def test_what_another_config_reads_is_not_counted_as_queued() -> None:
    """A run of this config does not read it, queued or not."""
    lines = words(soundness(finding(Kind.MISSING, Cure.OTHER_CONFIG, queued=True)))
    assert lines[-2] == "What to do:"
    assert "does not have" in lines[-1]


def test_thousands_of_findings_fit_a_screen() -> None:
    """Twenty of a kind are named, the rest is counted; nothing but these is remembered, unless all are wanted."""
    many = [finding(Kind.MISSING, path=f"dt=2024-02-28/{number}") for number in range(5000)]
    few, every = Soundness(keep=20), Soundness()
    few.add(many)
    every.add(many)
    assert words(few) == words(every)
    assert "  … and 4,980 more: `--json` has them all" in words(few)
    assert "  dt=2024-02-28/19: why" in words(few)
    assert "  dt=2024-02-28/20: why" not in words(few)
    assert (len(few.findings[Kind.MISSING]), len(every.findings[Kind.MISSING])) == (20, 5000)


def test_twenty_are_all() -> None:
    """When all are named, none is said to be left."""
    found = Soundness(keep=20)
    found.add([finding(Kind.MISSING)] * 20)
    assert not any("more" in line for line in words(found))


def test_rebuilt() -> None:
    """A new ledger is told first: from what, why, what of it is not proven, and where the old one is."""
    found = soundness()
    found.rebuilt = Rebuilt(
        why="it is damaged", aside="/srv/old", partitions=1, calls=40, complete=7, queued=1, unproven=2,
        unproven_since=DAY,
    )  # fmt: skip
    assert words(found)[:-1] == [
        "REBUILT  a new ledger from 1 partition, 40 calls, because it is damaged",
        "  7 days of accounts complete, as the marks say",
        (
            "  2 days of accounts without a mark, so not complete: "
            "`harvester run nightly.toml --start 2024-02-28` reads them again"
        ),
        "  1 day of accounts cannot be relied on: `harvester run nightly.toml` reads them again",
        "  the old ledger, with how each slice ended and how late calls came, is kept as /srv/old",
        words(soundness())[0],
    ]
    found.rebuilt = Rebuilt(why="it is gone", aside=None)
    assert words(found)[:2] == [
        "REBUILT  a new ledger from 0 partitions, 0 calls, because it is gone",
        "  0 days of accounts complete, as the marks say",
    ]
    assert words(found)[2].startswith("SOUND")


def test_json() -> None:
    """Programs get every finding, in the order of kinds, with plain values."""
    found = soundness(finding(Kind.MARK, Cure.SET_RIGHT), finding(Kind.MISSING), healed=Healed(days=1, accounts=1))
    found.rebuilt = Rebuilt(why="gone", aside=None, unproven_since=DAY)
    shown = orjson.loads(orjson.dumps(to_json(found)))
    assert shown == {
        "sound": False,
        "partitions": 2,
        "calls": 1234,
        "counts": {"missing": 1, "damaged": 0, "foreign": 0, "mark": 1, "part": 0},
        "findings": [
            {"kind": kind, "account_id": 5, "path": "dt=2024-02-28/x", "why": "why", "cure": cure, "day": "2024-02-28",
             "queued": False}
            for kind, cure in (("missing", "read again"), ("mark", "set right"))
        ],
        "healed": {"days": 1, "accounts": 1, "marks": 0, "checkpoints": 0},
        "rebuilt": {
            "why": "gone", "aside": None, "partitions": 0, "calls": 0, "complete": 0, "queued": 0, "unproven": 0,
            "unproven_since": "2024-02-28",
        },
    }  # fmt: skip
    sound = to_json(soundness())
    assert (sound["sound"], sound["findings"], sound["healed"], sound["rebuilt"]) == (True, [], None, None)


def test_several_marks() -> None:
    """What can be counted is told in the plural."""
    marks = [finding(Kind.MARK, Cure.SET_RIGHT)] * 7
    parts = [finding(Kind.PART, Cure.FORGET)] * 2
    assert words(soundness(*marks, *parts))[0].startswith("NOT SOUND  7 marks, 2 parts; ")

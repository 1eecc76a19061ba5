"""What of a day that the ledger knew is told, and when its mark does not hold any more."""

from dataclasses import replace as with_changes
from datetime import date
from pathlib import Path

import pytest

from harvester.landing.group import _is_touched
from harvester.landing.ledger import Known, Ledger
from harvester.landing.marks import mark_of, read_mark
from harvester.landing.publication import DayChange
from tests.landing.helpers import ACCOUNT, DAYS, SLICE, Night, batch, call, end, night_in

pytestmark = pytest.mark.anyio
D = [date.fromisoformat(day) for day in DAYS]
A, B, C = (call(key, f"{day} 00:00:00") for key, day in zip("abc", DAYS, strict=True))
DONE, NOT_DONE = Known(5, complete=True, in_file=5), Known(5, complete=False, in_file=5)


def change(**more: object) -> DayChange:
    """A day as it was."""
    return DayChange(**({"day": D[0], "path": "p", "complete": True, "calls": 5, "in_file": 5} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "known", "touched"),
    [
        (change(), DONE, False),
        (change(), NOT_DONE, False),
        (change(), None, False),
        (change(complete=False), DONE, True),
        (change(complete=False), NOT_DONE, False),
        (change(complete=False), None, False),
        (change(staged="7.tmp"), DONE, True),
        (change(staged="7.tmp"), None, True),
        (change(removed=True), NOT_DONE, True),
        (change(in_file=4), DONE, True),
        (change(), with_changes(DONE, in_file=None), True),
    ],
)
async def test_touched(one: DayChange, known: Known | None, *, touched: bool) -> None:
    """A day is touched when its file or its number of calls changes, or when it is not complete any more."""
    assert _is_touched(one, known) is touched


async def test_a_file_that_is_gone(night: Night) -> None:
    """A file that the ledger knew and that is gone is made anew from tonight's calls, and that is said."""
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    night.zone.partition(ACCOUNT.id, DAYS[1]).unlink()
    outcome = (await night.drain(batch(SLICE, A, B, C), end(SLICE, 3)))[-1]
    assert [night.landed(day) for day in DAYS] == [[A], [B], [C]]
    [note] = outcome.notes
    assert note.endswith("calls.ndjson.zst was gone, and 1 calls with it; 1 were read tonight")
    assert f"dt={DAYS[1]}" in note


async def test_a_file_that_is_gone_with_calls_the_api_forgot(tmp_path: Path, ledger: Ledger) -> None:
    """What was in it and is not returned any more is lost: that is said, and the day's mark is counted anew."""
    night = night_in(tmp_path, ledger, fleet=[ACCOUNT.id])
    night.landing.marks.set_right(SLICE.window)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    path = mark_of(night.zone, D[1])
    before = read_mark(path)
    assert before is not None
    assert (before.files, before.calls) == (1, 1)
    night.zone.partition(ACCOUNT.id, DAYS[1]).unlink()
    outcome = (await night.drain(batch(SLICE, A, C), end(SLICE, 2)))[-1]
    night.landing.marks.finish()
    assert [note.rpartition("was gone")[2] for note in outcome.notes] == [", and 1 calls with it; 0 were read tonight"]
    after = read_mark(path)
    assert after is not None
    assert (after.files, after.calls) == (0, 0)


async def test_a_queued_file_that_is_gone(night: Night) -> None:
    """A day that was queued to be healed tells, too, what is lost."""
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    night.zone.partition(ACCOUNT.id, DAYS[1]).unlink()
    night.ledger.queue(ACCOUNT.id, [D[1]])
    outcome = (await night.drain(batch(SLICE, A, B, C), end(SLICE, 3)))[-1]
    assert [note.rpartition("was gone")[2] for note in outcome.notes] == [", and 1 calls with it; 1 were read tonight"]

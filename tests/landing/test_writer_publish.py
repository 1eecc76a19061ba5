from datetime import date
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from harvester.landing import steps
from harvester.landing.ledger import Ledger
from harvester.landing.marks import mark_of
from harvester.landing.steps import Step
from harvester.model import End, Status
from tests.landing.disk import Disk
from tests.landing.helpers import (
    ACCOUNT,
    DAYS,
    SLICE,
    Night,
    account,
    batch,
    call,
    end,
    files_under,
    identity,
    night_in,
    rows_of,
    slice_of,
    stray,
)

pytestmark = pytest.mark.anyio
A, B, C = (call(key, f"{day} 00:00:00") for key, day in zip("abc", DAYS, strict=True))
LATE = call("a", A.start, url="late")
NEW = call("d", A.start)


async def test_calls_the_api_forgot(night: Night) -> None:
    """Calls that were there and were not returned are kept and counted, on days that have no call any more too."""
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    untouched = [identity(night.zone.partition(ACCOUNT.id, day)) for day in DAYS[1:]]
    outcome = (await night.drain(batch(SLICE, LATE, NEW), end(SLICE, 2)))[-1]
    assert (outcome.status, outcome.landed, outcome.new, outcome.changed) == (Status.COMPLETE, 2, 1, 1)
    assert (outcome.missing, outcome.dropped) == (2, 0)
    assert outcome.missing_on == {date.fromisoformat(day): 1 for day in DAYS[1:]}
    assert [night.landed(day) for day in DAYS] == [[LATE, NEW], [B], [C]]
    assert [identity(night.zone.partition(ACCOUNT.id, day)) for day in DAYS[1:]] == untouched
    assert [(one.calls, one.in_file) for one in night.known().values()] == [(2, 2), (0, 1), (0, 1)]


async def test_calls_that_are_dropped(tmp_path: Path, ledger: Ledger) -> None:
    """Where the config says so, calls that the API does not return any more go, counted."""
    night = night_in(tmp_path, ledger, keep_missing=False)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    outcome = (await night.drain(batch(SLICE, NEW, B), end(SLICE, 2)))[-1]
    assert (outcome.missing, outcome.dropped) == (2, 2)
    assert [night.landed(day) for day in DAYS] == [[NEW], [B], []]
    assert not night.zone.partition(ACCOUNT.id, DAYS[2]).parent.exists()
    assert [(one.in_file, one.digest is None) for one in night.known().values()] == [(1, False), (1, False), (0, True)]


@pytest.mark.parametrize("why", ["short", "short day", "not all landed"])
async def test_nothing_is_dropped_without_proof(why: str, tmp_path: Path, ledger: Ledger) -> None:
    """Nothing is dropped of a slice that is short, of a day that is not proven, or when not all calls landed."""
    night = night_in(tmp_path, ledger, keep_missing=False)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    match why:
        case "short":
            the_end = end(SLICE, 1, status=Status.SHORT, reason="why")
        case "short day":
            the_end = end(SLICE, 1, short_days=[date.fromisoformat(DAYS[1])])
        case _:
            the_end = end(SLICE, 2)
    outcome = (await night.drain(batch(SLICE, NEW), the_end))[-1]
    if why == "short day":
        assert [night.landed(day) for day in DAYS] == [[NEW], [B], []]
        assert (outcome.missing, outcome.dropped) == (3, 2)
    else:
        assert [night.landed(day) for day in DAYS] == [[A, NEW], [B], [C]]
        assert (outcome.status, outcome.missing, outcome.dropped) == (Status.SHORT, 3, 0)
    assert files_under(night.zone.scratch) == set()


async def test_short_of_what_was_counted(night: Night) -> None:
    """When fewer different calls land than were counted no day is complete, strays counted in, and all of it lands."""
    lost = stray(b'{"call_id":"x"}')
    message = batch(SLICE, A, B, A, strays=[lost, lost])
    [outcome] = await night.drain(message, end(SLICE, 4))
    assert (outcome.status, outcome.landed, outcome.quarantined) == (Status.SHORT, 2, 1)
    assert outcome.reason == "3 different calls landed, but 4 were counted while reading"
    assert night.complete() == [False] * 3
    assert [night.landed(day) for day in DAYS] == [[A], [B], []]
    assert [row["reason"] for row in rows_of(night.ledger, "failures")] == [outcome.reason]


async def test_damaged_partition(night: Night) -> None:
    """A damaged file is replaced with what was read and what it still held, kept, and told; its slice is complete."""
    await night.drain(batch(SLICE, A, B, C, NEW), end(SLICE, 4))
    path = night.zone.partition(ACCOUNT.id, DAYS[0])
    whole = path.read_bytes()
    path.write_bytes(whole + b"x")
    outcome = (await night.drain(batch(SLICE, A, B, C), end(SLICE, 3)))[-1]
    assert (outcome.status, outcome.landed, outcome.missing) == (Status.COMPLETE, 3, 1)
    assert [night.landed(day) for day in DAYS] == [[A, NEW], [B], [C]]
    assert path.read_bytes() == whole
    [note] = outcome.notes
    assert str(path) in note
    [kept] = night.zone.damaged.iterdir()
    assert str(kept) in note
    assert kept.read_bytes() == whole + b"x"


def seen_at(night: Night, kept: list[tuple[Step, dict[str, Any]]]) -> None:
    """Notes how everything stands at each step."""

    def passed(step: Step) -> None:
        kept.append(
            (
                step,
                {
                    "marks": [mark_of(night.zone, day).exists() for day in SLICE.window],
                    "intended": len(night.ledger.intended()),
                    "late": night.landed(DAYS[0]) == [LATE],
                    "gone": not night.landed(DAYS[2]),
                    "calls": [one.calls for one in night.known().values()],
                    "part": (night.zone.scratch / "run-1-2.part").exists(),
                },
            )
        )

    steps.passed = passed


async def test_order_of_a_publication(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Staged, marks withdrawn, intended, replaced, committed, part removed; marks stay away till the run's end."""
    monkeypatch.setattr("harvester.landing.writer.THREADS", 1)
    monkeypatch.setattr(steps, "passed", steps.passed)
    night = night_in(tmp_path, ledger, fleet=[ACCOUNT.id], keep_missing=False)
    night.landing.marks.set_right(SLICE.window)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    untouched = identity(mark_of(night.zone, SLICE.window.start.replace(day=29)))
    seen: list[tuple[Step, dict[str, Any]]] = []
    await night.drain(batch(SLICE, LATE, state=b"first"))
    seen_at(night, seen)
    await night.drain(batch(SLICE, B), end(SLICE, 2))
    before = {
        "marks": [True] * 3, "intended": 0, "late": False, "gone": False, "calls": [1, 1, 1], "part": True,
    }  # fmt: skip
    withdrawn = before | {"marks": [False, True, False]}
    intended = withdrawn | {"intended": 1}
    committed = intended | {"intended": 0, "late": True, "gone": True, "calls": [1, 1, 0]}
    assert seen == [
        (Step.DAY_STAGED, before),
        (Step.SLICE_STAGED, before),
        (Step.MARKS_WITHDRAWN, withdrawn),
        (Step.PUBLICATION_INTENDED, intended),
        (Step.DAY_REPLACED, intended | {"late": True}),
        (Step.DAY_REPLACED, intended | {"late": True, "gone": True}),
        (Step.SLICE_COMMITTED, committed),
        (Step.PART_REMOVED, committed | {"part": False}),
    ]
    seen.clear()
    night.landing.marks.finish()
    assert [step for step, _ in seen] == [Step.DAY_MARKED] * 2
    assert identity(mark_of(night.zone, SLICE.window.start.replace(day=29))) == untouched


async def test_nothing_to_publish(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice that brings nothing new touches no mark and no file, and intends nothing: it is only committed."""
    night = night_in(tmp_path, ledger, fleet=[ACCOUNT.id])
    night.landing.marks.set_right(SLICE.window)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    before = {path: identity(path) for path in tmp_path.glob("dt=*/**/*") if path.is_file()}
    assert len(before) == 6
    disk = Disk(monkeypatch)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    night.landing.marks.finish()
    assert disk.steps == [
        "passed slice staged", "passed slice committed", "unlink run-1-2.part", "passed part removed",
    ]  # fmt: skip
    assert {path: identity(path) for path in tmp_path.glob("dt=*/**/*") if path.is_file()} == before


async def test_day_that_is_not_complete_any_more(tmp_path: Path, ledger: Ledger) -> None:
    """A day's mark goes with its proof, though its file does not change."""
    night = night_in(tmp_path, ledger, fleet=[ACCOUNT.id])
    night.landing.marks.set_right(SLICE.window)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    day = date.fromisoformat(DAYS[1])
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3, status=Status.SHORT, reason="why", short_days=[day]))
    night.landing.marks.finish()
    assert [mark_of(night.zone, day).exists() for day in SLICE.window] == [True, False, True]


async def test_names_of_staged_days_are_durable(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the ledger says is about to be replaced is on the disk by name and content."""
    monkeypatch.setattr("harvester.landing.writer.THREADS", 1)
    disk = Disk(monkeypatch)
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    staged = disk.steps.index("passed slice staged")
    assert disk.steps[staged - 1] == "fsync unfinished"
    assert disk.steps[:staged].count("passed day staged") == 3
    assert "passed day staged" not in disk.steps[staged:]


async def test_cancelled_while_it_publishes(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while it publishes, the writer first finishes, commits and reports all slices whose ends it took."""
    scope = anyio.CancelScope()

    def passed(step: Step) -> None:
        if step is Step.DAY_STAGED:
            anyio.from_thread.run_sync(scope.cancel)

    monkeypatch.setattr("harvester.landing.writer.THREADS", 1)
    monkeypatch.setattr(steps, "passed", passed)
    with scope:
        await night.drain(batch(SLICE, A, B, C), end(SLICE, 3), end(slice_of(DAYS[0], DAYS[0], account(1)), 0))
    assert scope.cancelled_caught
    assert [night.landed(day) for day in DAYS] == [[A], [B], [C]]
    assert night.complete() == [True] * 3
    assert night.outcomes[0].slice == SLICE
    assert [all(night.complete(outcome.slice)) for outcome in night.outcomes] == [True] * len(night.outcomes)


async def test_queued_days_in_a_slice(night: Night) -> None:
    """A queued day that was read and proven is queued no more; one that was not stays queued."""
    first, unproven, _ = SLICE.window
    night.ledger.queue(ACCOUNT.id, [first, unproven])
    await night.drain(batch(SLICE, A), end(SLICE, 1, status=Status.SHORT, reason="why", short_days=[unproven]))
    assert night.ledger.queued() == {ACCOUNT.id: {unproven}}


async def test_failure_says_nothing_of_days(night: Night) -> None:
    """A walk that did not come to its end changes nothing of what is known and landed."""
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    known, files = night.known(), files_under(night.zone.root)
    await night.drain(batch(SLICE, LATE), End(slice=SLICE, status=Status.FAILED, reason="the server is gone"))
    assert night.known() == known
    assert files_under(night.zone.root) == files
    assert night.landed(DAYS[0]) == [A]

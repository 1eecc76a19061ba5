from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from harvester.landing import steps
from harvester.landing import writer as writer_module
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.part import Part
from harvester.landing.recovery import adopt, clear_remains
from harvester.landing.steps import Step
from harvester.model import End, Slice, Status
from tests.landing.helpers import (
    ACCOUNT,
    DAYS,
    NIGHT,
    SLICE,
    Night,
    account,
    batch,
    call,
    end,
    files_under,
    landed,
    night_in,
    readings_of,
    rows_of,
    slice_of,
    stray,
)  # fmt: skip

pytestmark = pytest.mark.anyio
A, B, C = (call(key, f"{day} 00:00:00") for key, day in zip("abc", DAYS, strict=True))
LOST = [stray(b'{"call_id":"x"}'), stray(b'{"call_id":"y"}')]


def taken_up(root: Path, ledger: Ledger, run_id: str = "run-2", began: Slice = SLICE, **more: object) -> Night:
    """The next run, which goes on with what was begun of the slice."""
    night = night_in(root, ledger, run_id=run_id)
    found = adopt(night.landing, ledger.checkpoints()[0])
    assert found is not None
    clear_remains(night.landing)
    return night_in(root, ledger, run_id=run_id, adopted={began: found}, **more)


async def test_checkpoint(night: Night) -> None:
    """A batch that brings the walk's state makes a checkpoint of all of the slice's calls, and nothing is published."""
    await night.drain(batch(SLICE, A), batch(SLICE, B, state=b"first"))
    [one] = night.ledger.checkpoints()
    assert one == Checkpoint(
        account_id=ACCOUNT.id, first_day=SLICE.window.start, last_day=SLICE.window.end, part="run-1-1.part",
        size_bytes=(night.zone.scratch / "run-1-1.part").stat().st_size, calls=2, state=b"first",
        read_on=NIGHT.date(), at=NIGHT,
    )  # fmt: skip
    part = Part.adopt(night.zone.scratch / one.part, one.size_bytes, one.read_on)
    assert [readings_of(part, day) for day in DAYS] == [[A], [B], []]
    assert not list(night.zone.root.glob("dt=*"))
    assert night.known() == {}
    assert night.outcomes == []


async def test_checkpoints_follow_each_other(night: Night) -> None:
    """Each checkpoint takes the place of the one before, and says how far the part was good then."""
    await night.drain(batch(SLICE, A, state=b"first"))
    [first] = night.ledger.checkpoints()
    await night.drain(batch(SLICE, B), batch(SLICE, C, state=b"second"))
    [second] = night.ledger.checkpoints()
    assert (second.part, second.state, second.calls) == (first.part, b"second", 3)
    assert second.size_bytes > first.size_bytes


async def test_order_of_a_checkpoint(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger speaks of a part's bytes only when they are on the disk."""
    seen: list[tuple[Step, list[bytes], int]] = []

    def passed(step: Step) -> None:
        path = night.zone.scratch / "run-1-1.part"
        seen.append((step, [one.state for one in night.ledger.checkpoints()], path.stat().st_size))

    monkeypatch.setattr(steps, "passed", passed)
    await night.drain(batch(SLICE, A, state=b"first"), batch(SLICE, B, state=b"second"))
    [second] = (one.size_bytes for one in night.ledger.checkpoints())
    first = seen[0][2]
    assert 0 < first < second
    assert seen == [
        (Step.PART_WRITTEN, [], first),
        (Step.PART_DURABLE, [], first),
        (Step.CHECKPOINT_COMMITTED, [b"first"], first),
        (Step.PART_WRITTEN, [b"first"], second),
        (Step.PART_DURABLE, [b"first"], second),
        (Step.CHECKPOINT_COMMITTED, [b"second"], second),
    ]


async def test_every_slice_has_its_part(night: Night) -> None:
    """Slices that are open side by side keep their calls apart."""
    slices = [slice_of(DAYS[0], DAYS[-1], account(number)) for number in (1, 2)]
    for one, some in zip(slices, (A, B), strict=True):
        await night.drain(batch(one, some, state=b"state"))
    assert [one.part for one in night.ledger.checkpoints()] == ["run-1-1.part", "run-1-2.part"]
    await night.drain(end(slices[0], 1))
    assert [one.part for one in night.ledger.checkpoints()] == ["run-1-2.part"]
    assert files_under(night.zone.scratch) == {"run-1-2.part"}


async def test_end_of_a_slice_with_checkpoints(night: Night) -> None:
    """With its end a slice's checkpoint and part are gone, and all of its calls are in their files."""
    [outcome] = await night.drain(batch(SLICE, A, state=b"first"), batch(SLICE, B), end(SLICE, 2))
    assert (outcome.status, outcome.landed, outcome.resumed) == (Status.COMPLETE, 2, False)
    assert [night.landed(day) for day in DAYS] == [[A], [B], []]
    assert night.ledger.checkpoints() == []
    assert files_under(night.zone.scratch) == set()


async def test_stopped_slice(night: Night) -> None:
    """A walk that is stopped ends in a checkpoint, and in the reason why it is not done."""
    stopped = End(slice=SLICE, status=Status.UNFINISHED, reason="stopped", state=b"last")
    [outcome] = await night.drain(batch(SLICE, A, state=b"first"), batch(SLICE, B), stopped)
    assert (outcome.status, outcome.reason, outcome.landed) == (Status.UNFINISHED, "stopped", 0)
    [one] = night.ledger.checkpoints()
    assert (one.state, one.calls) == (b"last", 2)
    assert [row["status"] for row in rows_of(night.ledger, "receipts")] == ["unfinished"]


async def test_failed_slice_keeps_its_checkpoint(night: Night) -> None:
    """A walk that fails leaves its last checkpoint: the next run goes on from there."""
    failed = End(slice=SLICE, status=Status.FAILED, reason="the server is gone")
    await night.drain(batch(SLICE, A, state=b"first"), batch(SLICE, B), failed)
    assert [(one.state, one.calls) for one in night.ledger.checkpoints()] == [(b"first", 1)]
    assert files_under(night.zone.scratch) == {"run-1-1.part"}


async def test_divided_slice(night: Night) -> None:
    """A slice that is divided leaves nothing of itself, and is no failure; its parts land like any other slice."""
    halves = [Slice(SLICE.account, half) for half in SLICE.window.halves()]
    divided = End(slice=SLICE, status=Status.DIVIDED, reason="a day of it fails", afresh=True)
    failed = End(slice=halves[1], status=Status.FAILED, reason="it fails", afresh=True)
    first = batch(halves[0], A)
    outcomes = await night.drain(batch(SLICE, A, B, state=b"first"), divided, first, end(halves[0], 1), failed)
    assert [one.status for one in outcomes] == [Status.DIVIDED, Status.COMPLETE, Status.FAILED]
    assert [night.landed(day) for day in DAYS] == [[A], [], []]
    assert night.ledger.checkpoints() == []
    assert files_under(night.zone.scratch) == set()
    assert [row["status"] for row in rows_of(night.ledger, "failures")] == ["failed"]


async def test_slice_that_starts_afresh(night: Night) -> None:
    """A walk from which nothing more can be had leaves neither a checkpoint nor a part."""
    afresh = End(slice=SLICE, status=Status.FAILED, reason="refused", afresh=True)
    [outcome] = await night.drain(batch(SLICE, A, state=b"first"), afresh)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "refused")
    assert night.ledger.checkpoints() == []
    assert files_under(night.zone.scratch) == set()
    assert [row["reason"] for row in rows_of(night.ledger, "failures")] == ["refused"]


async def test_resumed_slice(night: Night, tmp_path: Path, ledger: Ledger) -> None:
    """The next run lands what was read before the checkpoint and what is read now, and not what came in between."""
    await night.drain(batch(SLICE, A, state=b"first"), batch(SLICE, B))
    resumed = taken_up(tmp_path, ledger)
    other = slice_of(DAYS[0], DAYS[0], account(1))
    outcomes = await resumed.drain(batch(SLICE, C), end(SLICE, 2), end(other, 0))
    assert [(one.status, one.landed, one.resumed) for one in outcomes] == [
        (Status.COMPLETE, 2, True),
        (Status.COMPLETE, 0, False),
    ]
    assert [landed(resumed.zone, day) for day in DAYS] == [[A], [], [C]]
    assert files_under(resumed.zone.scratch) == set()


async def test_resumed_slice_was_read_when_it_began(night: Night, tmp_path: Path, ledger: Ledger) -> None:
    """A day that was not over when the walk began is not complete, though the walk ended days later."""
    one = slice_of("2024-03-04", "2024-03-05")
    night.now[0] = NIGHT
    await night.drain(batch(one, call("a", "2024-03-04 00:00:00"), state=b"first"))
    [there] = ledger.checkpoints()
    later = NIGHT.replace(day=9)
    part = adopt(night.landing, there)
    assert part is not None
    resumed = night_in(tmp_path, ledger, run_id="run-2", now=later, adopted={one: part})
    await resumed.drain(batch(one, call("b", "2024-03-05 00:00:00"), state=b"second"))
    assert [checkpoint.read_on for checkpoint in ledger.checkpoints()] == [NIGHT.date()]
    await resumed.drain(end(one, 2))
    assert resumed.complete(one) == [True, False]
    assert {row["read_on"] for row in rows_of(ledger, "days")} == {NIGHT.date().toordinal()}


async def test_checkpoints_of_a_resumed_slice(night: Night, tmp_path: Path, ledger: Ledger) -> None:
    """A resumed slice's checkpoints go into the part that it has, and hold what was there before."""
    await night.drain(batch(SLICE, A, state=b"first"))
    await taken_up(tmp_path, ledger).drain(batch(SLICE, B, state=b"second"))
    assert [(one.part, one.state, one.calls) for one in ledger.checkpoints()] == [("run-1-1.part", b"second", 2)]
    third = taken_up(tmp_path, ledger, "run-3")
    [outcome] = await third.drain(end(SLICE, 2))
    assert outcome.status is Status.COMPLETE
    assert [third.landed(day) for day in DAYS] == [[A], [B], []]


async def test_quarantine_across_checkpoints(night: Night, tmp_path: Path, ledger: Ledger) -> None:
    """Records that cannot be placed go with the checkpoints, are quarantined at the end, each once, and are counted."""
    await night.drain(batch(SLICE, A, strays=LOST[:1], state=b"first"))
    assert not (tmp_path / "quarantine").exists()
    resumed = taken_up(tmp_path, ledger)
    [outcome] = await resumed.drain(batch(SLICE, strays=LOST), end(SLICE, 3))
    assert (outcome.status, outcome.landed, outcome.quarantined) == (Status.COMPLETE, 1, 2)
    path = tmp_path / "quarantine" / f"account_id={ACCOUNT.id}" / "calls.ndjson"
    assert [lost.line in path.read_bytes() for lost in LOST] == [True, True]
    assert path.read_bytes().count(b"\n") == 2


async def test_newest_reading_across_checkpoints(night: Night, tmp_path: Path, ledger: Ledger) -> None:
    """A call that changed after the checkpoint lands as it was read last."""
    late = call("a", A.start, url="late")
    await night.drain(batch(SLICE, A, state=b"first"))
    resumed = taken_up(tmp_path, ledger)
    await resumed.drain(batch(SLICE, late, state=b"second"), end(SLICE, 1))
    assert resumed.landed(DAYS[0]) == [late]


async def test_part_that_cannot_be_read_back(night: Night) -> None:
    """When a part is damaged nothing of it is published, what had landed stays, and the slice is read anew."""
    await night.drain(batch(SLICE, A, B, C), end(SLICE, 3))
    late = [call(one.id, one.start, url="late") for one in (A, B, C)]
    await night.drain(batch(SLICE, *late, state=b"first"))
    part = night.zone.scratch / "run-1-2.part"
    part.write_bytes(part.read_bytes()[:-1])
    outcome = (await night.drain(end(SLICE, 3)))[-1]
    assert (outcome.status, outcome.receipt, outcome.landed) == (Status.FAILED, None, 0)
    assert (outcome.reason or "").startswith(f"{part} is damaged (")
    assert (outcome.reason or "").endswith(": it is read again")
    assert [night.landed(day) for day in DAYS] == [[A], [B], [C]]
    assert night.complete() == [True] * 3
    assert night.ledger.checkpoints() == []
    assert night.ledger.intended() == []
    assert files_under(night.zone.scratch) == set()


async def test_spilled_calls_are_no_checkpoint(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to disk for want of memory is not said to be good before the next checkpoint."""
    monkeypatch.setattr(writer_module, "MEMORY_BYTES", 0)
    await night.drain(batch(SLICE, A, state=b"first"), batch(SLICE, B))
    [one] = night.ledger.checkpoints()
    assert one.size_bytes < (night.zone.scratch / one.part).stat().st_size
    await night.drain(batch(SLICE, C, state=b"second"))
    [one] = night.ledger.checkpoints()
    assert one.size_bytes == (night.zone.scratch / one.part).stat().st_size
    assert one.calls == 3


async def test_cancelled_while_it_checkpoints(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while it makes a checkpoint, the writer first finishes it."""
    scope = anyio.CancelScope()

    def passed(step: Step) -> None:
        if step is Step.PART_WRITTEN:
            anyio.from_thread.run_sync(scope.cancel)

    monkeypatch.setattr(steps, "passed", passed)
    with scope:
        await night.drain(batch(SLICE, A, state=b"first"), batch(SLICE, B, state=b"second"))
    assert scope.cancelled_caught
    assert [one.state for one in night.ledger.checkpoints()] == [b"first"]

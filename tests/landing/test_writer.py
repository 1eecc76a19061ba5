import tracemalloc
from collections.abc import Iterator
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.calls import Call, Calls
from harvester.errors import StorageError
from harvester.harvest.queue import Queue
from harvester.landing import writer as writer_module
from harvester.landing.encode import in_order
from harvester.landing.ledger import Known, Ledger
from harvester.landing.ndjson import SUFFIXES
from harvester.model import BEIJING, AccountId, Batch, End, Outcome, Slice, Status
from tests.landing.helpers import (
    ACCOUNT,
    DAYS,
    NIGHT,
    SLICE,
    Night,
    account,
    batch,
    call,
    calls,
    end,
    files_under,
    getting,
    night_in,
    slice_of,
    stray,
)  # fmt: skip

pytestmark = pytest.mark.anyio


async def test_batches_then_end(night: Night) -> None:
    """A slice's calls are in its days' files and its days in the ledger, once its end has come."""
    first, second, third = (call(key, f"{day} 09:30:00") for key, day in zip("abc", DAYS, strict=True))
    [outcome] = await night.drain(batch(SLICE, third, first), batch(SLICE, second), end(SLICE, 3))
    assert [night.landed(day) for day in DAYS] == [[first], [second], [third]]
    assert [(one.calls, one.in_file) for one in night.known().values()] == [(1, 1)] * 3
    assert night.complete() == [True] * 3
    assert outcome == Outcome(slice=SLICE, status=Status.COMPLETE, receipt=end(SLICE, 3).receipt, landed=3, new=3)
    assert not files_under(night.zone.scratch)


async def test_nothing_is_visible_before_the_end(night: Night) -> None:
    """As long as a slice is open, nothing of it is in the landing zone or the ledger."""
    assert await night.drain(batch(SLICE, call("a", f"{DAYS[0]} 00:00:00"))) == []
    assert not list(night.zone.root.glob("dt=*"))
    assert night.known() == {}


async def test_slice_without_calls(night: Night) -> None:
    """A slice without calls is complete and makes no file."""
    [outcome] = await night.drain(end(SLICE, 0))
    assert outcome.status is Status.COMPLETE
    assert night.known() == dict.fromkeys(SLICE.window, Known(0, complete=True, in_file=0))
    assert not list(night.zone.root.glob("dt=*"))


async def test_end_without_receipt(night: Night) -> None:
    """A walk that did not come to its end publishes nothing, and its reason is told."""
    given_up = End(slice=SLICE, status=Status.FAILED, reason="the server is gone")
    [outcome] = await night.drain(batch(SLICE, call("a", f"{DAYS[0]} 00:00:00")), given_up)
    assert outcome == Outcome(slice=SLICE, status=Status.FAILED, reason="the server is gone")
    assert not list(night.zone.root.glob("dt=*"))
    assert night.known() == {}


async def test_short_slice(night: Night) -> None:
    """What a short slice has read lands; its days are complete but for those that the walk could not prove."""
    only, unproven = call("a", f"{DAYS[0]} 00:00:00"), date.fromisoformat(DAYS[1])
    the_end = end(SLICE, 1, status=Status.SHORT, reason="1 of 2", short_days=[unproven])
    [outcome] = await night.drain(batch(SLICE, only), the_end)
    assert (outcome.status, outcome.reason, outcome.landed) == (Status.SHORT, "1 of 2", 1)
    assert night.landed(DAYS[0]) == [only]
    assert [day for day, known in night.known().items() if not known.complete] == [unproven]


async def test_calls_that_do_not_all_land(night: Night) -> None:
    """When fewer different calls land than the walk has counted, the slice is short, whatever the walk says."""
    same = call("a", f"{DAYS[0]} 00:00:00")
    [outcome] = await night.drain(batch(SLICE, same, same), end(SLICE, 2))
    assert outcome.status is Status.SHORT
    assert outcome.reason is not None
    assert outcome.reason.startswith("1 different calls landed, but 2")
    assert not any(known.complete for known in night.known().values())


async def test_quarantined_calls_count(night: Night) -> None:
    """Records that cannot be placed are quarantined and counted: a slice is complete with them, not without."""
    lost = stray(b'{"call_id":"x","call_start_time":""}')
    message = batch(SLICE, call("a", f"{DAYS[0]} 00:00:00"), strays=[lost, lost])
    [outcome] = await night.drain(message, end(SLICE, 2))
    assert (outcome.status, outcome.landed, outcome.quarantined) == (Status.COMPLETE, 1, 1)
    assert lost.line in (night.zone.root / "quarantine" / f"account_id={ACCOUNT.id}" / "calls.ndjson").read_bytes()


def shuffled(data: st.DataObject, lanes: list[list[Batch | End]]) -> Iterator[Batch | End]:
    """The lanes' messages, each lane in its order, the lanes in any."""
    left = [list(lane) for lane in lanes]
    while any(left):
        yield data.draw(st.sampled_from([lane for lane in left if lane])).pop(0)


@given(data=st.data(), memory=st.sampled_from([0, 300, 2000, 10**9]), compression=st.sampled_from(sorted(SUFFIXES)))
@settings(max_examples=25)
def test_interleaved_slices(
    data: st.DataObject, memory: int, compression: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However the messages of open slices interleave and spill, each slice lands exactly its own calls."""
    root = tmp_path_factory.mktemp("zone")
    readings: dict[int, dict[str, Call]] = {}
    lanes: list[list[Batch | End]] = []
    for number in (1, 2, 3):
        one = slice_of(DAYS[0], DAYS[-1], account(number))
        pages = data.draw(st.lists(st.lists(calls(), max_size=4), max_size=4))
        readings[number] = {(f"{some.id} {some.day}"): some for page in pages for some in page}
        ids = [(some.id, some.day) for page in pages for some in page]
        pages = [[readings[number][f"{some.id} {some.day}"] for some in page] for page in pages]  # one version a night
        lanes.append([*(batch(one, *page) for page in pages), end(one, len(set(ids)))])
    with pytest.MonkeyPatch.context() as patch, Ledger.open(root / ".harvester") as ledger:
        patch.setattr(writer_module, "MEMORY_BYTES", memory)
        night = night_in(root, ledger, compression=compression)
        anyio.run(night.writer.drain, getting(shuffled(data, lanes)))
        for number, reading in readings.items():
            for day in DAYS:
                expected = in_order(some for some in reading.values() if some.day == day)
                assert night.landed(day, AccountId(number)) == expected
                known = ledger.known(SLICE.window, [AccountId(number)])[AccountId(number)][date.fromisoformat(day)]
                assert (known.calls, known.in_file, known.complete) == (len(expected), len(expected), True)
        assert [outcome.status for outcome in night.outcomes] == [Status.COMPLETE] * 3
        assert not files_under(night.zone.scratch)


async def test_order_of_reports(night: Night) -> None:
    """Slices are reported in the order of their ends, each once it is committed."""
    slices = [slice_of(DAYS[0], DAYS[0], account(number)) for number in (3, 1, 2)]
    outcomes = await night.drain(*(end(one, 0) for one in slices))
    assert [outcome.slice for outcome in outcomes] == slices


@pytest.mark.parametrize(("window_end", "complete"), [("2024-03-04", 3), ("2024-03-05", 2), ("2024-03-07", 0)])
async def test_today_is_never_complete(window_end: str, complete: int, night: Night) -> None:
    """Days that are not over are known and not complete, so that every run reads them again."""
    last = date.fromisoformat(window_end)
    one = slice_of(f"{last.replace(day=last.day - 2)}", window_end)
    await night.drain(end(one, 0))
    assert night.complete(one) == [day < NIGHT.date() for day in one.window]
    assert sum(night.complete(one)) == complete


async def test_day_that_ends_while_it_is_read(night: Night) -> None:
    """A day that was not over when the run began is not complete, though it is over when its slice is committed."""
    one = slice_of("2024-03-04", "2024-03-05")
    night.now[0] = NIGHT.replace(day=6)
    await night.drain(end(one, 0))
    assert night.complete(one) == [True, False]


async def test_beijing_days(tmp_path: Path, ledger: Ledger) -> None:
    """Which days are over is decided in Beijing, not where the machine stands."""
    just_after_midnight = datetime(2024, 3, 5, 0, 0, 1, tzinfo=BEIJING)  # still the 4th in London
    night = night_in(tmp_path, ledger, now=just_after_midnight)
    await night.drain(end(slice_of("2024-03-04", "2024-03-05"), 0))
    assert night.complete(slice_of("2024-03-04", "2024-03-05")) == [True, False]


async def test_spilling_that_fails(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """When memory is full and the disk does not take it, the writer ends."""
    monkeypatch.setattr(writer_module, "MEMORY_BYTES", 0)
    night.zone.scratch.rmdir()
    with pytest.raises(StorageError, match="unfinished") as raised:
        await night.drain(batch(SLICE, call("a", f"{DAYS[0]} 00:00:00")))
    assert isinstance(raised.value.__cause__, OSError)  # the group that it came in is no cause of it


async def test_memory_is_spilled(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """When open slices hold too much the largest goes to disk, and what lands is the same."""
    monkeypatch.setattr(writer_module, "MEMORY_BYTES", 5000)
    small, large = (slice_of(DAYS[0], DAYS[-1], account(number)) for number in (1, 2))
    lines = [call(f"{number:03}", f"{DAYS[number % 3]} 00:00:00", text="x" * 100) for number in range(60)]
    messages = [batch(small, lines[0]), *(batch(large, *lines[at : at + 2]) for at in range(0, 60, 2))]
    sizes: list[int] = []

    def watched() -> Iterator[Batch | End]:
        for message in messages:
            yield message
            sizes.append(sum(part.memory_bytes for part in night.writer._parts.values()))

    await night.writer.drain(getting(watched()))
    assert max(sizes) <= 5000
    assert any(later < earlier for earlier, later in pairwise(sizes))
    assert len(files_under(night.zone.scratch)) == 1  # the small one stayed in memory
    await night.drain(end(small, 1), end(large, 60))
    assert [outcome.status for outcome in night.outcomes] == [Status.COMPLETE] * 2
    assert [one for day in DAYS for one in night.landed(day, AccountId(2))] == in_order(lines)
    assert not files_under(night.zone.scratch)


async def test_cancellation_between_messages(night: Night) -> None:
    """Cancelled while it waits, the writer leaves whole files, and what is open is nowhere but among the unfinished."""
    done, half = (slice_of(DAYS[0], DAYS[-1], account(number)) for number in (1, 2))
    some = [call("a", f"{day} 00:00:00") for day in DAYS]
    queue = Queue()
    for message in (batch(done, *some), end(done, 3), batch(half, *some)):
        await queue.put(message)
    with anyio.move_on_after(1):
        await night.writer.drain(queue.get)
    assert [outcome.slice for outcome in night.outcomes] == [done]
    assert [night.landed(day, AccountId(1)) for day in DAYS] == [[one] for one in some]
    assert not list(night.zone.root.glob("dt=*/account_id=2"))
    assert night.known(half) == {}


def many_calls(one: Slice, count: int) -> Iterator[Batch | End]:
    """A huge slice, made page by page while it is read."""
    days = [str(day) for day in one.window]
    for page in range(count // 100):
        some = [
            call(page * 100 + number, f"{days[number % len(days)]} 09:{page % 60:02}:00", text="x" * 300)
            for number in range(100)
        ]
        yield Batch(slice=one, calls=Calls.of(some), strays=(), size_bytes=Calls.of(some).memory_bytes)
    yield end(one, count)


async def test_memory_is_bounded(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of 33 MB goes through a budget of 1 MiB in a fraction of its size."""
    monkeypatch.setattr(writer_module, "MEMORY_BYTES", 2**20)
    one = slice_of("2024-02-01", "2024-03-01")
    tracemalloc.start()
    try:
        await night.writer.drain(getting(many_calls(one, 50_000)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    [outcome] = night.outcomes
    assert (outcome.status, outcome.landed) == (Status.COMPLETE, 50_000)
    assert peak_bytes < 5 * 2**20


async def test_cancelled_as_a_message_comes(night: Night) -> None:
    """A message that was taken from the queue is worked on to its end, though the writer is cancelled meanwhile."""
    scope = anyio.CancelScope()

    async def get() -> End:
        await anyio.lowlevel.checkpoint()
        scope.cancel()
        return end(SLICE, 0)

    with scope:
        await night.writer.drain(get)
    assert [outcome.slice for outcome in night.outcomes] == [SLICE]
    assert night.complete() == [True] * 3

import tracemalloc
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.from_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import StorageError
from harvester.harvest.queue import Queue
from harvester.landing import writer as writer_module
from harvester.landing.encode import in_order
from harvester.landing.files import SUFFIXES, read_lines
from harvester.landing.ledger import Known, Ledger
from harvester.landing.partition import Change, Zone
from harvester.landing.writer import Writer
from harvester.model import BEIJING, AccountId, Batch, Call, End, Outcome, Slice, Status, Stray, memory_bytes
from harvester.record import read_record
from tests.landing.helpers import ACCOUNT, DAYS, account, batch, call, calls, end, files_under, slice_of

NIGHT = datetime(2024, 3, 5, 1, 30, tzinfo=BEIJING)
SLICE = slice_of(DAYS[0], DAYS[-1])
pytestmark = pytest.mark.anyio


@dataclass(slots=True, kw_only=True)
class Night:
    """A run's writer, its landing zone, its ledger, and what it reported."""

    zone: Zone
    ledger: Ledger
    writer: Writer
    now: list[datetime]
    outcomes: list[Outcome] = field(default_factory=list)
    root: Path

    async def drain(self, *messages: Batch | End) -> list[Outcome]:
        """The writer's work on these messages; what it reported."""
        await self.writer.drain(getting(messages))
        return self.outcomes

    def landed(self, day: str, whose: AccountId = ACCOUNT.id) -> list[Call]:
        """What lies in a day's file; nothing when there is none."""
        path = self.zone.partition(whose, day)
        records = [read_record(line) for line in read_lines(path)] if path.exists() else []
        return [record for record in records if isinstance(record, Call)]

    def known(self, one: Slice = SLICE) -> dict[date, Known]:
        """What the ledger knows of a slice's days."""
        return self.ledger.known(one.window).get(one.account.id, {})


def getting(messages: Iterable[Batch | End]) -> Callable[[], Awaitable[Batch | End | None]]:
    """A queue that holds these messages."""
    source = iter(messages)

    async def get() -> Batch | End | None:
        await anyio.lowlevel.checkpoint()
        return next(source, None)

    return get


def night_in(root: Path, ledger: Ledger, zone: Zone | None = None, now: datetime = NIGHT) -> Night:
    """A writer that is ready."""
    clock, outcomes = [now], list[Outcome]()
    zone = zone or Zone(root, "zstd")

    def wall() -> float:
        return clock[0].timestamp()

    writer = Writer(zone, ledger, "run-1", wall, outcomes.append)
    with zone.prepared():  # its lock is another test's
        pass
    return Night(zone=zone, ledger=ledger, writer=writer, now=clock, outcomes=outcomes, root=root)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger.open(tmp_path / ".harvester") as opened:
        yield opened


@pytest.fixture
def night(tmp_path: Path, ledger: Ledger) -> Night:
    """The first night."""
    return night_in(tmp_path, ledger)


async def test_batches_then_end(night: Night) -> None:
    """A slice's calls are in its days' files and its days in the ledger, once its end has come."""
    first, second, third = (call(key, f"{day} 09:30:00") for key, day in zip("abc", DAYS, strict=True))
    [outcome] = await night.drain(batch(SLICE, third, first), batch(SLICE, second), end(SLICE, 3))
    assert [night.landed(day) for day in DAYS] == [[first], [second], [third]]
    assert night.known() == dict.fromkeys(SLICE.window, Known(1, complete=True))
    assert outcome == Outcome(slice=SLICE, status=Status.COMPLETE, receipt=end(SLICE, 3).receipt, landed=3, new=3)
    assert not files_under(night.zone.scratch)


async def test_nothing_is_visible_before_the_end(night: Night) -> None:
    """As long as a slice is open, nothing of it is in the landing zone or the ledger."""
    assert await night.drain(batch(SLICE, call("a", f"{DAYS[0]} 00:00:00"))) == []
    assert not list(night.root.glob("dt=*"))
    assert night.known() == {}


async def test_slice_without_calls(night: Night) -> None:
    """A slice without calls is complete and makes no file."""
    [outcome] = await night.drain(end(SLICE, 0))
    assert outcome.status is Status.COMPLETE
    assert night.known() == dict.fromkeys(SLICE.window, Known(0, complete=True))
    assert not list(night.root.glob("dt=*"))


async def test_end_without_receipt(night: Night) -> None:
    """A walk that did not come to its end publishes nothing, and its reason is told."""
    given_up = End(slice=SLICE, status=Status.FAILED, reason="the server is gone")
    [outcome] = await night.drain(batch(SLICE, call("a", f"{DAYS[0]} 00:00:00")), given_up)
    assert outcome == Outcome(slice=SLICE, status=Status.FAILED, reason="the server is gone")
    assert not list(night.root.glob("dt=*"))
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
    stray = read_record(b'{"call_id":"x","call_start_time":""}')
    assert isinstance(stray, Stray)
    message = Batch(slice=SLICE, calls=[call("a", f"{DAYS[0]} 00:00:00")], strays=[stray], size_bytes=1)
    [outcome] = await night.drain(message, end(SLICE, 2))
    assert (outcome.status, outcome.landed, outcome.quarantined) == (Status.COMPLETE, 1, 1)
    assert stray.line in (night.root / "quarantine" / f"account_id={ACCOUNT.id}" / "calls.ndjson").read_bytes()


async def test_calls_the_api_forgot(night: Night) -> None:
    """Calls that were there and were not returned are kept and counted, on days that have no call any more too."""
    a, b, c = (call(key, f"{day} 00:00:00") for key, day in zip("abc", DAYS, strict=True))
    await night.drain(batch(SLICE, a, b, c), end(SLICE, 3))
    changed, new = call("a", f"{DAYS[0]} 00:00:00", url="there now"), call("d", f"{DAYS[0]} 00:00:00")
    outcome = (await night.drain(batch(SLICE, changed, new), end(SLICE, 2)))[-1]
    assert (outcome.status, outcome.landed, outcome.new, outcome.changed, outcome.missing) == (
        Status.COMPLETE, 2, 1, 1, 2,
    )  # fmt: skip
    assert [night.landed(day) for day in DAYS] == [[changed, new], [b], [c]]


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
        night = night_in(root, ledger, Zone(root, compression))
        anyio.run(night.writer.drain, getting(shuffled(data, lanes)))
        for number, reading in readings.items():
            for day in DAYS:
                expected = in_order(some for some in reading.values() if some.day == day)
                assert night.landed(day, AccountId(number)) == expected
                assert ledger.known(SLICE.window)[AccountId(number)][date.fromisoformat(day)] == Known(
                    len(expected), complete=True
                )
        assert [outcome.status for outcome in night.outcomes] == [Status.COMPLETE] * 3
        assert not files_under(night.zone.scratch)


async def test_order_of_reports(night: Night) -> None:
    """Slices are reported in the order of their ends, each once it is committed."""
    slices = [slice_of(DAYS[0], DAYS[0], account(number)) for number in (3, 1, 2)]
    outcomes = await night.drain(*(end(one, 0) for one in slices))
    assert [outcome.slice for outcome in outcomes] == slices


@pytest.mark.parametrize(("window_end", "complete"), [("2024-03-04", 3), ("2024-03-05", 2), ("2024-03-07", 0)])
async def test_today_is_never_complete(window_end: str, complete: int, night: Night) -> None:
    """Days that are not over are not marked, so that every run reads them again."""
    last = date.fromisoformat(window_end)
    one = slice_of(f"{last.replace(day=last.day - 2)}", window_end)
    await night.drain(end(one, 0))
    assert sum(known.complete for known in night.known(one).values()) == complete
    assert all(day < NIGHT.date() for day in night.known(one))


async def test_day_that_ends_while_it_is_read(night: Night) -> None:
    """A day that was not over when the run began is not complete, though it is over when its slice is committed."""
    one = slice_of("2024-03-04", "2024-03-05")
    night.now[0] = NIGHT.replace(day=6)
    await night.drain(end(one, 0))
    assert night.known(one) == {date(2024, 3, 4): Known(0, complete=True)}


async def test_beijing_days(tmp_path: Path, ledger: Ledger) -> None:
    """Which days are over is decided in Beijing, not where the machine stands."""
    just_after_midnight = datetime(2024, 3, 5, 0, 0, 1, tzinfo=BEIJING)  # still the 4th in London
    night = night_in(tmp_path, ledger, now=just_after_midnight)
    await night.drain(end(slice_of("2024-03-04", "2024-03-05"), 0))
    assert list(night.known(slice_of("2024-03-04", "2024-03-05"))) == [date(2024, 3, 4)]


@pytest.mark.parametrize("damaged_day", range(3))
async def test_damaged_partition(damaged_day: int, night: Night) -> None:
    """A damaged file fails its slice with its path, stays as it is, and neither other days nor slices stop for it."""
    path = night.zone.partition(ACCOUNT.id, DAYS[damaged_day])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage")
    other = slice_of(DAYS[0], DAYS[-1], account(1))
    some = [call("a", f"{day} 00:00:00") for day in DAYS]
    failed, fine = await night.drain(batch(SLICE, *some), batch(other, *some), end(SLICE, 3), end(other, 3))
    assert failed.status is Status.FAILED
    assert str(path) in (failed.reason or "")
    assert (failed.landed, fine.status) == (2, Status.COMPLETE)
    assert path.read_bytes() == b"garbage"
    for number, day in enumerate(DAYS):
        if number != damaged_day:
            assert night.landed(day) == [some[number]]
    assert [known.complete for known in night.known().values()] == [n != damaged_day for n in range(3)]
    path.unlink()
    night.outcomes.clear()
    [healed] = await night.drain(batch(SLICE, *some), end(SLICE, 3))
    assert (healed.status, healed.landed, healed.new) == (Status.COMPLETE, 3, 1)


async def test_several_damaged_partitions(night: Night) -> None:
    """Of several damaged files the first is named, the others are counted, and a complete day is due again."""
    await night.drain(batch(SLICE, *(call("a", f"{day} 00:00:00") for day in DAYS)), end(SLICE, 3))
    for day in DAYS[:2]:
        night.zone.partition(ACCOUNT.id, day).write_bytes(b"garbage")
    outcome = (await night.drain(end(SLICE, 0)))[-1]
    assert outcome.status is Status.FAILED
    assert (outcome.reason or "").endswith("(and 1 more files of the slice)")
    assert [known.complete for known in night.known().values()] == [False, False, True]


async def test_storage_that_fails(night: Night) -> None:
    """When a file cannot be written the writer ends, the slice is not in the ledger, and its files are whole."""
    (night.root / f"dt={DAYS[1]}").touch()
    some = [call("a", f"{day} 00:00:00") for day in DAYS]
    other = slice_of(DAYS[0], DAYS[-1], account(1))
    with pytest.raises(StorageError, match=f"dt={DAYS[1]}"):
        await night.drain(batch(SLICE, *some), end(SLICE, 3), end(other, 0))
    assert night.landed(DAYS[0]) == some[:1]
    assert night.known() == {}
    assert night.outcomes == []


async def test_spilling_that_fails(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """When memory is full and the disk does not take it, the writer ends."""
    monkeypatch.setattr(writer_module, "MEMORY_BYTES", 0)
    night.zone.scratch.rmdir()
    with pytest.raises(StorageError, match="unfinished"):
        await night.drain(batch(SLICE, call("a", f"{DAYS[0]} 00:00:00")))


async def test_ledger_that_fails(night: Night) -> None:
    """When the ledger cannot be written the writer ends; the files are as they should be, and the next run heals it."""
    only = call("a", f"{DAYS[0]} 00:00:00")
    night.ledger._db.execute("CREATE TRIGGER broken BEFORE INSERT ON days BEGIN SELECT RAISE(ABORT, 'broken'); END")
    with pytest.raises(StorageError, match="broken"):
        await night.drain(batch(SLICE, only), end(SLICE, 1))
    assert night.landed(DAYS[0]) == [only]
    assert night.known() == {}
    night.ledger._db.execute("DROP TRIGGER broken")
    path = night.zone.partition(ACCOUNT.id, DAYS[0])
    inode = path.stat().st_ino
    [outcome] = await night_in(night.root, night.ledger).drain(batch(SLICE, only), end(SLICE, 1))
    assert (outcome.status, outcome.landed, outcome.new) == (Status.COMPLETE, 1, 0)
    assert path.stat().st_ino == inode


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
    assert not list(night.root.glob("dt=*/account_id=2"))
    assert night.known(half) == {}


class CancellingZone(Zone):
    """Cancels the writer in the middle of publishing a slice."""

    scope: anyio.CancelScope
    days_published = 0

    def publish(self, account: AccountId, day: str, read: Callable[[], Iterator[Call]]) -> Change:
        """Publishes the day; at the second one, cancels."""
        self.days_published += 1
        if self.days_published == 2:
            anyio.from_thread.run_sync(self.scope.cancel)
        return super().publish(account, day, read)


async def test_cancellation_while_publishing(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while it publishes a slice, the writer first finishes, commits and reports that slice."""
    monkeypatch.setattr("harvester.landing.writer.THREADS", 1)
    zone = CancellingZone(tmp_path, "none")
    night = night_in(tmp_path, ledger, zone)
    some = [call("a", f"{day} 00:00:00") for day in DAYS]
    with anyio.CancelScope() as zone.scope:
        await night.drain(batch(SLICE, *some), end(SLICE, 3), end(slice_of(DAYS[0], DAYS[0], account(1)), 0))
    assert zone.scope.cancelled_caught
    assert [night.landed(day) for day in DAYS] == [[one] for one in some]
    assert all(known.complete for known in night.known().values())
    assert [outcome.slice for outcome in night.outcomes] == [SLICE]


@pytest.mark.parametrize("crash_at", range(6))
async def test_crash_while_publishing(crash_at: int, night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a run dies while it publishes a slice, each file is whole, old or new, and the next run ends it."""
    old = [call("a", f"{day} 00:00:00") for day in DAYS]
    new = [call("a", f"{day} 00:00:00", url="late") for day in DAYS]
    await night.drain(batch(SLICE, *old), end(SLICE, 3))
    steps = 0

    class Died(BaseException):
        """What SIGKILL does, as far as files can tell."""

    def or_die(really: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **more: object) -> object:
            nonlocal steps
            steps += 1
            if steps - 1 == crash_at:
                raise Died
            return really(*args, **more)

        return step

    with monkeypatch.context() as patch:  # replacing and making the names durable, three times
        patch.setattr("harvester.landing.writer.THREADS", 1)
        patch.setattr(Path, "replace", or_die(Path.replace))
        patch.setattr("harvester.landing.files.sync_directory", or_die(print))
        with pytest.raises(Died):
            await night.drain(batch(SLICE, *new), end(SLICE, 3))
    replaced = (crash_at + 1) // 2
    assert [night.landed(day) for day in DAYS] == [[one] for one in [*new[:replaced], *old[replaced:]]]
    assert all(known.complete for known in night.known().values())
    [outcome] = await night_in(night.root, night.ledger).drain(batch(SLICE, *new), end(SLICE, 3))
    assert (outcome.status, outcome.landed, outcome.changed) == (Status.COMPLETE, 3, 3 - replaced)
    assert [night.landed(day) for day in DAYS] == [[one] for one in new]


def test_leftovers_are_removed(tmp_path: Path, ledger: Ledger) -> None:
    """What a dead run left unfinished is gone before the next one writes; published files are not touched."""
    night = night_in(tmp_path, ledger)
    (night.zone.scratch / "1.part").write_bytes(b"left")
    (night.zone.scratch / "77-1.tmp").write_bytes(b"left")
    published = tmp_path / f"dt={DAYS[0]}" / "account_id=1" / "calls.ndjson"
    published.parent.mkdir(parents=True)
    published.write_bytes(b"{}\n")
    night_in(tmp_path, ledger)
    assert not files_under(night.zone.scratch)
    assert published.read_bytes() == b"{}\n"


def test_zone_that_cannot_be_prepared(tmp_path: Path, ledger: Ledger) -> None:
    """An output directory that is a file is an error of storage before anything is asked of the API."""
    (tmp_path / "landing").touch()
    with pytest.raises(StorageError, match="landing"):
        night_in(tmp_path / "landing", ledger)


def many_calls(one: Slice, count: int) -> Iterator[Batch | End]:
    """A huge slice, made page by page while it is read."""
    days = [str(day) for day in one.window]
    for page in range(count // 100):
        some = [
            call(page * 100 + number, f"{days[number % len(days)]} 09:{page % 60:02}:00", text="x" * 300)
            for number in range(100)
        ]
        yield Batch(slice=one, calls=some, strays=(), size_bytes=memory_bytes(some))
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

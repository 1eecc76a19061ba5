"""Slices that are published together: as if one after the other, whatever happens meanwhile."""

import errno
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from time import sleep
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.calls import Call, Calls, Stray
from harvester.errors import StorageError
from harvester.landing.group import Ended, Publisher
from harvester.landing.ledger import Ledger
from harvester.landing.marks import NAME as MARK
from harvester.landing.marks import mark_of, read_mark
from harvester.landing.part import Part
from harvester.landing.publication import Publication
from harvester.landing.recovery import clear_remains, finish_publications
from harvester.landing.threads import Threads
from harvester.landing.writer import GROUP_SLICES
from harvester.model import End, Outcome, Slice, Status
from tests.landing.disk import Died, Disk
from tests.landing.helpers import (
    DAYS,
    NIGHT,
    Night,
    account,
    batch,
    call,
    calls,
    end,
    files_under,
    getting,
    landed,
    night_in,
    rows_of,
    slice_of,
    stray,
)

ACCOUNTS = [account(number) for number in (1, 2, 3)]
SLICES = [slice_of(DAYS[0], DAYS[-1], one) for one in ACCOUNTS]
OLD = [call(key, f"{day} 00:00:00") for key, day in zip("abc", DAYS, strict=True)]
NEW = [*OLD[:2], call("d", f"{DAYS[2]} 00:00:00")]
LOST = stray(b'{"call_id":"x"}')
TABLES = ("days", "receipts", "arrivals", "failures", "checkpoints", "publications")


def ended(
    night: Night, the_end: End, some: Sequence[Call], strays: Sequence[Stray] = (), *, spill: bool = False
) -> Ended:
    """A slice as the writer hands it on."""
    one = the_end.slice
    part = Part(night.zone.scratch / f"{one.account.id}-{one.window.start}.part", NIGHT.date())
    part.add(Calls.of(some), strays)
    if spill:
        part.spill()
    publication = Publication(
        run_id=night.landing.run_id,
        account_id=one.account.id,
        first_day=one.window.start,
        last_day=one.window.end,
        status=the_end.status,
        reason=the_end.reason,
        receipt=the_end.receipt,
        read_on=part.read_on,
    )
    return Ended(end=the_end, part=part, publication=publication)


def publish(night: Night, group: Sequence[Ended], threads: int = 1) -> list[Outcome]:
    """Publishes slices as one group."""
    publisher = Publisher(night.landing, threads, night.writer._lay_down)
    try:
        return publisher.publish(group)
    finally:
        publisher.close()


def state_of(night: Night) -> tuple[Any, ...]:
    """How everything stands."""
    visible = files_under(night.zone.root) - {".harvester/ledger.sqlite-wal", ".harvester/ledger.sqlite-shm"}
    marks = [read_mark(mark_of(night.zone, day)) for day in SLICES[0].window]
    return (
        visible,
        {name: (night.zone.root / name).read_bytes() for name in visible if name.endswith((".zst", "calls.ndjson"))},
        [(mark.files, mark.calls) if mark else None for mark in marks],
        {table: rows_of(night.ledger, table) for table in TABLES},
    )


readings = st.lists(st.lists(calls(), max_size=6), min_size=len(SLICES), max_size=len(SLICES))
endings = st.sampled_from(["complete", "short", "lacking", "given up", "afresh", "saved"])


def the_end(one: Slice, some: Sequence[Call], how: str) -> End:
    """The end of a walk that read these."""
    distinct = len({(read.id, read.day) for read in some})
    match how:
        case "complete":
            return end(one, distinct)
        case "short":
            return end(one, distinct, status=Status.SHORT, reason="why", short_days=[date.fromisoformat(DAYS[1])])
        case "lacking":
            return end(one, distinct + 1)
        case "given up":
            return End(slice=one, status=Status.FAILED, reason="why")
        case "afresh":
            return End(slice=one, status=Status.FAILED, reason="why", afresh=True)
        case _:
            return End(slice=one, status=Status.UNFINISHED, reason="why", state=b"here")


@given(
    nights=st.lists(readings, min_size=1, max_size=2),
    how=st.lists(endings, min_size=3, max_size=3),
    spill=st.lists(st.booleans(), min_size=3, max_size=3),
    threads=st.sampled_from([1, 4]),
    keep=st.booleans(),
)
@settings(max_examples=40)
def test_a_group_is_as_one_after_the_other(  # noqa: PLR0917 - drawn
    nights: list[list[list[Call]]],
    how: list[str],
    spill: list[bool],
    threads: int,
    keep: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever slices bring and however they end, together they become what each would become by itself."""
    found = []
    for together in (True, False):
        root = tmp_path_factory.mktemp("zone")
        fleet = [one.id for one in ACCOUNTS]
        with Ledger.open(root / ".harvester") as ledger:
            night = night_in(root, ledger, fleet=fleet, keep_missing=keep)
            outcomes = []
            for some in nights:
                group = [
                    ended(night, the_end(one, read, ending), read, [LOST][: len(read) % 2], spill=spilled)
                    for one, read, ending, spilled in zip(SLICES, some, how, spill, strict=True)
                ]
                groups = [group] if together else [[one] for one in group]
                outcomes += [outcome for one in groups for outcome in publish(night, one, threads)]
            night.landing.marks.finish()
            found.append((outcomes, *state_of(night)[1:], {n for n in state_of(night)[0] if not n.endswith(".part")}))
    assert found[0] == found[1]


def ready(root: Path, ledger: Ledger, run_id: str = "run-2") -> Night:
    """A night of all accounts."""
    return night_in(root, ledger, run_id=run_id, fleet=[one.id for one in ACCOUNTS])


@pytest.fixture
def first_night(tmp_path: Path) -> Path:
    """Two accounts have landed before, the third has not."""
    root = tmp_path / "first"
    with Ledger.open(root / ".harvester") as ledger:
        night = ready(root, ledger, "run-1")
        night.landing.marks.set_right(SLICES[0].window)
        publish(night, [ended(night, end(one, 3), OLD) for one in SLICES[:2]])
    return root


def second_night(night: Night) -> list[Ended]:
    """Changes in one, nothing new in the next, all of it new in the third."""
    brought = zip(SLICES, (NEW, OLD, NEW), strict=True)
    return [ended(night, end(one, 3), some) for one, some in brought]


def go_on(root: Path) -> tuple[Any, ...]:
    """The next run takes up what there is and reads what is not committed; how all stands then."""
    with Ledger.open(root / ".harvester") as ledger:
        night = ready(root, ledger)
        finish_publications(night.landing)
        clear_remains(night.landing)
        night.landing.marks.set_right(SLICES[0].window)
        done = {row["account_id"] for row in rows_of(ledger, "receipts") if row["run_id"] == "run-2"}
        publish(night, [one for one in second_night(night) if one.end.slice.account.id not in done])
        night.landing.marks.finish()
        return state_of(night)


@pytest.mark.parametrize("error", [Died(), OSError(errno.ENOSPC, "full")], ids=["killed", "full"])
def test_a_group_that_ends_at_any_step(error: BaseException, tmp_path: Path, first_night: Path) -> None:
    """Killed, or without space, at any step: every file is as before or new; the next run ends as if undisturbed."""
    root = tmp_path / "undisturbed"
    shutil.copytree(first_night, root)
    with pytest.MonkeyPatch.context() as patch, Ledger.open(root / ".harvester") as ledger:
        night = ready(root, ledger)
        disk = Disk(patch)
        publish(night, second_night(night))
    expected = go_on(root)
    for at, step in enumerate(disk.steps):
        if not isinstance(error, Died) and step.startswith(("passed", "rmdir")):
            continue
        root = tmp_path / str(at)
        shutil.copytree(first_night, root)
        with pytest.MonkeyPatch.context() as patch, Ledger.open(root / ".harvester") as ledger:
            night = ready(root, ledger)
            Disk(patch, at, error)
            with pytest.raises(Died if isinstance(error, Died) else StorageError):
                publish(night, second_night(night))
        for one in SLICES:
            for day, old, new in zip(DAYS, OLD, NEW, strict=True):
                before = [] if one is SLICES[2] else [old]
                kept = (
                    [old, new] if before and one is SLICES[0] and old != new else [new if one is not SLICES[1] else old]
                )
                assert landed(night.zone, day, one.account.id) in (before, kept), step
        visible = {Path(name).name for name in files_under(root) if name.startswith("dt=")}
        assert visible <= {"calls.ndjson.zst", "_COMPLETE.json"}
        with Ledger.open(root / ".harvester") as ledger:
            if not isinstance(error, Died) and not ledger.intended():
                assert not list((root / ".harvester" / "unfinished").glob("*.tmp")), step
        assert go_on(root) == expected, step
        shutil.rmtree(root)


def test_order_of_a_group(first_night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is staged and synced before it is intended, in place and synced before it is committed; folders once."""
    with Ledger.open(first_night / ".harvester") as ledger:
        night = ready(first_night, ledger)
        intend, commit = ledger.intend, ledger.commit_all
        disk = Disk(monkeypatch)

        def intends(*some: Publication) -> None:
            disk.step("ledger", "intends")
            intend(*some)

        def commits(*some: Any) -> None:
            disk.step("ledger", "commits")
            commit(*some)

        monkeypatch.setattr(ledger, "intend", intends)
        monkeypatch.setattr(ledger, "commit_all", commits)
        publish(night, second_night(night))
    steps = disk.steps
    intended, committed = steps.index("ledger intends"), steps.index("ledger commits")
    assert steps.count("ledger intends") == steps.count("ledger commits") == 1
    moved = [at for at, step in enumerate(steps) if step.startswith("replace") and MARK not in step]
    assert [at for at in moved if at < intended or at > committed] == []
    synced = steps[moved[-1] : committed]
    assert sorted(step for step in synced if step.startswith("fsync")) == sorted(
        ["fsync account_id=1", *(f"fsync dt={day}" for day in DAYS)]
    )
    assert steps[:intended].count("fsync unfinished") == 1
    assert max(at for at, step in enumerate(steps[:intended]) if step == "fsync calls.ndjson.zst") < steps.index(
        "fsync unfinished"
    )
    assert sum(step == "passed slice committed" for step in steps[committed:]) == 3


@pytest.mark.parametrize("threads", [1, 4])
def test_a_damaged_part_harms_no_other_slice(threads: int, night: Night) -> None:
    """The slice whose part cannot be read back fails, nothing of it stays staged, and the others of its group land."""
    group = [ended(night, end(one, 3), OLD, spill=one is SLICES[1]) for one in SLICES]
    broken = group[1].part
    broken.path.write_bytes(broken.path.read_bytes()[:-1])
    outcomes = publish(night, group, threads)
    assert [outcome.status for outcome in outcomes] == [Status.COMPLETE, Status.FAILED, Status.COMPLETE]
    assert str(broken.path) in (outcomes[1].reason or "")
    there = [[landed(night.zone, day, one.id) for day in DAYS] for one in ACCOUNTS]
    assert there == [[[one] for one in OLD], [[], [], []], [[one] for one in OLD]]
    assert night.known(SLICES[1]) == {}
    assert files_under(night.zone.scratch) == set()


@pytest.mark.anyio
async def test_slices_of_an_account_are_not_in_a_group(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an account's next slice finds is what its slice before has left, though both ended together."""
    groups: list[list[Slice]] = []
    all_taken = anyio.Event()
    really = Publisher.publish

    def publish(publisher: Publisher, group: Sequence[Ended]) -> list[Outcome]:
        if not groups:
            anyio.from_thread.run(all_taken.wait)
        groups.append([one.end.slice for one in group])
        return really(publisher, group)

    monkeypatch.setattr(Publisher, "publish", publish)
    changed = call("a", OLD[0].start, url="late")
    first, one, other, last = slice_of(DAYS[0], DAYS[0], account(9)), *SLICES
    source = getting([
        end(first, 0), batch(one, OLD[0]), end(one, 1), end(other, 0), batch(one, changed), end(one, 1), end(last, 0),
    ])  # fmt: skip

    async def get() -> Any:
        message = await source()
        if message is None:
            all_taken.set()
        return message

    await night.writer.drain(get)
    assert [outcome.changed for outcome in night.outcomes] == [0, 0, 0, 1, 0]
    assert night.landed(DAYS[0], one.account.id) == [changed]
    assert groups == [[first], [one, other], [one, last]]


@pytest.mark.anyio
async def test_collecting_goes_on_while_slices_are_published(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends meanwhile becomes the next group; only so many wait that a bound holds."""
    sizes: list[int] = []
    taken = 0
    gate = anyio.Event()
    really = Publisher.publish

    def publish(publisher: Publisher, group: Sequence[Ended]) -> list[Outcome]:
        if not sizes:
            anyio.from_thread.run(gate.wait)
        sizes.append(len(group))
        return really(publisher, group)

    monkeypatch.setattr(Publisher, "publish", publish)
    ends = [end(slice_of(DAYS[0], DAYS[0], account(number)), 0) for number in range(1, 3 * GROUP_SLICES)]
    source = getting(ends)

    async def get() -> Any:
        nonlocal taken
        taken += 1
        return await source()

    async def open_later() -> None:
        for _ in range(20 * GROUP_SLICES):
            await anyio.lowlevel.checkpoint()
        assert taken == GROUP_SLICES + 1
        gate.set()

    async with anyio.create_task_group() as both:
        both.start_soon(open_later)
        await night.writer.drain(get)
    assert [outcome.slice for outcome in night.outcomes] == [one.slice for one in ends]
    assert sizes[0] == 1
    assert max(sizes) <= GROUP_SLICES
    assert len(sizes) < len(ends) / 4


def test_every_thread_ends_before_the_error_is_told() -> None:
    """When some work fails nothing of it is under way any more as that is told, and little more was begun."""
    threads, begun, ended = Threads(4), [], []

    def work(number: int) -> None:
        begun.append(number)
        sleep(0.05 if number else 0.01)  # in a thread: there is no virtual time
        if number == 0:
            raise ZeroDivisionError
        ended.append(number)

    try:
        with pytest.raises(ZeroDivisionError):
            threads.side_by_side(work, range(100))
        assert sorted(ended) == sorted(set(begun) - {0})
        assert len(begun) < 10
    finally:
        threads.close()

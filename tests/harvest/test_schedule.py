"""The schedule with a client that needs no network."""

import datetime as dt
from collections.abc import Iterator

import anyio
import pytest

from harvester.errors import AccountFault, QuotaSpent, SliceFault
from harvester.harvest.queue import Queue
from harvester.harvest.schedule import Schedule
from harvester.model import (
    ONE_DAY,
    Account,
    AccountId,
    AppName,
    Batch,
    Call,
    End,
    Page,
    Query,
    Refusal,
    Slice,
    Status,
    TokenName,
    Window,
)  # fmt: skip

pytestmark = pytest.mark.anyio
APP = AppName("app")
DAY = dt.date(2026, 3, 1)


def slices(accounts: int, each: int = 1) -> Iterator[Slice]:
    """Slices of a day, account by account in turn."""
    for age in range(each):
        for number in range(1, accounts + 1):
            account = Account(id=AccountId(number), token=TokenName("token"), app=APP)
            yield Slice(account, Window(DAY - ONE_DAY * age, DAY - ONE_DAY * age))


class Api:
    """Answers each query with one call after a second; some accounts with an error instead."""

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors
        self.asked: list[int] = []
        self.most_at_once = 0
        self._at_once = 0

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """See `Asks.fetch`."""
        self.asked.append(account.id)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await anyio.sleep(1)
        self._at_once -= 1
        if f"account_{account.id}" in self.errors:
            raise self.errors[f"account_{account.id}"]
        start = f"{query.window.start} 12:00:00"
        call = Call(f"{account.id}-{start}", start, b'{"call_id":"%d"}' % account.id)
        return Page(calls=[call], total=1)


class Writer:
    """Takes everything in."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.messages: list[Batch | End] = []

    async def drain(self) -> None:
        """Until the queue ends."""
        while message := await self.queue.get():
            self.messages.append(message)

    @property
    def ends(self) -> dict[Slice, tuple[Status, str | None]]:
        """How each slice ended."""
        return {one.slice: (one.status, one.reason) for one in self.messages if isinstance(one, End)}


async def run(api: Api, plan: Iterator[Slice], workers: int = 4) -> tuple[Writer, list[Slice]]:
    """A schedule's run to its end, and the slices it began."""
    queue, begun = Queue(), list[Slice]()
    writer = Writer(queue)
    await Schedule(api, queue, begun.append, page_size=100, workers=workers).run({APP: plan}, writer.drain)
    return writer, begun


async def test_every_slice_ends_behind_its_calls() -> None:
    """Each slice's end travels behind its last batch, and tells that it is complete."""
    writer, begun = await run(Api(), slices(10))
    assert set(writer.ends.values()) == {(Status.COMPLETE, None)}
    assert set(begun) == set(writer.ends)
    for one in begun:
        own = [type(message) for message in writer.messages if message.slice == one]
        assert own == [Batch, End]


@pytest.mark.parametrize("workers", [1, 3, 50])
async def test_no_more_slices_are_open_than_workers(workers: int) -> None:
    """The number of workers bounds what is under way at once."""
    api = Api()
    await run(api, slices(20), workers)
    assert api.most_at_once == min(workers, 20)


async def test_the_plan_is_pulled_lazily() -> None:
    """A slice is taken from the plan when a worker is free for it, not before."""
    plan, queue, begun = slices(1000), Queue(), list[Slice]()
    schedule = Schedule(Api(), queue, begun.append, page_size=100, workers=2)
    with anyio.move_on_after(2.5):
        await schedule.run({APP: plan}, Writer(queue).drain)
    assert len(begun) <= 6
    assert sum(1 for _ in plan) == 1000 - len(begun)


async def test_an_error_stays_with_its_slice() -> None:
    """A slice that fails is ended as failed with its reason; all others complete."""
    writer, _ = await run(Api(account_3=SliceFault("no luck")), slices(6))
    ends = {one.account.id: end for one, end in writer.ends.items()}
    assert ends.pop(AccountId(3)) == (Status.FAILED, "no luck")
    assert set(ends.values()) == {(Status.COMPLETE, None)}


async def test_an_unreadable_account_is_asked_once() -> None:
    """The other slices of an account that cannot be read are skipped without a request."""
    api = Api(account_2=AccountFault("denied"))
    writer, _ = await run(api, slices(2, each=5), workers=1)
    assert api.asked.count(2) == 1
    assert [end for one, end in writer.ends.items() if one.account.id == 2] == [(Status.SKIPPED, "denied")] * 5


async def test_a_spent_quota_leaves_the_rest_of_the_plan() -> None:
    """When nothing more may be sent, no further slice is begun."""
    plan = slices(100)
    writer, begun = await run(Api(**{f"account_{n}": QuotaSpent("over") for n in range(1, 101)}), plan, workers=3)
    assert set(writer.ends.values()) == {(Status.UNFINISHED, "over")}
    assert len(begun) == 3
    assert sum(1 for _ in plan) == 97


async def test_stopping_finishes_what_is_open() -> None:
    """After `stop` the open slices come to their ends, and no other is begun."""
    queue, begun = Queue(), list[Slice]()
    writer, plan = Writer(queue), slices(100)
    schedule = Schedule(Api(), queue, begun.append, page_size=100, workers=5)
    async with anyio.create_task_group() as group:
        group.start_soon(schedule.run, {APP: plan}, writer.drain)
        await anyio.sleep(0.5)
        schedule.stop()
    assert set(writer.ends.values()) == {(Status.COMPLETE, None)}
    assert len(writer.ends) == len(begun) == 5


async def test_a_bug_stops_everything_with_its_true_cause() -> None:
    """An error that is nobody's fault but ours ends the run, and is what the caller sees."""
    with pytest.raises(ExceptionGroup) as caught:
        await run(Api(account_2=ZeroDivisionError("a bug")), slices(50))
    assert caught.group_contains(ZeroDivisionError, match="a bug")


async def test_the_death_of_the_writer_stops_everything() -> None:
    """When the writer dies, its error is the only one."""

    async def die() -> None:
        await anyio.sleep(0.5)
        raise OSError("the disk is gone")

    api, queue = Api(), Queue()
    with pytest.raises(ExceptionGroup) as caught:
        await Schedule(api, queue, lambda _: None, page_size=100, workers=4).run({APP: slices(50)}, die)
    assert caught.group_contains(OSError, match="the disk is gone")
    assert len(caught.value.exceptions) == 1
    assert len(api.asked) <= 4

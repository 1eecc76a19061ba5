"""The schedule with a client that needs no network."""

import datetime as dt
from collections.abc import Iterator

import anyio
import pytest

from harvester.calls import Call, Calls
from harvester.errors import AccountFault, CallError, QuotaSpent, RefusedFault, SliceFault, TokenFault
from harvester.harvest.findings import Findings
from harvester.harvest.pace import Pace
from harvester.harvest.queue import Queue
from harvester.harvest.schedule import STOPPED, Schedule
from harvester.harvest.terms import Asks, Terms
from harvester.harvest.walk import Walk
from harvester.model import (
    ONE_DAY,
    Account,
    AccountId,
    AppName,
    Batch,
    End,
    Page,
    Query,
    Refusal,
    Slice,
    Status,
    TokenName,
    Window,
)

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
        return Page(calls=Calls.of([call]), total=1)


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


async def run(
    api: Asks, plan: Iterator[Slice], workers: int = 4, terms: Terms | None = None
) -> tuple[Writer, list[Slice]]:
    """A schedule's run to its end, and the slices it began."""
    queue, begun = Queue(), list[Slice]()
    writer = Writer(queue)
    await Schedule(api, queue, begun.append, terms or Terms(page_size=100, workers=workers)).run(
        {APP: plan}, writer.drain
    )
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
    schedule = Schedule(Api(), queue, begun.append, Terms(page_size=100, workers=2))
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
    [(status, why)] = {end for one, end in writer.ends.items() if one.account.id == 2}
    assert (status, "denied" in (why or "")) == (Status.SKIPPED, True)


async def test_a_spent_quota_leaves_the_rest_of_the_plan() -> None:
    """When nothing more may be sent, no further slice is begun."""
    plan = slices(100)
    writer, begun = await run(Api(**{f"account_{n}": QuotaSpent("over") for n in range(1, 101)}), plan, workers=3)
    assert set(writer.ends.values()) == {(Status.UNFINISHED, "over")}
    assert len(begun) == 3
    assert sum(1 for _ in plan) == 97


class LongApi:
    """Answers page after page, a second each: ten calls a page, a hundred pages, descending; one second a call."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """See `Asks.fetch`."""
        assert account.id == query.account_id
        self.asked.append(query.after)
        await anyio.sleep(1)
        newest = dt.datetime.combine(DAY, dt.time(12))
        starts = [str(newest - dt.timedelta(seconds=number)) for number in range(1000)]
        behind = [start for start in starts if query.after is None or start < query.after][:10]
        return Page(calls=Calls.of([Call(start, start, b"{}") for start in behind]), total=1000)


def states(writer: Writer) -> list[bytes]:
    """The walk's states that were sent, in order."""
    return [message.state for message in writer.messages if message.state]


async def stopped_after(seconds: float, api: Asks, terms: Terms, plan: Iterator[Slice]) -> Writer:
    """What a schedule has sent that was stopped so long after its start."""
    queue = Queue()
    writer = Writer(queue)
    schedule = Schedule(api, queue, lambda _: None, terms)
    async with anyio.create_task_group() as group:
        group.start_soon(schedule.run, {APP: plan}, writer.drain)
        await anyio.sleep(seconds)
        schedule.stop()
    assert anyio.current_time() < seconds + 0.5, "nothing is waited for"
    return writer


async def test_stopping_saves_what_is_open() -> None:
    """After `stop` the open slices end at once, each with the state of its walk, and no other is begun."""
    plan = slices(100)
    writer = await stopped_after(3.5, LongApi(), Terms(page_size=10, workers=5), plan)
    assert set(writer.ends.values()) == {(Status.UNFINISHED, STOPPED)}
    assert len(writer.ends) == len(states(writer)) == 5
    assert sum(1 for _ in plan) == 95


async def test_what_was_not_answered_is_not_saved() -> None:
    """A slice that is stopped before its first answer has no state to go on from; an earlier run's stands."""
    writer = await stopped_after(0.5, LongApi(), Terms(page_size=10, workers=5), slices(5))
    assert len(writer.ends) == 5
    assert states(writer) == []


async def test_a_stopped_slice_goes_on() -> None:
    """A slice that begins with a saved state asks for no page again but the one it was waiting for."""
    first, second, [one] = LongApi(), LongApi(), list(slices(1))
    stopped = await stopped_after(40.5, first, Terms(page_size=10, workers=1), iter([one]))
    state = states(stopped)[-1]
    writer, _ = await run(second, iter([one]), terms=Terms(page_size=10, workers=1, begun={one: state}))
    assert writer.ends == {one: (Status.COMPLETE, None)}
    assert second.asked[0] == first.asked[-1]
    batches = [message for message in stopped.messages + writer.messages if isinstance(message, Batch)]
    assert len({call.id for batch in batches for call in batch.calls}) == 1000


async def test_a_state_that_cannot_be_read_begins_anew() -> None:
    """Nonsense in place of a saved state: the slice is read from its beginning."""
    api, [one] = LongApi(), list(slices(1))
    writer, _ = await run(api, iter([one]), terms=Terms(page_size=10, workers=1, begun={one: b"nonsense"}))
    assert writer.ends == {one: (Status.COMPLETE, None)}
    assert api.asked[0] is None


@pytest.mark.parametrize(
    ("pace", "saved"),
    [
        (Pace(every_s=None, every_bytes=None), 0),
        (Pace(every_s=10, every_bytes=None), 11),
        (Pace(every_s=None, every_bytes=25_000), 9),
        (Pace(every_s=60, every_bytes=10**9), 1),
    ],
)
async def test_slices_are_saved_at_their_pace(pace: Pace, saved: int) -> None:
    """The walk's state travels with its calls every so many seconds or bytes, whichever comes first."""
    writer, _ = await run(LongApi(), slices(1), terms=Terms(page_size=10, workers=1, pace=pace))
    assert set(writer.ends.values()) == {(Status.COMPLETE, None)}
    assert len(states(writer)) == saved


async def stopped_while_the_queue_is_full(api: Asks) -> Writer:
    """What three slices have sent that were stopped while they waited for room in the queue."""
    queue = Queue(max_messages=1)
    writer, schedule = Writer(queue), Schedule(api, queue, lambda _: None, Terms(page_size=10, workers=3))

    async def drain_late() -> None:
        await anyio.sleep(5)
        schedule.stop()
        await anyio.sleep(1)
        await writer.drain()

    await schedule.run({APP: slices(3)}, drain_late)
    return writer


async def test_a_full_queue_loses_nothing_when_stopped() -> None:
    """A slice that is stopped while it waits for room in the queue still hands over what its state speaks of."""
    writer = await stopped_while_the_queue_is_full(LongApi())
    for one in writer.ends:
        own = [message for message in writer.messages if message.slice == one]
        handed = [call.id for message in own if isinstance(message, Batch) for call in message.calls]
        assert own[-1].state
        resumed = Walk.resume(own[-1].state, one.account.id, one.window, page_size=10, findings=Findings())
        assert resumed
        query = resumed.begin()
        assert isinstance(query, Query)
        assert query.after in {handed[-2], handed[-1]}


async def test_the_last_answer_is_not_lost_when_stopped() -> None:
    """A slice that has its last answer and only waits to hand it over is complete, stopped or not."""
    writer = await stopped_while_the_queue_is_full(Api())
    assert set(writer.ends.values()) == {(Status.COMPLETE, None)}


@pytest.mark.parametrize(
    ("error", "status", "resumable", "afresh"),
    [
        (SliceFault("no luck"), Status.FAILED, True, False),
        (TokenFault("dead"), Status.FAILED, True, False),
        (AccountFault("denied"), Status.SKIPPED, True, False),
        (QuotaSpent("over"), Status.UNFINISHED, True, False),
        (RefusedFault("wrong"), Status.FAILED, False, True),
    ],
)
async def test_what_goes_on_and_what_begins_anew(
    error: CallError, status: Status, resumable: bool, afresh: bool
) -> None:
    """Whatever ends a walk early leaves its state, except a refusal: the same request would be refused again."""

    class FailingApi(LongApi):
        async def fetch(self, account: Account, query: Query) -> Page | Refusal:
            if len(self.asked) == 7:
                raise error
            return await super().fetch(account, query)

    writer, _ = await run(FailingApi(), slices(1), terms=Terms(page_size=10, workers=1))
    end = writer.messages[-1]
    assert isinstance(end, End)
    assert (end.status, end.state is not None, end.afresh) == (status, resumable, afresh)


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
        await Schedule(api, queue, lambda _: None, Terms(page_size=100, workers=4)).run({APP: slices(50)}, die)
    assert caught.group_contains(OSError, match="the disk is gone")
    assert len(caught.value.exceptions) == 1
    assert len(api.asked) <= 4

import gc
from datetime import date

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.calls import Calls
from harvester.harvest.queue import MAX_BYTES, MAX_MESSAGES, Queue
from harvester.model import Account, AccountId, AppName, Batch, End, Slice, Status, TokenName, Window

pytestmark = pytest.mark.anyio


def slice_of(number: int) -> Slice:
    """An account's day."""
    account = Account(id=AccountId(number), token=TokenName("agency-a"), app=AppName("main"))
    return Slice(account, Window(date(2024, 2, 29), date(2024, 2, 29)))


def batch(size_bytes: int, number: int = 1) -> Batch:
    """A batch that holds so many bytes."""
    return Batch(slice=slice_of(number), calls=Calls.of(()), strays=(), size_bytes=size_bytes)


def end(number: int = 1) -> End:
    """The end of a slice."""
    return End(slice=slice_of(number), status=Status.COMPLETE)


async def let_run() -> None:
    """Everything that can go on goes on."""
    for _ in range(20):
        await checkpoint()


async def test_first_in_first_out() -> None:
    """Messages come out in the order in which they went in, an end behind its batches."""
    queue = Queue()
    messages: list[Batch | End] = [batch(1), batch(0), end(1), batch(2, 2), end(2)]
    for message in messages:
        await queue.put(message)
    assert [await queue.get() for _ in messages] == messages


async def test_end() -> None:
    """A closed queue gives what is left in it, and then nothing, however often it is asked."""
    queue = Queue()
    await queue.put(end())
    queue.close()
    assert await queue.get() == end()
    assert await queue.get() is None
    assert await queue.get() is None


async def test_closing_wakes_the_writer() -> None:
    """A writer that waits learns that nothing more comes."""
    queue, got = Queue(), list[object]()

    async def write() -> None:
        got.append(await queue.get())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        await let_run()
        assert got == []
        queue.close()
    assert got == [None]


async def puts(queue: Queue, *messages: Batch | End) -> int:
    """How many messages the queue takes before a walker has to wait."""
    taken = 0
    for message in messages:
        with anyio.move_on_after(1):
            await queue.put(message)
            taken += 1
    return taken


async def test_bound_in_messages() -> None:
    """No more messages wait than the bound says, ends included."""
    assert await puts(Queue(max_messages=3), batch(1), end(), batch(1), end(), batch(1)) == 3
    assert await puts(Queue(), *[batch(0)] * 100) == MAX_MESSAGES


async def test_bound_in_bytes() -> None:
    """No further batch goes in while the bytes are used up; the last one in may be of any size."""
    assert await puts(Queue(max_bytes=10), *[batch(4)] * 9) == 3
    assert await puts(Queue(max_bytes=10), batch(1000), batch(1)) == 1
    assert await puts(Queue(), *[batch(MAX_BYTES // 2)] * 9) == 2


async def test_an_end_needs_no_bytes() -> None:
    """The end of a slice goes in though the bytes are used up."""
    assert await puts(Queue(max_bytes=10), batch(10), end(), batch(0), batch(1)) == 3


@pytest.mark.parametrize("bounds", [{"max_messages": 1}, {"max_bytes": 1}])
async def test_room_wakes_walkers(bounds: dict[str, int]) -> None:
    """Walkers that wait for room go on, all of them, as the writer takes messages out."""
    queue, sent = Queue(**bounds), list[int]()

    async def walk(number: int) -> None:
        await queue.put(batch(1, number))
        sent.append(number)

    async with anyio.create_task_group() as walkers:
        for number in range(5):
            walkers.start_soon(walk, number)
        await let_run()
        assert len(sent) == 1
        for taken in range(1, 6):
            assert await queue.get() is not None
            await let_run()
            assert len(sent) == min(taken + 1, 5)


async def test_cancelled_walker() -> None:
    """A walker that is cancelled while it waits has sent nothing and takes no room."""
    queue = Queue(max_messages=1, max_bytes=1)
    await queue.put(batch(1, 1))
    with anyio.move_on_after(1) as scope:
        await queue.put(batch(1, 2))
    assert scope.cancelled_caught
    assert await queue.get() == batch(1, 1)
    await queue.put(batch(1, 3))
    assert await queue.get() == batch(1, 3)


async def test_cancelled_writer() -> None:
    """A writer that is cancelled while it waits has taken nothing."""
    queue = Queue()
    with anyio.move_on_after(1) as scope:
        await queue.get()
    assert scope.cancelled_caught
    await queue.put(end())
    assert await queue.get() == end()


async def test_cancellation_is_delivered_without_waiting() -> None:
    """Sending and taking can be cancelled though there is room and there are messages."""
    queue = Queue()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await queue.put(end(1))
    await queue.put(end(2))
    with anyio.CancelScope() as scope:
        scope.cancel()
        await queue.get()
    assert await queue.get() == end(2)


async def test_dropped_queue() -> None:
    """A queue that a dying run leaves behind, messages and all, warns of nothing."""
    queue = Queue()
    await queue.put(end())
    del queue
    gc.collect()


@given(
    lanes=st.lists(st.lists(st.integers(0, 9), max_size=8), min_size=1, max_size=5),
    max_messages=st.integers(1, 4),
    max_bytes=st.integers(1, 12),
)
@settings(max_examples=50)
def test_every_bound_holds_always(lanes: list[list[int]], max_messages: int, max_bytes: int) -> None:
    """Whatever is sent, every message comes out once, each walker's in order, and the bounds hold all the time."""
    got: list[Batch | End] = []

    async def walk(queue: Queue, number: int, sizes: list[int]) -> None:
        for size in sizes:
            await queue.put(batch(size, number))
        await queue.put(end(number))

    async def write(queue: Queue) -> None:
        while message := await queue.get():
            got.append(message)
            assert len(queue._waiting) <= max_messages
            waiting = [each.size_bytes for each in queue._waiting if isinstance(each, Batch)]
            assert sum(waiting) == queue._waiting_bytes < max_bytes + 9

    async def both() -> None:
        queue = Queue(max_messages=max_messages, max_bytes=max_bytes)
        async with anyio.create_task_group() as everything:
            everything.start_soon(write, queue)
            async with anyio.create_task_group() as walkers:
                for number, sizes in enumerate(lanes):
                    walkers.start_soon(walk, queue, number, sizes)
            queue.close()

    anyio.run(both)
    for number, sizes in enumerate(lanes):
        mine = [each for each in got if each.slice.account.id == number]
        assert mine == [*(batch(size, number) for size in sizes), end(number)]
    assert len(got) == sum(len(sizes) + 1 for sizes in lanes)

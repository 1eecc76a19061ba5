from collections.abc import Iterator

import anyio
import pytest

from harvester.harvest.cases import Cases, Failure
from harvester.harvest.lane import MOST_ASIDE, Lane
from harvester.harvest.ward import Ward
from harvester.model import ONE_DAY, Slice, Window
from tests.harvest.test_sick_accounts import TODAY, account, weeks

pytestmark = pytest.mark.anyio


def many_of_one() -> Iterator[Slice]:
    """More slices of one account than may wait."""
    for age in range(2 * MOST_ASIDE):
        day = TODAY - ONE_DAY * age
        yield Slice(account(1), Window(day, day))


async def test_so_many_wait_and_no_more() -> None:
    """While an account's first answer is awaited the plan is not emptied; what waits goes in its order then."""
    plan, ward = many_of_one(), Ward(Cases(today=TODAY))
    lane = Lane(plan, ward, workers=64)
    first = await lane.take()
    assert first
    with anyio.move_on_after(1) as waiting:
        await lane.take()
    assert waiting.cancelled_caught
    assert len(list(lane.left())) == MOST_ASIDE
    ward.answered(first.slice)
    lane.look_again(first.slice)
    days = [turn.slice.window.start for _ in range(5) if (turn := await lane.take())]
    assert days == [TODAY - ONE_DAY * age for age in range(1, 6)]
    assert len(list(lane.left())) + sum(1 for _ in plan) == 2 * MOST_ASIDE - 6


async def test_the_end() -> None:
    """Who finds nothing waits for those who may still bring something, and ends when the last of them is back."""
    lane, ends = Lane(iter(weeks(1, each=2)), Ward(Cases(today=TODAY)), workers=64), list[float]()
    turn = await lane.take()
    assert turn

    async def wait() -> None:
        while (other := await lane.take()) is not None:
            lane.back(other.slice)
        ends.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(wait)
        await anyio.sleep(5)
        assert ends == []
        lane.back(turn.slice)
    assert len(ends) == 3
    assert list(lane.left()) == []


async def test_closing() -> None:
    """A lane that is closed lets go of those who wait, gives nothing more, and says what is left."""
    lane = Lane(iter(weeks(1, each=3)), Ward(Cases(today=TODAY)), workers=64)
    turn = await lane.take()
    assert turn
    async with anyio.create_task_group() as group:
        group.start_soon(lane.take)
        await anyio.sleep(1)
        lane.close()
    assert await lane.take() is None
    assert lane.is_closed
    assert list(lane.left()) == weeks(1, each=3)[1:]


async def test_only_so_many_are_woken_as_can_do_something() -> None:
    """An answer that releases three slices wakes three workers of fifty, one that releases none wakes nobody."""
    ward = Ward(Cases(today=TODAY))
    lane = Lane(iter([*weeks(1, each=4), *weeks(2)[-1:]]), ward, workers=64)
    first, other = await lane.take(), await lane.take()
    assert first
    assert other
    given: list[Slice] = []

    async def take() -> None:
        if turn := await lane.take():
            given.append(turn.slice)

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(take)
        await anyio.sleep(1)
        ward.answered(other.slice)
        lane.look_again(other.slice)
        lane.back(other.slice)
        assert lane.wakes == 0
        ward.answered(first.slice)
        lane.look_again(first.slice)
        await anyio.sleep(1)
        assert (lane.wakes, given) == (3, weeks(1, each=4)[1:])
        lane.back(first.slice)
        assert lane.wakes == 3
        for one in given:
            lane.back(one)
    assert lane.wakes == 50, "nothing is under way any more: all of them end"


async def test_room_for_others_wakes_all() -> None:
    """When so many waited that the plan was not gone on with, it may have something for everybody."""
    ward = Ward(Cases(today=TODAY))
    others = weeks(20)[1:]
    plan = [Slice(account(1), Window(TODAY - ONE_DAY * age, TODAY - ONE_DAY * age)) for age in range(MOST_ASIDE + 1)]
    lane, given = Lane(iter([*plan, *others]), ward, workers=64), set[Slice]()
    first = await lane.take()
    assert first

    async def take() -> None:
        while turn := await lane.take():
            given.add(turn.slice)
            await anyio.sleep(1)
            lane.back(turn.slice)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(take)
        await anyio.sleep(1)
        assert not given
        ward.refused(first.slice, Failure(text="denied"))
        lane.back(first.slice)
        await anyio.sleep(0.5)
        assert len(given) == 5
    assert given == {*plan[1:], *others}


async def test_a_worker_that_is_cancelled_leaves_its_turn_to_another() -> None:
    """Who was woken and is cancelled in the same moment wakes the next one; who only waited is forgotten."""
    ward = Ward(Cases(today=TODAY))
    lane, given = Lane(iter(weeks(1, each=2)), ward, workers=64), list[int]()
    first = await lane.take()
    assert first
    scopes = [anyio.CancelScope() for _ in range(3)]

    async def take(number: int) -> None:
        with scopes[number]:
            if await lane.take():
                given.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(take, number)
        await anyio.sleep(1)
        scopes[0].cancel()
        await anyio.sleep(1)
        ward.answered(first.slice)
        scopes[1].cancel()
        lane.look_again(first.slice)
        await anyio.sleep(1)
        lane.close()
    assert given == [2]

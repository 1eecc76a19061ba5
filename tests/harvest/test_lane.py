from collections.abc import Iterator

import anyio
import pytest

from harvester.harvest.cases import Cases
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

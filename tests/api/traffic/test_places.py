import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.traffic.places import Places
from tests.virtual_time import PureVirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """No sockets and no threads: time jumps at once."""
    return "asyncio", {"loop_factory": PureVirtualTimeLoop}


def in_virtual_time(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs one example of a property on a loop of its own."""
    with asyncio.Runner(loop_factory=PureVirtualTimeLoop) as runner:
        runner.run(work())


@dataclass
class Model:
    """Who is in and who waits, as it should be.

    Attributes:
        allowed: How many places there are.
        inside: Who has one, or was just given one.
        ahead: Who waits before the others, in order.
        waiting: Who waits.
        leaving: Who was cancelled in the moment in which it was given a place, and has not given it back yet.
    """

    allowed: int
    inside: list[int] = field(default_factory=list)
    ahead: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    leaving: list[int] = field(default_factory=list)

    def enter(self, who: int, *, ahead: bool) -> None:
        """Somebody comes."""
        (self.ahead if ahead else self.waiting).append(who)
        self.let_in()

    def leave(self, who: int) -> None:
        """Somebody who is in goes."""
        self.inside.remove(who)
        self.let_in()

    def cancel(self, who: int) -> None:
        """Somebody who waits is cancelled; a place that it was just given comes back when its task is run."""
        for queue in (self.ahead, self.waiting):
            if who in queue:
                queue.remove(who)
        if who in self.inside and who not in self.leaving:
            self.leaving.append(who)

    def allow(self, places: int) -> None:
        """There are so many now."""
        self.allowed = places
        self.let_in()

    def settle(self) -> None:
        """All tasks have run."""
        while self.leaving:
            self.leave(self.leaving.pop(0))

    def let_in(self) -> None:
        """Places are given while there are some."""
        while (queue := self.ahead or self.waiting) and len(self.inside) < self.allowed:
            self.inside.append(queue.pop(0))


class Visit:
    """Somebody who comes, and stays until it is shown out."""

    def __init__(self, places: Places, *, ahead: bool) -> None:
        self._gone = asyncio.Event()
        self.is_in = False
        self.task = asyncio.get_running_loop().create_task(self._come(places, ahead=ahead))

    async def _come(self, places: Places, *, ahead: bool) -> None:
        await places.enter(ahead=ahead)
        self.is_in = True
        await self._gone.wait()

    def show_out(self) -> None:
        """It is not in any more; its place has to be given back beside."""
        self.is_in = False
        self._gone.set()


@dataclass
class Room:
    """The real places, and the model of them."""

    allowed: int
    visits: list[Visit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = Places(self.allowed)
        self.model = Model(self.allowed)

    async def step(self, what: str, number: int) -> None:
        """One step; all but coming happens in the tick of the step before."""
        staying = [who for who in self.model.inside if self.visits[who].is_in]
        coming = [who for who, one in enumerate(self.visits) if not one.is_in and not one.task.done()]
        if what in {"enter", "ahead"}:
            await self.settle()
            self.visits.append(Visit(self.places, ahead=what == "ahead"))
            self.model.enter(len(self.visits) - 1, ahead=what == "ahead")
            await self.settle()
        elif what == "allow":
            self.places.allow(number)
            self.model.allow(number)
        elif what == "leave" and staying:
            self.leave(staying[number % len(staying)])
        elif what == "cancel" and coming:
            who = coming[number % len(coming)]
            self.visits[who].task.cancel()
            self.model.cancel(who)
        else:
            await self.settle()

    def leave(self, who: int) -> None:
        """Somebody gives its place back."""
        self.visits[who].show_out()
        self.places.leave()
        self.model.leave(who)

    async def settle(self) -> None:
        """Lets all tasks run, and compares."""
        for _ in range(3 * len(self.visits) + 3):
            await asyncio.sleep(0)
        self.model.settle()
        assert [who for who, one in enumerate(self.visits) if one.is_in] == sorted(self.model.inside)
        assert self.places._taken == len(self.model.inside)

    async def close(self) -> None:
        """Everybody gets in, and everybody goes."""
        await self.step("allow", 99)
        await self.settle()
        assert self.model.ahead == self.model.waiting == []
        for who in self.model.inside.copy():
            self.leave(who)
        await self.settle()
        assert self.places._taken == 0


steps = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "ahead", "leave", "leave", "allow", "cancel", "cancel", "settle"]),
        st.integers(0, 7),
    ),
    max_size=50,
)


@settings(max_examples=150)
@given(st.integers(1, 4), steps)
@example(1, [("enter", 0), ("enter", 0), ("enter", 0), ("leave", 0), ("cancel", 0), ("settle", 0)])
@example(2, [*[("enter", 0)] * 5, ("leave", 0), ("cancel", 1), ("allow", 1), ("settle", 0), ("allow", 5)])
@example(1, [*[("enter", 0)] * 4, ("leave", 0), ("cancel", 0), ("allow", 0), ("settle", 0)])
def test_it_does_as_a_queue_should(allowed: int, some: list[tuple[str, int]]) -> None:
    """In order, those ahead first; whoever is cancelled, also in the tick of the hand-over, costs nobody a place."""

    async def run() -> None:
        room = Room(allowed)
        for what, number in some:
            await room.step(what, number)
        await room.close()

    in_virtual_time(run)


async def test_who_goes_ahead_goes_before_those_who_came_first() -> None:
    """And those ahead keep their own order."""
    places, order = Places(1), list[str]()

    async def visit(name: str, *, ahead: bool) -> None:
        await places.enter(ahead=ahead)
        order.append(name)
        await anyio.sleep(1)
        places.leave()

    async with anyio.create_task_group() as tasks:
        for name in ("first", "second", "third", "ahead 1", "ahead 2"):
            tasks.start_soon(partial(visit, name, ahead=name.startswith("ahead")))
            await anyio.sleep(0.01)
    assert order == ["first", "ahead 1", "ahead 2", "second", "third"]


async def test_the_longest_way_has_every_other_place() -> None:
    """Of those ahead; the other places go to them in the order in which they came."""
    places, order = Places(1), list[int]()

    async def visit(ahead: int) -> None:
        await places.enter(ahead=ahead)
        order.append(ahead)
        await anyio.sleep(1)
        places.leave()

    async with anyio.create_task_group() as tasks:
        for ahead in (0, 1, 2, 3, 9, 8, 7):
            tasks.start_soon(visit, ahead)
            await anyio.sleep(0.01)
    assert order == [0, 9, 1, 8, 2, 7, 3]


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.0, 1.5])
async def test_who_is_cancelled_leaves_the_place_to_the_next(after_s: float) -> None:
    """While waiting, in the moment of the hand-over, and inside."""
    places, left = Places(1), list[tuple[str, float]]()

    async def visit(name: str, seconds: float, cancelled_s: float) -> None:
        with anyio.move_on_after(cancelled_s):
            await places.enter()
            try:
                await anyio.sleep(seconds)
            finally:
                places.leave()
                left.append((name, anyio.current_time()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visit, "first", 1.0, 99.0)
        tasks.start_soon(visit, "cancelled", 10.0, after_s)
        tasks.start_soon(visit, "last", 0.0, 99.0)
    assert [one for one in left if one[0] != "cancelled"] == [("first", 1.0), ("last", max(1.0, after_s))]
    assert places._taken == 0

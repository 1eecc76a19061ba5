"""Which ids were met: the same answers, however many there are, and in little memory when there are many."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.calls import Call, Calls
from harvester.landing.ids import FEW, Ids
from harvester.landing.merge import each_once


@given(st.lists(st.lists(st.integers(0, 40).map(str), max_size=8), max_size=20), st.integers(0, 30))
def test_ids_are_taken_as_by_a_set(blocks: list[list[str]], few: int) -> None:
    """A block with an id that was met, or comes twice, leaves everything as it was; whatever they are held in."""
    ids, met = Ids(few), set[str]()
    for block in blocks:
        new = len(set(block)) == len(block) and met.isdisjoint(block)
        assert ids.take(block) is new
        if new:
            met.update(block)
        for one in block:
            assert ids.take_one(one) is (one not in met)
            met.add(one)


@pytest.mark.parametrize("count", [FEW, FEW + 1, 3 * FEW])
def test_of_many_calls_each_comes_once(count: int) -> None:
    """A large day: calls that come again are left out, others are not."""
    calls = Calls.of(Call(str(number), "2024-02-29 00:00:00", b"{}") for number in range(count))
    again = Calls.of(Call(str(number), "2024-02-29 00:00:01", b"{}") for number in range(count - 5, count + 5))
    blocks = [calls[place : place + 100] for place in range(0, count, 100)]
    once = [one for block in each_once([*blocks, again]) for one in block]
    assert [one.id for one in once] == [str(number) for number in range(count + 5)]
    assert {one.start for one in once[:count]} == {"2024-02-29 00:00:00"}


def test_many_take_little_memory() -> None:
    """A day of millions must not be held: an id takes some bytes, not a hundred."""
    tracemalloc.start()
    try:
        ids = Ids()
        for begin in range(0, 200_000, 100):
            assert ids.take([f"clouspstn_16-100000001-{number:010}" for number in range(begin, begin + 100)])
        size_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size_bytes < 20 * 200_000

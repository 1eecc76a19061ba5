from hypothesis import given
from hypothesis import strategies as st

from harvester.report.grown import Grown, plus


@given(st.lists(st.tuples(st.integers(0, 10), st.lists(st.integers()))))
def test_growing_is_adding(steps: list[tuple[int, list[int]]]) -> None:
    """Whichever of them grows, and in whatever order, each is what a tuple would be, and none changes afterwards."""
    found: list[tuple[Grown[int], tuple[int, ...]]] = [(Grown(), ())]
    for which, more in steps:
        grown, true = found[which % len(found)]
        found.append((grown.plus(more), (*true, *more)))
    for grown, true in found:
        assert grown == true
        assert list(grown) == list(true)
        assert len(grown) == len(true)
        assert grown[:3] == list(true[:3])
        assert list(grown[-1:]) == list(true[-1:])
        assert not true or grown[-1] == true[-1]


def test_nothing_is_copied() -> None:
    """A longer one shares what the shorter one holds, and nothing added is the same one."""
    short = plus((1, 2), [3])
    assert isinstance(short, Grown)
    long = plus(short, [4])
    assert isinstance(long, Grown)
    assert long._shared is short._shared
    assert plus(short, []) is short
    assert plus((), ()) == ()

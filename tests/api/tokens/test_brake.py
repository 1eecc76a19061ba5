import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.tokens.brake import _SOON_S, AT_ONCE, PER_S, wait_s

SOME = tuple(range(AT_ONCE))


@pytest.mark.parametrize(
    ("refused_at", "trying", "now", "expected"),
    [
        ((), 0, 0.0, 0.0),
        ((), AT_ONCE - 1, 0.0, 0.0),
        ((), AT_ONCE, 0.0, _SOON_S),
        ((0.0,), AT_ONCE - 2, 1.0, 0.0),
        ((0.0,), AT_ONCE - 1, 1.0, _SOON_S),
        ((0.0,), AT_ONCE - 1, PER_S, 0.0),
        (SOME[:-1], 0, 9.0, 0.0),
        (SOME, 0, 9.0, PER_S - 9.0),
        (SOME, 0, PER_S - 0.5, 0.5),
        (SOME, 0, PER_S, 0.0),
        (SOME, 1, PER_S - 0.5, _SOON_S),
        ((0.0,) * AT_ONCE, 0, 59.0, 1.0),
    ],
)
def test_the_table(refused_at: tuple[float, ...], trying: int, now: float, expected: float) -> None:
    """Ten that are being tried or were refused within a minute are enough."""
    assert wait_s(refused_at, trying, now) == expected


@given(st.lists(st.floats(0, 200), max_size=AT_ONCE).map(sorted), st.integers(0, 2 * AT_ONCE), st.floats(200, 400))
def test_a_wait_has_an_end(refused_at: list[float], trying: int, now: float) -> None:
    """It is never longer than a minute, never negative, and nothing where there is room."""
    wait = wait_s(refused_at, trying, now)
    assert 0.0 <= wait <= PER_S
    counting = sum(now < at + PER_S for at in refused_at)
    assert (wait == 0.0) is (counting + trying < AT_ONCE)
    if wait and not trying:
        assert wait_s(refused_at, 0, now + wait + 1e-6) == 0.0


@given(st.lists(st.tuples(st.floats(0, 90), st.integers(0, 5)), min_size=1, max_size=60))
def test_refusals_are_few_in_any_minute(tries: list[tuple[float, int]]) -> None:
    """However many tokens ask, however long each answer takes: ten in any minute, and those of the next begin there."""
    now, tried = 0.0, list[float]()
    for pause_s, _ in tries:
        now += pause_s
        while wait := wait_s(tried[-AT_ONCE:], 0, now):
            now += wait
        tried.append(now)
    for first, last in zip(tried, tried[AT_ONCE:], strict=False):
        assert last - first >= PER_S - 1e-6

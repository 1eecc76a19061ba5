import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.quota.figures import Lately, Sample


def sample(at: float) -> Sample:
    """One of that moment; the rest does not matter."""
    return Sample(at=at, used=50, counted=1, lost=0, sent=2)


def lately(*times: float) -> Lately:
    """What remains of samples at these loop times."""
    found = Lately()
    for at in times:
        found.add(sample(at))
    return found


@pytest.mark.parametrize(
    ("times", "at", "expected"),
    [
        ([], 5.0, None),
        ([5.0], 4.9, None),
        ([5.0], 5.0, 5.0),
        ([5.0], 500.0, 5.0),
        ([5.0, 5.5, 5.9], 6.0, 5.0),
        ([5.0, 6.0, 7.0], 6.5, 6.0),
        ([0.0, 10.0, 20.0, 30.0, 31.0], 0.0, 0.0),
        ([0.0, 10.0, 20.0, 30.0, 31.1], 9.0, None),
        ([0.0, 1_000.0], 999.0, None),
    ],
)
def test_the_last_sample_before(times: list[float], at: float, expected: float | None) -> None:
    """Of those that are a second apart and half a minute old at most."""
    found = lately(*times).before(at)
    assert (found and found.at) == expected


def test_a_rest_that_was_not_watched_is_forgotten() -> None:
    """After that it begins anew."""
    found = lately(1.0, 2.0)
    found.clear()
    assert found.before(100.0) is None
    found.add(sample(2.1))
    assert found.before(100.0) == sample(2.1)


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0, 40))
def test_it_is_bounded_and_holds_against_the_whole_log(gaps_s: list[float], ago_s: float) -> None:
    """One sample a second; what is found is the last kept one, a second older at most than the last of all."""
    times, at = list[float](), 0.0
    for gap_s in gaps_s:
        at += gap_s
        times.append(at)
    some, moment = lately(*times), at - ago_s
    assert len(some._samples) <= 33
    found = some.before(moment)
    best = max((one for one in times if one <= moment), default=None)
    if found is not None:
        assert best is not None
        assert best - 1 < found.at <= best
    elif best is not None:
        assert best < at - 30

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.clock import Clock

WALL = 1_800_000_000.0


def test_without_a_refusal_the_machine_is_right() -> None:
    """Its own time is what is sent."""
    assert Clock().timestamp(WALL + 0.9) == int(WALL)


@given(st.floats(-1e9, 1e9).filter(lambda off: abs(off) >= 60))
def test_a_refused_timestamp_is_corrected_by_the_date(off: float) -> None:
    """Seconds, hours or years."""
    clock = Clock()
    assert clock.refused(WALL + off, WALL, 0.0) == pytest.approx(off)
    assert abs(clock.timestamp(WALL + 10) - (WALL + 10 + off)) <= 1


def test_refusals_of_what_was_sent_before_the_correction_tell_nothing() -> None:
    """Eight were under way: one correction."""
    clock = Clock()
    assert clock.refused(WALL + 3_600, WALL, 0.0) == 3_600
    assert clock.refused(WALL + 3_601, WALL + 1, 0.0) is None
    assert clock.skew_s == 3_600


def test_a_vain_correction_is_taken_back() -> None:
    """A `Date` that is wrong itself does not make a right clock wrong for good."""
    clock = Clock()
    clock.refused(WALL + 7_200, WALL, 0.0)
    assert clock.refused(WALL + 7_201, WALL + 1, 7_200.0) == 0.0
    assert clock.timestamp(WALL) == int(WALL)


def test_a_clock_that_drifts_is_corrected_again() -> None:
    """By the new difference."""
    clock = Clock()
    clock.refused(WALL + 3_600, WALL, 0.0)
    assert clock.refused(WALL + 7_200, WALL, 3_600.0) == 7_200


def test_without_a_date_nothing_is_known() -> None:
    """The clock stays as it was."""
    clock = Clock()
    assert clock.refused(None, WALL, 0.0) is None
    assert clock.skew_s == 0.0

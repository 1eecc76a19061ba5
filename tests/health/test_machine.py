import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import ExitCode
from harvester.health import Grade
from harvester.health.machine import clock, private, room, size

GIB = 2**30


@pytest.mark.parametrize(
    ("skew_s", "grade", "says"),
    [
        (0.4, Grade.OK, "less than 2 s off"),
        (-59.0, Grade.OK, "59 s off"),
        (61.0, Grade.WARNING, "61 s behind the API's"),
        (-299.0, Grade.WARNING, "299 s ahead of the API's"),
        (301.0, Grade.FAILURE, "301 s behind"),
        (-86_400.0, Grade.FAILURE, "86,400 s ahead of"),
    ],
)
def test_the_clock(skew_s: float, grade: Grade, says: str) -> None:
    """More than a minute off is worth a warning, more than five a failure: the API refuses such timestamps."""
    found = clock(skew_s)
    assert found.grade is grade
    assert says in found.what


@pytest.mark.parametrize(
    ("free", "nights", "grade"),
    [
        (10 * GIB, [], Grade.OK),
        (GIB // 2, [], Grade.WARNING),
        (GIB // 32, [], Grade.FAILURE),
        (10 * GIB, [GIB // 2, GIB // 2], Grade.OK),
        (10 * GIB, [GIB, GIB], Grade.WARNING),
        (10 * GIB, [6 * GIB], Grade.FAILURE),
        (10 * GIB, [0, 0, 0], Grade.OK),
    ],
)
def test_the_disk(free: int, nights: list[int], grade: Grade) -> None:
    """Free space is held against what the last days took, and against what any run needs."""
    found = room(free, nights, "/data")
    assert found.grade is grade
    assert "free on /data" in found.what
    if grade is Grade.FAILURE:
        assert found.exit_code is ExitCode.STORAGE


@given(st.integers(0, 2**60), st.lists(st.integers(0, 2**50), max_size=7))
def test_more_room_is_never_worse(free: int, nights: list[int]) -> None:
    """Twice the room is as good at least."""
    order = [Grade.FAILURE, Grade.WARNING, Grade.OK]
    assert order.index(room(2 * free, nights, "/").grade) >= order.index(room(free, nights, "/").grade)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (77 * GIB, "77 GiB")]
)
def test_sizes(number: int, text: str) -> None:
    """Bytes are said in the unit that a person would take."""
    assert size(number) == text


@pytest.mark.parametrize(
    ("mode", "group_too", "says"),
    [
        (0o600, True, None),
        (0o640, False, None),
        (0o640, True, "its group (mode 0640)"),
        (0o644, False, "everybody on this machine (mode 0644)"),
        (0o100777, True, "everybody on this machine (mode 0777)"),
    ],
)
def test_modes(mode: int, group_too: bool, says: str | None) -> None:
    """Who else may read a file is said with its mode."""
    found = private("token", mode, group_too=group_too)
    assert found == (says and f"token is open to {says}")

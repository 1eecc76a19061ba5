import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.tokens.life import Life
from harvester.api.tokens.pair import Pair
from harvester.api.tokens.words import WARN_S, at, note_of
from harvester.secret import Secret, masked
from tests.api.helpers import NOW_S

ACCESS, REFRESH = "fake-access-0123", "fake-refresh-0123"
SOON, LATE = NOW_S + WARN_S, NOW_S + WARN_S + 1
DIES = (
    "token agency: its refresh token dies at 2026-11-07 08:00: authorise the app again before, and put the new "
    "access_token and refresh_token into the config"
)
FAILS = "token agency could not be renewed: HTTP 502; it is used"


def life(refresh_until: float | None = None, access_until: float | None = None, **more: object) -> Life:
    """A token whose refresh token dies then."""
    pair = Pair(access=Secret(ACCESS), access_until=access_until, refresh=Secret(REFRESH), refresh_until=refresh_until)
    return Life(pair=pair, **more)  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (life(), None),
        (life(LATE), None),
        (life(SOON), DIES),
        (life(NOW_S - 1), DIES.replace("2026-11-07 08:00", "2026-10-31 07:59")),
        (life(SOON, dead="dead"), None),
        (life(failure="HTTP 502", dead="dead"), None),
        (
            life(failure="HTTP 502", renewable=True, equipped=True, access_until=NOW_S + 3600),
            f"{FAILS} until 2026-10-31 09:00, it is tried again",
        ),
        (life(failure="HTTP 502", renewable=True, equipped=True), f"{FAILS} until it dies, it is tried again"),
        (
            life(failure="HTTP 502", access_until=NOW_S + 3600),
            f"{FAILS} until 2026-10-31 09:00, authorise the app again",
        ),
        (life(SOON, failure="HTTP 502"), f"{FAILS} until it dies, authorise the app again"),
    ],
)
def test_notes(one: Life, expected: str | None) -> None:
    """What dies soon, and what fails; nothing of what is well, and of the dead nothing twice."""
    assert note_of("agency", one, NOW_S) == expected


@given(
    st.none() | st.floats(0, 4e9), st.none() | st.floats(0, 4e9), st.sampled_from(["", "HTTP 502"]), st.booleans(),
    st.floats(0, 4e9),
)  # fmt: skip
def test_any_note_is_a_line_without_a_secret(
    refresh_until: float | None, access_until: float | None, failure: str, renewable: bool, now: float
) -> None:
    """The net under the log has nothing to mask in it."""
    note = note_of("agency", life(refresh_until, access_until, failure=failure, renewable=renewable), now)
    assert note is None or (masked(note) == note and note.startswith("token agency") and "\n" not in note)
    if not failure:
        assert (note is not None) is (refresh_until is not None and refresh_until - now <= WARN_S)


def test_moments_are_beijings() -> None:
    """Whatever the machine's own zone."""
    assert at(0.0) == "1970-01-01 08:00"
    assert at(NOW_S) == "2026-10-31 08:00"

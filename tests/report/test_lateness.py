import pytest

from harvester.inspection import Arrival
from harvester.report.lateness import in_words, verdict


def arrivals(*new: int, calls: int = 1000) -> list[Arrival]:
    """What was new one day after, two days after, …."""
    return [Arrival(age=age, days=10, calls=calls, new=number) for age, number in enumerate(new, start=1)]


@pytest.mark.parametrize(
    ("new", "nights", "reread_days", "says"),
    [
        ((), 0, 7, "No day has been read again yet: nothing is known about late calls."),
        (
            (0, 0, 0), 14, 7,
            "No call came late: nothing new in 30 days of accounts that were read again up to 3 days later.",
        ),
        (
            (0,), 1, 7,
            ("No call came late: nothing new in 10 days of accounts that were read again up to 1 day later."
            " Little evidence: it is from 1 night."),
        ),
        (
            (5000, 3000, 1999, 0, 1, 0, 0), 14, 7,
            ("With reread_days = 7: 99.99 % of 10,000 late calls came within 3 days, the last after 5;"
            " nothing new was found 6 to 7 days later."),
        ),
        (
            (7, 0), 13, 2,
            ("With reread_days = 2: all 7 late calls came within 1 day; nothing new was found 2 days later."
            " Little evidence: it is from 13 nights."),
        ),
        (
            (50, 0, 50), 30, None,
            ("With reread_days = none: all 100 late calls came within 3 days; they still came after 3 days, the longest"
            " that was looked at: a larger reread_days may find more."),
        ),
        (
            (99, 1), 30, 2,
            ("With reread_days = 2: 99.00 % of 100 late calls came within 1 day, the last after 2; they still came"
            " after 2 days, the longest that was looked at: a larger reread_days may find more."),
        ),
        (
            (98, 2), 30, 2,
            ("With reread_days = 2: all 100 late calls came within 2 days; they still came after"
            " 2 days, the longest that was looked at: a larger reread_days may find more."),
        ),
    ],
)  # fmt: skip
def test_verdict(new: tuple[int, ...], nights: int, reread_days: int | None, says: str) -> None:
    """What the evidence supports is said, with what it does not reach, and when it is little."""
    assert verdict(arrivals(*new), nights, reread_days) == says


def test_table() -> None:
    """Each age with what it brought, as a share and summed up; shares are rounded down."""
    assert in_words([*arrivals(0, 2999, 1), Arrival(age=9, days=1, calls=0, new=0)], 20, 7)[:-1] == [
        "How late calls come:",
        "  days later  days read again  calls in them  new    of all calls  of late calls so far",
        "  1           10               1,000          0      0.00 %        0.00 %",
        "  2           10               1,000          2,999  299.90 %      99.96 %",
        "  3           10               1,000          1      0.10 %        100.00 %",
        "  9           1                0              0      -             100.00 %",
    ]


def test_no_call_came_late() -> None:
    """Where nothing came late there is no share to speak of."""
    assert in_words(arrivals(0), 20, 7)[2] == "  1           10               1,000          0    0.00 %        -"


def test_many_ages_fit_a_screen() -> None:
    """Fourteen ages are shown, later ones counted; the verdict is about all of them."""
    lines = in_words(arrivals(*[0] * 14, 1), 20, 7)
    assert lines[-2] == "  … and 1 more, later still: `--json` has them all"
    assert len(lines) == 1 + 1 + 14 + 2
    assert "came within 15 days" in lines[-1]
    assert len(in_words(arrivals(*[0] * 14), 20, 7)) == 1 + 1 + 14 + 1

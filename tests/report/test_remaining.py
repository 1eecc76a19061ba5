"""How long a run has still to go."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.report.position import coarse, left
from harvester.report.remaining import AppsWork, left_s
from tests.show.test_live import CALM

FRESH = AppsWork(expected=600.0, slices_left=100, spacing_s=0.1)


def test_by_the_quota() -> None:
    """At the beginning it is the plan, at the quota's pace."""
    assert left_s([FRESH]) == pytest.approx(60.0)


def test_by_the_pace() -> None:
    """A pace that is slower than the quota is believed; one that is about the quota's is the quota's."""
    assert replace(FRESH, pace_s=0.5).left_s == pytest.approx(300.0)
    assert replace(FRESH, pace_s=0.105).left_s == pytest.approx(60.0)
    assert replace(FRESH, pace_s=0.01).left_s == pytest.approx(60.0), "the quota is not outrun"
    assert replace(FRESH, spacing_s=None, pace_s=0.5).left_s == pytest.approx(300.0)


def test_what_is_unknown() -> None:
    """Without a quota nobody knows before there is a pace; nor while the API is down; one such app is enough."""
    assert left_s([replace(FRESH, spacing_s=None)]) is None
    assert left_s([FRESH, replace(FRESH, wait_s=None)]) is None
    assert replace(FRESH, sent=600, slices_left=0, wait_s=None).left_s == 0.0, "it is done"


def test_what_was_learned() -> None:
    """Slices that took twice what was expected make the others take twice as long; a few say nothing."""
    learned = replace(FRESH, settled=100.0, took=200.0, sent=200)
    assert learned.total == pytest.approx(1_200.0)
    assert learned.left_s == pytest.approx(100.0)
    assert replace(FRESH, settled=10.0, took=20.0, sent=20).total == pytest.approx(610.0)
    assert not learned.is_learned, "it is the small ones that end first"
    assert replace(learned, settled=300.0, took=600.0).is_learned


def test_a_slice_takes_a_request() -> None:
    """However much was sent in vain, each slice that has not ended needs one more."""
    assert replace(FRESH, sent=5_000).left_s == pytest.approx(10.0)


def test_waits_and_budgets() -> None:
    """A pause is added; apps work side by side; a budget ends it sooner."""
    slow = replace(FRESH, spacing_s=1.0, wait_s=30.0)
    assert left_s([FRESH, slow]) == pytest.approx(630.0)
    assert left_s([FRESH, slow], time_left_s=90.0) == 90.0
    assert left_s([FRESH], requests_left=300.0) == pytest.approx(30.0)
    assert left_s([FRESH], requests_left=-1.0, time_left_s=-5.0) == 0.0
    assert left_s([]) == 0.0


@given(st.floats(0, 1e6))
def test_no_finer_than_it_is_known(seconds: float) -> None:
    """Rounded up, by less than a minute beyond two, by ten beyond two hours."""
    units = {"s": 1, "min": 60, "h": 3600}
    words = coarse(seconds).split()
    told = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert (
        seconds
        <= told
        <= seconds + (600 if seconds >= 7200 else 60 if seconds >= 600 else 30 if seconds >= 120 else 10)
    )


@pytest.mark.parametrize(
    ("left_s", "at_least", "words"),
    [
        (None, False, "left: unknown"),
        (73.0, False, "about 1 min 20 s left"),
        (73.0, True, "at least 1 min 20 s left"),
        (2.0, False, "a few seconds left"),
        (2.0, True, "left: unknown"),
        (12_000.0, False, "about 3 h 20 min left"),
    ],
)
def test_words(left_s: float | None, at_least: bool, words: str) -> None:
    """What is not known is said to be not known."""
    assert left(replace(CALM, left_s=left_s, at_least=at_least)) == words

from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.foresight import EVEN_WEEK, Expected, Foresight, Reached, weekly
from harvester.model import ONE_DAY, AccountId, Window
from harvester.usage import Experience

approx = pytest.approx
MONDAY = date(2026, 3, 9)


def expect(
    foresight: Foresight, account: AccountId, days: list[int | None], reached: Reached | None = None
) -> Expected:
    """What a slice from a Monday on is expected to take, given the calls of its days."""
    window = Window(MONDAY, MONDAY + ONE_DAY * (len(days) - 1))
    counts = {day: calls for day, calls in zip(window, days, strict=True) if calls is not None}
    return foresight.expect(account, window, counts, reached)


ONE, TWO, NEW = AccountId(1), AccountId(2), AccountId(3)
KNOWN = {
    ONE: Experience(requests=22, least=20, calls_a_day=100.0),
    TWO: Experience(requests=18, least=20, calls_a_day=300.0),
}
experiences = st.builds(
    Experience,
    requests=st.integers(0, 1000),
    least=st.integers(0, 1000),
    calls_a_day=st.none() | st.floats(0, 1000),
)
counts = st.lists(st.none() | st.integers(0, 500), min_size=1, max_size=30)


def test_what_was_counted_is_rounded_up() -> None:
    """Days read before take the pages that their calls fill, times what this account takes more than that."""
    expected = expect(Foresight(KNOWN, 100), ONE, [101, 0, 100])
    assert expected.requests == approx(3 * 22 / 20)
    assert (expected.known_days, expected.own_days, expected.fleet_days, expected.blind_days) == (3, 0, 0, 0)


def test_what_was_never_read_is_taken_for_the_mean() -> None:
    """Days never read count as the account's mean, and its last page as half full, about."""
    expected = expect(Foresight(KNOWN, 100), TWO, [310, None, None])
    assert expected.requests == approx((9.1 + 0.5) * 18 / 20, rel=0.01)
    assert (expected.known_days, expected.own_days) == (1, 2)


def test_an_account_that_is_new_is_taken_for_the_others() -> None:
    """Of an account never read, days and ratio are those of all accounts together."""
    expected = expect(Foresight(KNOWN, 100), NEW, [None, None])
    assert expected.requests == 4.0 + 0.5, "anything from 0 to 8 pages"
    assert (expected.own_days, expected.fleet_days, expected.blind_days) == (0, 2, 0)


def test_nothing_is_known() -> None:
    """Of a ledger that knows nothing a request for the slice is expected, and it says that it is blind."""
    expected = expect(Foresight({}, 100), NEW, [None] * 7)
    assert (expected.requests, expected.blind_days) == (1.0, 7)


def test_a_slice_that_was_begun_takes_what_is_left_by_the_api_s_own_count() -> None:
    """The API said how many calls there are: what is read of them is not expected again, what it took is kept apart."""
    foresight = Foresight(KNOWN, 100)
    expected = expect(foresight, NEW, [None] * 7, Reached(calls=700, requests=8, total=1000))
    assert (expected.requests, expected.spent, expected.known_days, expected.blind_days) == (3.0, 8, 7, 0)
    without = expect(foresight, ONE, [None] * 7, Reached(calls=600, requests=7))
    assert without.requests == approx(1.5 * 22 / 20, rel=0.1)
    assert expect(foresight, ONE, [10], Reached(calls=600)).requests == approx(22 / 20)


def test_a_ratio_has_bounds() -> None:
    """One unlucky walk does not make an account expected to take hundreds of requests a page."""
    odd = {ONE: Experience(requests=900, least=1), TWO: Experience(requests=1, least=900)}
    foresight = Foresight(odd, 100)
    assert expect(foresight, ONE, [100]).requests == 20.0
    assert expect(foresight, TWO, [100]).requests == 0.5


@pytest.mark.parametrize("mean", [0.4, 3, 12, 40, 130, 900])
def test_sums_over_many_small_accounts_are_right(mean: float) -> None:
    """10,000 accounts that are taken for the same mean take, all together, what is expected of them, within 5 %."""
    chance, days, size = Random(20_000), 7, 100  # noqa: S311 - any will do
    calls = [sum(round(chance.uniform(0.5, 1.5) * mean) for _ in range(days)) for _ in range(10_000)]
    took = sum(max(1, -(-one // size)) for one in calls)
    known = Experience(requests=5, least=5, calls_a_day=mean)
    expected = expect(Foresight({ONE: known}, size), ONE, [None] * days)
    assert 10_000 * expected.requests == approx(took, rel=0.05)


@given(st.dictionaries(st.sampled_from([ONE, TWO, NEW]), experiences), counts, st.integers(1, 200))
def test_every_expectation_adds_up(experience: dict[AccountId, Experience], days: list[int | None], size: int) -> None:
    """Each day is known, or is taken for a mean, or nothing is known of it; a request is the least, times a ratio."""
    expected = expect(Foresight(experience, size), ONE, days)
    assert expected.known_days + expected.own_days + expected.fleet_days + expected.blind_days == len(days)
    assert 0.5 <= expected.requests < float("inf")
    more = expect(Foresight(experience, size), ONE, [*days, 1000])
    assert more.requests >= expected.requests


def test_a_sunday_is_not_a_monday() -> None:
    """Days never read are taken for the mean of their weekday, as far as the week is known."""
    week = weekly((MONDAY + ONE_DAY * day, 50 if day % 7 == 6 else 110) for day in range(21))
    assert week[0] == approx(110 / (710 / 7))
    assert week[6] == approx(50 / (710 / 7))
    foresight = Foresight({ONE: Experience(requests=1, least=1, calls_a_day=1000.0)}, 100, week)
    window = Window(MONDAY + ONE_DAY * 6, MONDAY + ONE_DAY * 6)
    assert foresight.expect(ONE, window, {}).requests == approx(10 * week[6] + 0.5, rel=0.02)


@given(st.lists(st.floats(0.2, 2), min_size=7, max_size=7), st.integers(0, 6), st.integers(1, 100))
def test_days_never_read_weigh_what_each_of_them_does(week: list[float], first: int, days: int) -> None:
    """Of a window that was never read as much is expected as of its days, one by one."""
    foresight = Foresight({ONE: Experience(calls_a_day=1.0)}, 1, week)
    start = MONDAY + ONE_DAY * first
    window = Window(start, start + ONE_DAY * (days - 1))
    assert foresight._weight(window, {}) == approx(sum(week[day.weekday()] for day in window))
    assert foresight._weight(window, {MONDAY - ONE_DAY: 9}) == approx(foresight._weight(window, {}))


def test_of_little_nothing_is_concluded() -> None:
    """A weekday without calls enough has the mean, and none is thought to be quite empty or overflowing."""
    assert weekly([]) == EVEN_WEEK
    assert weekly([(MONDAY, 0)]) == EVEN_WEEK
    days = [(MONDAY, 10_000), (MONDAY + ONE_DAY, 101), (MONDAY + ONE_DAY * 2, 99)]
    assert weekly(days) == (2.0, 0.2, 1.0, 1.0, 1.0, 1.0, 1.0)

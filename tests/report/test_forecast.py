from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from harvester.model import Account, AccountId, AppName, Slice, TokenName, Window
from harvester.report.forecast import Forecast, in_words

FIRST = date(2024, 2, 1)


def slice_of(number: int, days: int, app: str = "main") -> Slice:
    """An account's days."""
    account = Account(id=AccountId(number), token=TokenName("agency-a"), app=AppName(app))
    return Slice(account, Window(FIRST, FIRST + timedelta(days=days - 1)))


known_days = st.lists(st.none() | st.integers(0, 500), min_size=1, max_size=30)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["main", "other"]), known_days)), st.integers(1, 200))
def test_sums(slices: list[tuple[int, str, list[int | None]]], page_size: int) -> None:
    """Every slice costs a request at least, and enough for all calls that the last reading brought."""
    sums = Forecast()
    for number, app, known in slices:
        sums.add(slice_of(number, len(known), app), known, page_size)
    assert sum(sums.slices.values()) == len(slices)
    assert sums.days == sum(len(known) for *_, known in slices)
    assert sums.accounts == {number for number, *_ in slices}
    assert sums.unknown_days == sum(known.count(None) for *_, known in slices)
    for app in ("main", "other"):
        needed = [sum(calls or 0 for calls in known) for _, of, known in slices if of == app]
        assert sums.requests[AppName(app)] * page_size >= sum(needed)
        assert len(needed) <= sums.requests[AppName(app)] <= sum(1 + calls // page_size for calls in needed)
    assert in_words(sums, {})


def test_slices_that_go_on() -> None:
    """What a checkpoint holds is not expected again; the plan says how much that is."""
    sums = Forecast()
    sums.add(slice_of(1, 2), [1000, 500], 100, saved=1200)
    sums.add(slice_of(2, 1), [50], 100, saved=900)
    sums.add(slice_of(3, 1), [50], 100)
    assert sums.requests[AppName("main")] == 3 + 1 + 1
    assert "2 of the slices go on from a checkpoint: 2,100 calls are read already" in in_words(sums, {})


def test_words() -> None:
    """The plan in words: slices, requests, and how long the quota makes them last, by app."""
    sums = Forecast()
    for number in range(12):
        sums.add(slice_of(number, 2), [1500, None], 100)
    sums.add(slice_of(99, 30, "other"), [0] * 30, 100)
    assert in_words(sums, {AppName("main"): 0.06, AppName("other"): 0.0}).splitlines() == [
        "13 slices: 13 accounts, 54 days of accounts",
        "181 requests expected, and more for 12 days never read before",
        "  app main: 12 slices, 180 requests, 0:00:11 at the quota",
        "  app other: 1 slices, 1 requests, no quota is configured",
        *(f"  {number}  2024-02-01..2024-02-02" for number in range(10)),
        "  … and 3 more",
    ]


def test_words_of_a_small_plan() -> None:
    """A plan that fits is shown whole, without anything that is not known."""
    sums = Forecast()
    sums.add(slice_of(1, 1), [5], 100)
    assert in_words(sums, {AppName("main"): 0.06}).splitlines() == [
        "1 slices: 1 accounts, 1 days of accounts",
        "1 requests expected",
        "  app main: 1 slices, 1 requests, 0:00:01 at the quota",
        "  1  2024-02-01..2024-02-01",
    ]


def test_nothing_is_due() -> None:
    """An empty plan says that nothing is due."""
    assert in_words(Forecast(), {}) == "Nothing is due: every day of the window is complete."


def test_hundreds_of_apps_and_accounts_fit_a_screen() -> None:
    """However many slices there are, only the first few are shown."""
    sums = Forecast()
    for number in range(5000):
        sums.add(slice_of(number, 30), [None] * 30, 100)
    assert len(in_words(sums, {}).splitlines()) < 20
    assert len(sums.first) == 10

from datetime import date, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.foresight import Expected, Reached
from harvester.model import Account, AccountId, AppName, Slice, TokenName, Window
from harvester.report.forecast import Bounds, Forecast, Means

FIRST = date(2024, 2, 1)
MAIN, OTHER = AppName("main"), AppName("other")


def slice_of(number: int, days: int = 7, app: AppName = MAIN) -> Slice:
    """An account's days."""
    account = Account(id=AccountId(number), token=TokenName("agency-a"), app=app)
    return Slice(account, Window(FIRST, FIRST + timedelta(days=days - 1)))


def forecast_of(**costs: list[float]) -> Forecast:
    """A forecast of slices with these expected requests, by app."""
    forecast = Forecast()
    for app, ones in costs.items():
        for number, cost in enumerate(ones):
            forecast.add(slice_of(number, app=AppName(app)), Expected(requests=cost, known_days=7))
    return forecast


expecteds = st.builds(
    Expected,
    requests=st.floats(0.5, 100),
    known_days=st.integers(0, 30),
    own_days=st.integers(0, 30),
    fleet_days=st.integers(0, 30),
    blind_days=st.integers(0, 30),
)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from([MAIN, OTHER]), expecteds)))
def test_sums(slices: list[tuple[int, AppName, Expected]]) -> None:
    """Slices, requests and days are added up, by app where apps differ, and rounded nowhere."""
    forecast = Forecast()
    for number, app, expected in slices:
        forecast.add(slice_of(number, app=app), expected)
    assert forecast.slices == len(slices)
    assert forecast.days == 7 * len(slices)
    assert forecast.accounts == {number for number, *_ in slices}
    assert forecast.strangers == {number for number, _, one in slices if one.fleet_days or one.blind_days}
    for name in ("known_days", "own_days", "fleet_days", "blind_days"):
        assert getattr(forecast, name) == sum(getattr(one, name) for *_, one in slices)
    for app in (MAIN, OTHER):
        assert forecast.requests(app) == pytest.approx(sum(one.requests for _, of, one in slices if of == app))


def test_slices_that_go_on() -> None:
    """What a checkpoint holds is counted apart."""
    forecast = Forecast()
    forecast.add(slice_of(1), Expected(requests=3.0), Reached(calls=1200, requests=12, total=1500))
    forecast.add(slice_of(2), Expected(requests=1.0), Reached(calls=0))
    forecast.add(slice_of(3), Expected(requests=1.0))
    assert (forecast.resumed, forecast.saved) == (2, 1200)


@pytest.mark.parametrize(
    ("bounds", "reached"),
    [
        (Bounds(), 4),
        (Bounds(max_requests=100), 4),
        (Bounds(max_requests=10), 4),
        (Bounds(max_requests=9), 3),
        (Bounds(max_requests=1), 1),
        (Bounds(max_requests=6, workers=2), 3),
        (Bounds(max_requests=6, workers=100), 2),  # all are open, and take turns
        (Bounds(max_requests=6, workers=100, apps={MAIN: Means(spacing_s=0.01)}), 2),
        (Bounds(max_requests=6, workers=100, apps={MAIN: Means(spacing_s=1.0)}), 3),  # what is begun is ended first
        (Bounds(max_duration_s=6.5, apps={MAIN: Means(spacing_s=1.0)}), 3),
        (Bounds(max_duration_s=6.5), 4),  # nobody knows how fast it may be
        (Bounds(apps={MAIN: Means(per_day=9)}), 3),
        (Bounds(apps={MAIN: Means(per_day=9, used=8)}), 1),
        (Bounds(apps={MAIN: Means(per_day=9, used=10)}), 0),
        (Bounds(max_requests=6, max_duration_s=3, apps={MAIN: Means(spacing_s=1.0, per_day=100)}), 1),
    ],
)
def test_how_far_a_budget_goes(bounds: Bounds, reached: int) -> None:
    """Whatever ends the run first, the slices before it are finished, those open then are not."""
    assert forecast_of(main=[1.0, 3.0, 1.0, 5.0]).reached(bounds) == reached


def test_apps_share_the_run_s_budget() -> None:
    """Apps work side by side, each as fast as its quota lets it, until the budget of the whole run is used up."""
    forecast = forecast_of(main=[1.0] * 100, other=[1.0] * 100)
    apps = {MAIN: Means(spacing_s=1.0), OTHER: Means(spacing_s=3.0)}
    assert forecast.reached(Bounds(max_requests=40, apps=apps)) == 30 + 10
    assert forecast.reached(Bounds(max_requests=150, apps=apps)) == 100 + 50
    assert forecast.reached(Bounds(max_requests=50, apps={MAIN: Means(spacing_s=1.0)})) == 50
    assert forecast.reached(Bounds(max_requests=50, apps=apps | {OTHER: Means(spacing_s=3.0, per_day=3)})) == 47 + 3


@given(
    st.lists(st.floats(0.5, 50), max_size=30),
    st.lists(st.floats(0.5, 50), max_size=30),
    st.integers(1, 1000),
    st.integers(1, 40),
)
def test_no_budget_goes_further_than_all_or_than_it_is(
    main: list[float], other: list[float], budget: int, workers: int
) -> None:
    """The cheapest slices that a budget can finish are an upper bound; a budget for all of them finishes all."""
    forecast = forecast_of(main=main, other=other)
    reached = forecast.reached(Bounds(max_requests=budget, workers=workers))
    paid, most = 0.0, 0
    for cost in sorted(main + other):
        paid += cost
        most += paid <= budget + 0.01
    assert reached <= most
    assert forecast.reached(Bounds(max_requests=10_000, workers=workers)) == forecast.slices
    assert forecast.reached(Bounds(max_duration_s=inf, workers=workers)) == forecast.slices

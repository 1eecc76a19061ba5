from harvester.foresight import Expected, Reached
from harvester.model import AppName
from harvester.report.forecast import Bounds, Forecast, Means
from harvester.report.outlook import in_words
from tests.report.test_forecast import MAIN, OTHER, forecast_of, slice_of

MINUTE = Means(spacing_s=0.0606)


def test_words() -> None:
    """Slices, requests, how long, how sure, and all of that by app; the first slices, and how many more."""
    forecast = Forecast()
    for number in range(12):
        forecast.add(slice_of(number), Expected(requests=15.3, known_days=6, own_days=1))
    forecast.add(slice_of(99, 30, OTHER), Expected(requests=4.4, fleet_days=30))
    bounds = Bounds(apps={MAIN: MINUTE, OTHER: Means(spacing_s=1.0, learned=True)})
    guessed = "12 by their account's mean and 30 of 1 account never read by the mean of all accounts"
    assert in_words(forecast, bounds).splitlines() == [
        "13 slices: 13 accounts, 114 days of accounts",
        "about 188 requests expected (188 to 194), 0:00:12 at the quota",
        f"  72 of 114 days were read before; the others are estimated, {guessed}",
        "  app main: 12 slices, 184 requests, 0:00:12 at the quota",
        "  app other: 1 slice, 4 requests, 0:00:05 at the API's own figures",
        "In this order, the latest days first:",
        *(f"  {number}  2024-02-01..2024-02-07" for number in range(10)),
        "  … and 3 more",
    ]


def test_words_of_a_small_plan() -> None:
    """A plan that fits is shown whole, without anything that is not known."""
    assert in_words(forecast_of(main=[1.0]), Bounds(apps={MAIN: MINUTE})).splitlines() == [
        "1 slice: 1 account, 7 days of accounts",
        "about 1 request expected (1 to 2), 0:00:01 at the quota",
        "  every day's calls are known from when it was read before",
        "  app main: 1 slice, 1 request, 0:00:01 at the quota",
        "In this order, the latest days first:",
        "  0  2024-02-01..2024-02-07",
    ]


def test_words_when_nothing_is_known() -> None:
    """On the first night it is a request for each slice at least, and it says why."""
    forecast = Forecast()
    for number in range(3):
        forecast.add(slice_of(number), Expected(requests=1.0, blind_days=7))
    text = in_words(forecast, Bounds(apps={MAIN: MINUTE}, max_requests=50))
    assert "\nat least 3 requests expected, at least 0:00:01 at the quota\n" in text
    assert "no day was read before; nothing is known of 3 accounts, so that is a request for each slice" in text
    assert "\nwhether --max-requests 50 will be enough is not known\n" in text


def test_words_without_a_quota() -> None:
    """Where no quota is known the time is not known, and that is said."""
    nobody = in_words(forecast_of(main=[5.0]), Bounds())
    assert (
        "about 5 requests expected (5 to 6), the time is not known: no quota is configured, and none was learned"
        in nobody
    )
    one = in_words(forecast_of(main=[50.0], other=[5.0]), Bounds(apps={MAIN: MINUTE}))
    assert "about 55 requests expected (55 to 57), at least 0:00:04: of 1 app no quota is known" in one


def test_words_about_a_budget() -> None:
    """How far the budget of tonight goes, or that it should be enough."""
    forecast = forecast_of(main=[2.0] * 100)
    forecast.thrifty = True
    text = in_words(forecast, Bounds(apps={MAIN: MINUTE}, max_requests=50, max_duration_s=14400))
    ends = "--max-requests 50 or --max-duration 4:00:00"
    assert f"\nabout 25 of 100 slices before {ends} ends it; the next run goes on from there\n" in text
    assert "\nIn this order, the oldest and smallest debts first:\n" in text
    enough = in_words(forecast, Bounds(apps={MAIN: MINUTE}, max_requests=500))
    assert "\n--max-requests 500 should be enough\n" in enough


def test_words_about_a_day_s_quota_that_does_not_suffice() -> None:
    """How many nights it takes, and what of the day is used already."""
    forecast = forecast_of(main=[310.0] * 100)
    text = in_words(forecast, Bounds(apps={MAIN: Means(spacing_s=0.0606, per_day=20_000)}))
    assert "\n      needs 31,000 requests, 20,000 a day: 2 nights\n" in text
    assert "\nabout 64 of 100 slices before requests_per_day ends it" in text
    used = in_words(forecast, Bounds(apps={MAIN: Means(per_day=20_000, used=19_000)}))
    assert "needs 31,000 requests, 20,000 a day, 19,000 of today's are used: 3 nights" in used
    full = in_words(forecast, Bounds(apps={MAIN: Means(per_day=20_000, used=20_000)}))
    assert "needs 31,000 requests, 20,000 a day, 20,000 of today's are used: 3 nights" in full
    enough = in_words(forecast, Bounds(apps={MAIN: Means(per_day=31_000)}))
    assert "nights" not in enough


def test_words_about_what_was_begun() -> None:
    """Slices that go on come first, and what is read of them is said."""
    forecast = Forecast(thrifty=True)
    forecast.add(slice_of(1), Expected(requests=3.0, known_days=7), Reached(calls=1200))
    text = in_words(forecast, Bounds())
    assert "\n  1 of the slices go on from a checkpoint: 1,200 calls are read already\n" in text
    assert "\nIn this order, after what was begun the oldest and smallest debts first:\n" in text


def test_nothing_is_due() -> None:
    """An empty plan says that nothing is due."""
    assert in_words(Forecast(), Bounds(max_requests=5)) == "Nothing is due: every day of the window is complete."


def test_hundreds_of_apps_and_accounts_fit_a_screen() -> None:
    """However many slices and apps there are, only the first few are shown."""
    forecast = Forecast()
    for number in range(5000):
        forecast.add(slice_of(number, 30, AppName(f"app{number % 200}")), Expected(requests=1.0, blind_days=30))
    lines = in_words(forecast, Bounds(max_requests=100, max_duration_s=60)).splitlines()
    assert len(lines) < 30
    assert "  … and 192 more apps" in lines
    assert lines[-1] == "  … and 4,990 more"


def test_words_without_all_accounts() -> None:
    """Sums over some of the accounts are not told as if they were over all."""
    first = "the accounts of discover.x, discover.y are not known yet: they are not in these sums"
    unknown = ("discover.x", "discover.y")
    text = in_words(forecast_of(main=[1.0]), Bounds(apps={MAIN: MINUTE}), unknown)
    assert text.splitlines()[:2] == [first, "1 slice: 1 account, 7 days of accounts"]
    assert in_words(Forecast(), Bounds(), unknown).splitlines() == [
        first,
        "Of the accounts that are known nothing is due.",
    ]

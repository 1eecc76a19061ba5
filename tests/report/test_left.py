from datetime import date

from harvester.foresight import Expected
from harvester.model import Account, AccountId, AppName, Slice, TokenName, Window
from harvester.report.left import Left, in_words, left_of, to_json

WEEK = Window(date(2026, 11, 16), date(2026, 11, 22))


def slice_of(number: int, app: str = "main") -> Slice:
    """An account's week."""
    account = Account(id=AccountId(number), token=TokenName("agency-a"), app=AppName(app), name=f"name {number}")
    return Slice(account, WEEK)


def test_what_is_left_is_counted_and_named() -> None:
    """All slices are counted by app, the first thousand are named, what was begun first."""
    slices = [slice_of(number, "main" if number % 3 else "other") for number in range(3000)]
    left = left_of(((one, Expected(requests=0.6)) for one in slices), begun=8)
    assert (left.total, left.begun, left.slices) == (3000, 8, {"other": 1000, "main": 2000})
    assert round(left.requests) == 1800, "sums are rounded once"
    assert [one.account_id for one in left.named] == list(range(1000))
    values = to_json(left)
    assert values["left"][7] == {"account_id": 7, "account_name": "name 7", "window": "2026-11-16..2026-11-22"}
    assert (len(values["left"]), values["left_slices"]) == (1000, 3000)
    assert values["left_by_app"] == {"main": 2000, "other": 1000}
    assert values["left_requests"] == 1800


def test_what_nobody_asked_about_is_taken_for_the_mean() -> None:
    """Of what is left of a very long plan only the beginning is looked at."""
    expected = [Expected(requests=2.0), Expected(requests=4.0), None, None]
    left = left_of(((slice_of(number), one) for number, one in enumerate(expected)), begun=0)
    assert (left.requests, left.at_least) == (12.0, False)
    assert left_of([(slice_of(1), None)], begun=0).requests == 0.0


def test_words() -> None:
    """How much is left, the first of it by name, and by app when there are several."""
    left = left_of(((slice_of(number), Expected(requests=1.5)) for number in range(2000)), begun=5)
    week = "2026-11-16..2026-11-22"
    assert in_words(left) == [
        "  left: 2,000 slices (5 were open), about 3,000 requests; the next run goes on with them",
        f"      0 {week}, 1 {week}, 2 {week} and 1,997 more",
    ]
    apps = left_of(((slice_of(n, f"app{n % 2}"), Expected(requests=1.0, blind_days=7)) for n in range(3)), begun=0)
    assert in_words(apps) == [
        "  left: 3 slices, at least 3 requests; the next run goes on with them",
        f"      0 {week}, 1 {week}, 2 {week}",
        "      app app0: 2, app app1: 1",
    ]
    assert in_words(Left()) == []


def test_hundreds_of_apps_fit_a_line() -> None:
    """Only the apps with the most to do are named."""
    left = left_of(((slice_of(n, f"app{n % 300}"), Expected(requests=1.0)) for n in range(900)), begun=0)
    assert max(map(len, in_words(left))) < 160
    assert in_words(left)[-1].endswith(" and 292 more apps")

"""What of thousands is shown, and in which words."""

from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.harvest.assignment import Assignment
from harvester.harvest.inspect import status
from harvester.landing.ledger import Known, Ledger
from harvester.landing.publication import DayChange
from harvester.model import BEIJING, ONE_DAY, AccountId, AppName, Window
from harvester.page.gather import Wishes, gather
from harvester.page.plots.canvas import cut
from harvester.page.plots.days import level
from harvester.page.sections import verdict
from harvester.page.selecting import bands_of, binned, clock, marks_by_day, paused_s, sendings
from harvester.page.values import AccountDays, Findings, Mark, Traffic
from harvester.page.words import gaps, lasting, moment, percent
from harvester.usage import Pause
from tests.flows import NOW_S, TODAY, assign, last_days, sandbox, window_of
from tests.landing.helpers import ACCOUNT
from tests.landing.test_ledger import published
from tests.page.ground import WORLD, page_of

WINDOW = Window(date(2026, 3, 1), date(2026, 3, 4))
MADE = datetime(2026, 3, 5, tzinfo=BEIJING)
MINUTE = int(MADE.timestamp()) // 60
MAIN, OTHER = AppName("main"), AppName("other")


def account(number: int, marks: bytes) -> AccountDays:
    """An account whose days stand so."""
    return AccountDays(account_id=AccountId(number), marks=marks)


def found(*accounts: AccountDays, traffic: tuple[Traffic, ...] = ()) -> Findings:
    """What was found of these."""
    return Findings(made_at=MADE, window=WINDOW, accounts=accounts, traffic=traffic)


@given(st.lists(st.binary(min_size=4, max_size=4).map(lambda raw: bytes(one % len(Mark) for one in raw)), max_size=90))
def test_bands_hold_every_account_once(days: list[bytes]) -> None:
    """At most 30 of accounts that lack something, and one of the others; in order, and nobody is lost."""
    accounts = [account(number, marks) for number, marks in enumerate(days, 1)]
    accounts.sort(key=lambda one: -one.lacking)
    bands = bands_of(found(*accounts))
    assert len(bands) <= 31
    assert sum(one.accounts for one in bands) == len(accounts)
    assert [one.first for one in bands] == [1 + sum(one.accounts for one in bands[:n]) for n in range(len(bands))]
    for place, (_, marks) in enumerate(marks_by_day(found(*accounts))):
        lack = marks.total() - marks[Mark.COMPLETE] - marks[Mark.BEFORE]
        assert sum(one.lacking[place] for one in bands) == lack
    whole = [one for one in bands if set(one.lacking) == {0}]
    assert sum(one.accounts for one in whole) == sum(not one.lacking for one in accounts)
    assert len(whole) <= 1


@pytest.mark.parametrize(
    ("lacking", "expected"), [(0, 0), (1, 1), (19, 1), (20, 2), (59, 2), (60, 3), (99, 3), (100, 4)]
)
def test_levels(lacking: int, expected: int) -> None:
    """As the legend says: none, under 20 %, to 60 %, to 100 %, all."""
    assert level(lacking, 100) == expected


def test_times_of_sending() -> None:
    """An hour without a request parts them; apps that sent nothing in one are not of it."""
    main = Traffic(app=MAIN, by_minute={MINUTE: 5, MINUTE + 60: 6, MINUTE + 121: 7})
    other = Traffic(app=OTHER, by_minute={MINUTE + 122: 1})
    first, second = sendings(found(traffic=(main, other)))
    assert (first.first - MINUTE, first.last - MINUTE, first.by_app) == (0, 60, {MAIN: {MINUTE: 5, MINUTE + 60: 6}})
    assert (second.first - MINUTE, second.last - MINUTE) == (121, 122)
    assert second.by_app == {MAIN: {MINUTE + 121: 7}, OTHER: {MINUTE + 122: 1}}
    pauses = [
        Pause(app=MAIN, since=60.0 * (MINUTE + at), until=60.0 * (MINUTE + at + 2), why="w") for at in (-2, -1, 60, 61)
    ]
    assert first.pauses(pauses) == pauses[1:3]


@given(st.dictionaries(st.integers(0, 1500), st.integers(1, 1000), min_size=1))
def test_bars_hold_every_request(by_minute: dict[int, int]) -> None:
    """At most 240, each of as many minutes but for the last; their means give back the sum, none exceeds the peak."""
    by_minute = {MINUTE + at: number for at, number in by_minute.items()}
    one = sendings(found(traffic=(Traffic(app=MAIN, by_minute=by_minute),)))[-1]
    sent = one.by_app[MAIN]
    size, means = binned(one, sent)
    assert len(means) <= 240
    minutes = one.last - one.first + 1
    lengths = [min(size, minutes - place * size) for place in range(len(means))]
    assert sum(lengths) == minutes
    assert sum(mean * length for mean, length in zip(means, lengths, strict=True)) == pytest.approx(sum(sent.values()))
    assert max(means) <= max(sent.values())


def test_overlapping_pauses_count_once() -> None:
    """An app's own, and those of all apps."""
    spans = [(MAIN, 0, 60), (None, 30, 90), (OTHER, 0, 500), (MAIN, 40, 50), (MAIN, 100, 101)]
    pauses = [Pause(app=app, since=since, until=until, why="w") for app, since, until in spans]
    assert paused_s(pauses, MAIN) == 91
    assert paused_s([], MAIN) == 0


def test_words() -> None:
    """Times in Beijing, durations, shares rounded down, gaps as runs, and names that are cut by their width."""
    assert (moment(0), moment(MADE), clock(0), clock(960)) == ("1970-01-01 08:00", "2026-03-05 00:00", "08:00", "00:00")
    assert [lasting(one) for one in (0.4, 59.4, 59.6, 3599, 3600, 90_061)] == [
        "0 s", "59 s", "1:00 min", "59:59 min", "1:00 h", "25:01 h",
    ]  # fmt: skip
    assert [percent(one, 1000) for one in (0, 1, 999, 1000)] == ["0.0 %", "0.1 %", "99.9 %", "100.0 %"]
    assert percent(9999, 10000) == "99.9 %"
    assert percent(0, 0) == "-"
    days = list(WINDOW)
    marks = bytes([Mark.SHORT, Mark.SHORT, Mark.COMPLETE, Mark.UNREAD])
    assert list(gaps(days, marks)) == [(Mark.SHORT, days[0], days[1]), (Mark.UNREAD, days[3], days[3])]
    assert (cut("abcdef", 6), cut("abcdefg", 6), cut("客户客户", 6), cut("客户", 4)) == (
        "abcdef",
        "abcde…",
        "客户…",
        "客户",
    )


@pytest.mark.anyio
async def test_how_days_stand(tmp_path: Path) -> None:
    """Proven, short, read too early, to be read again, or unknown: each by what the ledger holds."""
    async with sandbox(WORLD) as served:
        assignment: Assignment = assign(served, tmp_path)
    one, two, *_ = WORLD.account_ids
    yesterday = TODAY - ONE_DAY
    days = {yesterday: Known(5, complete=True), yesterday - ONE_DAY: Known(6, complete=False)}
    with Ledger.open(tmp_path / ".harvester") as ledger:
        ledger.take_over(one, days)
        ledger.queue(one, [yesterday - ONE_DAY * 2])
        early = DayChange(day=yesterday, path="p", complete=False, calls=3, in_file=3, new=3, changed=0, missing=0)
        publication = published(read_on=yesterday, days=(early,))
        ledger.commit(publication, MADE)
        with ledger._transaction() as db:
            db.execute("UPDATE OR REPLACE days SET account_id = ?, seal = seal + ? WHERE account_id = ?",
                       (two, (two - ACCOUNT.id) * 31, ACCOUNT.id))  # fmt: skip
    told = gather(assignment, Wishes(start_is_chosen=True, call_days=None), NOW_S)
    marks = {account.account_id: account.marks for account in told.accounts}
    assert told.window == last_days(7)
    assert marks[one] == bytes([0, 0, 0, 0, Mark.QUEUED, Mark.SHORT, Mark.COMPLETE])
    assert marks[two] == bytes([0, 0, 0, 0, 0, 0, Mark.EARLY])
    assert [account.lacking for account in told.accounts] == [7, 7, 7, 7, 6]
    assert Counter(account.calls for account in told.accounts) == Counter([11, 3, 0, 0, 0])


@pytest.mark.anyio
async def test_an_account_that_came_later(tmp_path: Path) -> None:
    """Days before the config's window are due from an account's first known day on, as `status` has it."""
    async with sandbox(WORLD) as served:
        assignment = window_of(assign(served, tmp_path), 2)
    one, two, *rest = WORLD.account_ids
    with Ledger.open(tmp_path / ".harvester") as ledger:
        for account_id, since in ((one, 5), *((other, 2) for other in (two, *rest))):
            ledger.take_over(
                account_id, {TODAY - ONE_DAY * ago: Known(1, complete=True) for ago in range(1, since + 1)}
            )
    told = gather(assignment, Wishes(call_days=None), NOW_S)
    marks = {account.account_id: account.marks for account in told.accounts}
    assert told.window == last_days(5)
    assert marks[one] == bytes([Mark.COMPLETE] * 5)
    assert marks[two] == bytes([Mark.BEFORE] * 3 + [Mark.COMPLETE] * 2)
    assert (told.complete, told.since) == (True, TODAY - ONE_DAY * 2)
    assert status(assignment).complete
    assert verdict(told) == f"COMPLETE through {TODAY - ONE_DAY}: 5 accounts, every day since {TODAY - ONE_DAY * 2}"
    page = page_of(assignment, call_days=None, start_is_chosen=False)
    assert set(page.tables["days-table"].column("share complete").values()) == {"100.0 %"}
    assert "100.0 % of all days of accounts are complete" in page.pictures["days"]["desc"]
    chosen = gather(window_of(assignment, 5), Wishes(start_is_chosen=True, call_days=None), NOW_S)
    assert (chosen.complete, chosen.incomplete) == (False, 4)

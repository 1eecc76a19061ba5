"""Runs that a budget ends: in which order debts are paid, what is said of the rest, and how well it was predicted."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

import orjson
import pytest

from harvester.api.quota import Limits
from harvester.errors import ExitCode
from harvester.harvest import planning
from harvester.harvest.assignment import Assignment
from harvester.harvest.planning import Planning
from harvester.harvest.preview import forecast
from harvester.landing.ledger import Known, Ledger
from harvester.model import ONE_DAY, AccountId, AppName, Status, Window
from harvester.plan import SLICE_DAYS
from harvester.report.summary import Report, in_words
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.flows import APP, NOW_S, TODAY, TOKEN, assign, differences, run, sandbox

pytestmark = pytest.mark.anyio
SMALL = World(accounts=12, calls_per_day=20, today=TODAY)
FLEET = World(accounts=60, calls_per_day=30, today=TODAY)
QUOTA = {APP: Limits(per_minute=1000)}


async def night(folder: Path, world: World, today: date = TODAY, switches: Switches | None = None) -> Report:
    """One run without a budget, over the seven days before a day."""
    return await run_again(await assigned(folder, world, today), world, switches)


async def assigned(folder: Path, world: World, today: date = TODAY, days: int = 7, **changes: object) -> Assignment:
    """A run over the days before a day."""
    async with sandbox(world) as served:
        assignment = assign(served, folder)
    window = Window(today - ONE_DAY * days, today - ONE_DAY)
    scope = replace(assignment.scope, window=window, today=today)
    return replace(assignment, **{"scope": scope, "limits": QUOTA, "in_flight": 4, **changes})  # type: ignore[arg-type]


async def run_again(assignment: Assignment, world: World, switches: Switches | None = None) -> Report:
    """One run of it, against a sandbox of its own."""
    async with sandbox(world, switches) as served:
        return await run(replace(assignment, base_url=served.base_url))


def lacking(assignment: Assignment) -> dict[AccountId, set[date]]:
    """The days of each account that are not complete."""
    window, ids = assignment.scope.window, [account.id for account in assignment.accounts]
    with Ledger.open(assignment.state_dir) as ledger:
        complete = ledger.complete_days(window, ids)
    return {one: set(window) - complete.get(one, set()) for one in ids}


def said(text: str, pattern: str) -> tuple[int, ...]:
    """The numbers that a text says."""
    found = re.search(pattern, text, re.MULTILINE)
    assert found, text
    return tuple(int(number.replace(",", "")) for number in found.groups())


async def test_debts_shrink_oldest_first_until_all_is_complete(tmp_path: Path) -> None:
    """Night after night on a small budget: no younger 30 days begin before the oldest of every account are read."""
    assignment = await assigned(tmp_path, SMALL, days=45, max_requests=60)
    assignment = replace(assignment, scope=replace(assignment.scope, reread_days=None))
    oldest = list(assignment.scope.window.split(SLICE_DAYS))[-1]
    owed, nights = sum(map(len, lacking(assignment).values())), 0
    while (report := await run_again(assignment, SMALL)).exit_code is not ExitCode.COMPLETE:
        nights += 1
        assert report.exit_code is ExitCode.BUDGET
        assert sum(report.requests.values()) == 60
        assert report.left.total == len(report.troubles) + report.not_begun > 0
        assert report.left.begun == len(report.troubles) <= 4
        debts = lacking(assignment)
        if any(any(day > oldest.end for day in assignment.scope.window if day not in days) for days in debts.values()):
            old = [one for one, days in debts.items() if min(days, default=TODAY) <= oldest.end]
            assert len(old) <= 4, "of the oldest days only what was open when the budget ended may be left"
        assert sum(map(len, debts.values())) <= owed
        owed = sum(map(len, debts.values()))
    assert nights >= 3
    assert differences(assignment, SMALL) == {}


async def test_who_failed_for_nights_comes_first_and_nobody_starves(tmp_path: Path) -> None:
    """Accounts that could not be read for two nights are read first when they can, and a tight budget serves all."""
    dead = SMALL.account_ids[3], SMALL.account_ids[7]
    days = [TODAY - ONE_DAY * later for later in range(9, -1, -1)]
    for today in days[:2]:
        report = await night(tmp_path, SMALL, today, Switches(account_codes=dict.fromkeys(dead, 12201)))
        assert (report.exit_code, report.slices[Status.SKIPPED]) == (ExitCode.PARTIAL, 2)
    waited: dict[AccountId, int] = {}
    for today in days[2:]:
        assignment = await assigned(tmp_path, SMALL, today, max_requests=28)
        report = await run_again(assignment, SMALL)
        assert report.exit_code is ExitCode.BUDGET
        assert f"  left: {report.left.total} slice" in in_words(report)
        left = lacking(assignment)
        if today == days[2]:
            assert [one for one in dead if left[one]] == [], "theirs were the oldest debts"
        waited = {one: waited.get(one, 0) + 1 if owed else 0 for one, owed in left.items()}
        assert max(waited.values()) <= 4, "the longer an account waits, the sooner it is its turn"
        assert max(map(len, left.values())) <= 5, "no day leaves the window unread"
    last = await night(tmp_path, SMALL)
    assert last.exit_code is ExitCode.COMPLETE
    assert differences(await assigned(tmp_path, SMALL), SMALL) == {}


async def test_what_is_only_read_again_comes_last(tmp_path: Path) -> None:
    """A budget that is enough for the debts pays all of them before any young day is read a second time."""
    await night(tmp_path, SMALL)
    debtors = SMALL.account_ids[-2:]
    with Ledger.open(tmp_path / ".harvester") as ledger:
        for one in debtors:
            ledger.queue(one, [TODAY - ONE_DAY * 3])
    report = await run_again(await assigned(tmp_path, SMALL, max_requests=12, in_flight=1), SMALL)
    assert report.exit_code is ExitCode.BUDGET
    assert not {one.account_id for one in report.left.named} & set(debtors)
    assert report.slices[Status.COMPLETE] >= 2


async def test_the_second_night_is_predicted(tmp_path: Path) -> None:
    """From what one night learned of each account, the requests of the next are known within a few percent."""
    first = await night(tmp_path, FLEET, TODAY - ONE_DAY)
    assert (first.predicted, first.walked) == (0.0, 0), "nothing was known"
    assert "predicted" not in in_words(first)
    assignment = await assigned(tmp_path, FLEET)
    [requests] = said(
        forecast(assignment, NOW_S), r"^about ([\d,]+) requests expected \([\d,]+ to [\d,]+\), 0:00:1\d at the quota$"
    )
    report = await run_again(assignment, FLEET)
    assert report.walked == sum(report.requests.values())
    assert report.predicted == pytest.approx(report.walked, rel=0.03)
    assert requests == round(report.predicted)
    [predicted, took] = said(in_words(report), r"^  predicted ([\d,]+) requests, took ([\d,]+) \([+-]\d\.\d %\)")
    assert (predicted, took) == (requests, report.walked)
    saved = orjson.loads((tmp_path / "runs" / f"{report.run_id}.json").read_bytes())
    assert (saved["predicted"], saved["walked"], saved["left"]) == (predicted, took, [])


async def test_what_is_left_was_predicted(tmp_path: Path) -> None:
    """What a run says that is left is what the next one takes, slices that go on included, within some percent."""
    await night(tmp_path, FLEET, TODAY - ONE_DAY)
    assignment = await assigned(tmp_path, FLEET, max_requests=150)
    reached, slices = said(
        forecast(assignment, NOW_S), r"^about (\d+) of (\d+) slices before --max-requests 150 ends it"
    )
    first = await run_again(assignment, FLEET)
    assert first.exit_code is ExitCode.BUDGET
    assert abs(first.slices[Status.COMPLETE] - reached) <= 4
    assert slices == first.slices[Status.COMPLETE] + first.left.total
    assert first.left.begun > 0
    second = await run_again(replace(assignment, max_requests=None), FLEET)
    assert second.exit_code is ExitCode.COMPLETE
    assert second.resumed > 0
    assert first.left.requests == pytest.approx(sum(second.requests.values()), rel=0.08)
    assert second.predicted == pytest.approx(second.walked, rel=0.08), "of tonight, not of the nights before"


async def test_a_day_s_quota_that_does_not_suffice_is_announced(tmp_path: Path) -> None:
    """The plan says how many nights it takes, counts what is used of the day, and puts debts first."""
    first = await night(tmp_path, FLEET, TODAY - ONE_DAY)
    sent = sum(first.requests.values())
    assignment = await assigned(tmp_path, FLEET, limits={APP: Limits(per_day=200)})
    text = forecast(assignment, NOW_S + 86_400 * 3)
    [needed, nights] = said(text, r"^      needs (\d+) requests, 200 a day: (\d) nights$")
    assert nights == -(-needed // 200) == 2
    assert f"200 a day, {sent} of today's are used: 3 nights" in forecast(assignment, NOW_S + 3600)
    assert "the time is not known: no quota is configured, and none was learned" in text
    assert re.search(r"^about \d+ of 60 slices before requests_per_day ends it", text, re.MULTILINE)
    assert "\nIn this order, the oldest and smallest debts first:\n" in text


async def test_each_app_s_rest_is_told(tmp_path: Path) -> None:
    """With several apps the summary says how much each of them has left; a budget of requests is shared."""
    other = AppName("other")
    assignment = await assigned(tmp_path, SMALL, max_requests=10)
    accounts = [replace(one, app=other) if one.id % 2 else one for one in assignment.accounts]
    limits = {APP: Limits(per_minute=600), other: Limits(per_minute=600)}
    report = await run_again(replace(assignment, accounts=accounts, limits=limits), SMALL)
    assert report.exit_code is ExitCode.BUDGET
    assert report.left.slices.keys() == {APP, other}
    first, second = sorted(report.left.slices.values(), reverse=True)
    assert re.search(rf"^      app \w+: {first}, app \w+: {second}$", in_words(report), re.MULTILINE)


async def test_a_run_without_budget_keeps_its_order(tmp_path: Path) -> None:
    """Nothing is said of debts, and the latest days come first."""
    assignment = await assigned(tmp_path, SMALL, days=45)
    text = forecast(assignment, NOW_S)
    assert "\nIn this order, the latest days first:\n" in text
    assert f"  {SMALL.account_ids[0]}  {TODAY - ONE_DAY * 30}..{TODAY - ONE_DAY}" in text
    assert TOKEN not in text


async def test_the_end_of_a_run_is_not_held_up_by_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is left is counted and the first of it named, but the ledger is asked about the beginning only."""
    await night(tmp_path, FLEET, TODAY - ONE_DAY)
    assignment = await assigned(tmp_path, FLEET, days=100, max_requests=10, page_size=200)
    monkeypatch.setattr(planning, "_ASKED_AT_THE_END", 7)
    asked: list[Window] = []
    with Ledger.open(tmp_path / ".harvester") as ledger:
        known = ledger.known

        def counted(window: Window, accounts: Iterable[AccountId]) -> dict[AccountId, dict[date, Known]]:
            asked.append(window)
            return known(window, accounts)

        monkeypatch.setattr(ledger, "known", counted)
        whole = Planning(assignment, ledger)
        left = whole.left([], whole.plans[APP])
    assert (left.total, left.begun, len(left.named)) == (300, 0, 300)
    assert left.requests >= 300
    assert len(asked) <= 1 + 60, "the week once, and the oldest 30 days, which have to be put in order"

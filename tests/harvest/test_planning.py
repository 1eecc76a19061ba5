from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from itertools import groupby
from pathlib import Path

import pytest

from harvester import foresight
from harvester.foresight import Foresight
from harvester.harvest.planning import Planning
from harvester.harvest.preview import forecast
from harvester.landing.ledger import Known, Ledger
from harvester.model import ONE_DAY, AccountId, Slice, Window
from harvester.sandbox.world import World
from harvester.usage import Experience
from tests.flows import APP, NOW_S, TODAY, assign, last_days, run, sandbox

pytestmark = pytest.mark.anyio
WORLD = World(accounts=30, calls_per_day=30, today=TODAY)
BY_SIZE = sorted(WORLD.account_ids, key=lambda account: -WORLD.count(account, last_days(7)))
LARGEST = BY_SIZE[0]


def test_parts_are_equal_and_take_so_many_pages_at_most() -> None:
    """As many days as fill 100 pages, a day at least; who is quiet or unknown keeps the whole window."""
    busy = {AccountId(number): Experience(calls_a_day=100.0 * pages) for number, pages in enumerate([1, 9, 70, 999])}
    known, window = Foresight(busy, 100), last_days(30)
    lengths = [[len(part) for part in known.parts_of(AccountId(number), window)] for number in range(5)]
    assert lengths == [[30], [10] * 3, [2] * 15, [1] * 30, [30]]
    for number in range(5):
        parts = known.parts_of(AccountId(number), window)
        assert sorted(day for part in parts for day in part) == list(window)
        assert parts[0].end == window.end


@pytest.mark.parametrize("budget", [None, 10_000])
async def test_known_heavy_accounts_come_first_and_in_parts(
    budget: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read the night before steers: the largest first, in narrow windows; the quiet ones in their order."""
    monkeypatch.setattr(foresight, "LONGEST", 4)
    async with sandbox(WORLD) as served:
        assignment = replace(assign(served, tmp_path), max_requests=budget)
        before = Planning(assignment, None)
        assert [one.account.id for one in before.plans[APP]] == list(WORLD.account_ids)
        first = await run(assignment)
        again = replace(assignment, scope=replace(assignment.scope, again=True))
        with Ledger.open(assignment.state_dir) as ledger:
            planned = list(Planning(again, ledger).plans[APP])
        text = forecast(again, NOW_S)
        second = await run(again)
    turns = [account for account, _ in groupby(planned, lambda one: one.account.id)]
    assert len(turns) == WORLD.accounts
    pages = {one: WORLD.count(one, last_days(7)) // 50 for one in turns}
    assert turns[:3] == BY_SIZE[:3]
    quiet = [one for one in turns if not pages[one]]
    assert quiet == [one for one in WORLD.account_ids if one in quiet]
    assert not any(pages[one] for one in turns[-len(quiet) :])
    windows = [one.window for one in planned if one.account.id == LARGEST]
    assert sorted(day for window in windows for day in window) == list(last_days(7))
    assert len(windows) == 7, f"{pages[LARGEST]} pages"
    assert WORLD.accounts <= sum(first.slices.values()) < len(planned) <= sum(second.slices.values())
    assert f"{len(planned)} slices" in text
    assert sum(second.requests.values()) <= 1.15 * sum(first.requests.values())


async def test_what_was_begun_goes_on_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice with a checkpoint is not divided, however long it is."""
    async with sandbox(WORLD) as served:
        assignment = replace(assign(served, tmp_path, page_size=5), max_requests=60)
        await run(assignment)
        with Ledger.open(assignment.state_dir) as ledger:
            monkeypatch.setattr(foresight, "LONGEST", 1)
            planning = Planning(assignment, ledger)
            begun: list[Slice] = list(planning.begun)
            planned = list(planning.plans[APP])
    assert begun
    assert planned[: len(begun)] == begun
    assert any(len(one.window) > 1 for one in begun)


async def test_the_ledger_is_asked_only_of_days_that_it_may_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What slices will take is foreseen without a question where the account was never read, before or since."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path, days=90)
    day, asked = TODAY - ONE_DAY * 40, list[tuple[Window, list[AccountId]]]()
    with Ledger.open(assignment.state_dir) as ledger:
        ledger.take_over(LARGEST, {day: Known(9, complete=False)})
        planning, known = Planning(assignment, ledger), ledger.known

        def counted(window: Window, accounts: Iterable[AccountId]) -> dict[AccountId, dict[date, Known]]:
            asked.append((window, list(accounts)))
            return known(window, asked[-1][1])

        monkeypatch.setattr(ledger, "known", counted)
        planned = list(planning.plans[APP])
        expected = {one: planning.expected(one) for one in planned}
    own = [one for one in planned if one.account.id == LARGEST]
    assert asked == [(one.window, [LARGEST]) for one in own if day in one.window]
    assert [expected[one].known_days for one in own] == [int(day in one.window) for one in own]

"""Accounts that are not well: what they cost a night, what is lost of them, and how they come back."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import anyio
import anyio.lowlevel
import orjson
import pytest

from harvester.errors import ExitCode
from harvester.harvest.assignment import Assignment
from harvester.harvest.inspect import status
from harvester.harvest.preview import forecast
from harvester.landing.ledger import Ledger
from harvester.model import ONE_DAY, AccountId, Status, TokenName, Window
from harvester.report.status import in_words as status_words
from harvester.report.status import to_json as status_json
from harvester.report.summary import Report, in_words
from harvester.sandbox.server import Sandbox
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from harvester.triage import State
from tests.benchmarks.sick import WAYS, measured
from tests.credentials import credentials
from tests.flows import NOW_S, TODAY, TOKEN, assign, differences, landed, run, sandbox
from tests.nights import marked_days

pytestmark = pytest.mark.anyio
WORLD = World(accounts=12, calls_per_day=15, today=TODAY + ONE_DAY * 10)
SICK = AccountId(WORLD.account_ids[4])
WINDOW = Window(TODAY - ONE_DAY * 7, TODAY - ONE_DAY)


class Ward:
    """Night after night against one sandbox.

    Args:
        served: The sandbox.
        folder: The landing zone.
    """

    def __init__(self, served: Sandbox, folder: Path) -> None:
        self.served = served
        self.assignment = assign(served, folder)
        self.asked: Counter[AccountId] = Counter()
        """Requests of the last night, by account."""

    async def night(self, number: int = 0, **changes: object) -> Report:
        """A run on the Beijing day that is so many days later, over the week before it."""
        before = self.served.stats.by_account.copy()
        report = await run(replace(self.on(number), **changes))  # type: ignore[arg-type]
        self.asked = self.served.stats.by_account - before
        return report

    def on(self, number: int) -> Assignment:
        """The assignment of that night."""
        today = TODAY + ONE_DAY * number
        window = Window(today - ONE_DAY * 7, today - ONE_DAY)
        return replace(self.assignment, scope=replace(self.assignment.scope, window=window, today=today))


@asynccontextmanager
async def ward(folder: Path, **switches: object) -> AsyncIterator[Ward]:
    """A sandbox with sick accounts."""
    async with sandbox(WORLD, Switches(**switches)) as served:  # type: ignore[arg-type]
        yield Ward(served, folder)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (12201, State.DENIED), (12203, State.DENIED), (32211, State.INACTIVE), (64015, State.INACTIVE),
        (60002, State.UNKNOWN), (60003, State.UNKNOWN), (80008, State.UNKNOWN),
    ],
)  # fmt: skip
async def test_one_request_a_night(code: int, state: State, tmp_path: Path) -> None:
    """An account that refuses costs one request a night, and is read whole in the night in which it is well again."""
    async with ward(tmp_path, account_codes={SICK: code}) as nights:
        for number in range(3):
            report = await nights.night(number)
            assert nights.asked[SICK] == 1
            assert report.exit_code is ExitCode.PARTIAL
            [condition] = report.sick.conditions
            assert (condition.account_id, condition.state, condition.since) == (SICK, state, TODAY)
            assert condition.asked_on == TODAY + ONE_DAY * number
            assert (condition.complaint.code, bool(condition.complaint.message)) == (code, True)
            assert [one.status for one in report.troubles] == [Status.SKIPPED]
        nights.served.cure(SICK)
        report = await nights.night(3)
        assert report.exit_code is ExitCode.COMPLETE
        assert f"well again (1): {SICK} ({state} since {TODAY})" in in_words(report)
        assert differences(nights.on(3), WORLD) == {}
        assert not (await nights.night(4)).sick.recovered


@pytest.mark.parametrize("days", [7, 90])
async def test_the_first_request_goes_alone(days: int, tmp_path: Path) -> None:
    """However many slices of an account are due, one request finds out that it cannot be read, the first night too."""
    async with ward(tmp_path, account_codes={SICK: 12201}, latency_s=1.0) as nights:
        window = Window(TODAY - ONE_DAY * days, TODAY - ONE_DAY)
        accounts = [one for one in nights.assignment.accounts if one.id in {SICK, WORLD.account_ids[0]}]
        scope = replace(nights.assignment.scope, window=window)
        report = await nights.night(accounts=accounts, scope=scope)
    assert nights.asked[SICK] == 1
    assert report.slices[Status.SKIPPED] == max(1, days // 30)
    assert len({one.reason for one in report.troubles}) == 1


async def test_not_twice_a_day_unless_a_person_wants_it(tmp_path: Path) -> None:
    """On the same day a refused account is asked again when it is named, with `--again`, or under another token."""
    async with ward(tmp_path, account_codes={SICK: 12201}) as nights:
        await nights.night()
        report = await nights.night()
        assert nights.asked[SICK] == 0
        assert "asked earlier today, and not again: `harvester run CONFIG --account ID`" in in_words(report)
        await nights.night(named=[SICK])
        assert nights.asked[SICK] == 1
        await nights.night(scope=replace(nights.assignment.scope, again=True))
        assert nights.asked[SICK] == 1
        other = TokenName("other")
        tokens = {**nights.assignment.tokens, other: credentials("sandbox-access-token")}
        accounts = [replace(one, token=other if one.id == SICK else TOKEN) for one in nights.assignment.accounts]
        await nights.night(accounts=accounts, tokens=tokens)
        assert nights.asked[SICK] == 1
        nights.served.cure(SICK)
        assert (await nights.night(named=[SICK])).exit_code is ExitCode.COMPLETE


@pytest.mark.parametrize("code", [12201, 999_999])
@pytest.mark.parametrize("days", [7, 70])
async def test_the_plan_predicts_what_a_run_asks(code: int, days: int, tmp_path: Path) -> None:
    """Nothing of what was asked earlier today, and says so; one request for it tomorrow, whatever is due of it."""
    spoilt = AccountId(WORLD.account_ids[7])
    poison = tuple((spoilt, TODAY - ONE_DAY * ago, 60009) for ago in (2, 5))
    async with ward(tmp_path, account_codes={SICK: code}, poison=poison) as nights:
        window = Window(TODAY - ONE_DAY * days, TODAY - ONE_DAY)
        scope = replace(nights.assignment.scope, window=window, reread_days=100)
        await nights.night(scope=scope)
        for number in (0, 1):
            tonight = replace(scope, today=TODAY + ONE_DAY * number)
            text = forecast(replace(nights.assignment, scope=tonight), NOW_S + 86_400 * number)
            report = await nights.night(scope=tonight)
            assert nights.asked[SICK] == number
            [expected] = re.findall(r"about (\d+) requests expected", text)
            assert int(expected) == pytest.approx(report.walked + 2 * number, abs=2)
            assert ("1 account is not well and was asked earlier today" in text) is (number == 0)
            assert ("2 days are poisoned and were asked for earlier today" in text) is (number == 0)
        named = replace(nights.assignment, scope=replace(scope, today=TODAY + ONE_DAY), named=[SICK])
        assert "1 account is not well" not in forecast(named, NOW_S + 86_400)


POISONED = WINDOW.start + ONE_DAY * 3


@pytest.mark.parametrize("what", [60009, 51001, 999_999, "unavailable", "html"])
@pytest.mark.parametrize("day", [WINDOW.start, POISONED, WINDOW.end])
async def test_a_poisoned_day_is_all_that_is_lost(what: int | str, day: date, tmp_path: Path) -> None:
    """One bad day: its neighbours land in the same night; then it costs one request a night; and it comes back."""
    async with ward(tmp_path, poison=((SICK, day, what),)) as nights:
        report = await nights.night()
        assert report.exit_code is ExitCode.PARTIAL
        assert [(one.account_id, one.window) for one in report.troubles] == [(SICK, f"{day}..{day}")]
        assert [(one.account_id, one.day, one.since) for one in report.sick.poison] == [(SICK, day, TODAY)]
        assert report.divided > 0
        assert len(landed(nights.assignment, SICK)) > 0
        assert str(day) not in marked_days(tmp_path)
        assert len(marked_days(tmp_path)) == 6
        for number in (1, 2):
            report = await nights.night(number)
            if day in report.window:
                assert [(one.account_id, one.day, one.since) for one in report.sick.poison] == [(SICK, day, TODAY)]
                assert report.sick.poison[0].asked_on == report.sick.today
            assert report.failed_attempts == (day in report.window)
            assert report.divided == 0
        nights.served.cure(SICK)
        report = await nights.night(3)
        assert report.exit_code is ExitCode.COMPLETE
        assert [one.day for one in report.sick.cured] == ([day] if day in report.window else [])
        assert differences(nights.on(3), WORLD) == {}


async def test_several_poisoned_days(tmp_path: Path) -> None:
    """All of them together cost one request a night, another day each night; the first that is well frees the rest."""
    days = [WINDOW.start + ONE_DAY * number for number in (2, 4, 6)]
    async with ward(tmp_path, poison=tuple((SICK, day, 60009) for day in days)) as nights:
        report = await nights.night()
        assert [one.day for one in report.sick.poison] == days
        tried = []
        for number in (1, 2):
            report = await nights.night(number)
            assert report.failed_attempts == 1
            assert sorted(one.status for one in report.troubles) == [Status.FAILED, Status.SKIPPED, Status.SKIPPED]
            tried += [one.window for one in report.troubles if one.status is Status.FAILED]
        assert tried == [f"{day}..{day}" for day in days[:2]]
        report = await nights.night(2)
        assert report.failed_attempts == 0
        assert "asked earlier today, and not again" in in_words(report)
        nights.served.cure(SICK)
        report = await nights.night(3)
        assert report.exit_code is ExitCode.COMPLETE
        assert "poisoned no more (2)" in in_words(report), "the third is out of the window"
        assert (await nights.night(3)).exit_code is ExitCode.COMPLETE


@pytest.mark.parametrize(("code", "first"), [(999_999, 4), (51001, 15)])
async def test_an_account_that_fails_as_a_whole(code: int, first: int, tmp_path: Path) -> None:
    """With a code that nobody knows, or busy for ever: a few requests at first, then one a night, and back at once."""
    async with ward(tmp_path, account_codes={SICK: code}) as nights:
        report = await nights.night()
        assert nights.asked[SICK] <= first
        assert [(one.account_id, one.state) for one in report.sick.conditions] == [(SICK, State.FAILING)]
        assert {one.account_id for one in report.troubles} == {SICK}
        assert report.sick.poison == []
        for number in (1, 2, 3):
            report = await nights.night(number)
            assert nights.asked[SICK] == 1
            assert [(one.state, one.since) for one in report.sick.conditions] == [(State.FAILING, TODAY)]
        assert len(in_words(report).splitlines()) < 10
        nights.served.cure(SICK)
        report = await nights.night(4)
        assert report.exit_code is ExitCode.COMPLETE
        assert differences(nights.on(4), WORLD) == {}


async def test_a_day_that_is_never_answered(tmp_path: Path) -> None:
    """A day on which the API hangs: silence is waited for two nights; then the days around it are had."""
    async with ward(tmp_path, poison=((SICK, POISONED, "hang"),)) as nights:
        report = await nights.night()
        assert [one.window for one in report.troubles] == [str(WINDOW)]
        assert (report.divided, list(report.sick.poison)) == (0, [])
        report = await nights.night(1)
        assert [one.window for one in report.troubles] == [f"{POISONED}..{POISONED}"]
        assert [one.day for one in report.sick.poison] == [POISONED]
        report = await nights.night(2)
        assert report.failed_attempts == 1
        nights.served.cure(SICK)
        assert (await nights.night(3)).exit_code is ExitCode.COMPLETE
        assert differences(nights.on(3), WORLD) == {}


async def test_an_api_that_refuses_everybody_divides_nothing(tmp_path: Path) -> None:
    """A wrong request, for all accounts alike: no account is to blame, and hardly a request more than one each."""
    async with ward(tmp_path, account_codes=dict.fromkeys(WORLD.account_ids, 60009)) as nights:
        report = await nights.night()
        assert report.exit_code is ExitCode.PARTIAL
        assert (list(report.sick.conditions), list(report.sick.poison)) == ([], [])
        assert nights.asked.total() <= len(WORLD.account_ids) + 9


async def test_a_killed_night(tmp_path: Path) -> None:
    """What refused before a run was killed is not asked again in that night by the next one, which does the rest."""
    dead = dict(zip(WORLD.account_ids[:6], (12201, 12203, 32211, 64015, 60002, 80008), strict=True))
    async with ward(tmp_path, account_codes=dead) as nights:
        stats = nights.served.stats
        async with anyio.create_task_group() as group:
            group.start_soon(run, replace(nights.on(0), in_flight=1))
            while stats.requests < 4:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        killed = stats.by_account.copy()
        with Ledger.open(nights.assignment.state_dir) as ledger:
            known = {account for account, one in ledger.conditions().items() if not one.well}
        assert 0 < len(known) < 6
        report = await nights.night()
        assert all(nights.asked[account] == (account not in known) for account in dead)
        assert all((killed + nights.asked)[account] <= 2 for account in dead)
        assert {one.account_id for one in report.sick.conditions} == set(dead)
        assert {one.account_id for one in report.troubles} == set(dead)


async def test_budgets_and_poison(tmp_path: Path) -> None:
    """Runs of a few requests each come to the same end, poisoned days and all, and none costs more for it."""
    async with ward(tmp_path, poison=((SICK, POISONED, 60009),), account_codes={WORLD.account_ids[0]: 12201}) as nights:
        for _ in range(40):
            report = await nights.night(max_requests=5)
            if report.exit_code is not ExitCode.BUDGET and not report.left.total:
                break
        scope = replace(nights.assignment.scope, reread_days=None)
        report = await nights.night(scope=scope)
        assert {one.window for one in report.troubles} <= {str(WINDOW), f"{POISONED}..{POISONED}"}
        assert {one.account_id for one in report.troubles} == {SICK, WORLD.account_ids[0]}
        assert set(differences(nights.assignment, WORLD)) == {SICK, WORLD.account_ids[0]}


async def test_status_of_the_sick(tmp_path: Path) -> None:
    """`status` says of each account how it is, since when, what the API said, and which days are poisoned."""
    dead = WORLD.account_ids[0]
    async with ward(tmp_path, account_codes={dead: 12201}, poison=((SICK, POISONED, 60009),)) as nights:
        await nights.night()
        state = status(nights.assignment)
        words = status_words(state)
        assert f"denied since {TODAY}, asked {TODAY}: code 12201" in words
        assert f"poisoned since {TODAY}: {POISONED}: code 60009" in words
        shown = {one["account_id"]: one for one in orjson.loads(orjson.dumps(status_json(state)))["accounts"]}
        assert (shown[dead]["state"], shown[dead]["condition"]["asked_on"]) == ("denied", str(TODAY))
        assert (shown[SICK]["state"], shown[SICK]["poisoned_days"][0]["day"]) == ("poisoned", str(POISONED))
        assert {one["state"] for one in shown.values()} == {"denied", "poisoned", "ok"}
        nights.served.cure(dead)
        nights.served.cure(SICK)
        await nights.night(1)
        assert {one.health for one in status(nights.on(1)).accounts} == {State.OK}


async def test_a_hospital(tmp_path: Path) -> None:
    """Six ways to be sick, night after night: a request a night each, and whole again in the night of the cure."""
    hospital, nights = await measured(36, 12, tmp_path)
    sick, day_after = {one for some in hospital.patients.values() for one in some}, nights[1:4]
    for night in day_after:
        assert all(night.asked[one] == 1 for way in WAYS[:4] for one in hospital.patients[way])
        assert night.refused == len(night.report.sick.conditions) + len(night.report.sick.poison)
        assert {one.account_id for one in night.report.troubles} <= sick
        assert len(in_words(night.report).splitlines()) <= 18
    assert [night.refused for night in nights[1:]] == [12, 12, 6, 0, 0]
    assert [night.wrong for night in nights] == [12, 12, 12, 6, 0, 0]
    assert [night.report.exit_code for night in nights] == [ExitCode.PARTIAL] * 4 + [ExitCode.COMPLETE] * 2
    cured = [len(night.report.sick.recovered) + len(night.report.sick.cured) for night in nights]
    assert cured == [0, 0, 0, 6, 6, 0]

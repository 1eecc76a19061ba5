"""Whole runs whose accounts find themselves, against the sandbox, in virtual time."""

import datetime as dt
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from harvester.api.ask import Answer, Ask
from harvester.api.codes import Fault
from harvester.api.envelope import Response
from harvester.enrolment import NOBODY, Discovery
from harvester.errors import Complaint, ConfigError, ExitCode, LockedError, StorageError
from harvester.harvest.assignment import Assignment
from harvester.harvest.enrolment import known, muster, refresh
from harvester.harvest.inspect import Orders, status, verify
from harvester.harvest.preview import forecast
from harvester.harvest.roll_call import RollCall
from harvester.landing.ledger import Ledger
from harvester.model import ONE_DAY, Account, AccountId, TokenName
from harvester.report.status import in_words as status_in_words
from harvester.report.summary import Report, in_words, to_json
from harvester.roll import Pattern, Selection, Table, Via
from harvester.sandbox.grants import Grant, Kind
from harvester.sandbox.server import Sandbox
from harvester.sandbox.switches import ACCESS, Empty, Listing, Numbers, Switches
from harvester.sandbox.world import World
from harvester.triage import Condition, State
from tests.flows import APP, NOW_S, TOKEN, assign, differences, run, sandbox, surroundings
from tests.nights import marked_days

pytestmark = pytest.mark.anyio

WORLD = World(today=dt.date(2026, 3, 15), accounts=6, calls_per_day=10, tie_share=0)
IDS = WORLD.account_ids
TABLE = Table(name="all", token=TOKEN, app=APP, via=Via.ADVERTISER)
NOTHING = Selection(exclude=(Pattern("name", "*"),))
NONE_LEFT = "none of its 6 accounts is left by include and exclude: mend the patterns"
OTHER = replace(TABLE, name="other", via=Via.ORGANIZATION)


def discovering(served: Sandbox, folder: Path, *tables: Table, named: int = 0, **changes: Any) -> Assignment:
    """A run over two days whose accounts, but for the first few, find themselves."""
    assignment = assign(served, folder, days=2)
    accounts = assignment.accounts[:named]
    discovery = Discovery(tables=tables or (TABLE,), **changes)
    return replace(assignment, accounts=accounts, fleet=[one.id for one in accounts], discovery=discovery)


def on_day(assignment: Assignment, days: int) -> Assignment:
    """The same on a later day, when the roll is older."""
    today = assignment.scope.today + ONE_DAY * days
    return replace(assignment, scope=replace(assignment.scope, today=today))


def age_rolls(assignment: Assignment, hours: float) -> None:
    """Makes the rolls older than they are."""
    with Ledger.open(assignment.state_dir) as ledger, ledger._transaction() as db:
        db.execute("UPDATE rolls SET at = at - ?", (3600 * hours,))


def enrolled(assignment: Assignment) -> list[AccountId]:
    """Who would be harvested, as the ledger knows it."""
    return [one.id for one in known(assignment, NOW_S).assignment.accounts]


def lists_asked(served: Sandbox) -> int:
    """How many requests for lists of accounts there were."""
    return served.stats.list_requests.total()


@pytest.mark.parametrize("via", list(Via))
async def test_accounts_find_themselves(via: Via, tmp_path: Path) -> None:
    """Without a single account in the config every call of every account lands, and days are marked complete."""
    async with sandbox(WORLD, Switches(grants=(Grant(kind=Kind(via)),))) as served:
        assignment = discovering(served, tmp_path, replace(TABLE, via=via))
        report = await run(assignment)
        assert lists_asked(served) == 1
    everyone = known(assignment, NOW_S).assignment
    assert differences(everyone, WORLD) == {}
    assert [one.id for one in everyone.accounts] == sorted(IDS)
    assert (report.exit_code, report.accounts, report.requests[APP]) == (ExitCode.COMPLETE, 6, 6)
    assert report.notes == ("discover.all: listed for the first time, 6 accounts",)
    assert set(marked_days(tmp_path)["2026-03-14"].accounts) == set(IDS)


@pytest.mark.parametrize("numbers", [Numbers.INT, Numbers.STRING])
@pytest.mark.parametrize("listing", [Listing.HONEST, Listing.BARE, Listing.EMPTY_TAIL, Listing.ENDLESS])
async def test_hundreds_of_accounts(listing: Listing, numbers: Numbers, tmp_path: Path) -> None:
    """However the API ends its lists, all accounts are found, and no list is asked for twice."""
    world = World(today=WORLD.today, accounts=250, calls_per_day=0)
    switches = Switches(listing=listing, numbers=numbers, empty=Empty.ABSENT)
    async with sandbox(world, switches) as served:
        found, roster = await refresh(discovering(served, tmp_path), around=surroundings())
        assert lists_asked(served) in {3, 4}
    assert found.failures == {}
    assert sorted(one.id for one in roster.assignment.accounts) == sorted(world.account_ids)


async def test_a_list_that_goes_round_in_a_circle_fails(tmp_path: Path) -> None:
    """A cursor that comes twice ends the list as failed, after a handful of requests; nothing is kept of it."""
    world = World(today=WORLD.today, accounts=250, calls_per_day=0)
    async with sandbox(world, Switches(listing=Listing.REPEATS)) as served:
        assignment = discovering(served, tmp_path)
        found, _ = await refresh(assignment, around=surroundings())
        assert lists_asked(served) < 5
    assert "in a circle" in found.failures[TABLE]
    with Ledger.open(assignment.state_dir) as ledger:
        assert ledger.roll("all") is None


async def test_the_list_holds_for_a_while(tmp_path: Path) -> None:
    """A run within `every` asks for no list; a later one does, and then a new account is harvested, and named."""
    async with sandbox(WORLD) as served:
        served.vanish(IDS[3])
        assignment = discovering(served, tmp_path)
        assert (await run(assignment)).accounts == 5
        served.appear(IDS[3])
        assert (await run(assignment)).accounts == 5
        assert lists_asked(served) == 1
        age_rolls(assignment, 10.0)
        await run(assignment)
        assert lists_asked(served) == 1
        age_rolls(assignment, 12.0)
        report = await run(assignment)
        assert lists_asked(served) == 2
    assert (report.exit_code, report.accounts) == (ExitCode.COMPLETE, 6)
    assert report.notes == (f"new on the roll of discover.all: 1 account: {IDS[3]}",)
    assert differences(known(assignment, NOW_S).assignment, WORLD) == {}


async def test_what_vanishes_is_still_asked_for(tmp_path: Path) -> None:
    """As long as the API reads it, an account that no list has any more is harvested, and named each night."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path, replace(TABLE, every_s=60.0))
        await run(assignment)
        served.vanish(IDS[0])
        served.vanish(IDS[1])
        gone = ", ".join(map(str, sorted(IDS[:2])))
        since = f"vanished from discover.all since 2026-03-15: 2 accounts: {gone}"
        for days in (0, 6, 7, 200):
            age_rolls(assignment, 1)
            report = await run(on_day(assignment, days))
            assert (report.exit_code, report.accounts) == (ExitCode.COMPLETE, 6)
            assert report.notes == (f"{since}; asked for until the API refuses them",)
    assert differences(known(assignment, NOW_S).assignment, WORLD) == {}


@pytest.mark.parametrize("code", [12201, 32211, 60002])
async def test_what_vanishes_and_is_refused_is_let_go(code: int, tmp_path: Path) -> None:
    """An account that vanished and that the API refuses makes one night incomplete, and no further one."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path, replace(TABLE, every_s=60.0))
        await run(assignment)
        served.vanish(IDS[0])
        served.sicken(IDS[0], code)
        age_rolls(assignment, 1)
        first = await run(on_day(assignment, 1))
        second = await run(on_day(assignment, 2))
        third = await run(on_day(assignment, 8))
        served.appear(IDS[0])
        served.cure(IDS[0])
        age_rolls(assignment, 1)
        fourth = await run(on_day(assignment, 9))
    assert (first.exit_code, first.accounts) == (ExitCode.PARTIAL, 6)
    assert (second.exit_code, second.accounts) == (ExitCode.COMPLETE, 5)
    let_go = f"so not asked for any more: 1 account: {IDS[0]}"
    assert [let_go in "".join(report.notes) for report in (first, second, third)] == [False, True, False]
    assert (fourth.exit_code, fourth.accounts) == (ExitCode.COMPLETE, 6)
    assert f"new on the roll of discover.all: 1 account: {IDS[0]}" in fourth.notes


async def test_what_vanishes_and_always_fails_is_let_go(tmp_path: Path) -> None:
    """Of an account that vanished and for which every request fails, that is so after a week."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path)
        await run(assignment)
        served.vanish(IDS[0])
        await refresh(assignment, around=surroundings())
        with Ledger.open(assignment.state_dir) as ledger:
            failing = Condition(
                account_id=IDS[0],
                state=State.FAILING,
                token=TOKEN,
                complaint=Complaint(),
                since=assignment.scope.today,
                asked_on=assignment.scope.today,
            )
            ledger.remember([failing])
    assert len(enrolled(on_day(assignment, 6))) == 6
    assert len(enrolled(on_day(assignment, 7))) == 5


async def test_a_list_that_fails_leaves_the_last_one(tmp_path: Path) -> None:
    """When listing fails the accounts of the last list are harvested, and the report says so first."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path, replace(TABLE, every_s=60.0))
        await run(assignment)
        age_rolls(assignment, 3)
        served.script_lists("code:12007")
        report = await run(assignment)
        assert lists_asked(served) == 2
    assert (report.exit_code, report.accounts) == (ExitCode.COMPLETE, 6)
    assert "discover.all could not be listed, and its 6 accounts are those of 2026-03-14 23:" in report.notes[0]
    assert "code 12007" in report.notes[0]
    assert [line for line in in_words(report).splitlines() if "note: discover.all could not be listed" in line]


async def test_accounts_that_nobody_knows_make_a_run_incomplete(tmp_path: Path) -> None:
    """Without any list the other accounts are harvested, but no day counts as complete, and the exit code is 3."""
    async with sandbox(WORLD, Switches(grants=(Grant(kind=Kind.ORGANIZATION),))) as served:
        assignment = discovering(served, tmp_path, named=2)
        report = await run(assignment)
        assert (report.exit_code, report.accounts, report.complete) == (ExitCode.PARTIAL, 2, False)
        assert NOBODY in known(assignment, NOW_S).assignment.fleet
        assert marked_days(tmp_path) == {}
        assert differences(replace(assignment), WORLD) == {}
        said = in_words(report)
        assert said.startswith("NOT COMPLETE")
        assert "the accounts of discover.all are unknown: code 60003" in said
        report = await run(replace(assignment, discovery=Discovery(tables=(OTHER,))))
    assert (report.exit_code, report.accounts) == (ExitCode.COMPLETE, 6)
    assert len(marked_days(tmp_path)) == 2


async def test_a_dead_token(tmp_path: Path) -> None:
    """When the token that lists is dead nothing works: exit code 5, after one request."""
    async with sandbox(WORLD) as served:
        served.revoke(ACCESS)
        report = await run(discovering(served, tmp_path))
        assert (report.exit_code, lists_asked(served), served.stats.requests) == (ExitCode.NO_TOKEN, 1, 0)
    assert f"token {TOKEN}" in in_words(report)


async def test_the_api_is_down(tmp_path: Path) -> None:
    """A list is given up after some attempts; with an earlier one the run goes on."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path, replace(TABLE, every_s=60.0))
        await run(assignment)
        age_rolls(assignment, 1)
        served.script_lists(*["unavailable"] * 100)
        asked = lists_asked(served)
        report = await run(assignment)
        assert 2 <= lists_asked(served) - asked < 20
    assert (report.exit_code, report.accounts) == (ExitCode.COMPLETE, 6)
    assert "could not be listed" in report.notes[0]


async def test_a_busy_api_is_asked_again(tmp_path: Path) -> None:
    """A list's page that fails is repeated like any other request."""
    async with sandbox(WORLD) as served:
        served.script_lists("code:11017", "unavailable", "cut", "code:51001", None)
        report = await run(discovering(served, tmp_path))
        assert lists_asked(served) == 5
    assert (report.exit_code, report.accounts) == (ExitCode.COMPLETE, 6)


async def test_the_config_wins(tmp_path: Path) -> None:
    """A named account has the config's token, a disabled one stays out; what two tables list is the first one's."""
    token = TokenName("second")
    grants = (Grant(accounts=frozenset(IDS[:4])), Grant(access="second-access", accounts=frozenset(IDS[2:])))
    async with sandbox(WORLD, Switches(grants=grants)) as served:
        second = replace(TABLE, name="second", token=token)
        out = Account(id=IDS[5], token=token, app=APP)
        assignment = discovering(served, tmp_path, TABLE, second, named=1, disabled=(out,))
        credentials = assignment.tokens[TOKEN]
        tokens = {TOKEN: credentials, token: replace(credentials, access=type(credentials.access)("second-access"))}
        assignment = replace(assignment, tokens=tokens)
        report = await run(assignment)
    found = {one.id: one.token for one in known(assignment, NOW_S).assignment.accounts}
    assert found == {**dict.fromkeys(IDS[:4], TOKEN), IDS[4]: token}
    assert (report.exit_code, report.accounts) == (ExitCode.COMPLETE, 5)


async def test_patterns_choose(tmp_path: Path) -> None:
    """Only what include and exclude take is harvested; that a table gives nothing beside others is said each time."""
    selection = Selection(include=(Pattern("id", f"{IDS[0]}"), Pattern("id", f"{IDS[1]}")))
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path, replace(TABLE, selection=selection))
        assert (await run(assignment)).accounts == 2
        nothing = replace(TABLE, name="nothing", selection=NOTHING)
        report = await run(replace(assignment, discovery=Discovery(tables=(TABLE, nothing))))
        again = await run(replace(assignment, discovery=Discovery(tables=(TABLE, nothing))))
    note = f"discover.nothing: {NONE_LEFT}"
    assert (report.exit_code, report.accounts, note in report.notes) == (ExitCode.COMPLETE, 6, True)
    assert note in again.notes
    assert note in forecast(replace(assignment, discovery=Discovery(tables=(TABLE, nothing))), NOW_S)


@pytest.mark.parametrize("how", ["patterns", "disabled"])
async def test_a_config_that_leaves_nobody_is_a_mistake(how: str, tmp_path: Path) -> None:
    """Where include, exclude and `enabled = false` leave no account nothing is touched, and no mark is withdrawn."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path)
        await run(assignment)
        before = marked_days(tmp_path)
        saved = sorted(one.name for one in (tmp_path / "runs").iterdir())
        nobody = discovering(served, tmp_path, replace(TABLE, selection=NOTHING))
        if how == "disabled":
            nobody = discovering(served, tmp_path, disabled=tuple(known(assignment, NOW_S).assignment.accounts))
        why = NONE_LEFT if how == "patterns" else "none of its 6 accounts is left by .* and by `enabled = false` .6.: "
        with pytest.raises(ConfigError, match=f"^discover.all: {why}"):
            await run(nobody)
        with pytest.raises(ConfigError, match=why):
            forecast(nobody, NOW_S)
        with pytest.raises(ConfigError, match=why):
            status(nobody)
        for orders in (Orders(), Orders(heal=True)):
            with pytest.raises(ConfigError, match=why):
                verify(nobody, orders, lambda: NOW_S)
        _, found = await refresh(nobody, around=surroundings())
    assert len(before) == 2
    assert marked_days(tmp_path) == before
    assert sorted(one.name for one in (tmp_path / "runs").iterdir()) == saved
    assert found.notes[0].startswith("discover.all: none of its 6 accounts is left by include and exclude")


async def test_a_first_list_that_leaves_nobody(tmp_path: Path) -> None:
    """The first run asks for the list, and then for nothing."""
    async with sandbox(WORLD) as served:
        with pytest.raises(ConfigError, match=NONE_LEFT):
            await run(discovering(served, tmp_path, replace(TABLE, selection=NOTHING)))
        assert (lists_asked(served), served.stats.requests) == (1, 0)


async def test_status_and_plan_do_not_know_everybody(tmp_path: Path) -> None:
    """Though every account that is known is complete neither says so while a table was never listed."""
    async with sandbox(WORLD, Switches(grants=(Grant(kind=Kind.ORGANIZATION),))) as served:
        assignment = discovering(served, tmp_path, named=2)
        report = await run(assignment)
    state = status(assignment)
    said = status_in_words(state).splitlines()[0]
    assert said.startswith("NOT COMPLETE through 2026-03-14: the accounts of discover.all are not known: ")
    assert said.endswith("every day is complete of 2 accounts that can be named")
    first = forecast(assignment, NOW_S).splitlines()[0]
    assert first == "the accounts of discover.all are not known yet: they are not in these sums"
    lines = forecast(replace(assignment, accounts=[]), NOW_S).splitlines()
    assert lines[:2] == [first, "Of the accounts that are known nothing is due."]
    nobody = to_json(report)["troubles"][0]
    assert (nobody["account_id"], nobody["account_name"]) == (None, "discover.all")
    assert "      discover.all 2026-03-13..2026-03-14" in in_words(report).splitlines()


async def test_verify_says_whom_it_does_not_know(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is about files, so it may be sound; that accounts are not known is a warning."""
    async with sandbox(WORLD, Switches(grants=(Grant(kind=Kind.ORGANIZATION),))) as served:
        assignment = discovering(served, tmp_path, named=2)
        await run(assignment)
    assert verify(assignment, Orders(), lambda: NOW_S).sound
    assert "the accounts of discover.all are not known: only files are looked at" in caplog.messages


async def test_refresh_gives_up_soon(tmp_path: Path) -> None:
    """A person waits for it: half a minute without an answer, and it ends."""
    async with sandbox(WORLD) as served:
        served.script_lists(*["unavailable"] * 1000)
        began = anyio.current_time()
        found, _ = await refresh(discovering(served, tmp_path), around=surroundings())
        assert anyio.current_time() - began < 40
    assert list(found.failures) == [TABLE]


async def test_accounts_chosen_on_the_command_line(tmp_path: Path) -> None:
    """`--account` chooses among those that were found; an id that is not among them is a mistake."""
    async with sandbox(WORLD) as served:
        report = await run(discovering(served, tmp_path, only=(IDS[2],)))
        assert (report.accounts, report.exit_code) == (1, ExitCode.COMPLETE)
        assert marked_days(tmp_path) == {}
        with pytest.raises(ConfigError, match="--account 5: no enabled account of this id"):
            await run(discovering(served, tmp_path, only=(AccountId(5),)))


async def test_lists_use_no_budget(tmp_path: Path) -> None:
    """Requests for lists are not of `--max-requests`."""
    async with sandbox(WORLD) as served:
        report = await run(replace(discovering(served, tmp_path), max_requests=6))
    assert (report.exit_code, report.requests[APP]) == (ExitCode.COMPLETE, 6)


class SlowAsker:
    """Answers with one account after some seconds."""

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s

    async def ask(self, ask: Ask[Answer]) -> Answer:
        """See `Client.ask`."""
        await anyio.sleep(self.after_s)
        body = b'{"code": 0, "data": {"list": [{"account_id": 5}], "cursor_page_info": {"total_number": 1}}}'
        answer = ask.read(Response(200, {}, body))
        assert not isinstance(answer, Fault)
        return answer


@pytest.mark.parametrize(
    ("after_s", "of_s", "left_s", "found"),
    [(20, 60, 40, 1), (10**6, 60, 0.01, 0), (10**6, 10**5, 10**5 - 600, 0), (20, None, None, 1)],
)
async def test_lists_are_of_the_run_s_time(
    after_s: float, of_s: float | None, left_s: float | None, found: int, tmp_path: Path
) -> None:
    """What they take is not left for the calls; after ten minutes, or the run's time, they are waited for no more."""
    async with sandbox(WORLD) as served:
        assignment = replace(discovering(served, tmp_path), max_duration_s=of_s)
    with Ledger.open(assignment.state_dir) as ledger:
        call = RollCall(assignment, ledger, SlowAsker(after_s), lambda: NOW_S)
        roster = await muster(assignment, ledger, call, lambda: NOW_S)
    assert len(roster.assignment.accounts) == found
    assert bool(roster.troubles) == (not found)
    left = roster.assignment.max_duration_s
    assert left == left_s if left is None or left_s is None else 0 < left <= left_s


async def test_a_signal_ends_a_list_at_once(tmp_path: Path) -> None:
    """SIGTERM while a list is waited for ends the run within seconds, as interrupted; nothing of the list is kept."""
    async with sandbox(WORLD, Switches(latency_s=300)) as served:
        assignment = discovering(served, tmp_path)
        reports: list[Report] = []

        async def harvest_it() -> None:
            reports.append(await run(replace(assignment, timeout_s=1000)))

        async with anyio.create_task_group() as work:
            work.start_soon(harvest_it)
            while not lists_asked(served):  # noqa: ASYNC110 - a server tells nobody
                await anyio.sleep(1)
            os.kill(os.getpid(), signal.SIGTERM)
    assert reports[0].exit_code is ExitCode.TERMINATED
    assert enrolled(assignment) == []


async def test_what_asks_nothing_knows_the_last_list(tmp_path: Path) -> None:
    """`plan`, `status` and `verify` are about the accounts of the last list, and ask for none."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path)
        assert "its accounts are unknown" in forecast(assignment, NOW_S)
        assert status(assignment).accounts == []
        await run(assignment)
        asked = lists_asked(served), served.stats.requests
        said = forecast(assignment, NOW_S + 7200)
        assert "6 accounts, as listed on 2026-03-15 02:0" in said
        assert "2 h ago" in said
        assert len(status(assignment).accounts) == 6
        assert verify(assignment, Orders(), lambda: NOW_S).sound
        assert (lists_asked(served), served.stats.requests) == asked


async def test_refresh_says_what_changed(tmp_path: Path) -> None:
    """Each refresh lists anew, whatever the age, and tells what appeared, vanished, or does not fit any more."""
    async with sandbox(WORLD) as served:
        served.vanish(IDS[1])
        assignment = discovering(served, tmp_path)
        found, _ = await refresh(assignment, around=surroundings())
        assert (found.changes[TABLE].first, found.changes[TABLE].size) == (True, 5)
        served.appear(IDS[1])
        served.vanish(IDS[0])
        found, roster = await refresh(assignment, around=surroundings())
    change = found.changes[TABLE]
    assert (change.first, change.new, change.vanished) == (False, (IDS[1],), (IDS[0],))
    assert len(roster.assignment.accounts) == 6


async def test_refresh_needs_the_lock_and_the_ledger(tmp_path: Path) -> None:
    """While a run is going nothing is listed; where the ledger is gone and days are there none is made."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path)
        with Ledger.open(assignment.state_dir), pytest.raises(LockedError):
            await refresh(assignment, around=surroundings())
        await run(assignment)
        (assignment.state_dir / "ledger.sqlite").rename(tmp_path / "away")
        with pytest.raises(StorageError, match="rebuild"):
            await refresh(assignment, around=surroundings())
        assert lists_asked(served) == 1


async def test_a_table_of_something_else_begins_anew(tmp_path: Path) -> None:
    """A roll of another token or endpoint counts for nothing: its accounts do not vanish, they are forgotten."""
    async with sandbox(WORLD) as served:
        assignment = discovering(served, tmp_path)
        await run(assignment)
        served.vanish(IDS[0])
        changed = replace(assignment, discovery=Discovery(tables=(replace(TABLE, via=Via.ORGANIZATION),)))
        assert enrolled(changed) == []
        report = await run(changed)
    assert report.accounts == 5
    assert report.notes == ("discover.all: listed for the first time, 5 accounts",)

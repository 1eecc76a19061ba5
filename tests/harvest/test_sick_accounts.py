"""The schedule with accounts that are not well, and a client that needs no network."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.calls import Call, Calls
from harvester.errors import AccountFault, Complaint, QuotaSpent, RefusedFault, SliceFault, TokenFault
from harvester.harvest.cases import Cases
from harvester.harvest.queue import Queue
from harvester.harvest.schedule import Schedule
from harvester.harvest.terms import Asks, Terms
from harvester.harvest.ward import ENOUGH, FEW, Ward
from harvester.model import (
    ONE_DAY,
    Account,
    AccountId,
    AppName,
    End,
    Page,
    Query,
    Refusal,
    Slice,
    Status,
    TokenName,
    Window,
)
from harvester.triage import Condition, Found, Poison, State, condition_after, poison_after
from tests.virtual_time import PureVirtualTimeLoop

APP, TOKEN = AppName("app"), TokenName("agency")
TODAY = dt.date(2026, 3, 15)
WEEK = Window(TODAY - ONE_DAY * 7, TODAY - ONE_DAY)
DENIED, WRONG, BUSY = (Complaint(code=code, message="so it is") for code in (12201, 60009, 51001))


def account(number: int) -> Account:
    """One of many."""
    return Account(id=AccountId(number), token=TOKEN, app=APP)


def condition(number: int, state: State = State.DENIED, day: dt.date = TODAY - ONE_DAY) -> Condition:
    """How an account was found on a day."""
    return condition_after(None, account(number), state, DENIED if state is State.DENIED else WRONG, day)


def poison(number: int, *days: dt.date, asked_on: dt.date = TODAY - ONE_DAY) -> dict[AccountId, dict[dt.date, Poison]]:
    """The poisoned days of an account."""
    whose = AccountId(number)
    return {whose: {day: poison_after(None, whose, day, WRONG, asked_on) for day in days}}


@dataclass
class Api:
    """Answers after a second, unless an account, or a day in the window, is sick.

    Attributes:
        accounts: What is raised for accounts.
        days: What is raised for windows with a day.
        asked: Each request: account, window, how often it may be tried, and whether it was answered.
    """

    accounts: Mapping[int, Exception] = field(default_factory=dict)
    days: Mapping[tuple[int, dt.date], Exception] = field(default_factory=dict)
    asked: list[tuple[int, Window, int | None, bool]] = field(default_factory=list)

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """See `Asks.fetch`."""
        error = self.accounts.get(account.id)
        for day in query.window:
            error = error or self.days.get((account.id, day))
        self.asked.append((account.id, query.window, query.attempts, error is None))
        await anyio.sleep(1)
        if error:
            raise error
        start = f"{query.window.start} 12:00:00"
        return Page(calls=Calls.of([Call(f"{account.id}-{start}", start, b"{}")]), total=1)

    def of(self, number: int) -> list[tuple[Window, int | None, bool]]:
        """The requests for an account."""
        return [request[1:] for request in self.asked if request[0] == number]


@dataclass
class Done:
    """What a run did.

    Attributes:
        ends: How slices ended, in order.
        remembered: What was found out, in order.
        aside: What was taken from the plan and not begun.
        ward: Of the run.
    """

    ends: list[End] = field(default_factory=list)
    remembered: list[Found] = field(default_factory=list)
    aside: list[Slice] = field(default_factory=list)
    ward: Ward = field(default_factory=Ward)

    def of(self, number: int) -> dict[str, Status]:
        """How the slices of an account ended."""
        return {str(end.slice.window): end.status for end in self.ends if end.slice.account.id == number}

    def lost(self, number: int) -> set[dt.date]:
        """The days of an account that are not complete."""
        days = Counter[dt.date]()
        for end in self.ends:
            if end.slice.account.id == number and end.status is not Status.DIVIDED:
                days.update(dict.fromkeys(end.slice.window, end.status is not Status.COMPLETE))
        return {day for day, lost in days.items() if lost}


def run(api: Asks, plan: Sequence[Slice], cases: Cases | None = None, workers: int = 4) -> Done:
    """A schedule's run to its end, on a clock of its own."""
    done, queue = Done(ward=Ward(cases or Cases(today=TODAY))), Queue()

    async def remember(found: Sequence[Found]) -> None:
        await anyio.sleep(0.1)
        done.remembered += found

    async def drain() -> None:
        while message := await queue.get():
            if isinstance(message, End):
                done.ends.append(message)

    async def work() -> None:
        terms = Terms(page_size=100, workers=workers, ward=done.ward, remember=remember)
        schedule = Schedule(api, queue, lambda _: None, terms)
        await schedule.run({APP: iter(plan)}, drain)
        done.aside = list(schedule.aside())

    with asyncio.Runner(loop_factory=PureVirtualTimeLoop) as runner:
        runner.run(work())
    return done


def weeks(accounts: int, each: int = 1) -> list[Slice]:
    """Slices of a week, in turn."""
    return [
        Slice(account(number), Window(WEEK.start - ONE_DAY * 7 * age, WEEK.end - ONE_DAY * 7 * age))
        for age in range(each)
        for number in range(1, accounts + 1)
    ]


@pytest.mark.parametrize("workers", [1, 4, 32])
def test_of_accounts_that_are_well_nothing_is_kept(workers: int) -> None:
    """What a run holds does not grow with the fleet: of fifty accounts it keeps the one that is refused."""
    done = run(Api(accounts={7: AccountFault("denied", DENIED)}), weeks(50, each=3), workers=workers)
    assert {end.slice.account.id for end in done.ends if end.status is Status.COMPLETE} == {*range(1, 51)} - {7}
    assert done.ward.asked == {AccountId(7)}
    assert [one.account_id for one in done.ward.findings()[0]] == [AccountId(7)]


@pytest.mark.parametrize("workers", [1, 4])
def test_what_was_cured_stays_cured(workers: int) -> None:
    """A day that was poisoned is read early: to the account's later slices nothing is known against it any more."""
    day = Window(WEEK.start, WEEK.start)
    plan, known = [Slice(account(1), day), *weeks(3, each=4)[1:]], Cases(today=TODAY, poison=poison(1, day.start))
    done = run(Api(), plan, known, workers)
    assert [one.day for one in done.ward.cured] == [day.start]
    assert done.ward.findings() == ([], [])


@pytest.mark.parametrize("known", [None, condition(2)])
@pytest.mark.parametrize("workers", [1, 4, 32])
def test_a_refused_account_is_asked_once(known: Condition | None, workers: int) -> None:
    """Whether that was known or not, and however many workers there are, one request is sent for it."""
    api = Api(accounts={2: AccountFault("no", DENIED)})
    cases = Cases(today=TODAY, conditions={AccountId(2): known} if known else {})
    done = run(api, weeks(3, each=6), cases, workers)
    assert len(api.of(2)) == 1
    assert set(done.of(2).values()) == {Status.SKIPPED}
    assert len(done.of(2)) == 6
    assert set(done.of(1).values()) | set(done.of(3).values()) == {Status.COMPLETE}
    [after] = done.remembered
    assert isinstance(after, Condition)
    assert (after.state, after.since, after.asked_on) == (State.DENIED, known.since if known else TODAY, TODAY)


def test_an_account_that_is_well_again_is_read_whole() -> None:
    """The first request goes alone; once it is answered, all that waited goes, and the ledger is told before."""
    api = Api()
    done = run(api, weeks(1, each=6), Cases(today=TODAY, conditions={AccountId(1): condition(1)}), workers=8)
    assert set(done.of(1).values()) == {Status.COMPLETE}
    assert [one.state for one in done.ward.recovered] == [State.DENIED]
    [after] = done.remembered
    assert isinstance(after, Condition)
    assert (after.well, after.since) == (True, TODAY)


def test_what_waits_holds_no_worker() -> None:
    """While the first answer of an account is awaited, workers take the slices of others."""

    class Slow(Api):
        async def fetch(self, account: Account, query: Query) -> Page | Refusal:
            if account.id == 1 and not self.of(1):
                self.asked.append((1, query.window, None, False))
                await anyio.sleep(100)
                assert {number for number, *_ in self.asked} == set(range(1, 42))
            return await super().fetch(account, query)

    plan = [*weeks(1, each=10), *(one for one in weeks(41) if one.account.id != 1)]
    done = run(Slow(), plan, workers=2)
    assert {end.status for end in done.ends} == {Status.COMPLETE}


def test_asked_today_before() -> None:
    """An account that refused on this day is not asked at all, unless a person wants it."""
    known = {AccountId(1): condition(1, day=TODAY)}
    api = Api(accounts={1: AccountFault("no", DENIED)})
    done = run(api, weeks(1, each=2), Cases(today=TODAY, conditions=known))
    assert (api.asked, done.remembered, set(done.of(1).values())) == ([], [], {Status.SKIPPED})
    assert all("--account" in (end.reason or "") for end in done.ends)
    for forced in (
        Cases(today=TODAY, conditions=known, again=True),
        Cases(today=TODAY, conditions=known, named=[AccountId(1)]),
    ):
        api = Api(accounts={1: AccountFault("no", DENIED)})
        run(api, weeks(1, each=2), forced)
        assert len(api.asked) == 1


def test_open_slices_let_go() -> None:
    """When an account that was well refuses, its other open slices wait for no answer and send nothing more."""

    class Turning(Api):
        async def fetch(self, account: Account, query: Query) -> Page | Refusal:
            self.asked.append((account.id, query.window, None, True))
            number = len(self.asked)
            await anyio.sleep(1 if number < 5 else 1000)
            if number == 4:
                raise AccountFault("no", DENIED)
            starts = [f"{query.window.end} 12:00:{second:02}" for second in range(59, -1, -1)]
            left = [start for start in starts if query.after is None or start < query.after]
            return Page(calls=Calls.of([Call(start, start, b"{}") for start in left[:10]]), total=60)

    api = Turning()
    done = run(api, weeks(1, each=3), workers=3)
    assert set(done.of(1).values()) == {Status.SKIPPED}
    assert len(api.asked) <= 6
    assert sum(1 for end in done.ends if end.state is not None) >= 1, "what was read is gone on with"


@pytest.mark.parametrize("fault", [RefusedFault("wrong", WRONG), SliceFault("busy", BUSY)])
@pytest.mark.parametrize("bad", [0, 3, 6])
def test_a_day_of_its_own(fault: Exception, bad: int) -> None:
    """Of a window with a bad day that day alone is lost; it is remembered, and it begins anew another night."""
    day = WEEK.start + ONE_DAY * bad
    done = run(Api(days={(1, day): fault}), weeks(5))
    assert done.lost(1) == {day}
    assert [(one.day, one.complaint) for one in done.remembered if isinstance(one, Poison)] == [(day, fault.complaint)]  # type: ignore[attr-defined]
    assert all(end.state is None for end in done.ends)
    assert done.of(1)[str(WEEK)] is Status.DIVIDED


def test_parts_are_tried_less_often() -> None:
    """The first page of a part is tried two or three times, whatever the config says of others."""
    api = Api(days={(1, WEEK.start): SliceFault("busy", BUSY)})
    run(api, weeks(5))
    (_, first, _), *parts = api.of(1)
    assert first is None
    assert {len(window) > 1: attempts for window, attempts, _ in parts} == {True: 2, False: 3}


def test_one_request_for_all_poison() -> None:
    """Poisoned days are tried one at a time, once each, and none after one that failed."""
    days = [WEEK.start + ONE_DAY * number for number in (1, 3, 5)]
    cases = Cases(today=TODAY, poison=poison(1, *days))
    api = Api(days={(1, day): RefusedFault("wrong", WRONG) for day in days})
    plan = [Slice(account(1), Window(day, day)) for day in (days[1], days[0], days[2])]
    done = run(api, plan, cases)
    assert api.of(1) == [(Window(days[1], days[1]), 1, False)]
    assert sorted(end.status for end in done.ends) == [Status.FAILED, Status.SKIPPED, Status.SKIPPED]
    assert [(one.day, one.asked_on) for one in done.remembered if isinstance(one, Poison)] == [(days[1], TODAY)]
    done = run(Api(), plan, cases)
    assert {end.status for end in done.ends} == {Status.COMPLETE}
    assert {one.day for one in done.ward.cured} == set(days)
    assert done.ward.findings() == ([], [])


def test_poison_that_was_asked_for_today() -> None:
    """No poisoned day of an account is asked for twice on a day; other days of it are read."""
    cases = Cases(today=TODAY, poison=poison(1, WEEK.end, asked_on=TODAY))
    api = Api()
    rest = Window(WEEK.start, WEEK.end - ONE_DAY)
    done = run(api, [Slice(account(1), rest), Slice(account(1), Window(WEEK.end, WEEK.end))], cases)
    assert done.of(1) == {str(rest): Status.COMPLETE, str(Window(WEEK.end, WEEK.end)): Status.SKIPPED}
    assert all(WEEK.end not in window for window, *_ in api.of(1))


@pytest.mark.parametrize("fault", [RefusedFault("odd", Complaint(code=9)), SliceFault("busy", BUSY)])
def test_a_failing_account(fault: Exception) -> None:
    """An account of which nothing is answered is failing after a few requests; other nights one day stands for it."""
    api = Api(accounts={1: fault})
    done = run(api, weeks(6))
    assert len(api.of(1)) == ENOUGH
    [after] = done.remembered
    assert isinstance(after, Condition)
    assert after.state is State.FAILING
    api = Api(accounts={1: fault})
    done = run(api, weeks(6), Cases(today=TODAY, conditions={AccountId(1): after}, again=True))
    [(window, attempts, _)] = api.of(1)
    assert (len(window), attempts) == (1, 1)
    assert done.lost(1) == set(WEEK)
    done = run(Api(), weeks(6), Cases(today=TODAY, conditions={AccountId(1): after}, again=True))
    assert done.lost(1) == set()
    assert [one.state for one in done.ward.recovered] == [State.FAILING]


def test_a_failing_account_with_one_slice_a_night() -> None:
    """Where a day is all that is due, an account of which it fails is failing, not the day poisoned."""
    day = Window(WEEK.end, WEEK.end)
    done = run(Api(accounts={1: RefusedFault("wrong", WRONG)}), [Slice(account(n), day) for n in range(1, 6)])
    [after] = done.remembered
    assert isinstance(after, Condition)
    assert after.state is State.FAILING


@pytest.mark.parametrize("accounts", [1, 30, 200])
@pytest.mark.parametrize("fault", [RefusedFault("wrong", WRONG), SliceFault("busy", BUSY)])
def test_an_api_that_refuses_everybody(fault: Exception, accounts: int) -> None:
    """What fails for all is no account's own: nothing is remembered, and hardly anything divided."""
    api = Api(accounts=dict.fromkeys(range(1, accounts + 1), fault))
    done = run(api, weeks(accounts))
    assert done.remembered == []
    assert {end.status for end in done.ends} <= {Status.FAILED, Status.DIVIDED, Status.SKIPPED}
    assert all(done.lost(number) == set(WEEK) for number in range(1, accounts + 1))
    assert len(api.asked) <= accounts + FEW * (ENOUGH - 1)


def test_sick_accounts_may_come_first() -> None:
    """Where the first accounts of a plan are the bad ones, their slices are divided when the others were answered."""
    bad = {(number, WEEK.start + ONE_DAY): RefusedFault("wrong", WRONG) for number in range(1, 11)}
    done = run(Api(days=bad), weeks(150), workers=4)
    assert {number: done.lost(number) for number in range(1, 11)} == {
        number: {WEEK.start + ONE_DAY} for number in range(1, 11)
    }
    assert len(done.remembered) == 10


@pytest.mark.parametrize("code", [11017, 1000003, 12101])
def test_limits_are_no_poison(code: int) -> None:
    """What the API says of limits or clocks divides nothing."""
    fault = SliceFault("held back", Complaint(code=code))
    done = run(Api(days={(1, WEEK.start): fault}), weeks(5))
    assert (done.remembered, done.of(1)) == ([], {str(WEEK): Status.FAILED})


@pytest.mark.parametrize("fault", [TokenFault("dead"), SliceFault("no answer came")])
def test_silence_is_no_poison(fault: Exception) -> None:
    """A dead token, or that no answer came at all, divides nothing."""
    done = run(Api(days={(1, WEEK.start): fault}), weeks(5))
    assert (done.remembered, done.of(1)) == ([], {str(WEEK): Status.FAILED})


def test_silence_night_after_night() -> None:
    """Where an account failed lately, fails at once, in silence, and others are answered, its window is divided."""
    lately = Cases(today=TODAY, failed_lately=[AccountId(5)])
    done = run(Api(days={(5, WEEK.start): SliceFault("no answer came")}), weeks(5), lately)
    assert done.lost(5) == {WEEK.start}
    [found] = done.remembered
    assert isinstance(found, Poison)
    assert found.complaint.message == "no answer came"


def test_a_budget_that_ends_in_a_division() -> None:
    """When nothing more may be sent, the parts that were not begun are left for the next run."""

    class Ending(Api):
        async def fetch(self, account: Account, query: Query) -> Page | Refusal:
            if len(self.asked) == 2:
                raise QuotaSpent("over")
            return await super().fetch(account, query)

    done = run(Ending(days={(1, WEEK.start): RefusedFault("wrong", WRONG)}), weeks(1), workers=1)
    ended = [day for end in done.ends if end.status is not Status.DIVIDED for day in end.slice.window]
    assert sorted([*ended, *(day for one in done.aside for day in one.window)]) == list(WEEK)
    assert done.remembered == []


faults = st.sampled_from(
    [
        AccountFault("no", DENIED), RefusedFault("wrong", WRONG), SliceFault("busy", BUSY), SliceFault("silence"),
        SliceFault("held back", Complaint(code=11017)), TokenFault("dead"),
    ]
)  # fmt: skip
NUMBERS = st.integers(1, 4)
DAYS = st.sampled_from(list(WEEK))


@settings(max_examples=300)
@given(
    st.dictionaries(NUMBERS, faults, max_size=2),
    st.dictionaries(st.tuples(NUMBERS, DAYS), faults, max_size=3),
    st.dictionaries(NUMBERS, st.tuples(st.sampled_from(list(State)[:-1]), st.integers(0, 1)), max_size=3),
    st.lists(st.tuples(NUMBERS, DAYS, st.integers(0, 1)), max_size=3),
    st.integers(1, 6),
)
def test_any_ward(
    accounts: dict[int, Exception],
    days: dict[tuple[int, dt.date], Exception],
    conditions: dict[int, tuple[State, int]],
    poisoned: list[tuple[int, dt.date, int]],
    workers: int,
) -> None:
    """Whatever is wrong: every day ends once, what is well is complete, and what is not costs one request."""
    known = {AccountId(n): condition(n, state, TODAY - ONE_DAY * ago) for n, (state, ago) in conditions.items()}
    bad: dict[AccountId, dict[dt.date, Poison]] = {}
    for number, day, ago in poisoned:
        bad.setdefault(AccountId(number), {}).update(
            poison(number, day, asked_on=TODAY - ONE_DAY * ago)[AccountId(number)]
        )
    plan = list(_plan(bad))
    api = Api(accounts=accounts, days=days)
    done = run(api, plan, Cases(today=TODAY, conditions=known, poison=bad), workers)
    assert done.aside == []
    for number in range(1, 9):
        ended = [e for e in done.ends if e.slice.account.id == number and e.status is not Status.DIVIDED]
        assert sorted(day for end in ended for day in end.slice.window) == list(WEEK)
        sick = known.get(AccountId(number))
        asked_today = sick is not None and not sick.well and sick.asked_on == TODAY
        failed = [window for window, _, answered in api.of(number) if not answered]
        if asked_today:
            assert api.of(number) == []
        elif number in accounts and ((sick and not sick.well) or isinstance(accounts[number], AccountFault)):
            assert len(failed) <= 1 or isinstance(accounts[number], TokenFault)
        assert len(failed) <= 24
        here = {day: fault for (whose, day), fault in days.items() if whose == number}
        if number not in accounts and here.keys() <= bad.get(AccountId(number), {}).keys():
            assert len(failed) <= 1 or any(isinstance(fault, TokenFault) for fault in here.values())
        shut = any(poison.asked_on == TODAY for poison in bad.get(AccountId(number), {}).values())
        if number not in accounts and not any(whose == number for whose, _ in days) and not asked_today and not shut:
            assert done.lost(number) == set()
    for one in done.remembered:
        assert one.asked_on == TODAY


def _plan(bad: Mapping[AccountId, Mapping[dt.date, Poison]]) -> Iterator[Slice]:
    """A week of eight accounts; poisoned days are slices of their own, in the end."""
    for number in range(1, 9):
        days = [day for day in WEEK if day not in bad.get(AccountId(number), {})]
        while days:
            run_of = [day for index, day in enumerate(days) if day == days[0] + ONE_DAY * index]
            yield Slice(account(number), Window(run_of[0], run_of[-1]))
            days = days[len(run_of) :]
    for whose, found in bad.items():
        for day in found:
            yield Slice(account(whose), Window(day, day))

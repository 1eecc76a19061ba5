"""Walks that give days away, in a schedule with a client that needs no network; and whole simulated nights."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import anyio
import pytest

from harvester.calls import Calls
from harvester.errors import QuotaSpent
from harvester.harvest import sharing
from harvester.harvest.far import Far
from harvester.harvest.lane import Lane
from harvester.harvest.queue import Queue
from harvester.harvest.schedule import Schedule
from harvester.harvest.terms import Terms
from harvester.harvest.ward import Ward
from harvester.model import (
    ONE_DAY,
    Account,
    AccountId,
    AppName,
    Batch,
    End,
    Page,
    Query,
    Refusal,
    Slice,
    Status,
    TokenName,
    Window,
)  # fmt: skip
from harvester.sandbox.world import World
from tests.benchmarks.night import LATENCY_S, PER_MINUTE, simulate
from tests.flows import TODAY
from tests.harvest.test_schedule import Writer, stopped_after

pytestmark = pytest.mark.anyio
APP = AppName("app")
LAST = dt.date(2026, 3, 7)
WEEK = Window(LAST - ONE_DAY * 6, LAST)


def account(number: int) -> Account:
    """One of the app's."""
    return Account(id=AccountId(number), token=TokenName("token"), app=APP)


def slices(*numbers: int) -> Iterator[Slice]:
    """The week of some accounts."""
    return (Slice(account(number), WEEK) for number in numbers)


class Api:
    """So many pages a day of each account, ten calls each, descending, a second an answer; no second is shared."""

    def __init__(self, **pages_a_day: int) -> None:
        self.pages = {AccountId(int(name[1:])): pages for name, pages in pages_a_day.items()}
        self.open_at_once = 0
        self.asked: Counter[AccountId] = Counter()
        self.most: Counter[AccountId] = Counter()
        self._open: Counter[AccountId] = Counter()

    def starts(self, one: AccountId, window: Window) -> list[str]:
        """The truth, latest first."""
        seconds = range(10 * self.pages[one] - 1, -1, -1)
        days = sorted((day for day in window if WEEK.start <= day <= WEEK.end), reverse=True)
        return [str(dt.datetime.combine(day, dt.time(1)) + dt.timedelta(seconds=n)) for day in days for n in seconds]

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """See `Asks.fetch`."""
        self.asked[account.id] += 1
        self._open[account.id] += 1
        self.most[account.id] = max(self.most[account.id], self._open[account.id])
        await anyio.sleep(1)
        self._open[account.id] -= 1
        starts = self.starts(account.id, query.window)
        behind = [start for start in starts if query.after is None or start < query.after][:10]
        return Page(calls=Calls(behind, behind, [b"{}"] * len(behind)), total=len(starts))


async def night(api: Api, plan: Iterator[Slice], **terms: object) -> tuple[Writer, float]:
    """A schedule's run to its end, and how long it took, in seconds."""
    queue, began = Queue(), anyio.current_time()
    writer = Writer(queue)
    usual = Terms(page_size=10, workers=8, has_spare=lambda _: True)
    await Schedule(api, queue, lambda _: None, replace(usual, **terms)).run({APP: plan}, writer.drain)  # type: ignore[arg-type]
    return writer, anyio.current_time() - began


def assert_whole(writer: Writer, api: Api) -> None:
    """Every call landed once under the slice that ended as its day's, and each slice's messages are in order."""
    parts: dict[Slice, list[str]] = {}
    ended: list[Slice] = []
    for message in writer.messages:
        if isinstance(message, End):
            assert message.status is Status.COMPLETE
            assert all(dt.date.fromisoformat(start[:10]) in message.slice.window for start in parts[message.slice])
            ended.append(message.slice)
            continue
        if message.was is not None:
            assert message.state
            parts[message.slice] = parts.pop(message.was, [])
        assert not any(
            other.account == message.slice.account and other != message.slice and not _apart(other, message.slice)
            for other in parts
        ), "two slices have a day in common"
        parts.setdefault(message.slice, []).extend(call.start for call in message.calls)
    assert parts.keys() == set(ended)
    assert len(ended) == len(set(ended))
    for number in api.pages:
        mine = sorted(start for one, starts in parts.items() if one.account.id == number for start in starts)
        assert mine == sorted(api.starts(number, WEEK))


def _apart(one: Slice, other: Slice) -> bool:
    return one.window.end < other.window.start or other.window.end < one.window.start


# ── when others have nothing to do ────────────────────────────────────────────────────────────────────────────────────


async def test_idle_workers_take_over_days_of_the_longest_walk() -> None:
    """A week of 84 pages takes hardly longer than its longest day, and few requests more."""
    api = Api(a1=12)
    writer, took_s = await night(api, slices(1))
    assert_whole(writer, api)
    assert took_s <= 12 * 2 + 8
    assert api.asked[AccountId(1)] <= 84 + 9 + 2 * 6


async def test_without_a_permit_to_spare_nothing_is_given_away() -> None:
    """Then more walks would not be faster, and each costs requests."""
    api = Api(a1=12)
    writer, took_s = await night(api, slices(1), has_spare=lambda _: False)
    assert_whole(writer, api)
    assert len(writer.ends) == 1
    assert took_s >= 84


async def test_while_the_plan_has_slices_nothing_is_given_away() -> None:
    """Whoever is free begins another account first."""
    api = Api(a1=14, **{f"a{number}": 1 for number in range(2, 40)})
    writer, _ = await night(api, slices(*range(1, 40)), workers=8)
    assert_whole(writer, api)
    first = next(number for number, one in enumerate(writer.messages) if isinstance(one, Batch) and one.was)
    others = {one.slice.account.id for one in writer.messages[:first]}
    assert len(others) >= 39 - 8, "the last are asked for their first page"


async def test_what_is_hardly_worth_it_is_not_divided() -> None:
    """Few pages are read sooner than they are shared out."""
    api = Api(a1=1)
    writer, _ = await night(api, slices(1))
    assert len(writer.ends) == 1


# ── when a walk is too long ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_walk_that_is_too_long_is_divided_at_once() -> None:
    """After its first page, though nobody is idle and no permit is to spare; each part as long as days allow."""
    api = Api(a1=60, a2=1, a3=1)
    writer, _ = await night(api, slices(1, 2, 3), workers=1, has_spare=lambda _: False)
    assert_whole(writer, api)
    first = next(message for message in writer.messages if isinstance(message, Batch) and message.was)
    assert len([message for message in writer.messages if isinstance(message, Batch) and message.was]) == 1
    assert first is writer.messages[0]
    assert sorted(len(one.window) for one in writer.ends if one.account.id == 1) == [1, 2, 2, 2]
    assert api.asked[AccountId(1)] <= 1.13 * 420, "nine of ten calls of a page are new"


async def test_days_that_no_later_run_plans_are_not_given_away() -> None:
    """Should the run die, they would be nobody's."""
    api = Api(a1=60)
    within = Window(WEEK.start + ONE_DAY, WEEK.end)
    writer, _ = await night(api, slices(1), within=within)
    assert len(writer.ends) == 1


async def test_the_largest_account_leaves_workers_to_others() -> None:
    """One in four is its own while others have slices to begin; all are when nobody else has."""
    api = Api(a1=60, **{f"a{number}": 1 for number in range(2, 60)})
    writer, _ = await night(api, slices(*range(1, 60)), workers=8, has_spare=lambda _: False)
    assert_whole(writer, api)
    crowd = Api(a1=60)
    await night(crowd, slices(1), workers=8, has_spare=lambda _: False)
    assert crowd.most[AccountId(1)] >= 4


async def test_a_lane_s_shares() -> None:
    """Of an account that has its share of workers the next slice waits for one of them, or for the end of the plan."""
    days = [Slice(account(1), Window(day, day)) for day in WEEK]
    ward = Ward()
    lane = Lane(iter([*days, *slices(2)]), ward, workers=8)
    one = await lane.take()
    assert one
    ward.answered(one.slice)
    turns = [await lane.take() for _ in range(2)]
    assert [turn.slice for turn in turns if turn] == [days[1], Slice(account(2), WEEK)]
    assert set(lane.left()) == set(days[2:])
    lane.back(one.slice)
    again = await lane.take()
    assert again
    assert again.slice == days[2]
    rest = await lane.take()
    assert rest, "nobody else has anything to begin"
    assert rest.slice == days[3]
    lane.close()
    assert set(lane.left()) == set(days[4:])


# ── whatever ends the run ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 3.5, 6.5, 9.5, 20.5])
async def test_a_stop_keeps_what_was_given_away(seconds: float) -> None:
    """Open slices end with a state under the days that they kept; what was not begun of the rest is in the lane."""
    api, began = Api(a1=60), list[Slice]()
    queue = Queue()
    writer = Writer(queue)
    terms = Terms(page_size=10, workers=2, has_spare=lambda _: True)
    schedule = Schedule(api, queue, began.append, terms)
    async with anyio.create_task_group() as group:
        group.start_soon(schedule.run, {APP: slices(1)}, writer.drain)
        await anyio.sleep(seconds)
        schedule.stop()
    covered = [one.window for one in (*writer.ends, *schedule.aside())]
    assert sorted(day for window in covered for day in window) == list(WEEK)
    assert {status for status, _ in writer.ends.values()} == {Status.UNFINISHED}


async def test_what_is_given_away_waits_for_the_message_that_says_so() -> None:
    """However long the queue is full: its own messages, and those of a run that stops then, lose no day."""
    for stopping in (False, True):
        api, queue, began = Api(a1=60, a2=1, a3=1), Queue(max_messages=1), list[Slice]()
        writer = Writer(queue)
        schedule = Schedule(api, queue, began.append, Terms(page_size=10, workers=4))

        async def drain(schedule: Schedule = schedule, writer: Writer = writer, *, stop: bool = stopping) -> None:
            await anyio.sleep(5)
            if stop:
                schedule.stop()
                await anyio.sleep(1)
            await writer.drain()

        await schedule.run({APP: slices(2, 3, 1)}, drain)
        covered = [one.window for one in (*writer.ends, *schedule.aside()) if one.account.id == 1]
        assert sorted(day for window in covered for day in window) == list(WEEK)
        if not stopping:
            assert_whole(writer, api)


async def test_a_run_goes_on_with_what_another_one_narrowed() -> None:
    """The narrowed slice goes on from its state, what was given away is walked as its own: together all calls."""
    first = await stopped_after(9.5, Api(a1=20), Terms(page_size=10, workers=2, has_spare=lambda _: True), slices(1))
    begun = {message.slice: message.state for message in first.messages if isinstance(message, End) and message.state}
    assert begun
    assert any(len(one.window) < 7 for one in begun)
    days = {day for one in begun for day in one.window}
    due = [Slice(account(1), Window(day, day)) for day in WEEK if day not in days]
    second, _ = await night(Api(a1=20), iter([*begun, *due]), begun=begun)
    assert {status for status, _ in second.ends.values()} == {Status.COMPLETE}
    batches = [one for one in (*first.messages, *second.messages) if isinstance(one, Batch)]
    assert {call.start for one in batches for call in one.calls} == set(Api(a1=20).starts(AccountId(1), WEEK))


async def test_a_spent_quota_leaves_what_was_given_away() -> None:
    """Nothing more is sent for the app; every day is of a slice that is unfinished or was not begun."""

    class SpentApi(Api):
        async def fetch(self, account: Account, query: Query) -> Page | Refusal:
            if self.asked.total() > 12:
                raise QuotaSpent("over")
            return await super().fetch(account, query)

    queue = Queue()
    writer = Writer(queue)
    schedule = Schedule(SpentApi(a1=60), queue, lambda _: None, Terms(page_size=10, workers=2))
    await schedule.run({APP: slices(1)}, writer.drain)
    covered = [one.window for one in (*writer.ends, *schedule.aside())]
    assert sorted(day for window in covered for day in window) == list(WEEK)


# ── the policy ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pages", "others", "at_once", "for_others"),
    [(9, [], None, None), (12, [0, 10], None, 6), (40, [34], None, 20), (40, [35], None, None), (151, [], 100, 75)],
)
def test_who_gives_away_and_how_much_is_kept(
    pages: int, others: Sequence[int], at_once: int | None, for_others: int | None
) -> None:
    """The walk that could give most away gives half, if that is worth it; one that is too long keeps a length."""
    far = partial(Far, window=WEEK, reached=LAST, later=False)(pages=pages)
    assert sharing.kept_at_once(far) == at_once
    assert sharing.kept_for_others(far, others) == for_others


# ── a whole night ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("skew", [1.0, 2.0])
def test_no_account_decides_when_the_night_ends(skew: float, *, known: bool) -> None:
    """A fleet whose largest account has a fifth, or three fifths, of all calls: hardly longer than its bound allows."""
    night = simulate(World(accounts=100, calls_per_day=100, skew=skew, today=TODAY), 1, known=known)
    [(app, quota)] = night.quotas.items()
    bound_s = max(quota.sent / PER_MINUTE * 60, night.chain[app] * LATENCY_S)
    assert set(night.ends) == {Status.COMPLETE}
    assert night.last_at[app] <= 1.02 * bound_s + 15, "in its last seconds there are walks that cannot be divided"
    assert quota.sent <= 1.03 * night.least[app]

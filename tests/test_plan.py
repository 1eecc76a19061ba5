import tracemalloc
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from itertools import groupby, islice, pairwise
from random import Random
from typing import overload

from hypothesis import given
from hypothesis import strategies as st

from harvester.model import ONE_DAY, Account, AccountId, AppName, Slice, TokenName, Window
from harvester.plan import SLICE_DAYS, Cost, Earlier, Scope, plan, thrifty_plan

TODAY = date(2024, 3, 5)
Complete = Mapping[AccountId, AbstractSet[date]]


def account(number: int) -> Account:
    """One of the accounts that take turns."""
    return Account(id=AccountId(number), token=TokenName("agency-a"), app=AppName("main"))


def days_ago(oldest: int, latest: int) -> Window:
    """A window by the ages of its days."""
    return Window(TODAY - timedelta(days=oldest), TODAY - timedelta(days=latest))


def planned(accounts: Sequence[Account], scope: Scope, complete: Complete) -> list[Slice]:
    """The whole plan."""
    return list(plan(accounts, scope, lambda block: within(complete, block)))


def within(complete: Complete, block: Window) -> dict[AccountId, set[date]]:
    """What a ledger answers: the complete days of a block."""
    return {key: {day for day in days if day in block} for key, days in complete.items()}


windows = st.builds(lambda latest, length: days_ago(latest + length, latest), st.integers(-3, 40), st.integers(0, 100))
scopes = st.builds(
    Scope, window=windows, today=st.just(TODAY), reread_days=st.none() | st.integers(0, 40), again=st.booleans()
)
completes = st.dictionaries(
    st.integers(1, 4).map(AccountId), st.sets(st.integers(-3, 140).map(lambda age: TODAY - timedelta(days=age)))
)
account_lists = st.integers(0, 4).map(lambda count: [account(number + 1) for number in range(count)])


@given(account_lists, scopes, completes)
def test_exactly_the_due_days(accounts: list[Account], scope: Scope, complete: Complete) -> None:
    """The slices of an account hold each of its due days once, and no other day."""
    slices = planned(accounts, scope, complete)
    for one in accounts:
        found = [day for each in slices if each.account == one for day in each.window]
        assert len(found) == len(set(found))
        assert set(found) == {
            day
            for day in scope.window
            if scope.again
            or day not in complete.get(one.id, set())
            or (scope.reread_days is not None and (TODAY - day).days <= scope.reread_days)
        }
    assert {each.account.id for each in slices} <= {one.id for one in accounts}


@given(account_lists, scopes, completes)
def test_sizes_and_order(accounts: list[Account], scope: Scope, complete: Complete) -> None:
    """Slices are of 30 days at most; the latest days come first, and of those the accounts in turn."""
    slices = planned(accounts, scope, complete)
    assert all(len(one.window) <= SLICE_DAYS for one in slices)

    def block(one: Slice) -> int:
        return (scope.window.end - one.window.end).days // SLICE_DAYS

    assert all(block(one) == (scope.window.end - one.window.start).days // SLICE_DAYS for one in slices)
    turns = [(block(one), one.account.id, one.window.start) for one in slices]
    assert turns == sorted(turns)
    assert all(
        earlier.window.end + ONE_DAY < later.window.start
        for _, same in groupby(slices, key=lambda one: (block(one), one.account.id))
        for earlier, later in pairwise(same)
    )


def test_slices_stay_within_the_api_s_limit() -> None:
    """A slice's days differ by 29 at most, so that a day more, should `end_date` be exclusive, is within 30."""
    [first, *_] = planned([account(1)], Scope(window=days_ago(365, 1), today=TODAY), {})
    assert (first.window.end - first.window.start).days == 29


def test_nothing_known() -> None:
    """The first night reads every day of every account."""
    accounts = [account(number) for number in (3, 1, 2)]
    slices = planned(accounts, Scope(window=days_ago(7, 1), today=TODAY), {})
    assert slices == [Slice(one, days_ago(7, 1)) for one in accounts]


def test_old_complete_days_are_skipped() -> None:
    """Complete days older than `reread_days` are not read again, those in between that are not complete are."""
    complete = {AccountId(1): set(days_ago(20, 1)) - {TODAY - timedelta(days=12)}}
    slices = planned([account(1)], Scope(window=days_ago(20, 1), today=TODAY, reread_days=7), complete)
    assert [one.window for one in slices] == [days_ago(12, 12), days_ago(7, 1)]


def test_again() -> None:
    """`again` reads complete days too, whatever their age."""
    complete = {AccountId(1): set(days_ago(20, 1))}
    slices = planned([account(1)], Scope(window=days_ago(20, 1), today=TODAY, reread_days=None, again=True), complete)
    assert [one.window for one in slices] == [days_ago(20, 1)]


def test_nothing_is_reread() -> None:
    """Without `reread_days` a complete day is never read again, and with nothing due there are no slices."""
    complete = {AccountId(1): set(days_ago(20, 0))}
    assert planned([account(1)], Scope(window=days_ago(20, 0), today=TODAY, reread_days=None), complete) == []


def test_today() -> None:
    """Today, which no ledger holds complete, is due in every run."""
    complete = {AccountId(1): set(days_ago(3, 1))}
    slices = planned([account(1)], Scope(window=days_ago(3, 0), today=TODAY, reread_days=None), complete)
    assert [one.window for one in slices] == [days_ago(0, 0)]


class Countless(Sequence[Account]):
    """A thousand million accounts, made when they are asked for."""

    def __init__(self) -> None:
        self.made = 0

    def __len__(self) -> int:
        return 10**9

    @overload
    def __getitem__(self, at: int) -> Account: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Account]: ...

    def __getitem__(self, at: int | slice) -> Account | Sequence[Account]:
        assert isinstance(at, int)
        self.made += 1
        return account(at + 1)


def test_laziness() -> None:
    """The first slices come when only their own accounts were looked at, and one block of days was asked for."""
    accounts, asked = Countless(), list[Window]()

    def complete_days(block: Window) -> Complete:
        asked.append(block)
        return {}

    slices = plan(accounts, Scope(window=days_ago(3650, 1), today=TODAY), complete_days)
    assert (accounts.made, asked) == (0, [])
    assert [one.account.id for one in islice(slices, 3)] == [1, 2, 3]
    assert accounts.made == 3
    assert asked == [days_ago(30, 1)]


def test_flat_memory() -> None:
    """However many slices a plan gives, it holds none of them."""
    slices = plan(Countless(), Scope(window=days_ago(3650, 1), today=TODAY), lambda _: {})
    next(slices)
    tracemalloc.start()
    try:
        for _ in islice(slices, 2_000):
            pass
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000


def test_blocks_are_asked_for_once() -> None:
    """The ledger is asked once for each 30 days, the latest first, when the plan gets there."""
    asked: list[Window] = []

    def complete_days(block: Window) -> Complete:
        asked.append(block)
        return {}

    scope = Scope(window=days_ago(70, 1), today=TODAY)
    for one in plan([account(1), account(2)], scope, complete_days):
        assert one.window == asked[-1]
    assert asked == [days_ago(30, 1), days_ago(60, 31), days_ago(70, 61)]


begun_slices = st.lists(
    st.builds(
        lambda number, oldest, length: Slice(account(number), days_ago(oldest, max(oldest - length, -3))),
        st.integers(1, 4),
        st.integers(-2, 100),
        st.integers(0, 29),
    ),
    max_size=3,
    unique_by=lambda one: one.account.id,
)


@given(account_lists, scopes, completes, begun_slices, completes)
def test_what_was_begun_and_what_is_queued(
    accounts: list[Account], scope: Scope, complete: Complete, some: list[Slice], queued: Complete
) -> None:
    """Begun slices come first, as they are; queued days come too; no day comes twice, no due day is left out."""
    begun = [one for one in some if one.account in accounts and one.window.start in scope.window]
    slices = list(plan(accounts, scope, lambda block: within(complete, block), Earlier(begun=begun, queued=queued)))
    due = planned(accounts, scope, complete)
    assert slices[: len(begun)] == begun
    for one in accounts:
        found = [day for each in slices if each.account == one for day in each.window]
        wanted = {day for each in (*due, *begun) if each.account == one for day in each.window}
        assert len(found) == len(set(found))
        assert set(found) == wanted | {day for day in queued.get(one.id, ()) if day not in scope.window and day < TODAY}
    assert all(len(each.window) <= SLICE_DAYS for each in slices if each not in begun)


def test_queued_days_come_last() -> None:
    """Days that lie outside of the window and are to be read come after those of tonight, gathered into slices."""
    queued = {AccountId(1): {TODAY - timedelta(days=age) for age in (100, 99, 98, 50, 3)}}
    scope = Scope(window=days_ago(7, 1), today=TODAY)
    slices = list(plan([account(1)], scope, lambda block: within({}, block), Earlier(queued=queued)))
    assert [one.window for one in slices] == [days_ago(7, 1), days_ago(100, 98), days_ago(50, 50)]


def test_queued_days_that_cannot_be_read() -> None:
    """A queued day that is not over, or older than any call, is left alone."""
    queued = {AccountId(1): {date.min, date.max, TODAY, TODAY + ONE_DAY, date(1999, 12, 31), date(2000, 1, 1)}}
    slices = list(plan([account(1)], Scope(window=days_ago(1, 1), today=TODAY), lambda _: {}, Earlier(queued=queued)))
    assert [one.window for one in slices] == [days_ago(1, 1), Window(date(2000, 1, 1), date(2000, 1, 1))]


def test_what_was_completed_tonight_is_not_read_again() -> None:
    """Young days that an interrupted run of this night completed are left out, with `again` too; others are not."""
    complete = {AccountId(1): set(days_ago(7, 1)) - {TODAY - timedelta(days=5)}}
    earlier = Earlier(tonight={AccountId(1): [days_ago(7, 6), days_ago(5, 3)]})
    for again in (False, True):
        scope = Scope(window=days_ago(7, 1), today=TODAY, again=again)
        slices = list(plan([account(1), account(2)], scope, lambda block: within(complete, block), earlier))
        assert slices == [
            Slice(account(1), days_ago(5, 5)), Slice(account(1), days_ago(2, 1)), Slice(account(2), days_ago(7, 1)),
        ]  # fmt: skip


def one_each(one: Slice) -> float:  # noqa: ARG001 - a cost
    """Every slice costs a request."""
    return 1.0


def thrifty(
    accounts: Sequence[Account],
    scope: Scope,
    complete: Complete,
    earlier: Earlier | None = None,
    cost: Cost = one_each,
) -> list[Slice]:
    """The whole thrifty plan."""
    return list(thrifty_plan(accounts, scope, lambda block: within(complete, block), cost, earlier))


def lacking(one: Slice, complete: Complete) -> date | None:
    """The oldest day of a slice that is not complete."""
    return next((day for day in one.window if day not in complete.get(one.account.id, set())), None)


def dear(one: Slice) -> float:
    """Some cost or other, by which slices differ and also not."""
    return float((one.account.id * 7 + one.window.start.toordinal() * 3) % 5)


earliers = st.builds(
    lambda begun, queued, tonight: Earlier(begun=begun, queued=queued, tonight=tonight),
    begun_slices,
    completes,
    st.dictionaries(st.integers(1, 4).map(AccountId), st.lists(windows, max_size=2)),
)


@given(account_lists, scopes, completes, earliers)
def test_both_orders_give_the_same_slices(
    accounts: list[Account], scope: Scope, complete: Complete, earlier: Earlier
) -> None:
    """A budget changes the order and nothing else; what was begun comes first in both."""
    usual = list(plan(accounts, scope, lambda block: within(complete, block), earlier))
    slices = thrifty(accounts, scope, complete, earlier, dear)
    assert len(slices) == len(usual)
    assert set(slices) == set(usual)
    assert slices[: len(earlier.begun)] == list(earlier.begun)


@given(account_lists, scopes, completes, completes)
def test_debts_are_paid_oldest_and_cheapest_first(
    accounts: list[Account], scope: Scope, complete: Complete, queued: Complete
) -> None:
    """Debts by 30 days, oldest lacking day, cost and account, queued days in their place; then what is read again."""
    slices = thrifty(accounts, scope, complete, Earlier(queued=queued), dear)
    ages = [lacking(one, complete) if one.window.start in scope.window else one.window.start for one in slices]
    debts = [(one, day) for one, day in zip(slices, ages, strict=True) if day]
    assert [one for one, _ in debts] == slices[: len(debts)], "a debt comes after what is only read again"

    def block(one: Slice) -> int:
        return (scope.window.end - one.window.start).days // SLICE_DAYS

    turns = [(-block(one), day, dear(one), one.account.id) for one, day in debts]
    assert turns == sorted(turns)
    again = slices[len(debts) :]
    usual = list(plan(accounts, scope, lambda block: within(complete, block), Earlier(queued=queued)))
    assert again == [one for one in usual if one in set(again)], "what is read again keeps its usual order"


@given(account_lists, scopes, completes, earliers, st.randoms(use_true_random=False))
def test_no_day_comes_twice_though_the_ledger_moves_on(
    accounts: list[Account], scope: Scope, complete: Complete, earlier: Earlier, chance: Random
) -> None:
    """While slices are completed or fail, the plan gives what it would have given without that, and no day twice."""
    moving = {account: set(days) for account, days in complete.items()}
    slices = []
    for one in thrifty_plan(accounts, scope, lambda block: within(moving, block), dear, earlier):
        slices.append(one)
        if chance.random() < 0.7:
            moving.setdefault(one.account.id, set()).update(one.window)
    days = [(one.account.id, day) for one in slices for day in one.window]
    assert len(days) == len(set(days))
    assert set(slices) == set(thrifty(accounts, scope, complete, earlier, dear))


def test_a_thrifty_night() -> None:
    """Who failed for days comes before who lacks yesterday only, small before large, and who lacks nothing is last."""
    complete = {AccountId(number): set(days_ago(8, 2)) for number in (1, 2, 3)}
    complete[AccountId(2)] -= {TODAY - timedelta(days=5)}
    complete[AccountId(4)] = set(days_ago(8, 1))
    scope = Scope(window=days_ago(7, 1), today=TODAY)
    costs = {1: 9.0, 2: 99.0, 3: 2.5, 4: 0.0}
    slices = thrifty([account(n) for n in (1, 2, 3, 4)], scope, complete, cost=lambda one: costs[one.account.id])
    assert [one.account.id for one in slices] == [2, 3, 1, 4]
    assert {one.window for one in slices} == {days_ago(7, 1)}


def test_queued_days_are_debts_of_their_age() -> None:
    """Days queued for healing come where their age puts them, before younger debts of the window and after older."""
    queued = {AccountId(1): {TODAY - timedelta(days=age) for age in (200, 20, 2)}}
    scope = Scope(window=days_ago(60, 10), today=TODAY)
    complete = {AccountId(1): set(days_ago(59, 10)) - {TODAY - timedelta(days=20)}}
    slices = thrifty([account(1)], scope, complete, Earlier(queued=queued))
    assert [one.window for one in slices] == [days_ago(age, age) for age in (200, 60, 20, 2)]


def test_debts_are_put_in_order_30_days_at_a_time() -> None:
    """The ledger is asked and slices are priced one block after the other, the oldest first; nothing is read ahead."""
    asked: list[Window] = []
    priced: list[Slice] = []

    def complete_days(block: Window) -> Complete:
        asked.append(block)
        return {}

    def cost(one: Slice) -> float:
        priced.append(one)
        return 1.0

    scope = Scope(window=days_ago(70, 1), today=TODAY)
    slices = thrifty_plan([account(2), account(1)], scope, complete_days, cost)
    assert (asked, priced) == ([], [])
    assert next(slices) == Slice(account(1), days_ago(70, 61))
    assert asked == [days_ago(70, 61)]
    assert [one.window for one in priced] == asked * 2
    assert [one.account.id for one in slices] == [2, 1, 2, 1, 2]
    assert asked == [days_ago(70, 61), days_ago(60, 31), days_ago(30, 1), days_ago(30, 1)]
    assert len(priced) == 6


def test_only_debts_are_priced() -> None:
    """What is only read again is neither priced nor held: its order does not depend on it."""
    complete = {AccountId(1): set(days_ago(70, 1))}
    scope = Scope(window=days_ago(70, 1), today=TODAY, again=True)
    priced: list[Slice] = []

    def cost(one: Slice) -> float:
        priced.append(one)
        return 1.0

    slices = thrifty([account(1)], scope, complete, cost=cost)
    assert [one.window for one in slices] == [days_ago(30, 1), days_ago(60, 31), days_ago(70, 61)]
    assert priced == []


def test_a_thrifty_plan_holds_one_block() -> None:
    """However long the window, memory is for the slices of 30 days, and a bit for each day that was given."""
    accounts, scope = (
        [account(number) for number in range(100)],
        Scope(window=days_ago(900, 1), today=TODAY, again=True),
    )
    slices = thrifty_plan(accounts, scope, lambda _: {}, one_each)
    next(slices)
    tracemalloc.start()
    try:
        count = sum(1 for _ in slices)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100 * 30 - 1
    assert peak_bytes < 150_000, "a list of all slices would take 600 kB"


poisons = st.dictionaries(
    st.integers(1, 4).map(AccountId),
    st.lists(st.integers(-3, 140).map(lambda age: TODAY - timedelta(days=age)), unique=True),
)


@given(account_lists, scopes, completes, poisons, completes)
def test_poisoned_days_are_slices_of_their_own(
    accounts: list[Account],
    scope: Scope,
    complete: Complete,
    poisoned: Mapping[AccountId, list[date]],
    queued: Complete,
) -> None:
    """In both orders the same days are due; those that are poisoned stand alone, an account's in the order given."""
    earlier, plain = Earlier(poisoned=poisoned, queued=queued), Earlier(queued=queued)

    def known(block: Window) -> dict[AccountId, set[date]]:
        return within(complete, block)

    def days(slices: list[Slice]) -> list[tuple[AccountId, date]]:
        return sorted((one.account.id, day) for one in slices for day in one.window)

    orders = [
        (list(plan(accounts, scope, known, one)), list(thrifty_plan(accounts, scope, known, lambda _: 1.0, one)))
        for one in (earlier, plain)
    ]
    for with_poison, without in zip(*orders, strict=True):
        assert days(with_poison) == days(without)
        for account_id, bad in poisoned.items():
            mine = [one.window for one in with_poison if one.account.id == account_id]
            alone = [window.start for window in mine if any(day in bad for day in window)]
            assert all(len(window) == 1 for window in mine if any(day in bad for day in window))
            assert alone == [day for day in bad if day in alone]
    assert set(orders[0][0]) == set(orders[0][1])


def test_poisoned_days_come_among_the_others() -> None:
    """One after each slice, so that well ones are answered in between; what is left of them in the end."""
    three = [account(number) for number in (1, 2, 3)]
    week = Scope(window=days_ago(7, 1), today=TODAY)
    bad = [TODAY - timedelta(days=age) for age in (1, 2, 3, 4, 5)]
    earlier = Earlier(poisoned={three[0].id: bad})
    rest = [Slice(three[0], days_ago(7, 6)), *(Slice(one, days_ago(7, 1)) for one in three[1:])]
    alone = [Slice(three[0], Window(day, day)) for day in bad]
    expected = [rest[0], alone[0], rest[1], alone[1], rest[2], *alone[2:]]
    assert list(plan(three, week, lambda _: {}, earlier)) == expected
    assert list(thrifty_plan(three, week, lambda _: {}, lambda _: 1.0, earlier)) == expected


def test_a_poisoned_day_that_was_begun() -> None:
    """What was begun has its days already: no day comes twice."""
    first = account(1)
    scope, bad = Scope(window=days_ago(7, 1), today=TODAY), TODAY - timedelta(days=3)
    begun = Slice(first, days_ago(7, 2))
    slices = list(plan([first], scope, lambda _: {}, Earlier(begun=[begun], poisoned={first.id: [bad]})))
    assert slices == [begun, Slice(first, days_ago(1, 1))]

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import pytest

from harvester.calls import Call, Calls
from harvester.harvest.findings import Findings
from harvester.harvest.walk import Walk
from harvester.model import Page, Query, Refusal
from tests.harvest.model_api import End, Entry, Limit, ModelApi, Order, Outcome, Switches
from tests.harvest.test_walk import ACCOUNT, PAGE, at, window_of
from tests.harvest.test_walk_resumed import Leg, in_legs, verdict


@dataclass(frozen=True, slots=True)
class Odd:
    """An API that does to each page what none should, and what it holds."""

    entries: list[Entry]
    spoil: Callable[[Page], Page]
    days: int = 3

    def walk(self, order: Order, legs: tuple[Leg, ...] = ()) -> Outcome:
        """A walk over it."""
        return in_legs(OddApi(self, order), window_of(self.days), legs)


class OddApi(ModelApi):
    """`Odd`, to be asked."""

    def __init__(self, odd: Odd, order: Order) -> None:
        super().__init__(odd.entries, Switches(order=order), Random(11))  # noqa: S311 - a model, not a secret
        self._spoil = odd.spoil

    def answer(self, query: Query) -> Page | Refusal:
        """The model's answer, spoilt."""
        page = super().answer(query)
        return self._spoil(page) if isinstance(page, Page) else page


HOURLY = [entry for day in range(3) for hour in range(10, 20) for entry in at(day, f"{hour}:00:00")]
ODD = {
    "in no order": Odd(HOURLY, lambda page: replace(page, calls=Calls.of([*page.calls[1:], *page.calls[:1]]))),
    "counts one too many": Odd(HOURLY, lambda page: replace(page, total=(page.total or 0) + 1)),
    "counts one too many, a month": Odd(
        [entry for day in range(31) for entry in at(day, "10:00:00") + at(day, "11:00:00")],
        lambda page: replace(page, total=(page.total or 0) + 1),
        days=31,
    ),
}


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_costs_no_call_wherever_the_walk_was_stopped(name: str, order: Order) -> None:
    """What contradicts order or count: all lands, and a walk in two legs says of it what a walk in one does."""
    odd = ODD[name]
    whole = odd.walk(order)
    assert sum(map(len, whole.landed.values())) == len(odd.entries)
    assert whole.complete is (name == "in no order"), whole.receipt
    for answers in range(0, whole.requests, 1 + whole.requests // 40):
        outcome = odd.walk(order, (Leg(answers),))
        assert verdict(outcome.receipt) == verdict(whole.receipt), (answers, outcome.receipt)
        assert outcome.landed == whole.landed, answers


@pytest.mark.parametrize("order", Order)
def test_a_call_that_vanished_before_the_count_stands_in_for_no_other(order: Order) -> None:
    """Stopped within its first page, a reading begins again: what it met before is not held against a new count."""
    tie = at(0 if order is Order.ASC else 2, "10:00:00", 5)
    others = [entry for hour in range(10, 18) for entry in at(1, f"{hour}:00:00")]
    switches = Switches(order=order, limit=Limit.CLAMP_ECHO_ASKED, largest=5, end=End.INCLUSIVE)
    api = ModelApi([*(replace(entry, vanishes=1) for entry in tie[:4]), tie[4], *others], switches)
    outcome = in_legs(api, window_of(3), [Leg(1)], page_size=10, findings=Findings(end_inclusive=True))
    assert not outcome.missing(api.throughout(window_of(3))), outcome.receipt
    assert (outcome.receipt.distinct, outcome.receipt.counted) == (9, 9)


def test_a_count_that_stays_wrong_is_given_up() -> None:
    """Mending ends when it has cost enough; the days that it left are said to be short."""
    receipt = ODD["counts one too many, a month"].walk(Order.DESC).receipt
    assert receipt.counted is not None
    assert receipt.counted - receipt.distinct < 31, "each day was counted alone"
    assert len(receipt.short_days) == 31


def test_a_call_of_other_dates_is_quarantined_once() -> None:
    """What was not asked for is handed on as a stray, and not again by a resumed walk that begins its page again."""
    walk = Walk(ACCOUNT, window_of(3), page_size=PAGE)
    query = walk.begin()
    assert isinstance(query, Query)
    page = Page(calls=Calls.of([Call(f"foreign {i}", "2024-01-01 10:00:00", b"{}") for i in range(PAGE)]), total=30)
    step = walk.take(page)
    assert [stray.key for stray in step.strays] == [f"outside foreign {i}" for i in range(PAGE)]
    assert not step.calls
    resumed = Walk.resume(walk.state(), ACCOUNT, window_of(3), page_size=PAGE, findings=Findings())
    assert resumed is not None
    assert isinstance(resumed.begin(), Query)
    assert resumed.take(page).strays == []


def test_a_walk_covers_no_more_days_than_a_request() -> None:
    """32 days are refused where they are asked for."""
    with pytest.raises(ValueError, match="at most 31 days"):
        Walk(ACCOUNT, window_of(32))

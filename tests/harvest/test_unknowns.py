import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.calls import Call, Calls
from harvester.harvest.checkup.unknowns import BUDGET, CALM_DAYS, DAYS, SIZES, Unknowns
from harvester.health import Hint, Question
from harvester.model import ONE_DAY, AccountId, Page, Refusal
from tests.harvest.model_api import Cursor, End, Entry, Limit, ModelApi, Order, Switches, Ties, Total

ACCOUNT = AccountId(20458)
TODAY = dt.date(2024, 3, 31)
LAST = TODAY - ONE_DAY * CALM_DAYS
NOW = 1_711_000_000.0


def busy(days: int = DAYS, a_day: int = 40, pairs: int = 3, midnight: int = 0) -> list[Entry]:
    """An account's calls: spread over each day, some seconds shared by two, some calls at 00:00:00."""
    entries = []
    for age in range(days):
        day = LAST - ONE_DAY * age
        seconds = [600 + 1800 * number % 86_000 + number for number in range(a_day)]
        seconds += seconds[:pairs] + [0] * midnight
        for number, second in enumerate(seconds):
            clock = dt.time(second // 3600, second // 60 % 60, second % 60)
            entries.append(Entry(id=f"{number * 7919 % 10007:05d}-{day:%m%d}", start=f"{day} {clock}"))
    return entries


def ask(entries: Sequence[Entry], switches: Switches, budget: int = BUDGET) -> tuple[dict[Question, Hint], Unknowns]:
    """Finds out what can be found out over a model; each question once, and no more requests than allowed."""
    api, unknowns = ModelApi(entries, switches, Random(5)), Unknowns(ACCOUNT, TODAY, budget)  # noqa: S311 - a model
    query, asked = unknowns.begin(), 0
    while query is not None:
        asked += 1
        assert query.exploratory
        assert (query.window.end - query.window.start).days <= 30
        query = unknowns.take(api.answer(query))
    assert asked == unknowns.requests <= budget
    hints = unknowns.hints(NOW)
    assert len({hint.question for hint in hints}) == len(hints)
    assert all(hint.evidence and hint.at == NOW for hint in hints)
    return {hint.question: hint for hint in hints}, unknowns


def truth(switches: Switches) -> dict[Question, set[str | None]]:
    """What may be said of a model without being false, by question; `None` may always be said."""
    capped = switches.total is Total.ABSENT
    return {
        Question.ORDER: {"ascending" if switches.order is Order.ASC else "descending"},
        Question.CURSOR: {switches.cursor.value},
        Question.TIES: {"kept" if switches.ties is Ties.STABLE else "changing"},
        Question.END_DATE: {"inclusive" if switches.end is End.INCLUSIVE else "exclusive"},
        Question.TOTAL: set() if capped else {"the rest" if switches.total is Total.REST else "the window"},
        Question.PAGE_TOTAL: set() if capped else {"the window"},
        Question.PAGE_SIZE: _page_sizes(switches),
        Question.REFUSED_SIZE: _refused(switches),
    }


def _page_sizes(switches: Switches) -> set[str | None]:
    """A size that is served in full, or the most that is given."""
    if switches.limit in {Limit.NONE, Limit.REFUSE}:
        return {str(size) for size in SIZES if switches.limit is Limit.NONE or size <= switches.largest}
    return {str(min(size, switches.largest)) for size in SIZES}


def _refused(switches: Switches) -> set[str | None]:
    too_deep = {str(size) for size in SIZES if switches.depth is not None and size > switches.depth}
    too_large = {str(size) for size in SIZES if switches.limit is Limit.REFUSE and size > switches.largest}
    return {*too_deep, *too_large}


def is_true(found: dict[Question, Hint], switches: Switches) -> None:
    """Asserts that nothing false was said."""
    for question, true in truth(switches).items():
        if question in found and found[question].answer is not None:
            assert found[question].answer in true, f"{found[question]} of {switches}"


@pytest.mark.parametrize(
    ("order", "cursor", "ties", "total", "end"),
    list(product(Order, Cursor, Ties, (Total.WHOLE, Total.REST), End)),
)
def test_a_busy_account_shows_everything(order: Order, cursor: Cursor, ties: Ties, total: Total, end: End) -> None:
    """In every mode each question is answered rightly; only a cursor that does nothing shows no total after it."""
    switches = Switches(order=order, cursor=cursor, ties=ties, total=total, end=end, limit=Limit.REFUSE, largest=200)
    found, _ = ask(busy(midnight=1), switches)
    is_true(found, switches)
    answers = {question: hint.answer for question, hint in found.items()}
    assert (answers[Question.PAGE_SIZE], answers[Question.REFUSED_SIZE]) == ("200", "500")
    unknown = {question for question, answer in answers.items() if answer is None}
    assert unknown == ({Question.TOTAL} if cursor is Cursor.IGNORED else set())
    assert found[Question.CURSOR].odd is (cursor is Cursor.IGNORED)


@pytest.mark.parametrize(
    ("limit", "largest", "answer", "says"),
    [
        (Limit.REFUSE, 100, "100", "100 came when so many were asked for"),
        (Limit.REFUSE, 150, "100", "100 came when so many"),
        (Limit.CLAMP, 200, "200", "page_size in the answer says so"),
        (Limit.CLAMP_ECHO_ASKED, 200, "200", "without a word"),
        (Limit.CLAMP_NO_ECHO, 70, "70", "without a word"),
        (Limit.NONE, 1, "1000", "1,000 came"),
    ],
)
def test_how_large_a_page_may_be(limit: Limit, largest: int, answer: str, says: str) -> None:
    """Refused, clamped, clamped in silence: what is said is what a page can hold."""
    switches = Switches(limit=limit, largest=largest)
    found, _ = ask(busy(), switches)
    is_true(found, switches)
    assert found[Question.PAGE_SIZE].answer == answer
    assert says in found[Question.PAGE_SIZE].evidence
    assert (Question.REFUSED_SIZE in found) is (limit is Limit.REFUSE)


@pytest.mark.parametrize("entries", [[], busy(days=1, a_day=1, pairs=0), busy(days=1, a_day=3, pairs=0)])
def test_too_few_calls_show_nothing(entries: list[Entry]) -> None:
    """Of an account without calls nothing is said, and few requests are spent on it."""
    found, unknowns = ask(entries, Switches())
    shown = {question for question, hint in found.items() if hint.answer is not None}
    assert shown <= {Question.END_DATE}
    assert unknowns.requests <= 6
    assert "too few" in found[Question.ORDER].evidence


def test_everything_is_refused() -> None:
    """Where no page size is served, that is said, and nothing else."""
    found, unknowns = ask(busy(), Switches(limit=Limit.REFUSE, largest=5))
    assert {question: hint.answer for question, hint in found.items()} == {Question.PAGE_SIZE: None}
    assert unknowns.requests == len(SIZES)


def test_contradictions_are_said() -> None:
    """A cursor that is inclusive here and exclusive there is no finding."""
    hint = _with_two_cursor_rules()[Question.CURSOR]
    assert (hint.answer, hint.odd) == (None, True)
    assert "contradictory: exclusive here, inclusive there" in hint.evidence


def _with_two_cursor_rules() -> dict[Question, Hint]:
    apis = [ModelApi(busy(), Switches(cursor=cursor)) for cursor in (Cursor.INCLUSIVE, Cursor.EXCLUSIVE)]
    unknowns, used = Unknowns(ACCOUNT, TODAY), 0
    query = unknowns.begin()
    while query is not None:
        used += query.after is not None
        query = unknowns.take(apis[used % 2].answer(query))
    return {hint.question: hint for hint in unknowns.hints(NOW)}


def test_unordered_pages_are_odd() -> None:
    """Calls in no order make the order "none", and nothing is asked of cursors."""
    calls = [Call(str(number), f"2024-03-01 00:00:{number * 7 % 60:02d}", b"{}") for number in range(50)]
    unknowns = Unknowns(ACCOUNT, TODAY)
    query = unknowns.begin()
    while query is not None:
        assert query.after is None
        query = unknowns.take(Page(calls=Calls.of(calls), total=500))
    found = {hint.question: hint for hint in unknowns.hints(NOW)}
    assert (found[Question.ORDER].answer, found[Question.ORDER].odd) == ("none", True)


@pytest.mark.parametrize("budget", range(BUDGET))
def test_any_budget_is_kept(budget: int) -> None:
    """With fewer requests less is found out, and nothing false."""
    switches = Switches(limit=Limit.REFUSE, end=End.EXCLUSIVE, ties=Ties.SHUFFLED)
    is_true(ask(busy(), switches, budget)[0], switches)


def test_a_refusal_of_dates_is_no_answer_about_them() -> None:
    """Where a day alone is refused, nothing is said of the end."""
    unknowns, api = Unknowns(ACCOUNT, TODAY), ModelApi(busy(), Switches(order=Order.ASC))
    query = unknowns.begin()
    while query is not None:
        query = unknowns.take(Refusal.OTHER if len(query.window) == 1 else api.answer(query))
    assert {hint.question: hint for hint in unknowns.hints(NOW)}[Question.END_DATE].answer is None


switches_of_any_kind = st.builds(
    Switches,
    order=st.sampled_from(Order),
    cursor=st.sampled_from(Cursor),
    ties=st.sampled_from(Ties),
    limit=st.sampled_from(Limit),
    largest=st.sampled_from([7, 20, 35, 100, 200, 500]),
    depth=st.none() | st.sampled_from([20, 60, 150, 5_000]),
    total=st.sampled_from(Total),
    total_cap=st.sampled_from([30, 100, 1000]),
    end=st.sampled_from(End),
    empty_every=st.none() | st.integers(2, 4),
    last_end=st.none() | st.just(LAST),
)
accounts = st.builds(
    busy, days=st.integers(0, DAYS), a_day=st.integers(0, 12), pairs=st.integers(0, 4), midnight=st.integers(0, 3)
)


@settings(max_examples=400)
@given(entries=accounts, switches=switches_of_any_kind, strays=st.sets(st.integers(0, 300), max_size=5))
def test_nothing_false_is_said(entries: list[Entry], switches: Switches, strays: set[int]) -> None:
    """Whatever the API does, also when answers come without their calls: what is said is true, or it is not said."""
    entries = [
        replace(entry, stray=number % 2 == 0, timeless=number % 2 == 1) if number in strays else entry
        for number, entry in enumerate(entries)
    ]
    is_true(ask(entries, switches)[0], switches)

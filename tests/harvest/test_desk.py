"""The desk: what one request for a page becomes where the largest page is searched for."""

from collections.abc import Sequence
from datetime import date

import pytest

from harvester.calls import Call, Calls
from harvester.harvest import sizes
from harvester.harvest.desk import Asking, Desk
from harvester.harvest.findings import Findings, Trial
from harvester.model import LARGEST, AccountId, Page, Query, Refusal, Window

DAYS = Window(date(2026, 3, 1), date(2026, 3, 2))
CURSOR = "2026-03-01 12:00:00"
SIZE = sizes.USUAL
TWICE = 2 * SIZE


def desk(findings: Findings | None = None) -> Desk:
    """Of a walk that may search."""
    return Desk(
        account_id=AccountId(7), window=DAYS, page_size=LARGEST, findings=findings or Findings(), may_search=True
    )


def page_of(rows: int) -> Page:
    """A page with so many calls."""
    calls = Calls.of(Call(f"c{place}", CURSOR, b"{}") for place in range(rows))
    return Page(calls=calls, total=None, page_size=None, size_bytes=2)


def answered(
    asking: Asking[Page | Refusal], answers: Sequence[Page | Refusal]
) -> tuple[list[Query], Page | Refusal | None]:
    """What was asked for, and what came of it once every answer is given."""
    queries = [next(asking)]
    try:
        for answer in answers:
            queries.append(asking.send(answer))  # noqa: PERF401 - `extend` would take the walk's end for its own
    except StopIteration as stop:
        result: Page | Refusal = stop.value
        return queries, result
    return queries, None


def test_a_try_is_not_followed_by_another_before_it_is_concluded() -> None:
    """Nobody knows yet whether its short page was by chance: to ask for more still would tell less."""
    one = desk()
    one.trial = Trial(TWICE, SIZE, SIZE)
    queries, _ = answered(one.ask_on(DAYS, after=CURSOR, left=10 * SIZE), [page_of(SIZE)])
    assert [query.page_size for query in queries] == [SIZE]


@pytest.mark.parametrize(("rows", "kept"), [(SIZE + 20, False), (SIZE + 19, True)])
def test_a_try_that_brings_all_that_is_left_is_no_short_one(rows: int, kept: bool) -> None:
    """It shows nothing of a clamp: there was no more to bring. One call fewer may be one."""
    one = desk()
    queries, _ = answered(one.ask_on(DAYS, after=CURSOR, left=SIZE + 20), [page_of(rows)])
    assert [query.page_size for query in queries] == [TWICE]
    assert (one.trial is not None) == kept


@pytest.mark.parametrize("refusal", [Refusal.FAILED, Refusal.OTHER])
def test_a_try_counts_as_refused_when_a_smaller_page_comes_in_its_place(refusal: Refusal) -> None:
    """The size is what differs between the two."""
    one = desk()
    queries, came = answered(one.ask_on(DAYS, after=CURSOR, left=10 * SIZE), [refusal, page_of(SIZE)])
    assert ([query.page_size for query in queries], isinstance(came, Page)) == ([TWICE, SIZE], True)
    assert one.findings.page_size_refused == TWICE


@pytest.mark.parametrize("refusal", [Refusal.FAILED, Refusal.OTHER])
def test_a_try_shows_nothing_when_the_smaller_page_fails_too(refusal: Refusal) -> None:
    """Then it is the slice, or the API."""
    one = desk()
    queries, came = answered(one.ask_on(DAYS, after=CURSOR, left=10 * SIZE), [refusal, Refusal.OTHER])
    assert ([query.page_size for query in queries], came) == ([TWICE, SIZE], Refusal.OTHER)
    assert one.findings.page_size_refused is None


@pytest.mark.parametrize("refusal", [Refusal.FAILED, Refusal.OTHER])
def test_a_large_page_that_fails_is_asked_for_with_the_usual_size(refusal: Refusal) -> None:
    """Whether the server says nothing or a code that nobody knows: the large page may be more than it can do."""
    one = desk(Findings(page_size_served=10 * SIZE))
    queries, came = answered(one.ask(DAYS, after=CURSOR), [refusal, page_of(SIZE)])
    assert ([query.page_size for query in queries], isinstance(came, Page)) == ([10 * SIZE, SIZE], True)
    assert one.findings.page_size_refused == 10 * SIZE


@pytest.mark.parametrize(("more_came", "refused"), [(True, TWICE), (False, None)])
def test_a_short_page_is_a_clamp_only_if_more_calls_come_behind_it(more_came: bool, refused: int | None) -> None:
    """Else the API had counted calls that are not there."""
    one = desk()
    one.conclude(Trial(TWICE, SIZE, SIZE), more_came=more_came)
    assert (one.findings.page_size_refused, one.trial) == (refused, None)

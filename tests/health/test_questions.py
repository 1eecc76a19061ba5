from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.health import Grade, Hint, Question
from harvester.health.accounts import Sickness, sick
from harvester.health.questions import questions
from harvester.model import LARGEST, PageSize

NOW = 1_790_000_000.0


def hint(question: Question, answer: str | None, *, odd: bool = False) -> Hint:
    """What was found out."""
    return Hint(question=question, answer=answer, evidence="as was seen", at=NOW, odd=odd)


def told(hints: Sequence[Hint], page_size: PageSize = 100) -> list[tuple[Grade, str]]:
    """Each finding's grade and words."""
    return [(check.grade, check.what) for check in questions(hints, page_size)]


def test_answers_are_told_with_their_evidence() -> None:
    """Answer, evidence and day; questions that nothing was shown of stand together in one note."""
    hints = [hint(Question.ORDER, "descending"), hint(Question.TIES, None), hint(Question.CURSOR, None)]
    shown, unshown = told(hints)
    assert shown == (Grade.OK, "order of the calls: descending (as was seen; 2026-09-21)")
    assert unshown[0] is Grade.NOTE
    assert "order within a second (as was seen); search_after (as was seen)" in unshown[1]


def test_what_is_odd_warns() -> None:
    """A cursor that does nothing, and answers that contradict each other, are worth a look."""
    hints = [hint(Question.CURSOR, "ignored", odd=True), hint(Question.TOTAL, None, odd=True)]
    assert [grade for grade, _ in told(hints)] == [Grade.WARNING, Grade.WARNING]


@pytest.mark.parametrize(
    ("largest", "refused", "page_size", "says"),
    [
        ("200", "500", 100, "2 times fewer requests"),
        ("200", "500", 200, None),
        ("200", "500", 300, None),
        ("50", "100", 100, "only 50 calls come on a page"),
        ("50", None, 100, "only 50 calls come on a page"),
        (None, None, 100, None),
    ],
)
def test_another_page_size_is_advised(
    largest: str | None, refused: str | None, page_size: int, says: str | None
) -> None:
    """Where more is served, or what is asked for is not, the config's key is named with the number."""
    hints = [hint(Question.PAGE_SIZE, largest)] + ([hint(Question.REFUSED_SIZE, refused)] if refused else [])
    found = [check for check in questions(hints, page_size) if "page_size is" in check.what]
    assert bool(found) is (says is not None)
    for check in found:
        assert says is not None
        assert says in check.what
        assert f"page_size = {largest}" in check.advice


def test_a_size_that_is_searched_for_needs_no_advice() -> None:
    """Where the config leaves the page size to harvester, what was found is told, and nothing has to be written."""
    hints = [hint(Question.PAGE_SIZE, "800"), hint(Question.REFUSED_SIZE, "825")]
    assert [grade for grade, _ in told(hints, LARGEST)] == [Grade.OK, Grade.OK]


@given(st.lists(st.builds(hint, st.sampled_from(Question), st.none() | st.just("7"), odd=st.booleans()), max_size=8))
def test_anything_can_be_told(hints: list[Hint]) -> None:
    """Whatever was found out, something is said of it."""
    assert questions(hints, 100)


def test_sick_accounts() -> None:
    """The first few are named, the others counted."""
    one = sick(Sickness(state="denied", advice="authorise", accounts=[(5, "code 12201")]))
    many = sick(Sickness(state="inactive", advice="activate", accounts=[(number, "x") for number in range(9)]))
    assert one.what == "1 account denied: 5: code 12201"
    assert many.what.startswith("9 accounts inactive: 0: x; 1: x")
    assert many.what.endswith("; and 4 more")

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.traffic import retries as retrying
from harvester.api.traffic.retries import PER_ANSWER, PER_SECOND, RESERVE, Retries


def test_a_reserve_goes_at_once() -> None:
    """The fifty-first retry of a moment waits a second, the next one two."""
    retries, waits = Retries(), list[float]()
    for _ in range(53):
        retries, wait_s = retrying.spend(retries, 0.0)
        waits.append(wait_s)
    assert waits == [0.0] * 50 + [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("answers", "after_s", "free"), [(0, 0.0, 0), (4, 0.0, 1), (40, 3.0, 13), (1_000, 0.0, 50)])
def test_answers_and_time_earn_retries(answers: int, after_s: float, free: int) -> None:
    """A quarter for each answer, one a second, and never more than the reserve."""
    retries = Retries(credit=0.0, at=100.0)
    for _ in range(answers):
        retries = retrying.answered(retries)
    waits = []
    for _ in range(free + 1):
        retries, wait_s = retrying.spend(retries, 100.0 + after_s)
        waits.append(wait_s)
    assert waits == [0.0] * free + [1.0]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.0, 0.1, 1.0, 30.0, 1_000.0])), max_size=200))
@example([(True, 0.0)] * 90 + [(False, 0.0)] * 90 + [(True, 0.0)] * 90)
def test_there_are_never_more_than_what_was_earned(some: list[tuple[bool, float]]) -> None:
    """The reserve, a quarter of the answers, and one a second; each waits a second more at most than the one before."""
    retries, now, waited_s = Retries(), 0.0, 0.0
    answered_at, gone_at = list[float](), list[float]()
    for is_answer, after_s in some:
        now += after_s
        if is_answer:
            answered_at.append(now)
            retries = retrying.answered(retries)
        else:
            retries, wait_s = retrying.spend(retries, now)
            gone_at.append(now + wait_s)
            assert 0 <= wait_s <= waited_s + 1 / PER_SECOND
            waited_s = wait_s
    for at in gone_at:
        earned = RESERVE + PER_ANSWER * sum(one <= at for one in answered_at) + PER_SECOND * at
        assert sum(one <= at for one in gone_at) <= earned + 1e-6

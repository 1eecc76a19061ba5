from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.api.traffic import crowd as crowds
from harvester.api.traffic.crowd import Crowd

FULL = Crowd(most=32, allowed=32)


def after_answers(crowd: Crowd, took_s: float, answers: int) -> Crowd:
    """After so many good answers, one a moment, that took so long."""
    for _ in range(answers):
        crowd = crowds.answered(crowd, took_s, 0.0)
    return crowd


def after_failures(crowd: Crowd, failures: int, permit_at: float = 0.0, now: float = 0.0) -> Crowd:
    """After so many attempts without an answer, all permitted at one moment."""
    for _ in range(failures):
        crowd = crowds.failed(crowd, permit_at, now)
    return crowd


WELL = after_answers(FULL, 0.3, 100)


class TestHealthy:
    """As many as the config allows."""

    @pytest.mark.parametrize("took_s", [0.0, 0.05, 1.0, 5.0, 30.0])
    def test_a_steady_api_is_never_slow(self, took_s: float) -> None:
        """Whatever its answers take, if they always do."""
        crowd = after_answers(FULL, took_s, 500)
        assert crowd.allowed == 32
        assert not crowd.is_slow

    @pytest.mark.parametrize(("usual_s", "now_s"), [(0.05, 0.9), (0.3, 0.99), (2.0, 5.9)])
    def test_a_little_slower_is_not_slow(self, usual_s: float, now_s: float) -> None:
        """Up to a second, or three times the usual."""
        crowd = after_answers(after_answers(FULL, usual_s, 100), now_s, 500)
        assert crowd.allowed == 32

    def test_nothing_is_known_before_the_first_answer(self) -> None:
        """Then nothing is slow."""
        assert not FULL.is_slow

    @pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
    @pytest.mark.parametrize("seed", range(4))
    def test_ten_percent_of_faults_change_nothing(self, share: float, seed: int) -> None:
        """Spread by chance over thousands of attempts."""
        assert set(among_faults(share, seed)) == {32}

    @pytest.mark.parametrize("seed", range(4))
    def test_half_of_them_change_much(self, seed: int) -> None:
        """So few requests are left in flight that they do no harm."""
        places = among_faults(0.5, seed)
        assert max(places[200:]) <= 4


def among_faults(share: float, seed: int) -> list[int]:
    """How many places there are after each of 5,000 attempts, of which this share fails by chance."""
    luck, crowd, places = Random(seed), FULL, list[int]()  # noqa: S311 - a test's chance
    for number in range(5_000):
        failed = luck.random() < share
        crowd = crowds.failed(crowd, number, number) if failed else crowds.answered(crowd, 0.3, number)
        places.append(crowd.allowed)
    return places


class TestSlow:
    """Answers take much longer than they used to."""

    def test_there_are_fewer_round_by_round(self) -> None:
        """A round is as many answers as there are places; it never goes below two."""
        crowd, seen = WELL, [32]
        for _ in range(120):
            crowd = crowds.answered(crowd, 10.0, 0.0)
            if crowd.allowed != seen[-1]:
                seen.append(crowd.allowed)
        assert seen == [32, 22, 15, 10, 7, 4, 2]

    def test_a_hundred_times_slower_means_few_in_flight(self) -> None:
        """Within a hundred and fifty answers."""
        assert after_answers(WELL, 30.0, 150).allowed == 2

    def test_it_comes_back_one_by_one(self) -> None:
        """Place by place, each after a round of good answers."""
        crowd = after_answers(WELL, 30.0, 150)
        seen = []
        for _ in range(1_000):
            crowd = crowds.answered(crowd, 0.3, 0.0)
            seen.append(crowd.allowed)
        assert seen == sorted(seen)
        assert set(seen) == set(range(2, 33))

    def test_what_lasts_becomes_usual(self) -> None:
        """After hundreds of answers, slow is what this API is."""
        assert after_answers(WELL, 30.0, 2_000).allowed == 32


class TestFailing:
    """A third of the attempts bring nothing."""

    def test_there_are_fewer(self) -> None:
        """Never fewer than one."""
        seen = [after_failures(WELL, failures).allowed for failures in range(60)]
        assert seen == sorted(seen, reverse=True)
        assert (seen[17], seen[18], seen[19], seen[20], seen[-1]) == (32, 22, 15, 10, 1)

    def test_those_that_were_in_flight_before_tell_nothing_new(self) -> None:
        """Thirty-two that fail together cut it once."""
        crowd = after_failures(WELL, 32, permit_at=5.0, now=10.0)
        assert crowd.allowed == 22

    def test_it_recovers(self) -> None:
        """Though it had come down to one."""
        crowd = after_failures(WELL, 100)
        assert crowd.allowed == 1
        assert after_answers(crowd, 0.3, 700).allowed == 32


@settings(max_examples=80)
@given(
    st.integers(1, 64),
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.01, 0.3, 1.1, 5.0, 60.0]), st.integers(1, 60)), max_size=20),
)
def test_there_is_always_a_place_and_never_more_than_allowed(most: int, some: list[tuple[bool, float, int]]) -> None:
    """Whatever happens; and when the API is well again, all of them come back."""
    crowd, now = Crowd(most=most, allowed=most), 0.0
    for good, took_s, times in some:
        for _ in range(times):
            now += 1
            crowd = crowds.answered(crowd, took_s, now) if good else crowds.failed(crowd, now - took_s, now)
            assert 1 <= crowd.allowed <= most
            assert 0 <= crowd.failing <= 1
    assert after_answers(crowd, 0.01, 3_000).allowed == most


def test_the_everyday_case_changes_only_what_it_must() -> None:
    """No round is counted while all places are open and the API is quick."""
    crowd = crowds.answered(WELL, 0.3, 5.0)
    assert replace(crowd, recent_s=WELL.recent_s, usual_s=WELL.usual_s, failing=WELL.failing) == WELL

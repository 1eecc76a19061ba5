"""Nights that die at random instants, again and again: each ends complete, and costs few pages more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crashes.cycles import run_cycle
from tests.crashes.nursery import Nursery, nursery

SEEDS = range(12)
"""Every order, cursor rule, kind of death and signal is among them; `tests.benchmarks.kills` goes on from there."""


@pytest.fixture(scope="module")
def mother(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where processes come from."""
    with nursery(tmp_path_factory.mktemp("nursery")) as one:
        yield one


@pytest.mark.parametrize("seed", SEEDS)
def test_a_night_that_dies_at_random_ends_complete(seed: int, mother: Nursery, tmp_path: Path) -> None:
    """Every call is there in the end, and no more pages were walked twice than the checkpoints leave open."""
    cycle = run_cycle(mother, tmp_path, seed)
    assert cycle.allowed is None or cycle.twice <= cycle.allowed, cycle

"""A ledger and a night, which most tests of the landing zone begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harvester.landing.ledger import Ledger
from tests.landing.helpers import Night, night_in


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger, in the landing zone's own place."""
    with Ledger.open(tmp_path / ".harvester") as opened:
        yield opened


@pytest.fixture
def night(tmp_path: Path, ledger: Ledger) -> Night:
    """The first night."""
    return night_in(tmp_path, ledger)

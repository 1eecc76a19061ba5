from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import DamagedError, StorageError
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.publication import VERSION
from harvester.model import Status, Window
from tests.landing.helpers import ACCOUNT, account, slice_of
from tests.landing.test_ledger import NOW, ONE, checkpoint, published

counts = st.integers(0, 2**63 - 1)
windows = st.tuples(st.dates(), st.dates()).map(sorted)
checkpoints = st.builds(
    lambda window, **more: Checkpoint(first_day=window[0], last_day=window[1], **more),
    windows,
    account_id=counts,
    part=st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    size_bytes=counts,
    calls=counts,
    state=st.binary(),
    read_on=st.dates(),
    at=st.just(NOW),
)


@given(one=checkpoints)
@settings(max_examples=30)
def test_checkpoint_lasts(one: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A checkpoint is read back by the next run as it was saved, whatever it holds."""
    state = tmp_path_factory.mktemp("state")
    with Ledger.open(state) as ledger:
        ledger.save_checkpoint(one)
    with Ledger.open(state) as ledger:
        assert ledger.checkpoints() == [one]
    assert (one.account, one.window) == (one.account_id, Window(one.first_day, one.last_day))


def test_newest_checkpoint_counts(ledger: Ledger) -> None:
    """Of a slice, and of the account's slices that share a day with it, only the newest checkpoint is kept."""
    other = checkpoint(slice_of("2024-02-28", "2024-02-29", account(1)))
    beside = checkpoint(slice_of("2024-03-01", "2024-03-02"))
    for one in (other, beside, checkpoint(), checkpoint(slice_of("2024-02-29", "2024-02-29"))):
        ledger.save_checkpoint(one)
    newer = msgspec.structs.replace(checkpoint(), size_bytes=10)
    ledger.save_checkpoint(newer)
    assert ledger.checkpoints() == [other, newer, beside]


def test_forgotten_checkpoint(ledger: Ledger) -> None:
    """A checkpoint is forgotten by its account and window; others stay."""
    others = [
        checkpoint(slice_of("2024-02-28", "2024-02-29", account(1))),
        checkpoint(slice_of("2024-03-01", "2024-03-02")),
    ]
    for one in (checkpoint(), *others):
        ledger.save_checkpoint(one)
    ledger.forget_checkpoint(ACCOUNT.id, ONE.window)
    ledger.forget_checkpoint(ACCOUNT.id, Window(ONE.window.start, ONE.window.start))
    assert ledger.checkpoints() == others


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("account_id", 7),
        ("account_id", "x"),
        ("first_day", "2024-02-27"),
        ("first_day", "2024-02-3"),
        ("first_day", 7),
        ("last_day", "2024-03-01"),
        ("last_day", "x"),
        ("part", "8.part"),
        ("part", b"\xff"),
        ("size_bytes", 8),
        ("size_bytes", b""),
        ("calls", 4),
        ("state", b"State"),
        ("state", "state"),
        ("read_on", 1),
        ("read_on", -1),
        ("read_on", 2**62),
        ("read_on", "x"),
        ("at", "2024-03-05T01:30:01+08:00"),
        ("at", "x"),
        ("at", b"\xff"),
        ("digest", b"x"),
        ("digest", 1),
    ],
)
def test_checkpoint_that_is_not_as_it_was_written(column: str, value: object, ledger: Ledger) -> None:
    """A checkpoint of which anything is not as it was written is left out; the others are not."""
    other = checkpoint(slice_of("2024-01-01", "2024-01-01", account(1)))
    ledger.save_checkpoint(other)
    ledger.save_checkpoint(checkpoint())
    where = "WHERE part = '7.part' AND first_day = '2024-02-28'"
    ledger._db.execute(f"UPDATE checkpoints SET {column} = ? {where}", (value,))  # noqa: S608 - the test's own words
    assert ledger.checkpoints() == [other]


def test_text_that_is_no_text(ledger: Ledger) -> None:
    """A checkpoint with a wrong bit in a name is left out too, though SQLite takes the name for text."""
    ledger.save_checkpoint(checkpoint())
    ledger._db.execute("UPDATE checkpoints SET part = CAST(x'b72e70617274' AS TEXT)")
    assert ledger.checkpoints() == []


def test_saving_that_fails(ledger: Ledger) -> None:
    """When a checkpoint cannot be saved the one before stands."""
    ledger.save_checkpoint(checkpoint())
    ledger._db.execute("CREATE TRIGGER broken BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'it broke'); END")
    with pytest.raises(StorageError, match="it broke"):
        ledger.save_checkpoint(msgspec.structs.replace(checkpoint(), size_bytes=10))
    assert ledger.checkpoints() == [checkpoint()]


def test_publication_lasts(ledger: Ledger) -> None:
    """What is about to be done is known to the next run, the newest word for each slice, until it is forgotten."""
    ledger.intend(published(status=Status.SHORT))
    ledger.intend(published())
    ledger.close()
    with Ledger.open(ledger.path.parent) as again:
        assert again.intended() == [(ACCOUNT.id, ONE.window, published())]
        again.forget_publications()
        assert again.intended() == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("publication", b"{}"), ("publication", "x"), ("publication", 1), ("digest", b"x"), ("digest", 1)],
)
def test_publication_that_is_not_as_it_was_written(column: str, value: object, ledger: Ledger) -> None:
    """Of a publication that is not as it was written only the slice is known."""
    ledger.intend(published())
    ledger._db.execute(f"UPDATE publications SET {column} = ?", (value,))  # noqa: S608 - the test's own words
    assert ledger.intended() == [(ACCOUNT.id, ONE.window, None)]


def test_publication_of_another_version(ledger: Ledger) -> None:
    """Of a publication of another harvester only the slice is known."""
    ledger.intend(published(version=VERSION + 1))
    assert ledger.intended() == [(ACCOUNT.id, ONE.window, None)]


@pytest.mark.parametrize(
    ("column", "value"),
    [("first_day", "2024-02-3"), ("first_day", "2024-03-05"), ("last_day", "x"), ("last_day", b""), ("account_id", 7)],
)
def test_slice_of_a_publication(column: str, value: Any, ledger: Ledger) -> None:
    """A sound publication knows its slice by itself; of neither nothing can be done, and the ledger is damaged."""
    ledger.intend(published())
    ledger._db.execute(f"UPDATE publications SET {column} = ?", (value,))  # noqa: S608 - the test's own words
    assert ledger.intended() == [(ACCOUNT.id, ONE.window, published())]
    if column != "account_id":
        ledger._db.execute("UPDATE publications SET digest = x'00'")
        with pytest.raises(DamagedError, match="a publication is of"):
            ledger.intended()


def test_day_of_the_reading(ledger: Ledger) -> None:
    """A checkpoint keeps on which day its walk began."""
    ledger.save_checkpoint(msgspec.structs.replace(checkpoint(), read_on=date(2024, 2, 28)))
    assert [one.read_on for one in ledger.checkpoints()] == [date(2024, 2, 28)]

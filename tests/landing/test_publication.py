from datetime import date

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.landing.publication import VERSION, DayChange, Publication, decode, encode
from harvester.model import Outcome, Receipt, Status, Window
from tests.landing.helpers import ACCOUNT, DAYS, SLICE

D = [date.fromisoformat(day) for day in DAYS]
counts = st.integers(0, 2**63 - 1)
changes = st.builds(
    DayChange,
    day=st.dates(),
    path=st.text(),
    complete=st.booleans(),
    calls=counts,
    in_file=counts,
    digest=st.none() | st.binary(min_size=16, max_size=16),
    new=counts,
    changed=counts,
    missing=counts,
    dropped=counts,
    staged=st.none() | st.text(),
    removed=st.booleans(),
    note=st.none() | st.text(),
)
receipts = st.builds(
    Receipt,
    requests=counts,
    read=counts,
    distinct=counts,
    counted=st.none() | counts,
    reason=st.none() | st.text(),
    short_days=st.frozensets(st.dates()),
)
publications = st.builds(
    Publication,
    run_id=st.text(),
    account_id=counts,
    first_day=st.dates(),
    last_day=st.dates(),
    status=st.sampled_from(Status),
    reason=st.none() | st.text(),
    receipt=st.none() | receipts,
    read_on=st.dates(),
    quarantined=counts,
    resumed=st.booleans(),
    days=st.lists(changes, max_size=3).map(tuple),
)


def published(*days: DayChange, status: Status = Status.COMPLETE) -> Publication:
    """A publication of these days."""
    return Publication(
        run_id="run-1", account_id=ACCOUNT.id, first_day=D[0], last_day=D[-1], status=status, read_on=D[-1], days=days
    )


def change(day: date = D[0], *, complete: bool = True, **more: int | str | bool) -> DayChange:
    """What becomes of a day."""
    return msgspec.structs.replace(DayChange(day=day, path="p", complete=complete, calls=1, in_file=1), **more)


@given(publications)
def test_round_trip(publication: Publication) -> None:
    """What is written to the ledger is read back as it was, whatever it is."""
    assert decode(encode(publication)) == publication


def test_another_version() -> None:
    """A publication of another version, or with something unknown in it, is not guessed at."""
    text = orjson.loads(encode(published(change())))
    assert decode(orjson.dumps(text)) is not None
    assert decode(orjson.dumps(text | {"version": VERSION + 1})) is None
    assert decode(orjson.dumps(text | {"also": 1})) is None
    assert decode(orjson.dumps(text | {"days": [text["days"][0] | {"also": 1}]})) is None


@pytest.mark.parametrize("text", [b"", b"{", b"{}", b"null", b"\xff", b'{"run_id":"\xff"}'])
def test_no_publication(text: bytes) -> None:
    """What is no publication is none."""
    assert decode(text) is None


def test_outcome() -> None:
    """For the report the days are summed; missing calls are told by day; notes are passed on."""
    days = [
        change(D[0], calls=10, new=1, changed=2, missing=3, dropped=1, note="look"),
        change(D[1], calls=100, new=10, changed=20),
        change(D[2], calls=1000, missing=40, dropped=30, note="here"),
    ]
    receipt = Receipt(requests=1, read=2, distinct=3, counted=4)
    publication = msgspec.structs.replace(
        published(*days, status=Status.SHORT), reason="why", receipt=receipt, quarantined=7, resumed=True
    )
    assert publication.outcome(SLICE) == Outcome(
        slice=SLICE,
        status=Status.SHORT,
        reason="why",
        receipt=receipt,
        landed=1110,
        new=11,
        changed=22,
        missing_on={D[0]: 3, D[2]: 40},
        dropped=31,
        quarantined=7,
        resumed=True,
        notes=("look", "here"),
    )
    assert publication.outcome(SLICE).missing == 43


def test_whose_and_when() -> None:
    """A publication knows its account and its window."""
    assert published().account == ACCOUNT.id
    assert published().window == Window(D[0], D[-1])

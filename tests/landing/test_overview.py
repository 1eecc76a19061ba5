from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harvester.inspection import Arrival, Failure, Tally, gaps
from harvester.landing.ledger import Known
from harvester.landing.ledger.overview import Overview
from harvester.landing.publication import DayChange, Publication
from harvester.model import ONE_DAY, AccountId, Receipt, Status, Window
from tests.landing.scene import NOW

FIRST = date(2024, 2, 25)
A, B = AccountId(5), AccountId(2**62)
RECEIPT = Receipt(requests=1, read=1, distinct=1, counted=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Overview]:
    """A new ledger."""
    with Overview.open(tmp_path) as opened:
        yield opened


def read(account: AccountId, day: date, on: date, **change: int) -> Publication:
    """A complete reading of one day."""
    one = DayChange(day=day, path="", complete=True, **({"calls": 10, "in_file": 10} | change))  # type: ignore[arg-type]
    return Publication(
        run_id=f"run {on}", account_id=account, first_day=day, last_day=day, status=Status.COMPLETE, receipt=RECEIPT,
        read_on=on, days=(one,),
    )  # fmt: skip


def test_an_empty_ledger(ledger: Overview) -> None:
    """Nothing is known, and that is said of everything."""
    assert ledger.is_empty()
    assert (ledger.days(), ledger.on(FIRST), ledger.tallies(FIRST), ledger.failures()) == ([], {}, {}, {})
    assert ledger.arrivals() == ([], 0)
    assert ledger.complete_on(A, Window(FIRST, FIRST)) == []


days = st.dates(FIRST, FIRST + ONE_DAY * 9)
knowns = st.builds(
    Known,
    calls=st.integers(0, 9),
    complete=st.booleans(),
    in_file=st.none() | st.integers(0, 9),
    digest=st.none() | st.binary(min_size=16, max_size=16),
    queued=st.booleans(),
)


@given(what=st.dictionaries(st.sampled_from([A, B, AccountId(7)]), st.dictionaries(days, knowns)), one=days, end=days)
def test_the_same_by_day_and_by_account(
    what: dict[AccountId, dict[date, Known]], one: date, end: date, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whichever way the ledger is looked at, it holds what was put in, and nothing else."""
    with Overview.open(tmp_path_factory.mktemp("state")) as ledger:
        for account, known in what.items():
            ledger.take_over(account, known)
        assert ledger.is_empty() == (not any(what.values()))
        assert ledger.days() == sorted({day for known in what.values() for day in known})
        assert ledger.on(one) == {account: known[one] for account, known in what.items() if one in known}
        assert list(ledger.on(one)) == sorted(ledger.on(one))
        assert ledger.tallies(end) == {
            account: Tally(
                first=min(known),
                complete=sum(1 for day, here in known.items() if here.complete and day <= end),
                short=sum(1 for here in known.values() if not here.complete and not here.queued),
                queued=sum(1 for here in known.values() if here.queued),
            )
            for account, known in what.items()
            if known
        }
        window = Window(FIRST, max(one, FIRST))
        complete = [day.toordinal() for day, here in sorted(what.get(A, {}).items()) if here.complete and day in window]
        assert ledger.complete_on(A, window) == complete


@given(st.sets(days), days, days)
def test_gaps(complete: set[date], first: date, last: date) -> None:
    """Days that are not complete, in as few windows as can be, none of them touching another."""
    window = Window(min(first, last), max(first, last))
    inside = sorted(day for day in complete if day in window)
    found = gaps(window, (day.toordinal() for day in inside))
    assert [day for gap in found for day in gap] == [day for day in window if day not in complete]
    assert all(later.start - gap.end > ONE_DAY for gap, later in pairwise(found))


def test_a_day_read_before_it_was_over_is_not_short(ledger: Overview) -> None:
    """Short is what was read too little of after its end."""
    for day, on in ((FIRST, FIRST), (FIRST + ONE_DAY, FIRST + ONE_DAY * 2)):
        done = read(A, day, on)
        ledger.commit(replace(done, days=(replace(done.days[0], complete=False),)), NOW)
    assert ledger.tallies(FIRST)[A] == Tally(first=FIRST, complete=0, short=1, queued=0)


def test_failures(ledger: Overview) -> None:
    """Of each account the last slice that did not end complete, with its reason."""
    for run, reason in enumerate(("first", "last")):
        ledger.commit(
            Publication(
                run_id=str(run), account_id=A, first_day=FIRST, last_day=FIRST + ONE_DAY, status=Status.FAILED,
                reason=reason, read_on=FIRST,
            ),
            NOW,
        )  # fmt: skip
    ledger.commit(read(B, FIRST, FIRST + ONE_DAY), NOW)
    failure = Failure(window="2024-02-25..2024-02-26", status="failed", reason="last", at="2024-03-05T01:30:00+08:00")
    assert ledger.failures() == {A: failure}


def test_arrivals_count_readings_after_the_first_only(ledger: Overview) -> None:
    """What the first reading of a day brings is not late; what a later one brings is, by the day's age."""
    for account in (A, B):
        ledger.commit(read(account, FIRST, FIRST + ONE_DAY, new=10), NOW)
        ledger.commit(read(account, FIRST, FIRST + ONE_DAY * 2, calls=12, new=2), NOW)
    ledger.commit(read(A, FIRST, FIRST + ONE_DAY * 3, calls=12), NOW)
    ledger.commit(read(A, FIRST + ONE_DAY, FIRST + ONE_DAY * 3, new=10), NOW)
    assert ledger.arrivals() == ([Arrival(age=2, days=2, calls=24, new=4), Arrival(age=3, days=1, calls=12, new=0)], 2)


def test_what_is_healed_is_not_late(ledger: Overview) -> None:
    """Calls that come back into a file that was lost say nothing about the API."""
    ledger.commit(read(A, FIRST, FIRST + ONE_DAY, new=10), NOW)
    ledger.queue(A, [FIRST])
    ledger.commit(read(A, FIRST, FIRST + ONE_DAY * 5, new=10), NOW)
    assert ledger.arrivals() == ([], 0)
    assert ledger.tallies(FIRST)[A].queued == 0

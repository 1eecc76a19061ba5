from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.publication import DayChange, Publication
from harvester.model import BEIJING, ONE_DAY, AccountId, Receipt, Slice, Status, Window
from tests.landing.helpers import ACCOUNT, account, rows_of, slice_of

NOW = datetime(2024, 3, 5, 1, 30, tzinfo=BEIJING)
RECEIPT = Receipt(requests=3, read=205, distinct=200, counted=200)
DIGEST = bytes(range(16))
ONE = slice_of("2024-02-28", "2024-02-29")


def published(
    one: Slice = ONE, status: Status = Status.COMPLETE, reason: str | None = None, calls: int = 5, **more: Any
) -> Publication:
    """How a slice ended whose walk came to its end, each of its days with so many calls."""
    days = tuple(
        DayChange(day=day, path="p", complete=status is Status.COMPLETE, calls=calls, in_file=calls + 1, digest=DIGEST)
        for day in one.window
    )
    publication = Publication(
        run_id="run-1", account_id=one.account.id, first_day=one.window.start, last_day=one.window.end,
        status=status, reason=reason, receipt=RECEIPT, read_on=NOW.date(), days=days,
    )  # fmt: skip
    return msgspec.structs.replace(publication, **more)


def known(calls: int = 5, *, complete: bool = True, queued: bool = False) -> Known:
    """What is known of a day after that."""
    return Known(calls, complete, calls + 1, DIGEST, queued)


def checkpoint(one: Slice = ONE) -> Checkpoint:
    """Where a slice's walk can go on."""
    return Checkpoint(
        account_id=one.account.id, first_day=one.window.start, last_day=one.window.end, part="7.part", size_bytes=9,
        calls=3, state=b"state", read_on=NOW.date(), at=NOW,
    )  # fmt: skip


def test_new_ledger(ledger: Ledger) -> None:
    """A new ledger knows nothing."""
    always = Window(date(2000, 1, 1), date(2100, 1, 1))
    assert ledger.known(always, [ACCOUNT.id]) == {}
    assert ledger.accounts_complete(always, [ACCOUNT.id]) == {}
    assert ledger.complete_days(always, [ACCOUNT.id]) == {}
    assert ledger.extents([ACCOUNT.id]) == {}
    assert ledger.queued() == {}
    assert ledger.checkpoints() == []
    assert ledger.intended() == []


def test_commit_lasts(tmp_path: Path) -> None:
    """What was committed is known to the next run, with the evidence."""
    one = slice_of("2024-02-28", "2024-03-01")
    days = [
        msgspec.structs.replace(day, new=1, changed=2, missing=3 * number, dropped=4)
        for number, day in enumerate(published(one).days)
    ]
    with Ledger.open(tmp_path) as first:
        first.commit(published(one, days=tuple(days), quarantined=8), NOW)
    with Ledger.open(tmp_path) as second:
        assert second.known(one.window, [ACCOUNT.id]) == {ACCOUNT.id: dict.fromkeys(one.window, known())}
        assert rows_of(second, "receipts") == [
            {
                "run_id": "run-1", "account_id": ACCOUNT.id, "first_day": "2024-02-28", "last_day": "2024-03-01",
                "status": "complete", "reason": None, "requests": 3, "read": 205, "distinct_calls": 200,
                "counted": 200, "landed": 15, "new": 3, "changed": 6, "missing": 9, "dropped": 12, "quarantined": 8,
                "at": "2024-03-05T01:30:00+08:00",
            }
        ]  # fmt: skip
        assert rows_of(second, "failures") == []


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPLETE])
def test_only_complete_is_complete(status: Status, ledger: Ledger) -> None:
    """Days of a slice that is not complete are known and not complete, also if they once were; the reason is kept."""
    ledger.commit(published(), NOW)
    ledger.commit(published(ONE, status, "why", 3, run_id="run-2"), NOW)
    assert ledger.known(ONE.window, [ACCOUNT.id]) == {ACCOUNT.id: dict.fromkeys(ONE.window, known(3, complete=False))}
    assert ledger.complete_days(ONE.window, [ACCOUNT.id]) == {}
    assert [(row["run_id"], row["status"], row["reason"]) for row in rows_of(ledger, "receipts")] == [
        ("run-1", "complete", None),
        ("run-2", status, "why"),
    ]


def test_last_failure(ledger: Ledger) -> None:
    """Of each account the last slice that was not complete is kept, whatever came after it."""
    other = slice_of("2024-02-28", "2024-02-28", account(1))
    for number, one in enumerate([ONE, slice_of("2024-02-27", "2024-02-27"), other]):
        ledger.commit(published(one, Status.FAILED, f"why {number}", receipt=None, days=()), NOW)
    ledger.commit(published(), NOW)
    assert [(row["account_id"], row["first_day"], row["reason"]) for row in rows_of(ledger, "failures")] == [
        (1, "2024-02-28", "why 2"),
        (ACCOUNT.id, "2024-02-27", "why 1"),
    ]


def test_slice_without_receipt(ledger: Ledger) -> None:
    """A walk that did not come to its end leaves a reason, says nothing of any day, and keeps its checkpoint."""
    ledger.commit(published(), NOW)
    ledger.save_checkpoint(checkpoint())
    ledger.commit(published(status=Status.FAILED, reason="why", receipt=None, days=(), run_id="run-2"), NOW)
    assert ledger.known(ONE.window, [ACCOUNT.id])[ACCOUNT.id] == dict.fromkeys(ONE.window, known())
    assert rows_of(ledger, "receipts")[1]["requests"] is None
    assert ledger.checkpoints() == [checkpoint()]


@pytest.mark.parametrize(
    ("first", "last", "number", "stays"),
    [
        ("2024-02-28", "2024-02-29", 2045867, False),
        ("2024-02-29", "2024-03-03", 2045867, False),
        ("2024-02-20", "2024-02-28", 2045867, False),
        ("2024-02-20", "2024-03-20", 2045867, False),
        ("2024-03-01", "2024-03-03", 2045867, True),
        ("2024-02-20", "2024-02-27", 2045867, True),
        ("2024-02-28", "2024-02-29", 1, True),
    ],
)
def test_checkpoints_of_a_finished_slice(first: str, last: str, number: int, stays: bool, ledger: Ledger) -> None:
    """A finished walk's checkpoint is forgotten, as are those of the account's slices that share a day with it."""
    there = checkpoint(slice_of(first, last, account(number)))
    ledger.save_checkpoint(there)
    ledger.commit(published(), NOW)
    assert ledger.checkpoints() == [there] * stays


def test_commit_ends_the_publication(ledger: Ledger) -> None:
    """With its commit a publication is not intended any more; those of other slices are."""
    other = published(slice_of("2024-02-28", "2024-02-28"))
    ledger.intend(published())
    ledger.intend(other)
    ledger.commit(published(), NOW)
    assert ledger.intended() == [(ACCOUNT.id, other.window, other)]


days = st.dates(date(2024, 2, 25), date(2024, 3, 5))
windows = st.builds(lambda first, length: Window(first, first + ONE_DAY * length), days, st.integers(0, 5))


@given(
    commits=st.lists(
        st.tuples(st.integers(1, 3), windows, st.sampled_from([Status.COMPLETE, Status.SHORT]), st.integers(0, 9))
    ),
    asked=windows,
    whom=st.sets(st.integers(1, 4)).map(lambda ids: sorted(map(AccountId, ids))),
)
def test_last_commit_of_a_day_counts(
    commits: list[tuple[int, Window, Status, int]],
    asked: Window,
    whom: list[AccountId],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Of each account's day the last commit is known, and nothing of days and accounts that were not asked for."""
    expected: dict[AccountId, dict[date, Known]] = {}
    with Ledger.open(tmp_path_factory.mktemp("state")) as ledger:
        for turn, (number, window, status, calls) in enumerate(commits):
            ledger.commit(published(Slice(account(number), window), status, calls=calls, run_id=f"{turn}"), NOW)
            for day in window:
                if day in asked and number in whom:
                    expected.setdefault(AccountId(number), {})[day] = known(calls, complete=status is Status.COMPLETE)
        assert ledger.known(asked, whom) == expected
        complete = {one: {day for day, k in expected.get(one, {}).items() if k.complete} for one in whom}
        assert ledger.complete_days(asked, whom) == {one: found for one, found in complete.items() if found}
        counts = {day: sum(day in found for found in complete.values()) for day in asked}
        assert ledger.accounts_complete(asked, whom) == {day: count for day, count in counts.items() if count}


def test_complete_days_of_many_accounts(ledger: Ledger) -> None:
    """Windows longer than a number has bits are told to the day; accounts with the same days share one set."""
    always = Window(date(2023, 6, 1), date(2024, 6, 1))
    for number, days in ((1, ["2023-06-01", "2024-06-01"]), (2, ["2024-06-01", "2023-06-01"]), (3, ["2023-12-31"])):
        for day in days:
            one = Slice(account(number), slice_of(day, day).window)
            ledger.commit(published(one, run_id=f"{number} {day}"), NOW)
    found = ledger.complete_days(always, [AccountId(number) for number in (1, 2, 3, 4)])
    assert found == {1: {always.start, always.end}, 2: {always.start, always.end}, 3: {date(2023, 12, 31)}}
    assert found[AccountId(1)] is found[AccountId(2)]
    last = Window(date(2023, 12, 31), date(2023, 12, 31))
    assert ledger.extents([AccountId(1), AccountId(3), AccountId(4)]) == {1: always, 3: last}


def test_queued_days(ledger: Ledger) -> None:
    """Queued days are not complete, keep what is known of them, and have to be read; unknown ones can be queued too."""
    ledger.commit(published(), NOW)
    first, last = ONE.window
    new = date(2023, 12, 31)
    ledger.queue(ACCOUNT.id, [first, new])
    always = Window(new, last)
    assert ledger.known(always, [ACCOUNT.id])[ACCOUNT.id] == {
        new: Known(0, complete=False, queued=True),
        first: known(complete=False, queued=True),
        last: known(),
    }
    assert ledger.queued() == {ACCOUNT.id: {first, new}}
    assert ledger.complete_days(always, [ACCOUNT.id]) == {ACCOUNT.id: {last}}
    assert ledger.accounts_complete(always, [ACCOUNT.id]) == {last: 1}


def test_queued_until_complete(ledger: Ledger) -> None:
    """A queued day stays queued until it was read and is complete."""
    ledger.queue(ACCOUNT.id, ONE.window)
    ledger.commit(published(status=Status.SHORT), NOW)
    assert ledger.queued() == {ACCOUNT.id: set(ONE.window)}
    assert ledger.complete_days(ONE.window, [ACCOUNT.id]) == {}
    ledger.commit(published(), NOW)
    assert ledger.queued() == {}
    assert ledger.complete_days(ONE.window, [ACCOUNT.id]) == {ACCOUNT.id: set(ONE.window)}
    ledger.commit(published(status=Status.SHORT), NOW)
    assert ledger.queued() == {}


@pytest.mark.parametrize("queued", [True, False])
@pytest.mark.parametrize("complete", [True, False])
def test_days_that_were_found(queued: bool, complete: bool, ledger: Ledger) -> None:
    """Days taken over from the landing zone are known as they were found."""
    found = {ONE.window.start: Known(7, complete, 7, DIGEST, queued), ONE.window.end: Known(0, complete, None, None)}
    ledger.take_over(ACCOUNT.id, found)
    assert ledger.known(ONE.window, [ACCOUNT.id]) == {ACCOUNT.id: found}
    assert ledger.queued() == ({ACCOUNT.id: {ONE.window.start}} if queued else {})
    done = {day for day in ONE.window if complete and not (queued and day == ONE.window.start)}
    assert ledger.complete_days(ONE.window, [ACCOUNT.id]) == ({ACCOUNT.id: done} if done else {})


def test_forgotten_receipts(ledger: Ledger) -> None:
    """How slices ended is forgotten before a day; what is complete stays known."""
    for day in (3, 4, 5):
        ledger.commit(published(run_id=f"run-{day}"), NOW.replace(day=day))
    ledger.forget_receipts(date(2024, 3, 4))
    assert [row["run_id"] for row in rows_of(ledger, "receipts")] == ["run-4", "run-5"]
    assert ledger.known(ONE.window, [ACCOUNT.id]) == {ACCOUNT.id: dict.fromkeys(ONE.window, known())}

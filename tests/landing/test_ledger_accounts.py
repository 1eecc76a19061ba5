import threading
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import Complaint
from harvester.landing.ledger import Known, Ledger
from harvester.model import ONE_DAY, AccountId, Status, TokenName
from harvester.triage import Condition, Found, Poison, State
from tests.landing.helpers import ACCOUNT, account, slice_of
from tests.landing.test_ledger import NOW, published

TODAY = date(2024, 3, 5)
WORDS = Complaint(code=12201, message="no permission", message_cn="无权限", trace_id="a1b2")


def denied(number: int = ACCOUNT.id, **more: object) -> Condition:
    """An account that may not be read."""
    condition = Condition(
        account_id=AccountId(number), state=State.DENIED, token=TokenName("agency"), complaint=WORDS,
        since=TODAY - ONE_DAY, asked_on=TODAY,
    )  # fmt: skip
    return replace(condition, **more)  # type: ignore[arg-type]


def poisoned(day: date = date(2024, 2, 29), number: int = ACCOUNT.id) -> Poison:
    """A day of it that fails."""
    return Poison(
        account_id=AccountId(number), day=day, complaint=Complaint(code=None, message="HTTP 500"), since=TODAY,
        asked_on=TODAY,
    )  # fmt: skip


def test_what_is_remembered_lasts(tmp_path: Path) -> None:
    """The next run knows of each account how it was found last, and of each poisoned day."""
    again = denied(state=State.OK, complaint=Complaint(), since=TODAY)
    with Ledger.open(tmp_path) as first:
        first.remember([denied(), denied(8), poisoned(), poisoned(TODAY), poisoned(TODAY, 8)])
        first.remember([again, replace(poisoned(), asked_on=TODAY + ONE_DAY)])
    with Ledger.open(tmp_path) as second:
        assert second.conditions() == {ACCOUNT.id: again, AccountId(8): denied(8)}
        assert second.poison() == {
            ACCOUNT.id: {poisoned().day: replace(poisoned(), asked_on=TODAY + ONE_DAY), TODAY: poisoned(TODAY)},
            AccountId(8): {TODAY: poisoned(TODAY, 8)},
        }


texts = st.text(max_size=9)
words = st.builds(
    Complaint, code=st.none() | st.integers(-(2**63), 2**63 - 1), message=texts, message_cn=texts,
    trace_id=st.none() | texts,
)  # fmt: skip
ids = st.integers(1, 2**63 - 1).map(AccountId)
conditions = st.builds(
    Condition, account_id=ids, state=st.sampled_from(State), token=texts.map(TokenName), complaint=words,
    since=st.dates(), asked_on=st.dates(),
)  # fmt: skip
poison = st.builds(
    Poison, account_id=ids, day=st.dates(), complaint=words, since=st.dates(), asked_on=st.dates()
)  # fmt: skip


@given(conditions, poison)
def test_any_words(tmp_path_factory: pytest.TempPathFactory, condition: Condition, day: Poison) -> None:
    """Whatever the API said is known as it was said."""
    with Ledger.open(tmp_path_factory.mktemp("state")) as ledger:
        ledger.remember([condition, day])
        assert ledger.conditions() == {condition.account_id: condition}
        assert ledger.poison() == {day.account_id: {day.day: day}}


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.SHORT])
def test_what_was_read_is_no_poison(status: Status, ledger: Ledger) -> None:
    """With the commit of a walk that came to its end its days are poisoned no more; other days and accounts are."""
    one = slice_of("2024-02-28", "2024-02-29")
    stays: list[Found] = [poisoned(date(2024, 2, 27)), poisoned(date(2024, 3, 1)), poisoned(number=8)]
    ledger.remember([poisoned(), *stays])
    ledger.commit(published(one, status), NOW)
    assert {(whose, day) for whose, days in ledger.poison().items() for day in days} == {
        (ACCOUNT.id, date(2024, 2, 27)), (ACCOUNT.id, date(2024, 3, 1)), (AccountId(8), poisoned().day)
    }  # fmt: skip


@pytest.mark.parametrize("status", [Status.FAILED, Status.SKIPPED, Status.UNFINISHED, Status.DIVIDED])
def test_what_was_not_read_stays_poison(status: Status, ledger: Ledger) -> None:
    """A walk that did not come to its end cures nothing."""
    ledger.remember([poisoned()])
    ledger.commit(published(slice_of("2024-02-28", "2024-02-29"), status, "why", receipt=None, days=()), NOW)
    assert ledger.poison() == {ACCOUNT.id: {poisoned().day: poisoned()}}


def test_poison_that_nobody_asks_for(ledger: Ledger) -> None:
    """A poisoned day that is complete and not read again is forgotten; one that lacks, or is queued, is not."""
    days = [TODAY - ONE_DAY * age for age in (10, 9, 8, 7)]
    ledger.take_over(ACCOUNT.id, {day: Known(1, complete=day != days[1]) for day in days})
    ledger.queue(ACCOUNT.id, [days[2]])
    ledger.remember([*(poisoned(day) for day in days), poisoned(days[0], 8)])
    ledger.forget_poison(before=days[3])
    assert set(ledger.poison()[ACCOUNT.id]) == {days[1], days[2], days[3]}
    assert set(ledger.poison()[AccountId(8)]) == {days[0]}


def test_who_failed_lately(ledger: Ledger) -> None:
    """Accounts whose last slice that was not complete failed on one of the last days; today does not count."""
    ends = [(1, Status.FAILED, 1), (2, Status.FAILED, 0), (3, Status.FAILED, 4), (4, Status.SKIPPED, 1),
            (5, Status.DIVIDED, 1), (6, Status.SHORT, 1), (7, Status.FAILED, 3)]  # fmt: skip
    for number, status, ago in ends:
        one = slice_of("2024-02-28", "2024-02-29", account(number))
        ledger.commit(published(one, status, "why", receipt=None, days=()), NOW - timedelta(days=ago))
    assert ledger.failed_lately(TODAY - ONE_DAY * 3, TODAY) == {1, 7}


@pytest.mark.parametrize("table", ["conditions", "poison"])
@pytest.mark.parametrize("column", ["account_id", "code", "message", "trace_id", "since", "asked_on", "digest"])
@pytest.mark.parametrize("value", [0, -1, 10**12, None, "x", b"\xff", 1.5])
def test_entry_that_is_not_as_it_was_written(table: str, column: str, value: object, ledger: Ledger) -> None:
    """An entry that is not as it was written is left out, whatever it holds now; the others stay."""
    ledger.remember([denied(), denied(8), poisoned(), poisoned(number=8)])
    with ledger._transaction() as db:
        before = db.execute(f"SELECT {column} FROM {table} WHERE account_id = 8").fetchone()  # noqa: S608
        try:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE account_id = 8", (value,))  # noqa: S608
        except Exception:  # noqa: BLE001 - NULL, or no number, where SQLite takes none
            return
        if before == (value,):
            return
    assert ledger.conditions() == {ACCOUNT.id: denied()} | ({AccountId(8): denied(8)} if table == "poison" else {})
    assert len(ledger.poison()) == (1 if table == "poison" else 2)


def test_many_threads(ledger: Ledger) -> None:
    """What workers find out while the writer commits is all remembered."""

    def work(number: int) -> None:
        for day in range(20):
            ledger.remember([denied(number), poisoned(TODAY - ONE_DAY * day, number)])
            ledger.commit(published(slice_of("2024-02-28", "2024-02-28", account(100 + number))), NOW)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.conditions()) == 4
    assert {len(days) for days in ledger.poison().values()} == {20}

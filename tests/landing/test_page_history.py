"""What the page reads of the ledger: every day once, what accounts took, requests of two days, pauses."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from harvester.landing.ledger import Known, Ledger
from harvester.landing.ledger.history import DayKnown, History
from harvester.model import ONE_DAY, AccountId, AppName, Window
from harvester.usage import Pause
from tests.landing.helpers import ACCOUNT, rows_of
from tests.landing.test_database_migration import old_4
from tests.landing.test_ledger import NOW, published

MAIN = AppName("main")
AT = NOW.timestamp()
DAY = NOW.date()
OTHER = AccountId(7)
TWO_DAYS_S = 2 * 86400


def pause(since: float, until: float, app: AppName | None = MAIN, why: str = "minute quota") -> Pause:
    """A pause, its times counted from now."""
    return Pause(app=app, since=AT + since, until=AT + until, why=why)


def looked(folder: Path) -> History:
    """The ledger as the page sees it."""
    found = History.peek(folder)
    assert found
    return found


def test_days(tmp_path: Path) -> None:
    """Every known day of the accounts that are asked for, by its place in the window."""
    days = {DAY - ONE_DAY * ago: Known(10 + ago, complete=ago != 2, queued=ago == 2) for ago in range(4)}
    with Ledger.open(tmp_path) as ledger:
        ledger.take_over(ACCOUNT.id, days)
        ledger.take_over(OTHER, days)
    with looked(tmp_path) as history:
        window = Window(DAY - ONE_DAY * 2, DAY + ONE_DAY)
        assert list(history.days_of([OTHER, AccountId(8)], window)) == [
            DayKnown(OTHER, 0, complete=False, queued=True, was_over=True, calls=12),
            DayKnown(OTHER, 1, complete=True, queued=False, was_over=True, calls=11),
            DayKnown(OTHER, 2, complete=True, queued=False, was_over=True, calls=10),
        ]
        assert list(history.days_of([], window)) == []


def test_what_accounts_took(tmp_path: Path) -> None:
    """Requests and calls of the receipts since a day; one that cannot be is left out."""
    with Ledger.open(tmp_path) as ledger:
        ledger.commit(published(), NOW)
        (receipt,) = rows_of(ledger, "receipts")
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database, database:
        columns = ",".join(receipt)
        holes = ",".join("?" * len(receipt))
        for run, requests in (("more", 5), ("less", -1), ("text", "many"), ("huge", 10**15)):
            values = {**receipt, "run_id": run, "requests": requests}
            database.execute(f"INSERT INTO receipts ({columns}) VALUES ({holes})", tuple(values.values()))  # noqa: S608
    with looked(tmp_path) as history:
        first = (receipt["requests"] or 0) + 5, (receipt["distinct_calls"] or 0) * 2
        assert history.took(DAY) == {ACCOUNT.id: first}
        assert history.took(DAY + ONE_DAY) == {}


def test_requests_and_quotas(tmp_path: Path) -> None:
    """By app and minute; quotas that were learned."""
    with Ledger.open(tmp_path) as ledger:
        for second in (0, 30, 60):
            ledger.count(MAIN, 4, AT + second, spacing_s=1, going=False)
        ledger.count(AppName("other"), 0, AT, spacing_s=1, going=False)
        ledger.learn(AppName("other"), 600, AT)
    with looked(tmp_path) as history:
        sent = history.sent()
        assert {app: sum(minutes.values()) for app, minutes in sent.items()} == {MAIN: 12}
        assert len(sent[MAIN]) == 2
        assert history.learned() == {"other": 600}


def test_pauses(tmp_path: Path) -> None:
    """They are told in order; one that goes on takes the place of what was said before; after two days they go."""
    with Ledger.open(tmp_path) as ledger:
        ledger.remember_pauses([pause(10, 70), pause(-5, 20, None, "the API is down")], AT)
        ledger.remember_pauses([pause(10, 80)], AT + 60)
        with looked(tmp_path) as history:
            assert history.pauses() == [pause(-5, 20, None, "the API is down"), pause(10, 80)]
        ledger.remember_pauses([pause(TWO_DAYS_S + 200, TWO_DAYS_S + 260)], AT + TWO_DAYS_S + 150)
        with looked(tmp_path) as history:
            assert history.pauses() == [pause(10, 80), pause(TWO_DAYS_S + 200, TWO_DAYS_S + 260)]
        ledger.remember_pauses([], AT + TWO_DAYS_S + 201)
        with looked(tmp_path) as history:
            assert history.pauses() == [pause(TWO_DAYS_S + 200, TWO_DAYS_S + 260)]


@pytest.mark.parametrize(
    "values",
    [
        "'a', 'x', 2.0, 'w'",
        "'a', 2.0, 1.0, 'w'",
        "x'00', 1.0, 2.0, 'w'",
        "'a', 1.0, 1e300, 'w'",
        "'a', 1.0, 2.0, x'00'",
    ],
)
def test_pauses_that_cannot_be(values: str, tmp_path: Path) -> None:
    """A pause that is not as it was written is left out: nothing depends on it but a picture."""
    with Ledger.open(tmp_path) as ledger:
        ledger.remember_pauses([pause(0, 60)], AT)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database, database:
        database.execute(f"INSERT INTO pauses VALUES ({values})")  # noqa: S608 - the test's own
    with looked(tmp_path) as history:
        assert history.pauses() == [pause(0, 60)]


def test_a_ledger_of_before(tmp_path: Path) -> None:
    """One that knows of no pauses yet is looked at without being changed."""
    path = old_4(tmp_path)
    before = path.read_bytes()
    with looked(tmp_path) as history:
        assert history.pauses() == []
        assert history.sent()
    assert path.read_bytes() == before

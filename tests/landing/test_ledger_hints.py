import sqlite3
from datetime import date
from pathlib import Path

import pytest

from harvester.health import Hint, Question
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.database import ledger_of
from harvester.landing.ledger.days import Known
from harvester.model import ONE_DAY, AccountId

DAY = date(2026, 3, 1)


def hint(question: Question, answer: str | None, at: float = 5.0) -> Hint:
    """What was found out."""
    return Hint(question=question, answer=answer, evidence="seen", at=at)


def test_hints_last(tmp_path: Path) -> None:
    """What was kept is there again, in the order of the questions; a newer answer replaces, an empty one does not."""
    with Ledger.open(tmp_path) as ledger:
        assert ledger.hints() == []
        ledger.keep_hints(
            [hint(Question.CURSOR, "inclusive"), hint(Question.ORDER, "ascending"), hint(Question.TIES, None)]
        )
        ledger.keep_hints([hint(Question.CURSOR, "exclusive", 6.0), hint(Question.ORDER, None, 6.0)])
    with Ledger.open(tmp_path) as ledger:
        assert ledger.hints() == [hint(Question.ORDER, "ascending"), hint(Question.CURSOR, "exclusive", 6.0)]
        ledger.keep_hints([], gone={Question.ORDER})
        assert [one.question for one in ledger.hints()] == [Question.CURSOR]


@pytest.mark.parametrize(
    "entry", [("weather", "fine", "x", 1.0), ("end_date", b"\xff", "x", 1.0), ("end_date", "y", "x", b"")]
)
def test_what_cannot_be_read_is_left_out(tmp_path: Path, entry: tuple[object, ...]) -> None:
    """A question of another harvester, or a value that is none, hurts nobody."""
    with Ledger.open(tmp_path) as ledger:
        ledger.keep_hints([hint(Question.ORDER, "ascending")])
    with sqlite3.connect(ledger_of(tmp_path)) as db:
        db.execute("INSERT INTO hints VALUES (?,?,?,?)", entry)
    db.close()
    with Ledger.open(tmp_path) as ledger:
        assert [one.question for one in ledger.hints()] == [Question.ORDER]


def test_the_busiest(tmp_path: Path) -> None:
    """Accounts by their calls of the last days; those without any are left out."""
    with Ledger.open(tmp_path) as ledger:
        for account, calls in ((1, 5), (2, 50), (3, 0)):
            ledger.take_over(
                AccountId(account), {DAY: Known(calls, complete=True), DAY - ONE_DAY * 30: Known(900, True)}
            )
        assert ledger.busiest(DAY) == [2, 1]
        assert ledger.busiest(DAY, most=1) == [2]
        assert ledger.busiest(DAY + ONE_DAY) == []

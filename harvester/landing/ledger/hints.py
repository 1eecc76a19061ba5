"""What was found out about the API's open questions, and whose calls show most of them: nothing that anybody relies on.

An entry that is not as it was written is left out; one that is wrong costs requests, and nothing else.
"""

from collections.abc import Collection, Iterable
from datetime import date

from harvester.health import Hint, Question
from harvester.landing.ledger.database import Database
from harvester.model import AccountId


class Hints(Database):
    """The hints, each question once."""

    def hints(self) -> list[Hint]:
        """All of them, in the order of the questions. Raises `StorageError`."""
        with self._reading() as db:
            rows = db.execute("SELECT question, answer, evidence, at FROM hints").fetchall()
        order = list(Question)
        found = [
            Hint(question=Question(question), answer=answer, evidence=evidence, at=at)
            for question, answer, evidence, at in rows
            if question in order and isinstance(answer, str) and isinstance(evidence, str) and isinstance(at, float)
        ]
        return sorted(found, key=lambda hint: order.index(hint.question))

    def keep_hints(self, hints: Iterable[Hint], *, gone: Collection[Question] = ()) -> None:
        """Keeps those that hold an answer, in place of earlier ones.

        Args:
            hints: What was found out.
            gone: Questions whose earlier answers do not hold any more.

        Raises:
            StorageError: Nothing of it was kept.
        """
        shown = [one for one in hints if one.answer is not None]
        rows = [(one.question.value, one.answer, one.evidence, float(one.at)) for one in shown]
        with self._transaction() as db:
            db.executemany("DELETE FROM hints WHERE question = ?", [(question.value,) for question in gone])
            db.executemany("INSERT OR REPLACE INTO hints VALUES (?,?,?,?)", rows)

    def busiest(self, since: date, most: int = 10) -> list[AccountId]:
        """The accounts with most calls of days since then, those with most first. Raises `StorageError`."""
        query = (
            "SELECT account_id FROM days WHERE day >= ? GROUP BY account_id HAVING sum(calls) > 0"
            " ORDER BY sum(calls) DESC, account_id LIMIT ?"
        )
        with self._reading() as db:
            return [AccountId(account) for (account,) in db.execute(query, (since.toordinal(), most))]

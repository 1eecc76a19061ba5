"""What the ledger knows of what has not ended: where walks can go on, what is being published, tonight's runs.

Each entry carries a digest: one that is not as it was written is left out, and its slice starts anew.
"""

import hashlib
from datetime import date, datetime

import msgspec

from harvester.landing import publication as publications
from harvester.landing.ledger.database import Database, damaged
from harvester.landing.publication import Publication
from harvester.model import AccountId, Status, Window


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a slice's walk can go on.

    Attributes:
        account_id: Whose.
        first_day: The slice's first day.
        last_day: Its last.
        part: The name of the file that holds its calls.
        size_bytes: So much of that file is good.
        calls: How many calls that is, for a person.
        state: The walk's own.
        read_on: The Beijing day on which the walk began.
        at: When it was made.
    """

    account_id: int
    first_day: date
    last_day: date
    part: str
    size_bytes: int
    calls: int
    state: bytes
    read_on: date
    at: datetime

    @property
    def account(self) -> AccountId:
        """Whose."""
        return AccountId(self.account_id)

    @property
    def window(self) -> Window:
        """The slice's days."""
        return Window(self.first_day, self.last_day)


class Unfinished(Database):
    """Checkpoints, intended publications, and the runs of a night that has not come to its end."""

    def save_checkpoint(self, one: Checkpoint) -> None:
        """Records where a slice can go on; of the account's other slices that share a day nothing is kept.

        Raises:
            StorageError: The checkpoint before, if there is one, stands.
        """
        with self._transaction() as db:
            db.execute(
                "DELETE FROM checkpoints WHERE account_id = ? AND first_day <= ? AND last_day >= ?",
                (one.account_id, str(one.last_day), str(one.first_day)),
            )
            db.execute(
                "INSERT INTO checkpoints VALUES (?,?,?,?,?,?,?,?,?,?)",
                (
                    one.account_id, str(one.first_day), str(one.last_day), one.part, one.size_bytes, one.calls,
                    one.state, one.read_on.toordinal(), one.at.isoformat(timespec="seconds"),
                    _digest(msgspec.json.encode(one)),
                ),
            )  # fmt: skip

    def checkpoints(self) -> list[Checkpoint]:
        """Where slices can go on; one that is not as it was written is left out. Raises `StorageError`."""
        found = []
        with self._reading() as db:
            rows = db.execute("SELECT * FROM checkpoints ORDER BY account_id, first_day").fetchall()
        for account, first, last, part, size_bytes, calls, state, read_on, at, digest in rows:
            try:
                one = Checkpoint(
                    account_id=account,
                    first_day=date.fromisoformat(first),
                    last_day=date.fromisoformat(last),
                    part=part,
                    size_bytes=size_bytes,
                    calls=calls,
                    state=state,
                    read_on=date.fromordinal(read_on),
                    at=datetime.fromisoformat(at),
                )
                sound = _digest(msgspec.json.encode(one)) == digest
            except (TypeError, ValueError, OverflowError):
                continue
            if sound:
                found.append(one)
        return found

    def forget_checkpoint(self, account: AccountId, window: Window) -> None:
        """The slice's next walk starts anew. Raises `StorageError`."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM checkpoints WHERE account_id = ? AND first_day = ? AND last_day = ?",
                (account, str(window.start), str(window.end)),
            )

    def begin_run(self, scope: str, run_id: str, today: date) -> None:
        """Notes that a run has begun; those of other days are forgotten.

        Args:
            scope: What it is to cover: runs of another scope have nothing to do with it.
            run_id: The run.
            today: The Beijing day.

        Raises:
            StorageError: It was not noted.
        """
        with self._transaction() as db:
            db.execute("DELETE FROM night WHERE began_on <> ?", (today.toordinal(),))
            db.execute("INSERT INTO night VALUES (?,?,?)", (scope, run_id, today.toordinal()))

    def end_night(self, scope: str) -> None:
        """Notes that a run of this scope has come to its end: the next one begins anew. Raises `StorageError`."""
        with self._transaction() as db:
            db.execute("DELETE FROM night WHERE scope = ?", (scope,))

    def complete_tonight(self, scope: str, today: date) -> dict[AccountId, list[Window]]:
        """What today's runs of this scope completed since one of them last came to its end, by account.

        Raises:
            StorageError: The ledger cannot be read.
        """
        query = (
            "SELECT account_id, first_day, last_day FROM receipts WHERE status = ?"
            " AND run_id IN (SELECT run_id FROM night WHERE scope = ? AND began_on = ?)"
        )
        found: dict[AccountId, list[Window]] = {}
        with self._reading() as db:
            for account, first, last in db.execute(query, (Status.COMPLETE, scope, today.toordinal())):
                window = Window(date.fromisoformat(first), date.fromisoformat(last))
                found.setdefault(AccountId(account), []).append(window)
        return found

    def intend(self, *some: Publication) -> None:
        """Records what is about to be done, all or nothing of it, so that it is finished whatever happens.

        Raises:
            StorageError: Nothing of it was recorded.
        """
        encoded = [(one, publications.encode(one)) for one in some]
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO publications VALUES (?,?,?,?,?)",
                [(one.account_id, str(one.first_day), str(one.last_day), text, _digest(text)) for one, text in encoded],
            )

    def intended(self) -> list[tuple[AccountId, Window, Publication | None]]:
        """What a dead run was about to do; `None` where that cannot be read.

        Raises:
            DamagedError: Nor can it be read of which days that was.
            StorageError: The ledger cannot be used.
        """
        with self._reading() as db:
            rows = db.execute("SELECT * FROM publications").fetchall()
        found: list[tuple[AccountId, Window, Publication | None]] = []
        for account, first, last, text, digest in rows:
            if isinstance(text, bytes) and _digest(text) == digest and (one := publications.decode(text)):
                found.append((one.account, one.window, one))
                continue
            try:
                window = Window(date.fromisoformat(first), date.fromisoformat(last))
            except (TypeError, ValueError) as error:
                raise damaged(self.path, f"a publication is of {first}..{last}") from error
            found.append((AccountId(account), window, None))
        return found

    def forget_publications(self) -> None:
        """Nothing is being published. Raises `StorageError`."""
        with self._transaction() as db:
            db.execute("DELETE FROM publications")


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()

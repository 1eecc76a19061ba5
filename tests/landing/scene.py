"""A small landing zone that is as its ledger says, for those who look at it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from harvester.disk import make_directory
from harvester.inspection import Finding
from harvester.landing.files import digest_of, replace_whole
from harvester.landing.ledger import Known
from harvester.landing.ledger.overview import Overview
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.marks import Marks
from harvester.landing.partition import Zone
from harvester.landing.upkeep.verify import Inspector
from harvester.landing.writer import Landing
from harvester.model import BEIJING, AccountId, Window
from tests.landing.helpers import call

NOW = datetime(2024, 3, 5, 1, 30, tzinfo=BEIJING)
BUSY, QUIET = AccountId(2045867), AccountId(2045868)
"""The one has calls every day, the other on the first only."""
FIRST, SECOND, THIRD = WINDOW = tuple(Window(date(2024, 2, 28), date(2024, 3, 1)))
CALLS = 3


@dataclass
class Scene:
    """The zone, its ledger, and who is enabled."""

    root: Path
    ledger: Overview
    fleet: Sequence[AccountId] = (BUSY, QUIET)
    zone: Zone = field(init=False)

    def __post_init__(self) -> None:
        self.zone = Zone(self.root, "zstd")

    def path(self, account: AccountId, day: date) -> Path:
        """A partition's file."""
        return self.zone.partition(account, day.isoformat())

    def write(self, account: AccountId, day: date, lines: Sequence[bytes] | None = None, suffix: str = ".zst") -> Path:
        """Puts a file in place, of a few calls unless told otherwise; the ledger is not told."""
        path = self.path(account, day).with_name(f"calls.ndjson{suffix}")
        replace_whole(path, [line + b"\n" for line in lines or self.lines(day)], scratch=self.zone.scratch)
        return path

    def lines(self, day: date) -> list[bytes]:
        """Some calls of a day."""
        return [call(number, f"{day} 09:30:0{number}").line for number in range(CALLS)]

    def know(self, account: AccountId, day: date, known: Known) -> None:
        """Tells the ledger."""
        self.ledger.take_over(account, {day: known})

    def land(self, account: AccountId, *days: date) -> None:
        """Puts calls in place, and tells the ledger."""
        for day in days:
            digest = digest_of(self.write(account, day))
            self.know(account, day, Known(CALLS, complete=True, in_file=CALLS, digest=digest))

    def save_checkpoint(self, size_bytes: int) -> None:
        """Tells the ledger of a slice that can be gone on with."""
        self.ledger.save_checkpoint(
            Checkpoint(
                account_id=BUSY, first_day=FIRST, last_day=SECOND, part="run-1.part", size_bytes=size_bytes, calls=7,
                state=b"{}", read_on=THIRD, at=NOW,
            )
        )  # fmt: skip

    def landing(self) -> Landing:
        """For healing."""
        marks = Marks(self.zone, self.ledger, "verify-1", NOW.timestamp, self.fleet)
        return Landing(zone=self.zone, ledger=self.ledger, marks=marks, run_id="verify-1", wall=NOW.timestamp)

    def inspector(self) -> Inspector:
        """Who looks."""
        return Inspector(self.zone, self.ledger, self.fleet)

    def findings(self) -> list[Finding]:
        """Everything that is found."""
        inspector = self.inspector()
        found = [finding for look in inspector.looks() for finding in look.findings]
        return found + [finding for finding, _ in inspector.apart_from_days()]


Break = Callable[[Scene], object]


@contextlib.contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """A sound landing zone of three days and two accounts, marked complete."""
    with Overview.open(folder / ".harvester") as ledger:
        made = Scene(folder, ledger)
        make_directory(made.zone.scratch)
        made.land(BUSY, *WINDOW)
        made.land(QUIET, FIRST)
        for day in (SECOND, THIRD):
            made.know(QUIET, day, Known(0, complete=True, in_file=0))
        made.landing().marks.set_right(Window(FIRST, THIRD))
        yield made

"""Calls, slices and a night's landing, which the tests of the landing zone share."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import anyio
import orjson
from hypothesis import strategies as st

from harvester.calls import Call, Calls, Stray
from harvester.disk import make_directory
from harvester.landing.ledger import Known, Ledger
from harvester.landing.marks import Marks
from harvester.landing.ndjson import read_lines
from harvester.landing.part import Part
from harvester.landing.partition import Zone
from harvester.landing.publish import Reading
from harvester.landing.runs import Gathered, Run
from harvester.landing.writer import Landing, Writer
from harvester.model import (
    BEIJING,
    Account,
    AccountId,
    AppName,
    Batch,
    End,
    Outcome,
    Receipt,
    Slice,
    Status,
    TokenName,
    Window,
)
from harvester.record import read_record


def account(number: int) -> Account:
    """An account of the only token."""
    return Account(id=AccountId(number), token=TokenName("agency-a"), app=AppName("main"))


ACCOUNT = account(2045867)
DAYS = ("2024-02-28", "2024-02-29", "2024-03-01")
NIGHT = datetime(2024, 3, 5, 1, 30, tzinfo=BEIJING)
_NOBODY = 65534


def call(call_id: str | int, start: str, **fields: object) -> Call:
    """A call as `read_record` makes it of the API's bytes."""
    line = orjson.dumps({"call_id": call_id, "call_start_time": start, **fields})
    record = read_record(bytes(memoryview(line)))  # orjson's own bytes keep a buffer of 4 kB
    assert isinstance(record, Call)
    return record


def stray(line: bytes) -> Stray:
    """A record that cannot be placed."""
    record = read_record(line)
    assert isinstance(record, Stray)
    return record


def calls(days: tuple[str, ...] = DAYS) -> st.SearchStrategy[Call]:
    """Calls of a few days: few ids and seconds, so that they meet; ids and content of any kind."""
    ids = st.sampled_from(["1", "2", "10", "a b", "ä\u2028", 7, 2**63 - 1])
    clocks = st.sampled_from(["00:00:00", "09:30:00", "09:30:01", "23:59:59"])
    starts = st.builds("{} {}".format, st.sampled_from(days), clocks)
    content = st.sampled_from(["", "\n", "\r\n\u2028", "录音", "}{", '"\\'])
    return st.builds(lambda key, start, url: call(key, start, call_record_url=url), ids, starts, content)


def slice_of(first: str, last: str, whose: Account = ACCOUNT) -> Slice:
    """An account's days."""
    return Slice(whose, Window(date.fromisoformat(first), date.fromisoformat(last)))


SLICE = slice_of(DAYS[0], DAYS[-1])


def batch(one: Slice, *some: Call, state: bytes | None = None, strays: Iterable[Stray] = ()) -> Batch:
    """A page's calls on their way."""
    return Batch(slice=one, calls=Calls.of(some), strays=tuple(strays), size_bytes=len(some), state=state)


def end(
    one: Slice,
    distinct: int,
    *,
    status: Status = Status.COMPLETE,
    reason: str | None = None,
    short_days: Iterable[date] = (),
) -> End:
    """The end of a walk that met so many different calls."""
    receipt = Receipt(
        requests=1, read=distinct, distinct=distinct, counted=distinct, reason=reason, short_days=frozenset(short_days)
    )
    return End(slice=one, status=status, reason=reason, receipt=receipt)


def reading(*some: Call, day: str = DAYS[0], whose: AccountId = ACCOUNT.id, drop: bool = False) -> Reading:
    """What a walk brought of a day that was over; what was read last comes last."""
    there = date.fromisoformat(day)
    gathered = Gathered.of([Run(Calls.of([one])) for one in some])
    return Reading(account=whose, day=there, gathered=gathered, complete=True, drop_missing=drop)


def readings_of(part: Part, day: str) -> list[Call]:
    """What a part gives of a day."""
    return [one for block in part.gathered(day).readings() for one in block]


def zone_at(root: Path, compression: str = "none") -> Zone:
    """A landing zone that is ready."""
    zone = Zone(root, compression)
    make_directory(zone.scratch)
    return zone


def landed(zone: Zone, day: str = DAYS[0], whose: AccountId = ACCOUNT.id) -> list[Call]:
    """What lies in a day's file, which holds calls only; nothing when there is none."""
    path = zone.partition(whose, day)
    found = [read_record(line) for line in read_lines(path)] if path.exists() else []
    assert all(isinstance(one, Call) for one in found)
    return [one for one in found if isinstance(one, Call)]


def files_under(folder: Path) -> set[str]:
    """Every file, by its path from the folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def identity(path: Path) -> tuple[int, int, bytes]:
    """What stays as it is while a file is not touched: inode, time of change, bytes."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, path.read_bytes()


def rows_of(ledger: Ledger, table: str) -> list[dict[str, Any]]:
    """A table as it is on disk."""
    with contextlib.closing(sqlite3.connect(ledger.path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT * FROM {table}")]  # noqa: S608 - the tests' own names


@dataclass(slots=True, kw_only=True)
class Night:
    """A run's writer, where it lands, and what it reported."""

    landing: Landing
    writer: Writer
    now: list[datetime]
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def zone(self) -> Zone:
        """The landing zone."""
        return self.landing.zone

    @property
    def ledger(self) -> Ledger:
        """What is committed."""
        return self.landing.ledger

    async def drain(self, *messages: Batch | End) -> list[Outcome]:
        """The writer's work on these messages; what it reported."""
        await self.writer.drain(getting(messages))
        return self.outcomes

    def landed(self, day: str, whose: AccountId = ACCOUNT.id) -> list[Call]:
        """What lies in a day's file; nothing when there is none."""
        return landed(self.zone, day, whose)

    def known(self, one: Slice = SLICE) -> dict[date, Known]:
        """What the ledger knows of a slice's days."""
        return self.ledger.known(one.window, [one.account.id]).get(one.account.id, {})

    def complete(self, one: Slice = SLICE) -> list[bool]:
        """Whether a slice's days are complete, by the ledger."""
        return [known.complete for known in self.known(one).values()]


def getting(messages: Iterable[Batch | End]) -> Callable[[], Awaitable[Batch | End | None]]:
    """A queue that holds these messages."""
    source = iter(messages)

    async def get() -> Batch | End | None:
        await anyio.lowlevel.checkpoint()
        return next(source, None)

    return get


def landing_in(
    root: Path,
    ledger: Ledger,
    *,
    fleet: Collection[AccountId] = (),
    compression: str = "zstd",
    keep_missing: bool = True,
    run_id: str = "run-1",
    clock: list[datetime] | None = None,
) -> Landing:
    """Where a run writes."""
    zone = zone_at(root, compression)
    times = clock or [NIGHT]

    def wall() -> float:
        return times[0].timestamp()

    marks = Marks(zone, ledger, run_id, wall, fleet)
    return Landing(zone=zone, ledger=ledger, marks=marks, run_id=run_id, wall=wall, keep_missing=keep_missing)


def night_in(root: Path, ledger: Ledger, **how: Any) -> Night:
    """A writer that is ready."""
    clock = [how.pop("now", NIGHT)]
    adopted = how.pop("adopted", None)
    landing, outcomes = landing_in(root, ledger, clock=clock, **how), list[Outcome]()
    writer = Writer(landing, outcomes.append, adopted)
    return Night(landing=landing, writer=writer, now=clock, outcomes=outcomes)


@contextlib.contextmanager
def unprivileged_folder() -> Iterator[Path]:
    """A folder whose file modes count: as root, who may do anything, the test goes on as nobody."""
    with tempfile.TemporaryDirectory(prefix="harvester-") as name:
        folder = Path(name)
        root = os.geteuid() == 0
        if root:
            os.chown(folder, _NOBODY, _NOBODY)
            os.seteuid(_NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o700)

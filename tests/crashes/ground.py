"""What the crash tests stand on: a sandbox in real time, a config for it, and what must hold of a landing zone."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from anyio.from_thread import start_blocking_portal

from harvester.assign import Options, assignment_of
from harvester.config import load
from harvester.harvest.assignment import Assignment
from harvester.landing.files import digest_of
from harvester.landing.ledger import Ledger
from harvester.landing.marks import read_mark
from harvester.landing.ndjson import read_lines
from harvester.landing.partition import Zone
from harvester.model import ONE_DAY, Window
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.stats import Stats
from harvester.sandbox.switches import ACCESS, Switches
from harvester.sandbox.world import World
from tests.flows import differences

TODAY: Final = dt.date(2024, 3, 15)
"""Long over on every machine that runs the tests."""
MARK: Final = "_COMPLETE.json"


@contextmanager
def sandbox(world: World, switches: Switches | None = None) -> Iterator[Sandbox]:
    """Serves from a thread, in real time, for as long as the block lasts."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(serve(world, switches)) as served,
    ):
        yield served


class _Alarm(Stats):
    """Counts like any other, and rings."""

    def __init__(self, number: int, ring: Callable[[], object]) -> None:
        super().__init__()
        self._number = number
        self._ring = ring

    def enter(self) -> int:
        number = super().enter()
        if number == self._number:
            self._ring()
        return number


def at_request(served: Sandbox, number: int, ring: Callable[[], object]) -> None:
    """Calls `ring` when so many more requests have come; the sandbox counts from 0 again."""
    served.stats = _Alarm(number, ring)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a config says.

    Attributes:
        days: How many, up to the day before `TODAY`.
        page_size: Calls asked for at a time.
        in_flight: Requests at a time.
        every: `[state] checkpoint_size`.
        per_minute: The app's quota as configured; `None` for none.
        state_dir: `[state] dir`; `None` for the usual place.
    """

    days: int = 5
    page_size: int = 20
    in_flight: int = 4
    every: str = "64KiB"
    per_minute: int | None = None
    state_dir: Path | None = None

    @property
    def window(self) -> Window:
        """The days."""
        return Window(TODAY - ONE_DAY * self.days, TODAY - ONE_DAY)


def configure(folder: Path, served: Sandbox, terms: Terms | None = None) -> Path:
    """Writes a config that lands beside it."""
    terms = terms or Terms()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nightly.toml"
    quota = f"requests_per_minute = {terms.per_minute}" if terms.per_minute else ""
    state = f'dir = "{terms.state_dir}"' if terms.state_dir else ""
    config.write_text(f"""
[api]
base_url = "{served.base_url}"
page_size = {terms.page_size}
[window]
start = "{terms.window.start}"
end = "{terms.window.end}"
[limits]
in_flight = {terms.in_flight}
[retry]
max_backoff = "10ms"
[state]
{state}
checkpoint_every = "none"
checkpoint_size = "{terms.every}"
[apps.main]
client_id = "1100000"
{quota}
[tokens.agency]
access_token = "{ACCESS}"
[accounts]
ids = {list(served.world.account_ids)}
""")
    return config


@dataclass(frozen=True, slots=True)
class Ground:
    """A config, where it lands, and what ought to be there."""

    config: Path
    world: World

    @property
    def landing(self) -> Path:
        """The landing zone."""
        return self.config.parent / "landing"

    @property
    def unfinished(self) -> list[str]:
        """What lies among the unfinished files."""
        return sorted(path.name for path in (self.landing / ".harvester" / "unfinished").iterdir())

    def assignment(self) -> Assignment:
        """What a run of the config does."""
        return assignment_of(load(self.config), Options(), TODAY)

    def files(self) -> dict[str, list[bytes]]:
        """The lines of every partition, by its path; asserts that nothing but whole files is to be seen."""
        found = {}
        for path in sorted(self.landing.glob("dt=*/**/*")):
            name = path.relative_to(self.landing).as_posix()
            if path.is_dir():
                assert path.name.startswith("account_id="), name
            elif path.name == MARK:
                assert read_mark(path), name
            else:
                assert path.name == "calls.ndjson.zst", name
                found[name] = list(read_lines(path))
                keys = [(call["call_start_time"], call["call_id"]) for call in map(orjson.loads, found[name])]
                assert keys == sorted(keys), name
                assert len({key for _, key in keys}) == len(keys), name
                assert {start[:10] for start, _ in keys} == {path.parts[-3].removeprefix("dt=")}, name
        self._marks_tell_the_truth(found)
        return found

    def _marks_tell_the_truth(self, files: Mapping[str, list[bytes]]) -> None:
        for path in self.landing.glob(f"dt=*/{MARK}"):
            mark = read_mark(path)
            assert mark
            there = [lines for name, lines in files.items() if name.startswith(f"{path.parent.name}/")]
            assert (mark.files, mark.calls) == (len(there), sum(map(len, there))), path
            assert list(mark.accounts) == sorted(self.world.account_ids)

    def marked(self) -> set[str]:
        """The days that say that they are complete."""
        return {path.parent.name.removeprefix("dt=") for path in self.landing.glob(f"dt=*/{MARK}")}

    def assert_complete(self) -> None:
        """All calls are there, byte by byte; every day says so; the ledger knows; nothing is left over."""
        assignment = self.assignment()
        files = self.files()
        assert differences(assignment, self.world) == {}
        assert self.marked() == {str(day) for day in assignment.scope.window}
        assert self.unfinished == []
        self._ledger_tells_the_truth(assignment, files)

    def _ledger_tells_the_truth(self, assignment: Assignment, files: Mapping[str, list[bytes]]) -> None:
        zone = Zone(self.landing, assignment.compression)
        ledger = Ledger.peek(assignment.state_dir)
        assert ledger
        with ledger:
            known = ledger.known(assignment.scope.window, self.world.account_ids)
            assert ledger.checkpoints() == []
            assert ledger.intended() == []
        for account, days in known.items():
            for day, one in days.items():
                path = zone.partition(account, str(day))
                lines = files.get(path.relative_to(self.landing).as_posix(), [])
                assert (one.complete, one.in_file, one.queued) == (True, len(lines), False), path
                assert one.digest == (digest_of(path) if lines else None), path
        assert {(account, day) for account, days in known.items() for day in days} == {
            (account, day) for account in self.world.account_ids for day in assignment.scope.window
        }


def ids_of(files: Mapping[str, list[bytes]]) -> dict[str, set[str]]:
    """The calls of each file."""
    return {name: {orjson.loads(line)["call_id"] for line in lines} for name, lines in files.items()}


def assert_none_lost(before: Mapping[str, set[str]], after: Mapping[str, set[str]]) -> None:
    """Every call that had landed is still there."""
    lost = {name: ids - after.get(name, set()) for name, ids in before.items() if ids - after.get(name, set())}
    assert lost == {}

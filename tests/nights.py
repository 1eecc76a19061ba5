"""Night after night against the sandbox, which tests of several rooms share."""

from dataclasses import replace
from pathlib import Path

import msgspec

from harvester.harvest.assignment import Assignment
from harvester.landing.marks import Mark
from harvester.report.summary import Report
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.flows import TODAY, assign, differences, run, sandbox

WORLD = World(accounts=5, calls_per_day=120, tie_share=0.05, today=TODAY)


def marked_days(folder: Path) -> dict[str, Mark]:
    """The marks of a landing zone by day."""
    marks = (msgspec.json.decode(path.read_bytes(), type=Mark) for path in folder.glob("dt=*/_COMPLETE.json"))
    return {mark.day.isoformat(): mark for mark in marks}


def stamps(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Inode, modification time and bytes of every file under `dt=*`."""
    files = (path for path in folder.glob("dt=*/**/*") if path.is_file())
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}


async def night(folder: Path, switches: Switches | None = None, world: World = WORLD, **changes: object) -> Report:
    """One run against a sandbox of its own."""
    async with sandbox(world, switches) as served:
        return await run(replace(assign(served, folder), **changes))  # type: ignore[arg-type]


async def compare(folder: Path, world: World = WORLD) -> Assignment:
    """Asserts that the landing zone is what the sandbox holds."""
    async with sandbox(world) as served:
        assignment = assign(served, folder)
    assert differences(assignment, world) == {}
    return assignment

"""A disk that is really full, a few MiB of tmpfs: nothing published is harmed, and with space the next run goes on."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harvester.landing.steps import Step
from harvester.sandbox.server import Sandbox
from harvester.sandbox.switches import ACCESS, Switches
from harvester.sandbox.world import World
from tests.crashes.doomed import Doom, fill
from tests.crashes.ground import TODAY, Ground, assert_none_lost, configure, ids_of, sandbox
from tests.crashes.nursery import Ended, Nursery, nursery

WORLD = World(today=TODAY, seed=11, accounts=3, calls_per_day=100)
_ANY = r"(cannot write to .*\.part|cannot publish .*calls\.ndjson\.zst|ledger\.sqlite cannot be used)"
"""While some slices are published others are walked: whichever comes first."""
VICTIMS = {
    Step.REMAINS_CLEARED: r"(cannot write to .*\.part|ledger\.sqlite cannot be used)",
    Step.PART_DURABLE: r"ledger\.sqlite cannot be used",
    Step.DAY_STAGED: _ANY,
    Step.SLICE_STAGED: _ANY,
    Step.PUBLICATION_INTENDED: _ANY,
    Step.DAY_REPLACED: _ANY,
    Step.DAY_MARKED: r"cannot write .*_COMPLETE\.json",
}
"""What cannot be written when the disk is full from a step on."""
_ADVICE = "Free some space and run again: nothing that was published is harmed."


@contextmanager
def small_disk(folder: Path, size: str = "3m") -> Iterator[Path]:
    """A file system of its own; skips the test where that is not permitted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder],  # noqa: S607 - wherever it is
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607 - wherever it is


@pytest.fixture(scope="module")
def mother(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where processes come from."""
    with nursery(tmp_path_factory.mktemp("nursery")) as one:
        yield one


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    """The sandbox."""
    with sandbox(WORLD) as one:
        yield one


@pytest.fixture(scope="module")
def last_night(tmp_path_factory: pytest.TempPathFactory, mother: Nursery) -> Path:
    """What landed last night, all of which has changed since."""
    folder = tmp_path_factory.mktemp("last")
    with sandbox(WORLD, Switches(vanish_calls=3, extra_field=True)) as yesterday:
        assert mother.run("run", configure(folder, yesterday)).code == 0
    return folder / "landing"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def assert_told(ended: Ended, disk: Path) -> str:
    """The last line of stderr: it names a path of the disk and what to do, and nothing that is secret."""
    assert ended.code == 4, ended
    last = ended.err.splitlines()[-1]
    assert str(disk) in last
    assert re.search(_ADVICE, last), last
    assert "Traceback" not in ended.err
    assert ACCESS not in ended.err + ended.out
    return last


@pytest.fixture(params=["first night", "second night"])
def ground(request: pytest.FixtureRequest, disk: Path, served: Sandbox, last_night: Path) -> Ground:
    """A small disk, empty or with what landed last night."""
    ground = Ground(configure(disk, served), WORLD)
    if request.param == "second night":
        shutil.copytree(last_night, ground.landing)
    return ground


@pytest.mark.parametrize("step", VICTIMS)
def test_full_from_a_step_on(step: Step, ground: Ground, disk: Path, mother: Nursery) -> None:
    """Exit 4, the path, and what to do; again while it stays full; then, with space, the night completes."""
    before = ids_of(ground.files())
    doom = Doom(at=(step, 1), fill=disk / "ballast")
    last = assert_told(mother.run("run", ground.config, "--again", doom=doom), disk)
    assert before or re.search(VICTIMS[step], last), last
    between = ids_of(ground.files())
    assert_none_lost(before, between)
    again = mother.run("run", ground.config, "--again")
    assert again.code == 0 or assert_told(again, disk)
    assert_none_lost(between, ids_of(ground.files()))
    subprocess.run(["mount", "-o", "remount,size=6m", disk], check=True)  # noqa: S607 - wherever it is
    assert mother.run("run", ground.config, "--again").code == 0
    ground.assert_complete()


@pytest.mark.parametrize("free_kib", [0, 4, 8, 16, 32, 64, 96, 160, 256, 304, 368])
def test_full_from_the_beginning(free_kib: int, disk: Path, mother: Nursery, served: Sandbox) -> None:
    """However little there is, the run ends with exit 4 wherever it comes to; with space the next one completes."""
    ground = Ground(configure(disk, served), WORLD)
    fill(disk / "ballast", free_kib * 1024)
    assert_told(mother.run("run", ground.config), disk)
    ground.files()
    (disk / "ballast").unlink()
    assert mother.run("run", ground.config).code == 0
    ground.assert_complete()


def test_full_before_the_report(disk: Path, mother: Nursery, served: Sandbox) -> None:
    """A report that cannot be written is a storage error too, though all calls are there."""
    ground = Ground(configure(disk, served), WORLD)
    said = []
    for leave_bytes in (0, 4096, 8192, 12288, 16384, 20480):  # the ledger may need some of it before
        shutil.rmtree(ground.landing, ignore_errors=True)
        doom = Doom(at=(Step.PART_REMOVED, WORLD.accounts), fill=disk / "ballast", leave_bytes=leave_bytes)
        ended = mother.run("run", ground.config, doom=doom)
        said.append(assert_told(ended, disk) if ended.code else "")
        (disk / "ballast").unlink()
    assert any("/runs/" in one for one in said), said
    assert mother.run("run", ground.config).code == 0
    ground.assert_complete()

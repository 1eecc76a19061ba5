"""A disk that cannot be written or is taken away: exit 4, the path, what to do; put right, the next run goes on."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harvester.sandbox.server import Sandbox
from harvester.sandbox.switches import ACCESS, Switches
from harvester.sandbox.world import World
from tests.crashes.ground import TODAY, Ground, Terms, at_request, configure, sandbox
from tests.crashes.nursery import Ended, Nursery, nursery
from tests.crashes.test_disk_full import small_disk

WORLD = World(today=TODAY, seed=12, accounts=3, calls_per_day=100)
NOBODY = 65534


@pytest.fixture(scope="module")
def mother(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where processes come from."""
    with nursery(tmp_path_factory.mktemp("nursery")) as one:
        yield one


@pytest.fixture
def served() -> Iterator[Sandbox]:
    """The sandbox, slow enough to be overtaken."""
    with sandbox(WORLD, Switches(latency_s=0.005)) as one:
        yield one


def assert_told(ended: Ended, path: Path, advice: str) -> None:
    """Exit 4; stderr ends with a path below this one and what to do, and holds nothing that is secret."""
    assert ended.code == 4, ended
    last = ended.err.splitlines()[-1]
    assert last.startswith("error: "), ended.err
    assert str(path) in last
    assert advice in last.lower()
    assert "Traceback" not in ended.err
    assert ACCESS not in ended.err + ended.out


def test_a_read_only_disk(tmp_path: Path, mother: Nursery, served: Sandbox) -> None:
    """Remounted read-only after the first night; writable again, the second one completes."""
    with small_disk(tmp_path / "disk") as disk:
        ground = Ground(configure(disk, served), WORLD)
        assert mother.run("run", ground.config).code == 0
        before = ground.files()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)  # noqa: S607 - wherever it is
        assert_told(mother.run("run", ground.config, "--again"), ground.landing, "make it writable for the user")
        assert ground.files() == before
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)  # noqa: S607 - wherever it is
        assert mother.run("run", ground.config, "--again").code == 0
        ground.assert_complete()


@pytest.mark.parametrize("number", [1, 12, 40, 60])
@pytest.mark.parametrize("what", ["landing", "landing/.harvester", "landing/.harvester/unfinished", "state"])
def test_a_folder_taken_away_during_the_run(
    what: str, number: int, tmp_path: Path, mother: Nursery, served: Sandbox
) -> None:
    """The run ends with exit 4 and makes nothing in its place; brought back, the next run completes the night."""
    folder = tmp_path / "night"
    state = folder / "state" if what == "state" else None
    ground = Ground(configure(folder, served, Terms(state_dir=state)), WORLD)
    taken = threading.Event()

    def take() -> None:
        (folder / what).rename(folder / "taken")
        taken.set()

    at_request(served, number, take)
    ended = mother.run("run", ground.config)
    assert taken.is_set()
    assert_told(ended, folder / what, "bring")
    assert not (folder / what).exists()
    (folder / "taken").rename(folder / what)
    ground.files()
    assert mother.run("run", ground.config).code == 0
    ground.assert_complete()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("whose", ["landing", "landing/.harvester/unfinished", "landing/dt=2024-03-12", "state"])
def test_a_folder_of_somebody_else(whose: str, mother: Nursery, served: Sandbox) -> None:
    """What belongs to somebody else is named; made one's own, the night completes."""
    with tempfile.TemporaryDirectory(prefix="harvester-") as name:
        folder = Path(name)
        ground = Ground(configure(folder, served, Terms(state_dir=folder / "state")), WORLD)
        for path in (folder, ground.config):
            os.chown(path, NOBODY, NOBODY)
        assert mother.run("run", ground.config, "--end", str(Terms().window.start), user=NOBODY).code == 0
        (folder / whose).mkdir(exist_ok=True)
        os.chown(folder / whose, 0, 0)
        (folder / whose).chmod(0o755)
        assert_told(mother.run("run", ground.config, user=NOBODY), folder / whose, "make it writable for the user")
        shutil.chown(folder / whose, NOBODY, NOBODY)
        assert mother.run("run", ground.config, user=NOBODY).code == 0
        ground.assert_complete()

"""SIGKILL after every step of checkpoint and publish: what is published stays whole, and the next run completes all."""

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Final

import pytest

from harvester.landing.steps import Step
from harvester.sandbox.server import Sandbox
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.crashes.doomed import Doom, read_tally
from tests.crashes.ground import TODAY, Ground, assert_none_lost, configure, ids_of, sandbox
from tests.crashes.nursery import Nursery, nursery

WORLD: Final = World(today=TODAY, seed=7, accounts=4, calls_per_day=60)
YESTERDAY: Final = Switches(vanish_calls=3, extra_field=True)
"""Without the last calls of each day, and with other bytes in all."""
ONCE: Final = {Step.REMAINS_CLEARED, Step.PUBLICATION_RECOVERED}
"""Steps that a run passes once at most."""
BY_CHANCE: Final = {Step.SLICE_NARROWED}
"""Steps whose number depends on who has nothing to do when; where most is still to be read they are passed once."""
CHECKPOINTED: Final = {Step.PART_WRITTEN, Step.PART_DURABLE, Step.CHECKPOINT_COMMITTED}
"""Steps before a slice's end; how often after a death while publishing depends on how far the others were then."""
WALKED: Final = CHECKPOINTED | {
    Step.SLICE_NARROWED, Step.DAY_STAGED,
    Step.SLICE_STAGED, Step.MARKS_WITHDRAWN, Step.PUBLICATION_INTENDED, Step.DAY_REPLACED, Step.SLICE_COMMITTED,
    Step.PART_REMOVED, Step.DAY_MARKED, Step.REMAINS_CLEARED,
}  # fmt: skip
SCENES: Final = {
    "first night": WALKED,
    "second night": WALKED,
    "after a death while walking": WALKED - BY_CHANCE | {Step.PART_ADOPTED},
    "after a death while publishing": WALKED - BY_CHANCE | {Step.PUBLICATION_RECOVERED, Step.PART_ADOPTED},
}
"""Which steps a run passes."""
DEATHS: Final = [
    (scene, step, which)
    for scene, steps in SCENES.items()
    for step in Step
    for which in ("first", "middle", "last")
    if step in steps
    and (which == "first" or step not in ONCE | BY_CHANCE | (CHECKPOINTED if "publishing" in scene else set()))
]


@dataclass(frozen=True)
class Theatre:
    """What all deaths share.

    Attributes:
        served: The sandbox.
        nursery: Where processes come from.
        scenes: A folder to begin with for each scene, and how often a run from there passes each step.
    """

    served: Sandbox
    nursery: Nursery
    scenes: dict[str, tuple[Path, Counter[Step]]]

    def enter(self, scene: str, folder: Path) -> Ground:
        """A copy of a scene."""
        shutil.copytree(self.scenes[scene][0], folder)
        return Ground(folder / "nightly.toml", self.served.world)


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """The scenes, each made once by processes that ended as it wants."""
    root = tmp_path_factory.mktemp("theatre")
    with nursery(root / "nursery") as mother, sandbox(WORLD) as served:
        folders = {scene: root / scene for scene in SCENES}
        first, second, walking, publishing = folders.values()
        for folder in (first, walking):
            configure(folder, served)
        with sandbox(WORLD, YESTERDAY) as yesterday:
            assert mother.run("run", configure(second, yesterday)).code == 0
        configure(second, served)
        shutil.copytree(second, publishing)
        doom = Doom(at=(Step.CHECKPOINT_COMMITTED, 4))  # before any slice has ended
        assert mother.run("run", walking / "nightly.toml", doom=doom).code == -SIGKILL
        doom = Doom(at=(Step.DAY_REPLACED, 2))
        assert mother.run("run", publishing / "nightly.toml", "--again", doom=doom).code == -SIGKILL
        scenes = {}
        for scene, folder in folders.items():
            rehearsal, tally = root / f"{scene}, rehearsed", root / f"{scene}.tally"
            shutil.copytree(folder, rehearsal)
            done = mother.run("run", rehearsal / "nightly.toml", "--again", doom=Doom(tally=tally))
            assert done.code == 0, done.err
            Ground(rehearsal / "nightly.toml", WORLD).assert_complete()
            scenes[scene] = (folder, read_tally(tally))
        yield Theatre(served, mother, scenes)


def test_every_step_is_deadly_somewhere(theatre: Theatre) -> None:
    """The matrix has every step there is, and each scene passes the steps that are said of it."""
    assert set().union(*SCENES.values()) == set(Step)
    for scene, (_, tally) in theatre.scenes.items():
        assert set(tally) - SCENES[scene] <= BY_CHANCE
        assert set(tally) >= SCENES[scene]
    assert all(tally[step] == 1 for _, tally in theatre.scenes.values() for step in ONCE & tally.keys())


@pytest.mark.parametrize(("scene", "step", "which"), DEATHS)
def test_a_death_after_a_step_costs_nothing(
    scene: str, step: Step, which: str, theatre: Theatre, tmp_path: Path
) -> None:
    """What is published is whole and nothing of it is lost; the next run completes everything, with nothing left."""
    count = theatre.scenes[scene][1][step]
    ground = theatre.enter(scene, tmp_path / "scene")
    before = ids_of(ground.files())
    doom = Doom(at=(step, {"first": 1, "middle": (count + 1) // 2, "last": count}[which]))
    killed = theatre.nursery.run("run", ground.config, "--again", doom=doom)
    assert killed.code == -SIGKILL, f"{doom}: {killed}"
    between = ids_of(ground.files())
    assert_none_lost(before, between)
    done = theatre.nursery.run("run", ground.config, "--again")
    assert done.code == 0, done.err
    assert_none_lost(between, ids_of(ground.files()))
    ground.assert_complete()


def test_deaths_in_a_row(theatre: Theatre, tmp_path: Path) -> None:
    """One process after the other dies at the next step, each on what the one before left; then one completes all."""
    ground = theatre.enter("second night", tmp_path / "scene")
    before = ids_of(ground.files())
    deaths = 0
    for step, number in itertools.product(reversed(Step), (2, 1)):
        ended = theatre.nursery.run("run", ground.config, "--again", doom=Doom(at=(step, number)))
        assert ended.code in {0, -SIGKILL}
        deaths += ended.code != 0
        after = ids_of(ground.files())
        assert_none_lost(before, after)
        before = after
    assert deaths >= len(Step) - len(BY_CHANCE) - 2  # not all are passed each time
    assert theatre.nursery.run("run", ground.config, "--again").code == 0
    ground.assert_complete()

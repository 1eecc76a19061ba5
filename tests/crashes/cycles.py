"""Kill and resume, at random: a night that dies again and again until it is complete, and what that cost in pages."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Final

from harvester.harvest.queue import MAX_MESSAGES
from harvester.landing.steps import Step
from harvester.sandbox.switches import CursorRule, Order, Switches, Ties
from harvester.sandbox.world import World
from tests.crashes.doomed import Doom
from tests.crashes.ground import TODAY, Ground, Terms, assert_none_lost, configure, ids_of, sandbox
from tests.crashes.nursery import Ended, Nursery

TERMS: Final = Terms(days=7, page_size=50, in_flight=4)
ACCOUNTS: Final = 4
EVERY_BYTES: Final = 64 * 2**10
CALL_BYTES: Final = 550
"""Of memory, at least, that the writer counts for a call of the sandbox."""
GROUP_CALLS: Final = 12
"""Calls of one second, at most, in a world without giant ones: so many of a page may be known already."""
PAGES_A_CHECKPOINT: Final = 1 + ceil(EVERY_BYTES / (CALL_BYTES * (TERMS.page_size - GROUP_CALLS)))
"""Of one slice, from one checkpoint to the next."""
PAGES_A_KILL: Final = ACCOUNTS * (PAGES_A_CHECKPOINT + 1) + MAX_MESSAGES
"""What a kill may cost: of each open slice the pages since its checkpoint and the one that is asked for; and what is
on its way to the writer."""
PAGES_A_STOP: Final = ACCOUNTS
"""What a stop may cost: the pages that are being asked for."""
PAGES_OF_CHANCE: Final = ACCOUNTS
"""What two undisturbed nights may differ by: a walk asks what another one has not found out yet, whichever is first."""
_STOPS: Final = {signal.SIGTERM: 143, signal.SIGINT: 130}


@dataclass(slots=True, kw_only=True)
class Cycle:
    """What became of one night.

    Attributes:
        seed: Of everything in it.
        mild: Whether its world is without giant seconds: only then do bytes say how many pages a checkpoint covers.
        again: Whether it is the second night, in which every file is there already and changes: what is complete is
            read once more by each of its runs, since that is asked for.
        kills: How often it was killed.
        stops: How often it was stopped by SIGTERM or SIGINT.
        asked: Pages that the sandbox was asked for, all together.
        needed: Pages that the same night needs undisturbed.
        dooms: What was tried, for a person.
    """

    seed: int
    mild: bool
    again: bool
    kills: int = 0
    stops: int = 0
    asked: int = 0
    needed: int = 0
    dooms: list[str] = field(default_factory=list)

    @property
    def twice(self) -> int:
        """Pages that were walked twice."""
        return self.asked - self.needed

    @property
    def allowed(self) -> int | None:
        """How many may be; `None` when there is no saying."""
        if not self.mild or self.again:
            return None
        return self.kills * PAGES_A_KILL + self.stops * PAGES_A_STOP + PAGES_OF_CHANCE


def run_cycle(mother: Nursery, folder: Path, seed: int) -> Cycle:
    """A world and a server by the seed; killed 1 to 6 times, then left alone; asserts that every call is there."""
    chance = Random(seed)  # noqa: S311 - not for secrets
    mild = chance.random() < 0.7
    world = World(
        today=TODAY, seed=seed, accounts=ACCOUNTS, calls_per_day=150, tie_share=0.2, tie_size=0 if mild else 80,
        tie_day_share=0.3,
    )  # fmt: skip
    switches = Switches(
        seed=seed,
        order=chance.choice(list(Order)),
        cursor=chance.choice(list(CursorRule)),
        ties=chance.choice(list(Ties)),
        latency_s=chance.choice([0.0, 0.002, 0.005]),
    )
    cycle = Cycle(seed=seed, mild=mild, again=chance.random() < 0.3)
    with sandbox(world, switches) as served:
        ground = Ground(configure(folder / "night", served, TERMS), world)
        if cycle.again:
            with sandbox(world, Switches(vanish_calls=3, extra_field=True)) as yesterday:
                assert mother.run("run", configure(folder / "night", yesterday, TERMS)).code == 0
            configure(folder / "night", served, TERMS)
        began = perf_counter()
        assert mother.run("run", configure(folder / "undisturbed", served, TERMS)).code == 0
        cycle.needed, took_s = served.stats.requests, perf_counter() - began
        _suffer(mother, ground, cycle, list(_dooms(chance, cycle.needed, took_s)))
        cycle.asked = served.stats.requests - cycle.needed
    ground.assert_complete()
    return cycle


def _dooms(chance: Random, requests: int, took_s: float) -> Iterator[Doom]:
    for _ in range(chance.randint(1, 6)):
        number = chance.choices([signal.SIGKILL, *_STOPS], [6, 1, 1])[0]
        match chance.randrange(3):
            case 0:
                yield Doom(after_ms=chance.randint(0, int(took_s * 1000)), number=number)
            case 1:
                yield Doom(at_request=chance.randint(1, requests), number=number)
            case _:
                yield Doom(at=(chance.choice(list(Step)), chance.choice([1, 1, 2, 3, 5, 8, 13])), number=number)


def _suffer(mother: Nursery, ground: Ground, cycle: Cycle, dooms: list[Doom]) -> None:
    """Runs the night under each doom, then under none; in between all that is visible is whole and only grows."""
    before = ids_of(ground.files())
    for doom in [*dooms, Doom()]:
        ended = mother.run("run", ground.config, *(["--again"] if cycle.again else []), doom=doom)
        cycle.dooms.append(f"{doom}: {ended.code}")
        _take_note(cycle, doom, ended)
        after = ids_of(ground.files())
        assert_none_lost(before, after)
        before = after
        if ended.code == 0:
            return
    raise AssertionError(f"the last run did not complete: {cycle}")


def _take_note(cycle: Cycle, doom: Doom, ended: Ended) -> None:
    if ended.code == -signal.SIGKILL:
        assert doom.number == signal.SIGKILL
        cycle.kills += 1
    elif ended.code != 0:
        early = ended.code == -signal.SIGTERM and doom.after_ms is not None  # before anything listened
        assert early or ended.code == _STOPS.get(doom.number), f"{doom}: {ended}"
        cycle.stops += 1
    untold = doom.number == signal.SIGINT and doom.after_ms is not None  # before anything listened, too
    assert untold or "Traceback" not in ended.err, ended.err

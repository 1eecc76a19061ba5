from dataclasses import replace

import pytest

from harvester.calls import NO_CALLS
from harvester.landing import steps
from harvester.landing.ledger import Ledger
from harvester.landing.steps import Step
from harvester.model import Batch, Slice, Status
from tests.landing.helpers import DAYS, SLICE, Night, batch, call, end, landed, slice_of
from tests.landing.test_writer_checkpoints import taken_up

pytestmark = pytest.mark.anyio
FIRST, MIDDLE, LAST = (call(key, f"{day} 12:00:00") for key, day in zip("abc", DAYS, strict=True))
NARROW, GIVEN = slice_of(DAYS[1], DAYS[2], SLICE.account), slice_of(DAYS[0], DAYS[0], SLICE.account)
"""Of a slice of three days the walk keeps the last two."""


def narrowed(one: Slice = NARROW, was: Slice = SLICE, state: bytes = b"narrow") -> Batch:
    """What tells the writer that a slice gave days away."""
    return replace(batch(one, MIDDLE, state=state), was=was)


def checkpoints(ledger: Ledger) -> list[tuple[str, bytes, int]]:
    """Of which days, the state, and of how many calls."""
    return [(str(one.window), one.state, one.calls) for one in ledger.checkpoints()]


async def test_a_slice_that_gave_days_away_goes_on_under_those_it_kept(night: Night) -> None:
    """What it had brought is the narrower slice's; the other's calls land with its own."""
    await night.drain(batch(SLICE, LAST), narrowed(), batch(GIVEN, FIRST), end(NARROW, 2), end(GIVEN, 1))
    assert [(one.slice, one.status, one.landed) for one in night.outcomes] == [
        (NARROW, Status.COMPLETE, 2),
        (GIVEN, Status.COMPLETE, 1),
    ]
    assert [landed(night.zone, day) for day in DAYS] == [[FIRST], [MIDDLE], [LAST]]
    assert checkpoints(night.ledger) == []
    assert not list(night.zone.scratch.glob("*.part"))


async def test_its_checkpoint_takes_the_place_of_the_wider_one(night: Night) -> None:
    """Of an account's days no two checkpoints speak: one transaction takes the one away and brings the other."""
    await night.drain(batch(SLICE, LAST, state=b"wide"))
    assert checkpoints(night.ledger) == [(str(SLICE.window), b"wide", 1)]
    await night.drain(narrowed())
    assert checkpoints(night.ledger) == [(str(NARROW.window), b"narrow", 2)]
    await night.drain(batch(GIVEN, FIRST, state=b"given"))
    assert checkpoints(night.ledger) == [(str(GIVEN.window), b"given", 1), (str(NARROW.window), b"narrow", 2)]


async def test_without_a_checkpoint_before_it_has_one_now(night: Night) -> None:
    """So that a run that dies later does not begin the wide slice anew beside what was given away."""
    await night.drain(batch(SLICE, LAST), narrowed())
    assert checkpoints(night.ledger) == [(str(NARROW.window), b"narrow", 2)]


@pytest.mark.parametrize("step", [Step.PART_WRITTEN, Step.PART_DURABLE, Step.CHECKPOINT_COMMITTED, Step.SLICE_NARROWED])
async def test_a_death_around_it_leaves_one_of_the_two(
    night: Night, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wider slice before the ledger's word, the narrower one after it; the part is good for either."""

    class DeadError(Exception):
        pass

    def die(passed: Step) -> None:
        if passed is step:
            raise DeadError

    await night.drain(batch(SLICE, LAST, state=b"wide"))
    monkeypatch.setattr(steps, "passed", die)
    with pytest.raises(DeadError):
        await night.drain(narrowed())
    monkeypatch.undo()
    wide, narrow = (str(SLICE.window), b"wide", 1), (str(NARROW.window), b"narrow", 2)
    committed = step in {Step.CHECKPOINT_COMMITTED, Step.SLICE_NARROWED}
    assert checkpoints(night.ledger) == [narrow if committed else wide]
    again = taken_up(night.zone.root, night.ledger, began=NARROW if committed else SLICE)
    rest = [] if committed else [batch(SLICE, MIDDLE), batch(SLICE, FIRST)]
    await again.drain(*rest, end(NARROW if committed else SLICE, 2 if committed else 3))
    assert [one.status for one in again.outcomes] == [Status.COMPLETE]
    assert landed(again.zone, DAYS[2]) == [LAST]


async def test_a_slice_that_was_resumed_stays_so(night: Night) -> None:
    """What an earlier run began is told of, however narrow it has become."""
    await night.drain(batch(SLICE, LAST, state=b"wide"))
    again = taken_up(night.zone.root, night.ledger)
    await again.drain(narrowed(), end(NARROW, 2), batch(GIVEN, FIRST), end(GIVEN, 1))
    assert [(one.slice, one.resumed) for one in again.outcomes] == [(NARROW, True), (GIVEN, False)]


async def test_it_may_become_narrower_again(night: Night) -> None:
    """Day by day; each time its calls go with it."""
    least = slice_of(DAYS[2], DAYS[2], SLICE.account)
    await night.drain(batch(SLICE, LAST), replace(narrowed(), calls=NO_CALLS), narrowed(least, NARROW, b"least"))
    assert [(window, state) for window, state, _ in checkpoints(night.ledger)] == [(str(least.window), b"least")]

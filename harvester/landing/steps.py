"""The steps of checkpoint and publish, by name, so that tests can stop the process after each of them.

Outside of those tests passing a step calls a function that does nothing, a few times a slice.
"""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """What has just been done."""

    PART_WRITTEN = "part written"
    """The calls in memory are in the part's file, in the system's hands."""
    PART_DURABLE = "part durable"
    """…and on the disk."""
    CHECKPOINT_COMMITTED = "checkpoint committed"
    """The ledger says how far the part is good, and how to walk on from there."""
    SLICE_NARROWED = "slice narrowed"
    """…and it says so of a slice that gave days away, of which it says nothing any more."""
    DAY_STAGED = "day staged"
    """A day's new file is on the disk, out of sight."""
    SLICE_STAGED = "slice staged"
    """All of them are, and their names too."""
    MARKS_WITHDRAWN = "marks withdrawn"
    """No day that is about to change says any more that it is complete."""
    PUBLICATION_INTENDED = "publication intended"
    """The ledger says what is about to be replaced: from here on a dead run's publication is finished by the next."""
    DAY_REPLACED = "day replaced"
    """A day's file is the new one."""
    SLICE_COMMITTED = "slice committed"
    """The ledger says that the slice is harvested."""
    PART_REMOVED = "part removed"
    """Its part is gone."""
    DAY_MARKED = "day marked"
    """A day says that all accounts are complete."""
    PUBLICATION_RECOVERED = "publication recovered"
    """What a dead run had intended is done and committed."""
    PART_ADOPTED = "part adopted"
    """A dead run's part is cut to its last checkpoint."""
    REMAINS_CLEARED = "remains cleared"
    """What a dead run left, and nobody needs, is gone."""


def _nothing(step: Step) -> None:
    """What passing a step does, normally."""


passed: Callable[[Step], None] = _nothing
"""Called after each step; a test puts its own here."""

"""Who wants to follow each slice and each attempt: more than events tell, which are fewer. Pure."""

from typing import Protocol

from harvester.model import Slice


class Trace(Protocol):
    """Follows slices. It is called on the event loop, so it must return soon; what it raises ends the run."""

    def begun(self, one: Slice, instead_of: Slice | None = None) -> None:
        """A slice is begun or gone on with, in the asyncio task that walks it; or narrowed, its other days given away.

        That it has ended is an event: `SliceDone`.
        """
        ...

    def tried(self, what: str, failure: str | None) -> None:
        """One attempt has ended, in the task of its slice.

        Args:
            what: What was asked for, for a person: an account and its days.
            failure: Why it brought no page; `None` when it did.
        """
        ...

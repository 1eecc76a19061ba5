"""What the ledger knows of the API's open questions, for a run, and what the run's own answers show of them, for it."""

from collections.abc import Callable

from harvester.harvest.findings import Findings
from harvester.harvest.hints import hints_of, news
from harvester.health import Question
from harvester.landing.ledger import Ledger
from harvester.model import PageSize


class Hintbook:
    """Hints, over one run.

    Args:
        ledger: Where they are kept.
        page_size: What the config asks for.
        wall: Unix seconds.

    Attributes:
        hints: What the run begins with.
        found: What its walks found out; to be set before `close`.

    Raises:
        StorageError: The ledger cannot be read.
    """

    def __init__(self, ledger: Ledger, page_size: PageSize, wall: Callable[[], float]) -> None:
        self._ledger = ledger
        self._wall = wall
        self._page_size = page_size
        self._known = ledger.hints()
        self.hints = hints_of(self._known, wall(), page_size)
        self.found = Findings()

    def close(self) -> None:
        """Keeps what is new. Raises `StorageError`."""
        if new := news(self._known, self.found, self._wall(), self._page_size):
            said_anew = any(hint.question is Question.PAGE_SIZE for hint in new)
            self._ledger.keep_hints(new, gone=[Question.REFUSED_SIZE] if said_anew else [])

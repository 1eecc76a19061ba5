"""Where a run's writer works."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from harvester.landing.ledger import Ledger
from harvester.landing.marks import Marks
from harvester.landing.partition import Zone
from harvester.model import BEIJING


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """Where a writer works.

    Attributes:
        zone: Where files land.
        ledger: Where commits are recorded.
        marks: What says which days are complete.
        run_id: Of this run.
        wall: Unix seconds.
        keep_missing: Whether calls stay that landed once and are not returned any more.
    """

    zone: Zone
    ledger: Ledger
    marks: Marks
    run_id: str
    wall: Callable[[], float]
    keep_missing: bool = True

    def now(self) -> datetime:
        """Beijing time, in whole seconds."""
        return datetime.fromtimestamp(self.wall(), BEIJING).replace(microsecond=0)

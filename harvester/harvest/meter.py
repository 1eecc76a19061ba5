"""The quotas of a run: made of what the ledger knows, and the ledger told of what they used.

Every few seconds the ledger is told how many requests each app has sent. So a quota holds also when a run is killed and
the next one begins in the same minute: see `harvester.usage`.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping

import anyio

from harvester.api.quota import Quota
from harvester.api.traffic import Budget, Traffic
from harvester.harvest.assignment import Assignment
from harvester.landing.ledger import Ledger
from harvester.model import AppName
from harvester.usage import HEARTBEAT_S

log = logging.getLogger(__name__)


class Meter:
    """Counts a run's requests.

    Args:
        assignment: What the apps may use.
        ledger: What earlier runs used; is told of this one.
        wall: Unix seconds.
    """

    def __init__(self, assignment: Assignment, ledger: Ledger, wall: Callable[[], float]) -> None:
        self._assignment = assignment
        self._ledger = ledger
        self._wall = wall
        self._counted: defaultdict[AppName, int] = defaultdict(int)
        self._learned: dict[AppName, int] = {}
        self._traffic: Traffic | None = None
        self.quotas: Mapping[AppName, Quota] = {}

    def open(self) -> Mapping[AppName, Quota]:
        """The quotas, from now on; to be called on the event loop.

        Raises:
            StorageError: The ledger cannot be read or written.
        """
        assignment, now = self._assignment, self._wall()
        duration_s = assignment.max_duration_s
        deadline = None if duration_s is None else anyio.current_time() + duration_s
        traffic = self._traffic = Traffic(
            assignment.in_flight,
            self._wall,
            budget=Budget(requests_left=assignment.max_requests, deadline=deadline),
            patience_s=assignment.give_up_after_s,
        )
        self.quotas = {
            app: Quota(app, limits, traffic, self._ledger.sending(app, now))
            for app, limits in assignment.limits.items()
        }
        self._tell(going=True)
        return self.quotas

    async def run(self) -> None:
        """Tells the ledger until it is cancelled."""
        while True:
            await anyio.sleep(HEARTBEAT_S)
            await anyio.to_thread.run_sync(self._tell)

    def close(self) -> None:
        """Tells the ledger for the last time. Raises `StorageError`."""
        if self.quotas:
            self._tell(going=False)

    def _tell(self, *, going: bool = True) -> None:
        now = self._wall()
        for app, quota in self.quotas.items():
            sent, learned = quota.sent, quota.learned_per_minute
            self._ledger.count(app, sent - self._counted[app], now, spacing_s=quota.spacing_s, going=going)
            self._counted[app] = sent
            if learned and learned != self._learned.get(app):
                self._ledger.learn(app, learned, now)
                self._learned[app] = learned

    @property
    def sent(self) -> Mapping[AppName, int]:
        """Requests of this run, by app."""
        return {app: quota.sent for app, quota in self.quotas.items()}

    @property
    def waiting(self) -> list[str]:
        """What is being waited for, for a person."""
        whole = self._traffic.waiting if self._traffic else None
        return [whole] if whole else [text for quota in self.quotas.values() if (text := quota.waiting)]

    def notes(self) -> tuple[str, ...]:
        """What a person should know of afterwards."""
        of_all = self._traffic.notes if self._traffic else []
        return (*of_all, *(note for quota in self.quotas.values() for note in quota.notes()))

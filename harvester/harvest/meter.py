"""The quotas of a run: made of what the ledger knows, and the ledger told of what they used.

Every few seconds the ledger is told how many requests each app has sent; if it cannot be told, nothing more is sent. So
a quota holds also when a run is killed and the next one begins in the same minute: see `harvester.usage`.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

import anyio

from harvester.api.quota import Quota, Reading
from harvester.api.quota.steering import WORTH_MINDING
from harvester.api.traffic import Budget, Traffic
from harvester.harvest.assignment import Assignment
from harvester.landing.ledger import Ledger
from harvester.model import AppName
from harvester.standing import Wait
from harvester.usage import HEARTBEAT_S, Pause

Words = Sequence[tuple[AppName, int, float]]
"""What the ledger is told: apps, what each has sent in this run or may send soon, and its spacing in seconds."""


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
        self._pauses: set[Pause] = set()
        """Those that the ledger knows."""
        self._last_words: Words = ()
        self._last_pauses: Sequence[Pause] = ()
        self._traffic: Traffic | None = None
        self.quotas: Mapping[AppName, Quota] = {}

    async def open(self) -> Mapping[AppName, Quota]:
        """The quotas, from now on.

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
            accounts=len(assignment.accounts),
            where=urlsplit(assignment.base_url).hostname,
        )
        self.quotas = {
            app: Quota(app, limits, traffic, self._ledger.sending(app, now))
            for app, limits in assignment.limits.items()
        }
        await self._tell_meanwhile()
        return self.quotas

    async def run(self) -> None:
        """Tells the ledger until it is cancelled."""
        while self._traffic:
            await self._traffic.has_to_tell(HEARTBEAT_S)
            await self._tell_meanwhile()

    def close(self) -> None:
        """Tells the ledger for the last time, when nothing is sent any more. Raises `StorageError`."""
        self._tell(self._last_words, self._last_pauses, going=False)

    async def _tell_meanwhile(self) -> None:
        """Tells the ledger off the event loop, and lets the apps go on sending until it has to be told again."""
        began = anyio.current_time()
        reserves = {app: quota.reserve for app, quota in self.quotas.items()}
        words = [(app, quota.sent + reserves[app], quota.spacing_s) for app, quota in self.quotas.items()]
        await anyio.to_thread.run_sync(partial(self._tell, words, self._traffic_pauses, going=True))
        for app, told, _ in words:
            self.quotas[app].reserved = told if reserves[app] else None
        if self._traffic:
            self._traffic.extend(began + 2 * HEARTBEAT_S)

    @property
    def _traffic_pauses(self) -> Sequence[Pause]:
        return self._traffic.pauses if self._traffic else ()

    def _tell(self, words: Words, pauses: Sequence[Pause], *, going: bool) -> None:
        now = self._wall()  # after the counts were taken: what they hold was sent by then
        for app, sent, spacing_s in words:
            more = max(0, sent - self._counted[app])
            self._ledger.count(app, more, now, spacing_s=spacing_s, going=going)
            self._counted[app] += more
            learned = self.quotas[app].learned_per_minute
            if learned and learned != self._learned.get(app):
                self._ledger.learn(app, learned, now)
                self._learned[app] = learned
        if new := [one for one in pauses if one not in self._pauses]:
            self._ledger.remember_pauses(new, now)
            self._pauses = set(pauses)

    def stop(self) -> None:
        """Takes the last counts: nothing is sent any more. To be called on the event loop, before `close`."""
        self._last_pauses = self._traffic_pauses
        self._last_words = [(app, quota.sent, quota.spacing_s) for app, quota in self.quotas.items()]

    @property
    def sent(self) -> Mapping[AppName, int]:
        """Requests of this run, by app."""
        return {app: quota.sent for app, quota in self.quotas.items()}

    @property
    def readings(self) -> Mapping[AppName, Reading]:
        """Where each app's quota stands."""
        return {app: quota.reading for app, quota in self.quotas.items()}

    @property
    def waits(self) -> list[Wait]:
        """What is being waited for, for a person: what holds all up, or else what holds up each app."""
        traffic = self._traffic
        if traffic is None:
            return []
        if traffic.wait and traffic.wait.why:
            return [Wait(why=traffic.wait.why, until=traffic.moment(traffic.wait.until))]
        found = ((app, reading.wait) for app, reading in self.readings.items())
        return [Wait(app=app, why=wait.why or "", until=traffic.moment(wait.until)) for app, wait in found if wait]

    @property
    def waiting(self) -> list[str]:
        """The same in words."""
        return [f"waiting: {one.why}" + (f", until {one.until:%H:%M:%S}" if one.until else "") for one in self.waits]

    @property
    def slowed(self) -> tuple[str, ...]:
        """Why the pace is below what the quotas allow, for a person."""
        found = [self._traffic.slowed] if self._traffic and self._traffic.slowed else []
        for app, reading in self.readings.items():
            if reading.others >= WORTH_MINDING:
                share = f"{100 * reading.others:.0f} %"
                found.append(f"others use {share} of app {app}'s minute, or its quota is set too high")
        return tuple(found)

    def notes(self) -> tuple[str, ...]:
        """What a person should know of afterwards."""
        of_all = self._traffic.notes if self._traffic else []
        return (*of_all, *(note for quota in self.quotas.values() for note in quota.notes()))

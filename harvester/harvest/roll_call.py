"""The roll call: the accounts of the `[discover]` tables, listed anew under the tables' own tokens.

It has quotas of its own: an app's quota is for one endpoint (documented), so nothing of it counts for the calls, nor
for `--max-requests`. A list is kept when it is whole, and only then.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import anyio

from harvester.api.accounts import PER_SECOND, Listing, NotWholeError, ask_for_page
from harvester.api.ask import Answer, Ask
from harvester.api.client import Client
from harvester.api.effort import Surroundings
from harvester.api.quota import Limits, Quota
from harvester.api.tokens import Tokens
from harvester.api.traffic import Traffic
from harvester.api.transport import Transport
from harvester.errors import CallError, TokenFault
from harvester.harvest.assignment import Assignment
from harvester.landing.ledger import Ledger
from harvester.roll import Change, Listed, Table, called, change

log = logging.getLogger(__name__)

LONGEST_S: Final = 600.0
"""So long the lists of a run may take, all together: after that it goes on with those that it has."""
_PATIENCE_S: Final = 120.0
"""So long the API may be down before a list is given up."""
_ENDED: Final = "there was no time left for it"


class Asker(Protocol):
    """What can ask the API."""

    async def ask(self, ask: Ask[Answer]) -> Answer:
        """See `Client.ask`."""


@dataclass(slots=True)
class Called:
    """What calling the rolls brought.

    Attributes:
        changes: What is different on the rolls that were listed, by table.
        failures: Why others were not.
        dead: Tables whose token is dead.
    """

    changes: dict[Table, Change] = field(default_factory=dict)
    failures: dict[Table, str] = field(default_factory=dict)
    dead: set[Table] = field(default_factory=set)


class RollCall:
    """Lists the accounts of tables, one table after the other, and keeps what is whole.

    Args:
        assignment: What the tables are.
        ledger: Where rolls are kept.
        asker: Asks the API.
        wall: Unix seconds.
    """

    def __init__(self, assignment: Assignment, ledger: Ledger, asker: Asker, wall: Callable[[], float]) -> None:
        self._assignment = assignment
        self._ledger = ledger
        self._asker = asker
        self._wall = wall
        self.scope = anyio.CancelScope()
        """Its cancellation ends the call; a list that is not whole by then counts as not listed."""
        self.called = Called()

    def stop(self) -> None:
        """Ends it: what is not listed by now stays as it was."""
        self.scope.cancel()

    async def call(self, tables: Sequence[Table]) -> Called:
        """Lists these tables' accounts.

        Raises:
            StorageError: A roll cannot be read or kept, or a renewed token cannot be stored.

        Cancellation: a roll that is being kept is kept whole.
        """
        at_most_s = min(LONGEST_S, self._assignment.max_duration_s or LONGEST_S)
        self.scope.deadline = anyio.current_time() + at_most_s
        with self.scope:
            for table in tables:
                await self._call(table)
        for table in tables:
            if table not in self.called.changes:
                self.called.failures.setdefault(table, _ENDED)
        return self.called

    async def _call(self, table: Table) -> None:
        log.info("%s: listing the accounts under token %s", table, table.token)
        try:
            listed = await _listed(table, self._asker)
        except (CallError, NotWholeError) as error:
            log.warning("%s could not be listed: %s", table, error)
            self.called.failures[table] = str(error)
            if isinstance(error, TokenFault):
                self.called.dead.add(table)
            return
        with anyio.CancelScope(shield=True):
            self.called.changes[table] = await anyio.to_thread.run_sync(self._keep, table, listed)

    def _keep(self, table: Table, listed: Sequence[Listed]) -> Change:
        before = self._ledger.roll(table.name)
        now = called(table, before, listed, self._wall(), self._assignment.scope.today)
        self._ledger.put_roll(now)
        return change(table, before, now)


async def _listed(table: Table, asker: Asker) -> Sequence[Listed]:
    """All accounts of a table, or an error: a list that is not whole is none."""
    listing = Listing()
    while not listing.is_whole:
        listing = listing.with_page(await asker.ask(ask_for_page(table, listing.cursor)))
    return tuple(listing.accounts.values())


def roll_call(
    assignment: Assignment, ledger: Ledger, transport: Transport, tokens: Tokens, around: Surroundings
) -> RollCall:
    """A roll call over a transport, with the run's tokens and with quotas of its own."""
    patience_s = min(_PATIENCE_S, assignment.give_up_after_s or _PATIENCE_S)
    traffic = Traffic(1, around.wall, patience_s=patience_s)
    quotas = {app: Quota(app, Limits(per_second=PER_SECOND), traffic) for app in assignment.limits}
    client = Client(transport, quotas, tokens, assignment.retry, around)
    return RollCall(assignment, ledger, client, around.wall)

"""All that `harvester doctor` asks the API, with a run's own machinery: its quotas, its tokens with their brake."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import anyio

from harvester.api.client import Client
from harvester.api.effort import Surroundings
from harvester.api.quota.figures import Figure
from harvester.api.tokens.life import Life
from harvester.api.transport import Transport
from harvester.errors import StorageError, first_of
from harvester.harvest.checkup.ear import Ear
from harvester.harvest.checkup.probing import Prober
from harvester.harvest.checkup.standing import lives_of
from harvester.harvest.enrolment import Roster
from harvester.harvest.meter import Meter
from harvester.harvest.outside import token_fleet
from harvester.health import Area, Check, Hint, Question, note, ok
from harvester.health import tokens as judging
from harvester.health.machine import clock
from harvester.health.tokens import Came, Probe
from harvester.landing.ledger import Ledger
from harvester.model import Account, AccountId, AppName, TokenName

RENEWAL_S: Final = 2.0
"""So long a renewal that fails is tried again: a few attempts, while a person looks on."""
_A_WEEK: Final = timedelta(days=7)
_NO_ANSWER: Final = frozenset({Came.NOT_ASKED, Came.SPENT, Came.WAITS, Came.BUSY})
_BUSIEST: Final = 1000


class Visit:
    """Asks, and remembers what came of it, whatever ends it.

    Args:
        roster: Whose calls are harvested, and how.
        ledger: Is told of every request, and of what was found out; it is this process's.
        around: Time and chance.

    Attributes:
        hints: What is known of the open questions.
        requests: How many were sent for calls and for lists of accounts.
        lists: Of these, for lists of accounts.
    """

    def __init__(self, roster: Roster, ledger: Ledger, around: Surroundings) -> None:
        self._roster = roster
        self._assignment = roster.assignment
        self._ledger = ledger
        self._around = around
        self._lives: Mapping[TokenName, Life] = {}
        self._probes: Sequence[Probe] = ()
        self._skew_s: float | None = None
        self._ended: str | None = None
        self.figures: Mapping[AppName, Figure] = {}
        self.hints: Sequence[Hint] = ()
        self.requests = 0
        self.lists = 0

    async def ask(self, transport: Transport, chosen: AccountId | None) -> None:
        """One request under each token, then the open questions.

        Args:
            transport: Sends requests.
            chosen: Whose calls are to answer these; `None`: whoever has most.

        Raises:
            StorageError: The ledger or the token store cannot be used.

        Cancellation: what was sent is counted.
        """
        meter, ear = Meter(self._assignment, self._ledger, self._around.wall), Ear(transport, self._around.wall)
        fleet = token_fleet(replace(self._assignment, give_up_after_s=RENEWAL_S), ear, self._around.wall)
        client = Client(ear, await meter.open(), fleet, self._assignment.retry, self._around)
        prober = Prober(client, fleet, ear, lambda: meter.waiting, self._assignment.scope.today)
        error: StorageError | None = None
        try:
            async with anyio.create_task_group() as work:
                work.start_soon(meter.run)
                await self._ask(prober, chosen)
                work.cancel_scope.cancel()
        except* StorageError as group:
            error = first_of(group, StorageError)
        finally:
            self._probes, self.figures = prober.probes, prober.figures
            self._lives, self._skew_s = fleet.states(), ear.skew_s
            self.requests, self.lists = sum(meter.sent.values()), ear.lists
            meter.stop()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(meter.close)
        if error:
            raise error

    async def _ask(self, prober: Prober, chosen: AccountId | None) -> None:
        tables = {table.token: table for table in self._roster.enrolment.unknown}
        in_turn = self._in_turn()
        for name in self._assignment.tokens:
            await prober.try_token(name, [one for one in in_turn if one.token == name], tables.get(name))
        account = self._whose(prober.probes, chosen)
        if account is not None:
            hints, self._ended = await prober.find_out(account, self._around.wall)
            await anyio.to_thread.run_sync(self._keep, hints)

    def _in_turn(self) -> list[Account]:
        """All accounts: those that are well first, of these the busiest."""
        conditions = self._ledger.conditions()
        place = {account: number for number, account in enumerate(self._busy())}

        def turn(one: Account) -> tuple[bool, int]:
            return one.id in conditions and not conditions[one.id].well, place.get(one.id, _BUSIEST)

        return sorted(self._assignment.accounts, key=turn)

    def _busy(self) -> list[AccountId]:
        return self._ledger.busiest(self._assignment.scope.today - _A_WEEK, most=_BUSIEST)

    def _whose(self, probes: Sequence[Probe], chosen: AccountId | None) -> Account | None:
        """Whose calls show most; `None` when nobody's can be read."""
        accounts = {account.id: account for account in self._assignment.accounts}
        answered = sorted((one for one in probes if one.came is Came.CALLS), key=lambda one: -(one.calls or 0))
        working = {probe.token for probe in answered}
        wanted = [chosen] if chosen is not None else [*self._busy(), *(probe.account for probe in answered)]
        found = (accounts[one] for one in wanted if one in accounts)
        return next((account for account in found if account.token in working), None)

    def _keep(self, hints: Sequence[Hint]) -> None:
        """Keeps what was found out; what was not, stays as it was known before, unless that does not hold any more."""
        gone = {hint.question for hint in hints if hint.odd and hint.answer is None}
        if any(hint.question is Question.PAGE_SIZE for hint in hints):
            gone.add(Question.REFUSED_SIZE)  # it was said anew, or nothing was refused
        self._ledger.keep_hints(hints, gone=gone)
        known = {hint.question: hint for hint in self._ledger.hints()}
        told = {hint.question: hint for hint in hints if hint.question not in known}
        self.hints = [{**known, **told}[question] for question in Question if question in known or question in told]

    def checks(self) -> Iterator[Check]:
        """What came of it."""
        probes = self._probes
        silent = judging.silent(probes, self._assignment.base_url)
        yield from silent
        if not silent and any(probe.came not in _NO_ANSWER for probe in probes):
            yield ok(Area.API, f"{self._assignment.base_url} answers")
        if self._skew_s is not None:
            yield clock(self._skew_s)
        dead = {probe.token for probe in probes if probe.came in {Came.DEAD, Came.BUSY}}
        alive = {name: life for name, life in self._lives.items() if name not in dead}
        tried = {probe.token for probe in probes if probe.came is not Came.NOT_ASKED}
        yield from lives_of(self._assignment.tokens, alive, self._around.wall(), tried)
        for probe in probes:
            yield from judging.probed(probe)
        yield from judging.none_works(probes)
        if self._ended:
            what = f"finding out about the open questions was broken off: {self._ended}"
            yield note(Area.QUESTIONS, what, "run doctor again later: harvester is right whatever the answers are")

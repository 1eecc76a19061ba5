"""`doctor`, put together: what can be seen without asking anybody, one request under each token, the open questions.

The requests count as a run's do, and while a run is going nothing is asked at all.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from harvester.api.effort import Surroundings
from harvester.api.envelope import Request
from harvester.api.tokens import Tokens
from harvester.api.tokens.store import TokenStore
from harvester.api.transport import Transport
from harvester.errors import ConfigError, ExitCode, LockedError, Problem, StorageError
from harvester.harvest.assignment import Assignment
from harvester.harvest.checkup.files import Papers, disk, files, tokens_dir
from harvester.harvest.checkup.standing import accounts_of, lives_of, quotas_of
from harvester.harvest.checkup.visit import Visit
from harvester.harvest.enrolment import Roster, roster
from harvester.harvest.hints import is_fresh
from harvester.harvest.outside import sender, surroundings
from harvester.health import Area, Check, Health, Hint, failure, note, ok
from harvester.health.questions import questions
from harvester.landing.ledger.database import ledger_of
from harvester.landing.ledger.overview import Overview
from harvester.landing.ledger.schema import SCHEMA_VERSION
from harvester.landing.partition import Zone
from harvester.landing.upkeep.survey import has_ledger, refuse_an_empty_zone
from harvester.model import AccountId

PATIENCE_S: Final = 20.0
"""So long an API that is down is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What is to be looked at.

    Attributes:
        papers: What the config consists of.
        probe: Whether the API is asked.
        account: Whose calls are to show what no document says; `None`: those of whoever has most.
    """

    papers: Papers
    probe: bool = True
    account: AccountId | None = None


async def examine(
    assignment: Assignment,
    orders: Orders,
    *,
    around: Surroundings | None = None,
    transport: Transport | None = None,
) -> Health:
    """Looks at everything; mends nothing but what a run would, such as a token that has to be renewed.

    Args:
        assignment: As a run would have it.
        orders: What is to be looked at.
        around: Time and chance; the real ones by default.
        transport: What sends requests; aiohttp by default.

    Raises:
        ConfigError: The account that was chosen is not enrolled.

    Cancellation: as of a run; the ledger knows what was sent.
    """
    patient = replace(assignment, give_up_after_s=PATIENCE_S, max_requests=None, max_duration_s=None)
    checkup = _Checkup(patient, orders, around or surroundings())
    with contextlib.ExitStack() as held:
        checkup.look(held)
        if checkup.may_ask:
            async with sender(assignment, transport) as send:
                await checkup.ask(send)
        else:
            checkup.look_at_tokens()
        checkup.look_at_quotas_and_accounts()
        return checkup.health()


class _Nobody:
    """Where nothing is sent."""

    async def send(self, request: Request) -> NoReturn:
        """See `Transport.send`."""
        raise RuntimeError(f"nothing is to be sent: {request}")


class _Checkup:
    """One look at everything, as it goes on."""

    def __init__(self, assignment: Assignment, orders: Orders, around: Surroundings) -> None:
        self.may_ask = orders.probe
        self._assignment = assignment
        self._orders = orders
        self._around = around
        self._zone = Zone(assignment.output_dir, assignment.compression)
        self._checks: list[Check] = []
        self._hints: Sequence[Hint] = ()
        self._ledger: Overview | None = None
        self._roster: Roster
        """Made when it is known whether there is a ledger."""
        self._visit: Visit | None = None

    def health(self) -> Health:
        """What was found by now."""
        visit = self._visit
        hints = visit.hints if visit and visit.hints else self._hints
        checks = [*self._checks, *questions(hints, self._assignment.page_size)]
        requests, lists = (visit.requests, visit.lists) if visit else (0, 0)
        return Health(checks=checks, hints=hints, requests=requests, lists=lists)

    def look(self, held: contextlib.ExitStack) -> None:
        """Config, files, disk, ledger; the ledger stays open for as long as it is held.

        Raises:
            ConfigError: The account that was chosen is not enrolled.
        """
        papers, assignment = self._orders.papers, self._assignment
        of = f"{_many(len(assignment.limits), 'app')}, {_many(len(assignment.tokens), 'token')}"
        self._checks.append(ok(Area.CONFIG, f"{papers.config.name} holds {of}"))
        self._checks += [
            note(Area.CONFIG, text, "a run goes on without it; mend it when convenient") for text in papers.notes
        ]
        self._checks += files(assignment, papers)
        self.may_ask &= all(check.exit_code is not ExitCode.STORAGE for check in self._checks)
        with self._storage(Area.DISK):
            self._checks += disk(assignment)
        with self._storage(Area.LEDGER):
            self._open(held)
        self._roster = roster(assignment, self._ledger, self._around.wall())
        self._check_the_choice()

    def _open(self, held: contextlib.ExitStack) -> None:
        state_dir = self._assignment.state_dir
        there = has_ledger(self._zone, state_dir)
        if self.may_ask:
            try:
                self._ledger = held.enter_context(Overview.open(state_dir))
            except LockedError as error:
                self.may_ask = False
                advice = "run doctor again when that has ended: until then it asks the API nothing"
                self._checks.append(note(Area.LEDGER, f"a run is going: {error}", advice))
        if self._ledger is None and there and (ledger := Overview.peek(state_dir)):
            self._ledger = held.enter_context(ledger)
        if not there:
            self._checks.append(ok(Area.LEDGER, f"no run has been made yet: {ledger_of(state_dir)} was not there"))
            return
        self._look_into_the_ledger()

    def _look_into_the_ledger(self) -> None:
        ledger, end = self._ledger, self._assignment.scope.window.end
        if ledger is None:
            return
        tallies = ledger.tallies(end).values()
        complete = sum(tally.complete for tally in tallies)
        known = f"{_many(len(tallies), 'account')}, {_many(complete, 'day')} of accounts complete through {end}"
        self._checks.append(ok(Area.LEDGER, f"{ledger.path} is sound, of schema {SCHEMA_VERSION}: {known}"))
        now = self._around.wall()
        self._hints = [hint for hint in ledger.hints() if is_fresh(hint, now)]
        refuse_an_empty_zone(self._zone, ledger)

    def _check_the_choice(self) -> None:
        wanted = self._orders.account
        if wanted is not None and wanted not in {account.id for account in self._roster.assignment.accounts}:
            message = "no enabled account of this id in the config; `harvester accounts list CONFIG` shows who is there"
            raise ConfigError([Problem(where=f"--account {wanted}", message=message)])

    async def ask(self, transport: Transport) -> None:
        """Asks the API, and says what came of it."""
        if self._ledger is None:
            raise RuntimeError("requests are counted in a ledger")
        self._visit = Visit(self._roster, self._ledger, self._around)
        with self._storage(Area.TOKENS):
            await self._visit.ask(transport, self._orders.account)
        self._checks += self._visit.checks()

    def look_at_tokens(self) -> None:
        """What is known of the tokens without asking."""
        tokens = self._assignment.tokens
        with self._storage(Area.TOKENS):
            fleet = Tokens(tokens, _Nobody(), self._around.wall, store=TokenStore(tokens_dir(self._assignment)))
            self._checks += lives_of(tokens, fleet.states(), self._around.wall(), tried=())
        if not self._orders.probe:
            self._checks.append(note(Area.API, "nothing was asked of it", "run doctor without --no-probe"))

    def look_at_quotas_and_accounts(self) -> None:
        """What each app may send, and whose calls are read."""
        figures = self._visit.figures if self._visit else {}
        with self._storage(Area.QUOTA):
            self._checks += quotas_of(self._assignment, self._ledger, figures, self._around.wall())
        with self._storage(Area.ACCOUNTS):
            self._checks += accounts_of(self._roster, self._ledger)

    @contextlib.contextmanager
    def _storage(self, area: Area) -> Iterator[None]:
        """What the disk says is a finding like others; the API is asked nothing then."""
        try:
            yield
        except StorageError as error:
            self.may_ask = False
            self._checks.append(failure(area, str(error), "do that, then run doctor again", error.exit_code))


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"

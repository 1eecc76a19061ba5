"""Who a run is about: the accounts of the config, and those that find themselves."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import anyio

from harvester.api.effort import Surroundings
from harvester.api.transport import Transport
from harvester.enrolment import NOBODY, Enrolment, Refused, enrol
from harvester.errors import ConfigError, DamagedError, NewerError, Problem
from harvester.harvest.assignment import Assignment
from harvester.harvest.outside import sender, surroundings, token_fleet
from harvester.harvest.roll_call import Called, RollCall, roll_call
from harvester.landing.ledger import Ledger
from harvester.landing.partition import Zone
from harvester.landing.upkeep.survey import has_ledger
from harvester.model import Account, Slice, Status
from harvester.report import rolls as words
from harvester.report.troubles import Trouble, trouble
from harvester.roll import Roll, Table, is_due
from harvester.triage import Condition, State

_REFUSED: Final = frozenset({State.DENIED, State.INACTIVE, State.UNKNOWN})
_FAILING: Final = timedelta(days=7)
"""An account that vanished, and of which every request fails for so long, is as good as refused."""

_WATCHED_S: Final = 30.0
"""So long the API may be down before a refresh gives up: a person waits for it."""
_LEAST_S: Final = 0.001
"""What is left of a run's time when lists took all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Who a run is about.

    Attributes:
        assignment: With all accounts, and the whole fleet.
        enrolment: Each account with where it comes from.
        rolls: The tables, each with its roll if there is one.
        notes: What a person should know, the worst first.
        troubles: Why a run of it cannot be complete: one for each table of which nobody knows the accounts.
        mistakes: Why there is nobody although accounts were listed: see `settled`.
    """

    assignment: Assignment
    enrolment: Enrolment
    rolls: Sequence[tuple[Table, Roll | None]] = ()
    notes: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    mistakes: tuple[Problem, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """The names of tables whose accounts nobody knows."""
        return tuple(map(str, self.enrolment.unknown))

    def settled(self) -> "Roster":
        """Itself, if it is fit to be worked with: with no account at all every day would seem complete.

        Raises:
            ConfigError: Accounts were listed, and the config leaves none of them.
        """
        if self.mistakes:
            raise ConfigError(list(self.mistakes))
        return self


async def muster(assignment: Assignment, ledger: Ledger, call: RollCall, wall: Callable[[], float]) -> Roster:
    """Who a run is about, from new lists where these are due; the time that they take is of the run's time.

    Args:
        assignment: As the config and the command line have it.
        ledger: Where the rolls are.
        call: Lists accounts.
        wall: Unix seconds.

    Raises:
        ConfigError: An account that was chosen is not enrolled, or the config leaves none of those that are listed.
        StorageError: The ledger cannot be used, or a renewed token cannot be stored.

    Cancellation: of `call.scope` ends the lists, of anything else all of it.
    """
    began, at = anyio.current_time(), wall()
    tables = assignment.discovery.tables if assignment.discovery else ()
    called = await call.call([table for table in tables if is_due(table, ledger.roll(table.name), at)])
    if assignment.max_duration_s is not None:
        left_s = max(_LEAST_S, assignment.max_duration_s - (anyio.current_time() - began))
        assignment = replace(assignment, max_duration_s=left_s)
    return roster(assignment, ledger, wall(), called).settled()


def known(assignment: Assignment, at: float | None = None) -> Roster:
    """Who a run would be about, as far as the ledger knows; asks the API nothing.

    A ledger that cannot be used knows nobody; that it cannot be is for others to say.

    Args:
        assignment: As the config and the command line have it.
        at: Unix time; now by default.

    Raises:
        ConfigError: An account that was chosen is not enrolled.
        StorageError: The disk does not give the ledger.
    """
    at = time.time() if at is None else at
    if not assignment.discovery:
        return roster(assignment, None, at)
    try:
        ledger = Ledger.peek(assignment.state_dir)
    except (DamagedError, NewerError):
        ledger = None
    if ledger is None:
        return roster(assignment, None, at)
    with ledger:
        return roster(assignment, ledger, at)


def roster(assignment: Assignment, ledger: Ledger | None, at: float, after: Called | None = None) -> Roster:
    """Who a run is about, as far as the ledger knows.

    Args:
        assignment: As the config and the command line have it.
        ledger: Where the rolls are; `None` when there is none.
        at: Unix time.
        after: What calling the rolls brought just now; `None` when they were not called.

    Raises:
        ConfigError: An account that was chosen is not enrolled.
        StorageError: The ledger cannot be read.
    """
    discovery, today = assignment.discovery, assignment.scope.today
    if discovery is None:
        return Roster(assignment=assignment, enrolment=enrol(assignment.accounts, (), (), today))
    rolls = [(table, _roll(table, ledger)) for table in discovery.tables]
    refused = _refused(ledger.conditions().values(), today) if ledger else {}
    disabled = {account.id for account in discovery.disabled}
    enrolment = enrol(assignment.accounts, disabled, rolls, today, refused)
    fleet = [one.account.id for one in enrolment.enrolled]
    enrolled = replace(
        assignment,
        accounts=_chosen(enrolment, discovery.only),
        fleet=[*fleet, NOBODY] if enrolment.unknown else fleet,
    )
    failures = after.failures if after else {}
    return Roster(
        assignment=enrolled,
        enrolment=enrolment,
        rolls=rolls,
        notes=tuple(_notes(enrolment, rolls, at, after)),
        troubles=tuple(_trouble(table, failures, assignment) for table in enrolment.unknown),
        mistakes=() if enrolment.enrolled or enrolment.unknown else _mistakes(enrolment),
    )


def _mistakes(enrolment: Enrolment) -> tuple[Problem, ...]:
    return tuple(Problem(where=str(one.table), message=words.barren(one)) for one in enrolment.barren if one.listed)


def _refused(conditions: Iterable[Condition], today: date) -> Refused:
    found = {}
    for one in conditions:
        if one.state in _REFUSED:
            found[one.account_id, one.token] = one.since
        elif one.state is State.FAILING and today - one.since >= _FAILING:
            found[one.account_id, one.token] = one.since + _FAILING
    return found


def _roll(table: Table, ledger: Ledger | None) -> Roll | None:
    """A table's roll; one of something else is none."""
    found = ledger.roll(table.name) if ledger else None
    return found if found and found.is_of(table) else None


def _chosen(enrolment: Enrolment, only: Sequence[int]) -> Sequence[Account]:
    accounts = [one.account for one in enrolment.enrolled]
    by_id = {int(account.id): account for account in accounts}
    message = (
        "no enabled account of this id in the config, nor on a roll of its [discover] tables; "
        "`harvester accounts list CONFIG` shows who is there"
    )
    if enrolment.unknown:
        message += f"; the accounts of {', '.join(map(str, enrolment.unknown))} are unknown"
    if missing := [one for one in only if one not in by_id]:
        raise ConfigError([Problem(where=f"--account {one}", message=message) for one in missing])
    return [by_id[one] for one in only] if only else accounts


def _notes(
    enrolment: Enrolment, rolls: Sequence[tuple[Table, Roll | None]], at: float, after: Called | None
) -> list[str]:
    barren = [f"{one.table}: {words.barren(one)}" for one in enrolment.barren]
    if after is None:
        return [*(words.standing(table, roll, at) for table, roll in rolls), *barren, *words.absences(enrolment)]
    failed = [words.failed(table, after.failures[table], roll, at) for table, roll in rolls if table in after.failures]
    new = [line for one in after.changes.values() for line in words.told(replace(one, vanished=()))]
    return [*failed, *barren, *words.absences(enrolment), *new]


def _trouble(table: Table, failures: Mapping[Table, str], assignment: Assignment) -> Trouble:
    """What makes a run not complete though every slice of it is: it stands for the accounts that nobody knows."""
    whoever = Account(id=NOBODY, token=table.token, app=table.app, name=str(table))
    one = Slice(whoever, assignment.scope.window)
    return trouble(one, Status.FAILED, words.unknown(table, failures.get(table)))


async def refresh(
    assignment: Assignment, *, around: Surroundings | None = None, transport: Transport | None = None
) -> tuple[Called, Roster]:
    """Lists the accounts of every table now, whatever the age of its roll.

    Args:
        assignment: What the tables are.
        around: Time and chance; the real ones by default.
        transport: What sends requests; aiohttp by default.

    Returns:
        What that brought, and who is enrolled now.

    Raises:
        LockedError: A run is going.
        StorageError: The ledger cannot be used; or it is gone, and days are there.
    """
    around = around or surroundings()
    discovery = assignment.discovery
    assignment = replace(assignment, give_up_after_s=min(_WATCHED_S, assignment.give_up_after_s or _WATCHED_S))
    has_ledger(Zone(assignment.output_dir, assignment.compression), assignment.state_dir)
    with Ledger.open(assignment.state_dir) as ledger:
        async with sender(assignment, transport) as send:
            tokens = token_fleet(assignment, send, around.wall)
            call = roll_call(assignment, ledger, send, tokens, around)
            found = await call.call(discovery.tables if discovery else ())
        return found, roster(assignment, ledger, around.wall(), found)

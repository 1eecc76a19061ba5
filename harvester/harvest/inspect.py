"""`verify` and `status`, put together: the landing zone against its ledger, and what the ledger says by itself."""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from harvester.errors import ConfigError, Problem
from harvester.harvest.assignment import Assignment
from harvester.harvest.enrolment import Roster, known, roster
from harvester.inspection import Rebuilt, Tally, Walking, gaps
from harvester.landing.ledger.database import ledger_of, take_lock
from harvester.landing.ledger.overview import Overview
from harvester.landing.marks import Marks
from harvester.landing.partition import Zone
from harvester.landing.recovery import finish_publications
from harvester.landing.upkeep.heal import Healer
from harvester.landing.upkeep.rebuild import rebuild, why_rebuild
from harvester.landing.upkeep.survey import has_ledger, refuse_an_empty_zone
from harvester.landing.upkeep.verify import Inspector
from harvester.landing.writer import Landing
from harvester.model import BEIJING, AccountId, Window
from harvester.report.soundness import SHOWN, Soundness
from harvester.report.status import SHOWN as ACCOUNTS_SHOWN
from harvester.report.status import Standing, State

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What `verify` is to do besides looking.

    Attributes:
        heal: Queue what has to be read again, set marks right, forget lost checkpoints.
        rebuild: Make a new ledger first.
        all_findings: Whether every finding is remembered, not just the first of each kind.
    """

    heal: bool = False
    rebuild: bool = False
    all_findings: bool = False


def verify(assignment: Assignment, orders: Orders, wall: Callable[[], float] = time.time) -> Soundness:
    """Holds the landing zone against its ledger; takes the locks of a run, and finishes what a dead one published.

    Args:
        assignment: Where both are, and which accounts are enabled.
        orders: What to do besides looking.
        wall: Unix seconds.

    Raises:
        ConfigError: The ledger is to be rebuilt and nothing is wrong with it; or the config leaves no account.
        LockedError: A run is going.
        StorageError: The ledger or the landing zone cannot be used, or the ledger is gone.
    """
    zone = Zone(assignment.output_dir, assignment.compression)
    now = datetime.fromtimestamp(wall(), BEIJING)
    if not orders.rebuild and not has_ledger(zone, assignment.state_dir):
        return Soundness(ledger=False)
    with contextlib.ExitStack() as held:
        lock = held.enter_context(take_lock(assignment.state_dir))
        held.enter_context(zone.held())
        rebuilt = _rebuilt(known(assignment, wall()).settled().assignment, zone, now) if orders.rebuild else None
        ledger = held.enter_context(Overview.open_locked(assignment.state_dir, lock))
        who = roster(assignment, ledger, wall())
        assignment = _told(who)
        if who.unknown:
            log.warning("the accounts of %s are not known: only files are looked at", ", ".join(who.unknown))
        run_id = f"{now:%Y%m%dT%H%M%S}+08-verify"
        marks = Marks(zone, ledger, run_id, wall, assignment.fleet)
        landing = Landing(zone=zone, ledger=ledger, marks=marks, run_id=run_id, wall=wall)
        finish_publications(landing)
        if orders.heal:
            refuse_an_empty_zone(zone, ledger)
        found = Soundness(keep=None if orders.all_findings else SHOWN, rebuilt=rebuilt)
        _look(Inspector(zone, ledger, assignment.fleet, now.date()), Healer(landing) if orders.heal else None, found)
    return found


def _told(found: Roster) -> Assignment:
    """The assignment with all its accounts; how sure that is goes to the log. Raises `ConfigError`: see `settled`."""
    for note in found.settled().notes:
        log.info(note)
    return found.assignment


def _look(inspector: Inspector, healer: Healer | None, found: Soundness) -> None:
    for look in inspector.looks():
        found.add(look.findings, partitions=look.partitions, calls=look.calls)
        if healer:
            healer.heal_day(look)
    for finding, checkpoint in inspector.apart_from_days():
        found.add([finding])
        if healer and checkpoint:
            healer.forget(checkpoint)
    found.healed = healer.healed if healer else None


def _rebuilt(assignment: Assignment, zone: Zone, now: datetime) -> Rebuilt:
    why = why_rebuild(assignment.state_dir)
    if why is None:
        message = (
            f"nothing is wrong with the ledger in {assignment.state_dir}; a new one would know less: how each slice "
            "ended, how late calls came, which file was changed. What differs from it, "
            "`harvester verify CONFIG --heal` lets the next run read again"
        )
        raise ConfigError([Problem(where="--rebuild", message=message)])
    return rebuild(zone, assignment.state_dir, assignment.fleet, why, f"{now:%Y%m%dT%H%M%S}")


def status(assignment: Assignment, *, every_gap: bool = False) -> State:
    """What the ledger says of every enabled account; needs no lock, and reads nothing else.

    Args:
        assignment: Which accounts and days.
        every_gap: Whether gaps are looked up of all accounts, not just of those that lack most.

    Raises:
        ConfigError: The config leaves no account of those that are listed.
        StorageError: The ledger cannot be read.
    """
    window, reread_days = assignment.scope.window, assignment.scope.reread_days
    ledger = Overview.peek(assignment.state_dir)
    if ledger is None:
        who = roster(assignment, None, time.time())
        assignment = _told(who)
        accounts = [
            Standing(account_id=one.id, name=one.name, window=window, complete=0) for one in assignment.accounts
        ]
        path = str(ledger_of(assignment.state_dir))
        return State(
            window=window, accounts=accounts, unknown=who.unknown, reread_days=reread_days, there=False, ledger=path
        )
    with ledger:
        who = roster(assignment, ledger, time.time())
        assignment = _told(who)
        standings, others = _standings(assignment, ledger)
        looked_up = len(standings) if every_gap else ACCOUNTS_SHOWN
        arrivals, nights = ledger.arrivals()
        return State(
            window=window,
            accounts=[*(_with_gaps(one, ledger) for one in standings[:looked_up]), *standings[looked_up:]],
            unknown=who.unknown,
            others=others,
            arrivals=arrivals,
            nights=nights,
            reread_days=reread_days,
            ledger=str(ledger.path),
        )


def _standings(assignment: Assignment, ledger: Overview) -> tuple[list[Standing], int]:
    """Each enabled account, those that lack most first, and how many others there are."""
    window = assignment.scope.window
    tallies, failures = ledger.tallies(window.end), ledger.failures()
    conditions, poison = ledger.conditions(), ledger.poison()
    walking: dict[AccountId, tuple[Walking, ...]] = {}
    for one in ledger.checkpoints():
        saved = Walking(window=one.window, calls=one.calls, since=one.read_on, saved_at=one.at.isoformat())
        walking[one.account] = (*walking.get(one.account, ()), saved)
    standings = []
    for account in assignment.accounts:
        tally = tallies.pop(account.id, Tally(first=window.start, complete=0, short=0, queued=0))
        standings.append(
            Standing(
                account_id=account.id,
                name=account.name,
                window=Window(min(window.start, tally.first), window.end),
                complete=tally.complete,
                short=tally.short,
                queued=tally.queued,
                walking=walking.get(account.id, ()),
                failure=failures.get(account.id),
                condition=conditions.get(account.id),
                poison=tuple(poison.get(account.id, {}).values()),
            )
        )
    standings.sort(key=lambda one: (-one.lacking, one.account_id))
    return standings, len(tallies)


def _with_gaps(one: Standing, ledger: Overview) -> Standing:
    found = gaps(one.window, ledger.complete_on(one.account_id, one.window)) if one.lacking else []
    return replace(one, gaps=tuple(found))

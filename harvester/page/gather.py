"""Gathers what is on the page: the ledger without its lock, the run files, the landed calls. Changes nothing."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, TypeVar

from harvester.api.quota import Limits
from harvester.harvest.assignment import Assignment
from harvester.harvest.enrolment import roster
from harvester.landing.ledger.history import History
from harvester.landing.partition import Zone
from harvester.model import BEIJING, AccountId, AppName, Window
from harvester.page.landed import read_landed
from harvester.page.runs import latest_runs
from harvester.page.values import AccountDays, Findings, Mark, Traffic
from harvester.page.words import shown
from harvester.triage import Condition, Poison

DAYS: Final = 30
"""Days of the page, if nobody says how many."""
CALL_DAYS: Final = 7
"""Days of which calls are read, if nobody says how many."""


Kind = TypeVar("Kind", Condition, Poison)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the page is to be about.

    Attributes:
        start_is_chosen: Whether a person chose the first day; else it is `DAYS` back, as far as anything is known.
        call_days: Calls are read of so many days, the last of the page; `None`: of none.
    """

    start_is_chosen: bool = False
    call_days: int | None = CALL_DAYS


def gather(assignment: Assignment, wishes: Wishes, now_s: float) -> Findings:
    """Everything on the page; needs no lock, and asks the API nothing.

    Args:
        assignment: Which accounts and days; where the ledger and the landing zone are.
        wishes: What else a person wants.
        now_s: Unix seconds.

    Raises:
        ConfigError: The config leaves no account of those that are listed.
        DamagedError: The ledger is.
        StorageError: The ledger or the landing zone cannot be read.
    """
    with contextlib.ExitStack() as held:
        peeked = History.peek(assignment.state_dir)
        ledger = held.enter_context(peeked) if peeked else None
        who = roster(assignment, ledger, now_s).settled()
        assignment = who.assignment
        window = assignment.scope.window if wishes.start_is_chosen else _window(assignment, ledger)
        found = Findings(
            made_at=datetime.fromtimestamp(now_s, BEIJING),
            window=window,
            there=ledger is not None,
            accounts=[_nothing_known(one.id, one.name, window) for one in assignment.accounts],
            unknown=tuple(map(shown, who.unknown)),
            traffic=[_traffic(app, limits, {}, {}) for app, limits in assignment.limits.items()],
            runs=latest_runs(assignment.output_dir / "runs"),
            reread_days=assignment.scope.reread_days,
        )
        if ledger:
            found = _with_ledger(found, assignment, ledger)
        if wishes.call_days:
            start = max(window.start, window.end - timedelta(days=wishes.call_days - 1))
            zone = Zone(assignment.output_dir, assignment.compression)
            ids = [one.account_id for one in found.accounts]
            found = replace(found, reading=read_landed(zone, ledger, ids, Window(start, window.end)))
        return found


def _window(assignment: Assignment, ledger: History | None) -> Window:
    """The config's days, and those before them of which anything is known, as far as the page goes back."""
    window = assignment.scope.window
    earliest = window.end - timedelta(days=DAYS - 1)
    if ledger is None or earliest >= window.start:
        return window
    extents = ledger.extents(one.id for one in assignment.accounts)
    first = min((one.start for one in extents.values()), default=window.start)
    return Window(min(window.start, max(first, earliest)), window.end)


def _nothing_known(account: AccountId, name: str | None, window: Window) -> AccountDays:
    return AccountDays(account_id=account, name=shown(name) if name else None, marks=bytes(len(window)))


def _with_ledger(found: Findings, assignment: Assignment, ledger: History) -> Findings:
    sent, learned = ledger.sent(), ledger.learned()
    apps = [*assignment.limits, *(app for app in sent if app not in assignment.limits)]
    arrivals, nights = ledger.arrivals()
    accounts = _accounts(found.accounts, found.window, assignment.scope.window.start, ledger)
    pauses = [replace(one, why=shown(one.why)) for one in ledger.pauses()]
    return replace(
        found,
        accounts=accounts,
        others=len(ledger.tallies(found.window.end).keys() - {one.account_id for one in accounts}),
        traffic=[_traffic(app, assignment.limits.get(app), sent.get(app, {}), learned) for app in apps],
        pauses=pauses,
        arrivals=arrivals,
        nights=nights,
    )


def _traffic(
    app: AppName, limits: Limits | None, by_minute: Mapping[int, int], learned: Mapping[AppName, int]
) -> Traffic:
    """What an app sent; one that is not in the config any more has no quota."""
    configured = limits.per_minute if limits else None
    if limits and limits.per_second and (configured is None or limits.per_second * 60 < configured):
        configured = limits.per_second * 60
    return Traffic(
        app=AppName(shown(app)),
        per_minute=configured or learned.get(app),
        learned=configured is None and app in learned,
        by_minute=by_minute,
    )


def _accounts(accounts: Sequence[AccountDays], window: Window, due: date, ledger: History) -> list[AccountDays]:
    """Each account with all that is known of it, those that lack most first; `due`: from when on all of them are."""
    ids = [one.account_id for one in accounts]
    extents = ledger.extents(ids)
    marks: dict[AccountId, bytearray] = {account: bytearray(len(window)) for account in ids}
    calls: Counter[AccountId] = Counter()
    for known in ledger.days_of(ids, window):
        late = Mark.SHORT if known.was_over else Mark.EARLY
        mark = Mark.COMPLETE if known.complete else Mark.QUEUED if known.queued else late
        marks[known.account][known.day] = mark
        calls[known.account] += known.calls
    poison, conditions, failures = ledger.poison(), ledger.conditions(), ledger.failures()
    took = ledger.took(window.start)
    found = []
    for one in accounts:
        account = one.account_id
        of_account = marks[account]
        since = min(due, extents[account].start) if account in extents else due
        early = max(0, (since - window.start).days)
        of_account[:early] = bytes([Mark.BEFORE]) * early
        for day in poison.get(account, {}):
            if day in window and of_account[place := (day - window.start).days] != Mark.COMPLETE:
                of_account[place] = Mark.POISONED
        failure, condition = failures.get(account), conditions.get(account)
        requests, read = took.get(account, (0, 0))
        found.append(
            replace(
                one,
                marks=bytes(of_account),
                calls=calls[account],
                requests=requests,
                read=read,
                condition=_cleaned(condition) if condition else None,
                poison=tuple(_cleaned(day) for day in poison.get(account, {}).values()),
                failure=replace(failure, reason=shown(failure.reason or "no reason is known")) if failure else None,
            )
        )
    return sorted(found, key=lambda one: (-one.lacking, one.account_id))


def _cleaned(one: Kind) -> Kind:
    said = one.complaint
    cleaned = replace(
        said,
        message=shown(said.message),
        message_cn=shown(said.message_cn),
        trace_id=shown(said.trace_id) if said.trace_id else None,
    )
    return replace(one, complaint=cleaned)

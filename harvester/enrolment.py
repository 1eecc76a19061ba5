"""Who is enrolled: the accounts that the config names, and those on the rolls of its `[discover]` tables. Pure.

A list that is short by a glitch must not make an account silently unharvested: one that vanished from its roll is asked
for on, until the API refuses it, too.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Final

from harvester.model import Account, AccountId, TokenName
from harvester.roll import Member, Roll, Table

NOBODY: Final = AccountId(0)
"""Stands for accounts of which nobody knows which they are: no day is ever complete for it, so that none is marked."""
NAMED_DAYS: Final = 7
"""So long an account is named that vanished and is not asked for any more."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a config says of accounts that find themselves.

    Attributes:
        tables: In the config's order: an account that several list belongs to the first.
        disabled: Accounts that the config turns off, whoever lists them.
        only: The accounts that the command line chose; empty for all.
    """

    tables: tuple[Table, ...]
    disabled: tuple[Account, ...] = ()
    only: tuple[AccountId, ...] = ()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An account that is harvested, or that was until lately.

    Attributes:
        account: Which, and who reads it.
        table: The table that lists it; `None`: the config names it.
        member: How it is listed; `None` when it is on no roll.
    """

    account: Account
    table: Table | None
    member: Member | None

    @property
    def vanished_on(self) -> date | None:
        """The Beijing day on which it vanished from its roll; `None` while it is listed, or named by the config."""
        return self.member.vanished_on if self.table and self.member else None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who is harvested.

    Attributes:
        enrolled: Each account once: those of the config, then those of each table, then those that vanished.
        unknown: Tables whose accounts nobody knows.
        released: Accounts that vanished, and that since lately are not asked for any more.
        barren: Tables that give no account of those that they list.
    """

    enrolled: tuple[Enrolled, ...]
    unknown: tuple[Table, ...] = ()
    released: tuple[Enrolled, ...] = ()
    barren: tuple["Barren", ...] = ()

    @property
    def missed(self) -> tuple[Enrolled, ...]:
        """Accounts that vanished from their roll and are still asked for."""
        return tuple(one for one in self.enrolled if one.vanished_on)


@dataclass(frozen=True, slots=True)
class Barren:
    """A table that gives no account.

    Attributes:
        table: Which.
        listed: How many accounts it lists; none, perhaps.
        disabled: How many of these its patterns take, and the config turns off.
    """

    table: Table
    listed: int
    disabled: int


Refused = Mapping[tuple[AccountId, TokenName], date]
"""Accounts that the API refuses, each with the token that it was asked for with last, and since when."""


def enrol(
    named: Sequence[Account],
    disabled: Collection[AccountId],
    rolls: Sequence[tuple[Table, Roll | None]],
    today: date,
    refused: Refused = MappingProxyType({}),
) -> Enrolment:
    """Who is harvested: what the config names wins over every roll, and being listed over having vanished.

    Args:
        named: The config's enabled accounts.
        disabled: Those that it turns off.
        rolls: The tables in their order, each with its roll; `None` or a roll of something else: nobody knows.
        today: The Beijing day.
        refused: What the API refuses.
    """
    known = [(table, roll) for table, roll in rolls if roll and roll.is_of(table)]
    members = [one for table, roll in known for one in _selected(table, roll)]
    members.sort(key=lambda one: one.vanished_on is not None)
    listed: dict[AccountId, Member] = {}
    for one in members:
        if one.member:
            listed.setdefault(one.account.id, one.member)
    found = {one.id: _named(one, listed.get(one.id)) for one in named}
    released: dict[AccountId, Enrolled] = {}
    for one in members:
        account = one.account
        if account.id in found or account.id in disabled:
            continue
        refused_on = refused.get((account.id, account.token))
        if one.vanished_on is None or refused_on is None:
            found[account.id] = one
        elif (today - max(one.vanished_on, refused_on)).days < NAMED_DAYS:
            released.setdefault(account.id, one)
    return Enrolment(
        enrolled=tuple(found.values()),
        unknown=tuple(table for table, roll in rolls if roll is None or not roll.is_of(table)),
        released=tuple(one for account_id, one in released.items() if account_id not in found),
        barren=tuple(barren for table, roll in known if (barren := _barren(table, roll, disabled))),
    )


def _barren(table: Table, roll: Roll, disabled: Collection[AccountId]) -> Barren | None:
    """A table of whose listed accounts none is taken; one whose accounts others have as well is not barren."""
    taken = [one.account.id for one in _selected(table, roll) if one.vanished_on is None]
    off = sum(1 for one in taken if one in disabled)
    return Barren(table, roll.size, off) if off == len(taken) else None


def _selected(table: Table, roll: Roll) -> Iterator[Enrolled]:
    for account_id, member in roll.members.items():
        if table.selection.takes(member.listed):
            account = Account(id=account_id, token=table.token, app=table.app, name=member.listed.name)
            yield Enrolled(account, table, member)


def _named(account: Account, member: Member | None) -> Enrolled:
    """An account of the config; without a name there it has the API's."""
    if member and not account.name:
        account = replace(account, name=member.listed.name)
    return Enrolled(account, None, member)

"""The accounts that the API lists under a token, and which of them a config wants. Pure.

A *roll* is what a `[discover.NAME]` table found: the accounts of the last list that was whole, and those that were on
an earlier one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, Literal, get_args

from harvester.model import AccountId, AppName, TokenName

Field = Literal["id", "name", "status"]
FIELDS: Final[tuple[Field, ...]] = get_args(Field)
"""What patterns may be about."""
_AHEAD_S: Final = 300.0
"""A roll that is dated so far ahead was made by a clock that has been set back since."""


class Via(StrEnum):
    """Which endpoint lists the accounts."""

    ADVERTISER = "advertiser"
    """`advertiser/get`: agencies' tokens."""
    ORGANIZATION = "organization"
    """`organization_account_relation/get`: organisations' tokens; it tells no status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An account as the API lists it; name and status cleaned, `None` where it tells none."""

    id: AccountId
    name: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """`*`, `?` and `[…]` over one field, upper and lower case told apart; what the API does not tell is empty."""

    field: Field
    glob: str

    def __str__(self) -> str:
        return f"{self.field}:{self.glob}"

    def fits(self, one: Listed) -> bool:
        """Whether the account's field is like that."""
        told = {"id": str(one.id), "name": one.name or "", "status": one.status or ""}
        return fnmatchcase(told[self.field], self.glob)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which listed accounts are enrolled.

    Attributes:
        include: Of each field that is named here, one pattern has to fit.
        exclude: None of these may.
    """

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()

    def takes(self, one: Listed) -> bool:
        """Whether the account is enrolled."""
        if any(pattern.fits(one) for pattern in self.exclude):
            return False
        named = {pattern.field for pattern in self.include}
        return all(any(pattern.field == name and pattern.fits(one) for pattern in self.include) for name in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A `[discover.NAME]` table.

    Attributes:
        name: Its name.
        token: Under which the accounts are listed, and read.
        app: The token's.
        via: The endpoint.
        agency_id: For tokens that stand for several agencies (documented: needed there, ignored elsewhere).
        every_s: How old a roll may be before a run lists anew.
        selection: Which of the listed accounts are enrolled.
    """

    name: str
    token: TokenName
    app: AppName
    via: Via
    agency_id: AccountId | None = None
    every_s: float = 20 * 3600.0
    selection: Selection = Selection()

    def __str__(self) -> str:
        return f"discover.{self.name}"

    @property
    def source(self) -> str:
        """What is asked, in one word: a roll of something else is another roll."""
        return self.via if self.agency_id is None else f"{self.via} of {self.agency_id}"


@dataclass(frozen=True, slots=True)
class Member:
    """An account of a roll.

    Attributes:
        listed: As the API listed it last.
        appeared_on: The Beijing day of the first roll with it.
        vanished_on: The Beijing day of the first roll without it; `None` while it is listed.
    """

    listed: Listed
    appeared_on: date
    vanished_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """The accounts of a table as they were listed last, whole.

    Attributes:
        table: The table's name.
        token: The name of the token.
        source: See `Table.source`.
        at: Unix time.
        members: By id, those that vanished included.
    """

    table: str
    token: TokenName
    source: str
    at: float
    members: Mapping[AccountId, Member] = field(repr=False)

    @property
    def size(self) -> int:
        """How many accounts were listed."""
        return sum(1 for member in self.members.values() if member.vanished_on is None)

    def is_of(self, table: Table) -> bool:
        """Whether it lists what the table asks for, whatever that was called before."""
        return (self.table, self.token, self.source) == (table.name, table.token, table.source)


def is_due(table: Table, roll: Roll | None, at: float) -> bool:
    """Whether a run at Unix time `at` lists the accounts anew."""
    return roll is None or not roll.is_of(table) or not -_AHEAD_S <= at - roll.at < table.every_s


def called(table: Table, before: Roll | None, listed: Iterable[Listed], at: float, today: date) -> Roll:
    """The roll after a list that is whole.

    Args:
        table: Whose.
        before: The roll until now; one of something else counts for nothing.
        listed: All accounts. What the API does not tell tonight is as it told it before.
        at: Unix time.
        today: The Beijing day.
    """
    known = dict(before.members) if before and before.is_of(table) else {}
    members = {}
    for one in listed:
        old = known.pop(one.id, None)
        members[one.id] = Member(_with_what_was_told(one, old), old.appeared_on if old else today)
    members |= {account: replace(old, vanished_on=old.vanished_on or today) for account, old in known.items()}
    return Roll(table=table.name, token=table.token, source=table.source, at=at, members=members)


def _with_what_was_told(one: Listed, old: Member | None) -> Listed:
    return replace(one, name=one.name or old.listed.name, status=one.status or old.listed.status) if old else one


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a list brought.

    Attributes:
        table: Whose.
        first: Whether there was no roll before: then nothing is new.
        size: How many accounts are listed.
        selected: How many of them are enrolled, if the config says nothing else of them.
        new: Listed, and not before.
        vanished: Listed before, and not any more.
        left: Listed before and now, and not selected any more.
    """

    table: Table
    first: bool
    size: int
    selected: int
    new: tuple[AccountId, ...] = ()
    vanished: tuple[AccountId, ...] = ()
    left: tuple[AccountId, ...] = ()


def change(table: Table, before: Roll | None, now: Roll) -> Change:
    """What is different on the new roll."""
    was = _there(before) if before and before.is_of(table) else {}
    there, takes = _there(now), table.selection.takes
    first = before is None or not before.is_of(table)
    return Change(
        table=table,
        first=first,
        size=len(there),
        selected=sum(map(takes, there.values())),
        new=() if first else tuple(sorted(there.keys() - was.keys())),
        vanished=tuple(sorted(was.keys() - there.keys())),
        left=tuple(sorted(one for one in was.keys() & there.keys() if takes(was[one]) and not takes(there[one]))),
    )


def _there(roll: Roll) -> dict[AccountId, Listed]:
    return {account: member.listed for account, member in roll.members.items() if member.vanished_on is None}

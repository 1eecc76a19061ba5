"""Accounts that cannot be read. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from harvester.health.values import Area, Check, warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Sickness:
    """Accounts that refuse, and why: `advice` is what a person can do about accounts of this `state`."""

    state: str
    advice: str
    accounts: Sequence[tuple[int, str]] = field(default=())
    """Each with what the API said."""


_NAMED: Final = 5


def sick(found: Sickness) -> Check:
    """Accounts that cannot be read, as earlier runs found them."""
    many = len(found.accounts)
    named = "; ".join(f"{account}: {said}" for account, said in found.accounts[:_NAMED])
    more = f"; and {many - _NAMED:,} more" if many > _NAMED else ""
    counted = f"{many:,} account{'' if many == 1 else 's'} {found.state}"
    return warning(Area.ACCOUNTS, f"{counted}: {named}{more}", found.advice)

"""Accounts that find themselves, in words: what a list brought, who vanished, and the accounts one by one. Pure."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from harvester.enrolment import Barren, Enrolled, Enrolment
from harvester.model import BEIJING, Account, AccountId
from harvester.report.table import table as lines_of
from harvester.roll import Change, Roll, Table

_NAMED: Final = 5
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula; the wide ones in some languages."""
_HEAD: Final = ("account", "token", "status", "since", "from", "name")
"""The name last: nobody knows how wide a terminal makes it."""


def told(change: Change) -> list[str]:
    """What a list brought, for a person: one line a thing; none when nothing is different."""
    if change.first:
        return [f"{change.table}: listed for the first time, {_accounts(change.size)}"]
    return [
        f"{what} {change.table}: {_named(ids)}"
        for ids, what in (
            (change.new, "new on the roll of"),
            (change.vanished, "vanished from"),
            (change.left, "no longer taken by include and exclude of"),
        )
        if ids
    ]


def barren(one: Barren) -> str:
    """That a table gives no account, and what to do; without the table's name."""
    if not one.listed:
        return "its list is empty"
    none = f"none of its {_accounts(one.listed)} is left by include and exclude"
    if not one.disabled:
        return f"{none}: mend the patterns"
    return f"{none} and by `enabled = false` ({one.disabled:,}): mend the patterns, or turn accounts on"


def absences(enrolment: Enrolment) -> list[str]:
    """Who vanished lately, for a person: those who are still asked for, and those who are not any more."""
    lines = []
    for (roll, vanished_on), ids in _by_absence(enrolment.missed).items():
        lines.append(f"vanished from {roll} since {vanished_on}: {_named(ids)}; asked for until the API refuses them")
    for (roll, vanished_on), ids in _by_absence(enrolment.released).items():
        lines.append(f"refused and vanished from {roll} since {vanished_on}, so not asked for any more: {_named(ids)}")
    return lines


def _by_absence(ones: Iterable[Enrolled]) -> Mapping[tuple[Table, date], list[AccountId]]:
    found: dict[tuple[Table, date], list[AccountId]] = {}
    for one in ones:
        if one.table and one.vanished_on:
            found.setdefault((one.table, one.vanished_on), []).append(one.account.id)
    return found


def failed(table: Table, why: str, roll: Roll | None, at: float) -> str:
    """That a list could not be had, and what is done instead.

    Args:
        table: Whose.
        why: What happened.
        roll: What there is instead; `None` for nothing.
        at: Unix time, now.
    """
    instead = f"its {_accounts(roll.size)} are those of {_when(roll, at)}" if roll else "its accounts are unknown"
    return f"{table} could not be listed, and {instead}: {why}"


def unknown(table: Table, why: str | None) -> str:
    """Why a run cannot be complete when nobody knows a table's accounts; `why` it was not listed, if that was tried."""
    return f"the accounts of {table} are unknown: {why or 'they were never listed'}"


def standing(table: Table, roll: Roll | None, at: float) -> str:
    """How old a table's roll is at Unix time `at`."""
    if roll is None:
        return f"{table}: its accounts are unknown; a run lists them, or `harvester accounts refresh CONFIG`"
    return f"{table}: {_accounts(roll.size)}, as listed on {_when(roll, at)}"


def _when(roll: Roll, at: float) -> str:
    listed = datetime.fromtimestamp(roll.at, BEIJING)
    return f"{listed:%Y-%m-%d %H:%M} Beijing time, {_age(at - roll.at)} ago"


def _age(seconds: float) -> str:
    minutes = max(0, round(seconds / 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def in_words(enrolment: Enrolment) -> str:
    """Every account with its token, name and status, since when it is listed, and where it comes from."""
    many = _accounts(len(enrolment.enrolled))
    rows = [_row(one) for one in enrolment.enrolled]
    return "\n".join([f"{many} enrolled", *(lines_of([_HEAD, *rows]) if rows else [])])


def _row(one: Enrolled) -> tuple[str, ...]:
    member = one.member
    status = (member.listed.status if member else None) or "-"
    if one.vanished_on:
        status = f"vanished {one.vanished_on}"
    since = str(member.appeared_on) if member else "-"
    account = one.account
    return str(account.id), account.token, status, since, str(one.table or "the config"), account.name or "-"


def to_json(enrolment: Enrolment, rolls: Sequence[tuple[Table, Roll | None]]) -> dict[str, Any]:
    """The accounts for a program."""
    return {
        "accounts": [_plain(one) for one in enrolment.enrolled],
        "released": [_plain(one) for one in enrolment.released],
        "rolls": [
            {
                "table": table.name,
                "token": table.token,
                "via": table.via,
                "known": roll is not None,
                "listed_at": datetime.fromtimestamp(roll.at, BEIJING).isoformat(timespec="seconds") if roll else None,
                "listed": roll.size if roll else None,
            }
            for table, roll in rolls
        ],
    }


def _plain(one: Enrolled) -> dict[str, Any]:
    member = one.member
    return {
        "account_id": one.account.id,
        "token": one.account.token,
        "name": one.account.name,
        "status": member.listed.status if member else None,
        "since": member.appeared_on if member else None,
        "vanished_on": one.vanished_on,
        "from": one.table.name if one.table else None,
    }


def csv_of(enabled: Iterable[Account], disabled: Iterable[Account]) -> str:
    """An accounts file; no name is taken for a formula by a spreadsheet.

    Args:
        enabled: Those that are harvested.
        disabled: Those that the config turns off, so that they stay so.
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(("account_id", "token", "name", "enabled"))
    for accounts, word in ((enabled, "true"), (disabled, "false")):
        for one in accounts:
            name = one.name or ""
            write((one.id, one.token, f"'{name}" if name.startswith(_FORMULA) else name, word))
    return text.getvalue()


def _named(ids: Sequence[AccountId]) -> str:
    more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    return f"{_accounts(len(ids))}: {', '.join(map(str, ids[:_NAMED]))}{more}"


def _accounts(many: int) -> str:
    return f"{many:,} account{'' if many == 1 else 's'}"

"""The slices of a run that are not complete, and why: as values, and their words. Pure."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from harvester.enrolment import NOBODY
from harvester.model import Slice, Status

_TRACE: Final = re.compile(r" \(trace [^)]*\)")
_ACCOUNTS_NAMED: Final = 3
_CAUSES_NAMED: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A slice that is not complete, and why; accounts that nobody knows have no id, and their table's name."""

    account_id: int | None
    account_name: str | None
    window: str
    status: Status
    reason: str


def trouble(one: Slice, status: Status, reason: str) -> Trouble:
    """A slice that is not complete. Of a fleet whose token is dead there are many: they share their texts."""
    account = one.account
    return Trouble(
        account_id=None if account.id == NOBODY else account.id,
        account_name=account.name,
        window=sys.intern(str(one.window)),
        status=status,
        reason=sys.intern(reason),
    )


def in_words(troubles: Iterable[Trouble]) -> list[str]:
    """Lines of the summary: the causes, the most common first, each with a few of its slices."""
    by_cause: defaultdict[tuple[Status, str], list[Trouble]] = defaultdict(list)
    for one in troubles:
        by_cause[one.status, _TRACE.sub("", one.reason)].append(one)  # each answer has a trace id of its own
    ordered = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    lines = []
    for (status, reason), ones in ordered[:_CAUSES_NAMED]:
        named = ", ".join(f"{_whose(one)} {one.window}" for one in ones[:_ACCOUNTS_NAMED])
        more = f" and {len(ones) - _ACCOUNTS_NAMED:,} more" if len(ones) > _ACCOUNTS_NAMED else ""
        lines += [f"  {status} ({len(ones):,}): {reason}", f"      {named}{more}"]
    if len(ordered) > _CAUSES_NAMED:
        further = len(ordered) - _CAUSES_NAMED
        lines.append(f"  … and {further:,} further cause{'' if further == 1 else 's'}: see the run's report")
    return lines


def _whose(one: Trouble) -> str:
    return str(one.account_name if one.account_id is None else one.account_id)

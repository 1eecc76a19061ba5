"""The slices of a run that are not complete, and why: as values, and their words. Pure."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from harvester.enrolment import NOBODY
from harvester.model import Slice, Status

_TRACE: Final = re.compile(r",? \(trace [^)]*\)|, trace [^\s,;)]+")
_NUMBER: Final = re.compile(r"(?<!code )(?<!HTTP )(?<![\w.])\d[\d,.:-]*")
"""Days, ids and counts: what differs from slice to slice though the cause is one. Codes are the cause."""
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


def cause_of(reason: str) -> str:
    """A reason without what is each slice's own: slices with the same cause are told together."""
    return sys.intern(_NUMBER.sub("#", _TRACE.sub("", reason)))


def in_words(troubles: Iterable[Trouble]) -> list[str]:
    """Lines of the summary: the causes, the most common first, each with a few of its slices and what to do."""
    by_cause: defaultdict[tuple[Status, str], list[Trouble]] = defaultdict(list)
    for one in troubles:
        by_cause[one.status, cause_of(one.reason)].append(one)
    ordered = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    lines = []
    for (status, cause), ones in ordered[:_CAUSES_NAMED]:
        reasons = {_TRACE.sub("", one.reason) for one in ones[: _ACCOUNTS_NAMED + 1]}
        reason = reasons.pop() if len(reasons) == 1 else f"such as: {_TRACE.sub('', ones[0].reason)}"
        named = ", ".join(f"{_whose(one)} {one.window}" for one in ones[:_ACCOUNTS_NAMED])
        more = f" and {len(ones) - _ACCOUNTS_NAMED:,} more" if len(ones) > _ACCOUNTS_NAMED else ""
        lines += [f"  {status} ({len(ones):,}): {reason}", f"      {named}{more}{_advice(ones[0], cause)}"]
    if len(ordered) > _CAUSES_NAMED:
        further = len(ordered) - _CAUSES_NAMED
        lines.append(f"  … and {further:,} further cause{'' if further == 1 else 's'}: see the run's report")
    return lines


def _whose(one: Trouble) -> str:
    return str(one.account_name if one.account_id is None else one.account_id)


def _advice(one: Trouble, cause: str) -> str:
    """What to do; nothing where the reason itself says it, or where what is left is told."""
    if one.account_id is None:
        return ""
    match one.status:
        case Status.SHORT:
            return ": what was read is kept; they are read again by the next run"
        case Status.FAILED if "run" not in cause and "token" not in cause:
            return ": run again; if it stays, ask Tencent, with the trace id"
        case _:
            return ""

"""Accounts that are not well, and days that are poisoned: what a run found, grouped by cause. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

from harvester.errors import Complaint
from harvester.model import AccountId, Status
from harvester.report.troubles import Trouble
from harvester.triage import ADVICE, AT_ONCE, Condition, Found, Poison, State, in_words_of

_CAUSES_NAMED: Final = 6
_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sick:
    """What a run found of accounts that are not well, or were not.

    Attributes:
        today: The Beijing day of the run.
        conditions: Of accounts that are not well.
        poison: Poisoned days that were due.
        recovered: How accounts were before that are well again.
        cured: Days that were poisoned and could be read.
        asked: Those accounts that are not well and that the run asked; others were asked on that day before.
        tried: Accounts of which it asked for a poisoned day; as before.
        names: Of accounts, for a person.
    """

    today: date = date.min
    conditions: Sequence[Condition] = ()
    poison: Sequence[Poison] = ()
    recovered: Sequence[Condition] = ()
    cured: Sequence[Poison] = ()
    asked: Collection[AccountId] = ()
    tried: Collection[AccountId] = ()
    names: Mapping[AccountId, str | None] = field(default_factory=dict)

    def of(self, troubles: Iterable[Trouble]) -> "Sick":
        """Only those poisoned days that are among a run's troubles: no other was due."""
        if not self.poison:
            return self
        due = {(one.account_id, one.window) for one in troubles}
        poison = [one for one in self.poison if (one.account_id, _window(one.day)) in due]
        return replace(self, poison=sorted(poison, key=lambda one: (one.account_id, one.day)))

    def without_told(self, troubles: Sequence[Trouble]) -> list[Trouble]:
        """Those troubles that are not told here."""
        accounts = {one.account_id for one in self.conditions}
        days = {(one.account_id, _window(one.day)) for one in self.poison}
        told = {Status.SKIPPED, Status.FAILED}
        return [
            one
            for one in troubles
            if one.status not in told or not (one.account_id in accounts or (one.account_id, one.window) in days)
        ]


def in_words(sick: Sick) -> list[str]:
    """Lines of the summary: two for each cause, the most common first; a dozen at most."""
    groups: defaultdict[tuple[State, int | None], list[Found]] = defaultdict(list)
    for one in sick.conditions:
        groups[one.state, one.complaint.code].append(one)
    for day in sick.poison:
        groups[State.POISONED, day.complaint.code].append(day)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    lines = []
    for (state, _), found in ordered[:_CAUSES_NAMED]:
        lines += _cause(sick, state, found)
    if len(ordered) > _CAUSES_NAMED:
        lines.append(f"  … and {len(ordered) - _CAUSES_NAMED:,} further causes: see the run's report")
    return lines


def recovered_in_words(sick: Sick) -> list[str]:
    """Lines of the summary: who came back."""
    lines = []
    if sick.recovered:
        named = [f"{one.account_id} ({one.state} since {one.since})" for one in sick.recovered]
        lines.append(f"  well again ({len(named):,}): {_some(named)}")
    if sick.cured:
        named = [f"{one.account_id} {one.day}" for one in sick.cured]
        lines.append(f"  poisoned no more ({len(named):,}): {_some(named)}")
    return lines


def _cause(sick: Sick, state: State, found: Sequence[Found]) -> list[str]:
    many = f"{len(found):,}"
    if state is State.POISONED:
        accounts = len({one.account_id for one in found})
        many += f" day{'s' * (len(found) > 1)} of {accounts:,} account{'s' * (accounts > 1)}"
    named = [f"{one.account_id} {one.day}" if isinstance(one, Poison) else str(one.account_id) for one in found]
    asked = sick.tried if state is State.POISONED else sick.asked
    unasked = len({one.account_id for one in found} - set(asked))
    whom = "" if unasked == len({one.account_id for one in found}) else f"{unasked:,} of them "
    not_again = f"; {whom}asked earlier today, and not again: {AT_ONCE}" if unasked else ""
    return [
        f"  {state} ({many}; {_since(found, sick.today)}): {in_words_of(found[0].complaint)}",
        f"      {_some(named)}: {ADVICE[state]}{not_again}",
    ]


def _since(found: Sequence[Found], today: date) -> str:
    """Since when: what is new, and since when the rest."""
    new, old = sum(1 for one in found if one.since == today), [one.since for one in found if one.since != today]
    if not old:
        return "new today"
    since = f"since {min(old)}" if min(old) == max(old) else f"since {min(old)} to {max(old)}"
    return f"{new:,} new today, the others {since}" if new else since


def _some(named: Sequence[str]) -> str:
    more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more


def to_json(sick: Sick) -> dict[str, Any]:
    """As the report's file holds it, one key beside the other."""
    return {
        "accounts_not_ok": [
            {**condition_to_json(one), "account_name": sick.names.get(one.account_id)} for one in sick.conditions
        ],
        "poisoned_days": [
            {**poison_to_json(one), "account_name": sick.names.get(one.account_id)} for one in sick.poison
        ],
        "well_again": [
            {"account_id": one.account_id, "account_name": sick.names.get(one.account_id), "was": one.state,
             "since": one.since}
            for one in sick.recovered
        ],
        "cured_days": [{"account_id": one.account_id, "day": one.day, "since": one.since} for one in sick.cured],
    }  # fmt: skip


def condition_to_json(one: Condition) -> dict[str, Any]:
    """How an account is."""
    return {
        "account_id": one.account_id,
        "state": one.state,
        "token": one.token,
        **_dates(one),
        **_said(one.complaint),
        "advice": ADVICE[one.state],
    }


def poison_to_json(one: Poison) -> dict[str, Any]:
    """A poisoned day."""
    return {
        "account_id": one.account_id,
        "day": one.day,
        **_dates(one),
        **_said(one.complaint),
        "advice": ADVICE[State.POISONED],
    }


def _dates(one: Found) -> dict[str, date]:
    return {"since": one.since, "asked_on": one.asked_on}


def _said(said: Complaint) -> dict[str, Any]:
    return {
        "code": said.code, "message": said.message, "message_cn": said.message_cn, "trace_id": said.trace_id,
    }  # fmt: skip


def _window(day: date) -> str:
    return f"{day}..{day}"

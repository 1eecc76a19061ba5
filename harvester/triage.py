"""Triage: which accounts and which of their days the API refuses, since when, and when they are asked again. Pure.

An account that is not well costs one request a Beijing day, and comes back by itself on the day on which that request
is answered. So does a *poisoned* day: one that makes the API fail while other days of its account are answered.
"""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from harvester.errors import Complaint
from harvester.model import Account, AccountId, TokenName


class State(StrEnum):
    """How an account is."""

    OK = "ok"
    DENIED = "denied"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"
    FAILING = "failing"
    """Every request for it fails, while other accounts are answered."""
    POISONED = "poisoned"
    """It is well but for some days: said of accounts, never kept of them."""


STATES: Final = MappingProxyType(
    {
        12201: State.DENIED,
        12203: State.DENIED,
        32211: State.INACTIVE,
        64015: State.INACTIVE,
        60002: State.UNKNOWN,
        60003: State.UNKNOWN,
        80008: State.UNKNOWN,
    }
)
"""Return codes that are about the account, whatever is asked of it (documented)."""
ADVICE: Final = MappingProxyType(
    {
        State.OK: "nothing is to be done",
        State.DENIED: "the token may not read it: let the account's owner authorise the app, or take it out "
        "(enabled = false)",
        State.INACTIVE: "it is not active: have it activated, or take it out (enabled = false)",
        State.UNKNOWN: "the API does not know it, or not in this role, or bars it: check its id and which token reads "
        "it, or take it out (enabled = false)",
        State.FAILING: "every request for it fails while other accounts are answered: ask Tencent, with the trace id",
        State.POISONED: "the API fails on these days only: ask Tencent, with the trace id",
    }
)
"""What a person can do."""
AT_ONCE: Final = "`harvester run CONFIG --account ID` asks at once"
NEVER_ITS_OWN: Final = frozenset(
    {11008, 11016, 11017, 11018, 11019, 12100, 12101, 30104, 60005, 64016, 1000003, 1000284}
)
"""Codes of limits, nonces and clocks: never an account's or a day's own fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How an account was found when it was asked last.

    Attributes:
        account_id: Which.
        state: Never `POISONED`.
        token: The name of the token that it was asked with.
        complaint: The API's own words; empty when it is well.
        since: The Beijing day on which it was found so first.
        asked_on: The Beijing day on which it was asked last; of one that is well, on which it was found to be.
    """

    account_id: AccountId
    state: State
    token: TokenName
    complaint: Complaint
    since: date
    asked_on: date

    @property
    def well(self) -> bool:
        """Whether it can be read."""
        return self.state is State.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """A day that an account's requests fail on, while others are answered.

    Attributes:
        account_id: Whose.
        day: The Beijing day.
        complaint: The API's own words.
        since: The Beijing day on which that was found first.
        asked_on: The Beijing day on which it was asked for last.
    """

    account_id: AccountId
    day: date
    complaint: Complaint
    since: date
    asked_on: date


Found = Condition | Poison
"""What is found out, and remembered."""


def state_of(code: int | None) -> State:
    """What a code says of an account that cannot be read; one that is not in the table says no more than that."""
    return STATES.get(code or 0, State.UNKNOWN)


def condition_after(
    before: Condition | None, account: Account, state: State, complaint: Complaint, today: date
) -> Condition:
    """How an account is after it was asked.

    Args:
        before: How it was; `None` when it never refused.
        account: Which, and the token it was asked with.
        state: How it was found.
        complaint: What the API said.
        today: The Beijing day of the run.
    """
    since = before.since if before and before.state is state else today
    return Condition(
        account_id=account.id, state=state, token=account.token, complaint=complaint, since=since, asked_on=today
    )


def poison_after(before: Poison | None, account_id: AccountId, day: date, complaint: Complaint, today: date) -> Poison:
    """A day after it failed; `before` as it was known, `None` if it was not."""
    since = before.since if before else today
    return Poison(account_id=account_id, day=day, complaint=complaint, since=since, asked_on=today)


def is_asked(before: Condition | None, today: date, token: TokenName, *, forced: bool) -> bool:
    """Whether an account may be asked at all: one that is not well, once a Beijing day.

    Args:
        before: How it is; `None` when it never refused.
        today: The Beijing day of the run.
        token: The name of the token that would read it: with another one than last time it is asked at once.
        forced: Whether a person wants it.
    """
    return before is None or before.well or forced or before.token != token or before.asked_on != today


def is_its_own(complaint: Complaint) -> bool:
    """Whether what the API said may be about an account's window, and not about the app, the token or this machine."""
    return complaint.code not in NEVER_ITS_OWN and complaint.code not in STATES


def in_full(complaint: Complaint | None, text: str) -> Complaint:
    """The API's words; where it had none, what happened in ours."""
    if complaint is None:
        return Complaint(message=text)
    return complaint if complaint.code is not None or complaint.message else replace(complaint, message=text)


def in_words_of(complaint: Complaint, *, trace: bool = True) -> str:
    """What the API said, on one line.

    Args:
        complaint: Its words.
        trace: Whether to name the trace id, which differs from answer to answer.
    """
    said = [f'"{text}"' for text in dict.fromkeys((complaint.message, complaint.message_cn)) if text]
    code = [] if complaint.code is None else [f"code {complaint.code}"]
    traced = [f"trace {complaint.trace_id}"] if trace and complaint.trace_id else []
    return ", ".join([*code, *said, *traced]) or "it said nothing"


def why_skipped(condition: Condition, *, tonight: bool) -> str:
    """Why slices of an account are not tried.

    Args:
        condition: How the account is.
        tonight: Whether this very run asked; if not, an earlier one of the same Beijing day did.
    """
    since = f"{condition.state} since {condition.since}: {in_words_of(condition.complaint)}"
    return since if tonight else f"{since}; asked today before, so not again: {AT_ONCE}"


def why_poisoned(poison: Poison, *, tonight: bool) -> str:
    """Why a poisoned day is not complete; `tonight` as for accounts."""
    since = f"this day alone fails, since {poison.since}: {in_words_of(poison.complaint)}"
    return since if tonight else f"{since}; asked today before, so not again: {AT_ONCE}"

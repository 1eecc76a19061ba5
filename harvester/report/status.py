"""How accounts stand, and how late calls come, as the ledger has it: words and JSON. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final

from harvester.inspection import Arrival, Failure, Walking
from harvester.model import ONE_DAY, AccountId, Status, Window
from harvester.report import lateness
from harvester.report.sick import condition_to_json, poison_to_json
from harvester.report.table import table
from harvester.triage import ADVICE, Condition, Poison, in_words_of
from harvester.triage import State as Health

SHOWN: Final = 50
"""Accounts in trouble that are named in words, unless all are asked for."""
_GAPS_SHOWN: Final = 3
_HEAD: Final = ("account", "through", "complete", "short", "queued", "not complete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an account stands.

    Attributes:
        account_id: Which.
        name: For a person.
        window: The days that are looked at: from the config's first, or the first that is known, to the config's last.
        complete: Complete days of these.
        short: Days that were over when they were read and that are not proven.
        queued: Days that the next run reads whatever its window.
        gaps: Days that are not complete; `None` when they were not looked up.
        walking: Slices that were begun and can be gone on with.
        failure: How the last slice ended that was not complete; it may have been mended since.
        condition: How it was found when it was asked last; `None`: it never refused.
        poison: Its poisoned days.
    """

    account_id: AccountId
    name: str | None
    window: Window
    complete: int
    short: int = 0
    queued: int = 0
    gaps: tuple[Window, ...] | None = None
    walking: tuple[Walking, ...] = ()
    failure: Failure | None = None
    condition: Condition | None = None
    poison: tuple[Poison, ...] = ()

    @property
    def health(self) -> Health:
        """How it is."""
        if self.condition and not self.condition.well:
            return self.condition.state
        return Health.POISONED if self.poison else Health.OK

    @property
    def lacking(self) -> int:
        """Days that are not complete."""
        return len(self.window) - self.complete

    @property
    def through(self) -> date | None:
        """The day up to which every day is complete; `None` when not even the first is, or it was not looked up."""
        if not self.lacking:
            return self.window.end
        if not self.gaps or self.gaps[0].start == self.window.start:
            return None
        return self.gaps[0].start - ONE_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the ledger says.

    Attributes:
        window: The config's days.
        accounts: Every enabled account, those that lack most first.
        unknown: `[discover]` tables whose accounts nobody knows.
        others: Accounts that the ledger knows and the config does not have.
        arrivals: What reading days again brought, by their age.
        nights: On how many days that was.
        reread_days: The config's.
        there: Whether there is a ledger.
        ledger: Where it is, or would be.
    """

    window: Window
    accounts: Sequence[Standing]
    unknown: tuple[str, ...] = ()
    others: int = 0
    arrivals: Sequence[Arrival] = field(default_factory=list)
    nights: int = 0
    reread_days: int | None = None
    there: bool = True
    ledger: str

    @property
    def incomplete(self) -> int:
        """Accounts that lack days."""
        return sum(1 for one in self.accounts if one.lacking)

    @property
    def complete(self) -> bool:
        """Whether no day is lacking, of accounts that nobody knows neither."""
        return not self.incomplete and not self.unknown


def in_words(state: State, *, every: bool = False) -> str:
    """The state for a person.

    Args:
        state: What the ledger says.
        every: Whether every account is shown, not just those that lack days.
    """
    if not state.there:
        return f"NOTHING YET: there is no ledger {state.ledger}; the first run makes it"
    many = f"{len(state.accounts):,} account{'' if len(state.accounts) == 1 else 's'}"
    if not state.complete:
        lines = [f"NOT COMPLETE through {state.window.end}: {'; '.join(_lacking(state, many))}"]
    else:
        lines = [f"COMPLETE through {state.window.end}: {many}, every day since {_since(state)}"]
    shown = [one for one in state.accounts if every or one.lacking][: None if every else SHOWN]
    lines += table([_HEAD, *map(_row, shown)], [[], *(list(_details(one)) for one in shown)]) if shown else []
    if not every and state.incomplete > SHOWN:
        lines.append(f"  … and {state.incomplete - SHOWN:,} more: `--all` shows every account")
    if state.others:
        lines.append(f"  {state.others:,} more accounts are in the ledger and not enabled in this config")
    return "\n".join([*lines, "", *lateness.in_words(state.arrivals, state.nights, state.reread_days)])


def _lacking(state: State, many: str) -> Iterator[str]:
    if state.unknown:
        mend = "a run lists them, or `harvester accounts refresh CONFIG`"
        yield f"the accounts of {', '.join(state.unknown)} are not known: {mend}"
    if state.incomplete:
        yield f"{state.incomplete:,} of {many} lack days"
    elif state.accounts:
        yield f"every day is complete of {many} that can be named"


def _since(state: State) -> date:
    return max((one.window.start for one in state.accounts), default=state.window.start)


def _row(one: Standing) -> tuple[str, ...]:
    gaps = [_short(gap) for gap in one.gaps or ()]
    more = f" and {len(gaps) - _GAPS_SHOWN:,} more" if len(gaps) > _GAPS_SHOWN else ""
    return (
        str(one.account_id),
        str(one.through or "-"),
        f"{one.complete:,} of {len(one.window):,}",
        f"{one.short:,}",
        f"{one.queued:,}",
        ", ".join(gaps[:_GAPS_SHOWN]) + more,
    )


def _details(one: Standing) -> Iterator[str]:
    for walking in one.walking:
        begun = f"begun {walking.since}, {walking.calls:,} calls so far, saved {_time(walking.saved_at)}"
        yield f"in progress: {_short(walking.window)}, {begun}"
    if one.condition and not one.condition.well:
        sick = one.condition
        said = f"{sick.state} since {sick.since}, asked {sick.asked_on}: {in_words_of(sick.complaint)}"
        yield f"{said}; {ADVICE[sick.state]}"
    if one.poison:
        days = ", ".join(str(poison.day) for poison in one.poison[:_GAPS_SHOWN])
        more = f" and {len(one.poison) - _GAPS_SHOWN:,} more" if len(one.poison) > _GAPS_SHOWN else ""
        said = in_words_of(one.poison[0].complaint)
        yield f"poisoned since {one.poison[0].since}: {days}{more}: {said}; {ADVICE[Health.POISONED]}"
    skipped = one.failure and one.failure.status == Status.SKIPPED
    if one.failure and not (skipped and one.health is not Health.OK):  # that has been told
        failed, reason = one.failure, one.failure.reason or "no reason is known"
        yield f"last failure: {_time(failed.at)}, {failed.window} {failed.status}: {reason}"


def _short(window: Window) -> str:
    return str(window.start) if window.start == window.end else str(window)


def _time(at: str) -> str:
    return at[:16].replace("T", " ")


def to_json(state: State) -> dict[str, Any]:
    """The state for a program."""
    return {
        "complete": state.complete,
        "ledger": state.ledger if state.there else None,
        "window": _window(state.window),
        "incomplete_accounts": state.incomplete,
        "unknown_accounts_of": list(state.unknown),
        "other_accounts": state.others,
        "accounts": [_standing(one) for one in state.accounts],
        "late_calls": {
            "nights": state.nights,
            "reread_days": state.reread_days,
            "ages": [asdict(one) for one in state.arrivals],
            "verdict": lateness.verdict(state.arrivals, state.nights, state.reread_days),
        },
    }


def _standing(one: Standing) -> dict[str, Any]:
    return {
        "account_id": one.account_id,
        "name": one.name,
        "complete_through": one.through,
        "window": _window(one.window),
        "complete_days": one.complete,
        "short_days": one.short,
        "queued_days": one.queued,
        "gaps": [_window(gap) for gap in one.gaps or ()],
        "in_progress": [{**asdict(walking), "window": _window(walking.window)} for walking in one.walking],
        "state": one.health,
        "condition": condition_to_json(one.condition) if one.condition else None,
        "poisoned_days": [poison_to_json(poison) for poison in one.poison],
        "last_failure": asdict(one.failure) if one.failure else None,
    }


def _window(window: Window) -> dict[str, date]:
    return {"start": window.start, "end": window.end}

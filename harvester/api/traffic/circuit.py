"""Whether the API is there at all: if not, one probe at a time, and in the end the rest is left to the next run. Pure.

It counts as down after a few attempts in a row that found nobody to connect to; or after more of them that brought no
usable answer, if they were for several accounts (one account's calls may be what a server stumbles over).
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Final

from harvester.api.decisions import GO, Decision, Over, Wait, lasting
from harvester.model import AccountId

UNREACHABLE_IN_A_ROW: Final = 3
FAILED_IN_A_ROW: Final = 10
ACCOUNTS: Final = 3
FEW_FAILED_IN_A_ROW: Final = 5
"""The same for a run over fewer accounts than that."""
_STREAK_S: Final = 300.0
_FIRST_PROBE_S: Final = 2.0
_LONGEST_PROBE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An attempt that brought no usable answer.

    Attributes:
        account_id: Whose calls were asked for.
        permit_at: When it was permitted, loop time.
        unreachable: Whether no connection came about.
        text: What happened, for a person.
    """

    account_id: AccountId
    permit_at: float
    unreachable: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """What the last attempts brought.

    Attributes:
        in_a_row: Attempts that failed since the last answer.
        unreachable: How many of them found nobody.
        accounts: The accounts that they were for.
        suspects: Accounts that failed lately while others were answered: their failures say nothing of the API.
        since: Loop time of the first of them; `None` when there is none.
        is_open: Whether the API counts as down.
        probe_at: When the next probe may go, loop time.
        probing: When the probe that is under way was permitted; `None` when none is.
        probes: How many there were.
        latest: Loop time of the last failure.
        text: What the last attempt brought.
    """

    in_a_row: int = 0
    unreachable: int = 0
    accounts: frozenset[AccountId] = frozenset()
    suspects: frozenset[AccountId] = frozenset()
    since: float | None = None
    is_open: bool = False
    probe_at: float = -inf
    probing: float | None = None
    probes: int = 0
    latest: float = -inf
    text: str = ""


CLOSED: Final = Circuit()


def failed(circuit: Circuit, what: Failed, now: float, of_accounts: int = ACCOUNTS) -> Circuit:
    """After an attempt without a usable answer, in a run over so many accounts."""
    if circuit.is_open:
        if circuit.probing != what.permit_at:
            return circuit  # it was under way before
        wait_s = min(_FIRST_PROBE_S * 2.0 ** min(circuit.probes, 10), _LONGEST_PROBE_S)
        return replace(circuit, probing=None, probe_at=now + wait_s, latest=now, text=what.text)
    if now - circuit.latest > _STREAK_S:
        circuit = CLOSED  # what failed long ago has nothing to do with it
    if what.account_id in circuit.suspects and not what.unreachable:
        return replace(circuit, latest=now)
    accounts = circuit.accounts | {what.account_id}
    in_a_row, unreachable = circuit.in_a_row + 1, circuit.unreachable + what.unreachable
    enough = FAILED_IN_A_ROW if of_accounts >= ACCOUNTS else FEW_FAILED_IN_A_ROW
    several = len(accounts | circuit.suspects) >= min(of_accounts, ACCOUNTS)
    down = unreachable >= UNREACHABLE_IN_A_ROW or (in_a_row >= enough and several)
    return replace(
        circuit,
        in_a_row=in_a_row,
        unreachable=unreachable,
        accounts=accounts,
        since=what.permit_at if circuit.since is None else circuit.since,
        is_open=down,
        probe_at=now + _FIRST_PROBE_S if down else -inf,
        latest=now,
        text=what.text,
    )


def answered(circuit: Circuit, account_id: AccountId | None) -> Circuit:
    """After a usable answer: the API is there, and whoever failed meanwhile may have a trouble of its own."""
    suspects = (circuit.suspects if circuit.is_open else circuit.suspects | circuit.accounts) - {account_id}
    return Circuit(suspects=suspects, latest=circuit.latest) if suspects else CLOSED


def decide(circuit: Circuit, now: float, patience_s: float | None) -> Decision:
    """Whether a request may be sent.

    Args:
        circuit: What was.
        now: Loop time in seconds.
        patience_s: How long the API may be down before the rest is left to the next run; `None` for ever.
    """
    if not circuit.is_open:
        return GO
    until = inf if patience_s is None or circuit.since is None else circuit.since + patience_s
    if circuit.probing is not None:
        return Wait(inf, "an answer of the API, which is down")
    if now < min(until, circuit.probe_at):
        return Wait(min(until, circuit.probe_at), "the API, which is down")
    if circuit.latest >= until or (now >= until > circuit.latest and now < circuit.probe_at):
        down = lasting(max(now, circuit.latest) - (circuit.since or 0.0))
        return Over(f"the API has not answered for {down}, the last attempt: {circuit.text}")
    return GO


def granted(circuit: Circuit, now: float) -> Circuit:
    """After a permit at loop time `now`."""
    return replace(circuit, probing=now, probes=circuit.probes + 1) if circuit.is_open else circuit


def unanswered(circuit: Circuit, permit_at: float) -> Circuit:
    """After a request that ended without telling anything: if it was the probe, another one may go."""
    return replace(circuit, probing=None) if circuit.is_open and circuit.probing == permit_at else circuit

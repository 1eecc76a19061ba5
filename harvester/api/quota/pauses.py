"""What an app does when the API says that a limit is reached: it pauses as a whole, then one request knocks. Pure.

- 11016, the second's limit: a second, and permits a little further apart from then on.
- 11017, the minute's limit: 60 s first, 300 s if it comes again (messages say one minute, documents five).
- other limits: 15 s, then twice as long each time, up to 300 s.
- `Retry-After`, should it come (unknown), makes the first two longer, and is the last one's length; 300 s at most.

After a pause of the last two kinds a single request goes first: while the door is closed, nobody hammers at it.
"""

from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from typing import Final

from harvester.api.decisions import GO, Decision, Over, Wait, lasting

FIRST_PAUSE_S: Final = 60.0
NEXT_PAUSE_S: Final = 300.0
_SECOND_S: Final = 1.0
_OTHER_PAUSE_S: Final = 15.0
_MARGIN_STEP: Final = 0.02
_MARGIN_MOST: Final = 0.2
_RESERVE_STEP: Final = 0.04
_RESERVE_MOST: Final = 0.12
_HALVES_S: Final = 1800.0


class Limit(Enum):
    """Which of an app's limits the API says is reached."""

    SECOND = "quota of a second"
    MINUTE = "minute quota"
    OTHER = "a limit"


_FORGOTTEN_S: Final = {Limit.SECOND: 60.0, Limit.MINUTE: 900.0, Limit.OTHER: 120.0}
"""A limit that was not reached for so long after its last pause is reached for the first time again."""


class Knock(Enum):
    """Whether a single request has to go first."""

    NONE = "none"
    DUE = "due"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The API refused a request because a limit is reached.

    Attributes:
        limit: Which.
        permit_at: When the request was permitted, loop time.
        retry_after_s: The API's own wish, in seconds.
        text: What it said, for a person.
    """

    limit: Limit
    permit_at: float
    retry_after_s: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """The pauses of one app.

    Attributes:
        until: Loop time at which the running pause ends, or the last one ended.
        limit: What it was for.
        ends: When the last pause for each limit ends or ended.
        strikes: How often each limit was reached, one pause after the other.
        knock: Whether a single request has to go first.
        since: When the first of the refusals came that no good answer has followed yet; `None` when none.
        latest: When the latest refusal came.
        margin: How much further apart permits are because of 11016, as a share; see `margin_at`.
        margin_since: Loop time of the last 11016.
        reserve: The share of the minute that is left alone because of 11017; see `reserve_at`.
        reserve_since: Loop time of the last 11017.
    """

    until: float = -inf
    limit: Limit | None = None
    ends: tuple[tuple[Limit, float], ...] = ()
    strikes: tuple[tuple[Limit, int], ...] = ()
    knock: Knock = Knock.NONE
    since: float | None = None
    latest: float = -inf
    margin: float = 0.0
    margin_since: float = -inf
    reserve: float = 0.0
    reserve_since: float = -inf

    def ended(self, limit: Limit) -> float:
        """When the last pause for a limit ends or ended."""
        return dict(self.ends).get(limit, -inf)

    def strikes_at(self, limit: Limit, now: float) -> int:
        """How often a limit was reached, one pause after the other, as far as that counts at loop time `now`."""
        return dict(self.strikes).get(limit, 0) if now - self.ended(limit) < _FORGOTTEN_S[limit] else 0

    def margin_at(self, now: float) -> float:
        """How much further apart permits are at loop time `now`: 0.02 for each 11016, at most 0.2, halved in 30 min."""
        return _faded(self.margin, now - self.margin_since)

    def reserve_at(self, now: float) -> float:
        """The share that is left alone at loop time `now`: 0.04 for each 11017, at most 0.12, halved in 30 min."""
        return _faded(self.reserve, now - self.reserve_since)


def refused(pauses: Pauses, what: Refused, now: float) -> Pauses:
    """The pauses after a refusal.

    A request that was permitted before the end of the pause for this limit was permitted before its beginning, since
    during a pause none is: that tells nothing new, but for a longer wish.
    """
    limit = what.limit
    if what.permit_at < pauses.ended(limit):
        wished = now + min(what.retry_after_s or 0.0, NEXT_PAUSE_S)
        return replace(pauses, until=wished, limit=limit) if wished > pauses.until > now else pauses
    strikes = pauses.strikes_at(limit, now) + 1
    until = now + _pause_s(what, strikes)
    if limit is Limit.SECOND:
        margin = min(_MARGIN_MOST, pauses.margin_at(now) + _MARGIN_STEP)
        pauses = replace(pauses, margin=margin, margin_since=now)
    if limit is Limit.MINUTE:
        reserve = min(_RESERVE_MOST, pauses.reserve_at(now) + _RESERVE_STEP)
        pauses = replace(pauses, reserve=reserve, reserve_since=now)
    return replace(
        pauses,
        until=max(until, pauses.until),
        limit=limit if until > pauses.until else pauses.limit,
        ends=(*((one, at) for one, at in pauses.ends if one is not limit), (limit, until)),
        strikes=(*((one, many) for one, many in pauses.strikes if one is not limit), (limit, strikes)),
        knock=Knock.NONE if limit is Limit.SECOND and pauses.knock is Knock.NONE else Knock.DUE,
        since=now if pauses.since is None else pauses.since,
        latest=now,
    )


def _faded(share: float, after_s: float) -> float:
    return share * 0.5 ** (after_s / _HALVES_S) if share else 0.0


def _pause_s(what: Refused, strikes: int) -> float:
    wish_s = min(what.retry_after_s or 0.0, NEXT_PAUSE_S)
    match what.limit:
        case Limit.SECOND:
            return max(_SECOND_S, wish_s)
        case Limit.MINUTE:
            return max(FIRST_PAUSE_S if strikes == 1 else NEXT_PAUSE_S, wish_s)
        case Limit.OTHER:
            return wish_s or min(_OTHER_PAUSE_S * 2.0 ** min(strikes - 1, 10), NEXT_PAUSE_S)


def decide(pauses: Pauses, now: float, app: str, patience_s: float | None) -> Decision:
    """Whether the app may send.

    Args:
        pauses: What was.
        now: Loop time in seconds.
        app: For a person.
        patience_s: How long an app is refused before its slices are left to the next run; `None` for ever.
    """
    limit, until = pauses.limit, pauses.until
    if patience_s is not None and pauses.since is not None:
        enough = pauses.since + patience_s
        if pauses.latest >= enough or enough <= now < until:
            what = limit.value if limit else "a limit"
            since = lasting(max(now, pauses.latest) - pauses.since)
            return Over(f"app {app}: the API has refused everything for {since}: {what}")
        until = min(until, enough) if now < enough else until
    if now < until:
        told = limit is not None and limit is not Limit.SECOND
        return Wait(until, f"{limit.value} of app {app}" if limit and told else None)
    return Wait(inf) if pauses.knock is Knock.OUT else GO


def granted(pauses: Pauses) -> Pauses:
    """After a permit: whoever was the first is on the way."""
    return replace(pauses, knock=Knock.OUT) if pauses.knock is Knock.DUE else pauses


def answered(pauses: Pauses, permit_at: float) -> Pauses:
    """After an answer that is no refusal: the door is open, if it was asked for after the last pause."""
    if pauses.since is None and pauses.knock is Knock.NONE:
        return pauses
    return replace(pauses, knock=Knock.NONE, since=None) if permit_at >= pauses.until else pauses


def unanswered(pauses: Pauses, permit_at: float) -> Pauses:
    """After a request that ended without telling anything: if it was to knock, another one has to."""
    knocked = pauses.knock is Knock.OUT and permit_at >= pauses.until
    return replace(pauses, knock=Knock.DUE) if knocked else pauses

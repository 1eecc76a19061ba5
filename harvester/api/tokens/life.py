"""A token's life: what may be done under it now, and what follows from each answer. Pure.

What is unknown, and right either way: whether the access token before an extension goes on working (it is kept, and
tried when the new one does not work yet), whether a new one works at once (a private app's does after 10 minutes,
documented), when one that stands in the config expires (nobody says; the API will).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Final

from harvester.api.decisions import lasting
from harvester.api.tokens.pair import Pair, Renewal

YOUNG_S: Final = 600.0
"""A private app's new token only works after 10 minutes (documented)."""
_KNOCKS_S: Final = (60.0, 180.0, 360.0, YOUNG_S + 5.0)
"""Seconds after a token was given at which one that does not work yet is tried again: a handful of requests."""
_EARLY_S: Final = 1800.0
"""Before an access token expires it is renewed, so that no request meets the end; or a tenth of its life before."""
_REFRESH_EARLY_S: Final = 8 * 86400.0
"""Before a refresh token dies its life is begun anew by a renewal; or a quarter of its life before."""
_MAX_BACKOFF_S: Final = 60.0
_MOST_IN_VAIN: Final = 2
"""Renewals in a row that bring a token that does not work: then a person has to look."""


class Gone(StrEnum):
    """Why an access token does not work."""

    EXPIRED = "expired"
    INVALID = "invalid"
    YOUNG = "not yet"


@dataclass(frozen=True, slots=True)
class Use:
    """This access token may be sent; `alone`: by one request, before any other."""

    pair: Pair
    serial: int
    alone: bool


@dataclass(frozen=True, slots=True)
class Renew:
    """It is time for a new one."""


@dataclass(frozen=True, slots=True)
class Reread:
    """Somebody else may have stored a newer one."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing before that Unix time, and why, for a person."""

    until: float
    why: str


@dataclass(frozen=True, slots=True)
class Dead:
    """Nothing any more in this run, and why, for a person."""

    why: str


Todo = Use | Renew | Reread | Wait | Dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What is known of a token.

    Attributes:
        pair: What is held now.
        serial: Counts what was held: an answer to an older one says nothing of this one.
        renewable: Whether a renewal can be tried.
        equipped: Whether the config has the app's secret, so that a renewal can be tried as long as none is refused.
        patience_s: How long renewals may fail before the token is given up; infinite for ever.
        former: The pair before, while its access token may still do.
        proven: Whether an answer has shown that the access token works.
        gone: Why it does not.
        said: What the API said then, for a person.
        reread: Whether the store was looked at since.
        knocks: How often a token that does not work yet was tried.
        fresh: Whether the pair came since the run began.
        in_vain: Pairs in a row that came since then and never worked, before this one.
        failures: Renewals in a row that failed.
        failing_since: Unix time of the first of them.
        renew_at: Unix time before which none is tried.
        failure: What the last one failed with.
        failure_code: The API's return code then; `None` when there was no answer.
        dead: Why nothing is sent any more.
        given_up: Whether it is dead for no other reason than that renewals failed for long: the next run tries again.
    """

    pair: Pair
    serial: int = 0
    renewable: bool = False
    equipped: bool = False
    patience_s: float = inf
    former: Pair | None = None
    proven: bool = False
    gone: Gone | None = None
    said: str = ""
    reread: bool = False
    knocks: int = 0
    fresh: bool = False
    in_vain: int = 0
    failures: int = 0
    failing_since: float | None = None
    renew_at: float = -inf
    failure: str = ""
    failure_code: int | None = None
    dead: str | None = None
    given_up: bool = False


def todo(life: Life, now: float) -> Todo:
    """What may be done at Unix time `now`."""
    if life.dead:
        return Dead(life.dead)
    match life.gone:
        case None:
            return _while_it_works(life, now)
        case Gone.YOUNG:
            return _while_young(life, now)
        case _:
            return _when_gone(life, now)


def _when_gone(life: Life, now: float) -> Todo:
    if not life.reread:
        return Reread()
    if not life.renewable:
        return Dead(_cannot_go_on(life))
    if _vain(life) >= _MOST_IN_VAIN:
        return Dead(f"{life.said}, as each of {_vain(life)} new ones: authorise the app again")
    return Renew() if now >= life.renew_at else Wait(life.renew_at, f"its renewal failed: {life.failure}")


def _while_it_works(life: Life, now: float) -> Todo:
    pair = life.pair
    if life.renewable and is_due(pair, now) and _vain(life) < _MOST_IN_VAIN:
        if now >= life.renew_at:
            return Renew()
        if pair.access_until is not None and now >= pair.access_until:
            return Wait(life.renew_at, f"its renewal failed: {life.failure}")
    return Use(pair, life.serial, alone=not life.proven)


def _while_young(life: Life, now: float) -> Todo:
    since = min(life.pair.since or 0.0, now)  # a clock may have been set back
    knock_at = since + _KNOCKS_S[min(life.knocks, len(_KNOCKS_S)) - 1]
    former = life.former
    if former and (former.access_until is None or now < former.access_until):
        if now < since + _KNOCKS_S[-1]:
            return Use(former, life.serial - 1, alone=False)
        knock_at = since + _KNOCKS_S[-1]
    if now < knock_at:
        return Wait(knock_at, "its new access token does not work yet; a private app's does after 10 minutes")
    return Use(life.pair, life.serial, alone=True)


def is_due(pair: Pair, now: float) -> bool:
    """Whether a pair should be renewed by now: its access token ends soon, or its refresh token does."""
    return _ends(pair.access_until, pair.since, now, (_EARLY_S, 10)) or _ends(
        pair.refresh_until, pair.since, now, (_REFRESH_EARLY_S, 4)
    )


def _ends(until: float | None, since: float | None, now: float, early: tuple[float, int]) -> bool:
    if until is None:
        return False
    margin_s, share = early
    return now >= until - min(margin_s, (until - since) / share if since is not None else margin_s)


def worked(life: Life, serial: int) -> Life:
    """An answer has shown that the access token is good."""
    if serial != life.serial or (life.proven and life.gone is None) or life.gone in {Gone.EXPIRED, Gone.INVALID}:
        return life  # or a late answer to a token that died since
    return replace(life, proven=True, gone=None, said="", former=None, in_vain=0, knocks=0)


def expired(life: Life, serial: int, said: str) -> Life:
    """The API says that the access token has expired."""
    return _refused(life, serial, Gone.EXPIRED, said)


def invalid(life: Life, serial: int, said: str, now: float) -> Life:
    """The API says that the access token is invalid, at Unix time `now`."""
    pair = life.pair
    is_new = pair.since is not None and now < pair.since + _KNOCKS_S[-1]
    young = serial == life.serial and not life.proven and is_new
    if young and life.gone not in {Gone.EXPIRED, Gone.INVALID}:
        return replace(life, gone=Gone.YOUNG, said=said, knocks=life.knocks + 1)
    return _refused(life, serial, Gone.INVALID, said)


def _refused(life: Life, serial: int, gone: Gone, said: str) -> Life:
    if serial == life.serial - 1 and life.former:
        return replace(life, former=None)
    if serial != life.serial or life.gone in {Gone.EXPIRED, Gone.INVALID}:
        return life
    return replace(life, gone=gone, said=said, reread=False)


def _vain(life: Life) -> int:
    """Pairs in a row that came since the run began and have not worked."""
    return life.in_vain + (life.fresh and not life.proven)


def stopped(life: Life, serial: int, why: str) -> Life:
    """The API says that a person has to do something first."""
    if serial == life.serial - 1 and life.former:
        return replace(life, former=None)
    return life if serial != life.serial or life.dead else replace(life, dead=why)


def adopted(life: Life, pair: Pair, former: Pair | None, serial: int) -> Life:
    """There is a newer pair: renewed by this process, or found in the store."""
    if former and life.gone in {Gone.EXPIRED, Gone.INVALID} and former.access == life.pair.access:
        former = None  # whoever stored it did not know
    return replace(
        life, pair=pair, former=former, serial=serial, proven=False, gone=None, said="", reread=False, knocks=0,
        failures=0, failing_since=None, renew_at=-inf, failure="",
        failure_code=None, fresh=True, in_vain=_vain(life),
        renewable=life.equipped and pair.refresh is not None,
    )  # fmt: skip


def looked(life: Life) -> Life:
    """The store holds nothing newer."""
    return replace(life, reread=True)


def not_renewed(life: Life, why: str, now: float, code: int | None = None) -> Life:
    """A renewal failed at Unix time `now`, perhaps with a return code, and may be tried again."""
    failures, since = life.failures + 1, life.failing_since if life.failing_since is not None else now
    wait_s = min(_MAX_BACKOFF_S, 2.0 ** min(failures, 10))
    failed = replace(life, failures=failures, failing_since=since, renew_at=now + wait_s)
    failed = replace(failed, failure=why, failure_code=code)
    if is_useless(life, now) and now - since >= life.patience_s:
        long = lasting(now - since)
        text = f"it could not be renewed for {long}: {why}; the next run tries again"
        return replace(failed, dead=text, given_up=True)
    return failed


def is_useless(life: Life, now: float) -> bool:
    """Whether the access token is known not to work at Unix time `now`."""
    return life.gone is not None or (life.pair.access_until is not None and now >= life.pair.access_until)


def not_renewable(life: Life, why: str, code: int | None = None) -> Life:
    """Renewals are refused for good, perhaps with a return code; the access token is used until it dies."""
    return replace(life, renewable=False, failure=why, failure_code=code)


def not_stored(life: Life, why: str, now: float) -> Life:
    """The store cannot be used at Unix time `now`: a token that works does so until it dies; another one is dead."""
    if is_useless(life, now):
        return replace(life, dead=f"{life.said or 'its access token has expired'}; it cannot be renewed: {why}")
    return not_renewed(life, why, now)


def _cannot_go_on(life: Life) -> str:
    if life.failure:
        return (
            f"{life.said}, and its renewal was refused: {life.failure}; look whether the app's client_id and "
            "client_secret are right; if they are, authorise the app again, and put the new access_token and "
            "refresh_token into the config"
        )
    young = "" if life.gone is Gone.EXPIRED else " (a private app's new one works after 10 minutes)"
    return (
        f"{life.said}; put a working access_token into the config{young}, or give it a refresh_token, and its app a "
        "client_secret: then it is renewed by itself"
    )


def renewed_by(how: Renewal, life: Life, now: float) -> Pair | None:
    """The pair that may still do after a renewal: an extension may leave the old access token alive (unknown)."""
    alive = life.gone is None and (life.pair.access_until is None or now < life.pair.access_until)
    return life.pair if how is Renewal.EXTEND and alive else None

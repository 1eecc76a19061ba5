"""Tokens: how long they live, who renews them, and what a request under each of them showed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from harvester.errors import ExitCode
from harvester.health.values import Area, Check, failure, note, ok, warning
from harvester.model import BEIJING, AccountId

DAY_S: Final = 86_400.0
REFRESH_WARNS_S: Final = 7 * DAY_S
ACCESS_WARNS_S: Final = 6 * 3600.0
"""An access token that nothing renews should outlast a long night."""
NO_SCOPE: Final = frozenset({11014, 60001, 60081})
"""Return codes that say that the authorisation does not cover calls (documented)."""
WRONG_CLIENT: Final = frozenset({11007})
"""Return codes that speak against the app's id or secret, not the token (documented for the id)."""
RENEWABLE: Final = frozenset({11000, 11002})
"""Return codes after which a token is renewed, if it can be (documented)."""
WRONG_VIA: Final = frozenset({71003, 71004})
"""Return codes of a list that say that the token's authoriser is none whose accounts this endpoint lists."""
AUTHORISE: Final = "authorise the app again, and put the new access_token and refresh_token into the config"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """What is known of a token without asking anybody.

    Attributes:
        name: Of its table.
        app: Whose it is.
        stored: Whether what counts is what harvester got by a renewal, not what stands in the config.
        access_until: Unix time at which the access token expires; `None` when nobody knows.
        refresh_until: The same of its refresh token.
        has_refresh: Whether there is a refresh token.
        has_secret: Whether its app has a client_secret.
        scopes: What was granted; empty when that is not known.
        failure: What its last renewal failed with; empty when it did not.
        failure_code: The API's return code then; `None` when there was no answer.
        refused: Whether it was refused for good, rather than not answered.
        tried: Whether a request was sent under it just now.
        dead: Why nothing is sent under it any more; `None` while it lives.
    """

    name: str
    app: str
    stored: bool = False
    access_until: float | None = None
    refresh_until: float | None = None
    has_refresh: bool = False
    has_secret: bool = False
    scopes: Sequence[str] = ()
    failure: str = ""
    failure_code: int | None = None
    refused: bool = False
    tried: bool = True
    dead: str | None = None

    @property
    def renewable(self) -> bool:
        """Whether there is all that a renewal takes."""
        return self.has_refresh and self.has_secret


def life(facts: TokenFacts, now: float) -> list[Check]:
    """How long a token lives, and what happens then."""
    source = "renewed by harvester" if facts.stored else "the config's"
    token = f"token {facts.name}, {source}"
    checks = _renewed(token, facts, now) if facts.renewable else [_not_renewed(token, facts, now)]
    if facts.scopes:
        checks.append(ok(Area.TOKENS, f"token {facts.name}: granted {', '.join(facts.scopes)}"))
    return checks


def _renewed(token: str, facts: TokenFacts, now: float) -> list[Check]:
    if facts.failure and not facts.dead:
        what = f"{token}: its renewal failed: {facts.failure}"
        later = "a run tries again, and it may be the API's trouble: run doctor again later"
        return [warning(Area.TOKENS, what, _mend(facts.failure_code) if facts.refused else later)]
    what = f"{token}: access {_left(facts.access_until, now)}, then renewed by itself; "
    if facts.refresh_until is None:
        what += "how long its refresh token lives is known after the first renewal"
    else:
        what += f"refresh token {_left(facts.refresh_until, now)}"
        if facts.refresh_until <= now:
            return [failure(Area.TOKENS, what, AUTHORISE)]
        if facts.refresh_until - now <= REFRESH_WARNS_S:
            return [warning(Area.TOKENS, what, f"before {at(facts.refresh_until)} {AUTHORISE}")]
    if not facts.tried and (facts.access_until is None or facts.access_until <= now):
        advice = "run doctor when it may ask the API: it tries the token, and renews it if that is due"
        return [note(Area.TOKENS, f"{what}; not tried", advice)]
    return [ok(Area.TOKENS, what)]


def _not_renewed(token: str, facts: TokenFacts, now: float) -> Check:
    what = f"{token}: access {_left(facts.access_until, now)}, and nothing renews it"
    if facts.has_refresh:
        mend = f"[apps.{facts.app}] has no client_secret: with it the refresh_token renews it by itself"
    elif facts.has_secret:
        mend = f"put its refresh_token into [tokens.{facts.name}]: then it is renewed by itself"
    else:
        mend = (
            f"put its refresh_token into [tokens.{facts.name}] and the client_secret into [apps.{facts.app}]: then it "
            "is renewed by itself"
        )
    if facts.access_until is None:
        advice = f"it lives 24 hours from when it was given: put in a fresh one each night; or {mend}"
        return note(Area.TOKENS, what, advice)
    if facts.access_until <= now:
        return failure(Area.TOKENS, what, f"put a working access_token into [tokens.{facts.name}]; {mend}")
    if facts.access_until - now < ACCESS_WARNS_S:
        advice = f"put a fresh access_token into [tokens.{facts.name}] before a run; or {mend}"
        return warning(Area.TOKENS, what, advice)
    return note(Area.TOKENS, what, mend)


def _left(until: float | None, now: float) -> str:
    if until is None:
        return "until nobody knows when"
    left_s = until - now
    if left_s <= 0:
        return f"expired at {at(until)}"
    days, hours = left_s / DAY_S, left_s / 3600
    left = f"{days:.0f} days" if days >= 3 else f"{hours:.0f} h" if hours >= 2 else f"{left_s / 60:.0f} min"
    return f"until {at(until)} ({left})"


def at(moment: float) -> str:
    """A moment in Unix seconds for a person, Beijing time."""
    return f"{datetime.fromtimestamp(moment, BEIJING):%F %H:%M}"


class Came(Enum):
    """What came of asking under a token."""

    CALLS = "an answer"
    REFUSED = "its accounts are refused, the token is not"
    DEAD = "the token does not work"
    BUSY = "it has to be renewed, and the API had no answer to that, or was too busy"
    SPENT = "nothing may be sent any more"
    NOTHING = "no answer"
    ODD = "the request is refused for no reason of the token's"
    WAITS = "there was no time to wait for leave to ask"
    NOT_ASKED = "nobody was asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request under a token.

    Attributes:
        token: Its name.
        came: What came of it.
        account: For whose calls it asked; `None` when it was not asked.
        calls: How many calls of yesterday the API counts; `None` when it did not say.
        said: What the API said, or what happened; empty for an answer.
        code: The last return code, when it was a refusal.
        status: The last HTTP status; `None` when there was no answer.
        renewed: Whether the token was renewed for it.
        table: The table whose accounts it asked for, before any was known; empty when it asked for calls.
        lacks_secret: Whether the token has a refresh token, and its app no client_secret.
    """

    token: str
    came: Came
    account: AccountId | None = None
    calls: int | None = None
    said: str = ""
    code: int | None = None
    status: int | None = None
    renewed: bool = False
    table: str = ""
    lacks_secret: bool = False


def probed(probe: Probe) -> list[Check]:
    """What a request under a token showed; of an API that gives no answer at all, nothing is said of the token."""
    token, checks = f"token {probe.token}", []
    if probe.renewed:
        checks.append(ok(Area.TOKENS, f"{token}: was renewed just now"))
    match probe.came:
        case Came.CALLS:
            calls = "" if probe.calls is None else f", {probe.calls:,} calls yesterday"
            checks.append(ok(Area.TOKENS, f"{token} works: account {probe.account} answers{calls}"))
        case Came.REFUSED:
            checks.append(_refused(probe))
        case Came.DEAD:
            checks.append(failure(Area.TOKENS, f"{token} does not work: {_said(probe)}", _revive(probe)))
        case Came.SPENT:
            advice = "wait until the quota's next day, or raise what the config allows; then run doctor again"
            checks.append(failure(Area.QUOTA, f"{token} was not asked: {probe.said}", advice, ExitCode.BUDGET))
        case Came.BUSY:
            what = f"{token} has to be renewed, and could not be: {_said(probe)}"
            checks.append(failure(Area.API, what, "run doctor again later: it may pass by itself", ExitCode.BUDGET))
        case Came.ODD:
            checks.append(_odd(probe))
        case Came.WAITS:
            checks.append(warning(Area.TOKENS, f"{token} was not asked: {probe.said}", "run doctor again later"))
        case Came.NOTHING | Came.NOT_ASKED:
            pass
    return checks


def _said(probe: Probe) -> str:
    return probe.said.removeprefix(f"token {probe.token}: ")


def _refused(probe: Probe) -> Check:
    token = f"token {probe.token}"
    if probe.table:
        return failure(Area.ACCOUNTS, f"{token} works, but may not list {probe.table}: {probe.said}", _via(probe))
    what = f"{token} works, but account {probe.account} is refused: {probe.said}"
    return warning(Area.ACCOUNTS, what, "let the account's owner authorise the app, or take it out (enabled = false)")


def _odd(probe: Probe) -> Check:
    token = f"token {probe.token}"
    if probe.table and probe.code in WRONG_VIA:
        return failure(Area.ACCOUNTS, f"{token} cannot list {probe.table}: {_said(probe)}", _via(probe))
    advice = "report it with this text: the request is one that the API's documents allow"
    return failure(Area.API, f"{token}: {probe.said}", advice)


def _via(probe: Probe) -> str:
    return f"change `via` of [{probe.table}], or its agency_id: they do not fit whoever authorised the token"


def _revive(probe: Probe) -> str:
    if probe.lacks_secret and probe.code in RENEWABLE:
        return (
            f"give the app of [tokens.{probe.token}] its client_secret: with that its refresh_token renews it by itself"
        )
    return _mend(probe.code)


def _mend(code: int | None) -> str:
    """What a person can do about a token that is refused, or is not renewed, for good."""
    if code in NO_SCOPE:
        return (
            "get the permission for leads_call_records/get granted to the app in the developer's console; then "
            f"{AUTHORISE}: tokens given before do not have it"
        )
    if code in WRONG_CLIENT:
        return "look at the client_id and client_secret of its app in the developer's console"
    return AUTHORISE


def silent(probes: Sequence[Probe], base_url: str) -> list[Check]:
    """What to look at when nobody answers."""
    quiet = [probe for probe in probes if probe.came is Came.NOTHING]
    if not quiet:
        return []
    first = quiet[0]
    return [failure(Area.API, f"{base_url} gives no usable answer: {first.said}", _reach(first), ExitCode.BUDGET)]


def _reach(probe: Probe) -> str:
    if probe.status in {401, 403, 407}:
        return "somebody between here and the API bars this machine's address: ask whoever runs the network, or Tencent"
    if probe.status is not None:
        return "look whether [api] base_url is the API's; if it is, it is down: try again later"
    if "TLS" in probe.said:
        return "look at [api] base_url, this machine's certificates (ca-certificates) and its clock"
    if "resolved" in probe.said:
        return "look at the host's name in [api] base_url, and at this machine's DNS"
    return (
        "look at [api] base_url, and whether this machine reaches it without a proxy (firewall, routing): proxies from "
        "the environment are not used"
    )


def none_works(probes: Sequence[Probe]) -> list[Check]:
    """Whether any token works at all; those that were not asked count for nothing."""
    asked = [probe for probe in probes if probe.came is not Came.NOT_ASKED]
    if not asked or any(probe.came is not Came.DEAD for probe in asked):
        return []
    return [failure(Area.TOKENS, "no token works", "mend the tokens above: a run can read nothing", ExitCode.NO_TOKEN)]

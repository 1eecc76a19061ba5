"""Which tokens are alive: what was granted, extended, rotated and revoked. Its clock is an argument."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from harvester.sandbox.grants import Grant
from harvester.sandbox.switches import FormerToken, Switches
from harvester.sandbox.wire import Rejected
from harvester.sandbox.world import chance


class Renewal(StrEnum):
    """The two documented ways to a new access token."""

    EXTEND = "extend"
    ROTATE = "rotate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who wants a new access token.

    Attributes:
        client_id: The app.
        client_secret: Its secret.
        refresh: The refresh token.
    """

    client_id: str
    client_secret: str
    refresh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What the client of a grant should hold; all times in Unix seconds.

    Attributes:
        access: The newest access token.
        access_from_s: From when on it works.
        access_until_s: Until when; infinite for one that never ends.
        refresh: The refresh token; `None`: there is none.
        refresh_until_s: Until when it works.
    """

    access: str
    access_from_s: float
    access_until_s: float
    refresh: str | None
    refresh_until_s: float


@dataclass(slots=True)
class _Held:
    """A grant, its live pair, and every access token that it ever had."""

    grant: Grant
    pair: Pair
    renewals: int = 0
    accesses: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Access:
    held: _Held
    from_s: float
    until_s: float
    ended: bool = False


class Authority:
    """Gives tokens and says which are alive; memory grows with the renewals.

    Args:
        switches: The grants, and what is unknown about renewals.
        began_s: When the sandbox began to serve, in Unix seconds: the first refresh tokens' lives start then.
    """

    __slots__ = ("_accesses", "_held", "_refreshes", "_secrets", "_switches")

    def __init__(self, switches: Switches, began_s: float = 0.0) -> None:
        self._switches = switches
        self._secrets = {grant.client_id: grant.client_secret for grant in switches.grants}
        self._held: dict[str, _Held] = {}
        self._accesses: dict[str, _Access] = {}
        self._refreshes: dict[str, _Held] = {}
        for grant in switches.grants:
            until_s = math.inf if grant.expires_at is None else grant.expires_at
            pair = Pair(
                access=grant.access,
                access_from_s=-math.inf,
                access_until_s=until_s,
                refresh=grant.refresh,
                refresh_until_s=began_s + grant.refresh_life_s,
            )
            held = self._held[grant.called] = _Held(grant, pair)
            self._keep(held, pair)

    def owner(self, access: str) -> Grant | None:
        """Whose access token this is or was; `None`: nobody's."""
        known = self._accesses.get(access)
        return known.held.grant if known else None

    def vouch(self, access: str, now_s: float) -> None:
        """The access token, which is somebody's, is alive.

        Raises:
            Rejected: 11000 it came to its end, 11002 it does not work yet, or `dead_access_code`: it was ended.
        """
        known = self._accesses[access]
        if known.ended:
            raise Rejected(self._switches.dead_access_code)
        if now_s >= known.until_s:
            raise Rejected(11000)
        if now_s < known.from_s:
            raise Rejected(11002)

    def dead(self, access: str, now_s: float) -> bool:
        """Whether this was somebody's access token, and is no longer."""
        known = self._accesses.get(access)
        return known is not None and (known.ended or now_s >= known.until_s)

    def pair(self, name: str | None = None) -> Pair:
        """What the client of a grant should hold now.

        Args:
            name: The grant's; `None`: the first one's.

        Raises:
            KeyError: There is no such grant.
        """
        return self._held[next(iter(self._held)) if name is None else name].pair

    def grant(self, claim: Claim, now_s: float) -> Grant:
        """The grant that the claim may renew.

        Raises:
            Rejected: 11007 no such app, or the codes of `Switches` for a wrong secret and an unusable refresh token.
        """
        return self._claimed(claim, now_s).grant

    def renew(self, how: Renewal, claim: Claim, now_s: float) -> Pair:
        """The new pair; as long as `new_token_after_s` says, its access token does not work.

        Raises:
            Rejected: As `grant`; then nothing changes.
        """
        held = self._claimed(claim, now_s)
        grant, before = held.grant, held.pair
        held.renewals += 1
        if how is Renewal.ROTATE:
            self._end(held)
            del self._refreshes[claim.refresh]
        elif self._switches.former_token is FormerToken.DIES:
            self._end(held)
        held.pair = Pair(
            access=self._token(held, "access"),
            access_from_s=now_s + self._switches.new_token_after_s,
            access_until_s=now_s + grant.access_life_s,
            refresh=self._token(held, "refresh") if how is Renewal.ROTATE else before.refresh,
            refresh_until_s=now_s + grant.refresh_life_s,
        )
        self._keep(held, held.pair)
        return held.pair

    def revoke(self, token: str) -> None:
        """End an access or a refresh token, as its owner can; nothing happens to a token that is nobody's."""
        if token in self._accesses:
            self._accesses[token].ended = True
        self._refreshes.pop(token, None)

    def _claimed(self, claim: Claim, now_s: float) -> _Held:
        secret = self._secrets.get(claim.client_id)
        if secret is None:
            raise Rejected(11007)
        if claim.client_secret != secret:
            raise Rejected(self._switches.wrong_secret_code)
        held = self._refreshes.get(claim.refresh)
        if held is None or held.grant.client_id != claim.client_id or now_s >= held.pair.refresh_until_s:
            raise Rejected(self._switches.dead_refresh_code)
        return held

    def _keep(self, held: _Held, pair: Pair) -> None:
        self._accesses[pair.access] = _Access(held, pair.access_from_s, pair.access_until_s)
        held.accesses.append(pair.access)
        if pair.refresh is not None:
            self._refreshes[pair.refresh] = held

    def _end(self, held: _Held) -> None:
        """No access token of this grant works any more."""
        for access in held.accesses:
            self._accesses[access].ended = True

    def _token(self, held: _Held, what: str) -> str:
        """32 characters that nothing but the seed foretells."""
        parts = (self._switches.seed, held.grant.called, what, held.renewals)
        return f"{chance(*parts, 1):016x}{chance(*parts, 2):016x}"

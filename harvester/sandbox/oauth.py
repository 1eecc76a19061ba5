"""The two endpoints that renew tokens: a query in, new tokens or the API's refusal out.

Parameters and answers are those of the official pages `oauth/token` and `oauth/refresh_token`. Of the ways to a first
token there is none here: a sandbox is born with its tokens.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from harvester.sandbox.authority import Authority, Claim, Pair, Renewal
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.envelope import good, shown
from harvester.sandbox.faults import IN_FRONT, Fault, FaultKind
from harvester.sandbox.grants import Grant, Kind
from harvester.sandbox.stats import Stats
from harvester.sandbox.switches import Switches
from harvester.sandbox.wire import Rejected, integer, required
from harvester.sandbox.world import chance

SECRET_BYTES_MAX: Final = 256
"""Of `client_secret` and `refresh_token` (documented)."""
_ROLES: Final = {Kind.ORGANIZATION: "ACCOUNT_ROLE_TYPE_ORGANIZATION_AGENCY_UNIT"}
_ROLE: Final = "ACCOUNT_ROLE_TYPE_AGENCY"


class Oauth:
    """Renews tokens.

    Args:
        authority: Knows which are alive.
        switches: What is unknown about the answers.
        stats: Where renewals are counted.
    """

    __slots__ = ("_authority", "_in_hand", "_stats", "_switches")

    def __init__(self, authority: Authority, switches: Switches, stats: Stats) -> None:
        self._authority = authority
        self._switches = switches
        self._stats = stats
        self._in_hand: Counter[str] = Counter()

    def renew(
        self, endpoint: Endpoint, given: Mapping[str, str], now_s: float, fault: Fault | None
    ) -> tuple[bytes, str]:
        """The body of a good answer, and the grant that was renewed; empty for none.

        A code is answered before anything is renewed, and what stands in front of the API lets nothing through to it;
        every other fault happens to the answer of a renewal that was done.

        Raises:
            Rejected: There is none, and nothing has changed.
        """
        how = Renewal.EXTEND if endpoint is Endpoint.EXTEND else Renewal.ROTATE
        claim = _claim(how, given)
        grant = self._authority.grant(claim, now_s)
        if fault is not None and fault.kind is FaultKind.CODE:
            raise Rejected(fault.code)
        if fault is not None and fault.kind in IN_FRONT:
            return b"", ""
        pair = self._authority.renew(how, claim, now_s)
        self._stats.renewals[grant.called, how.value] += 1
        return good(self._data(how, grant, pair), self._switches), grant.called

    @contextmanager
    def in_hand(self, given: Mapping[str, str]) -> Iterator[None]:
        """For as long as a request is being answered: another one with its refresh token is concurrent."""
        refresh = given.get("refresh_token", "")
        self._stats.concurrent_renewals += bool(refresh) and self._in_hand[refresh] > 0
        self._in_hand[refresh] += 1
        try:
            yield
        finally:
            self._in_hand[refresh] -= 1

    def _data(self, how: Renewal, grant: Grant, pair: Pair) -> dict[str, object]:
        data: dict[str, object] = {}
        extended = how is Renewal.EXTEND
        if extended and self._switches.authorizer_info:
            data["authorizer_info"] = _authorizer(grant, self._switches.seed)
        data["access_token"] = pair.access
        if not extended or self._switches.repeat_refresh:
            data["refresh_token"] = pair.refresh
        for what, life_s in (("access", grant.access_life_s), ("refresh", grant.refresh_life_s)):
            data[f"{what}_token_expires_in"] = shown(int(life_s), self._switches.lives)
        return data


def _claim(how: Renewal, given: Mapping[str, str]) -> Claim:
    """Who wants what.

    Raises:
        Rejected: 18001 a parameter is missing, 18002 the app is no integer, 18009 another way to a token is wanted,
            11011 a first token is, 18003 the secret is too long, 11010 the refresh token cannot be one.
    """
    client_id, secret = integer(given, "client_id"), required(given, "client_secret")
    if how is Renewal.EXTEND and (kind := required(given, "grant_type")) != "refresh_token":
        raise Rejected(11011) if kind == "authorization_code" else Rejected(18009, "grant_type", "refresh_token")
    refresh = required(given, "refresh_token")
    if len(secret.encode()) > SECRET_BYTES_MAX:
        raise Rejected(18003, "client_secret", f"{SECRET_BYTES_MAX} bytes")
    if not 0 < len(refresh.encode()) <= SECRET_BYTES_MAX:
        raise Rejected(11010)
    return Claim(client_id=str(client_id), client_secret=secret, refresh=refresh)


def _authorizer(grant: Grant, seed: int) -> dict[str, object]:
    """Who granted it."""
    luck = chance(seed, "authorizer", grant.called)
    return {
        "account_uin": 2_000_000_000 + luck % 1_000_000_000,
        "account_id": 10_000_000 + (luck >> 32) % 10_000_000,
        "scope_list": list(grant.scopes),
        "wechat_account_id": "",
        "account_role_type": _ROLES.get(grant.kind, _ROLE),
        "account_type": "ACCOUNT_TYPE_AGENCY",
        "role_type": "ROLE_TYPE_AGENCY_ADMIN",
    }

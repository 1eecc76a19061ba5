"""What stands before the data: tokens, quotas, timestamps, nonces. Its clock is an argument."""

from collections import deque
from dataclasses import replace
from typing import Final

from harvester.sandbox.authority import Authority
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.grants import Grant
from harvester.sandbox.quota import Quota
from harvester.sandbox.stats import Stats
from harvester.sandbox.switches import Switches
from harvester.sandbox.wire import Credentials, Rejected

TIMESTAMP_TOLERANCE_S: Final = 300
"""Documented."""
_NONCE_MEMORY_S: Final = 2 * TIMESTAMP_TOLERANCE_S + 1
"""A timestamp may lie 300 s ahead: 600 s later its request can no longer be repeated unnoticed."""


class Gate:
    """Lets a request through to the data, or not, in this order: token, scope, quota, timestamp, nonce.

    Args:
        switches: The quotas.
        began_s: When the sandbox began to serve, in Unix seconds.
        authority: Knows which tokens are alive; `None`: one of its own.
    """

    __slots__ = ("_ages", "_authority", "_narrow", "_nonces", "_quotas")

    def __init__(self, switches: Switches, began_s: float = 0.0, authority: Authority | None = None) -> None:
        self._authority = authority or Authority(switches, began_s)
        self._narrow = {grant.called for grant in switches.grants if not grant.may_read}
        alone = replace(switches, neighbour_per_minute=0)
        self._quotas = {
            (grant.client_id, endpoint): Quota(switches if endpoint is Endpoint.CALLS else alone, began_s)
            for grant in switches.grants
            for endpoint in Endpoint
            if not endpoint.renews
        }
        self._nonces: set[tuple[str, str]] = set()
        self._ages: deque[tuple[float, tuple[str, str]]] = deque()

    def remaining(self, access: str, now_s: float, endpoint: Endpoint = Endpoint.CALLS) -> str:
        """`X-RateLimit-Remaining` for the app of this token; of nobody's token nothing is used."""
        grant = self._authority.owner(access)
        return self._quotas[grant.client_id, endpoint].remaining(now_s) if grant else "100%,100%"

    def admit(self, who: Credentials, now_s: float, stats: Stats, endpoint: Endpoint = Endpoint.CALLS) -> Grant:
        """The grant under which this request may go on; a nonce counts as used even when it may not.

        Raises:
            Rejected: 11002 no such token, 11000 expired, 11014 out of scope, 12100 nonce used, 12101 timestamp off,
                1101x quota.
        """
        grant = self._authority.owner(who.access)
        if grant is None:
            stats.bad_token += 1
            raise Rejected(11002)
        quota = self._quotas[grant.client_id, endpoint]
        if endpoint is Endpoint.CALLS:
            stats.arrived(grant.client_id, now_s)
            stats.barred += quota.barred(now_s)
        repeated = self._repeats(who, now_s)
        stats.repeated_nonces += repeated
        try:
            self._authority.vouch(who.access, now_s)
        except Rejected:
            stats.bad_token += 1
            if self._authority.dead(who.access, now_s):
                stats.dead_token[grant.called] += 1
            raise
        if self._narrow and grant.called in self._narrow:
            raise Rejected(11014)
        quota.take(now_s)
        if abs(now_s - who.timestamp) > TIMESTAMP_TOLERANCE_S:
            raise Rejected(12101)
        if repeated:
            raise Rejected(12100)
        return grant

    def _repeats(self, who: Credentials, now_s: float) -> bool:
        """Whether the nonce was used; remembers it, and forgets those too old to matter."""
        while self._ages and self._ages[0][0] <= now_s - _NONCE_MEMORY_S:
            self._nonces.remove(self._ages.popleft()[1])
        key = (who.access, who.nonce)
        if key in self._nonces:
            return True
        self._nonces.add(key)
        self._ages.append((now_s, key))
        return False

"""What the server saw."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from harvester.model import AccountId
from harvester.sandbox.endpoints import Endpoint

ARRIVALS_KEPT: Final = 1_000_000
"""Of each app; 32 bytes each."""

_DIGITS_OF_AN_ID: Final = 20
_LENGTHS_S: Final = {"second": 1.0, "minute": 60.0, "day": 86_400.0}


@dataclass(slots=True)
class Stats:
    """What the server saw; a resend that its client did not notice is in here all the same.

    `requests`, `codes`, `barred`, `arrivals` and those in flight are of the calls' endpoint alone.

    Attributes:
        requests: How many arrived.
        codes: How many were judged with which return code; 0: a page.
        faults: How many met which fault; those of requests for tokens and lists begin with `token ` and `list `.
        calls: How many calls were on the pages.
        by_account: How many requests were about which account, refused ones included.
        repeated_nonces: Requests whose nonce their token had used before.
        bad_token: Requests for calls or accounts under a token that did not work: nobody's, ended, or not yet good.
        dead_token: Those of them whose token had worked before, by grant.
        list_requests: Requests for lists of accounts, by endpoint.
        list_codes: How many of them were judged with which code; 0: a list.
        token_requests: Requests for tokens.
        renewals: New access tokens, by grant and by `extend` or `rotate`, those that never reached their client too.
        refused_renewals: Requests for tokens that brought none, by code.
        concurrent_renewals: Those that came while another one with the same refresh token was being answered.
        barred: Requests that came while their app was barred by an earlier 11017.
        elsewhere: Requests for a path or by a method that there is not; they are in no other number here.
        in_flight: Being answered now.
        most_in_flight: The most there ever were.
        arrivals: By `client_id`, when its last 1,000,000 requests came, in Unix seconds of the sandbox's clock.
    """

    requests: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    by_account: Counter[AccountId] = field(default_factory=Counter)
    repeated_nonces: int = 0
    bad_token: int = 0
    dead_token: Counter[str] = field(default_factory=Counter)
    list_requests: Counter[str] = field(default_factory=Counter)
    list_codes: Counter[int] = field(default_factory=Counter)
    token_requests: int = 0
    renewals: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused_renewals: Counter[int] = field(default_factory=Counter)
    concurrent_renewals: int = 0
    barred: int = 0
    elsewhere: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    arrivals: dict[str, deque[float]] = field(default_factory=dict)

    def count(self, endpoint: Endpoint) -> int:
        """A request for tokens or accounts arrives; its number, from 1."""
        if endpoint.renews:
            self.token_requests += 1
            return self.token_requests
        self.list_requests[endpoint.noun] += 1
        return self.list_requests.total()

    def about(self, account_id: str) -> None:
        """A request for calls was about this account, as the parameter has it; what cannot be one is not counted."""
        if account_id.isdecimal() and len(account_id) < _DIGITS_OF_AN_ID:
            self.by_account[AccountId(int(account_id))] += 1

    def judged(self, endpoint: Endpoint, code: int) -> None:
        """A request got this code; 0: what it asked for."""
        if endpoint is Endpoint.CALLS:
            self.codes[code] += 1
        elif not endpoint.renews:
            self.list_codes[code] += 1
        elif code:
            self.refused_renewals[code] += 1

    def enter(self) -> int:
        """A request for calls arrives; its number, from 1."""
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return self.requests

    def leave(self) -> None:
        """Its answer was given, or its client is gone."""
        self.in_flight -= 1

    def arrived(self, client_id: str, now_s: float) -> None:
        """It came for this app."""
        self.arrivals.setdefault(client_id, deque(maxlen=ARRIVALS_KEPT)).append(now_s)

    def summary(self) -> dict[str, object]:
        """For JSON; of the arrivals only their busiest second, minute and 24 hours."""
        return {
            "requests": self.requests,
            "codes": _by_code(self.codes),
            "faults": dict(self.faults),
            "calls": self.calls,
            "by_account": {str(account_id): count for account_id, count in sorted(self.by_account.items())},
            "bad_token": self.bad_token,
            "dead_token": dict(self.dead_token),
            "list_requests": dict(self.list_requests),
            "list_codes": _by_code(self.list_codes),
            "token_requests": self.token_requests,
            "renewals": [
                {"grant": grant, "how": how, "count": count} for (grant, how), count in sorted(self.renewals.items())
            ],
            "refused_renewals": _by_code(self.refused_renewals),
            "concurrent_renewals": self.concurrent_renewals,
            "repeated_nonces": self.repeated_nonces,
            "barred": self.barred,
            "elsewhere": self.elsewhere,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "busiest": {
                app: {name: busiest(times, length_s) for name, length_s in _LENGTHS_S.items()}
                for app, times in self.arrivals.items()
            },
        }


def _by_code(codes: Counter[int]) -> dict[str, int]:
    return {str(code): count for code, count in sorted(codes.items())}


def busiest(times: Iterable[float], length_s: float) -> int:
    """The most arrivals in any window of so many seconds, its start included, its end not.

    Args:
        times: Ascending; all that count: of an app with more than `ARRIVALS_KEPT` requests only those are known.
        length_s: 60 for the quota of a minute, 86,400 for that of any 24 hours.
    """
    window: deque[float] = deque()
    most = 0
    for time_s in times:
        window.append(time_s)
        while window[0] <= time_s - length_s:
            window.popleft()
        most = max(most, len(window))
    return most

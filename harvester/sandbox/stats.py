"""What the server saw."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

ARRIVALS_KEPT: Final = 1_000_000
"""Of each app; 32 bytes each."""

_LENGTHS_S: Final = {"second": 1.0, "minute": 60.0, "day": 86_400.0}


@dataclass(slots=True)
class Stats:
    """What the server saw of the endpoint; a resend that its client did not notice is in here all the same.

    Attributes:
        requests: How many arrived.
        codes: How many were judged with which return code; 0: a page.
        faults: How many met which fault.
        calls: How many calls were on the pages.
        repeated_nonces: Requests whose nonce their token had used before.
        barred: Requests that came while their app was barred by an earlier 11017.
        elsewhere: Requests for another path or by another method; they are in no other number here.
        in_flight: Being answered now.
        most_in_flight: The most there ever were.
        arrivals: By `client_id`, when its last 1,000,000 requests came, in Unix seconds of the sandbox's clock.
    """

    requests: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    repeated_nonces: int = 0
    barred: int = 0
    elsewhere: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    arrivals: dict[str, deque[float]] = field(default_factory=dict)

    def enter(self) -> int:
        """A request arrives; its number, from 1."""
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
            "codes": {str(code): count for code, count in sorted(self.codes.items())},
            "faults": dict(self.faults),
            "calls": self.calls,
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

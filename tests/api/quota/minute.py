"""A server's minute, its neighbour and an app that sends, without a loop: what the figures are tested against."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, takewhile
from math import ceil

from harvester.api.quota import Figure, Permit
from harvester.api.quota.own import Own
from harvester.api.quota.steering import Steering

MINUTE_S = 60.0


@dataclass(kw_only=True)
class Minute:
    """Counts requests as the API may: those of the last 60 seconds, or of a minute of its own clock.

    Attributes:
        quota: Requests a minute; beyond that they are refused, and count as nothing.
        fixed: Whether it is a minute of its own clock.
        begins: When that minute begins.
    """

    quota: int
    fixed: bool = False
    begins: float = 0.0
    _times: list[float] = field(default_factory=list)

    def used(self, at: float) -> int:
        """Requests that count."""
        since = at - (at - self.begins) % MINUTE_S if self.fixed else at - MINUTE_S
        first = bisect_left(self._times, since) if self.fixed else bisect_right(self._times, since)
        return bisect_right(self._times, at) - first

    def take(self, at: float) -> bool:
        """Counts a request, if it is not refused."""
        if self.used(at) >= self.quota:
            return False
        insort(self._times, at)
        return True

    def figure(self, at: float) -> Figure:
        """Whole percents that are left, rounded down."""
        return Figure(100, 100 * (self.quota - self.used(at)) // self.quota)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known after an answer.

    Attributes:
        at: Loop time.
        shown: The quota, as the figures have shown it.
        others: The share that others use.
    """

    at: float
    shown: int
    others: float


@dataclass(kw_only=True)
class Scene:
    """An app that sends under a quota, and a neighbour that does.

    Attributes:
        minute: The server's.
        steering: What the app makes of the figures.
        neighbour: When the neighbour sends, ascending.
        up_s: How long a request is on its way, by its number.
        down_s: How long an answer is.
        is_lost: Whether there is no usable answer to a request that was counted, by its number.
        lie: What the answer says instead, by loop time.
    """

    minute: Minute
    steering: Steering
    neighbour: Iterable[float] = ()
    up_s: Callable[[int], float] = lambda _: 0.1
    down_s: Callable[[int], float] = lambda _: 0.2
    is_lost: Callable[[int], bool] = lambda _: False
    lie: Callable[[float], Figure] | None = None
    seen: list[Seen] = field(default_factory=list)
    own: Own = field(default_factory=Own)

    def send(self, times: Iterable[float], until: float = float("inf")) -> "Scene":
        """The app sends at these times."""
        self._play(list(takewhile(lambda at: at < until, times)), until)
        return self

    def obey(self, start: float, until: float) -> "Scene":
        """The app sends as fast as its steering says, one request a second while that knows no quota."""
        self._play([start], until, obeys=True)
        return self

    def _play(self, own: Sequence[float], until: float, *, obeys: bool = False) -> None:
        numbers = count()
        agenda: list[tuple[float, int, Callable[[float], None]]] = []

        def at(moment: float, what: Callable[[float], None]) -> None:
            heappush(agenda, (moment, next(numbers), what))

        def send(now: float) -> None:
            number = self.own.sent
            self.own.send(now)
            permit = Permit(now, self.own.counted, self.own.lost)
            at(now + self.up_s(number), lambda later: arrive(later, number, permit))
            if obeys and (after := now + MINUTE_S / (self.steering.pace(self.own, now, 0) or MINUTE_S)) < until:
                at(after, send)

        def arrive(now: float, number: int, permit: Permit) -> None:
            answer = self._answer if self.minute.take(now) and not self.is_lost(number) else self._lose
            at(now + self.down_s(number), lambda later: answer(later, permit))

        for moment in own:
            at(moment, send)
        for moment in takewhile(lambda moment: moment < until, self.neighbour):
            at(moment, self._let_in)
        while agenda:
            now, _, what = heappop(agenda)
            what(now)

    def _let_in(self, now: float) -> None:
        self.minute.take(now)

    def _lose(self, _: float, __: Permit) -> None:
        self.own.lost += 1

    def _answer(self, now: float, permit: Permit) -> None:
        self.own.counted += 1
        self.steering.observe(self.lie(now) if self.lie else self.minute.figure(now), self.own, permit, now)
        self.seen.append(Seen(now, self.steering.shown, self.steering.others))

    def others_between(self, start: float, end: float) -> list[float]:
        """What was thought of others in a time."""
        return [one.others for one in self.seen if start <= one.at < end]

    def sent_between(self, start: float, end: float) -> int:
        """Requests that were answered in a time."""
        return sum(start <= one.at < end for one in self.seen)


def evenly(per_minute: float, start: float, end: float) -> list[float]:
    """So many requests a minute, evenly spread."""
    return [start + number * MINUTE_S / per_minute for number in range(ceil((end - start) * per_minute / MINUTE_S))]

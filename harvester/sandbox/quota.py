"""What one app has used of its quotas, a neighbour's requests included. Its clock is an argument.

Time is counted in whole microseconds: so requests that are evenly spread leave a window exactly when they should.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from harvester.sandbox.switches import Alignment, Switches
from harvester.sandbox.wire import Rejected

FORGIVEN_S: Final = 900
"""An 11017 that comes so long after the end of the bar before counts as a first one."""
_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 86_400 * _SECOND
_BEIJING: Final = 8 * 3_600 * _SECOND
_PLENTY: Final = 1 << 62
_LONG_AGO: Final = -_PLENTY


def _moment(now_s: float) -> int:
    return round(now_s * _SECOND)


def _percent(left: int, limit: int | None) -> int:
    return 100 if limit is None else 100 * max(0, left) // max(1, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """When another program sends under the same app: number k comes k minutes / `per_minute` after `start`.

    Attributes:
        per_minute: Requests a minute; 0: there is no neighbour.
        start: When number 0 comes, in µs.
        end: From when on none comes, in µs; `None`: it never ends.
    """

    per_minute: int
    start: int
    end: int | None

    def at(self, number: int) -> int:
        """When it comes, in µs, rounded down."""
        return self.start + number * _MINUTE // self.per_minute

    def before(self, at: int) -> int:
        """How many come before that moment: the number of the first that does not."""
        at = at if self.end is None else min(at, self.end)
        return max(0, -(-(at - self.start) * self.per_minute // _MINUTE))

    def fits_alone(self, switches: Switches) -> bool:
        """Whether it never meets the limits of the second and the minute without somebody else's requests."""
        per_second, per_minute = switches.requests_per_second, switches.requests_per_minute
        return (per_second is None or -(-self.per_minute // 60) <= per_second) and (
            per_minute is None or self.per_minute <= per_minute
        )


class Window:
    """The requests of the last second or minute: of any (sliding), or of the clock's own (fixed).

    Memory: one number for each of ours, two for any number of the neighbour's that were admitted together; none
    without a limit.

    Args:
        limit: The most requests; `None`: any number.
        length: In µs.
        alignment: Which seconds or minutes.
        neighbour: Whose requests are counted by their numbers.
    """

    __slots__ = ("_fixed", "_length", "_limit", "_neighbour", "_ours", "_theirs", "_used")

    def __init__(self, limit: int | None, length: int, alignment: Alignment, neighbour: Neighbour) -> None:
        self._limit = limit
        self._length = length
        self._fixed = alignment is Alignment.FIXED
        self._neighbour = neighbour
        self._ours: deque[int] = deque()
        self._theirs: deque[tuple[int, int]] = deque()
        self._used = 0

    def left(self, at: int) -> int:
        """How many more requests fit; forgets those that are past."""
        if self._limit is None:
            return _PLENTY
        self._forget(at - at % self._length if self._fixed else at - self._length + 1)
        return self._limit - self._used

    def add(self, at: int) -> None:
        """Count one of ours."""
        if self._limit is not None:
            self._ours.append(at)
            self._used += 1

    def add_theirs(self, first: int, end: int) -> None:
        """Count the neighbour's numbers `[first, end)`."""
        if self._limit is not None:
            self._theirs.append((first, end))
            self._used += end - first

    def percent_left(self, at: int) -> int:
        """Rounded down; 100 without a limit."""
        return _percent(self.left(at), self._limit)

    def _forget(self, before: int) -> None:
        while self._ours and self._ours[0] < before:
            self._ours.popleft()
            self._used -= 1
        past = self._neighbour.before(before)
        while self._theirs and self._theirs[0][0] < past:
            first, end = self._theirs.popleft()
            self._used -= min(end, past) - first
            if past < end:
                self._theirs.appendleft((past, end))


class Quota:
    """One app's quota.

    The neighbour's requests are computed when somebody asks, up to that moment, many at a time: as many as certainly
    fit. While the app is barred or its day is used up they are skipped, since refused ones count as nothing. Only a
    neighbour that is too much for the second's quota all by itself is gone through one by one.

    Args:
        switches: The limits, the penalties, the neighbour.
        began_s: When the sandbox began to serve, in Unix seconds.
    """

    __slots__ = (
        "_alone", "_barred_until", "_day", "_last_own", "_minute", "_neighbour", "_next", "_second", "_switches",
        "_today",
    )  # fmt: skip

    def __init__(self, switches: Switches, began_s: float) -> None:
        self._switches = switches
        until_s = switches.neighbour_until_s
        self._neighbour = Neighbour(
            per_minute=switches.neighbour_per_minute,
            start=_moment(began_s + (switches.neighbour_from_s or 0.0)),
            end=None if until_s is None else _moment(began_s + until_s),
        )
        self._second = Window(switches.requests_per_second, _SECOND, switches.alignment, self._neighbour)
        self._minute = Window(switches.requests_per_minute, _MINUTE, switches.alignment, self._neighbour)
        self._next = self._day = self._today = 0
        self._barred_until = self._last_own = _LONG_AGO
        self._alone = self._neighbour.fits_alone(switches)

    def take(self, now_s: float) -> None:
        """Use one request.

        Raises:
            Rejected: 11018, 11017 or 11016; refused requests use nothing, and only 11017 bars the app for a while.
        """
        now = self._catch_up(now_s)
        if code := self._judge(now):
            raise Rejected(code)
        self._today += 1
        self._minute.add(now)
        self._second.add(now)
        self._last_own = now

    def barred(self, now_s: float) -> bool:
        """Whether an earlier 11017 still bars the app."""
        return self._catch_up(now_s) < self._barred_until

    def remaining(self, now_s: float) -> str:
        """As in `X-RateLimit-Remaining`: percent left of the day, then of the minute, rounded down (documented)."""
        now = self._catch_up(now_s)
        self._start_day(now)
        return f"{_percent(self._day_left(), self._switches.requests_per_day)}%,{self._minute.percent_left(now)}%"

    def _judge(self, at: int) -> int:
        """The code that a request gets; 0: it may go on. The one beyond the minute's quota bars the app."""
        self._start_day(at)
        if self._day_left() <= 0:
            return 11018
        if at < self._barred_until:
            return 11017
        if self._minute.left(at) <= 0:
            self._bar(at)
            return 11017
        return 11016 if self._second.left(at) <= 0 else 0

    def _bar(self, at: int) -> None:
        penalty_s, next_s = self._switches.penalty_s, self._switches.next_penalty_s
        if next_s is not None and at < self._barred_until + FORGIVEN_S * _SECOND:
            penalty_s = next_s
        self._barred_until = at + _moment(penalty_s)

    def _start_day(self, at: int) -> None:
        if (day := (at + _BEIJING) // _DAY) != self._day:
            self._day, self._today = day, 0

    def _day_left(self) -> int:
        limit = self._switches.requests_per_day
        return _PLENTY if limit is None else limit - self._today

    def _catch_up(self, now_s: float) -> int:
        """Let the neighbour send what it has sent up to now, this moment included; gives the moment in µs."""
        now, sent = _moment(now_s), self._neighbour.before(_moment(now_s) + 1)
        while self._next < sent:
            at = self._neighbour.at(self._next)
            match self._judge(at):
                case 0:
                    self._admit(self._next + self._fitting(at, sent - self._next))
                case 11018:
                    self._next = self._neighbour.before(self._tomorrow())
                case 11017:
                    self._next = max(self._next + 1, self._neighbour.before(self._barred_until))
                case _:
                    self._next += 1
        return now

    def _fitting(self, at: int, most: int) -> int:
        """How many of the neighbour's next requests are certainly admitted: at least the one that comes at `at`."""
        most = min(most, self._day_left(), self._neighbour.before(self._tomorrow()) - self._next)
        if self._alone and at >= self._last_own + _MINUTE:
            return most
        return min(most, self._minute.left(at), self._second.left(at))

    def _admit(self, end: int) -> None:
        self._today += end - self._next
        self._minute.add_theirs(self._next, end)
        self._second.add_theirs(self._next, end)
        self._next = end

    def _tomorrow(self) -> int:
        return (self._day + 1) * _DAY - _BEIJING

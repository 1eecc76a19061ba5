"""What changes while the sandbox serves: outages, by the clock or by hand, and slow times."""

from collections.abc import Callable

from harvester.sandbox.faults import Fault
from harvester.sandbox.switches import Switches


class Weather:
    """The sandbox's clock, and what it brings.

    Args:
        switches: When what happens, in seconds since serving began.
        clock: Unix seconds.

    Attributes:
        began_s: When serving began, in Unix seconds.
        storm: An outage that lasts until it is taken away; `None`: there is none.
    """

    __slots__ = ("_clock", "_switches", "began_s", "storm")

    def __init__(self, switches: Switches, clock: Callable[[], float]) -> None:
        self._switches = switches
        self._clock = clock
        self.began_s = clock()
        self.storm: Fault | None = None

    def now_s(self) -> float:
        """Unix seconds."""
        return self._clock()

    def outage(self) -> Fault | None:
        """The fault that every request meets now; the storm before outages by the clock, of these the first."""
        if self.storm is None and self._switches.outages:
            since_s = self.now_s() - self.began_s
            for from_s, until_s, kind in self._switches.outages:
                if from_s <= since_s < until_s:
                    return Fault.parse(kind)
        return self.storm

    def latency_s(self) -> float:
        """The mean latency now."""
        slow = self._switches.slow_latency_s
        if slow is None:
            return self._switches.latency_s
        from_s, until_s = self._switches.slow_from_s or 0.0, self._switches.slow_until_s
        since_s = self.now_s() - self.began_s
        return slow if from_s <= since_s and (until_s is None or since_s < until_s) else self._switches.latency_s

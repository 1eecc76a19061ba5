"""Which fault a request meets: what was scripted, else what chance says."""

from collections import Counter, deque
from collections.abc import Mapping

from harvester.sandbox.faults import Fault, pick


class Mishaps:
    """The faults of one kind of request.

    Args:
        faults: The probability of each.
        met: Where those that were met are counted.
        label: What their names begin with there.
    """

    __slots__ = ("_faults", "_label", "_met", "_script")

    def __init__(self, faults: Mapping[Fault, float], met: Counter[str], label: str = "") -> None:
        self._faults = faults
        self._met = met
        self._label = label
        self._script: deque[Fault | None] = deque()

    def script(self, *faults: Fault | str | None) -> None:
        """The next requests meet these, one each, in this order, instead of chance; `None`: all is well.

        Raises:
            ValueError: There is no such fault.
        """
        self._script.extend([Fault.parse(fault) if isinstance(fault, str) else fault for fault in faults])

    def next(self, luck: int, certain: Fault | None = None) -> Fault | None:
        """What this request meets; `None`: all is well.

        Args:
            luck: 64 uniform bits.
            certain: What it meets anyhow; script and chance wait.
        """
        fault = certain
        if fault is None:
            fault = self._script.popleft() if self._script else pick(self._faults, luck / 2**64)
        if fault is not None:
            self._met[f"{self._label}{fault}"] += 1
        return fault

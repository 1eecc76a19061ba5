"""An event loop whose time jumps to the next timer as soon as nothing is left to do: hours pass in milliseconds."""

import asyncio
import selectors
from collections.abc import Callable

GRACE_S = 0.005
"""How long a loop waits in real time for sockets and threads before it jumps."""
_STUCK_S = 60.0


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, moves the loop's clock to it."""

    def __init__(self, jump: Callable[[float], None], grace_s: float) -> None:
        super().__init__()
        self._jump = jump
        self._grace_s = grace_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            ready = super().select(_STUCK_S)
            if not ready:
                raise RuntimeError(f"nothing happened for {_STUCK_S:.0f} s and no timer is set: a deadlock")
            return ready
        ready = super().select(0)
        if ready or timeout <= 0:
            return ready
        ready = super().select(self._grace_s)
        if not ready:
            self._jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at loop time 0. Sockets and threads are real, waiting is not."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self._advance, grace_s))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def _advance(self, seconds: float) -> None:
        self._now += seconds


class PureVirtualTimeLoop(VirtualTimeLoop):
    """For tests without sockets and threads: jumps at once, so that days of sleeping cost nothing."""

    def __init__(self) -> None:
        super().__init__(grace_s=0.0)

"""An event loop whose time jumps to the next timer as soon as nothing is left to do: hours pass in milliseconds."""

import asyncio
import os
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

from anyio import to_thread

_SETTLE_S: Final = 0.0002
"""What came from this process's own sockets is there at once; this is for a machine that is about to hand it over."""
_CHILD_S: Final = 0.005
"""A step of real time while a child process lives: what it does may take any number of them."""
_THREAD_S: Final = 1.0
"""Work in a thread is waited for, but not for ever: it may be waiting for this loop's time to move on."""
_STUCK_S: Final = 60.0

_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, moves the loop's clock to it."""

    def __init__(self, jump: Callable[[float], None], grace_s: Callable[[], float]) -> None:
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
        ready = self._wait(self._grace_s())
        if not ready:
            self._jump(timeout)
        return ready

    def _wait(self, grace_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        if grace_s >= _CHILD_S:
            return super().select(grace_s)
        if grace_s:
            time.sleep(grace_s)  # a selector's own steps are as long as a millisecond
            return super().select(0)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at loop time 0. Sockets, threads and processes are real, waiting is not."""

    def __init__(self) -> None:
        self._now = 0.0
        self._at_work: set[asyncio.Future[Any]] = set()
        super().__init__(_JumpingSelector(self._advance, self._grace_s))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Args], _Result], *args: *_Args
    ) -> asyncio.Future[_Result]:
        """Notes that a thread is at work."""
        future = super().run_in_executor(executor, func, *args)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        return future

    def _advance(self, seconds: float) -> None:
        self._now += seconds

    def _grace_s(self) -> float:
        """How long to wait in real time before time jumps: that depends on who else is at work."""
        if self._at_work or _threads_at_work():
            return _THREAD_S
        return _CHILD_S if _children() else _SETTLE_S


def _threads_at_work() -> bool:
    try:
        return to_thread.current_default_thread_limiter().borrowed_tokens > 0
    except RuntimeError:  # with sniffio installed: outside of any task there is no telling
        return True


def _children() -> bool:
    """Whether this process has any, ended or not."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


class PureVirtualTimeLoop(VirtualTimeLoop):
    """For tests without sockets and threads: jumps at once, so that days of sleeping cost nothing."""

    def _grace_s(self) -> float:
        return 0.0

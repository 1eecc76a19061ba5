"""What SIGINT and SIGTERM do to a run: the first saves what is open, the second ends it at once. SIGUSR1 only asks."""

import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import anyio

from harvester.errors import ExitCode

log = logging.getLogger(__name__)

_EXIT_CODES: Final = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
_IN_WORDS: Final = {ExitCode.INTERRUPTED: "interrupt (SIGINT)", ExitCode.TERMINATED: "request (SIGTERM)"}
_ASKS: Final = signal.SIGUSR1
_PATIENCE_S: Final = 2.0
"""After the second signal: a disk that hangs does not hold the process any longer."""


class Stoppable(Protocol):
    """What a run is at: a schedule, or a roll call before it."""

    def stop(self) -> None:
        """Begins nothing more, and waits for nothing."""


class Stopping:
    """Stops what a run is at when a signal comes.

    Args:
        open_slices: How many there are, for the log.
        asked: Told whenever somebody asks where the run stands (SIGUSR1).
        obeys: Whether signals are this run's: not in a program that has its own ways.
    """

    def __init__(
        self, open_slices: Callable[[], int], asked: Callable[[], None] = lambda: None, *, obeys: bool = True
    ) -> None:
        self.exit_code: ExitCode | None = None
        """What the shell is told; `None` while nothing came."""
        self._open_slices = open_slices
        self._asked = asked
        self._obeys = obeys
        self._cancelled = False
        self._at: Stoppable | None = None
        self._scope: anyio.CancelScope | None = None
        self._last_resort: threading.Timer | None = None

    @property
    def in_words(self) -> str | None:
        """What came, for the report; `None` while nothing did."""
        if self._cancelled:
            return "cancelled"
        return _IN_WORDS[self.exit_code] if self.exit_code else None

    def cancelled(self) -> None:
        """Whoever runs this gave it up; unless a signal did."""
        if self.exit_code is None:
            self.exit_code, self._cancelled = ExitCode.INTERRUPTED, True

    @contextmanager
    def signals(self) -> Iterator[AsyncIterator[signal.Signals]]:
        """As long as it lasts, signals wait to be watched and do nothing by themselves; then all is as it was."""
        if not self._obeys:
            yield _no_signals()
            return
        before = {number: signal.getsignal(number) for number in (*_EXIT_CODES, _ASKS)}
        try:
            with anyio.open_signal_receiver(*before) as signals:
                yield signals
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            if self._last_resort:
                self._last_resort.cancel()

    async def watch(self, signals: AsyncIterator[signal.Signals]) -> None:
        """Obeys signals until it is cancelled."""
        async for number in signals:
            if number == _ASKS:
                self._asked()
            elif self.exit_code is None:
                self.exit_code = _EXIT_CODES[signal.Signals(number)]
                many = self._open_slices()
                slices = "1 open slice is" if many == 1 else f"{many} open slices are"
                log.warning("stopping: %s being saved; once more to drop %s", slices, "it" if many == 1 else "them")
                if self._at:
                    self._at.stop()
            elif self._last_resort is None:
                self._last_resort = threading.Timer(_PATIENCE_S, os._exit, [int(self.exit_code)])
                self._last_resort.daemon = True
                self._last_resort.start()
                if self._scope:
                    self._scope.cancel()

    def act_on(self, at: Stoppable, scope: anyio.CancelScope) -> None:
        """From here on there is something to stop, or to cancel; at once, if a signal came before."""
        self._at, self._scope = at, scope
        if self.exit_code:
            at.stop()


async def _no_signals() -> AsyncIterator[signal.Signals]:
    """None ever comes."""
    await anyio.sleep_forever()
    yield signal.SIGINT

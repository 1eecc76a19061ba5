"""What SIGINT and SIGTERM do to a run: the first saves what is open, the second ends it at once."""

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
    """

    def __init__(self, open_slices: Callable[[], int]) -> None:
        self.exit_code: ExitCode | None = None
        """What the shell is told; `None` while no signal came."""
        self._open_slices = open_slices
        self._at: Stoppable | None = None
        self._scope: anyio.CancelScope | None = None
        self._last_resort: threading.Timer | None = None

    @property
    def in_words(self) -> str | None:
        """What came, for the report; `None` while nothing did."""
        return _IN_WORDS[self.exit_code] if self.exit_code else None

    @contextmanager
    def signals(self) -> Iterator[AsyncIterator[signal.Signals]]:
        """As long as it lasts, signals wait to be watched and do nothing by themselves."""
        try:
            with anyio.open_signal_receiver(*_EXIT_CODES) as signals:
                yield signals
        finally:
            if self._last_resort:
                self._last_resort.cancel()

    async def watch(self, signals: AsyncIterator[signal.Signals]) -> None:
        """Obeys signals until it is cancelled."""
        async for number in signals:
            if self.exit_code is None:
                self.exit_code = _EXIT_CODES[signal.Signals(number)]
                log.warning("stopping: %d open slices are being saved; once more to drop them", self._open_slices())
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

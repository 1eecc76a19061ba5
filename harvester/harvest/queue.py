"""The one bounded queue between the walkers and the writer.

Its bound is in messages and in bytes: at most 64 messages, and no further batch while 8 MiB are waiting. So it holds
less than 8 MiB and one page.
"""

from collections import deque
from typing import Final

import anyio

from harvester.model import Batch, End

MAX_MESSAGES: Final = 64
MAX_BYTES: Final = 8 * 2**20


class Queue:
    """Only walkers send, only the writer receives; the end of a slice travels behind its last batch.

    It has nothing to give back: a run that dies may just drop it.

    Args:
        max_messages: Waiting at a time.
        max_bytes: A batch is let in while fewer are waiting; an end needs no bytes.
    """

    def __init__(self, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._waiting: deque[Batch | End] = deque()
        self._waiting_bytes = 0
        self._closed = False
        self._line = anyio.Lock()
        """Held by the one walker that waits for room; the others wait for it, in turn: nobody is woken in vain."""
        self._room = anyio.Event()
        self._arrival = anyio.Event()

    async def put(self, message: Batch | End) -> None:
        """Waits for room, then sends. Cancellation: the message is not sent."""
        if not self._line.locked() and self._has_room_for(message):
            self._send(message)
            return
        async with self._line:
            while not self._has_room_for(message):
                self._room = anyio.Event()
                await self._room.wait()
            self._send(message)

    async def get(self) -> Batch | End | None:
        """The next message; `None` when the queue is closed and empty. Cancellation: no message is lost."""
        while not self._waiting:
            if self._closed:
                return None
            self._arrival = anyio.Event()
            await self._arrival.wait()
        message = self._waiting.popleft()
        self._waiting_bytes -= _size_bytes(message)
        self._room.set()
        return message

    def close(self) -> None:
        """No more is sent: the writer ends when it has drained what is there."""
        self._closed = True
        self._arrival.set()

    def _has_room_for(self, message: Batch | End) -> bool:
        fits = self._waiting_bytes < self._max_bytes or not _size_bytes(message)
        return fits and len(self._waiting) < self._max_messages

    def _send(self, message: Batch | End) -> None:
        self._waiting.append(message)
        self._waiting_bytes += _size_bytes(message)
        self._arrival.set()


def _size_bytes(message: Batch | End) -> int:
    return message.size_bytes if isinstance(message, Batch) else 0

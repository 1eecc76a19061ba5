"""The one bounded queue between the walkers and the writer.

Its bound is in messages and in bytes: at most 64 messages, and no further batch while 8 MiB are waiting. So it holds
less than 8 MiB and one page.
"""

from collections import deque
from typing import Final

import anyio
import anyio.lowlevel

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
        self._moved = anyio.Event()

    async def put(self, message: Batch | End) -> None:
        """Waits for room, then sends. Cancellation: the message is not sent."""
        await anyio.lowlevel.checkpoint()
        size = _size_bytes(message)
        while len(self._waiting) >= self._max_messages or (size and self._waiting_bytes >= self._max_bytes):
            await self._moved.wait()
        self._waiting.append(message)
        self._waiting_bytes += size
        self._wake()

    async def get(self) -> Batch | End | None:
        """The next message; `None` when the queue is closed and empty. Cancellation: no message is lost."""
        await anyio.lowlevel.checkpoint()
        while not self._waiting:
            if self._closed:
                return None
            await self._moved.wait()
        message = self._waiting.popleft()
        self._waiting_bytes -= _size_bytes(message)
        self._wake()
        return message

    def close(self) -> None:
        """No more is sent: the writer ends when it has drained what is there."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        """Everyone who waits looks again."""
        self._moved.set()
        self._moved = anyio.Event()


def _size_bytes(message: Batch | End) -> int:
    return message.size_bytes if isinstance(message, Batch) else 0

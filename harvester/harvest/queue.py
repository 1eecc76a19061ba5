"""The one bounded queue between the walkers and the writer.

Its bound is in messages and in bytes: at most 64 batches, and no further batch while 16 MiB are waiting. So it holds
less than 16 MiB and one page for each walker.
"""

from typing import Final

import anyio

from harvester.model import Batch, End

MAX_BATCHES: Final = 64
MAX_BYTES: Final = 16 * 2**20


class Queue:
    """Only walkers send, only the writer receives; the end of a slice travels behind its last batch."""

    def __init__(self, *, max_batches: int = MAX_BATCHES, max_bytes: int = MAX_BYTES) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Batch | End](max_batches)
        self._max_bytes = max_bytes
        self._waiting_bytes = 0
        self._room = anyio.Event()

    async def put(self, message: Batch | End) -> None:
        """Waits for room, then sends. Cancellation: the message is not sent."""
        size = message.size_bytes if isinstance(message, Batch) else 0
        while size and self._waiting_bytes >= self._max_bytes:
            await self._room.wait()
        self._waiting_bytes += size
        try:
            await self._send.send(message)
        except BaseException:
            self._taken(size)
            raise

    async def get(self) -> Batch | End | None:
        """The next message; `None` when the queue is closed and empty."""
        try:
            message = await self._receive.receive()
        except anyio.EndOfStream:
            self._receive.close()
            return None
        self._taken(message.size_bytes if isinstance(message, Batch) else 0)
        return message

    def _taken(self, size: int) -> None:
        self._waiting_bytes -= size
        self._room.set()
        self._room = anyio.Event()

    def close(self) -> None:
        """No more is sent: the writer ends when it has drained what is there."""
        self._send.close()

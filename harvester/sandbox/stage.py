"""Plays an answer on a real connection: well, or with a fault."""

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from aiohttp import web

from harvester.sandbox.faults import Fault, FaultKind

ELSEWHERE: Final = "http://elsewhere.sandbox.example/login"
_PIECE_BYTES: Final = 1 << 20
_PIECE: Final = b"0" * _PIECE_BYTES
_DRIPS: Final = 16
_HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_OPENING: Final = b'{"code":0,"message":"","data":{"page_info":{"page":1},"entities":[{"call_id":"'
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One answer about to be given.

    Attributes:
        request: What it answers.
        body: The good answer's body, ready for the wire.
        headers: The good answer's headers.
        fault_bytes: Size of a body that is far too large.
        drip_s: Seconds between the pieces of a dripping body.
        closing: Set when the server goes: nothing hangs longer than that.
    """

    request: web.Request
    body: bytes
    headers: Mapping[str, str]
    fault_bytes: int
    drip_s: float
    closing: asyncio.Event

    async def play(self, fault: Fault | None) -> web.StreamResponse:
        """Answer, or fail to; cancelled when the client goes."""
        kind = None if fault is None else fault.kind
        match kind:
            case None | FaultKind.CODE | FaultKind.GARBAGE:
                body = self.body[: len(self.body) // 2] if kind is FaultKind.GARBAGE else self.body
                return web.Response(body=body, headers=self.headers)
            case FaultKind.BAD_GATEWAY | FaultKind.UNAVAILABLE | FaultKind.REDIRECT:
                return _gateway(kind)
            case FaultKind.RESET | FaultKind.HANG:
                return await self._reset(at_once=kind is FaultKind.RESET)
            case FaultKind.CUT | FaultKind.CLOSE | FaultKind.DRIP:
                return await self._promised(kind)
            case FaultKind.HUGE | FaultKind.BOMB:
                return await self._endless(kind)
            case _ as never:
                assert_never(never)

    async def _reset(self, *, at_once: bool) -> web.StreamResponse:
        if not at_once:
            await self.closing.wait()
        if transport := self.request.transport:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()
        return web.Response()

    async def _promised(self, kind: Literal[FaultKind.CUT, FaultKind.CLOSE, FaultKind.DRIP]) -> web.StreamResponse:
        """The body with its true length in the headers; not all of it may come, or not at once."""
        response = web.StreamResponse(headers=self.headers)
        response.content_length = len(self.body)
        await response.prepare(self.request)
        if kind is FaultKind.DRIP:
            async for piece in self._drips():
                await response.write(piece)
            return response
        await response.write(self.body[: len(self.body) // (2 if kind is FaultKind.CUT else 1)])
        if transport := self.request.transport:
            transport.close()
        return response

    async def _endless(self, kind: Literal[FaultKind.HUGE, FaultKind.BOMB]) -> web.StreamResponse:
        """A body of unknown length."""
        headers = {name: value for name, value in self.headers.items() if name != "Content-Encoding"}
        response = web.StreamResponse(headers=headers)
        if kind is FaultKind.BOMB:
            response.headers["Content-Encoding"] = "gzip"
        await response.prepare(self.request)
        for piece in (gzip_bomb if kind is FaultKind.BOMB else _padding)(self.fault_bytes):
            await response.write(piece)
            await asyncio.sleep(0)
        return response

    async def _drips(self) -> AsyncIterator[bytes]:
        step = -(-len(self.body) // _DRIPS)
        for start in range(0, len(self.body), step):
            if start:
                await asyncio.sleep(self.drip_s)
            yield self.body[start : start + step]


def _gateway(
    kind: Literal[FaultKind.BAD_GATEWAY, FaultKind.UNAVAILABLE, FaultKind.REDIRECT],
) -> web.Response:
    """What stands before the API speaks: no envelope, no headers of the API."""
    match kind:
        case FaultKind.BAD_GATEWAY:
            return web.Response(status=502, body=_HTML, content_type="text/html")
        case FaultKind.UNAVAILABLE:
            return web.Response(status=503)
        case FaultKind.REDIRECT:
            return web.Response(status=302, headers={"Location": ELSEWHERE})


def _padding(size_bytes: int) -> Iterator[bytes]:
    """A page whose first call has an id of so many bytes, whole mebibytes."""
    yield _OPENING
    for _ in range(-(-size_bytes // _PIECE_BYTES)):
        yield _PIECE


def gzip_bomb(size_bytes: int) -> Iterator[bytes]:
    """A valid gzip stream of zeros, whole mebibytes, a thousandth of that on the wire.

    One mebibyte is compressed once and repeated: a full flush forgets what came before, so blocks can stand anywhere.
    """
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield pack.compress(b"") + pack.flush(zlib.Z_FULL_FLUSH)
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = raw.compress(_PIECE) + raw.flush(zlib.Z_FULL_FLUSH)
    check, blocks = 0, -(-size_bytes // _PIECE_BYTES)
    for _ in range(blocks):
        check = zlib.crc32(_PIECE, check)
        yield block
    yield b"\x03\x00" + struct.pack("<II", check, blocks * _PIECE_BYTES & 0xFFFFFFFF)

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
_NOISE: Final = b"SSH-2.0-OpenSSH_9.6\r\n\x00\x01\x02\xff\xfe no HTTP at all\r\n\r\n"
_GATEWAYS: Final = {
    FaultKind.BAD_GATEWAY: (502, "502 Bad Gateway"),
    FaultKind.SERVER_ERROR: (500, "500 Internal Server Error"),
    FaultKind.HTML: (200, "Please log in"),
}
_LONG: Final = "x" * _PIECE_BYTES
LOOPED: Final = "sandbox_loop=1&"
"""How the query of a request begins that follows `FaultKind.LOOP`."""
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
            case None | FaultKind.CODE | FaultKind.GARBAGE | FaultKind.ODD_GZIP | FaultKind.LONG_HEADER:
                return self._at_once(kind)
            case FaultKind.BAD_GATEWAY | FaultKind.UNAVAILABLE | FaultKind.HTML | FaultKind.SERVER_ERROR:
                return _gateway(kind)
            case FaultKind.REDIRECT | FaultKind.LOOP | FaultKind.TOO_MANY:
                return self._elsewhere(kind)
            case FaultKind.RESET | FaultKind.HANG | FaultKind.NOISE:
                return await self._no_answer(kind)
            case FaultKind.CUT | FaultKind.CLOSE | FaultKind.DRIP | FaultKind.STALL:
                return await self._promised(kind)
            case FaultKind.HUGE | FaultKind.BOMB:
                return await self._endless(kind)
            case _ as never:
                assert_never(never)

    def _at_once(
        self, kind: Literal[FaultKind.CODE, FaultKind.GARBAGE, FaultKind.ODD_GZIP, FaultKind.LONG_HEADER] | None
    ) -> web.Response:
        """The answer in one piece, its length promised rightly; something about it may be odd."""
        body, headers = self.body, dict(self.headers)
        if kind is FaultKind.GARBAGE:
            body = body[: len(body) // 2]
        elif kind is FaultKind.ODD_GZIP:
            body, headers["Content-Encoding"] = _OPENING + b'1"}]}}', "gzip"
        elif kind is FaultKind.LONG_HEADER:
            headers["X-Long"] = _LONG
        return web.Response(body=body, headers=headers)

    def _elsewhere(self, kind: Literal[FaultKind.REDIRECT, FaultKind.LOOP, FaultKind.TOO_MANY]) -> web.Response:
        """Go away, or come again later: no envelope, no headers of the API."""
        if kind is FaultKind.TOO_MANY:
            return web.Response(status=429, headers={"Retry-After": "7"})
        url = self.request.rel_url
        here = f"{url.raw_name}?{LOOPED}{url.raw_query_string.removeprefix(LOOPED)}"
        return web.Response(status=302, headers={"Location": here if kind is FaultKind.LOOP else ELSEWHERE})

    async def _no_answer(self, kind: Literal[FaultKind.RESET, FaultKind.HANG, FaultKind.NOISE]) -> web.StreamResponse:
        """Nothing that is HTTP; the connection ends."""
        if kind is FaultKind.HANG:
            await self.closing.wait()
        transport = self.request.transport
        if transport is not None and kind is FaultKind.NOISE:
            transport.write(_NOISE)
            transport.close()
        elif transport is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()
        return web.Response()

    async def _promised(
        self, kind: Literal[FaultKind.CUT, FaultKind.CLOSE, FaultKind.DRIP, FaultKind.STALL]
    ) -> web.StreamResponse:
        """The body with its true length in the headers; not all of it may come, or not at once."""
        response = web.StreamResponse(headers=self.headers)
        response.content_length = len(self.body)
        await response.prepare(self.request)
        if kind is FaultKind.DRIP:
            async for piece in self._drips():
                await response.write(piece)
            return response
        await response.write(self.body[: len(self.body) // (1 if kind is FaultKind.CLOSE else 2)])
        if kind is FaultKind.STALL:
            await self.closing.wait()
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
    kind: Literal[FaultKind.BAD_GATEWAY, FaultKind.UNAVAILABLE, FaultKind.HTML, FaultKind.SERVER_ERROR],
) -> web.Response:
    """What stands before the API speaks: no envelope, no headers of the API."""
    if kind is FaultKind.UNAVAILABLE:
        return web.Response(status=503)
    status, text = _GATEWAYS[kind]
    html = f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
    return web.Response(status=status, body=html.encode(), content_type="text/html")


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

"""HTTP 200 with each return code of the documents, over a real socket, and what is done about it."""

from typing import Final

import pytest

from harvester.api.codes import Fault, Verdict, judge
from harvester.api.envelope import Response
from harvester.api.protocol import read_page
from harvester.api.transport import AiohttpTransport
from harvester.model import Page
from tests.api.helpers import NOW_S
from tests.api.wire import Peer, raw_server, sandbox, secret_request

pytestmark = pytest.mark.anyio
DOCUMENTED: Final = {
    Verdict.RENEW_TOKEN: [11000],
    Verdict.REREAD_TOKEN: [11002],
    Verdict.STOP_TOKEN: [11004, 11005, 11007, 11010, 11012, 11030, 11014, 60001, 60081],
    Verdict.RETRY_NOW: [12100],
    Verdict.FIX_CLOCK: [12101],
    Verdict.SKIP_ACCOUNT: [12201, 12203, 32211, 64015, 60002, 60003, 80008],
    Verdict.FAIL_SLICE: [
        *(12000, 12003, 12007, 12008, 12009, *range(18001, 18015)),
        *(60008, 60009, 60010, 60011, 60014, 60015, 60069, 60070, 60071, 60072, 60073, 31002, 31057),
        99999,  # any other
    ],
    Verdict.LESS_DEEP: [60012, 60022],
    Verdict.SMALLER_PAGE: [60013],
    Verdict.WAIT_A_SECOND: [11016],
    Verdict.PAUSE_APP: [11017],
    Verdict.END_APP_DAY: [11018],
    Verdict.SLOW_APP: [11008, 11019, 60005, 64016, 30104, 1000003, 1000284],
    Verdict.RETRY: [10000, 10001, *range(30000, 30100), 51001, 60000, 60007, 62000, 1000000, 1000002, 12700],
}
"""Written down from the official table, not from the program's own."""


@pytest.mark.parametrize("verdict", DOCUMENTED, ids=lambda verdict: verdict.name)
async def test_each_code_has_its_verdict(verdict: Verdict) -> None:
    """Sent once; the code, the trace and the server's clock come with it."""
    codes = DOCUMENTED[verdict]
    async with sandbox() as served, AiohttpTransport(served.base_url, timeout_s=30) as transport:
        served.script(*(f"code:{code}" for code in codes))
        for number, code in enumerate(codes):
            response = await transport.send(secret_request(number))
            read = read_page(response)
            assert isinstance(read, Fault)
            assert (response.status, read.code, read.date, judge(read)) == (200, code, NOW_S, verdict)
            assert read.trace_id == response.headers["x-tsa-trace-id"]
        assert isinstance(read_page(await transport.send(secret_request(len(codes)))), Page)
        assert (served.stats.requests, served.stats.repeated_nonces) == (len(codes) + 1, 0)
        assert served.stats.codes == {0: 1, **dict.fromkeys(codes, 1)}


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b'{"code":99999,"message":"","code_type":"SysException"}', Verdict.RETRY),
        (b'{"code":99999,"message":"","code_type":"BusinessException"}', Verdict.FAIL_SLICE),
        (b'{"code":"11017","message":""}', Verdict.PAUSE_APP),
        (b'{"code":11017}', Verdict.PAUSE_APP),
        (b'{"code":""}', Verdict.RETRY),
        (b'{"message":"no code"}', Verdict.RETRY),
        (b"[]", Verdict.RETRY),
        (b"null", Verdict.RETRY),
        (b"", Verdict.RETRY),
    ],
    ids=lambda body: body.decode() if isinstance(body, bytes) else body.name,
)
async def test_an_unknown_code_goes_by_its_kind(body: bytes, verdict: Verdict) -> None:
    """Busy, or the slice's own fault; what has no code at all is tried again."""

    async def answer(peer: Peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
        response = await transport.send(secret_request())
        assert isinstance(response, Response)
        read = read_page(response)
        assert isinstance(read, Fault)
        assert judge(read) is verdict
        assert len(server.heads) == 1

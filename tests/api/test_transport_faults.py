"""Every fault that the sandbox knows, over real sockets, all the way to the verdict."""

import tracemalloc
from collections.abc import Iterator
from typing import Final

import anyio
import pytest

from harvester.api.codes import Fault, Verdict, judge
from harvester.api.envelope import Response
from harvester.api.protocol import read_page
from harvester.api.transport import AiohttpTransport
from harvester.errors import AttemptError
from harvester.model import Page
from harvester.sandbox.faults import FaultKind
from harvester.sandbox.server import Sandbox
from tests.api.helpers import TOKEN, call, good
from tests.api.wire import Peer, attempt, nothing_logged, raw_server, sandbox

pytestmark = pytest.mark.anyio
MIB: Final = 2**20
CUT: Final = "the body was cut short or is not what its headers say"
CLOSED: Final = "the server closed the connection before it answered"
RESET: Final = "the connection broke (Connection reset by peer)"
TOO_LARGE: Final = "a body of more than 8 MiB, which is no page"
NO_HTTP: Final = "an answer that is no HTTP"
NO_ANSWER: Final = {
    "reset": {CLOSED, RESET},
    "cut": {CUT},
    "hang": {"no answer within 30 s"},
    "stall": {"the answer did not end within 30 s"},
    "noise": {NO_HTTP},
    "odd-gzip": {CUT},
    "long-header": {NO_HTTP},
    "huge": {TOO_LARGE},
    "bomb": {TOO_LARGE},
}
"""What is said of each fault that brings no whole answer."""
BAD_ANSWER: Final = {
    "garbage": (200, Verdict.RETRY),
    "html": (200, Verdict.RETRY),
    "bad-gateway": (502, Verdict.RETRY),
    "unavailable": (503, Verdict.RETRY),
    "server-error": (500, Verdict.RETRY),
    "too-many": (429, Verdict.SLOW_APP),
    "redirect": (302, Verdict.RETRY),
    "loop": (302, Verdict.RETRY),
}
"""The status of each fault that is an answer, and what is done about it."""
GOOD_ANSWER: Final = {"close", "drip"}


@pytest.fixture(autouse=True)
def _logs_tell_nothing(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither the token nor where it was sent."""
    with nothing_logged(caplog):
        yield


def assert_sent_once(served: Sandbox, sends: int) -> None:
    """As many requests as sends have arrived, each with a nonce of its own."""
    assert (served.stats.requests, served.stats.repeated_nonces, served.stats.elsewhere) == (sends, 0, 0)
    assert [len(times) for times in served.stats.arrivals.values()] == [sends]


def test_no_fault_is_left_out() -> None:
    """Each of the sandbox's is in one of the tables; codes have a module of their own."""
    tables = [set(NO_ANSWER), set(BAD_ANSWER), GOOD_ANSWER, {"code"}]
    assert sorted(one for table in tables for one in table) == sorted(FaultKind)


@pytest.mark.parametrize("fault", NO_ANSWER)
@pytest.mark.parametrize("kept", [False, True], ids=["on a new connection", "on a kept connection"])
async def test_what_brings_no_whole_answer_is_an_error_that_is_worth_another_try(fault: str, *, kept: bool) -> None:
    """It is said in words, was sent once, reached somebody, and the attempts around it are untouched."""
    async with sandbox(fault_bytes=32 * MIB) as served, AiohttpTransport(served.base_url, timeout_s=30) as transport:
        before = [None] if kept else []
        served.script(*before, fault, None, fault, None)
        answers = [await attempt(transport, number, served.base_url) for number in range(len(before) + 4)]
        assert_sent_once(served, len(answers))
    errors = answers[len(before) :: 2]
    for error in errors:
        assert isinstance(error, AttemptError)
        assert str(error) in NO_ANSWER[fault]
        assert not error.unreachable
        assert judge(Fault(text=str(error))) is Verdict.RETRY
    for answer in answers[len(before) + 1 :: 2]:
        assert isinstance(answer, Response)
        assert isinstance(read_page(answer), Page)


@pytest.mark.parametrize("fault", BAD_ANSWER)
async def test_a_bad_answer_has_its_verdict(fault: str) -> None:
    """Status and headers come as they are, nothing is followed, the next attempt is untouched by it."""
    async with sandbox() as served, AiohttpTransport(served.base_url, timeout_s=30) as transport:
        served.script(fault, None)
        answer, after = [await attempt(transport, number, served.base_url) for number in range(2)]
        assert_sent_once(served, 2)
    assert isinstance(answer, Response)
    assert isinstance(after, Response)
    assert isinstance(read_page(after), Page)
    read = read_page(answer)
    assert isinstance(read, Fault)
    assert (answer.status, judge(read)) == BAD_ANSWER[fault]
    assert read.code is None
    assert read.retry_after_s == (7 if fault == "too-many" else None)
    assert not [secret for secret in (TOKEN, "nonce", "/v3.0/", "127.0.0.1") if secret in str(read)]


@pytest.mark.parametrize("fault", sorted(GOOD_ANSWER))
async def test_a_good_answer_that_comes_badly_is_a_page(fault: str) -> None:
    """In pieces, or with the connection gone behind it; a moment later the next request does not suffer from it."""
    async with sandbox() as served, AiohttpTransport(served.base_url, timeout_s=30) as transport:
        served.script(fault, None, fault, None)
        for number in range(4):
            answer = await attempt(transport, number, served.base_url)
            assert isinstance(answer, Response)
            assert isinstance(read_page(answer), Page)
            await anyio.sleep(1)
        assert_sent_once(served, 4)


@pytest.mark.parametrize("fault", sorted({*NO_ANSWER, *BAD_ANSWER} - {"huge", "bomb"}))
async def test_an_outage_is_met_once_a_send(fault: str) -> None:
    """However long it lasts, nobody repeats anything by himself; when it is over, all is well."""
    async with sandbox() as served, AiohttpTransport(served.base_url, timeout_s=5) as transport:
        served.outage(fault)
        for number in range(10):
            answer = await attempt(transport, number, served.base_url)
            assert isinstance(answer, AttemptError) or isinstance(read_page(answer), Fault)
        served.outage(None)
        last = await attempt(transport, 10, served.base_url)
        assert isinstance(last, Response)
        assert isinstance(read_page(last), Page)
        assert_sent_once(served, 11)


async def test_a_bad_day() -> None:
    """An outage and a slow spell come and go with the clock, and the transport meets each as it is."""
    async with (
        sandbox(
            ticking=True, outages=((10, 20, "unavailable"),), slow_latency_s=8, slow_from_s=30, slow_until_s=40
        ) as served,
        AiohttpTransport(served.base_url, timeout_s=3) as transport,
    ):
        seen = []
        for number in range(5):
            answer = await attempt(transport, number, served.base_url)
            seen.append(answer.status if isinstance(answer, Response) else str(answer))
            await anyio.sleep(10 if isinstance(answer, Response) else 7.1)
        assert_sent_once(served, 5)
    assert seen == [200, 503, 200, "no answer within 3 s", 200]


async def test_a_mebibyte_of_json_that_never_ends_is_no_page() -> None:
    """It is read, and understood to be none."""
    async with sandbox(fault_bytes=MIB) as served, AiohttpTransport(served.base_url, timeout_s=30) as transport:
        served.script("huge")
        answer = await attempt(transport, 0, served.base_url)
    assert isinstance(answer, Response)
    read = read_page(answer)
    assert isinstance(read, Fault)
    assert (answer.status, len(answer.body) > MIB, judge(read)) == (200, True, Verdict.RETRY)
    assert read.text == f"HTTP 200, a body that is no JSON or was cut short ({len(answer.body)} bytes)"


async def test_a_mebibyte_of_calls_is_a_page() -> None:
    """Large is not wrong."""
    calls = [{**call(number), "call_record_url": "x" * 400} for number in range(2_400)]
    body = good(*calls).body
    assert len(body) > MIB

    async def answer(peer: Peer) -> None:
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with raw_server(answer) as server, AiohttpTransport(server.base_url, timeout_s=30) as transport:
        response = await attempt(transport, 0, server.base_url)
        assert len(server.heads) == 1
    assert isinstance(response, Response)
    page = read_page(response)
    assert isinstance(page, Page)
    assert len(page.calls) == 2_400


@pytest.mark.parametrize(("fault", "most_bytes"), [("huge", 48 * MIB), ("bomb", 48 * MIB), ("long-header", 8 * MIB)])
async def test_what_is_far_too_large_costs_little(fault: str, most_bytes: int) -> None:
    """A gibibyte, packed or not, or a header without end: of all this hardly more than a page is ever held."""
    async with sandbox(fault_bytes=1_024 * MIB) as served, AiohttpTransport(served.base_url, timeout_s=30) as transport:
        await attempt(transport, 0, served.base_url)
        served.script(fault)
        tracemalloc.start()
        try:
            assert isinstance(await attempt(transport, 1, served.base_url), AttemptError)
            assert tracemalloc.get_traced_memory()[1] < most_bytes
        finally:
            tracemalloc.stop()

"""Posting to a real receiver, in virtual time: what it answers, and what it may do to us."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import web

from harvester.notice import parse_template
from harvester.secret import Secret
from harvester.telling import post
from harvester.telling.post import ATTEMPT_S, ATTEMPTS, BOUND_S, Told, tell
from harvester.telling.services import Webhook

pytestmark = pytest.mark.anyio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = "0123456789-key-of-a-robot"


class Receiver:
    """A webhook's other end.

    Attributes:
        got: What was posted: path with query, headers, body.
        answers: What is answered, one by one; the last one again and again.
    """

    def __init__(self, answers: Sequence[Handler]) -> None:
        self.got: list[tuple[str, Any, Any]] = []
        self.answers = list(answers)
        self.base_url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Notes a request, and answers."""
        self.got.append((request.path_qs, request.headers, await request.json()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    def webhook(self, service: str = "json", number: int = 0) -> Webhook:
        """One that is told here."""
        return Webhook(
            name=f"notify[{number}] ({service})",
            service=service,
            url=Secret(f"{self.base_url}/hook?key={KEY}"),
            template=parse_template("{headline}"),
        )


@asynccontextmanager
async def receiver(*answers: Handler) -> AsyncIterator[Receiver]:
    """Serves on loopback for as long as the block lasts."""
    here = Receiver(answers)
    app = web.Application()
    app.router.add_post("/hook", here.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        here.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield here
    finally:
        await runner.cleanup()


def says(text: str, status: int = 200, **headers: str) -> Handler:
    """An answer."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, headers=headers)

    return answer


async def hangs(_: web.Request) -> web.StreamResponse:
    """Never answers."""
    await anyio.sleep(10_000)
    raise AssertionError


async def drips(request: web.Request) -> web.StreamResponse:
    """Answers for ever, a byte every second."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await anyio.sleep(1)


async def floods(request: web.Request) -> web.StreamResponse:
    """Answers without end, as fast as it can."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


async def breaks(request: web.Request) -> web.StreamResponse:
    """Closes the connection."""
    assert request.transport
    request.transport.close()
    return web.Response()


async def told(*webhooks: Webhook, bound_s: float = BOUND_S) -> list[str | None]:
    """What became of each; all of it holds no key."""
    found = await tell(webhooks, {"headline": "the words"}, lambda: 5.0, bound_s=bound_s)
    assert KEY not in repr(found)
    assert "127.0.0.1" not in repr(found)
    assert [one.name for one in found] == [one.name for one in webhooks]
    return [one.failure for one in found]


async def test_what_is_posted() -> None:
    """One POST with JSON, to the address as it stands."""
    async with receiver(says("")) as here:
        assert await told(here.webhook()) == [None]
        ((path, headers, body),) = here.got
        assert path == f"/hook?key={KEY}"
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        assert headers["User-Agent"].startswith("harvester/")
        assert body == {"text": "the words", "headline": "the words"}


async def test_an_address_is_not_written_anew() -> None:
    """What is quoted in it stays so: some keys need it."""
    async with receiver(says("")) as here:
        one = here.webhook()
        odd = Webhook(name="x", service="json", url=Secret(f"{here.base_url}/hook?key=a%2Bb%2F"), template=one.template)
        assert await told(odd) == [None]
        assert here.got[0][0] == "/hook?key=a%2Bb%2F"


@pytest.mark.parametrize("trouble", [says("", 500), says("", 429), breaks])
async def test_what_may_pass_is_tried_again(trouble: Handler) -> None:
    """Twice it goes wrong, the third time it is well."""
    async with receiver(trouble, trouble, says("")) as here:
        assert await told(here.webhook()) == [None]
        assert len(here.got) == 3


async def test_what_stays_is_given_up() -> None:
    """After three attempts it is told."""
    async with receiver(says("", 503)) as here:
        assert await told(here.webhook()) == [f"HTTP 503, {ATTEMPTS} times"]
        assert len(here.got) == ATTEMPTS


async def test_a_refusal_is_final_and_told_in_the_service_s_words() -> None:
    """HTTP 200 with an error inside; once is enough."""
    async with receiver(says('{"errcode":93000,"errmsg":"invalid webhook url"}')) as here:
        (failure,) = await told(here.webhook("wecom"))
        assert failure == 'HTTP 200, but {"errcode":93000,"errmsg":"invalid webhook url"}'
        assert len(here.got) == 1


async def test_a_service_that_says_the_key_back() -> None:
    """What it says is told without it."""
    async with receiver(says(f"no such key {KEY}, call 13912345678", 404)) as here:
        (failure,) = await told(here.webhook())
        assert failure is not None
        assert failure.startswith("HTTP 404")
        assert "13912345678" not in failure


async def test_redirects_are_not_followed() -> None:
    """They would carry the message elsewhere."""
    async with receiver(says("", 307, Location="/hook")) as here:
        (failure,) = await told(here.webhook())
        assert failure is not None
        assert "redirects are not followed" in failure
        assert len(here.got) == 1


@pytest.mark.parametrize("handler", [hangs, drips])
async def test_one_that_never_ends_is_given_up_within_the_bound(handler: Handler) -> None:
    """Each attempt has its time, and all of them together have theirs."""
    async with receiver(handler) as here:
        began = anyio.current_time()
        assert await told(here.webhook()) == [f"no answer within {ATTEMPT_S:g} s, {ATTEMPTS} times"]
        assert 3 * ATTEMPT_S <= anyio.current_time() - began <= BOUND_S


async def test_a_flood_is_not_drunk() -> None:
    """Of an endless answer the beginning is enough."""
    async with receiver(floods) as here:
        (failure,) = await told(here.webhook("slack"))
        assert failure is not None
        assert len(failure) < 300


async def test_one_that_hangs_holds_up_no_other() -> None:
    """All are told at the same time, and the bound is for all of them."""
    async with receiver(hangs) as dead, receiver(says("")) as well:
        webhooks = [*(dead.webhook(number=number) for number in range(5)), well.webhook(number=5)]
        began = anyio.current_time()
        *failures, last = await told(*webhooks, bound_s=2)
        assert failures == ["no answer within 2 s"] * 5
        assert last is None
        assert anyio.current_time() - began == pytest.approx(2)


async def test_nobody_there() -> None:
    """A closed port is told in words."""
    async with receiver(says("")) as here:
        gone = here.webhook()
    assert await told(gone) == [f"no connection (Connection refused), {ATTEMPTS} times"]


def named(host: str) -> Webhook:
    """One at a host that has to be looked up."""
    url = Secret(f"https://{host}/?key={KEY}")
    return Webhook(name="notify[0] (json)", service="json", url=url, template=parse_template("x"))


async def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name server's no is told in words."""

    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert await told(named("robot.example")) == [f"the host name cannot be resolved, {ATTEMPTS} times"]


async def test_a_name_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for its thread: neither we nor, since it is a daemon, the end of the process."""
    release, asked = threading.Event(), list[threading.Thread]()

    def hang(*_: object) -> list[object]:
        asked.append(threading.current_thread())
        release.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = anyio.current_time()
    try:
        (failure,) = await told(named("robot.example"))
    finally:
        release.set()
    assert failure is not None
    assert "no answer within" in failure
    assert anyio.current_time() - began <= BOUND_S
    assert asked
    assert all(thread.daemon for thread in asked)
    for thread in asked:
        await asyncio.to_thread(thread.join)


async def test_whatever_goes_wrong_is_only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours fails no run either, and its text, which may hold anything, is not shown."""

    def broken(*_: object) -> None:
        raise RuntimeError(KEY)

    monkeypatch.setattr(post, "letter", broken)
    async with receiver(says("")) as here:
        assert await told(here.webhook()) == ["it failed (RuntimeError)"]


async def test_nobody_to_tell() -> None:
    """Nothing is done."""
    assert await tell([], {}, lambda: 0.0) == list[Told]()

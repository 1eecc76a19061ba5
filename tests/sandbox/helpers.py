"""What the sandbox's tests share: a moment, a clock that stands still, and a client that says what it asks for."""

import asyncio
import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from yarl import URL

from harvester.model import Window
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.server import PATH, Sandbox
from harvester.sandbox.switches import ACCESS, CLIENT_ID, CLIENT_SECRET, REFRESH

TODAY = dt.date(2026, 10, 31)
NOW_S = 1_793_404_800.0
"""2026-10-31 00:00 UTC: 08:00 in Beijing."""
WINDOW = Window(dt.date(2026, 10, 24), dt.date(2026, 10, 30))


@dataclass
class Clock:
    """Unix seconds that move only when told to."""

    now_s: float = NOW_S

    def __call__(self) -> float:
        """Now."""
        return self.now_s


@dataclass
class Client:
    """Asks one sandbox; each request is fresh and right unless it says otherwise."""

    session: aiohttp.ClientSession
    sandbox: Sandbox
    nonces: Iterator[int] = field(default_factory=itertools.count)

    def url(self, **changes: object) -> URL:
        """The endpoint's URL; `None` leaves a parameter out."""
        parameters: dict[str, object] = {
            "access_token": ACCESS,
            "timestamp": int(NOW_S),
            "nonce": f"nonce-{next(self.nonces)}",
            "account_id": self.sandbox.world.account_ids[0],
            "page_size": 50,
            "page": 1,
            "start_date": WINDOW.start,
            "end_date": WINDOW.end,
            **changes,
        }
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        return URL(self.sandbox.base_url + PATH).with_query(given)

    async def list(self, endpoint: Endpoint = Endpoint.ADVERTISER, **changes: object) -> Any:
        """The envelope of a list of accounts."""
        parameters: dict[str, object] = {
            "access_token": ACCESS,
            "timestamp": int(NOW_S),
            "nonce": f"list-{next(self.nonces)}",
            "pagination_mode": "PAGINATION_MODE_CURSOR",
            "page_size": 2,
            **changes,
        }
        if endpoint is Endpoint.ADVERTISER:
            parameters.setdefault("fields", '["account_id","corporation_name","system_status"]')
        return await self.get(endpoint, **parameters)

    async def renew(self, endpoint: Endpoint = Endpoint.EXTEND, **changes: object) -> Any:
        """The envelope of a request for tokens."""
        parameters: dict[str, object] = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": REFRESH,
            "grant_type": "refresh_token" if endpoint is Endpoint.EXTEND else None,
            **changes,
        }
        return await self.get(endpoint, **parameters)

    async def get(self, path: str, **parameters: object) -> Any:
        """The envelope of any answer, which comes with HTTP 200; `None` leaves a parameter out."""
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        async with self.session.get(URL(self.sandbox.base_url + path).with_query(given)) as response:
            assert response.status == 200
            return orjson.loads(await response.read())

    async def body(self, **changes: object) -> bytes:
        """One answer's body; the answer is an envelope with HTTP 200."""
        async with self.session.get(self.url(**changes)) as response:
            assert response.status == 200
            return await response.read()

    async def ask(self, **changes: object) -> Any:
        """One answer's envelope."""
        return orjson.loads(await self.body(**changes))

    async def code(self, **changes: object) -> int:
        """One answer's return code."""
        code = (await self.ask(**changes))["code"]
        assert isinstance(code, int)
        return code


async def until(condition: Callable[[], bool]) -> None:
    """Let others go on until it holds; nothing sleeps."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in a server that has no event for it
        await asyncio.sleep(0)

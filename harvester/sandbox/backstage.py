"""What no API has: the truth, the accounts, the statistics, for tests and people; outside the API's namespace."""

import datetime as dt
from collections.abc import Iterator
from itertools import islice
from typing import Final

import orjson
from aiohttp import web

from harvester.model import AccountId, Window
from harvester.sandbox.bureau import Bureau

_LINES_AT_ONCE: Final = 500


class Backstage:
    """The `/sandbox/…` routes.

    Args:
        bureau: What is answered, and what is true.
    """

    __slots__ = ("_bureau",)

    def __init__(self, bureau: Bureau) -> None:
        self._bureau = bureau

    def routes(self) -> Iterator[web.RouteDef]:
        """`/sandbox/accounts`, `/sandbox/truth`, `/sandbox/stats`."""
        yield web.get("/sandbox/accounts", self._accounts)
        yield web.get("/sandbox/truth", self._truth)
        yield web.get("/sandbox/stats", self._seen)

    async def _accounts(self, _request: web.Request) -> web.Response:
        """Each account's id, its mean calls a day, and the code it answers with (0: it is well)."""
        accounts = [
            {"account_id": account_id, "calls_per_day": round(size, 3), "code": self._bureau.sickness.code(account_id)}
            for account_id, size in self._bureau.world.sizes.items()
        ]
        return web.Response(body=orjson.dumps(accounts), content_type="application/json")

    async def _seen(self, _request: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(self._bureau.stats.summary()), content_type="application/json")

    async def _truth(self, request: web.Request) -> web.StreamResponse:
        """NDJSON of an account and window, ordered by start, then `call_id`; late and vanished calls included."""
        query = request.query
        try:
            account_id = AccountId(int(query["account_id"]))
            start, end = (dt.date.fromisoformat(query[name]) for name in ("start_date", "end_date"))
            window = Window(start, end)
        except (KeyError, ValueError):
            raise web.HTTPBadRequest(text="account_id, start_date and end_date (YYYY-MM-DD) are needed\n") from None
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        calls = self._bureau.world.calls(account_id, window)
        while lines := b"".join(call + b"\n" for call in islice(calls, _LINES_AT_ONCE)):
            await response.write(lines)
        return response

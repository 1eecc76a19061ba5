"""What the tests of the API's dialect share: one account, one query, one secret, answers as bytes."""

import datetime as dt
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import orjson

from harvester.api.envelope import Request, Response
from harvester.errors import AttemptError
from harvester.model import Account, AccountId, AppName, Query, TokenName, Window

ACCOUNT_ID = AccountId(2045867)
APP = AppName("main")
TOKEN_NAME = TokenName("agency")
TOKEN = "SECRET0123456789abcdef0123456789"  # noqa: S105 - the one secret of the tests, which must show up nowhere
PHONE = "10000000001"
NOW_S = 1_793_404_800.0
"""2026-10-31 00:00 UTC: 08:00 in Beijing."""
ACCOUNT = Account(id=ACCOUNT_ID, token=TOKEN_NAME, app=APP)
WINDOW = Window(dt.date(2026, 10, 24), dt.date(2026, 10, 30))
QUERY = Query(account_id=ACCOUNT_ID, window=WINDOW, page=1, page_size=50)


def call(number: int) -> dict[str, Any]:
    """One call with some of the official fields."""
    return {"call_id": f"call-{number}", "caller": PHONE, "call_start_time": f"2026-10-24 10:00:{number % 60:02d}"}


def good(*calls: dict[str, Any], total: Any = None, **headers: str) -> Response:
    """A page of these calls."""
    info = {"page": 1, "page_size": 50, "total_number": len(calls) if total is None else total, "total_page": 1}
    return envelope({"code": 0, "message": "", "data": {"page_info": info, "entities": list(calls)}}, **headers)


def refused(code: int, message: str = "", **headers: str) -> Response:
    """A business error."""
    return envelope({"code": code, "message": message, "message_cn": ""}, **headers)


def envelope(content: dict[str, Any], **headers: str) -> Response:
    """HTTP 200 with this JSON; an underscore in a header's name stands for a hyphen."""
    return Response(200, {name.replace("_", "-"): value for name, value in headers.items()}, orjson.dumps(content))


def all_of(error: BaseException) -> str:
    """Everything that a log or a person could be shown of an error, its causes included."""
    return "\n".join([*traceback.format_exception(error), str(error), repr(error), repr(error.args)])


Answer = Response | AttemptError


@dataclass
class ScriptedTransport:
    """A fake `Transport`: answers in the order of a script, then well, each after a while.

    Attributes:
        script: What comes; an `AttemptError` is raised.
        latency_s: How long each answer takes.
        answer: What comes after the script, by request.
        requests: What was sent.
        sent_at: When, in loop time.
        most_in_flight: The largest number of requests at a time.
    """

    script: Iterable[Answer] = ()
    latency_s: float = 0.0
    answer: Callable[[Request], Answer] = lambda _: good()
    requests: list[Request] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self._script = iter(self.script)
        self._in_flight = 0

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        self.requests.append(request)
        self.sent_at.append(anyio.current_time())
        answer = next(self._script, None) or self.answer(request)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            await anyio.sleep(self.latency_s)
        finally:
            self._in_flight -= 1
        if isinstance(answer, AttemptError):
            raise answer
        return answer

    def values(self, name: str) -> Sequence[str]:
        """One parameter of all requests, as it travelled."""
        return [dict(part.split("=", 1) for part in one.query.split("&"))[name] for one in self.requests]

"""The hunt for what must not be seen: secrets and phone numbers, in every spelling, in all that is said and written."""

import asyncio
import html
import io
import json
import logging
import os
import re
import sqlite3
import stat
import threading
import traceback
import unicodedata
import warnings
from base64 import b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import orjson
from aiohttp import web

from harvester.cli import main
from harvester.errors import HarvesterError
from harvester.landing.ndjson import read_lines
from harvester.landing.writer import Writer
from harvester.model import Batch, Window
from harvester.report import logs
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.server import Sandbox, serve
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World

_PIECE = 8
"""Characters of a secret that are found wherever they stand: any 15 in a row of a leak hold such a piece whole."""
_CALLS = re.compile(r"(calls\.ndjson(\.zst|\.gz)?|.*\.part|.*\.tmp)")
"""Files that hold calls, and so phone numbers."""
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[ \-_./()\u2010-\u2015]{1,3}(?=\d)")
_UNSEEN = "\u200b"
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def _base64_of(value: str) -> Iterator[str]:
    """What every base64 of a text that holds the value holds, wherever it stands there."""
    for offset in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            whole = encode(b"\0" * offset + value.encode()).decode().rstrip("=")
            certain = (offset + len(value)) * 8 // 6
            yield whole[-(-offset * 8 // 6) : certain]


def _views(text: str) -> dict[str, str]:
    """The text as it stands and as somebody may read it."""
    views = {"as it stands": text}
    if "%" in text:
        views["unquoted"] = unquote(text)
        views["unquoted twice"] = unquote_plus(unquote(text))
    if "&" in text:
        views["of HTML"] = html.unescape(text)
    if "\\" in text:
        plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        views["of JSON"] = re.sub(r"\\(.)", r"\1", plain)
    seen = "".join(one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one) != "Cf")
    views["without separators"] = _BETWEEN_DIGITS.sub("", seen)
    return views


@dataclass
class Hunt:
    """What must not be seen, and where it was seen all the same.

    Attributes:
        secrets: By the name that findings call them; their values never stand in a finding.
        phones: The numbers.
        found: What was seen: where, what, how.
    """

    secrets: dict[str, str] = field(repr=False)
    phones: frozenset[str] = field(default=frozenset(), repr=False)
    found: set[str] = field(default_factory=set, repr=False)
    _needles: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    def also(self, name: str, secret: str | None) -> None:
        """Another secret."""
        if secret and secret not in self.secrets.values():
            self.secrets[name] = secret
            self._needles.clear()

    def also_phones(self, *phones: str) -> None:
        """More numbers."""
        self.phones |= set(phones)
        self._needles.clear()

    def in_text(self, where: str, text: str, *, phones: bool = True) -> None:
        """Looks through a text."""
        if not self._needles:
            ways = [(name, how, needle) for name, value in self.secrets.items() for how, needle in _ways(value)]
            ways += [("a phone", "", phone) for phone in self.phones]
            ways += [("a phone", "base64", needle) for phone in self.phones for needle in _base64_of(phone)]
            self._needles = {needle: (name, how) for name, how, needle in reversed(ways)}
        for view, shown in _views(text).items():
            for needle, (name, how) in self._needles.items():
                if needle in shown and (phones or name != "a phone"):
                    self.found.add(f"{where}: {name} {how}, {view}")

    def in_folder(self, root: Path, *, tokens: Path) -> None:
        """Looks through every file below a folder: the calls' own may hold phones, those of the token store secrets.

        Args:
            root: Everything below it.
            tokens: The token store's folder.
        """
        for path in sorted(root.rglob("*")):
            where = str(path.relative_to(root))
            self.in_text("the name of a file", where)
            if tokens in path.parents:
                self._in_the_store(path, where)
            elif path.is_file():
                self._in_file(path, where)
        if tokens.exists() and (mode := stat.S_IMODE(tokens.stat().st_mode)) != 0o700:
            self.found.add(f"the folder of tokens is open: {mode:o}")

    def _in_the_store(self, path: Path, where: str) -> None:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode != 0o600:
            self.found.add(f"{where}: open to others, {mode:o}")
        if path.suffix == ".lock" and path.stat().st_size:
            self.found.add(f"{where}: a lock holds something")

    def _in_file(self, path: Path, where: str) -> None:
        if path.suffix in {".zst", ".gz"}:
            self.in_text(where, b"\n".join(read_lines(path)).decode(errors="replace"), phones=False)
        elif path.name == "ledger.sqlite":
            self._in_ledger(path)
        content = path.read_bytes().decode(errors="replace")
        columns_were_seen = path.name.startswith("ledger.sqlite")
        self.in_text(where, content, phones=not (columns_were_seen or _CALLS.fullmatch(path.name)))

    def _in_ledger(self, path: Path) -> None:
        """Every text of every column: they are for people. Blobs hold what walks need, and no secret."""
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
            tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                cursor = ledger.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - the ledger's own names
                names = [column[0] for column in cursor.description]
                for row in cursor:
                    for name, value in zip(names, row, strict=True):
                        if isinstance(value, bytes):
                            self.in_text(f"{table}.{name}", value.decode(errors="replace"), phones=False)
                        else:
                            self.in_text(f"{table}.{name}", str(value))

    def nothing(self) -> bool:
        """Whether nothing was seen; prints what was, without any value."""
        for one in sorted(self.found):
            print("SEEN", one)  # noqa: T201 - pytest shows it where an assertion fails
        return not self.found


def _ways(value: str) -> Iterator[tuple[str, str]]:
    """Texts that tell on a secret: pieces of it, and what it becomes."""
    yield "whole", value
    yield from (("a piece", value[start : start + _PIECE]) for start in range(0, len(value) - _PIECE + 1, _PIECE))
    yield from (("base64", needle) for needle in _base64_of(value) if len(needle) >= _PIECE)
    yield from (("hex", form(value.encode().hex())) for form in (str.lower, str.upper))


class _Raw(logging.Handler):
    """Everything that is logged, as it was before any net."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        told = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        self.lines.append(f"{record.name} {record.getMessage()} {record.args!r} {told}")


@dataclass
class Heard:
    """All that was said while one listened.

    Attributes:
        printed: On stdout and stderr, the log among it.
        raw: Handler of the log as it was before the net.
        errors: Every error of harvester's own that was made.
    """

    printed: io.StringIO = field(default_factory=io.StringIO)
    raw: _Raw = field(default_factory=_Raw)
    errors: list[HarvesterError] = field(default_factory=list)

    def give(self, hunt: Hunt) -> None:
        """Has all of it looked through."""
        hunt.in_text("what was printed", self.printed.getvalue())
        hunt.in_text("the log before the net", "\n".join(self.raw.lines))
        for error in self.errors:
            hunt.in_text(f"a {type(error).__name__}", whole_story(error))


def whole_story(error: BaseException) -> str:
    """All that could be shown of an error and of every other that hangs on it, also where a traceback would not."""
    told, left, met = "", [error], set[int]()
    while left:
        one = left.pop()
        if id(one) in met:
            continue
        met.add(id(one))
        told += "\n".join([*traceback.format_exception(one), str(one), repr(one), repr(one.args)])
        left += [other for other in (one.__cause__, one.__context__) if other is not None]
        left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return told


@contextmanager
def listening(style: str = "text") -> Iterator[Heard]:
    """Listens at debug level, to every library; the log is set up as the program does it, and as loud as it can be."""
    heard, root, own = Heard(), logging.getLogger(), logging.getLogger("harvester")
    handlers, levels = root.handlers[:], (root.level, own.level)
    root.handlers.clear()  # so that they are not closed

    def made(error: HarvesterError, *arguments: object) -> None:
        heard.errors.append(error)
        Exception.__init__(error, *arguments)

    try:
        with (
            redirect_stdout(heard.printed),
            redirect_stderr(heard.printed),
            patch.object(HarvesterError, "__init__", made),
        ):
            logs.set_up(style, quiet=False)
            root.handlers.insert(0, heard.raw)
            root.setLevel(logging.DEBUG)
            own.setLevel(logging.DEBUG)
            yield heard
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        own.setLevel(levels[1])


Trick = Callable[["Echo", web.Request], web.StreamResponse]
"""An answer that harms."""


class Echo(Sandbox):
    """A sandbox that says back what it was told, wherever an answer has room for it, as long as it has tricks.

    Attributes:
        hunt: What it says.
        tricks: One for each request, in this order; then `always`, if there is one; then it answers well.
        always: What every request meets.
        on: Which endpoints are not well.
        met: How many requests were.
    """

    def __init__(self, world: World, switches: Switches, clock: Callable[[], float]) -> None:
        super().__init__(world, switches, clock)
        self.hunt = Hunt({})
        self.tricks: deque[Trick] = deque()
        self.always: Trick | None = None
        self.on: frozenset[Endpoint] = frozenset(Endpoint)
        self.met = 0
        self._sayings: Iterator[str] = iter(())

    def arm(self, hunt: Hunt) -> None:
        """Tells it what to say."""
        self.hunt = hunt
        self._sayings = cycle([*sayings(hunt.secrets.values(), sorted(hunt.phones)[:2])])

    def says(self) -> str:
        """The next thing to say; nothing of it may be seen."""
        return next(self._sayings)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answers for calls."""
        return self._trick(request) or await super().get(request)

    async def accounts(self, request: web.Request) -> web.StreamResponse:
        """Answers for lists of accounts."""
        return self._trick(request) or await super().accounts(request)

    async def renew(self, request: web.Request) -> web.StreamResponse:
        """Answers for tokens."""
        return self._trick(request) or await super().renew(request)

    def _trick(self, request: web.Request) -> web.StreamResponse | None:
        if Endpoint(request.path) not in self.on:
            return None
        trick = self.tricks.popleft() if self.tricks else self.always
        if trick is None:
            return None
        self.met += 1
        return trick(self, request)


def sayings(secrets: Iterable[str], phones: Iterable[str]) -> Iterator[str]:
    """Texts, each with a secret or a phone in another spelling, the last ones at places where texts are cut."""
    for value in secrets:
        yield from spellings(value)
        for pad in (150, 170, 180, 185, 190, 195, 199):
            yield f"{'. ' * (pad // 2)}{value}"
    for phone in phones:
        yield from (
            phone, f"call {phone}!", f"x{phone}y", f"+86{phone}", f"+86 {phone[:3]} {phone[3:7]} {phone[7:]}",
            f"{phone[:3]}-{phone[3:7]}-{phone[7:]}", f"({phone[:3]}){phone[3:]}", _UNSEEN + _UNSEEN.join(phone),
            "".join(chr(ord(one) + 0xFEE0) for one in phone), quote(f"+86 {phone}"), f"trace-{phone}",
            f"{phone[:3]}.{phone[3:7]}.{phone[7:]}", f"{phone[:3]}_{phone[3:7]}_{phone[7:]}", f"%2B86{phone}",
            *(b64encode(f"{before}{phone}".encode()).decode().rstrip("=") for before in ("", "a", "ab")),
            "".join(f"&#{ord(one)};" for one in phone), "".join(f"\\u{ord(one):04x}" for one in phone),
        )  # fmt: skip


def spellings(value: str) -> Iterator[str]:
    """A secret as a server may write it."""
    yield from (
        value,
        f"access_token={quote(value, safe='')}&nonce=1",
        quote(value, safe=""),
        quote_plus(value).lower() if "%" in quote_plus(value) else value,
        quote(quote(value, safe=""), safe=""),
        json.dumps(value)[1:-1],
        orjson.dumps(orjson.dumps(value).decode()).decode(),
        html.escape(value),
        repr(value)[1:-1],
        f"{_UNSEEN}{value[:5]}{_UNSEEN}{value[5:]}\x1b[0m",
        f"Bearer {value}.",
        b64encode(value.encode()).decode(),
        urlsafe_b64encode(value.encode()).decode().rstrip("="),
        b64encode(f"token={value}".encode()).decode(),
        value.encode().hex(),
    )


def everything(echo: Echo, request: web.Request) -> str:
    """A text with all that there is to say."""
    return f"{request.path_qs} {' '.join(sayings(echo.hunt.secrets.values(), echo.hunt.phones))}"


def refusing(code: object, **more: object) -> Trick:
    """An envelope with a code, and what must not be seen in everything else that it has."""

    def answer(echo: Echo, request: web.Request) -> web.StreamResponse:
        body: dict[str, object] = {
            "code": code,
            "message": echo.says(),
            "message_cn": echo.says(),
            "trace_id": echo.says(),
            "code_type": echo.says(),
            "errors": [{"type": echo.says(), "description": everything(echo, request)}],
            "data": {"request_id": echo.says(), "list": echo.says()},
        }
        return web.Response(body=orjson.dumps(body | more), headers=telling_headers(echo))

    return answer


def telling_headers(echo: Echo) -> dict[str, str]:
    """The headers that a client looks at, and some others."""
    names = ("X-TSA-Trace-Id", "Retry-After", "Date", "X-RateLimit-Remaining", "Set-Cookie", "Server", "X-Echo")
    return {name: _in_a_header(echo.says()) for name in names}


def _in_a_header(text: str) -> str:
    return "".join(one if " " <= one <= "~" else " " for one in text)


def page_of_html(status: int) -> Trick:
    """A gateway's page, with all that there is to say, also in its reason."""

    def answer(echo: Echo, request: web.Request) -> web.StreamResponse:
        text = everything(echo, request)
        return web.Response(
            status=status,
            reason=_in_a_header(echo.says()),
            body=f"<html><title>{text}</title>{html.escape(text)}</html>".encode(),
            content_type="text/html",
            headers=telling_headers(echo),
        )

    return answer


def broken_json(echo: Echo, request: web.Request) -> web.StreamResponse:
    """Half of a JSON text."""
    return web.Response(body=orjson.dumps({"code": 11002, "message": everything(echo, request)})[:-30])


def odd_data(echo: Echo, request: web.Request) -> web.StreamResponse:
    """An answer that is well, but for what it holds."""
    text = everything(echo, request)
    info = {"page_info": {"total_number": text, "page_size": text}, "entities": text, "access_token": {"a": text}}
    return web.Response(body=orjson.dumps({"code": 0, "message": text, "data": info}), headers=telling_headers(echo))


def no_http(echo: Echo, request: web.Request) -> web.StreamResponse:
    """A status line that is none, and says everything."""
    if request.transport:
        request.transport.write(f"HTTP/1.1 {everything(echo, request)}\r\n\r\n".encode())
        request.transport.close()
    return web.Response()


def odd_header(echo: Echo, request: web.Request) -> web.StreamResponse:
    """Headers that no client reads, with everything in them."""
    if request.transport:
        text = everything(echo, request)
        request.transport.write(f"HTTP/1.1 200 OK\r\n{text}\r\nContent-Length: {text}\r\n\r\n".encode())
        request.transport.close()
    return web.Response()


def redirect_to(status: int, target: str) -> Trick:
    """Go there, and take this along."""

    def answer(echo: Echo, request: web.Request) -> web.StreamResponse:
        location = target.format(query=request.rel_url.raw_query_string, here=request.path_qs)
        return web.Response(status=status, headers=telling_headers(echo) | {"Location": location})

    return answer


TRICKS: Mapping[str, Trick] = {
    "html": page_of_html(200),
    "forbidden": page_of_html(403),
    "gateway": page_of_html(502),
    "too many": page_of_html(429),
    "half of a JSON": broken_json,
    "odd data": odd_data,
    "no HTTP": no_http,
    "odd headers": odd_header,
    "a code that is a text": refusing("13800138000x"),
    "a code that nobody knows": refusing(987_654_321),
    "a code of the system": refusing(987_654_321, code_type="SysException"),
    "no code": refusing(None),
    "another place": redirect_to(302, "http://elsewhere.invalid/?{query}"),
}


@asynccontextmanager
async def echoing(world: World, switches: Switches, clock: Callable[[], float]) -> AsyncIterator[Echo]:
    """An echo for as long as the block lasts."""
    with patch("harvester.sandbox.server.Sandbox", Echo):
        async with serve(world, switches, clock=clock) as served:
            assert isinstance(served, Echo)
            yield served


def phones_of(world: World, window: Window) -> frozenset[str]:
    """Every number that the calls of a world hold."""
    calls = (orjson.loads(line) for account in world.account_ids for line in world.calls(account, window))
    return frozenset(call[side] for call in calls for side in ("caller", "callee"))


def program() -> None:
    """`harvester`, as loud as it can be; `HUNT_BUG` says where it stumbles. Run as `python -m tests.secrets_hunt`."""
    bug = os.environ.pop("HUNT_BUG", "")
    quiet_set_up = logs.set_up

    def loud(style: str, *, quiet: bool) -> None:
        quiet_set_up(style, quiet=quiet)
        for name in ("", "harvester"):
            logging.getLogger(name).setLevel(logging.DEBUG)

    async def stumble(writer: Writer, batch: Batch) -> None:
        said = f"{batch.calls[0].line!r} of {os.environ['HARVESTER_TOKEN']}"
        match bug:
            case "thread":
                threading.Thread(target=_raises, args=(said,)).start()
            case "finaliser":
                _Finalised(said)
            case "warning":
                warnings.warn(said, stacklevel=1)
            case "group":
                raise BaseExceptionGroup(said, [KeyboardInterrupt(said), ValueError(said)])
            case "callback":
                asyncio.get_running_loop().call_soon(lambda: _raises(said))
            case _:
                raise KeyError(said)
        await collect(writer, batch)

    with patch.object(logs, "set_up", loud):
        collect = Writer._collect
        if bug:
            Writer._collect = stumble  # type: ignore[method-assign,assignment]  # it is another process
        main()


def _raises(said: str) -> None:
    raise ValueError(said)


class _Finalised:
    def __init__(self, said: str) -> None:
        self.said = said

    def __del__(self) -> None:
        raise ValueError(self.said)


if __name__ == "__main__":
    program()

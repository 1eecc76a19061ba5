"""The API's dialect: a query's parameters out, an envelope's page or fault in. Pure.

Facts are from the v3.0 documentation unless marked; what other answers of this API were seen to contain (digit
strings or `""` for numbers, null or absent lists) is read as what it means.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import msgspec

from harvester.api.codes import Fault
from harvester.api.quota.figures import Figure
from harvester.model import Call, Page, Query, Stray
from harvester.record import read_record

CALLS_PATH: Final = "/v3.0/leads_call_records/get"
_SECRETISH = re.compile(
    r"[A-Za-z0-9_\-+/=.%~]{24,}"  # a long token
    r"|(?<!\d)(?!(?:19|20)\d\d-[01]\d-[0-3]\d\b)\d(?:[ \-\u2010-\u2015.()]{0,2}\d){6,}"  # a phone number; no date
)
"""What an answer says and nobody repeats. Rather a harmless number masked than a phone number shown."""
_TEXT_MAX = 200
_LONE_SURROGATE = re.compile(
    rb"((?<!\\)(?:\\\\)*)"  # not itself escaped
    rb"(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
"""Half of a surrogate pair: no text, and no reader of the landing zone would take it. It becomes U+FFFD."""
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Request:
    """What travels: a path below the base URL, and a query string that holds secrets and so is never shown."""

    path: str
    query: str

    def __repr__(self) -> str:
        return f"Request({self.path!r}, ***)"


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: status, headers with lower-case names, and the body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request_calls(query: Query, *, access_token: str, nonce: str, timestamp: int) -> Request:
    """The request for one page.

    Args:
        query: What is asked for.
        access_token: Travels in the query string, as the API demands.
        nonce: At most 32 characters, never used before with this token.
        timestamp: Unix seconds, at most 300 s off.
    """
    after = "" if query.after is None else f"&search_after={quote(query.after, safe='')}"
    return Request(
        CALLS_PATH,
        f"access_token={quote(access_token, safe='')}&timestamp={timestamp}&nonce={nonce}"
        f"&account_id={query.account_id}&page={query.page}&page_size={query.page_size}"
        f"&start_date={query.window.start}&end_date={query.window.end}{after}",
    )


class _Data(msgspec.Struct, gc=False):
    page_info: Any = None
    entities: list[msgspec.Raw] | None = None


class _Envelope(msgspec.Struct, gc=False):
    code: Any
    message: Any = ""
    message_cn: Any = ""
    code_type: Any = ""
    trace_id: Any = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


_envelope = msgspec.json.Decoder(_Envelope).decode
_data = msgspec.json.Decoder(_Data).decode


class _NotUnderstoodError(ValueError):
    """The body is not what the API's documents promise; the message says in what way."""


def read_page(response: Response) -> Page | Fault:
    """Reads an answer. Business errors come with HTTP 200, and a 5xx may be a gateway's HTML."""
    date = http_date(response)
    retry_after_s = _seconds(response.headers.get("retry-after"))
    trace_id = _label(response.headers.get("x-tsa-trace-id"))
    try:
        code, envelope = _read_envelope(response.body)
        if code == 0 and response.status == 200:
            return _read_data(envelope.data, len(response.body))
    except (_NotUnderstoodError, RecursionError) as error:  # msgspec's own, for arrays nested a thousand deep
        text = f"HTTP {response.status}" if response.status != 200 else f"HTTP 200, {error}"
        return Fault(text=text, status=response.status, trace_id=trace_id, retry_after_s=retry_after_s, date=date)
    return Fault(
        text=cleaned(envelope.message_cn or envelope.message) if code else f"HTTP {response.status}",
        code=code or None,
        status=response.status,
        system=envelope.code_type == "SysException",
        trace_id=_label(envelope.trace_id) or trace_id,
        retry_after_s=retry_after_s,
        date=date,
    )


def _read_envelope(body: bytes) -> tuple[int, _Envelope]:
    size_bytes = len(body)
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        if not body.isascii():
            body.decode()
        envelope = _envelope(body)
    except UnicodeDecodeError:
        raise _NotUnderstoodError("a body that is not UTF-8") from None
    except msgspec.ValidationError:
        raise _NotUnderstoodError("JSON that is no envelope") from None
    except msgspec.DecodeError:
        mended = _LONE_SURROGATE.sub(rb"\1\\ufffd", body)
        if mended != body:
            return _read_envelope(mended)
        raise _NotUnderstoodError(f"a body that is no JSON or was cut short ({size_bytes} bytes)") from None
    code = number(envelope.code)
    if code is None:
        raise _NotUnderstoodError("no usable `code` in the envelope")
    return code, envelope


def _read_data(raw: msgspec.Raw, size_bytes: int) -> Page:
    try:
        data = _data(raw)
    except msgspec.DecodeError:
        data = _read_odd_data(raw)
    info = data.page_info if isinstance(data.page_info, dict) else {}
    entities = data.entities or []
    total = number(info.get("total_number"))
    if not entities and info.get("total_number") == "":
        total = 0  # an empty answer's empty number
    if total is not None and total < 0:
        total = None
    if total is None and not entities:
        raise _NotUnderstoodError("neither calls nor a count (page_info.total_number) in `data`")
    calls: list[Call] = []
    strays: list[Stray] = []
    for entity in entities:
        record = read_record(bytes(entity))
        if isinstance(record, Call):
            calls.append(record)
        else:
            strays.append(record)
    page_size = number(info.get("page_size"))
    return Page(
        calls=calls,
        strays=strays,
        total=total,
        page_size=page_size if page_size and page_size > 0 else None,
        size_bytes=size_bytes,
    )


def _read_odd_data(raw: msgspec.Raw) -> _Data:
    """`data` whose `entities` is an empty something else than a list, as PHP back ends write it."""
    try:
        data = msgspec.json.decode(raw)
    except msgspec.DecodeError:  # syntax was checked with the envelope; values such as 1e999 were not
        data = None
    if not isinstance(data, dict) or data.get("entities"):
        raise _NotUnderstoodError("no usable `data` in the envelope")
    return _Data(page_info=data.get("page_info"))


def number(value: object) -> int | None:
    """An int64, also as a string of digits; `None` for anything else (seen elsewhere in this API: `""`)."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,19}\s*", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT64 else None


def cleaned(text: object) -> str:
    """A server's text made fit for a terminal and a log: one line, short, nothing that may be a secret or a phone."""
    if not isinstance(text, str):
        return ""
    # what cannot be seen goes first: it must not split what would be masked
    plain = "".join(one if one.isprintable() else " " if one.isspace() else "" for one in text)
    plain = _SECRETISH.sub("***", plain).strip()
    return plain if len(plain) <= _TEXT_MAX else plain[: _TEXT_MAX - 1] + "…"


def _label(text: object) -> str | None:
    """A trace id as it may be shown; never what could be a phone number."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_.:\-]{1,80}", text):
        return None
    return None if re.fullmatch(r"[\d-]{7,14}", text) else text


def _seconds(header: str | None) -> float | None:
    return float(header) if header and re.fullmatch(r"[0-9]{1,6}", header.strip()) else None


def read_figure(response: Response) -> Figure | None:
    """`X-RateLimit-Remaining`: percents left of the app's day, then of its minute (documented); `None` if unusable."""
    header = response.headers.get("x-ratelimit-remaining")
    return None if header is None else _figure(header)


@lru_cache(maxsize=1024)
def _figure(header: str) -> Figure | None:
    found = re.fullmatch(r"\s*([0-9]{1,3})\s*%?\s*,\s*([0-9]{1,3})\s*%?\s*", header)
    return Figure(min(100, int(found[1])), min(100, int(found[2]))) if found else None


def http_date(response: Response) -> float | None:
    """The server's clock, Unix seconds; `None` when it does not say."""
    header = response.headers.get("date")
    return _date(header) if header else None


@lru_cache(maxsize=16)
def _date(header: str) -> float | None:
    """Unix seconds. HTTP dates are GMT, also those that do not say so; the machine's own zone never matters."""
    try:
        date = parsedate_to_datetime(header)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None

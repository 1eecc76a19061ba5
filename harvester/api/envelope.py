"""What travels, and the envelope around every answer: secrets out, a server's words cleaned. Pure.

Facts are from the v3.0 documentation unless marked; what other answers of this API were seen to contain (digit
strings or `""` for numbers) is read as what it means.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from harvester.api.codes import Fault
from harvester.secret import MASK, Secret, places, tells

Content = TypeVar("Content")
_SECRETISH = re.compile(
    r"[A-Za-z0-9_\-+/=.%~]{24,}"  # a long token
    r"|[A-Za-z0-9+/_-]*(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){3,}[A-Za-z0-9+/_-]*"  # nine digits in base64
    r"|(?<!\d)(?!(?:19|20)\d\d-[01]\d-[0-3]\d\b)\d(?:[ \-_\u2010-\u2015.()]{0,2}\d){6,}"  # a phone number; no date
)
"""What an answer says and nobody repeats. Rather a harmless number masked than a phone number shown."""
_PHONE = re.compile(
    r"(?<!\d)(?:86)?(?:1[3-9]\d[-_.:]?\d{4}[-_.:]?\d{4}|0[1-9]\d{1,2}[-_.:]?\d{3,4}[-_.:]?\d{4})(?!\d)"
    r"|(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){3,}"
)
"""What no trace id is shown with; one in some hundreds has it by chance."""
_CODE_MAX = 999_999_999
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
    """What travels: a path below the base URL, and a query string that holds secrets and so is never shown.

    Attributes:
        path: As the documents name it.
        query: Encoded.
        safe: The part of the query that may be shown, such as the account and the days.
        fresh: Whether it travels on a connection of its own: a kept-alive one may be closed under it, and then nobody
            knows whether it arrived.
    """

    path: str
    query: str
    safe: str = ""
    fresh: bool = False

    def __repr__(self) -> str:
        return f"Request({self.path}?{self.safe or '***'})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Passport:
    """What every business call carries in its query string (documented).

    Attributes:
        access: The access token.
        nonce: At most 32 characters, never used before with this token.
        timestamp: Unix seconds, at most 300 s off.
    """

    access: Secret
    nonce: str
    timestamp: int

    def in_query(self) -> str:
        """As it travels: not to be shown."""
        token = quote(self.access.reveal(), safe="")
        return f"access_token={token}&timestamp={self.timestamp}&nonce={self.nonce}"


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: status, headers with lower-case names, and the body, decompressed: phones, or new tokens."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class NotUnderstoodError(ValueError):
    """The body is not what the API's documents promise; the message says in what way."""


class _Envelope(msgspec.Struct, gc=False):
    code: Any
    message: Any = ""
    message_cn: Any = ""
    code_type: Any = ""
    trace_id: Any = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


_envelope = msgspec.json.Decoder(_Envelope).decode


def read(response: Response, content: Callable[[msgspec.Raw], Content]) -> Content | Fault:
    """Reads an answer. Business errors come with HTTP 200, and a 5xx may be a gateway's HTML.

    Args:
        response: The answer.
        content: Reads the `data` of a good one; raises `NotUnderstoodError`.
    """
    date = http_date(response)
    retry_after_s = _seconds(response.headers.get("retry-after"))
    trace_id = label(response.headers.get("x-tsa-trace-id"))
    try:
        code, envelope = _read_envelope(response.body)
        if code == 0 and response.status == 200:
            return content(envelope.data)
    except (NotUnderstoodError, RecursionError) as error:  # msgspec's own, for arrays nested a thousand deep
        text = f"HTTP {response.status}" if response.status != 200 else f"HTTP 200, {error}"
        return Fault(text=text, status=response.status, trace_id=trace_id, retry_after_s=retry_after_s, date=date)
    return Fault(
        text=cleaned(envelope.message_cn or envelope.message) if code else f"HTTP {response.status}",
        message=cleaned(envelope.message),
        message_cn=cleaned(envelope.message_cn),
        code=code or None,
        status=response.status,
        system=envelope.code_type == "SysException",
        trace_id=label(envelope.trace_id) or trace_id,
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
        raise NotUnderstoodError("a body that is not UTF-8") from None
    except msgspec.ValidationError:
        raise NotUnderstoodError("JSON that is no envelope") from None
    except msgspec.DecodeError:
        mended = _LONE_SURROGATE.sub(rb"\1\\ufffd", body)
        if mended != body:
            return _read_envelope(mended)
        raise NotUnderstoodError(f"a body that is no JSON or was cut short ({size_bytes} bytes)") from None
    code = number(envelope.code)
    if code is None or abs(code) > _CODE_MAX:  # a longer one might be a phone number
        raise NotUnderstoodError("no usable `code` in the envelope")
    return code, envelope


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
    plain = _struck_out(plain, [*places(plain), *(found.span() for found in _SECRETISH.finditer(plain))]).strip()
    if tells(plain):
        return MASK
    return plain if len(plain) <= _TEXT_MAX else plain[: _TEXT_MAX - 1] + "…"


def _struck_out(text: str, places: Iterable[tuple[int, int]]) -> str:
    """The text with asterisks at these places, which may overlap: once for all that do."""
    kept, end = "", 0
    for start, stop in sorted(places):
        if start >= end:
            kept += text[end:start] + MASK
        end = max(end, stop)
    return kept + text[end:]


def label(text: object) -> str | None:
    """A trace id as it may be shown; never what could be a phone number, or what holds a secret."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_.:\-]{1,80}", text):
        return None
    harmful = re.fullmatch(r"[\d-]{7,14}", text) or _PHONE.search(text) or any(places(text)) or tells(text)
    return None if harmful else text


def _seconds(header: str | None) -> float | None:
    return float(header) if header and re.fullmatch(r"[0-9]{1,6}", header.strip()) else None


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

"""The API's dialect: a query's parameters out, an envelope's page or fault in. Pure.

Facts are from the v3.0 documentation unless marked; what other answers of this API were seen to contain (digit
strings or `""` for numbers, null or absent lists) is read as what it means.
"""

import re
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from harvester.api.codes import Fault
from harvester.api.envelope import NotUnderstoodError, Passport, Request, Response, number, read
from harvester.api.quota.figures import Figure
from harvester.calls import Call, Calls, Stray
from harvester.model import Page, Query
from harvester.record import UsualKeys, read_record, usual_calls

CALLS_PATH: Final = "/v3.0/leads_call_records/get"


def request_calls(query: Query, passport: Passport) -> Request:
    """The request for one page.

    Args:
        query: What is asked for.
        passport: Of this attempt.
    """
    after = "" if query.after is None else f"&search_after={_encoded(query.after)}"
    safe = (
        f"account_id={query.account_id}&page={query.page}&page_size={query.page_size}"
        f"&start_date={query.window.start}&end_date={query.window.end}{after}"
    )
    return Request(CALLS_PATH, f"{passport.in_query()}&{safe}", safe)


@lru_cache(maxsize=128)
def _encoded(cursor: str) -> str:
    return quote(cursor, safe="")


class _Data(msgspec.Struct, gc=False):
    page_info: Any = None
    entities: list[msgspec.Raw] | None = None


_data = msgspec.json.Decoder(_Data).decode


def read_page(response: Response) -> Page | Fault:
    """The page of an answer, or what is wrong with it."""
    page = usual_page(response)
    return page if page is not None else read(response, lambda data: _read_data(data, len(response.body)))


class _Info(msgspec.Struct, gc=False):
    total_number: int
    page_size: int | None = None


class _UsualData(msgspec.Struct, gc=False):
    page_info: _Info
    entities: list[msgspec.Raw]


class _UsualEnvelope(msgspec.Struct, gc=False):
    code: Literal[0]
    data: _UsualData


class _DataKeys(msgspec.Struct, gc=False):
    entities: list[UsualKeys]


class _EnvelopeKeys(msgspec.Struct, gc=False):
    data: _DataKeys


_usual = msgspec.json.Decoder(_UsualEnvelope).decode
_usual_keys = msgspec.json.Decoder(_EnvelopeKeys).decode


def usual_page(response: Response) -> Page | None:
    """The page of an answer in which nothing is out of the ordinary; `None` for any other, which `read` looks into.

    It says of a page what `read` would, and costs a third: one pass for the calls' own bytes, one for their keys.
    """
    body = response.body
    if response.status != 200 or b"\n" in body or b"\r" in body:
        return None
    try:
        if not body.isascii():
            body.decode()
        data, keys = _usual(body).data, _usual_keys(body).data.entities
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    calls = usual_calls(keys, list(map(bytes, data.entities)))
    total, page_size = number(data.page_info.total_number), number(data.page_info.page_size)
    if calls is None or total is None or total < 0:
        return None
    return Page(calls=calls, total=total, page_size=_positive(page_size), size_bytes=len(body))


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
        raise NotUnderstoodError("neither calls nor a count (page_info.total_number) in `data`")
    records = [read_record(bytes(entity)) for entity in entities]
    calls = Calls.of(record for record in records if isinstance(record, Call))
    strays = tuple(record for record in records if isinstance(record, Stray))
    page_size = number(info.get("page_size"))
    return Page(
        calls=calls,
        strays=strays,
        total=total,
        page_size=_positive(page_size),
        size_bytes=size_bytes,
    )


def _positive(value: int | None) -> int | None:
    return value if value and value > 0 else None


def _read_odd_data(raw: msgspec.Raw) -> _Data:
    """`data` whose `entities` is an empty something else than a list, as PHP back ends write it."""
    try:
        data = msgspec.json.decode(raw)
    except msgspec.DecodeError:  # syntax was checked with the envelope; values such as 1e999 were not
        data = None
    if not isinstance(data, dict) or data.get("entities"):
        raise NotUnderstoodError("no usable `data` in the envelope")
    return _Data(page_info=data.get("page_info"))


def read_figure(response: Response) -> Figure | None:
    """`X-RateLimit-Remaining`: percents left of the app's day, then of its minute (documented); `None` if unusable."""
    header = response.headers.get("x-ratelimit-remaining")
    return None if header is None else _figure(header)


@lru_cache(maxsize=1024)
def _figure(header: str) -> Figure | None:
    found = re.fullmatch(r"\s*([0-9]{1,3})\s*%?\s*,\s*([0-9]{1,3})\s*%?\s*", header)
    return Figure(min(100, int(found[1])), min(100, int(found[2]))) if found else None

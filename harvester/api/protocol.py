"""The API's dialect: a query's parameters out, an envelope's page or fault in. Pure.

Facts are from the v3.0 documentation unless marked; what other answers of this API were seen to contain (digit
strings or `""` for numbers, null or absent lists) is read as what it means.
"""

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import msgspec

from harvester.api.codes import Fault
from harvester.api.envelope import NotUnderstoodError, Passport, Request, Response, number, read
from harvester.api.quota.figures import Figure
from harvester.calls import Call, Calls, Stray
from harvester.model import Page, Query
from harvester.record import read_record, read_records

CALLS_PATH: Final = "/v3.0/leads_call_records/get"


def request_calls(query: Query, passport: Passport) -> Request:
    """The request for one page.

    Args:
        query: What is asked for.
        passport: Of this attempt.
    """
    after = "" if query.after is None else f"&search_after={quote(query.after, safe='')}"
    safe = (
        f"account_id={query.account_id}&page={query.page}&page_size={query.page_size}"
        f"&start_date={query.window.start}&end_date={query.window.end}{after}"
    )
    return Request(CALLS_PATH, f"{passport.in_query()}&{safe}", safe)


class _Data(msgspec.Struct, gc=False):
    page_info: Any = None
    entities: list[msgspec.Raw] | None = None


_data = msgspec.json.Decoder(_Data).decode


def read_page(response: Response) -> Page | Fault:
    """The page of an answer, or what is wrong with it."""
    return read(response, lambda data: _read_data(data, len(response.body)))


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
    lines = list(map(bytes, entities))
    calls = read_records(lines)
    strays: list[Stray] = []
    if calls is None:
        records = list(map(read_record, lines))
        calls = Calls.of(record for record in records if isinstance(record, Call))
        strays = [record for record in records if isinstance(record, Stray)]
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

"""The documented wire: a query string in, what it asks for or the API's own refusal out. Pure."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import orjson

from harvester.model import AccountId, Window
from harvester.sandbox.entity import FIELDS
from harvester.sandbox.pages import Ask
from harvester.sandbox.switches import Oversize, Switches

NONCE_CHARS_MAX: Final = 32
"""Documented."""
WINDOW_DAYS_MAX: Final = 30
"""The largest difference of `end_date` and `start_date` (documented)."""

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)
_INT64_MAX: Final = (1 << 63) - 1


class Rejected(Exception):
    """A business error: a code that is not 0, HTTP 200.

    Attributes:
        code: The return code.
        values: What the code's message has in its `{}`, in order.
    """

    def __init__(self, code: int, *values: object) -> None:
        self.code = code
        self.values = values
        super().__init__(code, *values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The three global parameters of every business call (documented).

    Attributes:
        access: `access_token`.
        timestamp: Unix seconds.
        nonce: At most 32 characters.
    """

    access: str
    timestamp: int
    nonce: str


def parameters(query: str) -> dict[str, str]:
    """The raw query string, decoded; a space may come as `%20` or `+`; of a repeated name the first counts."""
    return dict(reversed(parse_qsl(query, keep_blank_values=True)))


def credentials(given: Mapping[str, str]) -> Credentials:
    """The global parameters.

    Raises:
        Rejected: 12000 one is missing, 11005 the token is empty, 18002 the timestamp is no integer, 18003 the nonce is
            too long, 18004 the nonce is empty.
    """
    if not given.keys() >= {"access_token", "timestamp", "nonce"}:
        raise Rejected(12000)
    access, nonce = given["access_token"], given["nonce"]
    if not access:
        raise Rejected(11005)
    if not nonce:
        raise Rejected(18004, "nonce", "1 character")
    if len(nonce) > NONCE_CHARS_MAX:
        raise Rejected(18003, "nonce", f"{NONCE_CHARS_MAX} characters")
    return Credentials(access=access, timestamp=integer(given, "timestamp"), nonce=nonce)


def ask(given: Mapping[str, str], switches: Switches) -> Ask:
    """What is asked for.

    Raises:
        Rejected: With the code of the first mistake, in the order of the official page's parameters.
    """
    account_id = AccountId(integer(given, "account_id"))
    page_size, page = integer(given, "page_size"), integer(given, "page")
    window = _window(_date(given, "start_date"), _date(given, "end_date"))
    after = _moment(given["search_after"]) if given.get("search_after") else None
    if page_size < 1:
        raise Rejected(18004, "page_size", 1)
    if page_size > switches.max_page_size and switches.oversize is Oversize.REFUSE:
        raise Rejected(60013)
    if after is None:
        if page < 1:
            raise Rejected(60012)
        depth = page * min(page_size, switches.max_page_size)
        if switches.max_depth is not None and depth > switches.max_depth:
            raise Rejected(60022)
    names = frozenset(fields(given["fields"], FIELDS) if given.get("fields") else ())
    wanted = names if names and names != set(FIELDS) else None
    return Ask(account_id=account_id, window=window, page=page, page_size=page_size, after=after, fields=wanted)


def required(given: Mapping[str, str], name: str) -> str:
    """A parameter that has to be there.

    Raises:
        Rejected: 18001 it is not.
    """
    if name not in given:
        raise Rejected(18001, name)
    return given[name]


def integer(given: Mapping[str, str], name: str) -> int:
    """A JSON integer of 64 bits: no quotes, no sign but a minus, no leading zero, no fraction (types are strict).

    Raises:
        Rejected: 18001 it is not there, 18002 it is none.
    """
    text = required(given, name)
    if not _INTEGER.fullmatch(text) or abs(number := int(text)) > _INT64_MAX:
        raise Rejected(18002, name, "integer")
    return number


def _date(given: Mapping[str, str], name: str) -> dt.date:
    text = required(given, name)
    try:
        return dt.date.fromisoformat(_shaped(text, _DATE))
    except ValueError:
        raise Rejected(60073, name) from None


def _moment(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(_shaped(text, _MOMENT))
    except ValueError:
        raise Rejected(60073, "search_after") from None


def _shaped(text: str, shape: re.Pattern[str]) -> str:
    """`fromisoformat` alone would take more shapes than the API documents."""
    if not shape.fullmatch(text):
        raise ValueError(text)
    return text


def _window(start: dt.date, end: dt.date) -> Window:
    if end < start:
        raise Rejected(31057, "end_date", "start_date")
    if (end - start).days > WINDOW_DAYS_MAX:
        raise Rejected(31002, "end_date", f"within {WINDOW_DAYS_MAX} days of start_date")
    return Window(start, end)


def fields(text: str, known: Iterable[str]) -> list[str]:
    """The names of a JSON array, as official clients send `fields`.

    Raises:
        Rejected: 12003 no JSON, 12008 no array of names, 12009 a name that there is not.
    """
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Rejected(12003) from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Rejected(12008)
    if not set(names) <= set(known):
        raise Rejected(12009)
    return names

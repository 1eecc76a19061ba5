"""Answers as bytes: the documented envelope around a page or a refusal. Pure."""

import re
from collections.abc import Mapping
from typing import Final

import orjson

from harvester.sandbox.codes import code_type, messages
from harvester.sandbox.pages import Leaf
from harvester.sandbox.switches import Empty, Numbers, Switches
from harvester.sandbox.wire import Rejected

_EXTRA_IN_CALL: Final = r',"sandbox_extra":{"ratio":2.50,"big":18446744073709551615,"text":"\u7535\u8bdd \"/\" "}}'
"""A field no document knows, with values that change when a client reads and rewrites them carelessly."""
_EXTRA_IN_ENVELOPE: Final = '"sandbox_extra":["unknown",null],'
_TOKENS: Final = re.compile(rb'(?P<text>"(?:[^"\\]|\\.)*")|(?P<opening>[{\[,])|(?P<closing>[}\]])|(?P<colon>:)')


def refusal(rejected: Rejected, trace_id: str) -> bytes:
    """A business error; mistakes in a parameter carry `errors` too, as the API does now and then (documented)."""
    message, message_cn = messages(rejected.code, rejected.values)
    body: dict[str, object] = {
        "trace_id": trace_id,
        "code": rejected.code,
        "message_cn": message_cn,
        "message": message,
        "code_type": code_type(rejected.code),
    }
    if rejected.values:
        body["errors"] = [{"type": "PARAM_EXCEPTION", "description": message}]
    return orjson.dumps(body)


def answer(page: Leaf, switches: Switches, request_id: str, fields: frozenset[str] | None) -> bytes:
    """A page of calls, each as its own exact bytes unless a switch or `fields` says otherwise."""
    entities = page.entities
    if fields is not None:
        entities = [_only(entity, fields) for entity in entities]
    if switches.extra_field:
        entities = [entity[:-1] + _EXTRA_IN_CALL for entity in entities]
    body = (
        f'{{"code":0,{_EXTRA_IN_ENVELOPE if switches.extra_field else ""}"data":{{"page_info":'
        f'{_page_info(page, switches.numbers)},"request_id":"{request_id}"{_entities(entities, switches.empty)}}},'
        f'"message_cn":"","message":""}}'
    ).encode()
    return _pretty(body) if switches.pretty else body


def good(data: Mapping[str, object], switches: Switches) -> bytes:
    """Any other good answer."""
    body = orjson.dumps({"code": 0, "message": "", "message_cn": "", "data": data})
    if switches.extra_field:
        body = b"{" + _EXTRA_IN_ENVELOPE.encode() + body[1:]
    return _pretty(body) if switches.pretty else body


def shown(value: int, numbers: Numbers) -> int | str:
    """A number as it is written, for JSON."""
    if numbers is Numbers.STRING:
        return str(value)
    return "" if numbers is Numbers.EMPTY_ZERO and value == 0 else value


def _only(entity: str, fields: frozenset[str]) -> str:
    return orjson.dumps({name: value for name, value in orjson.loads(entity).items() if name in fields}).decode()


def _entities(entities: list[str], empty: Empty) -> str:
    if entities or empty is Empty.LIST:
        return f',"entities":[{",".join(entities)}]'
    return ',"entities":null' if empty is Empty.NULL else ""


def _page_info(page: Leaf, numbers: Numbers) -> str:
    values = {
        "page": page.page,
        "page_size": page.page_size,
        "total_number": page.total,
        "total_page": -(-page.total // page.page_size),
    }
    return "{" + ",".join(f'"{name}":{_number(value, numbers)}' for name, value in values.items()) + "}"


def _number(value: int, numbers: Numbers) -> str:
    number = shown(value, numbers)
    return f'"{number}"' if isinstance(number, str) else str(number)


def _pretty(body: bytes) -> bytes:
    """Line breaks and spaces between tokens; values stay as they are written: nothing here is parsed."""
    return _TOKENS.sub(_spaced, body)


def _spaced(token: re.Match[bytes]) -> bytes:
    match token.lastgroup:
        case "opening":
            return token[0] + b"\n  "
        case "closing":
            return b"\n" + token[0]
        case "colon":
            return b" : "
        case _:
            return token[0]

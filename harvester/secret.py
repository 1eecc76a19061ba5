"""Secrets that do not show themselves, and the net under them: whatever text holds one, is masked.

A token, an app's secret, a refresh token is a `Secret` from the config's edge to the request that carries it. Whatever
prints, logs or formats it prints asterisks, and it cannot be pickled or copied into a report by accident. Every
secret that exists is also known to `masked`, which the log, tracebacks and error texts pass through: the last net.
"""

import json
import logging
import re
import weakref
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from typing import Final, NoReturn
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK: Final = "***"
_GIVEAWAY: Final = 8
"""Characters from which a secret is looked for in texts; a shorter one may be any word."""
_IN_A_QUERY: Final = re.compile(
    r"((?:access_token|refresh_token|client_secret|authorization_code|nonce)"
    r"(?!: [a-z]{1,7} )"  # but for a sentence that goes on
    r"(?:=|%3[dD]|\\*[\"']?\s*[:=]\s*\\*[\"']?))"  # in a query, in a repr, in JSON, in JSON within JSON
    r"[^&\s\"'<>,;)}]*[^&\s\"'<>,;)}\\]"
)
"""What stands after one of these names is masked whether it is known or not."""
_PHONE: Final = re.compile(
    r"(?:(?<![0-9A-Za-z])|(?<=\\[nrt]))(?<!account )(?<!account_id=)(?:(?:\+|00)?86[ -]?)?"
    r"(?:1[3-9]\d[ -]?\d{4}[ -]?\d{4}|0[1-9]\d{1,2}[ -]?\d{3,4}[ -]?\d{4})(?![0-9A-Za-z])"  # mobiles, landlines
    r"|(?<![0-9A-Za-z])\+\d(?:[ -]?\d){7,14}(?!\d)"  # of other countries
)
"""Phone numbers as calls hold them; no number that harvester itself writes looks like one, but for some account's."""
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_URL_SAFE: Final = str.maketrans("+/", "-_")
_PIECE: Final = 12
"""Characters of a secret that are enough to tell on it."""
_known: Final = weakref.WeakValueDictionary[int, "Secret"]()
"""By identity: of two with one text either may outlive the other. No lock: a finaliser may log at any moment."""


class Secret:
    """A text that nobody may see.

    Args:
        value: The text itself; only `reveal` gives it back.
    """

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        _known[id(self)] = self

    def reveal(self) -> str:
        """The text itself: for the request, the token store, and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        """Refuses to be pickled."""
        raise TypeError("a secret is not pickled")


def masked(text: str) -> str:
    """The text with asterisks in place of every secret there is, plain, in a URL or in JSON, and of phone numbers."""
    for shown in sorted(set(_ways()), key=len, reverse=True):
        if shown in text:
            text = text.replace(shown, MASK)
    return _PHONE.sub(MASK, _IN_A_QUERY.sub(rf"\g<1>{MASK}", text))


def places(text: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a text: beginnings and ends; they may overlap."""
    for shown in set(_ways()):
        start = text.find(shown)
        while start >= 0:
            yield start, start + len(shown)
            start = text.find(shown, start + 1)


def tells(text: str) -> bool:
    """Whether a text from outside, once it is masked, tells on a secret all the same: a piece of it, or in disguise.

    Quoted twice, in HTML, in JSON within JSON, in base64, in hex.
    """
    unescaped = re.sub(r"\\(.)", r"\1", _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))
    readings = {text, unquote(text), unquote_plus(unquote(text)), unescape(text), unescaped}
    traces = {trace for known in _known.valuerefs() if (secret := known()) for trace in _traces(secret.reveal())}
    return any(_PHONE.search(reading) or any(trace in reading for trace in traces) for reading in readings)


@lru_cache(maxsize=4096)
def _traces(value: str) -> tuple[str, ...]:
    """What no text holds by chance that does not tell on a secret."""
    if len(value) < _GIVEAWAY:
        return ()
    raw = value.encode(errors="surrogatepass")
    pieces = [value[start : start + _PIECE] for start in range(0, len(value) - _PIECE + 1, _PIECE)]
    coded = []
    for before in range(3):  # what stands before it in the same base64
        whole = b64encode(bytes(before) + raw).decode().rstrip("=")
        certain = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        coded += [certain, certain.translate(_URL_SAFE)]
    return (value, *pieces, *coded, raw.hex(), raw.hex().upper())


def _ways() -> Iterator[str]:
    """How each secret may stand in a text."""
    for known in _known.valuerefs():
        secret = known()
        value = secret.reveal() if secret else ""
        if len(value) >= _GIVEAWAY:
            yield value
            if not (value.isascii() and value.isalnum()):
                yield from _written(value)


def _written(value: str) -> Iterator[str]:
    """A text in URLs, in JSON, and as Python shows it."""
    raw = value.encode(errors="surrogatepass")
    yield from (quote(raw, safe=""), quote_plus(raw), quote(raw))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    yield from (repr(value)[1:-1], repr(raw)[2:-1])
    yield repr(f"{value}'\"")[1:-4]  # as a part of a text that holds both kinds of quotes


class Net(logging.Filter):
    """The last net: no line of a log leaves with a secret in it, wherever it came from."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Writes the line, its arguments put in, and its traceback anew, without secrets."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a line that cannot be formatted must not bring its arguments to light
            text = f"a log line of {record.name} that cannot be formatted"
        record.msg, record.args = masked(text), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        record.exc_text = masked(record.exc_text) if record.exc_text else None
        record.stack_info = masked(record.stack_info) if record.stack_info else None
        return True

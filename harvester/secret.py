"""Secrets that do not show themselves, and the net under them: whatever text holds one, is masked.

A token, an app's secret, a refresh token is a `Secret` from the config's edge to the request that carries it. Whatever
prints, logs or formats it prints asterisks, and it cannot be pickled or copied into a report by accident. Every
secret that exists is also known to `masked`, which the log, tracebacks and error texts pass through: the last net.
"""

import json
import logging
import re
import threading
import weakref
from collections.abc import Iterator
from typing import Final, NoReturn
from urllib.parse import quote, quote_plus

MASK: Final = "***"
_GIVEAWAY: Final = 8
"""Characters from which a secret is looked for in texts; a shorter one may be any word."""
_IN_A_QUERY: Final = re.compile(
    r"((?:access_token|refresh_token|client_secret|authorization_code|nonce)(?:=|%3[dD]|[\"']?\s*[:=]\s*[\"']?))[^&\s\"'<>,;)}]+"
)
"""What stands after one of these names is masked whether it is known or not."""
_known: "weakref.WeakSet[Secret]" = weakref.WeakSet()
_lock: Final = threading.Lock()


class Secret:
    """A text that nobody may see.

    Args:
        value: The text itself; only `reveal` gives it back.
    """

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        with _lock:
            _known.add(self)

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
    """The text with asterisks in place of every secret there is, plain, in a URL or in JSON."""
    for shown in sorted(set(_ways()), key=len, reverse=True):
        if shown in text:
            text = text.replace(shown, MASK)
    return _IN_A_QUERY.sub(rf"\g<1>{MASK}", text)


def _ways() -> Iterator[str]:
    """How each secret may stand in a text."""
    with _lock:
        values = [secret.reveal() for secret in _known]
    for value in values:
        if len(value) >= _GIVEAWAY:
            yield value
            if not value.isalnum():
                yield from (quote(value, safe=""), quote_plus(value), quote(value), json.dumps(value)[1:-1])
                yield repr(value)[1:-1]


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

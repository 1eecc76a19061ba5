"""How a config's words are shown to a person without ever showing a secret.

A message may quote what somebody wrote only if it cannot be a secret: short text, numbers, days. Anything longer than
`LONGEST` characters might be a token in the wrong place and is described instead; anything that came out of `${…}` is
quoted as it was written, never as what it became.
"""

import datetime as dt
import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Self

LONGEST = 24
"""Characters of a value that may be quoted; access tokens are longer (32 as far as seen)."""

KEPT = 12
"""Characters kept of a key or table name that is longer than `LONGEST`."""

GIVEAWAY = 8
"""Characters from which a secret is recognised where it does not belong; shorter ones may be any word."""

_URL = re.compile(r"([A-Za-z]{1,8})://([^/?#]*)(.*)", re.DOTALL)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_KINDS = {dict: "a table", list: "an array", dt.datetime: "a date with a time", dt.time: "a time"}


class Expanded(str):
    """A string that came out of `${…}`: its value to use, its template to show.

    Attributes:
        template: The text as written, defaults and long literals left out: fit to be printed.
        sources: Where the values came from, for a person: `environment variable NAME`.
    """

    __slots__ = ("sources", "template")

    template: str
    sources: tuple[str, ...]

    def __new__(cls, value: str, template: str, sources: Sequence[str]) -> Self:
        """Makes one; a str is filled when it is made."""
        made = super().__new__(cls, value)
        made.template = template
        made.sources = tuple(sources)
        return made

    def __repr__(self) -> str:
        return self.template


class Unresolved:
    """Stands where a `${…}` could not be resolved, which has been reported: nothing else is said about the key."""


UNRESOLVED = Unresolved()


def shown(value: object) -> str:
    """The value as a message may quote it.

    Args:
        value: Anything a TOML file or a CSV cell can hold.

    Returns:
        The value in TOML's notation if it is short and harmless, otherwise what kind of thing it is.
    """
    if isinstance(value, Expanded):
        return value.template
    if isinstance(value, str):
        return _shown_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value}" if abs(value) < 10**LONGEST else "a huge number"
    if type(value) is dt.date:
        return value.isoformat()
    return _KINDS.get(type(value), "something else")


def _shown_text(text: str) -> str:
    if match := _URL.match(text):
        host = match[2] if all(len(label) <= LONGEST for label in match[2].split(".")) else "…"
        return "a URL with a user name" if "@" in text else quoted(f"{match[1]}://{host}{'/…' if match[3] else ''}")
    return quoted(text) if len(text) <= LONGEST else f"a text of {len(text)} characters"


def quoted(text: str) -> str:
    """The text in double quotes, unprintable characters escaped, so that it cannot steer a terminal."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def shown_name(name: str) -> str:
    """A key's or table's name for a message: cut after `KEPT` characters if it is long enough to be a token."""
    if len(name) > LONGEST:
        name = name[:KEPT] + "…"
        return name if _BARE_KEY.fullmatch(name[:-1]) else quoted(name)
    return name if _BARE_KEY.fullmatch(name) else quoted(name)


def shown_variable(name: str) -> str:
    """An environment variable's name; one that is long and not in CAPITALS_AND_UNDERSCORES may be a pasted token."""
    return name if len(name) <= LONGEST or (name.isupper() and "_" in name) else "…"


def shown_path(path: str) -> str:
    """A path as written; one that is long and does not begin like a path may be a pasted token."""
    return path if path.isprintable() and (len(path) <= LONGEST or path.startswith(("/", "."))) else "…"


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with asterisks in place of every secret of at least `GIVEAWAY` characters, plain or escaped."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= GIVEAWAY:
            text = text.replace(secret, "***").replace(quoted(secret)[1:-1], "***")
        if len(secret) > LONGEST:
            begun = secret[:KEPT] + "…"  # as a name is shown that is long enough to be a token
            text = text.replace(begun, "***").replace(quoted(begun)[1:-1], "***")
    return text


def dotted(location: Sequence[str | int]) -> str:
    """A key's full name as a person looks it up: `accounts.ids[3]`, `apps.main.client_id`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{shown_name(part)}"
    return text.removeprefix(".")


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """The name that was probably meant, as the end of a message; empty if none is near."""
    near = difflib.get_close_matches(found[:100].casefold(), list(known), n=1)
    return f"did you mean {shown_name(near[0])}?" if near else ""

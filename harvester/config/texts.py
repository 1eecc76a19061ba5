"""The leaves that are texts in the TOML file: URLs, words, names, secrets, paths. And the array of account ids."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from harvester.config.leaves import Leaf
from harvester.config.show import quoted
from harvester.config.values import URL_FORMS, UnfitError, parse_base_url


class BaseUrl(Leaf):
    """The API's base URL."""

    expected = URL_FORMS

    def read(self, raw: object) -> str:
        """The URL without a slash at its end."""
        if not isinstance(raw, str):
            raise UnfitError(raw, self.expected)
        return parse_base_url(raw)

    def schema(self) -> dict[str, Any]:
        """A string; which hosts may use http is beyond a pattern."""
        return {"type": "string", "pattern": "^https?://[^/?#@]+/?$"}


@dataclass(frozen=True, slots=True)
class Choice(Leaf):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The words."""
        *first, last = map(quoted, self.words)
        return f"{', '.join(first)} or {last}"

    def read(self, raw: object) -> str:
        """The word."""
        if not isinstance(raw, str) or raw not in self.words:
            raise UnfitError(raw, self.expected)
        return str(raw)

    def schema(self) -> dict[str, Any]:
        """The words."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Text(Leaf):
    """A string that matches `pattern` whole; `wanted` says so to a person."""

    pattern: str
    wanted: str

    @property
    def expected(self) -> str:
        """As the key's author put it."""
        return self.wanted

    def read(self, raw: object) -> str:
        """The string."""
        if not isinstance(raw, str):
            whole = isinstance(raw, int) and not isinstance(raw, bool)
            raise UnfitError(raw, self.expected, "put it in quotes" if whole else "")
        if not re.fullmatch(self.pattern, raw):
            raise UnfitError(raw, self.expected)
        return str(raw)

    def schema(self) -> dict[str, Any]:
        """A string with the pattern."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


class Secret(Leaf):
    """A token or secret: printable ASCII without spaces; nothing of it is ever shown."""

    secret = True
    templated = False
    expected = "a text without spaces, at most 4096 characters"

    def read(self, raw: object) -> SecretStr:
        """The secret, wrapped so that printing it shows asterisks."""
        if isinstance(raw, str) and re.fullmatch(r"[!-~]{1,4096}", raw):
            return SecretStr(str(raw))
        if raw == "":
            raise UnfitError(raw, self.expected)
        fault = "spaces, line breaks or odd characters in it" if isinstance(raw, str) else "something other than a text"
        raise ValueError(f"found {fault} (not shown); expected {self.expected}")

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "minLength": 1}

    def text(self, value: object) -> str:  # noqa: ARG002 - it is what must not be shown
        """Asterisks."""
        return '"***"'


class FilePath(Leaf):
    """A path, relative to the config's folder or absolute."""

    templated = False
    expected = "a path"

    def read(self, raw: object) -> Path:
        """The path as written."""
        if not isinstance(raw, str) or not raw.strip() or "\0" in raw:
            raise UnfitError(raw, self.expected)
        if raw.startswith("~"):
            raise UnfitError(raw, self.expected, "~ is not understood here; write ${HOME}")
        return Path(str(raw))

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "minLength": 1}


class Array(Leaf):
    """An array of account ids, whose elements are checked together with the accounts file."""

    templated = False
    expected = "an array of account ids, such as [2045867]"

    def read(self, raw: object) -> tuple[object, ...]:
        """The elements as written."""
        if not isinstance(raw, list):
            raise UnfitError(raw, self.expected)
        return tuple(raw)

    def schema(self) -> dict[str, Any]:
        """Integers; a string may be an expansion."""
        template = {"type": "string", "pattern": r"\$\{"}
        return {"type": "array", "items": {"anyOf": [{"type": "integer", "minimum": 1}, template]}}

    def text(self, value: tuple[object, ...]) -> str:
        """The elements in brackets."""
        return f"[{', '.join(map(str, value))}]"

"""What a single key may hold: how it is read, shown and described to editors.

A leaf sits in a field's `Annotated[…]`. pydantic asks it to read the value, so that every message is in the house's
words; `explain` asks it for the text of a value, `schema` for its JSON Schema.
"""

import datetime as dt
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from harvester.config.show import Expanded, quoted
from harvester.config.values import (
    DAY_FORMS,
    DAY_PATTERN,
    DURATION_FORMS,
    DURATION_PATTERN,
    SIZE_FORMS,
    SIZE_PATTERN,
    DayExpr,
    UnfitError,
    format_duration,
    format_size,
    parse_day,
    parse_duration,
    parse_size,
)


class Leaf(ABC):
    """Base of all of them.

    Attributes:
        secret: Whether the value is never shown.
        templated: Whether editors must also accept `${…}` in place of the value.
    """

    secret: ClassVar[bool] = False
    templated: ClassVar[bool] = True

    @property
    @abstractmethod
    def expected(self) -> str:
        """What the key may hold, for a person."""

    @abstractmethod
    def read(self, raw: object) -> object:
        """The typed value of what the TOML file holds; raises `UnfitError`."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value as TOML writes it."""

    def text(self, value: Any) -> str:
        """The typed value in TOML's notation."""
        return quoted(str(value))

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic read the value with this leaf and nothing else."""
        return core_schema.no_info_plain_validator_function(self.read)


@dataclass(frozen=True, slots=True)
class Whole(Leaf):
    """A whole number from `low` to `high`; `off` says how the key is turned off, `None` that it cannot be.

    `word` may stand in place of the number; `None`: no word may.
    """

    low: int
    high: int
    off: Literal["absent", "none"] | None = None
    word: str | None = None

    @property
    def expected(self) -> str:
        """The bounds."""
        words = "".join(f' or "{word}"' for word in self._words)
        return f"a whole number from {self.low} to {self.high}{words}"

    @property
    def _words(self) -> list[str]:
        return [word for word in (self.word, "none" if self.off == "none" else None) if word]

    def read(self, raw: object) -> int | str | None:
        """The number, or the word; `None` for `"none"` where that turns the key off."""
        if self.off == "none" and raw == "none":
            return None
        if self.word is not None and raw == self.word:
            return self.word
        number = int(raw) if isinstance(raw, Expanded) and re.fullmatch(r"[0-9]{1,18}", raw) else raw
        if not isinstance(number, int) or isinstance(number, bool) or not self.low <= number <= self.high:
            raise UnfitError(raw, self.expected, self._hint(raw))
        return number

    def _hint(self, raw: object) -> str:
        if isinstance(raw, str) and not isinstance(raw, Expanded) and re.fullmatch(r"[0-9]+", raw):
            return "write it without quotes"
        ways = {"absent": "leave the key out to turn it off", "none": 'write "none" to turn it off', None: ""}
        return ways[self.off] if raw in (0, "0", "off", "None", "none", "") else ""

    def schema(self) -> dict[str, Any]:
        """An integer, or a word."""
        number = {"type": "integer", "minimum": self.low, "maximum": self.high}
        words = [{"const": word} for word in self._words]
        return {"anyOf": [number, *words]} if words else number

    def text(self, value: int | str | None) -> str:
        """The digits, or the word."""
        return str(value) if isinstance(value, int) else quoted(value or "none")


@dataclass(frozen=True, slots=True)
class Measure(Leaf):
    """A number with a unit, from `low` to `high`, both as a config writes them; `off`: `"none"` turns the key off."""

    low: str
    high: str
    off: bool = False
    forms: ClassVar[str]
    pattern: ClassVar[str]

    @staticmethod
    @abstractmethod
    def parse(text: str, /) -> float:
        """The number in the base unit; raises `ValueError`."""

    @property
    def expected(self) -> str:
        """The notation and the bounds."""
        return f"{self.forms}, from {self.low} to {self.high}" + (', or "none"' if self.off else "")

    def read(self, raw: object) -> float | None:
        """The number in the base unit; `None` for `"none"` where that turns the key off."""
        if self.off and raw == "none":
            return None
        if not isinstance(raw, str):
            bare = isinstance(raw, int | float) and not isinstance(raw, bool)
            raise UnfitError(raw, self.expected, "a number alone has no unit" if bare else "")
        try:
            number = self.parse(raw)
        except ValueError:
            hint = "a number alone has no unit" if re.fullmatch(r"[0-9.]+", raw) else ""
            raise UnfitError(raw, self.expected, hint) from None
        if not self.parse(self.low) <= number <= self.parse(self.high):
            raise UnfitError(raw, self.expected)
        return number

    @staticmethod
    @abstractmethod
    def format(number: Any, /) -> str:
        """The number in its largest whole unit."""

    def text(self, value: float | None) -> str:
        """The number in its largest whole unit, or `"none"`."""
        return quoted("none" if value is None else self.format(value))

    def schema(self) -> dict[str, Any]:
        """A string with the notation's pattern, or `"none"`; the bounds are in the description only."""
        text = {"type": "string", "pattern": f"^{self.pattern}$"}
        return {"anyOf": [text, {"const": "none"}]} if self.off else text


@dataclass(frozen=True, slots=True)
class Duration(Measure):
    """A duration, read as seconds."""

    forms = DURATION_FORMS
    pattern = DURATION_PATTERN
    parse = staticmethod(parse_duration)
    format = staticmethod(format_duration)


@dataclass(frozen=True, slots=True)
class Size(Measure):
    """A size, read as bytes."""

    forms = SIZE_FORMS
    pattern = SIZE_PATTERN
    parse = staticmethod(parse_size)
    format = staticmethod(format_size)


class Day(Leaf):
    """A day expression; a TOML date is one too."""

    expected = DAY_FORMS

    def read(self, raw: object) -> DayExpr:
        """The day, still to be placed on a calendar."""
        if isinstance(raw, DayExpr):
            return raw  # the default, read for the sake of the comparison with its neighbour
        if isinstance(raw, dt.date) and not isinstance(raw, dt.datetime):
            raw = raw.isoformat()
        if not isinstance(raw, str):
            raise UnfitError(raw, self.expected)
        return parse_day(raw)

    def schema(self) -> dict[str, Any]:
        """A string with the notation's pattern."""
        return {"type": "string", "pattern": f"^{DAY_PATTERN}$"}


def leaf_of(metadata: list[Any]) -> Leaf:
    """The leaf among a field's annotations; every key has one."""
    return next(entry for entry in metadata if isinstance(entry, Leaf))

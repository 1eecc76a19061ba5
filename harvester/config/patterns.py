"""Patterns over the accounts that the API lists: `id:2045*`, `name:*上海*`, `status:CUSTOMER_STATUS_NORMAL`."""

import re
from typing import Any

from harvester.config.leaves import Leaf
from harvester.config.show import Unresolved, did_you_mean, quoted, shown
from harvester.config.values import UnfitError
from harvester.roll import FIELDS, Pattern

PATTERN_FORMS = '"id:…", "name:…" or "status:…" with *, ? and [abc]'

_PREFIXED = re.compile(rf"({'|'.join(FIELDS)}):(.+)", re.DOTALL)
_LIKE_AN_ID = re.compile(r"[0-9*?\[\]-]+")
_LIKE_A_STATUS = re.compile(r"[A-Z_*?\[\]-]*_[A-Z_*?\[\]-]*")


def parse_pattern(raw: object) -> Pattern:
    """Reads one pattern.

    Raises:
        ValueError: With what was found, what is expected, and what was probably meant.
    """
    if not isinstance(raw, str):
        raise UnfitError(raw, PATTERN_FORMS)
    if match := _PREFIXED.fullmatch(raw):
        return next(Pattern(field, str(match[2])) for field in FIELDS if field == match[1])
    raise UnfitError(raw, PATTERN_FORMS, _meant(raw))


def _meant(text: str) -> str:
    """What was probably meant; nothing of a text that may be a secret is repeated."""
    prefix, colon, rest = text.partition(":")
    if colon:
        return did_you_mean(prefix, FIELDS).replace("?", ":…?") if rest else "nothing stands after the colon"
    field = "id" if _LIKE_AN_ID.fullmatch(text) else "status" if _LIKE_A_STATUS.fullmatch(text) else "name"
    whole = f"{field}:{text}"
    return f"did you mean {quoted(whole)}?" if text and shown(text) == quoted(text) else f'did you mean "{field}:…"?'


class Patterns(Leaf):
    """An array of patterns; what is wrong with any of them is said at once."""

    templated = False
    expected = f"an array of patterns, {PATTERN_FORMS}"

    def read(self, raw: object) -> tuple[Pattern, ...]:
        """The patterns in their order."""
        if not isinstance(raw, list | tuple):
            raise UnfitError(raw, self.expected, "put it in brackets" if isinstance(raw, str) else "")
        found: list[Pattern] = []
        faults: list[str] = []
        for number, one in enumerate(raw):
            if isinstance(one, Unresolved):
                continue  # reported before
            try:
                found.append(one if isinstance(one, Pattern) else parse_pattern(one))
            except ValueError as error:
                faults.append(f"[{number}]: {error}")
        if faults:
            raise ValueError("; ".join(faults))
        return tuple(found)

    def schema(self) -> dict[str, Any]:
        """Strings with a field's prefix; an expansion may bring it."""
        prefix = rf"^(?:{'|'.join(FIELDS)}):.|\$\{{"
        return {"type": "array", "items": {"type": "string", "pattern": prefix}}

    def text(self, value: tuple[Pattern, ...]) -> str:
        """The patterns in brackets."""
        return f"[{', '.join(quoted(str(one)) for one in value)}]"

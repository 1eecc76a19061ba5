"""Reading the TOML file itself; what is wrong with its syntax is said in words that quote nothing of it."""

import re
import tomllib
from pathlib import Path
from typing import Any

from harvester.errors import ConfigError, Problem

_PLACE = re.compile(r"\(at line (?P<line>[0-9]+), column (?P<column>[0-9]+)\)$")
_EXPLANATIONS = {
    "Invalid value": 'not a TOML value; a text, a day or a duration needs quotes, as in start = "today-7"',
    "Invalid date": "the calendar has no such date",
    "Cannot declare": "this table is already in the file",
    "Cannot overwrite": "this key is already in the file",
    "Duplicate inline": "this key is already in the table",
    "Unterminated": "a text that is not closed",
    "Illegal character": "a text that is not closed on its line, or a forbidden character",
    "Unescaped": "a backslash in a text; write two, or use single quotes",
    'Expected "\'"': "a text that is not closed",
    "Expected '='": "a key without = and a value",
    "Expected ']'": "a table's name that is not closed with ]",
    "Expected newline": "something after the value that does not belong there",
    "Unclosed array": "an array that is not closed, or a missing comma",
}


def read_toml(path: Path) -> dict[str, Any]:
    """What the file holds.

    Raises:
        ConfigError: The file cannot be read, or is not UTF-8, or not TOML. Nothing else can be checked then.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            [Problem(where=str(path), message=f"cannot be read: {error.strerror}{_advice(error)}")]
        ) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem(where=f"{path.name}: line {line}", message="is not UTF-8; save the file as UTF-8")
        raise ConfigError([problem]) from None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([_syntax_problem(path.name, text, str(error))]) from None


def _advice(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "; name the config that you made: configs/nightly.toml is one to copy and begin with"
    return "; make it readable for the user that runs harvester" if isinstance(error, PermissionError) else ""


def _syntax_problem(file: str, text: str, reason: str) -> Problem:
    """The place and an explanation of a TOML error; the parser's own words may quote a secret."""
    place = _PLACE.search(reason)
    line, column = (place["line"], place["column"]) if place else (str(len(text.splitlines())), "end")
    explanation = next((plain for start, plain in _EXPLANATIONS.items() if reason.startswith(start)), "")
    message = "not TOML" + (
        f": {explanation}" if explanation else "; every line is a [table], a key = value or a # comment"
    )
    return Problem(where=f"{file}: line {line}, column {column}", message=message)

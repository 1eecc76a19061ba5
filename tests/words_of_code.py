"""What the program can say: every text in its code, so that a document can be held against it."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent.parent / "harvester"
_FIELD: Final = re.compile(r"%(?:\(\w+\))?[-+ #0]*[\d.*]*[sdfFr]")
"""A field of a log message, as `logging` fills it in."""
_NUMBER: Final = r"(?<!\w)\d[\d,.:+-]*(?:\s?%| s\b| MiB\b)?"
_JOINT: Final = r"…|[.:;,(]\s|[()]"
"""Where what is said may be put together from several texts; an ellipsis is where a document leaves something out."""
_LEAST_LETTERS: Final = 3


@cache
def pieces() -> frozenset[str]:
    """What stands between two fields of the code's texts; docstrings are not said."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        silent = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
                found.update(_FIELD.split(node.value.replace("%%", "%")))
    return frozenset(found)


def fragments(quote: str, names: str) -> Iterator[str]:
    """The clauses of a quoted message without its numbers.

    Args:
        quote: As it stands in a document.
        names: A pattern of what else in it is an example, such as an app's name.
    """
    for part in re.split(rf"{_JOINT}|{_NUMBER}|{names}", quote):
        if sum(map(str.isalpha, part)) >= _LEAST_LETTERS:
            yield part.strip()


def is_said(fragment: str) -> bool:
    """Whether these words, whole ones, stand in one of the code's texts."""
    words = re.compile(rf"(?<!\w){re.escape(fragment)}(?!\w)")
    return any(words.search(piece) for piece in pieces())

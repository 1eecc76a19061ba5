"""What a section is made of. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: Its id on the page.
        caption: What it is of.
        head: The columns' names; the first column names the row.
        rows: As many cells each.
        words: Columns that hold words, by their place; the others hold numbers.
        folded: Whether it is closed until somebody opens it.
        more: Rows that were left out.
    """

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = frozenset({0})
    folded: bool = False
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section.

    Attributes:
        name: Its id on the page.
        title: In English.
        title_cn: In Chinese.
        lines: What is said in words, a paragraph each.
        pictures: Names of pictures, in order; those that were not drawn are left out.
        tables: What the pictures show, and more.
    """

    name: str
    title: str
    title_cn: str
    lines: Sequence[str] = ()
    pictures: Sequence[str] = ()
    tables: Sequence[Table] = field(default_factory=tuple)


def first(rows: Sequence[Sequence[str]], most: int) -> tuple[Sequence[Sequence[str]], int]:
    """The first rows, and how many are left out."""
    return rows[:most], max(0, len(rows) - most)

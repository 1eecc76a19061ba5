"""Reads a page back: what a person, or a program for people who cannot see, gets of it."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Table:
    """A table as it stands on the page."""

    caption: str = ""
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def column(self, name: str) -> dict[str, str]:
        """A column by the first cell of each row."""
        place = self.head.index(name)
        return {row[0]: row[place] for row in self.rows}

    def numbers(self, name: str) -> dict[str, int]:
        """A column of whole numbers."""
        return {key: int(value.replace(",", "")) for key, value in self.column(name).items()}


class Page(HTMLParser):
    """A page, parsed: its elements, ids, tables, and the texts in its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: Counter[str] = Counter()
        self.tables: dict[str, Table] = {}
        self.pictures: dict[str, dict[str, str]] = {}
        """Name → what is told of it: `title`, `desc`, and its texts as `text`."""
        self.words: dict[str, str] = {}
        """Section → its text."""
        self._open: list[str] = []
        self._table: Table | None = None
        self._picture: dict[str, str] | None = None
        self._section = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element."""
        self.tags[tag] += 1
        found = {key: value or "" for key, value in attrs}
        self.attributes += [(tag, key, value) for key, value in found.items()]
        if "id" in found:
            self.ids[found["id"]] += 1
        if tag not in VOID:
            self._open.append(tag)
        match tag:
            case "table":
                self._table = self.tables[found["id"]] = Table()
            case "tr" if self._table and "tbody" in self._open:
                self._table.rows.append([])
            case "th" if self._table and "thead" in self._open:
                self._table.head.append("")
            case "th" | "td" if self._table:
                self._table.rows[-1].append("")
            case "svg":
                assert found["role"] == "img"
                name = found["aria-labelledby"].split("-")[0]
                self._picture = self.pictures[name] = {"title": "", "desc": "", "text": ""}
            case "section":
                self._section = found["id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element without content."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Every element is closed in its turn."""
        assert self._open.pop() == tag
        if tag == "table":
            self._table = None
        if tag == "svg":
            self._picture = None
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        """Puts a text where it belongs."""
        if self._section:
            self.words[self._section] = self.words.get(self._section, "") + data
        if self._picture is not None and self._open[-1] in self._picture:
            self._picture[self._open[-1]] += f"{data}\n"
        if self._table is not None:
            if "caption" in self._open:
                self._table.caption += data
            elif "thead" in self._open and self._table.head:
                self._table.head[-1] += data.strip("\n")
            elif self._table.rows and self._table.rows[-1]:
                self._table.rows[-1][-1] += data.strip("\n")


def assert_self_contained(page: Page) -> None:
    """Nothing on a page has to be fetched or run, its ids are unique, and what it refers to is on it."""
    assert page.tags.keys().isdisjoint({"script", "iframe", "object", "embed", "img", "base", "form", "foreignobject"})
    assert [key for _, key, _ in page.attributes if key.startswith("on")] == []
    assert {value for _, key, value in page.attributes if key in {"href", "src"} and not value.startswith("#")} == {
        "data:,"  # the icon: else a browser asks for one
    }
    for forbidden in ("://", "@import", "javascript:", "url(http"):
        assert forbidden not in page.text
    assert [name for name, number in page.ids.items() if number > 1] == []
    referred = [value[1:] for _, key, value in page.attributes if key == "href" and value.startswith("#")]
    named = [one for _, key, value in page.attributes if key == "aria-labelledby" for one in value.split()]
    clipped = [value[5:-1] for _, key, value in page.attributes if key == "clip-path"]
    assert [name for name in (*referred, *named, *clipped) if name not in page.ids] == []
    assert "var(--" in page.text
    assert "#0a0b" not in page.text  # a colour that stands for another one


def assert_told(page: Page) -> None:
    """Each picture says in words what it shows; each table has a caption, a head, and rows as wide as that."""
    for name, told in page.pictures.items():
        assert told["title"].strip(), name
        assert len(told["desc"].split()) > 3, name
    for name, table in page.tables.items():
        assert table.caption, name
        assert table.rows, name
        assert {len(row) for row in table.rows} == {len(table.head)}, name

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.config.expand import MAX_FILE_BYTES, Surroundings, expand, expand_text
from harvester.config.show import UNRESOLVED, Expanded

ENV = {"A": "one", "B": "two", "EMPTY": "", "TRICKY": "${A}"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("<${A}-${B}>", "<one-two>"),
        ("${A:-x}", "one"),
        ("${NONE:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${NONE:-}", ""),
        ("$${A}", "${A}"),
        ("$${A} ${A}", "${A} one"),
        ("$A {A} $", "$A {A} $"),
        ("${TRICKY}", "${A}"),
    ],
)
def test_references_give_way_to_their_values(text: str, value: str) -> None:
    """Variables, defaults and escapes are put in, once."""
    assert expand_text(text, Surroundings(ENV, Path())) == (value, [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("${NONE}", "environment variable NONE is not set"),
        ("${EMPTY}", "environment variable EMPTY is empty"),
        ("${A", "not closed"),
        ("${A:-${B}}", "not closed, or braces inside"),
        ("${}", "not understood"),
        ("${1A}", "not understood"),
        ("${A-x}", "not understood"),
        ("${file:}", "cannot be read"),
        ("${file:nowhere}", "file nowhere cannot be read: No such file"),
        ("${file:\0}", "no file's path"),
    ],
)
def test_what_cannot_be_resolved_is_named(tmp_path: Path, text: str, fault: str) -> None:
    """Every kind of bad reference has its own words."""
    _, faults = expand_text(text, Surroundings(ENV, tmp_path))
    assert len(faults) == 1
    assert fault in faults[0]


def test_every_bad_reference_of_a_text_is_reported() -> None:
    """Two faults in one string are two faults."""
    _, faults = expand_text("${X} ${Y}", Surroundings({}, Path()))
    assert len(faults) == 2


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\n", b"\xef\xbb\xbfs3cret\n"])
def test_a_file_loses_the_line_break_at_its_end(tmp_path: Path, content: bytes) -> None:
    """A secret's file may end in a line break or not; its path is relative to the config."""
    (tmp_path / "x").write_bytes(content)
    assert expand_text("<${file:x}>", Surroundings({}, tmp_path)) == ("<s3cret>", [])
    assert expand_text(f"<${{file:{tmp_path / 'x'}}}>", Surroundings({}, Path())) == ("<s3cret>", [])


def test_a_file_loses_nothing_but_one_line_break(tmp_path: Path) -> None:
    """Spaces and further line breaks belong to the text."""
    (tmp_path / "x").write_bytes(b" a b \n\n")
    assert expand_text("${file:x}", Surroundings({}, tmp_path)) == (" a b \n", [])


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "file x is empty; put the value into it"),
        (b"\n", "file x is empty; put the value into it"),
        (b"\xff\xfe", "file x is not UTF-8 text; save it as such"),
        (b"x" * (MAX_FILE_BYTES + 1), "file x is larger than 64 KiB; put just the value into it"),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    """Empty, binary and huge files are named, not read."""
    (tmp_path / "x").write_bytes(content)
    _, faults = expand_text("${file:x}", Surroundings({}, tmp_path))
    assert faults == [fault]


def test_an_expanded_text_shows_its_template() -> None:
    """What came out of a reference can be used as a value and prints as it was written, defaults left out."""
    text, _ = expand_text(f"{'long' * 10}-${{A}}-${{NONE:-fallback}}-short", Surroundings(ENV, Path()))
    assert isinstance(text, Expanded)
    assert repr(text) == text.template == "…${A}-${NONE:-…}-short"
    assert text.sources == ("environment variable A", "config file, since environment variable NONE is not set")


def test_a_token_pasted_in_place_of_a_name_is_not_shown() -> None:
    """A long lower-case name is no variable's name but probably a token."""
    token = "0123456789abcdef" * 2
    _, faults = expand_text(f"${{x{token}}} ${{file:{token}}}", Surroundings({}, Path()))
    assert len(faults) == 2
    assert token not in str(faults)


def test_strings_are_expanded_however_deep() -> None:
    """Arrays and tables are walked; everything else stays as it is; a fault leaves a mark and is reported."""
    reported: list[tuple[object, str]] = []
    tree = {"a": ["${A}", 1, {"b": "${NONE}"}], "c": True}
    expanded = expand(tree, (), Surroundings(ENV, Path()), lambda where, fault: reported.append((where, fault)))
    assert expanded == {"a": ["one", 1, {"b": UNRESOLVED}], "c": True}
    assert reported == [(("a", 2, "b"), "environment variable NONE is not set; export it first")]
    assert tree == {"a": ["${A}", 1, {"b": "${NONE}"}], "c": True}


@given(st.text())
def test_a_text_without_references_stays_itself(text: str) -> None:
    """Escaping every `${` gives the text back."""
    escaped = text.replace("${", "$${")
    assert expand_text(escaped, Surroundings({}, Path())) == (text, [])

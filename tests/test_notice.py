"""Occasions and templates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import ExitCode
from harvester.notice import DEFAULT_TEXT, FIELDS, MEANINGS, Occasion, is_wanted, occasion, parse_template


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (ExitCode.COMPLETE, Occasion.COMPLETE),
        (ExitCode.BUG, Occasion.FAILURE),
        (ExitCode.USAGE, Occasion.FAILURE),
        (ExitCode.PARTIAL, Occasion.PARTIAL),
        (ExitCode.STORAGE, Occasion.FAILURE),
        (ExitCode.NO_TOKEN, Occasion.FAILURE),
        (ExitCode.BUDGET, Occasion.PARTIAL),
        (ExitCode.LOCKED, Occasion.FAILURE),
        (ExitCode.INTERRUPTED, Occasion.PARTIAL),
        (ExitCode.TERMINATED, Occasion.PARTIAL),
    ],
)
def test_what_each_exit_code_is(code: ExitCode, what: Occasion) -> None:
    """Whether the last run was well changes it only when this one is complete."""
    assert occasion(code, was_unwell=False) is what
    assert occasion(code, was_unwell=True) is (Occasion.RECOVERED if what is Occasion.COMPLETE else what)


def test_every_exit_code_has_its_meaning() -> None:
    """Whoever reads a message need not look a number up."""
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize(
    ("on", "told"),
    [
        ({"failure"}, {"failure"}),
        ({"failure", "recovered"}, {"failure", "recovered"}),
        ({"always"}, {"failure", "partial", "recovered", "complete"}),
    ],
)
def test_who_asks_is_told_and_nobody_else(on: set[str], told: set[str]) -> None:
    """A night that is complete as the one before is told only to who wants to hear always."""
    assert {str(what) for what in Occasion if is_wanted(what, on)} == told


def test_a_template_is_filled() -> None:
    """Numbers are written as people read them, what is not known is a question mark, braces are doubled."""
    template = parse_template("{{{calls}}} of {config}: {took}{{}}")
    assert template.fill({"calls": 1234567, "config": "{host}", "host": "x"}) == "{1,234,567} of {host}: ?{}"


def test_the_default_names_known_fields_only() -> None:
    """It can be read."""
    assert parse_template(DEFAULT_TEXT).source == DEFAULT_TEXT


@given(st.text())
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    """Nothing but `ValueError` comes out, and no attribute of anything goes in."""
    try:
        template = parse_template(text)
    except ValueError:
        return
    assert {name for _, name in template.parts} <= {None, *FIELDS}
    if not set(text) & set("{}"):
        assert template.fill({}) == text

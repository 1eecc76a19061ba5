"""What is told when a run has ended: on which occasions, with which words. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from string import Formatter
from types import MappingProxyType
from typing import Final, Literal

from harvester.errors import ExitCode

Value = str | int | None
"""Of a field; `None` where the run never came so far as to know it."""


class Occasion(StrEnum):
    """How a run ended, as far as somebody wants to be told."""

    FAILURE = "failure"
    PARTIAL = "partial"
    RECOVERED = "recovered"
    COMPLETE = "complete"


On = Literal["failure", "partial", "recovered", "always"]
"""What a webhook may ask for."""

_PARTIAL: Final = frozenset({ExitCode.PARTIAL, ExitCode.BUDGET, ExitCode.INTERRUPTED, ExitCode.TERMINATED})
"""The run came to an end that it can go on from: what is complete stands, the rest is named."""

MEANINGS: Final = MappingProxyType(
    {
        ExitCode.COMPLETE: ("everything is complete", "nothing"),
        ExitCode.BUG: ("a bug", "report it with the text that was printed"),
        ExitCode.USAGE: (
            "the command line or the config is wrong",
            "mend what is listed",
        ),
        ExitCode.PARTIAL: ("partial: some slices failed or are short", "read the causes; run again"),
        ExitCode.STORAGE: ("storage: disk full, not writable, or damaged", "free or mend the path that is named"),
        ExitCode.NO_TOKEN: ("no token works", "put working tokens into the config"),
        ExitCode.BUDGET: ("a budget, the app's day or the API's patience ended first", "run again: it goes on"),
        ExitCode.LOCKED: ("another run holds the state directory", "wait for it, or stop it"),
        ExitCode.INTERRUPTED: ("interrupted", "run again: it goes on"),
        ExitCode.TERMINATED: ("terminated", "run again: it goes on"),
    }
)
"""What each exit code says, and what a person does about it."""

FIELDS: Final = MappingProxyType(
    {
        "event": "`failure`, `partial`, `recovered` or `complete`",
        "config": "the config's file name",
        "host": "the machine's name",
        "headline": "one line: complete or not, or what went wrong",
        "details": "the rest of the summary, or of the error",
        "exit_code": "what the shell is told",
        "meaning": "what that exit code says",
        "todo": "what a person does about it",
        "run_id": "the run; its report is `runs/<run_id>.json`",
        "start": "first day of the window",
        "end": "last day of the window",
        "accounts": "accounts that the run covers",
        "slices": "slices that are complete",
        "slices_left": "slices that are not",
        "calls": "calls that were read and are in the files",
        "new": "of these, not there before",
        "changed": "of these, different from what was there",
        "missing": "calls that the API no longer returned",
        "requests": "requests that were sent",
        "failed_attempts": "of these, how many brought no page",
        "took": "how long the run took",
        "started": "when it began, in Beijing",
        "ended": "when it ended, in Beijing",
        "report": "the path of the run's report",
    }
)
"""What a template may name, and what it is; a JSON webhook gets all of them."""

DEFAULT_TEXT: Final = "{event}: harvester {config} on {host}\n{headline}\n{details}"
_UNKNOWN: Final = "?"


@dataclass(frozen=True, slots=True)
class Template:
    """A text with fields in it.

    Attributes:
        source: As it was written.
        parts: Text, and the field that follows it; `None`: nothing follows.
    """

    source: str
    parts: tuple[tuple[str, str | None], ...]

    def __str__(self) -> str:
        return self.source

    def fill(self, values: Mapping[str, Value]) -> str:
        """The text with the fields' values in it: a question mark where one is not known."""
        return "".join(self._filled(values))

    def _filled(self, values: Mapping[str, Value]) -> Iterator[str]:
        for text, name in self.parts:
            yield text
            if name is not None:
                yield shown(values.get(name))


def shown(value: Value) -> str:
    """A field's value in a text."""
    if value is None:
        return _UNKNOWN
    return f"{value:,}" if isinstance(value, int) else value


def parse_template(text: str) -> Template:
    """Reads a template: `{calls}` is a field, `{{` and `}}` are braces; there is nothing else, so nothing can be run.

    Raises:
        ValueError: A field that nobody knows (its name is the second argument), or a brace that is not closed.
    """
    parts = []
    for literal, name, spec, conversion in Formatter().parse(text):
        if name is not None and (name not in FIELDS or spec or conversion):
            raise ValueError("unknown field", name)
        parts.append((literal, name))
    return Template(text, tuple(parts))


def occasion(code: ExitCode, *, was_unwell: bool) -> Occasion:
    """What an ending is.

    Args:
        code: What the shell is told.
        was_unwell: Whether the last run of the same config did not end well.
    """
    if code is ExitCode.COMPLETE:
        return Occasion.RECOVERED if was_unwell else Occasion.COMPLETE
    return Occasion.PARTIAL if code in _PARTIAL else Occasion.FAILURE


def is_wanted(what: Occasion, on: Collection[str]) -> bool:
    """Whether a webhook that asks for these is told."""
    return "always" in on or what in on

"""What may be done about the next request: send it, wait, or send none any more. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Go:
    """It may be sent now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """It may not be sent before a moment; then it is decided anew.

    Attributes:
        until: Loop time in seconds; infinity when only an answer that is under way can change anything.
        why: For a person, "minute quota of app main"; `None` for what is too short or too usual to be told.
    """

    until: float
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing may be sent any more in this run; what is open is resumable.

    Attributes:
        why: For a person.
    """

    why: str


Decision = Go | Wait | Over
GO: Final = Go()


def strictest(*decisions: Decision) -> Decision:
    """The one that allows least: `Over`, else the longest `Wait`, else `Go`."""
    found: Decision = GO
    for one in decisions:
        if isinstance(one, Over):
            return one
        if isinstance(one, Wait) and not (isinstance(found, Wait) and found.until >= one.until):
            found = one
    return found


def lasting(seconds: float) -> str:
    """A time for a person: `30 s`, `31 min`, `5 h 20 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

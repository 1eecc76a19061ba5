"""What the ledger remembers of requests: what an app sent, and what reading an account took. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harvester.model import AppName

MINUTES_KEPT: Final = 24 * 60 + 1
"""Minutes of an app's requests that the ledger knows, the running one included: those that count against a day."""
HEARTBEAT_S: Final = 10.0
"""Seconds after which a run tells the ledger again what it sent.

Of a run that was killed the ledger assumes that it went on sending for twice as long after its last word, no longer.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What earlier runs of this state directory sent for one app.

    Attributes:
        by_minute: Requests of the last 24 hours, by minute (Unix time / 60); minutes without any are absent.
        last_at: Unix time after which none was sent; `None` when none is known of. Of a run that was killed it is the
            latest time at which that run could still have been sending.
        spacing_s: Seconds between two permits then; 0 when there was no limit.
        learned_per_minute: The quota as the API's own figures showed it, where none is configured; `None` if unknown.
    """

    by_minute: Mapping[int, int] = field(default_factory=dict)
    last_at: float | None = None
    spacing_s: float = 0.0
    learned_per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A time in which nothing was sent, since the API had refused it or was down.

    Attributes:
        app: Whose; `None`: all apps'.
        since: Unix time.
        until: Unix time at which it ended, or was to end when it was told of last.
        why: For a person: "minute quota", "the API is down".
    """

    app: AppName | None
    since: float
    until: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What reading one account took lately.

    Attributes:
        requests: Pages asked for by its finished walks.
        least: What these would have taken without ties, probes and mending: calls ÷ page size, rounded up, at least 1.
        calls_a_day: The mean over the days that were read; `None` when none was.
    """

    requests: int = 0
    least: int = 0
    calls_a_day: float | None = None

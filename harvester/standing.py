"""Where a run stands: a snapshot that can be asked for at any moment, as a value. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Stage(StrEnum):
    """What a run is at."""

    LISTING = "listing accounts"
    READING = "reading"
    ENDING = "ending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Something that is being waited for.

    Attributes:
        why: For a person: "minute quota of app main".
        app: Which app waits; `None` when all do, or a token.
        token: Which token's accounts wait; `None` when it is not about a token.
        until: When it is over, with a zone; `None` when that is not known.
    """

    why: str
    app: str | None = None
    token: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppStanding:
    """One app's requests and its quota.

    Attributes:
        app: Its name.
        requests: Sent by this run.
        expected: Of all that this run will send, about; `None` while unknown.
        last_minute: Permits of the last 60 s, of this run.
        per_minute: The quota, configured or learned; `None` when none is known.
        others: The share of it that others are seen to use, 0 to 1.
    """

    app: str
    requests: int
    expected: int | None = None
    last_minute: int
    per_minute: int | None = None
    others: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Slices that ended without being complete, for one cause.

    Attributes:
        status: How they ended: "failed", "skipped", "short", "unfinished".
        reason: Why, for a person; that of the first of them.
        slices: How many.
    """

    status: str
    reason: str
    slices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a run stands.

    Attributes:
        run_id: The run; also the name of its report under `runs/`.
        stage: What it is at.
        start: First day of its window.
        end: Last day.
        accounts: Accounts that it covers.
        elapsed_s: Seconds since it began.
        slices_done: Slices that have ended, however.
        slices_open: Slices that are being read.
        slices_expected: Of the whole run, as known by now; `None` while unknown.
        calls: Landed so far.
        calls_expected: About how many will be there in the end; `None` while unknown.
        requests: Sent so far, all apps together.
        requests_expected: About how many will be sent in the end; `None` while unknown.
        at_least: Whether the expectations are lower bounds, since nothing is known of some accounts.
        left_s: About how many seconds are left; `None` as long as that is not known.
        apps: Each app, in the config's order.
        waits: What is waited for now.
        slowed: Why the pace is below what the quota allows, for a person; empty when it is not.
        failed: Slices that ended without being complete.
        causes: Of these, the most common causes first, at most five.
    """

    run_id: str
    stage: Stage
    start: date
    end: date
    accounts: int
    elapsed_s: float
    slices_done: int = 0
    slices_open: int = 0
    slices_expected: int | None = None
    calls: int = 0
    calls_expected: int | None = None
    requests: int = 0
    requests_expected: int | None = None
    at_least: bool = False
    left_s: float | None = None
    apps: tuple[AppStanding, ...] = ()
    waits: tuple[Wait, ...] = ()
    slowed: tuple[str, ...] = ()
    failed: int = 0
    causes: tuple[Cause, ...] = ()

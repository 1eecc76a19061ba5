"""The terms of a schedule: what it is given, and who answers it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio.lowlevel

from harvester.harvest.hints import Hints
from harvester.harvest.pace import Pace
from harvester.harvest.ward import Ward
from harvester.model import Account, AppName, Page, PageSize, Query, Refusal, Slice, Window
from harvester.triage import Found


class Asks(Protocol):
    """One logical call of the API, however often it takes."""

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """The page, or that there is no such page; raises `CallError`."""
        ...


async def _forget(_: Sequence[Found]) -> None:
    await anyio.lowlevel.checkpoint()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How slices are walked.

    Attributes:
        page_size: What walks ask for; `"largest"`: what the API turns out to serve.
        workers: Slices open at a time at most, for each app.
        when_idle: Has somebody told of every app that gives a permit while nobody waits for the next one: another
            worker begins then. `None`: there are no permits, and all workers begin at once.
        pace: How often an open slice is saved.
        begun: The saved walks of slices that earlier runs began.
        ward: Who may be asked.
        remember: Makes durable what is found out about accounts.
        hints: What earlier answers of the API showed.
        within: Days that a later run's plan has, too: only of these is anything given away; `None` for any days.
        narrowed: Told of every open slice that gave days away: what it was, and what it is.
        has_spare: Whether an app's quota has a permit that nobody waits for.
        foreseen: About how many pages a slice that is opened will take; 0 when nothing is known.
    """

    page_size: PageSize
    workers: int
    when_idle: Callable[[Callable[[AppName], None]], None] | None = None
    pace: Pace = field(default_factory=Pace)
    begun: Mapping[Slice, bytes] = field(default_factory=dict)
    ward: Ward = field(default_factory=Ward)
    remember: Callable[[Sequence[Found]], Awaitable[None]] = _forget
    hints: Hints = field(default_factory=Hints)
    within: Window | None = None
    narrowed: Callable[[Slice, Slice], None] = lambda _before, _after: None
    has_spare: Callable[[AppName], bool] = lambda _: False
    foreseen: Callable[[Slice], int] = lambda _: 0

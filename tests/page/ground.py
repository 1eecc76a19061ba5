"""Landing zones to make pages of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from harvester.harvest.assignment import Assignment
from harvester.model import AccountId, Window
from harvester.page.gather import Wishes, gather
from harvester.page.html import html_of
from harvester.sandbox.world import World
from tests.flows import NOW_S, TODAY
from tests.page.reading import Page, assert_self_contained, assert_told

WORLD = World(today=TODAY, accounts=5, calls_per_day=60, tie_size=0)
LATER_S = NOW_S + 3600


def page_of(assignment: Assignment, *, call_days: int | None = 30, start_is_chosen: bool = True) -> Page:
    """The page of a landing zone; whatever is on it, it is sound."""
    found = gather(assignment, Wishes(start_is_chosen=start_is_chosen, call_days=call_days), LATER_S)
    page = Page(html_of(found))
    assert_self_contained(page)
    assert_told(page)
    return page


def truth(world: World, accounts: Sequence[AccountId], window: Window) -> list[dict[str, Any]]:
    """Every call as the sandbox has it."""
    return [orjson.loads(line) for account in accounts for line in world.calls(account, window)]


def grouped(calls: Sequence[dict[str, Any]], field: str) -> Counter[Any]:
    """Calls by a field."""
    return Counter(call.get(field) for call in calls)


def named(assignment: Assignment, names: Sequence[str | None]) -> Assignment:
    """The same with names for its accounts."""
    accounts = [replace(one, name=name) for one, name in zip(assignment.accounts, names, strict=True)]
    return replace(assignment, accounts=accounts)

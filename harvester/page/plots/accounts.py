"""Pictures of single accounts: the largest, and those that took most requests."""

from harvester.page.plots.bars import across
from harvester.page.plots.canvas import Picture
from harvester.page.plots.days import label
from harvester.page.selecting import largest_accounts, slowest_accounts
from harvester.page.values import Findings


def largest(found: Findings) -> Picture:
    """Calls of the accounts that have most."""
    ranked = largest_accounts(found)
    rows = [(label(one), float(one.calls), f"{one.calls:,}") for one in ranked]
    alt = f"The largest is {label(ranked[0])} with {ranked[0].calls:,} calls from {found.window.start} on."
    return across(rows, ("largest", "Largest accounts, by calls", alt))


def slowest(found: Findings) -> Picture:
    """Requests of the accounts that took most."""
    ranked = slowest_accounts(found)
    rows = [(label(one), float(one.requests), f"{one.requests:,}") for one in ranked]
    alt = f"{label(ranked[0])} took most, {ranked[0].requests:,} requests since {found.window.start}."
    return across(rows, ("slowest", "Slowest accounts, by requests", alt), colour="second")

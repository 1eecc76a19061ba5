"""Every picture of the page by its name; one of which nothing is known is not there."""

from collections.abc import Iterator

from harvester.page.plots.accounts import largest, slowest
from harvester.page.plots.calls import connected, durations, ends, hours
from harvester.page.plots.canvas import Picture
from harvester.page.plots.days import bands, days
from harvester.page.plots.requests import late, requests, runs
from harvester.page.selecting import shown_accounts
from harvester.page.values import Findings


def draw(found: Findings) -> dict[str, Picture]:
    """The pictures of what was found."""
    return dict(_pictures(found))


def _pictures(found: Findings) -> Iterator[tuple[str, Picture]]:
    if found.there and found.accounts:
        yield "days", days(found)
        if len(found.accounts) > len(shown_accounts(found)):
            yield "bands", bands(found)
        if any(one.calls for one in found.accounts):
            yield "largest", largest(found)
        if any(one.requests for one in found.accounts):
            yield "slowest", slowest(found)
    if any(one.by_minute for one in found.traffic):
        yield "requests", requests(found)
    if found.runs.runs:
        yield "runs", runs(found)
    if any(one.days for one in found.arrivals):
        yield "late", late(found)
    if found.reading and found.reading.counts.calls:
        counts = found.reading.counts
        yield "hours", hours(counts)
        yield "ends", ends(counts)
        yield "connected", connected(counts)
        if counts.durations_s:
            yield "durations", durations(counts)

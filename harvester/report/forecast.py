"""What a run would do: slices, expected requests, time at the quota. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from typing import Final

from harvester.model import AppName, Slice

_SLICES_SHOWN: Final = 10


@dataclass(slots=True)
class Forecast:
    """Sums over a plan's slices; grows with `add`.

    Attributes:
        slices: By app.
        requests: Expected, by app.
        days: Accounts' days to read.
        accounts: Accounts with something to read.
        unknown_days: Days of which nothing is known yet: their calls are not in the expectation.
        first: The first few slices, to show.
        resumed: Slices that go on from a checkpoint of an earlier run.
        saved: Calls that are in these checkpoints.
    """

    slices: Counter[AppName] = field(default_factory=Counter)
    requests: Counter[AppName] = field(default_factory=Counter)
    days: int = 0
    accounts: set[int] = field(default_factory=set)
    unknown_days: int = 0
    first: list[Slice] = field(default_factory=list)
    resumed: int = 0
    saved: int = 0

    def add(self, one: Slice, calls: Iterable[int | None], page_size: int, *, saved: int | None = None) -> None:
        """Adds a slice.

        Args:
            one: The slice.
            calls: What the last reading brought on each of its days; `None` for days never read.
            page_size: Calls a page.
            saved: Calls that an earlier run has read of it, when it goes on from a checkpoint.
        """
        known = list(calls)
        app = one.account.app
        self.slices[app] += 1
        self.requests[app] += max(1, ceil((sum(count or 0 for count in known) - (saved or 0)) / page_size))
        self.resumed += saved is not None
        self.saved += saved or 0
        self.days += len(one.window)
        self.accounts.add(one.account.id)
        self.unknown_days += sum(1 for count in known if count is None)
        if len(self.first) < _SLICES_SHOWN:
            self.first.append(one)


def in_words(forecast: Forecast, spacing_s: Mapping[AppName, float]) -> str:
    """The forecast for a person.

    Args:
        forecast: The sums.
        spacing_s: Seconds between two permits of each app; 0 where no quota is configured.
    """
    total = sum(forecast.slices.values())
    if not total:
        return "Nothing is due: every day of the window is complete."
    lines = [
        f"{total:,} slices: {len(forecast.accounts):,} accounts, {forecast.days:,} days of accounts",
        f"{sum(forecast.requests.values()):,} requests expected"
        + (f", and more for {forecast.unknown_days:,} days never read before" if forecast.unknown_days else ""),
    ]
    if forecast.resumed:
        lines.append(
            f"{forecast.resumed:,} of the slices go on from a checkpoint: {forecast.saved:,} calls are read already"
        )
    for app, requests in sorted(forecast.requests.items()):
        spacing = spacing_s.get(app, 0.0)
        time = f"{timedelta(seconds=ceil(requests * spacing))} at the quota" if spacing else "no quota is configured"
        lines.append(f"  app {app}: {forecast.slices[app]:,} slices, {requests:,} requests, {time}")
    lines += [f"  {one.account.id}  {one.window}" for one in forecast.first]
    if total > len(forecast.first):
        lines.append(f"  … and {total - len(forecast.first):,} more")
    return "\n".join(lines)

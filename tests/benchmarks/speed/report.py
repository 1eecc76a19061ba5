"""What was measured, as figures a contender and as a Markdown table."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.benchmarks.speed.measure import Outcome

HEADINGS: Final = (
    "calls/s", "slowest to fastest", "of the floor", "CPU s a million calls", "peak MiB", "requests",
    "server busy, at most",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one contender at one page size, medians of its rounds.

    Attributes:
        title: The contender's.
        name: Likewise.
        page_size: Calls a page.
        speed: Calls a second.
        slowest: Calls a second in the slowest round.
        fastest: Calls a second in the fastest round.
        of_floor: Its speed divided by the floor's, in the same round; None without a floor.
        cpu_s: Of a million calls.
        peak_mib: Greatest resident size.
        requests: Of a round.
        server_busy: The server's CPU seconds divided by the round's, the greatest of the rounds.
        trouble: Why the figures do not count; None: they do.
    """

    title: str
    name: str
    page_size: int
    speed: float
    slowest: float
    fastest: float
    of_floor: float | None
    cpu_s: float
    peak_mib: float
    requests: int
    server_busy: float
    trouble: str | None


def figures(outcomes: Sequence[Outcome]) -> list[Figures]:
    """Of every contender and page size, the fastest first; those in trouble last."""
    cells: dict[tuple[int, str], list[Outcome]] = {}
    for outcome in outcomes:
        cells.setdefault((outcome.page_size, outcome.name), []).append(outcome)
    found = [_figures(some, cells.get((page_size, "floor"), [])) for (page_size, _), some in cells.items()]
    return sorted(found, key=lambda one: (one.page_size, one.trouble is not None, -one.speed))


def _figures(some: Sequence[Outcome], floor: Sequence[Outcome]) -> Figures:
    speeds = [one.speed for one in some]
    ratios = [one.speed / other.speed for one, other in zip(some, floor, strict=False)]
    return Figures(
        title=some[0].title,
        name=some[0].name,
        page_size=some[0].page_size,
        speed=median(speeds),
        slowest=min(speeds),
        fastest=max(speeds),
        of_floor=median(ratios) if ratios else None,
        cpu_s=median(one.cpu_s / one.calls * 1e6 for one in some),
        peak_mib=median(one.peak_mib for one in some),
        requests=round(median(one.requests for one in some)),
        server_busy=max(one.server_cpu_s / one.wall_s for one in some),
        trouble=next((one.trouble for one in some if one.trouble), None),
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown, a part for each page size."""
    found = figures(outcomes)
    lines: list[str] = []
    for page_size in sorted({one.page_size for one in found}):
        lines += [
            f"| {page_size:,} calls a page | {' | '.join(HEADINGS)} |",
            f"|---|{'---|' * len(HEADINGS)}",
            *(_line(one) for one in found if one.page_size == page_size),
            "",
        ]
    return "\n".join(lines)


def _line(one: Figures) -> str:
    if one.trouble:
        return f"| {one.title} | not timed: {one.trouble.replace('|', ' ')} | | | | | | |"
    of_floor = "" if one.of_floor is None else f"{one.of_floor:.2f}"
    return (
        f"| {one.title} | {one.speed:,.0f} | {one.slowest:,.0f} to {one.fastest:,.0f} | {of_floor} | {one.cpu_s:.1f} "
        f"| {one.peak_mib:.0f} | {one.requests:,} | {one.server_busy:.0%} |"
    )

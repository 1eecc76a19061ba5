"""The landed calls: when they were, how they ended, how long they took, how late they came. Pure."""

from itertools import accumulate
from typing import Final

from harvester.page.counting import CONNECTED, Counts
from harvester.page.sections.parts import Section, Table
from harvester.page.selecting import duration_counts
from harvester.page.values import Findings, Reading
from harvester.page.words import DIRECTIONS, WEEKDAYS, duration_bins, end_status, lasting, many, percent
from harvester.report.lateness import verdict

_NOT_READ: Final = "The landed calls were not read (--no-calls)."
_NONE: Final = "No landed call was found."


def calls(found: Findings) -> Section:
    """By weekday and hour, and what was read at all."""
    reading = found.reading
    tables = []
    if reading and reading.counts.calls:
        counts = reading.counts
        by_hour = [
            [f"{english} {chinese}", *(f"{number:,}" for number in of_day), f"{sum(of_day):,}"]
            for (english, chinese), of_day in zip(WEEKDAYS, counts.weekly(), strict=True)
        ]
        head = ["weekday", *(f"{hour:02d}" for hour in range(24)), "all"]
        tables.append(
            Table(
                name="hours-table", caption="Calls by weekday and hour (Beijing)", head=head, rows=by_hour, folded=True
            )
        )
    return Section(
        name="calls",
        title="Calls by hour and weekday",
        title_cn="通话时段分布",
        lines=_what_was_read(reading),
        pictures=("hours",),
        tables=tables,
    )


def _what_was_read(reading: Reading | None) -> list[str]:
    if reading is None:
        return [_NOT_READ]
    lines = [f"{many(reading.counts.calls, 'landed call')} of {reading.window}, in {many(reading.files, 'file')}."]
    if reading.absent:
        lines.append(
            f"{many(reading.absent, 'file')} of these days not there though the ledger knows of calls in them: moved "
            "away, or lost (`harvester verify` tells). These calls are in no figure of this section and the next two."
        )
    if reading.damaged:
        lines.append(
            f"{many(reading.damaged, 'file')} cannot be read, the first is {reading.first_damaged}: "
            "`harvester verify CONFIG --heal` has them read again. Their calls are in no figure."
        )
    return lines


def ends(found: Findings) -> Section:
    """How calls ended; the share that was connected."""
    counts = found.reading.counts if found.reading else Counts()
    if not counts.calls:
        lines = [_NONE if found.reading else _NOT_READ]
        return Section(name="ends", title="How calls ended", title_cn="通话结束状态", lines=lines)
    by_status = [
        ["-" if code is None else str(code), *reversed(end_status(code)), f"{number:,}", percent(number, counts.calls)]
        for code, number in counts.statuses.most_common()
    ]
    by_day = [
        [str(day), f"{one.calls:,}", f"{one.connected:,}", percent(one.connected, one.calls)]
        for day, one in sorted(counts.days.items())
    ]
    by_direction = []
    for way in dict.fromkeys(way for way, _ in sorted(counts.directions)):
        english, chinese = DIRECTIONS.get(way, ("not documented, or none", "其他"))
        done, all_of_them = counts.directions[way, True], counts.directions[way, True] + counts.directions[way, False]
        by_direction.append([f"{english} {chinese}", f"{all_of_them:,}", f"{done:,}", percent(done, all_of_them)])
    share = percent(counts.connected, counts.calls)
    return Section(
        name="ends",
        title="How calls ended",
        title_cn="通话结束状态",
        lines=[f"Connected: {counts.connected:,} of {counts.calls:,} calls, {share} (end_status {CONNECTED})."],
        pictures=("ends", "connected"),
        tables=[
            Table(name="ends-table", caption="Calls by end_status", head=["code", "状态", "meaning", "calls", "share"],
                  rows=by_status, words=frozenset({0, 1, 2})),
            Table(name="directions-table", caption="Calls by direction", rows=by_direction,
                  head=["direction", "calls", "connected", "share connected"]),
            Table(name="connected-table", caption="Connected calls by day", rows=by_day,
                  head=["day", "calls", "connected", "share connected"], folded=True),
        ],
    )  # fmt: skip


def durations(found: Findings) -> Section:
    """How long connected calls took."""
    title, title_cn = "How long calls took", "通话时长分布"
    counts = found.reading.counts if found.reading else Counts()
    if not counts.durations_s:
        lines = [("No connected call was found." if found.reading else _NOT_READ)]
        return Section(name="durations", title=title, title_cn=title_cn, lines=lines)
    known = counts.durations_s.total()
    middle, most, nearly_all = (lasting(one or 0) for one in counts.percentiles((0.5, 0.9, 0.99)))
    rows = [
        [name, f"{number:,}", percent(number, known)]
        for name, number in zip(duration_bins(), duration_counts(counts), strict=True)
    ]
    without = f" {many(counts.without_duration, 'connected call')} without a usable duration." * bool(
        counts.without_duration
    )
    told = f"Half of the connected calls took {middle} or less, nine in ten {most}, 99 in 100 {nearly_all}.{without}"
    return Section(
        name="durations",
        title=title,
        title_cn=title_cn,
        lines=[told],
        pictures=("durations",),
        tables=[
            Table(name="durations-table", caption="Connected calls by duration (the upper end not included)",
                  head=["duration", "calls", "share"], rows=rows, folded=True)
        ],
    )  # fmt: skip


def late(found: Findings) -> Section:
    """How late calls come."""
    total = sum(one.new for one in found.arrivals)
    so_far = accumulate(one.new for one in found.arrivals)
    rows = [
        [
            f"{one.age:,}",
            f"{one.days:,}",
            f"{one.calls:,}",
            f"{one.new:,}",
            percent(one.new, one.calls),
            percent(part, total),
        ]
        for one, part in zip(found.arrivals, so_far, strict=True)
    ]
    head = ["days later", "days read again", "calls in them", "new", "of all calls", "of late calls so far"]
    table = Table(name="late-table", caption="What reading days again brought", head=head, rows=rows)
    return Section(
        name="late",
        title="How late calls come",
        title_cn="通话迟到情况",
        lines=[verdict(found.arrivals, found.nights, found.reread_days)],
        pictures=("late",),
        tables=[table] if rows else (),
    )

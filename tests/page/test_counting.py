"""Counting calls: whatever is in them, the sums are those of counting one by one."""

from collections import Counter
from datetime import date
from itertools import pairwise
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.page.counting import LONGEST_S, OTHER, Counts, seen_in
from harvester.page.selecting import duration_counts
from harvester.page.words import DURATION_BINS_S, duration_bins

DAY = date(2026, 3, 14)
whatever = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["0", "7", "CALL_IN", "CALL_OUT", "86401"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)
usual = st.one_of(st.integers(0, 100_000), st.integers(-2, 12), st.sampled_from(["0", "10", "", None]))
calls = st.fixed_dictionaries(
    {"call_start_time": st.builds("2026-03-14 {:02d}:59:00".format, st.integers(0, 23))},
    optional={
        "end_status": usual | whatever,
        "duration": usual | whatever,
        "call_direction": st.sampled_from(["CALL_IN", "CALL_OUT"]) | whatever,
        "caller": st.just("13812345678"),
    },
)


def whole(value: Any, most: int) -> int | None:
    """A whole number of a usual size, also as text; written as plainly as can be."""
    if isinstance(value, bool | list | dict) or value is None:
        return None
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 10):
        return None
    number = float(value)
    return int(number) if number.is_integer() and abs(number) <= most else None


@given(st.lists(calls, max_size=30))
def test_every_call_is_counted_once(some: list[dict[str, Any]]) -> None:
    """By hour, end, direction and duration, and by day."""
    counts = Counts()
    counts.add(DAY, seen_in(b"".join(orjson.dumps(one) + b"\n" for one in some)))
    statuses = [whole(one.get("end_status"), 9_999) for one in some]
    connected = [one for one, status in zip(some, statuses, strict=True) if status == 0]
    assert counts.statuses == Counter(statuses)
    assert (counts.calls, counts.connected) == (len(some), len(connected))
    if some:
        assert (counts.days[DAY].calls, counts.days[DAY].connected) == (len(some), len(connected))
    assert counts.weekly()[DAY.weekday()] == [
        sum(int(one["call_start_time"][11:13]) == hour for one in some) for hour in range(24)
    ]
    ways = [one.get("call_direction") for one in some]
    assert counts.directions == Counter(
        (way if way in ("CALL_IN", "CALL_OUT") else OTHER, status == 0)
        for way, status in zip(ways, statuses, strict=True)
    )
    took = [
        seconds for one in connected if (seconds := whole(one.get("duration"), 10**9 - 1)) is not None and seconds >= 0
    ]
    assert counts.durations_s == Counter(min(one, LONGEST_S) for one in took)
    assert counts.without_duration == len(connected) - len(took)


@given(st.lists(st.integers(0, LONGEST_S), min_size=1, max_size=40))
def test_percentiles_and_bins(took: list[int]) -> None:
    """A percentile is a duration that occurs, and so many calls took no longer; every call is in one bin."""
    counts = Counts(durations_s=Counter(took))
    shares = (0.5, 0.9, 0.99, 1.0)
    for share, seconds in zip(shares, counts.percentiles(shares), strict=True):
        assert seconds in took
        assert sum(one <= seconds for one in took) >= share * len(took) > sum(one < seconds for one in took)
    bounds = [*DURATION_BINS_S, 10**9]
    assert duration_counts(counts) == [sum(low <= one < high for one in took) for low, high in pairwise(bounds)]
    assert len(duration_bins()) == len(DURATION_BINS_S)


@pytest.mark.parametrize(
    "text",
    [b"x\n", b"[]\n", b"7\n", b'{"call_start_time":"2026-03-14 24:00:00"}\n', b'{"call_start_time":7}\n', b"{}\n"],
)
def test_what_is_no_call(text: bytes) -> None:
    """What harvester does not write is refused, not counted."""
    with pytest.raises((msgspec.DecodeError, ValueError)):
        seen_in(text)

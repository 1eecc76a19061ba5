"""Whatever a page says of calls, days, accounts and requests is what the sandbox's world says."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest

from harvester.harvest.assignment import Assignment
from harvester.page.words import END_STATUS
from harvester.report.summary import Report
from tests.flows import TODAY, assign, last_days, run, sandbox
from tests.page.ground import WORLD, grouped, page_of, truth
from tests.page.reading import Page

pytestmark = pytest.mark.anyio
WINDOW = last_days(7)


@dataclass
class Told:
    """A page, and what it should say."""

    page: Page
    calls: list[dict[str, Any]]
    report: Report
    assignment: Assignment


@pytest.fixture
async def told(tmp_path: Path) -> Told:
    """A complete week of five accounts."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        report = await run(assignment)
    assert report.complete
    return Told(page_of(assignment), truth(WORLD, WORLD.account_ids, WINDOW), report, assignment)


async def test_what_it_says(told: Told) -> None:
    """Of calls: hours, ends, directions, durations, days; of accounts: completeness, size, requests; of the run."""
    page, calls = told.page, told.calls
    assert page.pictures.keys() == {
        "days", "largest", "slowest", "requests", "runs", "hours", "ends", "connected", "durations",
    }  # fmt: skip
    _of_hours(page, calls)
    _of_ends(page, calls)
    _of_durations(page, calls)
    _of_accounts(page, calls)
    _of_requests(page, told.report)


def _of_hours(page: Page, calls: list[dict[str, Any]]) -> None:
    starts = Counter(
        (date.fromisoformat(one["call_start_time"][:10]).weekday(), one["call_start_time"][11:13]) for one in calls
    )
    table = page.tables["hours-table"]
    assert [row[0][:3] for row in table.rows] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    for weekday, row in enumerate(table.rows):
        numbers = [int(cell.replace(",", "")) for cell in row[1:]]
        assert numbers[:24] == [starts[weekday, f"{hour:02d}"] for hour in range(24)]
        assert numbers[24] == sum(numbers[:24])
    most = max(starts.values())
    assert f"with {most:,} of {len(calls):,} calls" in page.pictures["hours"]["desc"]


def _of_ends(page: Page, calls: list[dict[str, Any]]) -> None:
    by_status = grouped(calls, "end_status")
    assert page.tables["ends-table"].numbers("calls") == {str(code): number for code, number in by_status.items()}
    chinese, english = page.tables["ends-table"].column("状态"), page.tables["ends-table"].column("meaning")
    assert {code: (english[code], chinese[code]) for code in english} == {
        str(code): END_STATUS[code] for code in by_status
    }
    for code, number in by_status.items():
        assert f"{number:,} (" in page.pictures["ends"]["text"]
        assert f"{code} {END_STATUS[code][1]} {END_STATUS[code][0]}" in page.pictures["ends"]["text"]
    connected = [one for one in calls if one["end_status"] == 0]
    assert f"Connected: {len(connected):,} of {len(calls):,} calls" in page.words["ends"]
    by_way = Counter({"incoming 呼入": grouped(calls, "call_direction")["CALL_IN"],
                      "outgoing 呼出": grouped(calls, "call_direction")["CALL_OUT"]})  # fmt: skip
    assert page.tables["directions-table"].numbers("calls") == by_way
    assert sum(page.tables["directions-table"].numbers("connected").values()) == len(connected)
    assert page.tables["connected-table"].numbers("calls") == Counter(one["call_start_time"][:10] for one in calls)
    assert page.tables["connected-table"].numbers("connected") == Counter(
        one["call_start_time"][:10] for one in connected
    )


def _of_durations(page: Page, calls: list[dict[str, Any]]) -> None:
    took = sorted(one["duration"] for one in calls if one["end_status"] == 0)
    bins = {"0-5 s": (0, 5), "5-10 s": (5, 10), "10-20 s": (10, 20), "20-30 s": (20, 30), "30-60 s": (30, 60),
            "1-2 min": (60, 120), "2-3 min": (120, 180), "3-5 min": (180, 300), "5-10 min": (300, 600),
            "10-20 min": (600, 1200), "20-30 min": (1200, 1800), "30-60 min": (1800, 3600),
            "over 1 h": (3600, 10**9)}  # fmt: skip
    assert page.tables["durations-table"].numbers("calls") == {
        name: sum(low <= one < high for one in took) for name, (low, high) in bins.items()
    }
    assert f"the longest {took[-1]} s" in page.pictures["durations"]["desc"]
    nearest = page.pictures["durations"]["desc"].split("took ")[1].split(" s")[0]
    assert abs(int(nearest) - quantiles(took, n=2)[0]) <= 2


def _of_accounts(page: Page, calls: list[dict[str, Any]]) -> None:
    days = page.tables["days-table"]
    assert days.numbers("complete") == {str(day): len(WORLD.account_ids) for day in WINDOW}
    assert set(days.column("share complete").values()) == {"100.0 %"}
    sizes = {str(account): number for account, number in grouped(calls, "account_id").items()}
    assert page.tables["largest-table"].numbers("calls") == sizes
    assert list(page.tables["largest-table"].column("calls")) == sorted(sizes, key=lambda one: -sizes[one])
    assert page.tables["slowest-table"].numbers("calls they brought") == sizes
    for account in WORLD.account_ids:
        assert str(account) in page.pictures["days"]["text"]
    assert f"{len(WORLD.account_ids) * 7} complete" in page.pictures["days"]["desc"]


def _of_requests(page: Page, report: Report) -> None:
    sent = sum(report.requests.values())
    assert page.tables["requests-table"].numbers("requests") == {"2026-03-15 02:00": sent}
    assert page.tables["requests-table"].column("paused") == {"2026-03-15 02:00": "0 s"}
    assert sum(page.tables["slowest-table"].numbers("requests").values()) == sent
    runs = page.tables["runs-table"]
    assert runs.rows[0][-1] == report.run_id
    assert runs.numbers("calls") == {"2026-03-15 02:00": report.calls}
    assert runs.numbers("requests") == {"2026-03-15 02:00": sent}
    assert runs.column("outcome") == {"2026-03-15 02:00": "complete"}
    assert f"the last one sent {sent:,} requests" in page.pictures["runs"]["desc"]


async def test_no_phone_number_and_no_secret(told: Told) -> None:
    """What calls hold besides never reaches the page: not a number, not a link, not an id."""
    for one in told.calls:
        for field in ("caller", "callee", "call_id"):
            assert one[field] not in told.page.text
    assert "recordings.sandbox" not in told.page.text
    for token in told.assignment.tokens.values():
        assert token.access.reveal() not in told.page.text


async def test_only_some_days_are_read(told: Told) -> None:
    """`--call-days N` is the last N days; without calls nothing is said of them, and the rest is."""
    yesterday = [one for one in told.calls if one["call_start_time"][:10] == str(WINDOW.end)]
    page = page_of(told.assignment, call_days=1)
    assert page.tables["connected-table"].numbers("calls") == {str(WINDOW.end): len(yesterday)}
    without = page_of(told.assignment, call_days=None)
    assert without.pictures.keys() == {"days", "largest", "slowest", "requests", "runs"}
    assert "not read (--no-calls)" in without.words["calls"]
    assert without.tables["largest-table"].rows == told.page.tables["largest-table"].rows


async def test_the_window_is_widened_to_what_is_known(told: Told) -> None:
    """Without a chosen first day the page goes back over all that is known, 30 days at most."""
    scope = replace(told.assignment.scope, window=last_days(2))
    narrow = replace(told.assignment, scope=scope)
    assert [row[0] for row in page_of(narrow).tables["days-table"].rows] == [str(day) for day in last_days(2)]
    wide = page_of(narrow, start_is_chosen=False)
    assert [row[0] for row in wide.tables["days-table"].rows] == [str(day) for day in WINDOW]
    assert WINDOW.end < TODAY

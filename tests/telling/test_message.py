"""What is said of a run that has ended."""

import datetime as dt

from harvester.errors import ExitCode
from harvester.model import BEIJING, AppName, Status, Window
from harvester.notice import FIELDS
from harvester.report.summary import Report
from harvester.telling.message import Circumstances, Ending, fields

AROUND = Circumstances(config="nightly.toml", host="db1", report_path="landing/runs/r.json")
STARTED = dt.datetime(2026, 11, 1, 2, 30, tzinfo=BEIJING)
REPORT = Report(
    run_id="r",
    window=Window(dt.date(2026, 10, 25), dt.date(2026, 10, 31)),
    accounts=4,
    started=STARTED,
    ended=STARTED + dt.timedelta(minutes=65, seconds=5.4),
    slices={Status.COMPLETE: 3, Status.FAILED: 1},
    not_begun=2,
    calls=1234,
    new=5,
    changed=6,
    missing=7,
    requests={AppName("a"): 8, AppName("b"): 9},
    failed_attempts=1,
    exit_code=ExitCode.PARTIAL,
)


def test_every_field_is_there() -> None:
    """With a report each has a value; the first line of the summary is the headline, the rest the details."""
    values = fields(Ending(code=ExitCode.PARTIAL, report=REPORT), AROUND)
    assert list(values) == list(FIELDS)
    assert None not in values.values()
    assert str(values["headline"]).startswith("NOT COMPLETE  2026-10-25..2026-10-31")
    assert "4 accounts" in str(values["details"])
    assert {name: value for name, value in values.items() if name not in {"headline", "details"}} == {
        "event": "partial",
        "config": "nightly.toml",
        "host": "db1",
        "exit_code": 3,
        "meaning": "partial: some slices failed or are short",
        "todo": "read the causes; run again",
        "run_id": "r",
        "start": "2026-10-25",
        "end": "2026-10-31",
        "accounts": 4,
        "slices": 3,
        "slices_left": 2,
        "calls": 1234,
        "new": 5,
        "changed": 6,
        "missing": 7,
        "requests": 17,
        "failed_attempts": 1,
        "took": "1:05:05",
        "started": "2026-11-01T02:30:00+08:00",
        "ended": "2026-11-01T03:35:05+08:00",
        "report": "landing/runs/r.json",
    }


def test_without_a_report_the_error_is_told() -> None:
    """Its first line is the headline, with the exit code; what nobody knows is not there."""
    values = fields(Ending(code=ExitCode.STORAGE, error="cannot publish x: full.\nFree some space."), AROUND)
    assert values["headline"] == "FAILED (exit code 4): cannot publish x: full."
    assert values["details"] == "Free some space."
    assert values["event"] == "failure"
    assert values["calls"] is None
    assert list(values) == list(FIELDS)
    assert fields(Ending(code=ExitCode.BUG), AROUND)["headline"] == "FAILED (exit code 1): a bug"


def test_an_error_with_a_report_is_told_with_its_summary() -> None:
    """What went wrong comes first, then what was done by then, with its figures."""
    values = fields(Ending(code=ExitCode.STORAGE, error="full.\nFree some space.", report=REPORT), AROUND)
    assert values["headline"] == "FAILED (exit code 4): full."
    assert str(values["details"]).startswith("Free some space.\nNOT COMPLETE  2026-10-25..2026-10-31")
    assert (values["event"], values["exit_code"], values["calls"]) == ("failure", 4, 1234)


def test_a_long_error_is_cut() -> None:
    """A hundred bad rows of a CSV are not for a chat."""
    values = fields(Ending(code=ExitCode.USAGE, error="\n".join(map(str, range(101)))), AROUND)
    assert str(values["details"]).splitlines()[24:] == ["25", "  … and 75 more lines"]

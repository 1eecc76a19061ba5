"""The files under `runs/`: the latest ones, in the order in which they began."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from harvester.model import BEIJING
from harvester.page.runs import latest_runs
from harvester.page.values import Cause, Runs

FIRST = datetime(2026, 1, 1, 2, 30, tzinfo=BEIJING)


def write(folder: Path, name: str, began: datetime, **more: Any) -> None:
    """A run's file."""
    folder.mkdir(exist_ok=True)
    run = {"run_id": name, "started": began.isoformat(), "complete": True, "exit_code": 0, **more}
    (folder / f"{name}.json").write_text(json.dumps(run))


def test_nothing(tmp_path: Path) -> None:
    """No folder, an empty one, and a file in its place hold no runs."""
    assert latest_runs(tmp_path / "runs") == Runs()
    assert latest_runs(tmp_path) == Runs()
    (tmp_path / "file").touch()
    assert latest_runs(tmp_path / "file") == Runs()


def test_only_the_latest_are_read(tmp_path: Path) -> None:
    """Sixty files; of the others only that they are there."""
    for night in range(65):
        started = FIRST + timedelta(days=night)
        write(tmp_path, f"{started:%Y%m%dT%H%M%S}+08-abcdef", started, calls=night)
    runs = latest_runs(tmp_path)
    assert ([one.calls for one in runs.runs], runs.older) == (list(range(5, 65)), 5)


def test_order_and_causes(tmp_path: Path) -> None:
    """They are told as they began, whatever their names; causes are the last one's, each answer's trace left out."""
    reasons = ["busy (trace a1)", "busy (trace b2)", "gone", "busy (trace c3)"]
    troubles = [{"status": "failed", "reason": reason, "account_id": 7} for reason in reasons]
    more = {"complete": False, "exit_code": 3, "troubles": troubles, "not_begun": 2, "requests": {"a": 3, "b": 4}}
    write(tmp_path, "a", FIRST + timedelta(days=1), ended=(FIRST + timedelta(days=1, seconds=90)).isoformat(), **more)
    write(tmp_path, "b", FIRST, troubles=[{"status": "short", "reason": "an old one"}])
    runs = latest_runs(tmp_path)
    assert [one.run_id for one in runs.runs] == ["b", "a"]
    assert list(runs.causes) == [
        Cause(status="failed", reason="busy", slices=3),
        Cause(status="failed", reason="gone", slices=1),
    ]
    last = runs.runs[-1]
    assert (last.lacking, last.requests, last.seconds, last.complete) == (6, 7, 90.0, False)


def test_times_of_other_zones(tmp_path: Path) -> None:
    """A moment is one wherever it was written down; a clock that was set back takes no time away."""
    write(tmp_path, "a", FIRST, started="2025-12-31T18:30:00Z", ended="2025-12-31T18:00:00+00:00")
    (run,) = latest_runs(tmp_path).runs
    assert (run.started, run.seconds) == (FIRST, 0.0)

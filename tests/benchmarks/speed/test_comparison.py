"""The comparison itself: the same work, checked; whoever did not do it is not timed. No figure is judged here."""

import datetime as dt
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks.speed.check import difference, truth
from tests.benchmarks.speed.contenders import contenders
from tests.benchmarks.speed.measure import Arena, Outcome, loaded, measured, saved, served
from tests.benchmarks.speed.report import figures, table
from tests.benchmarks.speed.server import World

WORLD = World(accounts=3, calls=70, zipf=0.0, end=dt.date(2026, 10, 31), days=2)
OUTCOME = Outcome(
    title="floor", name="floor", page_size=100, calls=1000, wall_s=2.0, cpu_s=1.0, peak_mib=40.0, requests=10,
    server_cpu_s=0.5, trouble=None,
)  # fmt: skip


def test_the_floor_and_harvester_land_what_the_server_has(tmp_path: Path) -> None:
    """Whole processes, in turns, more than a page an account."""
    said: list[str] = []
    with served(WORLD, None) as base_url:
        arena = Arena(WORLD, base_url, tmp_path, None)
        outcomes = list(measured(arena, contenders([], tmp_path, said.append), 2, [30], said.append))
    assert [outcome.name for outcome in outcomes] == ["floor", "harvester", "floor", "harvester"]
    assert {(outcome.trouble, outcome.calls) for outcome in outcomes} == {(None, 210)}
    assert all(outcome.requests >= 9 and outcome.peak_mib > 1 for outcome in outcomes)
    saved(outcomes, tmp_path / "results")
    assert loaded(tmp_path / "results") == outcomes


def test_a_contender_that_fails_is_in_trouble(tmp_path: Path) -> None:
    """Its exit code and its last word are kept."""
    floor = contenders([], tmp_path, print)[0]
    broken = replace(floor, command=lambda trial: [*floor.command(trial)[:2], "tests.nothing"])
    with served(WORLD, None) as base_url:
        trouble = Arena(WORLD, base_url, tmp_path, None).run(broken, 30).trouble
    assert trouble
    assert trouble.startswith("exit code 1: ")
    assert "tests.nothing" in trouble


def test_a_difference_is_named(tmp_path: Path) -> None:
    """One call lacks, one nobody knows, one came twice."""
    expected = truth(WORLD)
    assert len(expected) == 210
    lines = [b'{"call_id": "%b"}\n' % call_id for call_id in sorted(expected)]
    (tmp_path / "a.ndjson").write_bytes(b"".join(lines))
    assert difference(expected, tmp_path, "*.ndjson") is None
    (tmp_path / "a.ndjson").write_bytes(b"".join([*lines[1:], lines[1], b'{"call_id":"x"}\n']))
    assert difference(expected, tmp_path, "*.ndjson") == "1 calls are lacking, 1 unknown, 1 twice"
    assert difference(expected, tmp_path, "*.jsonl") == "210 calls are lacking, 0 unknown, 0 twice"


def test_ratios_are_of_the_same_round_and_trouble_is_last() -> None:
    """The median of the rounds' ratios, not the ratio of medians."""
    peer = replace(OUTCOME, name="peer", title="peer")
    lame = replace(OUTCOME, name="lame", title="lame", wall_s=0.1, trouble="exit code 1: no | idea")
    rounds = [
        OUTCOME, replace(peer, wall_s=4.0), lame, replace(OUTCOME, wall_s=1.0), replace(peer, wall_s=4.0), lame,
    ]  # fmt: skip
    found = figures(rounds)
    assert [one.name for one in found] == ["floor", "peer", "lame"]
    assert (found[0].speed, found[0].slowest, found[0].fastest, found[0].of_floor) == (750.0, 500.0, 1000.0, 1.0)
    assert (found[1].of_floor, found[1].cpu_s) == (0.375, 1000.0)
    assert "| lame | not timed: exit code 1: no   idea |" in table(rounds)


def test_a_peer_that_cannot_be_installed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on, and a line says why."""

    def refused(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "first\nno such version\n")

    monkeypatch.setattr(subprocess, "run", refused)
    said: list[str] = []
    assert [one.name for one in contenders(["scrapy"], tmp_path, said.append)] == ["floor", "harvester"]
    assert said[-1] == "left out: scrapy cannot be installed here: no such version"

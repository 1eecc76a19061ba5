"""Night after night: interrupted and gone on with, late calls, calls that the API forgets, completion marks."""

from dataclasses import replace
from pathlib import Path

import pytest

from harvester.errors import ExitCode
from harvester.harvest.pace import Pace
from harvester.harvest.preview import forecast
from harvester.landing.ndjson import read_lines
from harvester.model import ONE_DAY, Status, Window
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.flows import TODAY, assign, landed, run, sandbox
from tests.nights import WORLD, compare, marked_days, night, stamps

pytestmark = pytest.mark.anyio
TIED = World(accounts=5, calls_per_day=60, tie_size=90, tie_day_share=0.5, today=TODAY)
NEVER = 10**9


@pytest.mark.parametrize("budget", [2, 7, 40])
async def test_small_budgets_come_to_the_end(budget: int, tmp_path: Path) -> None:
    """Run after run with a budget for a few pages completes all slices, and asks for hardly a page twice."""
    undisturbed = sum((await night(tmp_path / "other")).requests.values())
    asked, runs = 0, 0
    async with sandbox(WORLD) as served:
        assignment = replace(assign(served, tmp_path / "zone"), max_requests=budget)
        while (report := await run(replace(assignment, scope=replace(assignment.scope, reread_days=None)))).troubles:
            assert report.exit_code is ExitCode.BUDGET
            assert {trouble.status for trouble in report.troubles} == {Status.UNFINISHED}
            asked += sum(report.requests.values())
            runs += 1
    assert report.exit_code is ExitCode.COMPLETE
    assert asked + sum(report.requests.values()) <= undisturbed + 5
    assert runs >= undisturbed // budget - 3, "undisturbed walks divide themselves, which costs a few requests"
    await compare(tmp_path / "zone")


async def test_a_dead_token_keeps_what_was_read(tmp_path: Path) -> None:
    """When the token dies in the middle of slices, the next run, with a working one, goes on from there."""
    undisturbed = sum((await night(tmp_path / "other")).requests.values())
    invalid = Switches(faults={Fault(FaultKind.CODE, 11002): 0.02})
    first = await night(tmp_path / "zone", invalid)
    assert first.exit_code is ExitCode.NO_TOKEN
    second = await night(tmp_path / "zone")
    assert second.exit_code is ExitCode.COMPLETE
    assert second.resumed >= 3
    asked = sum(first.requests.values()) + sum(second.requests.values())
    assert asked <= undisturbed + 8, "at most what was in flight is asked for again"
    await compare(tmp_path / "zone")


async def test_another_window_is_left_alone(tmp_path: Path) -> None:
    """A run over other days leaves what was begun as it is; the next one over these days goes on with it."""
    undisturbed = sum((await night(tmp_path / "other")).requests.values())
    first = await night(tmp_path / "zone", max_requests=30)
    assert first.exit_code is ExitCode.BUDGET
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path / "zone")
        earlier = Window(TODAY - ONE_DAY * 30, TODAY - ONE_DAY * 20)
        between = await run(replace(assignment, scope=replace(assignment.scope, window=earlier)))
    assert (between.exit_code, between.resumed) == (ExitCode.COMPLETE, 0)
    last = await night(tmp_path / "zone")
    assert last.exit_code is ExitCode.COMPLETE
    assert last.resumed > 0
    assert sum(first.requests.values()) + sum(last.requests.values()) <= undisturbed + 8
    await compare(tmp_path / "zone")


async def test_a_slice_longer_than_a_night_ends(tmp_path: Path) -> None:
    """With a budget too small for the window, night after night, each on a window a day later, days get complete."""
    asked = []
    for later in range(6):
        today = TODAY - ONE_DAY * (6 - later)
        async with sandbox(WORLD) as served:
            assignment = assign(served, tmp_path)
            window = Window(today - ONE_DAY * 7, today - ONE_DAY)
            scope = replace(assignment.scope, window=window, today=today)
            report = await run(replace(assignment, accounts=assignment.accounts[:1], scope=scope, max_requests=4))
        asked.append(report.slices.get(Status.COMPLETE, 0))
    assert sum(asked) > 0
    assert asked[0] == 0, "one night is not enough"


async def test_late_calls_are_added_and_counted(tmp_path: Path) -> None:
    """Calls that were not there last night are new tonight; what was there and did not change is not touched."""
    await night(tmp_path, Switches(late_calls=3, late_after=NEVER))
    before = sum(len(list(read_lines(path))) for path in tmp_path.glob("dt=*/*/*.zst"))
    report = await night(tmp_path)
    assert report.new == report.calls - before > 0
    assert (report.changed, report.missing, report.exit_code) == (0, 0, ExitCode.COMPLETE)
    await compare(tmp_path)


async def test_the_same_night_again_touches_nothing(tmp_path: Path) -> None:
    """Files and marks of days that the API did not change keep their bytes, times and inodes."""
    await night(tmp_path)
    before = stamps(tmp_path)
    report = await night(tmp_path)
    assert (report.new, report.changed, report.missing) == (0, 0, 0)
    assert stamps(tmp_path) == before


async def test_a_call_that_the_api_forgets_is_kept(tmp_path: Path) -> None:
    """By default a call stays though it is returned no more; it is counted, and its account and day are named."""
    await night(tmp_path)
    before = stamps(tmp_path)
    report = await night(tmp_path, Switches(vanish_calls=2, vanish_after=0))
    assert report.exit_code is ExitCode.COMPLETE
    assert report.missing > 0
    assert (report.dropped, report.new) == (0, 0)
    assert sum(one.calls for one in report.missing_on) == report.missing
    assert stamps(tmp_path) == before
    await compare(tmp_path)


async def test_a_call_that_the_api_forgets_is_dropped_if_so_wanted(tmp_path: Path) -> None:
    """With `on_missing = "drop"` the files are what a complete reading brought, and nothing else."""
    forgetful = Switches(vanish_calls=2, vanish_after=0)
    await night(tmp_path / "zone")
    report = await night(tmp_path / "zone", forgetful, keep_missing=False)
    assert report.dropped == report.missing > 0
    await night(tmp_path / "other", forgetful)
    async with sandbox(WORLD) as served:
        zone, other = assign(served, tmp_path / "zone"), assign(served, tmp_path / "other")
    for account in WORLD.account_ids:
        assert landed(zone, account) == landed(other, account)
    names = [{path.relative_to(one.output_dir) for path in one.output_dir.glob("dt=*/*")} for one in (zone, other)]
    assert names[0] == names[1]


async def test_a_bad_night_drops_nothing(tmp_path: Path) -> None:
    """With `on_missing = "drop"` a day whose reading is not proven keeps every call that had landed."""
    await night(tmp_path, world=TIED)
    before = {path: list(read_lines(path)) for path in tmp_path.glob("dt=*/*/*.zst")}
    shallow = Switches(max_page_size=20, max_depth=40)
    report = await night(tmp_path, shallow, TIED, keep_missing=False)
    assert report.slices[Status.SHORT] > 0
    assert report.missing > 0
    assert report.dropped == 0
    assert {path: list(read_lines(path)) for path in before} == before
    marks = marked_days(tmp_path)
    assert len(marks) < 7, "a day that is not proven any more loses its mark"


async def test_pace_changes_nothing_but_the_pace(tmp_path: Path) -> None:
    """A harvest with a checkpoint after each page lands the same bytes as one without any."""
    await night(tmp_path / "often", pace=Pace(every_s=None, every_bytes=1), page_size=20)
    await night(tmp_path / "never", pace=Pace(every_s=None, every_bytes=None), page_size=20)
    often, never = stamps(tmp_path / "often"), stamps(tmp_path / "never")
    contents = [
        {path.relative_to(tmp_path).parts[1:]: stamp[2] for path, stamp in one.items() if path.suffix == ".zst"}
        for one in (often, never)
    ]
    assert contents[0] == contents[1]
    await compare(tmp_path / "often")


@pytest.mark.parametrize("again", [False, True])
async def test_an_interrupted_night_is_gone_on_with(tmp_path: Path, *, again: bool) -> None:
    """What an interrupted run completed is not read again by the next one of the same night, young days or not."""
    if again:
        await night(tmp_path)
    undisturbed = sum((await night(tmp_path / "other")).requests.values())
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        assignment = replace(assignment, scope=replace(assignment.scope, again=again), in_flight=1)
        first = await run(replace(assignment, max_requests=undisturbed // 2))
        assert first.exit_code is ExitCode.BUDGET
        assert first.slices[Status.COMPLETE] > 0
        forecast_of_the_rest = forecast(assignment)
        second = await run(assignment)
        assert sum(first.requests.values()) + sum(second.requests.values()) <= undisturbed + 3
        assert f"{sum(second.slices.values())} slices" in forecast_of_the_rest
        third = await run(assignment)
        assert third.slices == {Status.COMPLETE: 5}, "a night that came to its end is not gone on with"
    await compare(tmp_path)


async def test_only_runs_of_a_kind_are_a_night(tmp_path: Path) -> None:
    """A run of another day, or for some accounts only, reads all of its own, and ends no other's night."""
    async with sandbox(WORLD) as served:
        assignment = replace(assign(served, tmp_path), in_flight=1)
        first = await run(replace(assignment, max_requests=60))
        done = first.slices[Status.COMPLETE]
        assert done > 0
        alone = await run(replace(assignment, accounts=assignment.accounts[:1]))
        assert alone.slices == {Status.COMPLETE: 1}
        rest = await run(assignment)
        assert sum(rest.slices.values()) == 5 - done
        await run(replace(assignment, max_requests=60))
        tomorrow = replace(assignment.scope, today=TODAY + ONE_DAY)
        assert sum((await run(replace(assignment, scope=tomorrow))).slices.values()) == 5

"""The whole path over real HTTP: what lands is held against what the sandbox holds, byte by byte."""

import itertools
import os
import signal
from dataclasses import replace
from pathlib import Path

import anyio
import orjson
import pytest

from harvester.api.quota import Limits
from harvester.errors import ExitCode, LockedError, StorageError
from harvester.harvest.run import harvest
from harvester.model import AppName, Status, TokenName
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.server import Sandbox
from harvester.sandbox.switches import (
    ACCESS,
    CursorRule,
    Empty,
    EndDate,
    Numbers,
    Order,
    Oversize,
    Switches,
    Ties,
    Total,
)
from harvester.sandbox.world import World
from tests.credentials import credentials
from tests.flows import APP, TODAY, TOKEN, assign, differences, ids, landed, run, sandbox, surroundings, window_of

pytestmark = pytest.mark.anyio

SMALL = World(today=TODAY, accounts=6, calls_per_day=25, tie_size=0)
TIED = World(today=TODAY, accounts=4, calls_per_day=40, tie_share=0.3, tie_size=70, tie_day_share=0.3)


def nasty_modes() -> list[Switches]:
    """Every combination of the questions that matter most to the walk, with the others varied alongside."""
    modes = []
    others = itertools.cycle(
        (
            Switches(oversize=Oversize.REFUSE, max_page_size=200),
            Switches(oversize=Oversize.CLAMP, max_page_size=40, gzip=True),
            Switches(oversize=Oversize.CLAMP_SILENTLY, max_page_size=35, numbers=Numbers.STRING),
            Switches(oversize=Oversize.REFUSE, max_page_size=30, empty=Empty.ABSENT),
            Switches(max_page_size=50, empty=Empty.NULL),
        )
    )
    for order, cursor, ties, total in itertools.product(Order, CursorRule, Ties, (Total.WINDOW, Total.REST)):
        modes.append(replace(next(others), order=order, cursor=cursor, ties=ties, total=total))
    return modes


@pytest.mark.parametrize(
    "switches", nasty_modes(), ids=lambda s: f"{s.order}-{s.cursor}-{s.ties}-{s.total}-{s.oversize}"
)
async def test_every_call_lands_whatever_the_api_turns_out_to_be(switches: Switches, tmp_path: Path) -> None:
    """With ties larger than any page, in every mode, the files are what the sandbox holds and the run says complete."""
    async with sandbox(TIED, switches) as served:
        assignment = assign(served, tmp_path)
        report = await run(assignment)
        assert differences(assignment, TIED) == {}
        assert (report.exit_code, set(report.slices)) == (ExitCode.COMPLETE, {Status.COMPLETE})
        assert served.stats.repeated_nonces == 0


@pytest.mark.parametrize("page_size", [1, 7, 200, 1000])
async def test_any_page_size_brings_the_same(page_size: int, tmp_path: Path) -> None:
    """The page size changes the number of requests and nothing else."""
    async with sandbox(SMALL) as served:
        assignment = assign(served, tmp_path, days=3, page_size=page_size)
        report = await run(assignment)
    assert differences(assignment, SMALL) == {}
    assert report.complete


async def test_an_exclusive_end_date_is_noticed(tmp_path: Path) -> None:
    """When calls of `end_date` are not returned, the last day is read all the same."""
    async with sandbox(SMALL, Switches(end_date=EndDate.EXCLUSIVE)) as served:
        assignment = assign(served, tmp_path)
        report = await run(assignment)
    assert differences(assignment, SMALL) == {}
    assert report.complete


async def test_pretty_json_and_unknown_fields_are_kept(tmp_path: Path) -> None:
    """Indented answers become one line a call, with every field the API sent, known or not."""
    async with sandbox(SMALL, Switches(pretty=True, extra_field=True)) as served:
        assignment = assign(served, tmp_path, days=2)
        await run(assignment)
    for account in assignment.accounts:
        here = [orjson.loads(line) for line in landed(assignment, account.id)]
        true = [orjson.loads(line) for line in SMALL.calls(account.id, assignment.scope.window)]
        assert [
            {key: value for key, value in call.items() if key in full} for call, full in zip(here, true, strict=True)
        ] == true
        assert all(len(call) > len(full) for call, full in zip(here, true, strict=True))


async def test_calls_that_come_in_meanwhile_are_no_problem(tmp_path: Path) -> None:
    """Calls that become visible during the walk land now or with the next run; none is doubled."""
    async with sandbox(SMALL, Switches(late_calls=3, late_after=1)) as served:
        assignment = assign(served, tmp_path, page_size=20)
        first = await run(assignment)
        assert first.complete
        second = await run(assignment)
    assert differences(assignment, SMALL) == {}
    assert second.complete


async def test_calls_that_vanish_are_kept(tmp_path: Path) -> None:
    """What landed once stays when the API stops returning it, and is counted as missing."""
    async with sandbox(SMALL) as served:
        assignment = assign(served, tmp_path)
        await run(assignment)
    async with sandbox(SMALL, Switches(vanish_calls=2, vanish_after=0)) as served:
        again = replace(assignment, base_url=served.base_url)
        report = await run(again)
    assert differences(assignment, SMALL) == {}
    assert report.complete
    assert report.missing > 0
    assert (report.new, report.changed) == (0, 0)


async def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """The same window again leaves every file's bytes and times as they were."""
    async with sandbox(SMALL) as served:
        assignment = assign(served, tmp_path)
        await run(assignment)
        before = {path: path.stat() for path in tmp_path.glob("dt=*/*/*")}
        report = await run(assignment)
    after = {path: path.stat() for path in tmp_path.glob("dt=*/*/*")}
    assert {path: (stat.st_mtime_ns, stat.st_ino) for path, stat in before.items()} == {
        path: (stat.st_mtime_ns, stat.st_ino) for path, stat in after.items()
    }
    assert (report.new, report.changed, report.missing) == (0, 0, 0)


async def test_only_what_is_due_is_read(tmp_path: Path) -> None:
    """Old complete days are not asked for again; the last seven are."""
    async with sandbox(SMALL) as served:
        assignment = assign(served, tmp_path, days=40, page_size=200)
        first = await run(assignment)
        second = await run(assignment)
    assert differences(assignment, SMALL) == {}
    assert sum(second.requests.values()) < sum(first.requests.values())
    assert second.slices == {Status.COMPLETE: 6}


async def test_nothing_but_whole_files_is_visible(tmp_path: Path) -> None:
    """The landing zone holds partitions, completion marks, the runs' reports and the state directory, nothing else."""
    async with sandbox(SMALL) as served:
        await run(assign(served, tmp_path, days=2))
    visible = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    partitions = {name for name in visible if name.startswith("dt=")}
    assert {name.rsplit("/")[-1] for name in partitions} == {"calls.ndjson.zst", "_COMPLETE.json"}
    assert {name.split("/")[0] for name in visible - partitions} == {"runs", ".harvester"}
    assert not list((tmp_path / ".harvester" / "unfinished").iterdir())


async def test_one_dead_account_stops_no_other(tmp_path: Path) -> None:
    """An account that the token may not read is skipped and named; all others are complete; the exit code is 3."""
    dead = SMALL.account_ids[2]
    async with sandbox(SMALL, Switches(account_codes={dead: 12201})) as served:
        assignment = assign(served, tmp_path)
        report = await run(assignment)
        assert served.stats.codes[12201] == 1
    assert set(differences(assignment, SMALL)) == {dead}
    assert report.exit_code is ExitCode.PARTIAL
    assert [(one.account_id, one.status) for one in report.troubles] == [(dead, Status.SKIPPED)]
    assert "code 12201" in report.troubles[0].reason


async def test_a_dead_token_stops_its_own_accounts_only(tmp_path: Path) -> None:
    """After one answer about a bad token nothing more is sent under it; other tokens' accounts are complete."""
    async with sandbox(SMALL) as served:
        assignment = assign(served, tmp_path)
        bad = TokenName("bad")
        accounts = [replace(one, token=bad) if index % 2 else one for index, one in enumerate(assignment.accounts)]
        assignment = replace(
            assignment,
            accounts=accounts,
            tokens={TOKEN: credentials(ACCESS), bad: credentials("unknown-to-the-sandbox")},
        )
        report = await run(assignment)
        assert served.stats.codes[11002] == 1
    assert set(differences(assignment, SMALL)) == {one.id for one in accounts if one.token == bad}
    assert report.exit_code is ExitCode.PARTIAL
    assert list(report.dead_tokens) == [bad]


async def test_no_token_works(tmp_path: Path) -> None:
    """When every token is dead the exit code is 5."""
    async with sandbox(SMALL) as served:
        report = await run(replace(assign(served, tmp_path), tokens={TOKEN: credentials("wrong")}))
    assert report.exit_code is ExitCode.NO_TOKEN


async def test_a_mix_of_faults_is_survived(tmp_path: Path) -> None:
    """With one request in ten going wrong in every way there is, every call lands."""
    kinds = (
        FaultKind.RESET,
        FaultKind.CLOSE,
        FaultKind.CUT,
        FaultKind.GARBAGE,
        FaultKind.BAD_GATEWAY,
        FaultKind.UNAVAILABLE,
    )
    faults = {Fault(kind): 0.012 for kind in kinds} | {
        Fault(FaultKind.CODE, code): 0.01 for code in (10000, 51001, 12100)
    }
    async with sandbox(TIED, Switches(faults=faults, ties=Ties.UNSTABLE)) as served:
        assignment = assign(served, tmp_path, page_size=10)
        report = await run(assignment)
        assert sum(served.stats.faults.values()) > 10
    assert differences(assignment, TIED) == {}
    assert report.complete


async def test_the_quota_is_kept(tmp_path: Path) -> None:
    """A server that counts exactly never sees one request too many."""
    async with sandbox(SMALL, Switches(requests_per_minute=60, requests_per_second=4)) as served:
        assignment = replace(assign(served, tmp_path, page_size=10), limits={APP: Limits(per_minute=60, per_second=4)})
        report = await run(assignment)
        assert served.stats.codes[11017] == served.stats.codes[11016] == 0
        assert served.stats.requests > 60
    assert differences(assignment, SMALL) == {}
    assert report.complete


async def test_an_unknown_quota_is_survived(tmp_path: Path) -> None:
    """Without a configured quota, 11017 pauses the app, and the run ends complete."""
    async with sandbox(SMALL, Switches(requests_per_minute=40)) as served:
        assignment = assign(served, tmp_path, page_size=10)
        report = await run(assignment)
        assert served.stats.codes[11017] > 0
    assert differences(assignment, SMALL) == {}
    assert report.complete


async def test_the_day_of_one_app_ends_its_slices_only(tmp_path: Path) -> None:
    """An app whose day is over leaves its slices unfinished and resumable; the next run with quota completes them."""
    async with sandbox(SMALL) as served:
        assignment = assign(served, tmp_path)
        other = AppName("other")
        accounts = [replace(one, app=other) if index % 2 else one for index, one in enumerate(assignment.accounts)]
        limited = replace(assignment, accounts=accounts, limits={APP: Limits(), other: Limits(per_day=2)})
        report = await run(limited)
        assert report.exit_code is ExitCode.BUDGET
        assert report.requests[other] == 2
        assert {one.id for one in accounts if one.app == APP}.isdisjoint(differences(assignment, SMALL))
        later = await run(assignment)
    assert later.complete
    assert differences(assignment, SMALL) == {}


async def test_a_budget_of_requests_is_kept(tmp_path: Path) -> None:
    """`--max-requests` ends the run softly with exit code 8, not one request over."""
    async with sandbox(SMALL) as served:
        assignment = replace(assign(served, tmp_path, page_size=10), max_requests=15)
        report = await run(assignment)
        assert served.stats.requests == 15
        assert report.exit_code is ExitCode.BUDGET
        assert not report.complete
        resumed = await run(replace(assignment, max_requests=None))
    assert resumed.complete
    assert differences(assignment, SMALL) == {}


async def test_a_budget_of_time_is_kept(tmp_path: Path) -> None:
    """`--max-duration` ends the run softly with exit code 8."""
    async with sandbox(SMALL) as served:
        assignment = replace(
            assign(served, tmp_path, page_size=10), limits={APP: Limits(per_minute=10)}, max_duration_s=90.0
        )
        report = await run(assignment)
        assert served.stats.requests <= 16
    assert report.exit_code is ExitCode.BUDGET


async def test_an_api_that_is_down_fails_no_slice(tmp_path: Path) -> None:
    """When nothing answers, all is left to the next run with the reason, and nothing lands."""
    async with sandbox(SMALL) as served:
        gone = replace(assign(served, tmp_path), base_url="http://127.0.0.1:9", give_up_after_s=60)
        report = await run(gone)
    assert report.exit_code is ExitCode.BUDGET
    assert report.slices == {Status.UNFINISHED: 6}
    assert "no connection" in report.troubles[0].reason
    assert not list(tmp_path.glob("dt=*"))


async def test_a_slice_that_cannot_be_proven_is_short_and_kept(tmp_path: Path) -> None:
    """A tie beyond the depth that the API serves: what can be read lands, and the slice is reported short."""
    async with sandbox(TIED, Switches(max_page_size=20, max_depth=40)) as served:
        assignment = assign(served, tmp_path, page_size=20)
        report = await run(assignment)
    short = [one for one in report.troubles if one.status is Status.SHORT]
    assert report.exit_code is ExitCode.PARTIAL
    assert {one.account_id for one in short} == set(differences(assignment, TIED))
    for account in assignment.accounts:
        here = ids(landed(assignment, account.id))
        assert len(here) == len(set(here))
        assert set(here) <= set(ids(list(TIED.calls(account.id, assignment.scope.window))))
    assert all("calls that the API counts" in one.reason for one in short)


async def test_two_runs_cannot_share_a_state_directory(tmp_path: Path) -> None:
    """The second run is told who holds the lock, and exits 11."""
    async with sandbox(SMALL, Switches(latency_s=0.2)) as served:
        assignment = assign(served, tmp_path)
        async with anyio.create_task_group() as both:
            both.start_soon(run, assignment)
            await anyio.sleep(0.1)
            with pytest.raises(LockedError, match=f"pid {os.getpid()}") as caught:
                await run(assignment)
    assert caught.value.exit_code is ExitCode.LOCKED


async def test_a_landing_zone_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    """The true cause reaches the caller, with the path, and not its echoes."""
    async with sandbox(SMALL) as served:
        assignment = assign(served, tmp_path)
        (tmp_path / f"dt={assignment.scope.window.end}").write_text("in the way")
        with pytest.raises(StorageError, match=f"dt={assignment.scope.window.end}") as caught:
            await run(assignment)
    assert caught.value.exit_code is ExitCode.STORAGE


async def test_the_report_is_saved(tmp_path: Path) -> None:
    """`runs/<run_id>.json` holds the report."""
    async with sandbox(SMALL) as served:
        report = await run(assign(served, tmp_path))
    saved = orjson.loads((tmp_path / "runs" / f"{report.run_id}.json").read_bytes())
    assert saved["complete"] is True
    assert saved["calls"] == report.calls > 0
    assert saved["slices"] == {"complete": 6, "short": 0, "failed": 0, "skipped": 0, "unfinished": 0}


async def test_cancelling_leaves_whole_slices_only(tmp_path: Path) -> None:
    """A run that is cancelled anywhere leaves files that are whole; the next run completes the rest."""
    async with sandbox(SMALL, Switches(latency_s=0.3)) as served:
        assignment = replace(assign(served, tmp_path, page_size=20), in_flight=2)
        with anyio.move_on_after(2.0):
            await harvest(assignment, around=surroundings())
        for account, (here, true) in differences(assignment, SMALL).items():
            assert here == 0, f"{account}: {here} of {true}"
        report = await run(window_of(assignment, 7))
    assert report.complete
    assert differences(assignment, SMALL) == {}


async def test_what_the_writer_had_not_committed_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices that were read to their end, but not committed when the run was cancelled, are named as abandoned."""

    async def never(*_: object) -> None:
        await anyio.sleep_forever()

    async def terminate_twice(served: Sandbox) -> None:
        while served.stats.requests < SMALL.accounts:  # noqa: ASYNC110 - the sandbox tells nobody
            await anyio.sleep(1)
        for _ in range(2):
            await anyio.sleep(60)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("harvester.landing.writer.Writer.drain", never)
    async with sandbox(SMALL) as served, anyio.create_task_group() as group:
        group.start_soon(terminate_twice, served)
        report = await run(assign(served, tmp_path))
    assert report.exit_code is ExitCode.TERMINATED
    assert report.slices == {Status.UNFINISHED: 6}
    assert not report.complete

"""Whole harvests through bad weather, over real sockets: every call lands, the quota holds, nothing hammers."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from harvester.api.quota import Limits
from harvester.errors import ExitCode
from harvester.harvest.assignment import Assignment
from harvester.harvest.run import harvest
from harvester.model import Status
from harvester.report.summary import Report
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.stats import busiest
from harvester.sandbox.switches import CLIENT_ID, Alignment, Switches
from harvester.sandbox.world import World
from tests.flows import APP, TODAY, assign, differences, run, sandbox, surroundings

pytestmark = pytest.mark.anyio
WORLD = World(accounts=12, calls_per_day=60, today=TODAY)
CODES = (10000, 11008, 11016, 11019, 12100, 12101, 30001, 51001, 60005, 999_999)
"""Return codes that a repetition cures, one of each kind, and one that nobody knows."""


async def harvested(switches: Switches, folder: Path, **changes: object) -> tuple[Report, Assignment, "Seen"]:
    """One run, and what the server saw of it."""
    async with sandbox(WORLD, switches) as served:
        assignment = replace(assign(served, folder), **changes)  # type: ignore[arg-type]
        report = await run(assignment)
        stats = served.stats
        times = list(stats.arrivals.get(CLIENT_ID, ()))
        seen = Seen(stats.requests, stats.repeated_nonces, stats.barred, stats.elsewhere, times)
        return report, assignment, seen


class Seen:
    """What the server saw."""

    def __init__(self, requests: int, repeated: int, barred: int, elsewhere: int, times: list[float]) -> None:
        self.requests = requests
        self.repeated_nonces = repeated
        self.barred = barred
        self.elsewhere = elsewhere
        self.times = times

    def assert_fair(self, report: Report, *, closing: bool = False) -> None:
        """Every request was counted by the client, no nonce came twice, nothing went elsewhere.

        A request on a connection that the server is just closing is never read by it: the client counts it as failed.
        """
        unseen = sum(report.requests.values()) - self.requests
        assert 0 <= unseen <= (report.failed_attempts if closing else 0)
        assert (self.repeated_nonces, self.elsewhere) == (0, 0)


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.CODE])
async def test_a_tenth_of_one_fault(kind: FaultKind, tmp_path: Path) -> None:
    """Whatever a tenth of all requests meets, every call lands."""
    switches = Switches(faults={Fault(kind): 0.1}, fault_bytes=16 * 2**20, gzip=True, latency_s=0.1)
    report, assignment, seen = await harvested(switches, tmp_path)
    assert report.exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}
    seen.assert_fair(report, closing=kind is FaultKind.CLOSE)


@pytest.mark.parametrize("code", CODES)
async def test_a_tenth_of_one_code(code: int, tmp_path: Path) -> None:
    """Busy, limits, nonce and timestamp: every call lands; an unknown code fails its slice, never the run."""
    report, assignment, seen = await harvested(Switches(faults={Fault(FaultKind.CODE, code): 0.1}), tmp_path)
    if code == 999_999:
        assert report.exit_code == ExitCode.PARTIAL
        assert report.slices.get(Status.COMPLETE, 0) > 0
    else:
        assert report.exit_code == ExitCode.COMPLETE
        assert differences(assignment, WORLD) == {}
    seen.assert_fair(report)


@pytest.mark.parametrize("seed", range(3))
async def test_a_tenth_of_all_faults_together(seed: int, tmp_path: Path) -> None:
    """Every kind of fault and every code that can be cured, in one night: every call lands, within the quota."""
    kinds = [Fault(kind) for kind in FaultKind if kind is not FaultKind.CODE]
    faults = [*kinds, *(Fault(FaultKind.CODE, code) for code in CODES if code != 999_999), Fault(FaultKind.CODE, 11017)]
    switches = Switches(
        seed=seed,
        faults=dict.fromkeys(faults, 0.1 / len(faults)),
        fault_bytes=16 * 2**20,
        latency_s=0.1,
        requests_per_minute=600,
    )
    report, assignment, seen = await harvested(switches, tmp_path, limits={APP: Limits(per_minute=600)})
    assert report.exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}
    seen.assert_fair(report, closing=True)
    assert busiest(seen.times, 60.0) <= 600


@pytest.mark.parametrize("kind", ["unavailable", "hang", "reset", "bad-gateway", "html", "code:51001"])
async def test_an_outage_of_ten_minutes(kind: str, tmp_path: Path) -> None:
    """Nothing fails; while it lasts only probes are sent, further and further apart; then the run goes on by itself."""
    switches = Switches(outages=((5.0, 605.0, kind),), latency_s=0.1)
    limits = {APP: Limits(per_second=4)}
    report, assignment, seen = await harvested(switches, tmp_path, limits=limits)
    assert report.exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}
    seen.assert_fair(report)
    began = seen.times[0]
    during = [at for at in seen.times if began + 65 <= at < began + 605]
    assert len(during) <= 20
    assert any("the API was down" in note for note in report.notes)


async def test_an_api_that_stays_away(tmp_path: Path) -> None:
    """The run ends after `give_up_after`, resumable, with nothing failed; the next one completes the night."""
    switches = Switches(outages=((5.0, 10_000.0, "unavailable"),), latency_s=0.1)
    async with sandbox(WORLD, switches) as served:
        assignment = replace(assign(served, tmp_path), limits={APP: Limits(per_second=4)}, give_up_after_s=900.0)
        report = await run(assignment)
        assert report.exit_code == ExitCode.BUDGET
        assert report.slices.get(Status.FAILED, 0) == 0
        assert report.ended
        assert 900 <= (report.ended - report.started).total_seconds() <= 1_000
        assert any("the API has not answered for " in trouble.reason for trouble in report.troubles)
        await anyio.sleep(10_000)
        assert (await run(assignment)).exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """Nobody listens: the same, and a person is told so."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
    report = await run(replace(assignment, give_up_after_s=300.0))
    assert report.exit_code == ExitCode.BUDGET
    assert sum(report.requests.values()) <= 30
    assert any("no connection (Connection refused)" in trouble.reason for trouble in report.troubles)


@pytest.mark.parametrize("alignment", Alignment)
@pytest.mark.parametrize("neighbour", [0, 60])
async def test_the_quota_holds_and_is_used(alignment: Alignment, neighbour: int, tmp_path: Path) -> None:
    """No window ever holds more than the quota, however the server's windows lie; nothing is refused."""
    switches = Switches(
        requests_per_minute=120,
        alignment=alignment,
        latency_s=0.1,
        neighbour_per_minute=neighbour,
        neighbour_from_s=-60.0 if neighbour else None,
    )
    limits = {APP: Limits(per_minute=120)}
    report, assignment, seen = await harvested(switches, tmp_path, limits=limits, page_size=12)
    assert report.exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}
    assert report.failed_attempts == 0
    assert busiest(seen.times, 60.0) <= 120 - neighbour
    took = seen.times[-1] - seen.times[0]
    assert len(seen.times) / took * 60 >= 0.9 * (120 - neighbour)


@pytest.mark.parametrize("rest_s", [0.0, 1.0, 20.0])
async def test_the_quota_holds_over_a_restart(rest_s: float, tmp_path: Path) -> None:
    """A run that begins right after another one goes on with its permits."""
    switches = Switches(requests_per_minute=20, latency_s=0.1)
    async with sandbox(WORLD, switches) as served:
        assignment = replace(assign(served, tmp_path), limits={APP: Limits(per_minute=20)}, max_requests=13)
        for _ in range(4):
            report = await run(assignment)
            assert report.failed_attempts == 0
            assert not [note for note in report.notes if "others" in note]  # the runs before are no others
            await anyio.sleep(rest_s)
        times = list(served.stats.arrivals[CLIENT_ID])
    assert len(times) == 52
    assert busiest(times, 60.0) <= 20


async def test_an_app_whose_day_is_over(tmp_path: Path) -> None:
    """11018 ends the app's slices, resumable; a day later the next run goes on."""
    async with sandbox(WORLD, Switches(requests_per_day=12, latency_s=0.1)) as served:
        assignment = assign(served, tmp_path)
        nights: list[Report] = []
        while not nights or (nights[-1].exit_code == ExitCode.BUDGET and len(nights) < 30):
            nights.append(await run(assignment))
            await anyio.sleep(86_400)
    assert len(nights) > 2
    assert all("11018" in trouble.reason for report in nights for trouble in report.troubles)
    assert nights[-1].exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}


async def test_a_slow_api_is_asked_less(tmp_path: Path) -> None:
    """A hundred times slower for a while: fewer requests in flight, not more; every call lands."""
    switches = Switches(latency_s=0.05, slow_latency_s=8.0, slow_from_s=20.0, slow_until_s=400.0)
    limits = {APP: Limits(per_second=10)}
    async with sandbox(WORLD, switches) as served:
        assignment = replace(assign(served, tmp_path, page_size=10), limits=limits, in_flight=32)
        most: list[int] = []

        async def watch() -> None:
            await anyio.sleep(150)
            for _ in range(100):
                most.append(served.stats.in_flight)
                await anyio.sleep(1)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            report = await run(assignment)
    assert report.exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}
    assert max(most) <= 20, "of 32; walks that were divided keep all places busy"


@pytest.mark.parametrize("off_s", [-7 * 3_600, 400, 26 * 3_600])
async def test_a_clock_that_is_off(off_s: int, tmp_path: Path) -> None:
    """By hours or by a day: healed by the first answer, told, and no call is missed."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        right = surroundings()
        wrong = replace(right, wall=lambda: right.wall() + off_s)
        report = await harvest(assignment, around=wrong)
        refused = served.stats.codes[12101]
    assert report.exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}
    assert refused <= 1
    assert any("clock" in note for note in report.notes)


@pytest.mark.parametrize("requests", [1, 7, 40])
async def test_the_day_holds_over_a_restart_without_any_other_quota(requests: int, tmp_path: Path) -> None:
    """A run that is killed has told the ledger of what it could send, though no spacing says how much that is."""
    async with sandbox(WORLD, Switches(latency_s=0.01)) as served:
        assignment = replace(assign(served, tmp_path), limits={APP: Limits(per_day=200)})
        for _ in range(12):
            with anyio.CancelScope() as killed:
                already = served.stats.requests

                async def kill(scope: anyio.CancelScope, at: int) -> None:
                    while served.stats.requests < at:  # noqa: ASYNC110 - the sandbox tells nobody
                        await anyio.sleep(0.001)
                    scope.cancel()

                async with anyio.create_task_group() as group:
                    group.start_soon(kill, killed, already + requests)
                    with pytest.MonkeyPatch.context() as patch:
                        patch.setattr("harvester.harvest.meter.Meter.close", lambda _: None)
                        report = await run(assignment)
                    group.cancel_scope.cancel()
                    if report.exit_code == ExitCode.COMPLETE:
                        break
        assert served.stats.requests <= 200


async def test_the_time_of_a_run_ends_it_though_the_api_hangs(tmp_path: Path) -> None:
    """No answer is waited for much longer than that, whatever an attempt may take; the next run completes the night."""
    async with sandbox(WORLD, Switches(outages=((2.0, 500.0, "hang"),), latency_s=0.5)) as served:
        assignment = replace(assign(served, tmp_path), timeout_s=600, max_duration_s=5.0)
        report = await run(assignment)
        assert report.exit_code == ExitCode.BUDGET
        assert report.ended
        assert (report.ended - report.started).total_seconds() < 200  # it hangs until 500
        assert any("--max-duration" in trouble.reason for trouble in report.troubles)
        await anyio.sleep(600)
        assert (await run(replace(assignment, max_duration_s=None))).exit_code == ExitCode.COMPLETE
    assert differences(assignment, WORLD) == {}


async def test_an_outage_with_a_single_account(tmp_path: Path) -> None:
    """It is one as well: nothing fails, the run goes on by itself."""
    world = World(accounts=1, calls_per_day=60, today=TODAY)
    async with sandbox(world, Switches(outages=((0.0, 300.0, "unavailable"),))) as served:
        assignment = assign(served, tmp_path)
        assert (await run(assignment)).exit_code == ExitCode.COMPLETE
    assert differences(assignment, world) == {}

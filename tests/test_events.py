"""What a run tells whoever listens: which events, when, with which fields; and that the README says the same."""

import dataclasses
import logging
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from harvester.api.quota import Limits
from harvester.errors import ExitCode
from harvester.events import (
    EVENTS,
    Audience,
    Checkpointed,
    Ended,
    Event,
    Problem,
    Progressed,
    SliceDone,
    Started,
    Waiting,
    to_json,
)
from harvester.harvest.pace import Pace
from harvester.harvest.run import harvest
from harvester.report.summary import Report
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.grants import Grant
from harvester.sandbox.switches import ACCESS, CLIENT_SECRET, REFRESH, Switches
from harvester.sandbox.world import World
from harvester.secret import Secret
from harvester.standing import Stage, Standing
from tests.credentials import credentials
from tests.flows import APP, NOW_S, TODAY, TOKEN, assign, sandbox, surroundings

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.anyio
WORLD = World(accounts=12, calls_per_day=60, today=TODAY)


async def told(
    folder: Path, switches: Switches | None = None, every_s: float | None = None, **changes: object
) -> tuple[Report, list[Event]]:
    """A night's report, and all that it told."""
    events: list[Event] = []
    async with sandbox(WORLD, switches) as served:
        assignment = replace(assign(served, folder), **changes)  # type: ignore[arg-type]
        audience = Audience(tell=events.append, every_s=every_s)
        report = await harvest(assignment, around=surroundings(), audience=audience)
    return report, events


def of(events: list[Event], kind: type[Event]) -> list[Event]:
    """Those of a kind."""
    return [one for one in events if isinstance(one, kind)]


async def test_a_good_night(tmp_path: Path) -> None:
    """`start` comes first, `end` last, and between them one `slice_done` for each slice, with its own calls."""
    report, events = await told(tmp_path)
    assert [type(events[0]), type(events[-1])] == [Started, Ended]
    assert events[0] == Started(
        run_id=report.run_id, start=report.window.start, end=report.window.end, accounts=12, completed_before=0
    )
    done = [one for one in events if isinstance(one, SliceDone)]
    assert len(done) == sum(report.slices.values())
    assert {one.account_id for one in done} == set(WORLD.account_ids)
    assert (sum(one.calls for one in done), sum(one.new for one in done)) == (report.calls, report.new)
    assert sum(one.requests or 0 for one in done) == sum(report.requests.values())
    [end] = of(events, Ended)
    assert isinstance(end, Ended)
    assert (end.complete, end.exit_code, end.slices_left, end.calls) == (True, 0, 0, report.calls)
    assert Path(end.report).is_file()
    assert of(events, Problem) == of(events, Progressed) == []


async def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nobody listening no event is made, and nothing is looked at once a second."""
    made: list[str] = []
    for kind in EVENTS:
        monkeypatch.setattr(kind, "__init__", lambda *_, **__: made.append("an event"))
    monkeypatch.setattr("harvester.harvest.progress.Progress.standing", lambda _: made.append("a standing"))
    monkeypatch.setattr("harvester.harvest.progress.sums_of", lambda *_: made.append("a forecast"))
    async with sandbox(WORLD) as served:
        report = await harvest(assign(served, tmp_path), around=surroundings(), audience=Audience())
    assert report.complete
    assert set(made) <= {"an event"}
    assert len(made) <= 2, "start and end, which cost nothing"


async def test_checkpoints(tmp_path: Path) -> None:
    """Every checkpoint of an open slice is told, with how much of it is safe."""
    _, events = await told(tmp_path, page_size=10, pace=Pace(every_s=1e9, every_bytes=4096))
    found = [one for one in events if isinstance(one, Checkpointed)]
    assert found
    by_slice: dict[tuple[int, object], list[int]] = {}
    for one in found:
        by_slice.setdefault((one.account_id, one.end), []).append(one.calls)
    assert all(calls == sorted(calls) and calls[0] > 0 for calls in by_slice.values())


async def test_waits(tmp_path: Path) -> None:
    """A wait is told once, however long it is, with what for, whose, and until when."""
    switches = Switches(requests_per_minute=8)
    _, events = await told(tmp_path, switches)
    waits = [one for one in events if isinstance(one, Waiting)]
    assert waits
    assert {one.app for one in waits} == {APP}
    assert all(one.why == f"minute quota of app {APP}" for one in waits)
    assert all(one.until is not None and one.until.tzinfo is not None for one in waits)
    assert len({one.until for one in waits}) == len(waits)


async def test_hundreds_of_dead_accounts_are_a_few_problems(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A cause is told at its 1st, 10th, 100th slice: in events, and in the log."""
    caplog.set_level(logging.INFO)
    world = World(accounts=120, calls_per_day=1, today=TODAY)
    events: list[Event] = []
    async with sandbox(world, Switches(account_codes=dict.fromkeys(world.account_ids, 12201))) as served:
        report = await harvest(
            assign(served, tmp_path), around=surroundings(), audience=Audience(tell=events.append, every_s=None)
        )
    assert report.exit_code is ExitCode.PARTIAL
    problems = [one for one in events if isinstance(one, Problem)]
    assert [one.slices for one in problems] == [1, 10, 100]
    assert len(of(events, SliceDone)) == 120
    lines = [one.getMessage() for one in caplog.records if "12201" in one.getMessage()]
    assert len(lines) == 3
    assert lines[2].startswith("100 slices skipped by now for one cause: denied since")


async def test_the_standing(tmp_path: Path) -> None:
    """Every so often: never less than before, never more done than expected, and honest about the time left."""
    limits = {APP: Limits(per_minute=60)}
    await told(tmp_path, limits=limits)  # so that something is known
    report, events = await told(tmp_path, Switches(requests_per_minute=60), every_s=5.0, limits=limits)
    standings = [one.standing for one in events if isinstance(one, Progressed)]
    assert len(standings) >= 5
    reading = [one for one in standings if one.stage is Stage.READING]
    assert [one.requests for one in reading] == sorted(one.requests for one in reading)
    took_s = report.took_s
    for one in reading:
        assert one.slices_expected is not None
        assert one.requests_expected is not None
        assert one.slices_done + one.slices_open <= one.slices_expected
        assert one.requests <= one.requests_expected
        assert one.calls_expected == pytest.approx(report.calls, rel=0.05)
        [app] = one.apps
        assert app.last_minute <= (app.per_minute or 0)
        assert one.left_s is not None
        if not one.waits:
            assert one.elapsed_s + one.left_s == pytest.approx(took_s, rel=0.15, abs=5.0)


async def test_what_is_not_known_is_not_said(tmp_path: Path) -> None:
    """In a first night nothing is known of any account: what is expected is a lower bound, and said to be."""
    limits = {APP: Limits(per_minute=60)}
    _, events = await told(tmp_path, Switches(requests_per_minute=60), every_s=2.0, limits=limits, page_size=20)
    first = next(
        one.standing for one in events if isinstance(one, Progressed) and one.standing.slices_expected is not None
    )
    assert first.at_least
    assert first.calls_expected is None


async def test_an_outage_stands_there(tmp_path: Path) -> None:
    """While the API is down all apps wait, and how long is left is not known."""
    _, events = await told(
        tmp_path, Switches(outages=()), every_s=1.0, base_url="http://127.0.0.1:9", give_up_after_s=20.0
    )
    standings = [one.standing for one in events if isinstance(one, Progressed) and one.standing.waits]
    assert standings
    assert {wait.why for one in standings for wait in one.waits} <= {
        "the API, which is down", "an answer of the API, which is down",
    }  # fmt: skip
    assert all(one.left_s is None for one in standings)
    [end] = of(events, Ended)
    assert isinstance(end, Ended)
    assert end.exit_code == ExitCode.BUDGET
    problem = next(one for one in events if isinstance(one, Problem))
    assert "asked was 127.0.0.1, as [api] base_url says" in problem.reason


async def test_cancelled_from_outside(tmp_path: Path) -> None:
    """Whoever cancels a run gets its report on the disk, and `end`; the next run goes on."""
    events: list[Event] = []
    async with sandbox(WORLD, Switches(latency_s=1.0)) as served:
        assignment = replace(assign(served, tmp_path), page_size=20)
        audience = Audience(tell=events.append, every_s=None, signals=False)
        with anyio.move_on_after(4) as scope:
            await harvest(assignment, around=surroundings(), audience=audience)
    assert scope.cancelled_caught
    [end] = of(events, Ended)
    assert isinstance(end, Ended)
    assert (end.ended_by, end.exit_code, end.complete) == ("cancelled", ExitCode.INTERRUPTED, False)
    assert Path(end.report).is_file()
    after, _ = await told(tmp_path)
    assert after.complete


async def test_a_listener_that_stumbles_ends_the_run(tmp_path: Path) -> None:
    """What it raises is not swallowed; no file is left half-done."""

    def stumble(event: Event) -> None:
        if isinstance(event, SliceDone):
            raise ZeroDivisionError

    async with sandbox(WORLD) as served:
        with pytest.raises(ExceptionGroup) as caught:
            await harvest(assign(served, tmp_path), around=surroundings(), audience=Audience(tell=stumble))
    assert caught.group_contains(ZeroDivisionError)
    after, _ = await told(tmp_path)
    assert after.complete


def documented() -> dict[str, set[str]]:
    """The README's table of events: the fields of each."""
    table = README.split("| event |")[1].split("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    return {re.findall(r"`(\w+)`", row[1])[0]: set(re.findall(r"`(\w+)`", row[3])) for row in rows}


def test_the_readme_s_table_is_the_code_s() -> None:
    """Every event and every field is documented, and no other."""
    fields = {kind.name: {one.name for one in dataclasses.fields(kind)} for kind in EVENTS if kind is not Progressed}
    fields["progress"] = {one.name for one in dataclasses.fields(Standing)} | {"asked"}
    fields["log"] = {"logger", "message", "error"}
    assert documented() == fields


def test_json_has_the_fields_of_the_event() -> None:
    """As they are, the event's name first; of progress, those of the standing."""
    event = Problem(status="failed", reason="why", slices=10, account_id=5)
    assert to_json(event) == {
        "event": "problem", "status": "failed", "reason": "why", "slices": 10, "account_id": 5,
    }  # fmt: skip
    assert next(iter(to_json(event))) == "event"


RENEWABLE = replace(
    credentials(ACCESS), refresh=Secret(REFRESH), client_id="1100000", client_secret=Secret(CLIENT_SECRET)
)
BUSY = Switches(
    grants=(Grant(refresh=REFRESH, expires_at=NOW_S + 1),),
    oauth_faults={Fault(FaultKind.UNAVAILABLE): 1.0},
    latency_s=4.0,
)


async def test_renewals_that_are_only_busy_are_nobody_s_fault(tmp_path: Path) -> None:
    """Exit code 8, not 5: nothing was said against the token, and the next run tries again."""
    report, _ = await told(tmp_path, BUSY, tokens={TOKEN: RENEWABLE}, give_up_after_s=120.0)
    assert (report.no_token_works, report.renewals_failed) == (False, True)
    assert report.exit_code is ExitCode.BUDGET
    assert "could not be renewed for" in " ".join(report.dead_tokens.values())


async def test_a_renewal_that_fails_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not at every attempt, and not once more because it is waited for."""
    caplog.set_level(logging.INFO)
    await told(tmp_path, BUSY, tokens={TOKEN: RENEWABLE}, give_up_after_s=120.0)
    lines = [one.getMessage() for one in caplog.records if "renew" in one.getMessage()]
    assert len([one for one in lines if "could not be renewed, which is tried again" in one]) == 1
    assert [one for one in lines if "waits: " in one] == []


async def test_who_asks_is_told_where_it_stands(tmp_path: Path) -> None:
    """SIGUSR1, at any moment: one `progress` that says that it was asked for."""
    events: list[Event] = []

    def tell(event: Event) -> None:
        if isinstance(event, SliceDone) and len(events) < 3:
            os.kill(os.getpid(), signal.SIGUSR1)
        events.append(event)

    async with sandbox(WORLD, Switches(latency_s=1.0)) as served:
        report = await harvest(
            assign(served, tmp_path), around=surroundings(), audience=Audience(tell=tell, every_s=None)
        )
    assert report.complete
    asked = [one for one in events if isinstance(one, Progressed)]
    assert asked
    assert all(one.asked and one.standing.slices_done > 0 for one in asked)

"""SIGTERM and SIGINT, whatever the process is waiting for: it ends soon, what it had is saved, the next run goes on."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.crashes.doomed import Doom
from tests.crashes.ground import TODAY, Ground, Terms, at_request, configure, sandbox
from tests.crashes.nursery import Ended, Nursery, nursery

WORLD = World(today=TODAY, seed=11, accounts=3, calls_per_day=100)
TERMS = Terms(in_flight=3)
SOON_S = 10.0
"""Far longer than it takes, far shorter than what the process would wait for."""
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.fixture(scope="module")
def mother(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where processes come from."""
    with nursery(tmp_path_factory.mktemp("nursery")) as one:
        yield one


@contextmanager
def harvester(config: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose stderr can be read line by line."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "harvester", "run", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], word: str) -> None:
    """Reads the process's stderr up to a line that holds a word."""
    assert process.stderr
    assert any(word in line for line in process.stderr)


def pages_needed(mother: Nursery, folder: Path) -> int:
    """What the night needs undisturbed."""
    with sandbox(WORLD) as served:
        assert mother.run("run", configure(folder, served, TERMS)).code == 0
        return served.stats.requests


def assert_resumes(mother: Nursery, ground: Ground, *, asked: int, needed: int) -> Ended:
    """The next run completes the night, and asks again for nothing but what was being asked for.

    A slice whose rest was divided takes a request more, and who is idle and divides depends on where the stop came.
    """
    with sandbox(WORLD) as served:
        configure(ground.config.parent, served, TERMS)
        done = mother.run("run", ground.config)
        assert done.code == 0, done.err
        assert asked + served.stats.requests <= needed + 2 * TERMS.in_flight
    ground.assert_complete()
    return done


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_server_that_keeps_one_waiting(number: signal.Signals, fault: str, mother: Nursery, tmp_path: Path) -> None:
    """The answers that do not come are not waited for; everything that came before is saved."""
    needed = pages_needed(mother, tmp_path / "undisturbed")
    waiting = threading.Event()
    with sandbox(WORLD, Switches(drip_s=60.0)) as served:
        served.script(*[None] * 20, *[fault] * 1000)
        at_request(served, 20 + TERMS.in_flight, waiting.set)
        ground = Ground(configure(tmp_path / "night", served, TERMS), WORLD)
        pid = mother.begin("run", ground.config)
        assert waiting.wait(SOON_S)
        os.kill(pid, number)
        ended = mother.end(within_s=SOON_S)
        asked = served.stats.requests
    assert ended.code == CODES[number], ended
    assert "Traceback" not in ended.err
    assert ground.unfinished
    assert_resumes(mother, ground, asked=asked, needed=needed)


def test_a_pause_of_the_quota(mother: Nursery, tmp_path: Path) -> None:
    """A minute's pause after 11017 is not waited out."""
    needed = pages_needed(mother, tmp_path / "undisturbed")
    with sandbox(WORLD, Switches(requests_per_minute=25, quota_header=False)) as served:
        ground = Ground(configure(tmp_path / "night", served, TERMS), WORLD)
        with harvester(ground.config) as process:
            read_until(process, "waiting: minute quota of app main, until ")
            process.send_signal(signal.SIGTERM)
            assert process.wait(SOON_S) == 143
        asked = served.stats.codes[0]
    assert_resumes(mother, ground, asked=asked, needed=needed)


def test_a_quota_of_ones_own(mother: Nursery, tmp_path: Path) -> None:
    """Nor is one's own limiter."""
    needed = pages_needed(mother, tmp_path / "undisturbed")
    waiting = threading.Event()
    with sandbox(WORLD) as served:
        at_request(served, 2, waiting.set)
        slow = Terms(in_flight=TERMS.in_flight, per_minute=60)
        ground = Ground(configure(tmp_path / "night", served, slow), WORLD)
        pid = mother.begin("run", ground.config)
        assert waiting.wait(SOON_S)
        os.kill(pid, signal.SIGINT)
        assert mother.end(within_s=SOON_S).code == 130
        asked = served.stats.requests
    assert_resumes(mother, ground, asked=asked, needed=needed)


def opened_by_a_reader(fifo: Path) -> threading.Event:
    """Set once somebody reads the fifo, and is left waiting."""
    opened = threading.Event()

    def wait() -> None:
        os.open(fifo, os.O_WRONLY)  # returns when there is a reader; stays open to the end of the tests
        opened.set()

    threading.Thread(target=wait, daemon=True).start()
    return opened


def test_two_signals_do_not_wait_for_the_disk(mother: Nursery, tmp_path: Path) -> None:
    """While the disk hangs for good, the second signal ends the process at once; what was published is whole."""
    with sandbox(WORLD) as served:
        ground = Ground(configure(tmp_path / "night", served, TERMS), WORLD)
        assert mother.run("run", ground.config, "--end", str(TERMS.window.start)).code == 0
        stuck = ground.landing / f"dt={TERMS.window.end}" / f"account_id={WORLD.account_ids[0]}" / "calls.ndjson.zst"
        stuck.parent.mkdir(parents=True)
        os.mkfifo(stuck)
        publishing = opened_by_a_reader(stuck)
        with harvester(ground.config) as process:
            assert publishing.wait(SOON_S)
            process.send_signal(signal.SIGTERM)
            read_until(process, "stopping")
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(SOON_S) == 143
        stuck.unlink()
        stuck.parent.rmdir()
        ground.files()
        assert mother.run("run", ground.config).code == 0
    ground.assert_complete()


def test_a_stop_in_the_middle_of_everything_is_told(mother: Nursery, tmp_path: Path) -> None:
    """The report of a stopped run says so, and the next one's that slices were gone on with."""
    with sandbox(WORLD) as served:
        ground = Ground(configure(tmp_path / "night", served, TERMS), WORLD)
        stopped = mother.run("run", ground.config, doom=Doom(at_request=20, number=signal.SIGTERM))
        assert stopped.code == 143
        assert stopped.out.startswith("NOT COMPLETE")
        summary = tmp_path / "summary.json"
        assert mother.run("run", ground.config, "--summary", summary).code == 0
    assert orjson.loads(summary.read_bytes())["resumed"] > 0
    ground.assert_complete()

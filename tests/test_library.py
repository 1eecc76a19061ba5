"""harvester as a library: what the README shows, typed, quiet, and cancellable."""

import inspect
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

import harvester as door
from harvester import Config, Options, harvest
from harvester.errors import ConfigError
from harvester.events import Ended, Event, Progressed, Started
from harvester.report.summary import as_json
from tests.test_cli import Served, sandbox

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A sandbox in a process of its own, in real time."""
    with sandbox(tmp_path, "--latency", "20ms") as a_sandbox:
        yield a_sandbox


def example() -> str:
    """The README's."""
    [text] = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_readme_s_example_runs(served: Served) -> None:
    """As it stands there, in a process of its own, and prints what it says."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example()],
        capture_output=True, text=True, cwd=served.config.parent, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"4 accounts, \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d", lines[0])
    assert re.fullmatch(r"complete: [\d,]+ calls, [\d,]+ of them new", lines[-1])


def test_the_example_is_typed(tmp_path: Path) -> None:
    """A stranger's type checker sees the function, its arguments and the report."""
    (tmp_path / "example.py").write_text(example())
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path), "example.py"],
        capture_output=True, text=True, cwd=tmp_path, check=False, timeout=280,
    )  # fmt: skip
    assert "Success" in done.stdout, done.stdout


async def _run(config: Config, **more: object) -> tuple[object, list[Event]]:
    events: list[Event] = []
    report = await harvest(config, on_event=events.append, **more)  # type: ignore[arg-type]
    return report, events


def test_options_and_events(served: Served) -> None:
    """What a command line would add is given as options; progress comes as often as is asked for."""
    config = Config.load(served.config)
    account = config.settings.accounts[0].id
    report, events = anyio.run(lambda: _run(config, options=Options(accounts=[account]), progress_every_s=0.01))
    assert report.complete  # type: ignore[attr-defined]
    assert report.accounts == 1  # type: ignore[attr-defined]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert any(isinstance(one, Progressed) for one in events)
    saved = served.landing / "runs" / f"{events[0].run_id}.json"
    assert saved.read_bytes() == as_json(report)  # type: ignore[arg-type]


def test_it_takes_no_signals(served: Served) -> None:
    """A program's own handlers stay its own, while a run goes on and afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    seen: list[object] = []
    before = [signal.getsignal(number) for number in numbers]

    async def look() -> None:
        await harvest(Config.load(served.config), on_event=lambda _: seen.append([*map(signal.getsignal, numbers)]))

    anyio.run(look)
    assert seen
    during = [one[1:] for one in seen if isinstance(one, list)]
    assert all(one == before[1:] for one in during), "SIGINT is the loop's"
    assert [signal.getsignal(number) for number in numbers] == before


def test_cancelled(served: Served) -> None:
    """A timeout around it ends it within seconds; what was begun is gone on with."""

    async def briefly() -> bool:
        with anyio.move_on_after(0.15) as scope:
            await harvest(Config.load(served.config))
        return scope.cancelled_caught

    served.edit("page_size = 100", "page_size = 5")
    assert anyio.run(briefly)
    assert anyio.run(harvest, Config.load(served.config)).complete


def test_mistakes(tmp_path: Path) -> None:
    """A config that is wrong is an exception, before anything is asked."""
    with pytest.raises(ConfigError):
        Config.load(tmp_path / "none.toml")


def test_import_is_cheap_and_the_function_is_called_by_one_name() -> None:
    """`import harvester` loads nothing heavy, in whatever order things are imported."""
    code = (
        "import sys, harvester\n"
        "from harvester import harvest\n"
        "assert not {'aiohttp', 'pydantic', 'anyio', 'rich', 'sqlite3'} & set(sys.modules), 'import is heavy'\n"
        "import harvester.harvest.run\n"
        "from harvester import harvest as again\n"
        "assert callable(harvest) and harvest is again is harvester.harvest\n"
        "assert harvester.Config.__name__ == 'Config'\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert inspect.iscoroutinefunction(type(harvest).__call__)
    with pytest.raises(AttributeError, match="has no attribute 'sing'"):
        door.sing  # noqa: B018 - looking is the test

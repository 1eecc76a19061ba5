"""`harvester verify` and `harvester status` as a shell sees them."""

import shutil
from pathlib import Path

import orjson
import pytest

from harvester.landing.ledger import Ledger
from tests.test_cli import Served, harvester, sandbox


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A landing zone after a run, whose sandbox is gone."""
    with sandbox(tmp_path_factory.mktemp("cli")) as served:
        assert harvester("run", served.config).returncode == 0
    return served


@pytest.fixture
def harvested(run_once: Served, tmp_path: Path) -> Served:
    """A copy of it, to be broken."""
    shutil.copytree(run_once.config.parent, tmp_path / "copy")
    return Served(run_once.base_url, tmp_path / "copy" / run_once.config.name)


def test_sound_and_complete(harvested: Served) -> None:
    """Both say so in their first line, exit 0, and say it to programs, too."""
    verified, told = harvester("verify", harvested.config), harvester("status", harvested.config)
    assert (verified.returncode, verified.stderr, told.returncode, told.stderr) == (0, "", 0, "")
    assert verified.stdout.startswith("SOUND  ")
    assert f"files {harvested.landing}" in verified.stdout
    assert told.stdout.startswith("COMPLETE through ")
    assert "20000562" not in told.stdout
    assert "20000562" in harvester("status", harvested.config, "--all").stdout
    assert orjson.loads(harvester("verify", harvested.config, "--json").stdout)["sound"] is True
    state = orjson.loads(harvester("status", harvested.config, "--json").stdout)
    assert (state["complete"], len(state["accounts"])) == (True, 4)


def test_not_sound(harvested: Served) -> None:
    """Exit code 3 with the path and the command that mends it; `--heal` says what it did; no call is printed."""
    path = next(iter(sorted(harvested.landing.glob("dt=*/*/calls.ndjson.zst"))))
    path.unlink()
    found = harvester("verify", harvested.config)
    assert (found.returncode, found.stderr) == (3, "")
    assert found.stdout.startswith("NOT SOUND  1 missing; ")
    assert str(path.relative_to(harvested.landing)) in found.stdout
    assert f"`harvester verify {harvested.config} --heal`" in found.stdout
    as_json = harvester("verify", harvested.config, "--json")
    assert as_json.returncode == 3
    assert [one["kind"] for one in orjson.loads(as_json.stdout)["findings"]] == ["missing"]
    healed = harvester("verify", harvested.config, "--heal")
    assert healed.returncode == 3
    assert "1 day of 1 account queued" in healed.stdout
    assert f"`harvester run {harvested.config}` reads what is queued" in healed.stdout
    told = harvester("status", harvested.config)
    assert (told.returncode, told.stdout.split(":")[0][:21]) == (0, "NOT COMPLETE through ")


def test_rebuild(harvested: Served) -> None:
    """A sound ledger is refused with exit code 2, a damaged one ends both commands with 4 until it is rebuilt."""
    refused = harvester("verify", harvested.config, "--rebuild")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nothing is wrong with the ledger" in refused.stderr
    (harvested.landing / ".harvester" / "ledger.sqlite").write_bytes(b"")
    for command in ("verify", "status"):
        damaged = harvester(command, harvested.config)
        assert (damaged.returncode, damaged.stdout) == (4, "")
        assert "--rebuild" in damaged.stderr
    rebuilt = harvester("verify", harvested.config, "--rebuild")
    assert rebuilt.returncode == 0
    assert [line.split()[0] for line in rebuilt.stdout.splitlines() if line[0] != " "] == ["REBUILT", "SOUND"]
    assert harvester("status", harvested.config).stdout.startswith("COMPLETE through ")


def test_while_a_run_is_going(harvested: Served) -> None:
    """`verify` exits 11 and says who; `status` needs no lock."""
    with Ledger.open(harvested.landing / ".harvester"):
        refused = harvester("verify", harvested.config)
        assert (refused.returncode, refused.stdout) == (11, "")
        assert "another run holds" in refused.stderr
        assert harvester("status", harvested.config).returncode == 0


def test_before_the_first_run(harvested: Served, tmp_path: Path) -> None:
    """Both say that there is nothing yet, exit 0, and leave nothing behind."""
    names = (harvested.config.name, harvested.config.with_suffix(".accounts.csv").name)
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in names:
        (empty / name).write_bytes((harvested.config.parent / name).read_bytes())
    for command in ("verify", "status"):
        done = harvester(command, empty / names[0])
        assert (done.returncode, done.stdout[:11]) == (0, "NOTHING YET")
    assert {path.name for path in empty.iterdir()} == set(names)

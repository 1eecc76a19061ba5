"""`harvester sandbox` on the command line."""

import datetime as dt
import signal
import subprocess
import sys
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from harvester.sandbox.command import config, sandbox_command
from harvester.sandbox.switches import ACCESS, Alignment, Switches
from harvester.sandbox.world import World


def test_it_serves_until_told_to_stop_and_writes_what_a_run_needs(tmp_path: Path) -> None:
    """A config and its accounts lie there, stdout names the address, and SIGTERM ends it with 0."""
    nightly = tmp_path / "x.toml"
    program = "from harvester.sandbox.command import sandbox_command; sandbox_command()"
    options = ["--port", "0", "--accounts", "3", "--requests-per-minute", "600", "--write-config", str(nightly)]
    with subprocess.Popen([sys.executable, "-c", program, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        assert "harvester run" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    written = tomllib.loads(nightly.read_text())
    assert written["api"]["base_url"] == address
    assert written["tokens"]["sandbox"]["access_token"] == ACCESS
    assert written["apps"]["sandbox"]["requests_per_minute"] == 600
    lines = (tmp_path / written["accounts"]["file"]).read_text().splitlines()
    assert lines[0] == "account_id"
    assert len(lines) == 4


def test_a_config_without_quotas_has_none() -> None:
    """The text is TOML; pages are no larger than the sandbox serves."""
    text = tomllib.loads(config("http://127.0.0.1:1", Switches(max_page_size=50), accounts="ids = [1]"))
    assert text["api"]["page_size"] == 50
    assert text["accounts"] == {"ids": [1]}
    assert set(text["apps"]["sandbox"]) == {"client_id", "client_secret"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fault", "nope=1"], "is not a fault and its probability"),
        (["--fault", "reset=2"], "lies between 0 and 1"),
        (["--fault", "reset=.6", "--fault", "hang=.6"], "add up to 1"),
        (["--latency", "5"], "is not a number with a unit"),
        (["--max-depth", "0"], "neither a whole number from 1 nor none"),
        (["--account-code", "x=1"], "is not an account and a return code"),
        (["--order", "up"], "is not one of"),
        (["--alignment", "calendar"], "is not one of"),
        (["--outage", "30s-90s=nope"], "is not a time and a fault"),
        (["--outage", "30s=reset"], "is not a time and a fault"),
        (["--outage", "reset"], "is not a time and a fault"),
        (["--outage", "1-2=reset"], "is not a number with a unit"),
        (["--outage", "9s-2s=reset"], "ends before it begins"),
        (["--neighbour-per-minute", "-1"], "is not in the range"),
        (["--next-penalty", "5"], "is not a number with a unit"),
    ],
)
def test_wrong_options_are_usage_errors(options: list[str], message: str) -> None:
    """Exit 2, and what was expected instead."""
    result = CliRunner().invoke(sandbox_command, options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_every_switch_is_an_option_with_its_default() -> None:
    """Nothing that a test can set is out of a person's reach, and both start from the same place."""
    parsed = sandbox_command.make_context("sandbox", []).params
    for field in (*fields(World), *fields(Switches)):
        if field.init and field.name not in {"today", "grants"}:
            default = field.default if field.default_factory is MISSING else field.default_factory()
            assert parsed[field.name] == default, field.name


def test_worlds_without_sense_are_refused() -> None:
    """A world has days and accounts, and a day no more calls than ids can tell apart."""
    with pytest.raises(ValueError, match="no negative numbers"):
        World(today=dt.date(2026, 10, 31), days=0)
    world = World(today=dt.date(2026, 10, 31), accounts=1, calls_per_day=2e6)
    with pytest.raises(ValueError, match="scale the world down"):
        world.day(world.account_ids[0], dt.date(2026, 10, 28))


def test_what_comes_and_goes_is_read() -> None:
    """Times count from the beginning; `none` is never; outages add up."""
    options = [
        *("--outage=30s-1.5m=unavailable", "--outage=2h-3h=code:51001", "--alignment=fixed", "--no-quota-header"),
        *("--neighbour-per-minute=40", "--neighbour-from=10s", "--neighbour-until=none", "--next-penalty=5m"),
        *("--slow-latency=20s", "--slow-from=1m", "--slow-until=2m"),
    ]
    parsed = sandbox_command.make_context("sandbox", options).params
    switches = Switches(**{field.name: parsed[field.name] for field in fields(Switches) if field.name in parsed})
    assert switches == Switches(
        outages=((30.0, 90.0, "unavailable"), (7_200.0, 10_800.0, "code:51001")),
        alignment=Alignment.FIXED,
        quota_header=False,
        neighbour_per_minute=40,
        neighbour_from_s=10.0,
        next_penalty_s=300.0,
        slow_latency_s=20.0,
        slow_from_s=60.0,
        slow_until_s=120.0,
    )


def test_units_are_read() -> None:
    """`50ms` is 0.05 seconds; `none` lifts a limit; faults and codes come as pairs."""
    options = ["--latency=50ms", "--penalty=5m", "--max-depth=none", "--fault=code:51001=.5", "--account-code=7=12201"]
    parsed = sandbox_command.make_context("sandbox", options).params
    assert (parsed["latency_s"], parsed["penalty_s"], parsed["max_depth"]) == (0.05, 300.0, None)
    assert ({str(fault): share for fault, share in parsed["faults"].items()}, parsed["account_codes"]) == (
        {"code:51001": 0.5},
        {7: 12201},
    )

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

from harvester.model import AccountId
from harvester.sandbox.command import config, sandbox_command, the_grant
from harvester.sandbox.faults import Fault
from harvester.sandbox.grants import SCOPES
from harvester.sandbox.switches import (
    ACCESS,
    CLIENT_SECRET,
    REFRESH,
    Alignment,
    FormerToken,
    Grant,
    Kind,
    Listing,
    Numbers,
    Switches,
)
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
    assert written["tokens"]["sandbox"] == {"app": "sandbox", "access_token": ACCESS, "refresh_token": REFRESH}
    assert written["apps"]["sandbox"]["client_secret"] == CLIENT_SECRET
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
        (["--access-life", "1w"], "is not a number with a unit"),
        (["--former-token", "lives"], "is not one of"),
        (["--oauth-fault", "nope=1"], "is not a fault and its probability"),
        (["--oauth-fault", "reset=.6", "--oauth-fault", "hang=.6"], "add up to 1"),
        (["--poison", "7:2026-10-30=nope"], "is not an account, a day and a return code or fault"),
        (["--poison", "7:2026-13-30=1"], "is not an account, a day and a return code or fault"),
        (["--poison", "7=51001"], "is not an account, a day and a return code or fault"),
        (["--poison", "x:2026-10-30=51001"], "is not an account, a day and a return code or fault"),
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


def test_a_grant_is_told_by_options() -> None:
    """Its lives, its scopes, its kind; its first access token is as young as the sandbox, a day by default."""
    parsed = sandbox_command.make_context("sandbox", []).params
    assert the_grant(parsed, 1_000.0) == Grant(refresh=REFRESH, expires_at=87_400.0)
    assert Switches().grants == (Grant(refresh=REFRESH),)
    options = ["--access-life=10m", "--refresh-life=1.5d", "--scope=a", "--scope=b", "--kind=organization"]
    parsed = sandbox_command.make_context("sandbox", options).params
    assert the_grant(parsed, 1_000.0) == Grant(
        refresh=REFRESH,
        expires_at=1_600.0,
        access_life_s=600.0,
        refresh_life_s=129_600.0,
        scopes=("a", "b"),
        kind=Kind.ORGANIZATION,
    )
    assert the_grant(sandbox_command.make_context("sandbox", []).params, 0.0).scopes == SCOPES


def test_what_tokens_and_lists_do_is_told_by_options() -> None:
    """Each switch by its name, as the others."""
    options = [
        *("--former-token=dies", "--repeat-refresh", "--no-authorizer-info", "--new-token-after=10m", "--lives=string"),
        *("--dead-access-code=11000", "--dead-refresh-code=11010", "--wrong-secret-code=11004", "--listing=endless"),
        *("--oauth-fault=reset=.5", "--listing-fault=code:51001=.25"),
        *("--poison=7:2026-10-30=51001", "--poison=7:2026-10-31=reset"),
    ]
    parsed = sandbox_command.make_context("sandbox", options).params
    switches = Switches(**{field.name: parsed[field.name] for field in fields(Switches) if field.name in parsed})
    assert switches == Switches(
        former_token=FormerToken.DIES,
        repeat_refresh=True,
        authorizer_info=False,
        new_token_after_s=600.0,
        lives=Numbers.STRING,
        dead_access_code=11000,
        dead_refresh_code=11010,
        wrong_secret_code=11004,
        listing=Listing.ENDLESS,
        oauth_faults={Fault.parse("reset"): 0.5},
        listing_faults={Fault.parse("code:51001"): 0.25},
        poison=((AccountId(7), dt.date(2026, 10, 30), 51001), (AccountId(7), dt.date(2026, 10, 31), "reset")),
    )


def test_a_grant_without_a_refresh_token_is_written_without_one() -> None:
    """The config has no empty secret."""
    text = config("http://127.0.0.1:1", Switches(grants=(Grant(access="only", client_id="7"),)), accounts="ids = [1]")
    written = tomllib.loads(text)
    assert written["tokens"]["sandbox"] == {"app": "sandbox", "access_token": "only"}
    assert written["apps"]["sandbox"]["client_id"] == "7"

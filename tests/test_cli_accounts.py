"""`harvester accounts` as a shell sees it."""

import os
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from harvester.landing.ledger import Ledger
from harvester.sandbox.roll import NASTY_NAME, TELLING_NAME
from harvester.sandbox.switches import ACCESS
from tests.test_cli import Served, harvester, sandbox


@pytest.fixture(scope="module")
def discovering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A sandbox, and a config whose accounts find themselves."""
    with sandbox(tmp_path_factory.mktemp("accounts")) as served:
        text = served.config.read_text()
        served.config.write_text(text[: text.index("[accounts]")] + '[discover.all]\nvia = "advertiser"\n')
        yield served


@pytest.fixture
def served(discovering: Served, tmp_path: Path) -> Served:
    """The same with a config and a landing zone of its own."""
    config = tmp_path / "nightly.toml"
    config.write_text(discovering.config.read_text())
    return Served(discovering.base_url, config)


def ids_of(served: Served) -> list[int]:
    """Who is enrolled."""
    return [
        one["account_id"]
        for one in orjson.loads(harvester("accounts", "list", served.config, "--json").stdout)["accounts"]
    ]


def test_from_nothing_to_a_file(served: Served, tmp_path: Path) -> None:
    """Unknown, listed, listed again, exported; and the file that was exported names the same accounts."""
    before = harvester("accounts", "list", served.config)
    assert (before.returncode, before.stderr) == (0, "")
    assert before.stdout.startswith("0 accounts enrolled\n  note: discover.all: its accounts are unknown; ")
    refused = harvester("accounts", "export", served.config, tmp_path / "out.csv")
    assert (refused.returncode, refused.stdout, (tmp_path / "out.csv").exists()) == (3, "", False)
    assert f"`harvester accounts refresh {served.config}`" in refused.stderr
    first = harvester("accounts", "refresh", served.config)
    assert first.returncode == 0
    assert first.stdout == "discover.all: listed for the first time, 4 accounts\n4 accounts enrolled\n"
    again = harvester("accounts", "refresh", served.config)
    assert again.stdout == "discover.all: nothing changed, 4 accounts\n4 accounts enrolled\n"
    ids = ids_of(served)
    assert len(ids) == 4
    done = harvester("accounts", "export", served.config, tmp_path / "out.csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    served.edit('[discover.all]\nvia = "advertiser"', '[accounts]\nfile = "out.csv"')
    assert ids_of(served) == ids
    assert harvester("run", served.config).returncode == 0


def test_names_do_no_harm(served: Served) -> None:
    """What the API calls an account can neither steer a terminal nor tell a phone number; nor is a secret printed."""
    refreshed = harvester("accounts", "refresh", served.config)
    listed = harvester("accounts", "list", served.config)
    exported = harvester("accounts", "export", served.config, "-")
    as_json = harvester("accounts", "list", served.config, "--json")
    said = "".join(done.stdout + done.stderr for done in (refreshed, listed, exported, as_json))
    assert all(one.isprintable() or one == "\n" for one in said)
    assert "13800001234" in TELLING_NAME
    assert "\x1b" in NASTY_NAME
    for hidden in ("13800001234", "\x1b", "\u202e", ACCESS, "13900"):
        assert hidden not in said
    assert "老周家电维修 ***" in said


def test_stdout_is_a_dash(served: Served) -> None:
    """`-` prints the file, as wide as it is, and nothing else."""
    harvester("accounts", "refresh", served.config)
    done = harvester("accounts", "export", served.config, "-")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, lines[0], len(lines)) == (0, "", "account_id,token,name,enabled", 5)
    assert all(line.split(",")[1] == "sandbox" and line.endswith(",true") for line in lines[1:])


def test_no_file_is_overwritten_unasked(served: Served, tmp_path: Path) -> None:
    """A file that is there stays, unless `--force` is given; then it is replaced whole."""
    harvester("accounts", "refresh", served.config)
    path = tmp_path / "mine.csv"
    path.write_text("mine")
    refused = harvester("accounts", "export", served.config, path)
    assert (refused.returncode, path.read_text()) == (2, "mine")
    assert "--force replaces it" in refused.stderr
    inode = path.stat().st_ino
    assert harvester("accounts", "export", served.config, path, "--force").returncode == 0
    assert path.read_text().startswith("account_id,token,name,enabled\n")
    assert path.stat().st_ino != inode
    assert sorted(one.name for one in tmp_path.iterdir()) == ["landing", "mine.csv", "nightly.toml"]
    nowhere = harvester("accounts", "export", served.config, tmp_path / "no" / "x.csv")
    assert nowhere.returncode == 4
    assert "Traceback" not in nowhere.stderr


def test_taken_out_stays_out(served: Served, tmp_path: Path) -> None:
    """An account that the file turns off is not enrolled though the API lists it, and the export keeps it so."""
    harvester("accounts", "refresh", served.config)
    out = ids_of(served)[0]
    (tmp_path / "out.csv").write_text(f"account_id,name,enabled\n{out},Taken out,no\n")
    served.edit("[discover.all]", '[accounts]\nfile = "out.csv"\n[discover.all]')
    assert out not in ids_of(served)
    assert len(ids_of(served)) == 3
    exported = harvester("accounts", "export", served.config, "-").stdout
    assert f"{out},sandbox,Taken out,false\n" in exported
    done = harvester("run", served.config)
    assert done.returncode == 0
    assert "3 accounts" in done.stdout


def test_refresh_that_fails(served: Served) -> None:
    """What could not be listed is named: exit code 3, and 5 when no token works."""
    harvester("accounts", "refresh", served.config)
    served.edit('via = "advertiser"', 'via = "advertiser"\n[discover.dead]\nvia = "organization"\ntoken = "dead"')
    served.edit(
        "[discover.all]",
        '[tokens.dead]\napp = "sandbox"\naccess_token = "no-such-token"\n[discover.all]\ntoken = "sandbox"',
    )
    done = harvester("accounts", "refresh", served.config)
    assert done.returncode == 3
    assert "discover.dead could not be listed, and its accounts are unknown: token dead is dead: " in done.stdout
    assert "discover.all: nothing changed, 4 accounts" in done.stdout
    assert "no-such-token" not in done.stdout + done.stderr
    served.edit(ACCESS, "another-bad-token")
    served.edit('refresh_token = "sandbox-refresh-token"\n', "")
    done = harvester("accounts", "refresh", served.config)
    assert done.returncode == 5
    assert "discover.all could not be listed, and its 4 accounts are those of " in done.stdout


def test_patterns_that_leave_nobody(served: Served) -> None:
    """Every command that works with the accounts ends with 2; `list` and `refresh` show what there is and say so."""
    harvester("accounts", "refresh", served.config)
    served.edit('via = "advertiser"', 'via = "advertiser"\nexclude = ["id:*"]')
    why = "discover.all: none of its 4 accounts is left by include and exclude: mend the patterns"
    for command in ("run", "plan", "status", "verify"):
        done = harvester(command, served.config)
        assert (done.returncode, done.stdout, why in done.stderr) == (2, "", True)
    exported = harvester("accounts", "export", served.config, "-")
    assert (exported.returncode, exported.stdout, why in exported.stderr) == (2, "", True)
    for command in ("list", "refresh"):
        done = harvester("accounts", command, served.config)
        assert (done.returncode, why in done.stdout) == (0, True)


def test_refresh_while_a_run_is_going(served: Served) -> None:
    """The lock is a run's: exit code 11."""
    with Ledger.open(served.landing / ".harvester"):
        done = harvester("accounts", "refresh", served.config)
    assert (done.returncode, done.stdout) == (11, "")
    assert str(os.getpid()) in done.stderr


def test_nothing_to_refresh(served: Served) -> None:
    """Without a table there is nothing to list; `list` and `export` work all the same."""
    served.edit('[discover.all]\nvia = "advertiser"', "[accounts]\nids = [5]")
    done = harvester("accounts", "refresh", served.config)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no [discover.NAME] table" in done.stderr
    assert ids_of(served) == [5]
    assert harvester("accounts", "export", served.config, "-").stdout.splitlines()[1] == "5,sandbox,,true"


def test_a_night_of_accounts_that_find_themselves(served: Served) -> None:
    """`plan`, `run`, `status`, `verify` and `--account` are about those that were found."""
    before = harvester("plan", served.config)
    assert "its accounts are unknown" in before.stdout
    done = harvester("run", served.config)
    assert done.returncode == 0
    assert "note: discover.all: listed for the first time, 4 accounts" in done.stdout
    assert "4 accounts, as listed on" in harvester("plan", served.config, "--again").stdout
    status = harvester("status", served.config)
    assert status.stdout.startswith("COMPLETE through ")
    assert "4 accounts, as listed on" in status.stderr
    assert harvester("verify", served.config).returncode == 0
    one = harvester("run", served.config, "--account", str(ids_of(served)[1]), "--again")
    assert "1 account · 7 days · 1 of 1 slice complete" in one.stdout
    unknown = harvester("run", served.config, "--account", "5")
    assert unknown.returncode == 2
    assert "--account 5: no enabled account of this id" in unknown.stderr


def test_help() -> None:
    """The group and each of its commands explain themselves, with their exit codes."""
    assert "accounts" in harvester("--help").stdout
    for command in ("accounts", "accounts list", "accounts refresh", "accounts export"):
        shown = harvester(*command.split(), "--help")
        assert shown.returncode == 0
        assert len(shown.stdout.splitlines()) > 4
    assert "Exit codes" in harvester("accounts", "refresh", "--help").stdout

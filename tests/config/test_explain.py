import os
import subprocess
import sys
import tomllib
from pathlib import Path

from harvester.config import explain
from harvester.config.settings import keys, tables
from tests.config.helpers import DISCOVER, NOTIFY, SMALLEST, settings_of


def test_each_value_comes_with_its_origin(tmp_path: Path) -> None:
    """File, default, variable and secret file are told apart; secrets are asterisks."""
    (tmp_path / "t").write_text("token-from-a-file")
    text = SMALLEST.replace("token-of-a", "${file:t}").replace("[tokens", 'client_secret = "${SECRET}"\n[tokens')
    said = explain(
        settings_of(tmp_path, '[retry]\nattempts = 3\nmax_backoff = "${M:-5m}"\n' + text, {"SECRET": "shhhhh"})
    )
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert 'timeout = "30s" # default' in lines
    assert "attempts = 3 # config file" in lines
    assert 'max_backoff = "5m" # config file, since environment variable M is not set' in lines
    assert 'client_secret = "***" # environment variable SECRET' in lines
    assert 'access_token = "***" # file t' in lines
    assert "# refresh_token is off # default" in lines
    assert 'app = "main" # default' in lines
    assert "# 1 enabled, 0 disabled; from ids" in lines
    assert "# 2045867, read by token agency-a" in lines


def test_a_secret_that_strayed_into_another_key_is_masked(tmp_path: Path) -> None:
    """What is a secret in one place is asterisks in every other."""
    text = '[output]\ndir = "/srv/${SECRET}"\n' + SMALLEST.replace("token-of-a", "${SECRET}")
    said = explain(settings_of(tmp_path, text, {"SECRET": 'long"enough'}))
    assert 'dir = "/srv/***"' in said
    assert "enough" not in said


def test_every_key_has_its_line_and_the_text_is_toml(tmp_path: Path) -> None:
    """The explanation names every key once and reads as TOML again."""
    said = explain(settings_of(tmp_path, SMALLEST + DISCOVER + NOTIFY))
    for heading, section in tables().items():
        if heading != "accounts":
            assert all(said.count(f"\n{key} = ") + said.count(f"\n# {key} is off") >= 1 for key in keys(section))
    assert tomllib.loads(said)["api"] == {"base_url": "https://api.e.qq.com", "page_size": 100, "timeout": "30s"}


def test_only_the_first_accounts_are_listed(tmp_path: Path) -> None:
    """Hundreds of accounts are a number and a few examples; disabled ones and notes are mentioned."""
    rows = "".join(f"{number},,{'no' if number > 290 else 'yes'}\n" for number in range(1, 301))
    (tmp_path / "a.csv").write_text("account_id,name,enabled\n1,,\n" + rows)
    said = explain(settings_of(tmp_path, SMALLEST + 'file = "a.csv"\n'))
    assert "# 291 enabled, 10 disabled; from ids and file" in said
    assert "# … and 286 more" in said
    assert "# note: a.csv: line 3: account 1 is already at a.csv: line 2; counted once" in said


def test_the_config_brings_no_heavy_imports() -> None:
    """Reading a config needs neither the HTTP client nor the storage."""
    script = "import sys, harvester.config; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # coverage imports, too
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=plain)
    assert not {"aiohttp", "anyio", "click", "sqlite3", "zstandard", "asyncio"} & set(done.stdout.split())

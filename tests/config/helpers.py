"""What the tests of the config share: a small good config, and ways to write and break one."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from harvester.config import Settings, load
from harvester.errors import ConfigError

APPS = '[apps.main]\nclient_id = "1100000"\n'
TOKENS = '[tokens.agency-a]\naccess_token = "token-of-a"\n'
ACCOUNTS = "[accounts]\nids = [2045867]\n"
TWO_APPS = APPS + '[apps.other]\nclient_id = "2"\n'
TWO_TOKENS = TOKENS + '[tokens.agency-b]\naccess_token = "token-of-b"\n'
DISCOVER = '[discover.all]\nvia = "advertiser"\n'
NOTIFY = '[[notify]]\nservice = "slack"\nurl = "https://hooks.example.com/services/T0/B0/of-a-webhook"\n'
SMALLEST = APPS + TOKENS + ACCOUNTS
"""The least that a config must say."""


def settings_of(folder: Path, text: str, env: Mapping[str, str] | None = None) -> Settings:
    """Writes a config into the folder and loads it, with nothing in the environment unless it is given."""
    path = folder / "test.toml"
    path.write_text(text, encoding="utf-8", newline="")
    return load(path, env or {})


def error_of(folder: Path, text: str, env: Mapping[str, str] | None = None) -> ConfigError:
    """The error of a config that must not load."""
    with pytest.raises(ConfigError) as caught:
        settings_of(folder, text, env)
    return caught.value


def problems_of(folder: Path, text: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The messages of a config that must not load by their places; several at one place are joined by a bar."""
    found: dict[str, str] = {}
    for problem in error_of(folder, text, env).problems:
        found[problem.where] = (
            f"{found[problem.where]} | {problem.message}" if problem.where in found else problem.message
        )
    return found

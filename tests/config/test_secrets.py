import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harvester.config import explain, load
from harvester.config.show import dotted, masked, shown
from harvester.errors import ConfigError

SECRETS = st.text(string.ascii_letters + string.digits + "+/=_-.", min_size=25, max_size=64).map("s9{}".format)
"""Tokens as they come: long, printable, without spaces; the start keeps them from looking like paths or variables."""

SHORT_SECRETS = st.text(string.ascii_letters + string.digits + "\"\\'{}", min_size=8, max_size=16).map(
    lambda text: "S9" + text
)

DOCUMENT: dict[str, Any] = {
    "api": {"base_url": "https://api.e.qq.com", "page_size": 100, "timeout": "30s"},
    "window": {"start": "today-7", "end": "yesterday", "reread_days": 7},
    "limits": {"in_flight": 32},
    "retry": {"attempts": 6, "max_backoff": "60s", "give_up_after": "30m"},
    "output": {"compression": "zstd"},
    "apps": {"main": {"client_id": "1100000", "requests_per_minute": 1000}},
    "tokens": {"a": {"app": "main", "access_token": "x", "refresh_token": "y"}},
    "accounts": {"ids": [2045867]},
    "metrics": {},
    "notify": [{"service": "dingtalk", "url": "https://x.example/?key=y", "secret": "z"}],
}
PLACES = [
    *[(table, key) for table in ("api", "window", "limits", "retry", "output") for key in DOCUMENT[table]],
    ("apps", "main", "client_id"),
    ("apps", "main", "client_secret"),
    ("apps", "main", "requests_per_minute"),
    ("apps", "main", "client_secert"),
    ("tokens", "a", "app"),
    ("tokens", "a", "access_token"),
    ("tokens", "a", "refresh_token"),
    ("tokens", "a", "token"),
    ("accounts", "ids"),
    ("accounts", "file"),
    ("accounts", "ids", 0),
    ("accounts",),
    ("tokens", "a"),
    ("api",),
    ("metrics", "textfile"),
    ("metrics", "pushgateway"),
    ("metrics", "per_account"),
    *[("notify", 0, key) for key in ("service", "url", "secret", "on", "url_")],
    ("notify", 0),
    ("notify",),
    ("secret",),
]
WAYS = [
    "{}",
    "${{SECRET}}",
    "x-${{SECRET}}-y",
    "${{NOWHERE:-{}}}",
    "${{file:secret}}",
    "${{{}}}",
    "${{NOWHERE}} {}",
    "{} ",
    "${{file:{}}}",
]


def toml(value: object) -> str:
    """A value in TOML; tables are written inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def everything_said(folder: Path, document: dict[str, object], env: dict[str, str]) -> str:
    """All that a person may get to see of a config, good or bad."""
    path = folder / "test.toml"
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in document.items()))
    try:
        loaded = load(path, env)
    except ConfigError as error:
        return f"{error} {error!r} {error.problems} {error.__cause__}"
    tokens = f"{loaded.tokens} {loaded.apps} {loaded.tokens['a']} {loaded.apps['main']!r}"
    return f"{loaded} {loaded!r} {loaded.notes} {tokens} {explain(loaded)}"


def placed(place: tuple[str | int, ...], value: str) -> dict[str, object]:
    """The good document with the value at one place."""
    document: dict[str, object] = json.loads(json.dumps(DOCUMENT))
    target: dict[str | int, object] = document  # type: ignore[assignment]  # a tree of dicts and lists
    for step in place[:-1]:
        target = target[step]  # type: ignore[assignment]  # as above
    target[place[-1]] = value
    return document


@pytest.mark.parametrize("place", PLACES, ids=dotted)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(secret=SECRETS, way=st.sampled_from(WAYS))
def test_a_secret_is_never_shown_wherever_it_is_put(
    tmp_path: Path, place: tuple[str | int, ...], secret: str, way: str
) -> None:
    """A token pasted anywhere, plainly or by reference, shows in no message, explanation or representation."""
    (tmp_path / "secret").write_text(secret)
    assert secret not in everything_said(tmp_path, placed(place, way.format(secret)), {"SECRET": secret})


@pytest.mark.parametrize("place", PLACES, ids=dotted)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(secret=SHORT_SECRETS)
def test_a_known_secret_is_masked_even_when_it_is_short(
    tmp_path: Path, place: tuple[str | int, ...], secret: str
) -> None:
    """What stands at a secret key too is recognised anywhere else, escaped or not."""
    document = placed(place, secret)
    document["apps"] = {"main": {"client_id": "1", "client_secret": secret}, secret: {}}
    said = everything_said(tmp_path, document, {})
    assert secret not in said
    assert json.dumps(secret)[1:-1] not in said


@given(SECRETS)
def test_a_pasted_token_is_described(secret: str) -> None:
    """A long text is told by its length only, as a value and as a name."""
    assert shown(secret) == f"a text of {len(secret)} characters"
    assert secret not in dotted(("apps", secret, "client_id"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("short", '"short"'),
        ("\x1b[31mred\u202e", '"\\u001b[31mred\\u202e"'),
        ("https://api.e.qq.com/v3.0/long/path", '"https://api.e.qq.com/…"'),
        ("https://me:pass@host", "a URL with a user name"),
        (10**30, "a huge number"),
        (False, "false"),
        ({}, "a table"),
        (None, "something else"),
    ],
)
def test_what_is_shown_is_short_and_cannot_steer_a_terminal(value: object, text: str) -> None:
    """Harmless values are quoted, others are described."""
    assert shown(value) == text


def test_masking_leaves_short_words_alone() -> None:
    """A secret that may be any word is not looked for; longer ones go first."""
    assert masked("a token, a token-of-a", ["token", "token-of", "token-of-a"]) == "a token, a ***"

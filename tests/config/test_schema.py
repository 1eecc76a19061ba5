import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harvester.config import load, schema
from harvester.config.settings import keys, tables

CONFIGS = Path(__file__).parents[2] / "configs"
ENV = {"HARVESTER_CLIENT_SECRET": "s", "HARVESTER_TOKEN_A": "t", "HARVESTER_REFRESH_A": "r"}
TYPES = {"object": dict, "array": list, "string": str, "integer": int}
REMARKS = {"title", "description", "default", "examples", "$schema"}


def complaints(rule: dict[str, Any], value: Any, where: str = "") -> list[str]:
    """What a JSON Schema validator would say; knows the words that harvester's schema uses and no others."""
    assert rule.keys() <= REMARKS | CHECKS.keys()
    return [
        complaint
        for word, check in CHECKS.items()
        if word in rule and (word == "type" or "type" not in rule or isinstance(value, TYPES[rule["type"]]))
        for complaint in check(rule, value, where)
    ]


def _type(rule: dict[str, Any], value: Any, where: str) -> list[str]:
    fits = isinstance(value, TYPES[rule["type"]]) and not isinstance(value, bool)
    return [] if fits else [f"{where}: not of type {rule['type']}"]


def _properties(rule: dict[str, Any], value: Any, where: str) -> list[str]:
    known = rule["properties"].items()
    return [found for key, inner in known if key in value for found in complaints(inner, value[key], f"{where}.{key}")]


def _additional(rule: dict[str, Any], value: Any, where: str) -> list[str]:
    extra = [key for key in value if key not in rule.get("properties", {})]
    if rule["additionalProperties"] is False:
        return [f"{where}.{key}: unknown" for key in extra]
    return [found for key in extra for found in complaints(rule["additionalProperties"], value[key], f"{where}.{key}")]


def _any_of(rule: dict[str, Any], value: Any, where: str) -> list[str]:
    fits = any(not complaints(choice, value) for choice in rule["anyOf"])
    return [] if fits else [f"{where}: fits nothing"]


def _simple(word: str, fits: Any) -> Any:
    return lambda rule, value, where: [] if fits(rule[word], value) else [f"{where}: {word}"]


CHECKS: dict[str, Any] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "anyOf": _any_of,
    "propertyNames": lambda rule, value, where: [c for k in value for c in complaints(rule["propertyNames"], k, where)],
    "items": lambda rule, value, where: [c for v in value for c in complaints(rule["items"], v, where)],
    "required": _simple("required", lambda names, value: all(name in value for name in names)),
    "minProperties": _simple("minProperties", lambda least, value: len(value) >= least),
    "minLength": _simple("minLength", lambda least, value: len(value) >= least),
    "minimum": _simple("minimum", lambda least, value: value >= least),
    "maximum": _simple("maximum", lambda most, value: value <= most),
    "enum": _simple("enum", lambda words, value: value in words),
    "const": _simple("const", lambda word, value: value == word),
    "pattern": _simple("pattern", lambda pattern, value: isinstance(value, str) and bool(re.search(pattern, value))),
}


@pytest.mark.parametrize("name", ["nightly.toml", "backfill.toml", "demo.toml"])
def test_the_example_configs_load_and_fit_the_schema(name: str) -> None:
    """What is there to be copied works once its variables are set, and editors agree."""
    settings = load(CONFIGS / name, ENV)
    assert settings.accounts
    assert settings.notes == ()
    assert len(settings.window.on(dt.date(2026, 11, 3))) >= 1
    assert complaints(schema(), tomllib.loads((CONFIGS / name).read_text(encoding="utf-8"))) == []


def test_the_nightly_example_shows_every_key_and_its_default() -> None:
    """Nobody has to look further than nightly.toml; its uncommented values are the defaults where there are any."""
    text = (CONFIGS / "nightly.toml").read_text(encoding="utf-8")
    for heading, section in tables().items():
        pattern = re.escape(heading).replace(r"\.NAME", r"\.[a-z-]+")
        table = re.search(rf"^(?:# )?\[{pattern}\](.*?)(?=^(?:# )?\[|\Z)", text, re.MULTILINE | re.DOTALL)
        assert table, heading
        for key in keys(section):
            assert re.search(rf"^(?:# )?{key} = ", table[1], re.MULTILINE), f"{heading}.{key}"
    written = tomllib.loads(text)
    for name in ("api", "window", "limits", "retry", "output"):
        for key, described in schema()["properties"][name]["properties"].items():
            assert written[name][key] == described["default"]


def test_every_key_is_described_with_an_example_that_fits() -> None:
    """Editors can show a title, a description and an example for each key, and a default where there is one."""
    seen = 0
    for heading, section in tables().items():
        name, _, several = heading.strip("[]").partition(".")
        table = schema()["properties"][name]
        inner = {"array": table.get("items"), "object": table["additionalProperties"] if several else table}
        properties = inner[table["type"]]["properties"]
        assert properties.keys() == keys(section).keys()
        for key, rule in properties.items():
            seen += 1
            assert rule["title"] == f"{heading}.{key}"
            assert len(rule["description"]) > 20
            assert not rule["description"].startswith("None")
            assert rule["examples"]
            assert [complaints(rule, value) for value in rule["examples"]] == [[]] * len(rule["examples"])
            assert "default" not in rule or not complaints(rule, rule["default"])
    assert seen == 43


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"api": {"timeout": "30"}}, ".api.timeout"),
        ({"api": {"page_sise": 1}}, ".api.page_sise"),
        ({"api": {"page_size": 0}}, ".api.page_size"),
        ({"api": {"page_size": "many"}}, ".api.page_size"),
        ({"window": {"start": "tomorrow"}}, ".window.start"),
        ({"output": {"compression": "lz4"}}, ".output.compression"),
        ({"apps": {}}, ".apps"),
        ({"apps": {"main": {"client_id": 5}}}, ".apps.main.client_id"),
        ({"tokens": {"a b": {"access_token": "x"}}}, ".tokens"),
        ({"accounts": {"ids": [0]}}, ".accounts.ids"),
        ({"limits": 5}, ".limits"),
        ({"discover": {"x": {"via": "advertiser", "include": ["2045*"]}}}, ".discover.x.include"),
        ({"discover": {"x": {"token": "a"}}}, ".discover.x"),
        ({"notify": {"service": "slack"}}, ".notify"),
        ({"notify": [{"service": "slack"}]}, ".notify"),
        ({"notify": [{"service": "msn", "url": "https://x.example/"}]}, ".notify.service"),
    ],
)
def test_the_schema_finds_what_loading_would_refuse(change: dict[str, Any], place: str) -> None:
    """An editor underlines the common mistakes while they are typed."""
    good = {"apps": {"main": {"client_id": "1"}}, "tokens": {"a": {"access_token": "x"}}, "accounts": {"ids": [5]}}
    assert complaints(schema(), good) == []
    found = complaints(schema(), good | change)
    assert len(found) == 1
    assert found[0].startswith(f"{place}:")


def test_what_may_be_left_out_is_not_required() -> None:
    """The state's folder and a sole app's name may be left out although settings always have them."""
    properties = schema()["properties"]
    assert properties["state"]["required"] == []
    assert properties["tokens"]["additionalProperties"]["required"] == ["access_token"]
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"

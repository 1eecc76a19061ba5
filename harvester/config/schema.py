"""The config's JSON Schema, for editors that complete and check TOML."""

import json
from typing import Any

from harvester.config.leaves import leaf_of
from harvester.config.section import Section
from harvester.config.settings import Document, keys, tables

_TEMPLATE = {"type": "string", "pattern": r"\$\{", "description": "${NAME}, ${NAME:-default} or ${file:PATH}"}
_NAMES = "^[A-Za-z0-9_-]{1,64}$"
_DERIVED = {("state", "dir"), ("state", "tokens_dir"), ("tokens.NAME", "app"), ("discover.NAME", "token")}
"""Keys that the models need and the TOML file may leave out, because the rest of it says them."""


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config as its author writes it, `${…}` included."""
    properties: dict[str, Any] = {}
    for heading, section in tables().items():
        table = _table(heading, section)
        name, _, several = heading.strip("[]").partition(".")
        if heading.startswith("["):
            table = {
                "title": f"[{heading}]",
                "description": table["description"],
                "type": "array",
                "items": table,
            }
        elif several:
            least = int(Document.model_fields[name].is_required())
            table = {
                "title": f"[{heading}]",
                "description": table["description"] + (" At least one." if least else ""),
                "type": "object",
                "minProperties": least,
                "propertyNames": {"pattern": _NAMES},
                "additionalProperties": table,
            }
        properties[name] = table
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "harvester config",
        "description": (Document.__doc__ or "").strip(),
        "type": "object",
        "properties": properties,
        "required": ["apps", "tokens"],
        "anyOf": [{"required": ["accounts"]}, {"required": ["discover"]}],
        "additionalProperties": False,
    }


def _table(heading: str, section: type[Section]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = []
    for key, info in keys(section).items():
        leaf = leaf_of(info.metadata)
        description = f"{info.description} Expected: {leaf.expected}."
        entry: dict[str, Any] = {"title": f"{heading}.{key}", "description": description}
        entry |= {"anyOf": [leaf.schema(), _TEMPLATE]} if leaf.templated else leaf.schema()
        if not info.is_required() and info.default is not None:
            entry["default"] = json.loads(leaf.text(info.default))
        properties[key] = entry | {"examples": info.examples or [entry["default"]]}
        if info.is_required() and (heading, key) not in _DERIVED:
            required.append(key)
    return {
        "title": f"[{heading}]",
        "description": (section.__doc__ or "").strip(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }

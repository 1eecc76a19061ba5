"""What `--help` shows below the options: how each command is really used. Pure.

Tests hold every line against the command that it calls. It fits 80 columns, and can be pasted as it is.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EXAMPLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "harvester": {
            "harvester demo": "try it: no config, no token",
            "harvester doctor nightly.toml": "is all well?",
            "harvester run nightly.toml": "the nightly job",
            "harvester status nightly.toml": "what is complete, what is lacking",
        },
        "harvester run": {
            "harvester run nightly.toml": "every night",
            "harvester run nightly.toml --quiet": "from cron",
            "harvester run nightly.toml --dry-run": "look first",
            "harvester run nightly.toml --max-duration 4h": "by morning",
            "harvester run nightly.toml --account 2045867 --again": "anew",
            "harvester run backfill.toml --start 2026-01-01": "history",
        },
        "harvester plan": {
            "harvester plan nightly.toml": "tonight",
            "harvester plan backfill.toml --start 2026-01-01": "how long would it take?",
            "harvester plan nightly.toml --max-requests 20000": "how far would that go?",
        },
        "harvester verify": {
            "harvester verify nightly.toml": "is every file as written?",
            "harvester verify nightly.toml --heal": "and queue what is not",
            "harvester verify nightly.toml --rebuild": "the ledger is damaged or gone",
        },
        "harvester status": {
            "harvester status nightly.toml": "who lacks days",
            "harvester status nightly.toml --all": "every account",
            "harvester status nightly.toml --json | jq '.complete'": "for a script",
        },
        "harvester report": {
            "harvester report nightly.toml": "into report.html",
            "harvester report nightly.toml --output www/calls.html": "elsewhere",
            "harvester report nightly.toml --call-days 30": "calls of all days",
            "harvester report nightly.toml --no-calls": "quick",
        },
        "harvester doctor": {
            "harvester doctor nightly.toml": "before the first night",
            "harvester doctor nightly.toml --no-probe": "ask the API nothing",
            "harvester doctor nightly.toml --account 2045867": "by this one's calls",
        },
        "harvester notify": {
            "harvester notify nightly.toml": "who gets it?",
            "harvester notify nightly.toml --event failure --dry-run": "just look",
        },
        "harvester accounts": {
            "harvester accounts list nightly.toml": "who is harvested, and why",
            "harvester accounts refresh nightly.toml": "ask the API now",
        },
        "harvester accounts list": {
            "harvester accounts list nightly.toml": "who is harvested, and why",
            "harvester accounts list nightly.toml --json": "for a script",
        },
        "harvester accounts refresh": {
            "harvester accounts refresh nightly.toml": "new clients, before the night",
        },
        "harvester accounts export": {
            "harvester accounts export nightly.toml -": "look at it",
            "harvester accounts export nightly.toml accounts.csv --force": "into a file",
        },
        "harvester sandbox": {
            "harvester sandbox --write-config try/x.toml": "then run try/x.toml",
            "harvester sandbox --port 0 --accounts 500 --seed 7": "a larger world",
        },
        "harvester demo": {
            "harvester demo": "all of it in a minute, into ./demo/",
        },
        "harvester config": {
            "harvester config explain nightly.toml": "what it comes to",
            "harvester config schema > harvester.schema.json": "for an editor",
        },
        "harvester config schema": {
            "harvester config schema > harvester.schema.json": "for an editor",
            "harvester config schema --of report": "of runs/*.json",
        },
        "harvester config explain": {
            "harvester config explain nightly.toml": "every key, and where it comes from",
        },
    }
)
"""Command → what to type → why one would."""


def examples(command: str) -> str:
    """The block that click shows below a command's options, its lines left as they are.

    Args:
        command: Its full name, such as "harvester accounts list"; one without examples is a `KeyError`.
    """
    lines = EXAMPLES[command]
    column = max(map(len, lines))
    return "\n".join(["\b", "Examples:", *(f"  {line:<{column}}  # {why}" for line, why in lines.items())])

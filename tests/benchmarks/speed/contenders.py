"""Who is compared: each a whole process that is given the same work and leaves its calls in a folder."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.speed.environments import environment, version

PEERS: Final = {
    "scrapy": ("scrapy", (), "calls.ndjson", "Scrapy {}, the callback writes"),
    "scrapy-feed": ("scrapy", ("--feed",), "calls.jsonl", "Scrapy {}, its own feed"),
    "singer": ("singer", (), "messages.ndjson", "Singer SDK {}, a tap"),
    "dlt": ("dlt", (), "landed/landing/calls/*.jsonl", "dlt {}"),
    "airbyte": ("airbyte", (), "messages.ndjson", "Airbyte CDK {}, a source"),
}
"""Name on the command line: environment and module, options, where the calls are, title."""
_CONFIG: Final = """\
[api]
base_url = "{trial.base_url}"
page_size = {trial.page_size}
[window]
start = "{trial.start}"
end = "{trial.end}"
[limits]
in_flight = 16
[output]
dir = "landing"
[apps.only]
client_id = "1100000"
[tokens.only]
access_token = "none"
[accounts]
file = "accounts.csv"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one process is to do.

    Attributes:
        base_url: Of the server.
        accounts: A file with an id a line.
        start: The first day, YYYY-MM-DD.
        end: The last day, inclusive.
        page_size: Calls a page.
        output: An empty folder.
    """

    base_url: str
    accounts: Path
    start: str
    end: str
    page_size: int
    output: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One who is compared.

    Attributes:
        name: On the command line.
        title: In tables and plots.
        command: Makes the command, and writes the config if there has to be one.
        landed: Pattern of the files with calls, below the output folder.
    """

    name: str
    title: str
    command: Callable[[Trial], list[str]]
    landed: str


def contenders(peers: Sequence[str], folder: Path, say: Callable[[str], None]) -> list[Contender]:
    """The floor, harvester, and those of the peers that can be installed.

    Args:
        peers: Their names.
        folder: Of their environments.
        say: Told what is done, a line at a time.
    """
    floor = _program(Path(sys.executable), "tests.benchmarks.speed.floor", ())
    found = [
        Contender(name="floor", title="floor: aiohttp, orjson, nothing else", command=floor, landed="calls.ndjson"),
        Contender(
            name="harvester",
            title="harvester, everything on",
            command=_harvester,
            landed="landing/dt=*/account_id=*/calls.ndjson.zst",
        ),
    ]
    pythons = {name: environment(name, folder, say) for name in dict.fromkeys(PEERS[peer][0] for peer in peers)}
    for peer in peers:
        name, options, landed, title = PEERS[peer]
        if python := pythons[name]:
            command = _program(python, f"tests.benchmarks.speed.peers.{name}", options)
            found.append(Contender(name=peer, title=title.format(version(name)), command=command, landed=landed))
    return found


def _program(python: Path, module: str, options: Sequence[str]) -> Callable[[Trial], list[str]]:
    def command(trial: Trial) -> list[str]:
        return [
            str(python), "-m", module, "--base-url", trial.base_url, "--accounts", str(trial.accounts),
            "--start", trial.start, "--end", trial.end, "--page-size", str(trial.page_size),
            "--output", str(trial.output), *options,
        ]  # fmt: skip

    return command


def _harvester(trial: Trial) -> list[str]:
    config = trial.output / "benchmark.toml"
    config.write_text(_CONFIG.format(trial=trial), encoding="utf-8")
    accounts = trial.accounts.read_text(encoding="utf-8")
    (trial.output / "accounts.csv").write_text(f"account_id\n{accounts}", encoding="utf-8")
    return [sys.executable, "-m", "harvester", "run", str(config), "--no-progress"]

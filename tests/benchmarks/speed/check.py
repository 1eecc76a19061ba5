"""Whether a contender landed exactly the calls that the server has."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import zstandard

from tests.benchmarks.speed.server import FIRST_ACCOUNT, World

_CALL_ID: Final = re.compile(rb'"call_id": ?"([^"]*)"')
"""Finds the id in a call, in a call with a peer's own fields, and in a message around a call."""


def truth(world: World) -> set[bytes]:
    """The id of every call."""
    return {
        call_id
        for account in range(FIRST_ACCOUNT, FIRST_ACCOUNT + world.accounts)
        for place in range(world.calls_of(account))
        for call_id in _CALL_ID.findall(world.entity(account, place))
    }


def difference(expected: set[bytes], folder: Path, pattern: str) -> str | None:
    """What is wrong with the calls that landed; None: nothing.

    Args:
        expected: The ids.
        folder: Where to look.
        pattern: Of the files, below it.
    """
    found: set[bytes] = set()
    calls = 0
    for path in folder.glob(pattern):
        for line in _lines(path):
            if call := _CALL_ID.search(line):
                calls += 1
                found.add(call[1])
    if calls == len(expected) and found == expected:
        return None
    return f"{len(expected - found)} calls are lacking, {len(found - expected)} unknown, {calls - len(found)} twice"


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if path.suffix == ".zst":
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            yield from io.BufferedReader(cast("io.RawIOBase", reader))
        else:
            yield from file

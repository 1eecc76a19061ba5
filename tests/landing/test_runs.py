"""Runs of a day: what they give is the same, whether it has to be looked at call by call or not."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from harvester.calls import Call, Calls
from harvester.landing import runs as runs_module
from harvester.landing.encode import in_order, to_lines
from harvester.landing.ndjson import SUFFIXES
from harvester.landing.publish import carry_out, prepare
from harvester.landing.runs import Gathered, Run, calls_of, merged_run, runs_apart, whole_lines
from tests.landing.helpers import DAYS, call, calls, reading, zone_at

DAY = DAYS[0]
FEW = [call(key, f"{DAY} 00:00:0{second}", v=v) for key in "abc" for second in range(3) for v in range(2)]
some_calls = st.lists(calls((DAY,)) | st.sampled_from(FEW), min_size=1, max_size=6)
batches = st.lists(some_calls, min_size=1, max_size=6)


def run_of(some: Sequence[Call]) -> Run:
    """A page's calls of a day, the newest reading last."""
    return Run(Calls.of(some).in_order())


def expected(pages: Sequence[Sequence[Call]]) -> list[Call]:
    """Each id once: of the readings in order, the newest before the older ones, the first."""
    found: dict[str, Call] = {}
    for one in in_order([one for page in pages[::-1] for one in page[::-1]]):
        found.setdefault(one.id, one)
    return in_order(found.values())


def listed(blocks: Iterator[Calls]) -> list[Call]:
    """One by one."""
    return [one for block in blocks for one in block]


@given(batches)
def test_any_runs(pages: list[list[Call]]) -> None:
    """Each call is given once, its newest reading, in order, as calls and as text, however runs lie to each other."""
    gathered = Gathered.of(map(run_of, pages))
    text = gathered.text()
    assert b"".join(text) == to_lines(expected(pages))
    assert text.calls == len(expected(pages))
    assert listed(gathered.calls()) == expected(pages)
    assert sorted(one.line for one in listed(gathered.readings())) == sorted(one.line for page in pages for one in page)


@given(batches, st.integers(1, 5))
def test_small_blocks(pages: list[list[Call]], block_bytes: int) -> None:
    """It is the same however little is read back at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_module, "_BLOCK_BYTES", block_bytes * 20)
        assert listed(Gathered.of(map(run_of, pages)).calls()) == expected(pages)


@given(batches)
def test_runs_that_are_taken_in(pages: list[list[Call]]) -> None:
    """A run that takes the next one in when they do not overlap, and one that is made of all of them, hold the same."""
    runs: list[Run] = []
    for page in pages:
        run = run_of(page)
        if not runs or not runs[-1].take(run):
            runs.append(run)
    whole = merged_run(list(map(run_of, pages)))
    for one in (Gathered.of(runs), Gathered.of([whole])):
        assert b"".join(one.text()) == to_lines(expected(pages))
        assert sum(map(len, one.readings())) == sum(map(len, pages))
    for run in [*runs, whole]:
        there = listed(run.calls())
        assert (run.first, run.last) == ((there[0].start, there[0].id), (there[-1].start, there[-1].id))
        assert sorted(run.hashes) == sorted(hash(one.id) for one in there)
        assert len(run) == len(there)


@given(batches)
def test_only_runs_apart_are_not_looked_at(pages: list[list[Call]]) -> None:
    """Runs are taken as they are exactly when no two of them overlap and no id is in them twice."""
    runs = [run_of(page) for page in pages]
    ids = [one.id for page in pages for one in page]
    spans = sorted((run.first, run.last) for run in runs)
    apart = len(set(ids)) == len(ids) and all(one[1] < other[0] for one, other in pairwise(spans))
    assert (runs_apart(runs) is not None) == apart


def test_lines_are_read_back_only_where_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a walk brings page by page, one way or the other, is never read back."""
    pages = [[call(f"{at}", f"{DAY} 00:{at:02}:00")] for at in range(20)]
    monkeypatch.setattr(runs_module, "read_text", None)
    for some in (pages, pages[::-1], pages[::2] + pages[1::2]):
        assert b"".join(Gathered.of(map(run_of, some)).text()) == to_lines(expected(pages))


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=9), st.integers(1, 9))
@example([b""], 1)
def test_whole_lines(lines: list[bytes], size: int) -> None:
    """Bytes cut anywhere come cut at the ends of lines, none lost."""
    text = b"".join(line + b"\n" for line in lines)
    for whole in (text, text[:-1]):
        blocks = [whole[at : at + size] for at in range(0, len(whole), size)]
        pieces = list(whole_lines(blocks))
        assert b"".join(pieces) == whole
        assert all(piece.endswith(b"\n") for piece in pieces[:-1])
        assert all(pieces)


@given(st.lists(calls((DAY,)), min_size=1), st.data())
def test_lines_that_are_no_calls(some: list[Call], data: st.DataObject) -> None:
    """What is no call is left out of what is read back, and what stands beside it is not."""
    lines = [one.line for one in some]
    for odd in (b"[]", b"", b'{"call_id":"7"}', b"{}{}"):
        lines.insert(data.draw(st.integers(0, len(lines))), odd)
    assert listed(calls_of([b"\n".join(lines)])) == some


@pytest.mark.parametrize("compression", SUFFIXES)
@given(before=batches, tonight=batches, drop=st.booleans())
def test_published_as_if_call_by_call(
    compression: str,
    before: list[list[Call]],
    tonight: list[list[Call]],
    drop: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A day is published the same, byte by byte, from runs as they came as from its calls one by one."""
    changes = []
    for one_by_one in (False, True):
        zone = zone_at(tmp_path_factory.mktemp("zone"), compression)
        for pages in (before, tonight):
            some = [[one] for page in pages for one in page] if one_by_one else pages
            change = prepare(zone, replace(reading(drop=drop), gathered=Gathered.of(map(run_of, some))))
            carry_out(zone, change)
            path = zone.root / change.path
            changes.append((structs.replace(change, staged=None), path.read_bytes() if path.exists() else None))
    assert changes[:2] == changes[2:]


def test_big_days_do_not_depend_on_pieces(tmp_path: Path) -> None:
    """A file's bytes are the same, however its text was cut into pieces while it was compressed."""
    clocks = [f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}" for at in range(9000)]
    some = [call(f"{at:06}", f"{DAY} {clock}", n=at * 7919**3) for at, clock in enumerate(clocks)]
    digests = set()
    for number, size in enumerate((1, 10, 100, 3000, 9000)):
        zone = zone_at(tmp_path / str(number), "zstd")
        pages = [some[at : at + size] for at in range(0, len(some), size)]
        digests.add(prepare(zone, replace(reading(), gathered=Gathered.of(map(run_of, pages)))).digest)
    assert len(digests) == 1

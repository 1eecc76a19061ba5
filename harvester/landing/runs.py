"""A day's calls as a walk brings them: runs in order, as NDJSON, of which no single call is remembered.

What is known of a run is enough to see that nothing of it has to be looked at again: runs that do not overlap and in
which no id can come twice are the day's file as they are. Only of others the lines are read back. Pure.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from harvester.calls import Call, Calls
from harvester.landing.merge import Key, Source, each_once, key_at, merged
from harvester.record import read_record, read_text

_BLOCK_BYTES: Final = 2**16
"""Of text that is read back at a time."""
_HASH_BYTES: Final = 8
_PIECE_BYTES: Final = 100
"""What Python adds to a page's text, about."""
_RUN_BYTES: Final = 800
"""What it adds to a run, about."""


class Run:
    """Some of a day's calls in order, in memory.

    Args:
        calls: At least one, in order.

    Attributes:
        first: The first one's key.
        last: The last one's.
        texts: Their lines, in order, in pieces.
        hashes: Of their ids, in no order.
    """

    __slots__ = ("first", "hashes", "last", "memory_bytes", "texts")

    def __init__(self, calls: Calls) -> None:
        text = calls.lines_joined()
        self.first = key_at(calls, 0)
        self.last = key_at(calls, -1)
        self.texts = deque((text,))
        self.hashes = array("q", map(hash, calls.ids))
        self.memory_bytes = len(text) + _HASH_BYTES * len(calls) + _PIECE_BYTES + _RUN_BYTES

    def __len__(self) -> int:
        return len(self.hashes)

    def take(self, other: "Run") -> bool:
        """Takes another run in, unless they overlap; whether it did."""
        if other.first > self.last:
            self.texts.extend(other.texts)
            self.last = other.last
        elif other.last < self.first:
            self.texts.extendleft(reversed(other.texts))
            self.first = other.first
        else:
            return False
        self.hashes.extend(other.hashes)
        self.memory_bytes += other.memory_bytes - _RUN_BYTES
        return True

    def calls(self) -> Iterator[Calls]:
        """Its calls, in blocks."""
        return calls_of(self.texts)


@dataclass(frozen=True, slots=True)
class Spilled:
    """A run on disk. Attributes as those of `Run`.

    Attributes:
        read: Gives its lines.
    """

    first: Key
    last: Key
    hashes: "array[int]"
    read: Callable[[], Iterator[bytes]]

    @property
    def texts(self) -> Iterator[bytes]:
        """Its lines, in order, cut anywhere."""
        return self.read()


@dataclass(frozen=True, slots=True)
class Gathered:
    """A day's calls, all that a walk has brought of them.

    Attributes:
        sources: What gives them, the newest reading first.
        runs: The same, when enough is known of all of them; `None` when it is not.
    """

    sources: Sequence[Source]
    runs: Sequence[Run | Spilled] | None = None

    @classmethod
    def of(cls, runs: Iterable[Run]) -> "Gathered":
        """Runs in memory, the newest last."""
        newest_first = list(runs)[::-1]
        return cls([(run.first, run.calls) for run in newest_first], newest_first)

    def readings(self) -> Iterator[Calls]:
        """Each call as often as it was read, in order, its newest reading first."""
        return merged(self.sources)

    def calls(self) -> Iterator[Calls]:
        """Each `call_id` once, in order, in blocks: as `readings` gives it first."""
        return each_once(self.readings())

    def text(self) -> "Text":
        """The same as NDJSON."""
        apart = None if self.runs is None else runs_apart(self.runs)
        if apart is None:
            return Text((len(block), [block.lines_joined()]) for block in self.calls())
        return Text((len(run.hashes), run.texts) for run in apart)


class Text:
    """NDJSON in pieces, once.

    Args:
        pieces: How many calls, and their lines.

    Attributes:
        calls: How many have passed.
    """

    def __init__(self, pieces: Iterable[tuple[int, Iterable[bytes]]]) -> None:
        self.calls = 0
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for calls, pieces in self._pieces:
            self.calls += calls
            yield from pieces


def runs_apart(runs: Sequence[Run | Spilled]) -> Sequence[Run | Spilled] | None:
    """Runs in order if they do not overlap and no id can be in them twice, else `None`."""
    if len(set().union(*(run.hashes for run in runs))) < sum(len(run.hashes) for run in runs):
        return None
    ordered = sorted(runs, key=lambda run: run.first)
    return ordered if all(one.last < other.first for one, other in pairwise(ordered)) else None


def merged_run(runs: Sequence[Run]) -> Run:
    """Some runs of a day, the newest last, as one; every reading stays, and of a call the newest comes first."""
    if len(runs) == 1:
        return runs[0]
    blocks = list(Gathered.of(runs).readings())
    return Run(
        Calls(
            [one for block in blocks for one in block.ids],
            [one for block in blocks for one in block.starts],
            [one for block in blocks for one in block.lines],
        )
    )


def calls_of(blocks: Iterable[bytes]) -> Iterator[Calls]:
    """NDJSON cut anywhere → its calls, in blocks; what is no call is left out."""
    for text in whole_lines(blocks):
        calls = read_text(text)
        if calls is None:
            found = (read_record(line) for line in text.removesuffix(b"\n").split(b"\n"))
            calls = Calls.of(one for one in found if isinstance(one, Call))
        yield calls


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Bytes cut anywhere → the same, cut at the ends of lines, in pieces of no great size unless a line is."""
    rest: list[bytes] = []
    for block in blocks:
        for begin in range(0, len(block), _BLOCK_BYTES):
            piece = block[begin : begin + _BLOCK_BYTES]
            end = piece.rfind(b"\n") + 1
            if end:
                yield b"".join([*rest, piece[:end]])
                rest = [piece[end:]] if end < len(piece) else []
            else:
                rest.append(piece)
    if rest:
        yield b"".join(rest)

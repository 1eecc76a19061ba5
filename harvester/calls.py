"""Calls as values: one, one that cannot be placed, and many in columns, which is what is fast. Pure."""

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import compress, groupby, islice
from operator import eq, itemgetter
from typing import Self, overload

import msgspec

_HELD_BYTES = 250
"""What a call takes in memory besides its line, about: its id, its start, and what Python adds to each."""
_key = itemgetter(0, 1)


class Call(msgspec.Struct, frozen=True, gc=False):
    """One call as the API sent it.

    Attributes:
        id: `call_id`, unique within the account.
        start: `call_start_time`, `YYYY-MM-DD HH:MM:SS`, Beijing. Sorts as text as it does as time.
        line: The call's JSON, untouched but for line breaks between its tokens: one NDJSON line without its end.
    """

    id: str
    start: str
    line: bytes

    def __repr__(self) -> str:
        return f"Call({len(self.line)} bytes)"  # what is in it, phones among it, is nobody's business

    @property
    def day(self) -> str:
        """The Beijing day of the call's start, `YYYY-MM-DD`."""
        return self.start[:10]


class Stray(msgspec.Struct, frozen=True, gc=False):
    """A record that cannot be placed in a partition: it goes to quarantine, whole.

    Attributes:
        key: What tells it from other strays: its `call_id`, else a digest of its bytes.
        reason: Why it cannot be placed, for a person.
        line: Its JSON, as in `Call.line`.
    """

    key: str
    reason: str
    line: bytes

    def __repr__(self) -> str:
        return f"Stray({self.reason}, {len(self.line)} bytes)"

    @property
    def memory_bytes(self) -> int:
        """What it takes in memory, about."""
        return len(self.line) + _HELD_BYTES


class Calls(Sequence[Call]):
    """Calls in columns: to handle a page of them costs little more than to handle one.

    A sequence of `Call`; each is made only when it is asked for, so what is done to all of them is done to columns.

    Args:
        ids: Of each call.
        starts: Of each call, likewise.
        lines: Of each call, likewise.
    """

    __slots__ = ("ids", "lines", "starts")

    def __init__(self, ids: list[str], starts: list[str], lines: list[bytes]) -> None:
        self.ids = ids
        self.starts = starts
        self.lines = lines

    @classmethod
    def of(cls, calls: Iterable[Call]) -> "Calls":
        """Some calls, as they come."""
        if isinstance(calls, Calls):
            return calls
        some = list(calls)
        return cls([one.id for one in some], [one.start for one in some], [one.line for one in some])

    def __repr__(self) -> str:
        return f"Calls({len(self)})"

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Call]:
        return map(Call, self.ids, self.starts, self.lines)

    @overload
    def __getitem__(self, place: int) -> Call: ...
    @overload
    def __getitem__(self, place: slice) -> "Calls": ...
    def __getitem__(self, place: int | slice) -> "Call | Calls":
        if isinstance(place, slice):
            return Calls(self.ids[place], self.starts[place], self.lines[place])
        return Call(self.ids[place], self.starts[place], self.lines[place])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Calls):
            return NotImplemented
        return (self.ids, self.starts, self.lines) == (other.ids, other.starts, other.lines)

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Self) -> "Calls":
        return Calls(self.ids + other.ids, self.starts + other.starts, self.lines + other.lines)

    @property
    def memory_bytes(self) -> int:
        """What they take in memory, about."""
        return sum(map(len, self.lines)) + _HELD_BYTES * len(self)

    def by_day(self) -> Iterator[tuple[str, "Calls"]]:
        """Runs of calls of one day that stand together, each with its `YYYY-MM-DD`; a day may come again."""
        starts = self.starts
        if not starts:
            return
        if (day := min(starts)[:10]) == max(starts)[:10]:
            yield day, self
            return
        begin = 0
        for day, run in groupby(start[:10] for start in starts):
            end = begin + sum(1 for _ in run)
            yield day, self[begin:end]
            begin = end

    def where(self, chosen: list[bool]) -> "Calls":
        """Those of them, in their order."""
        return Calls(
            list(compress(self.ids, chosen)), list(compress(self.starts, chosen)), list(compress(self.lines, chosen))
        )

    def each_once(self, *, known: Container[str] = ()) -> "Calls":
        """Those whose id is not known, each id once: at its first place, as it was read last."""
        ids = self.ids
        if len(set(ids)) < len(ids):
            return Calls.of({call.id: call for call in self if call.id not in known}.values())
        begin = 0
        while begin < len(ids) and ids[begin] in known:
            begin += 1
        rest = self[begin:] if begin else self
        return rest.where([one not in known for one in rest.ids]) if any(map(known.__contains__, rest.ids)) else rest

    def in_order(self) -> "Calls":
        """By start, then id: the order of a landing file (contract); of readings of a call the last comes first."""
        starts = sorted(self.starts)
        if True not in map(eq, starts, islice(starts, 1, None)):  # no two at a time: most pages are in order already
            if starts == self.starts:
                return self
            if starts == self.starts[::-1]:
                return Calls(self.ids[::-1], starts, self.lines[::-1])
        if len(set(self.ids)) == len(self.ids):
            order = sorted(zip(self.starts, self.ids, self.lines, strict=True))
        else:
            order = sorted(zip(self.starts[::-1], self.ids[::-1], self.lines[::-1], strict=True), key=_key)
        return Calls([one[1] for one in order], [one[0] for one in order], [one[2] for one in order])

    def days_in_order(self) -> Iterator[tuple[str, "Calls"]]:
        """Each day, `YYYY-MM-DD`, in order, with its calls, `in_order`."""
        ordered, begin = self.in_order(), 0
        while begin < len(self):
            day = ordered.starts[begin][:10]
            end = bisect_left(ordered.starts, f"{day}~", begin)  # behind any time of the day
            yield day, ordered[begin:end]
            begin = end

    def lines_joined(self) -> bytes:
        """As NDJSON: one JSON object a line, the API's own bytes."""
        return b"\n".join([*self.lines, b""])


NO_CALLS = Calls([], [], [])
"""None at all."""

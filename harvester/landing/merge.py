"""Calls in order from several sources → one order, by blocks: of each open source one is held. Pure."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from harvester.calls import Calls
from harvester.landing.ids import Ids

Key = tuple[str, str]
"""A call's place in the order of a file: start and id."""
Source = tuple[Key, Callable[[], Iterator[Calls]]]
"""The first key of some calls in order, or an earlier one, and what gives them in blocks; that may be asked again."""
BEFORE_ALL: Key = ("", "")


def key_at(calls: Calls, place: int) -> Key:
    """The key of one of some calls."""
    return calls.starts[place], calls.ids[place]


def merged(sources: Sequence[Source]) -> Iterator[Calls]:
    """All calls of ordered sources, in order; of equal keys that of the earlier source first."""
    for taken in aligned(sources):
        yield taken[0][1] if len(taken) == 1 else _sorted([calls for _, calls in taken])


def aligned(sources: Sequence[Source]) -> Iterator[list[tuple[int, Calls]]]:
    """Ordered sources side by side: again and again, what each has up to a common key.

    A source is opened when its first key's turn comes: a walk goes one way, so few of its runs overlap.

    Yields:
        Of the sources that have any calls up to that key, the number and these calls; at least one.
    """
    waiting = sorted(((first, number) for number, (first, _) in enumerate(sources)), reverse=True)
    opened: dict[int, _Opened] = {}
    while waiting or opened:
        limit = min((one.last for one in opened.values()), default=None)
        while waiting and (limit is None or waiting[-1][0] <= limit):
            _, number = waiting.pop()
            one = _Opened(sources[number][1]())
            if one.calls:
                opened[number] = one
                limit = min(limit, one.last) if limit else one.last
        if limit:
            yield [(number, taken) for number in sorted(opened) if (taken := opened[number].take(limit))]
        opened = {number: one for number, one in opened.items() if one.calls}


class _Opened:
    """A source that is being read.

    Attributes:
        calls: The rest of its block; none at its end.
        last: The key of the last of them.
    """

    __slots__ = ("_blocks", "calls", "last")

    def __init__(self, blocks: Iterator[Calls]) -> None:
        self._blocks = blocks
        self._next()

    def _next(self) -> None:
        self.calls = next((block for block in self._blocks if block), Calls([], [], []))
        self.last = key_at(self.calls, -1) if self.calls else BEFORE_ALL

    def take(self, limit: Key) -> Calls:
        """What is left of the block up to a key."""
        calls = self.calls
        if self.last <= limit:
            self._next()
            return calls
        place = bisect_right(range(len(calls)), limit, key=lambda at: key_at(calls, at))
        self.calls = calls[place:]
        return calls[:place]


def _sorted(some: Sequence[Calls]) -> Calls:
    ids = [one for calls in some for one in calls.ids]
    starts = [one for calls in some for one in calls.starts]
    lines = [one for calls in some for one in calls.lines]
    order = sorted(zip(starts, ids, range(len(ids)), lines, strict=True))  # the numbers differ: no line is looked at
    return Calls([one[1] for one in order], [one[0] for one in order], [one[3] for one in order])


def each_once(blocks: Iterable[Calls]) -> Iterator[Calls]:
    """Each id where it comes first."""
    met = Ids()
    for block in blocks:
        chosen = block if met.take(block.ids) else block.where([met.take_one(one) for one in block.ids])
        if chosen:
            yield chosen

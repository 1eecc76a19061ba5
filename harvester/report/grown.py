"""Sequences that grow at their end, as values: however long, adding to one copies nothing. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

One = TypeVar("One")


class Grown(Sequence[One], Generic[One]):
    """A tuple of which a longer one shares what it holds: `n` additions cost `n`, not `n²`.

    Args:
        some: What it begins with.
    """

    __slots__ = ("_shared", "_size")

    def __init__(self, some: Iterable[One] = ()) -> None:
        self._shared = list(some)
        self._size = len(self._shared)

    def plus(self, more: Iterable["One"]) -> "Grown[One]":
        """This and more, in the time that `more` takes; from this one itself nothing is seen of it."""
        longer = Grown[One]()
        is_last = self._size == len(self._shared)  # else another one has grown from it already
        longer._shared = self._shared if is_last else self._shared[: self._size]
        longer._shared.extend(more)
        longer._size = len(longer._shared)
        return longer

    @overload
    def __getitem__(self, at: int) -> One: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[One]: ...
    def __getitem__(self, at: int | slice) -> One | Sequence[One]:
        places = range(self._size)[at]
        return self._shared[places] if isinstance(places, int) else [self._shared[place] for place in places]

    def __iter__(self) -> Iterator[One]:
        return (self._shared[at] for at in range(self._size))

    def __len__(self) -> int:
        return self._size

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Grown({list(self)})"


def plus(some: Sequence[One], more: Iterable[One]) -> Sequence[One]:
    """Both, in order."""
    more = tuple(more)
    return (some if isinstance(some, Grown) else Grown(some)).plus(more) if more else some

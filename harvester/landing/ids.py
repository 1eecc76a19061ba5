"""Which ids of a day were met: exactly while they are few, in eight bytes each when they are many. Pure."""

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Final

FEW: Final = 10_000
"""So many are held as they are: a set of them takes 1 MB. Few days of an account have more."""
_BUCKETS: Final = 2**12


class Ids:
    """Ids of calls.

    Of many only hashes are held, 64 bits each, sorted, in buckets. Of 5 million different ids two are taken for one
    once in 1.5 million times; the slice lacks a call then, by its own count, and is read again in the next run, with
    hashes that are other ones in each process.

    Args:
        few: Up to so many are held as they are.
    """

    def __init__(self, few: int = FEW) -> None:
        self._few = few
        self._ids: set[str] = set()
        self._hashes: list[array[int]] = []

    def take(self, ids: list[str]) -> bool:
        """Takes ids in if all of them are new, and none comes twice among them; whether that is so."""
        if self._hashes:
            hashes = set(map(hash, ids))
            if len(hashes) < len(ids) or any(map(self._has, hashes)):
                return False
            self._insert(hashes)
            return True
        if len(set(ids)) < len(ids) or not self._ids.isdisjoint(ids):
            return False
        self._ids.update(ids)
        if len(self._ids) > self._few:
            self._be_many()
        return True

    def take_one(self, one: str) -> bool:
        """Takes an id in; whether it is new."""
        return self.take([one])

    def _be_many(self) -> None:
        self._hashes = [array("q") for _ in range(_BUCKETS)]
        self._insert(map(hash, self._ids))
        self._ids.clear()

    def _has(self, number: int) -> bool:
        bucket = self._hashes[number % _BUCKETS]
        place = bisect_left(bucket, number)
        return place < len(bucket) and bucket[place] == number

    def _insert(self, hashes: Iterable[int]) -> None:
        for number in hashes:
            insort(self._hashes[number % _BUCKETS], number)

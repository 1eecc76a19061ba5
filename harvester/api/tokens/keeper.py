"""One token, and the leave to send under it."""

from dataclasses import dataclass, field
from typing import Self

import anyio

from harvester.api.tokens.life import Life
from harvester.api.tokens.pair import Credentials, Pair
from harvester.model import TokenName
from harvester.standing import Wait


@dataclass(slots=True, eq=False)
class Keeper:
    """One token, and who uses it."""

    name: TokenName
    credentials: Credentials
    life: Life
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    """Held by whoever renews, waits, or sends the request that goes alone."""
    alone: "Turn | None" = None
    renewing: bool = False
    out: int = 0
    """Requests under way with it."""
    trying: int = 0
    """Of these, with one that may not work."""
    quiet: anyio.Event = field(default_factory=anyio.Event)
    """Set when the last of them is answered."""
    renewed: int = 0
    waiting: Wait | None = None
    """For what, while it does."""
    buried: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """Leave to send under a token, unless something happens to it meanwhile."""

    keeper: Keeper


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """An access token that is being sent. A context manager around the request."""

    keeper: Keeper
    pair: Pair
    serial: int
    alone: bool = False

    def __enter__(self) -> Self:
        self.keeper.out += 1
        self.keeper.trying += self.alone
        return self

    def __exit__(self, *_: object) -> None:
        self.keeper.out -= 1
        self.keeper.trying -= self.alone
        if not self.keeper.out:
            self.keeper.quiet.set()

"""The tokens of a run: which may be used, and which are dead."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from harvester.errors import TokenFault
from harvester.model import TokenName


class Tokens:
    """Hands out access tokens by name, until they die.

    Args:
        access_tokens: The tokens themselves, by the name of their table in the config; never shown.
    """

    def __init__(self, access_tokens: Mapping[TokenName, str]) -> None:
        self._access_tokens = dict(access_tokens)
        self._dead: dict[TokenName, str] = {}
        self._tried: set[TokenName] = set()
        self._trials: defaultdict[TokenName, asyncio.Lock] = defaultdict(asyncio.Lock)

    def __repr__(self) -> str:
        return f"Tokens({', '.join(self._access_tokens)})"

    def access(self, name: TokenName) -> str:
        """The access token to send now.

        Raises:
            TokenFault: It is dead.
        """
        if name in self._dead:
            raise TokenFault(self._dead[name])
        return self._access_tokens[name]

    @asynccontextmanager
    async def trial(self, name: TokenName) -> AsyncIterator[None]:
        """Lets the first request under a token go alone: many with a bad token can get the IP banned (documented)."""
        if name not in self._tried:
            async with self._trials[name]:
                if name not in self._tried:
                    yield
                    self._tried.add(name)
                    return
        yield

    def kill(self, name: TokenName, why: str) -> None:
        """Nothing is sent under this token any more; the first reason stays."""
        self._dead.setdefault(name, f"token {name}: {why}")

    @property
    def dead(self) -> Mapping[TokenName, str]:
        """The reason each dead token died for."""
        return self._dead

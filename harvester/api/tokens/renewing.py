"""One renewal: the lock, a look at the store, room on the disk, the request, the new pair durable before its use."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import anyio

from harvester.api.codes import TABLE, Fault, Verdict, judge
from harvester.api.tokens import life
from harvester.api.tokens.oauth import read_renewal, request_renewal
from harvester.api.tokens.pair import Pair, Renewal
from harvester.api.tokens.store import TokenStore
from harvester.api.tokens.stored import Stored, held, mark_of
from harvester.api.transport import Transport
from harvester.errors import AttemptError
from harvester.model import BEIJING
from harvester.secret import masked

if TYPE_CHECKING:
    from harvester.api.tokens.apart import Apart
    from harvester.api.tokens.keeper import Keeper

log = logging.getLogger(__name__)

_POLL_S: Final = 0.2
_OTHERS_S: Final = 120.0
"""Longer than this no other process takes to renew a token."""
_FOR_GOOD: Final = frozenset({Verdict.STOP_TOKEN, Verdict.RENEW_TOKEN, Verdict.REREAD_TOKEN, Verdict.FAIL_SLICE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a renewal.

    Attributes:
        failure: Why there is no new pair, for a person; `None` when there is one.
        code: The API's return code then; `None` when there was no answer.
        final: Whether the API refused it for good.
        renewed: Whether this was the renewal that brought the pair, rather than another process's.
    """

    failure: str | None = None
    code: int | None = None
    final: bool = False
    renewed: bool = False


class Renewer:
    """Renews tokens, for a process among others.

    Args:
        transport: Sends the request.
        wall: Unix seconds.
        store: Where pairs are kept; `None` for memory only.
        apart: What rotates in a process of its own; `None`: it is done here.
    """

    def __init__(
        self,
        transport: Transport,
        wall: Callable[[], float],
        store: TokenStore | None,
        apart: "Apart | None" = None,
    ) -> None:
        self._transport = transport
        self._wall = wall
        self._store = store
        self._apart = apart

    def reread(self, keeper: "Keeper") -> None:
        """Takes over what somebody else stored since. Raises `StorageError`."""
        if self._took_over(keeper):
            log.info("token %s: another process has renewed it", keeper.name)
        else:
            keeper.life = life.looked(keeper.life)

    async def renew(self, keeper: "Keeper") -> bool:
        """Renews it, or takes over what another process got; what comes of it is in the keeper's life.

        Returns:
            Whether the API did not refuse it.

        Raises:
            StorageError: The new pair cannot be stored: nothing was asked for, or it is in memory only.

        Cancellation: before the request nothing is lost; a rotation is ended first, and stored, unless a process of
            its own does that: then it does so by itself.
        """
        if self._apart and keeper.credentials.renewal is Renewal.ROTATE:
            result = await self._apart.renew(keeper)
            self._took_over(keeper)
        else:
            result = await self.attempt(keeper)
        if result.failure is None:
            keeper.renewed += result.renewed
            log.info("token %s was renewed%s", keeper.name, "" if result.renewed else " by another process")
        elif result.final:
            log.error("token %s cannot be renewed any more: %s", keeper.name, result.failure)
            keeper.life = life.not_renewable(keeper.life, result.failure, result.code)
        else:
            if result.failure != keeper.life.failure:  # it is tried every few seconds
                log.warning("token %s could not be renewed, which is tried again: %s", keeper.name, result.failure)
            keeper.life = life.not_renewed(keeper.life, result.failure, self._wall(), result.code)
        return not result.final

    async def attempt(self, keeper: "Keeper") -> Result:
        """One attempt in this process, under the token's lock; a new pair is in the keeper's life.

        Raises and is cancelled as `renew`.
        """
        async with self._lock(keeper) as mine:
            if self._took_over(keeper):
                return Result()
            if not mine:
                return Result(failure="another process has been renewing it for long")
            result = Result()
            with anyio.CancelScope(shield=keeper.credentials.renewal is Renewal.ROTATE):
                result = await self._ask(keeper)
            return result  # noqa: RET504 - mypy thinks that the scope may swallow what is raised

    def _newer(self, keeper: "Keeper") -> Stored | None:
        """What somebody stored after the pair that is held."""
        stored = self._store.read(keeper.name) if self._store else None
        return stored if stored and stored.serial > keeper.life.serial else None

    def _took_over(self, keeper: "Keeper") -> bool:
        stored = self._newer(keeper)
        if stored is None:
            return False
        pair, former = held(keeper.credentials, stored)
        if pair.access == keeper.life.pair.access and keeper.life.gone:
            return False
        keeper.life = life.adopted(keeper.life, pair, former, stored.serial)
        return True

    @asynccontextmanager
    async def _lock(self, keeper: "Keeper") -> AsyncIterator[bool]:
        """The token's lock; `False` when another process keeps it, though it stored nothing new."""
        if self._store is None:
            yield True
            return
        deadline = anyio.current_time() + _OTHERS_S
        while True:
            with self._store.held(keeper.name) as mine:
                if mine or anyio.current_time() >= deadline or self._newer(keeper):
                    yield mine
                    return
            await anyio.sleep(_POLL_S)

    async def _ask(self, keeper: "Keeper") -> Result:
        credentials, pair = keeper.credentials, keeper.life.pair
        if pair.refresh is None:
            raise RuntimeError("a token without a refresh token is not renewed")
        lost_since = self._announce(keeper, self._wall()) if credentials.renewal is Renewal.ROTATE else None
        with self._store.slot(keeper.name) if self._store else nullcontext() as slot:
            sent_at = self._wall()
            try:
                response = await self._transport.send(request_renewal(credentials, pair.refresh))
                new = read_renewal(response, pair, sent_at)
            except AttemptError as error:
                new = Fault(text=str(error), unreachable=error.unreachable)
            former, serial = life.renewed_by(credentials.renewal, keeper.life, self._wall()), keeper.life.serial + 1
            if slot and isinstance(new, Pair):  # no await before this: what could be lost is on the disk first
                slot.fill(self._stored(keeper, new, former, serial))
        if isinstance(new, Fault):
            return self._failed(keeper, new, lost_since)
        keeper.life = life.adopted(keeper.life, new, former, serial)
        return Result(renewed=True)

    def _announce(self, keeper: "Keeper", since: float | None) -> float | None:
        """Writes down that a rotation begins: should its answer be lost, somebody can be told so.

        Returns:
            Unix time of an earlier one whose answer never came; `None` when there was none.
        """
        if self._store is None:
            return None
        before = self._store.read(keeper.name)
        lost_since = before.rotating_since if before else None
        now = self._stored(keeper, keeper.life.pair, keeper.life.former, keeper.life.serial)
        with self._store.slot(keeper.name) as slot:
            slot.fill(replace(now, rotating_since=since and (lost_since or since)))
        return lost_since

    def _stored(self, keeper: "Keeper", pair: Pair, former: Pair | None, serial: int) -> Stored:
        marks = (mark_of(keeper.credentials.access), mark_of(keeper.credentials.refresh))
        return Stored(
            token=keeper.name, serial=serial, pair=pair, former=former, access_mark=marks[0], refresh_mark=marks[1]
        )

    def _failed(self, keeper: "Keeper", fault: Fault, lost_since: float | None) -> Result:
        why, final = masked(str(fault)), fault.code in TABLE and judge(fault) in _FOR_GOOD
        if lost_since is not None and final:
            at = datetime.fromtimestamp(lost_since, BEIJING)
            why += f"; the answer to a rotation begun at {at:%F %T} (Beijing) never came: that may have taken the pair"
        rotated_nothing = fault.unreachable or fault.code is not None
        if lost_since is None and rotated_nothing and keeper.credentials.renewal is Renewal.ROTATE:
            self._announce(keeper, None)
        return Result(failure=why, code=fault.code, final=final)

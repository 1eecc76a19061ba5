"""The token fleet: hands out access tokens, renews them once for all who wait, gives up those that nothing helps.

What to do is decided in `life.py`; here it is done. A token's first request goes alone, after each renewal again; a
renewal waits until no request is under way with the old token, so that a rotation never kills one in flight.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Final, assert_never

import anyio

from harvester.api.codes import Fault, Verdict
from harvester.api.tokens import brake, life
from harvester.api.tokens.keeper import Keeper, Lease, Turn
from harvester.api.tokens.life import Dead, Life, Renew, Reread, Use, Wait
from harvester.api.tokens.pair import Credentials
from harvester.api.tokens.renewing import Renewer
from harvester.api.tokens.store import TokenStore
from harvester.api.tokens.stored import held
from harvester.api.tokens.words import note_of
from harvester.api.transport import Transport
from harvester.errors import StorageError, TokenFault
from harvester.events import TOLD
from harvester.model import TokenName
from harvester.standing import Wait as Waiting

if TYPE_CHECKING:
    from harvester.api.tokens.apart import Apart

log = logging.getLogger(__name__)

TOKEN_VERDICTS: Final = frozenset({Verdict.STOP_TOKEN, Verdict.RENEW_TOKEN, Verdict.REREAD_TOKEN})
"""What an answer says of the token, rather than of the call."""


class Tokens:
    """Hands out access tokens by name.

    Args:
        credentials: What the config gives, by the name of the token's table.
        transport: Sends renewals.
        wall: Unix seconds.
        store: Where renewed tokens are kept; `None` keeps them in memory only.
        patience_s: How long renewals may fail before a token that does not work is given up; infinite for ever.
        apart: What rotates in a process of its own; `None`: it is done here.
    """

    def __init__(  # noqa: PLR0913 - three of them have defaults
        self,
        credentials: Mapping[TokenName, Credentials],
        transport: Transport,
        wall: Callable[[], float],
        *,
        store: TokenStore | None = None,
        patience_s: float = inf,
        apart: "Apart | None" = None,
    ) -> None:
        self._wall = wall
        self._store = store
        self._renewer = Renewer(transport, wall, store, apart)
        self._patience_s = patience_s
        self._refused_at: deque[float] = deque(maxlen=brake.AT_ONCE)
        self._keepers = {name: self._keeper(name, one) for name, one in credentials.items()}

    def __repr__(self) -> str:
        return f"Tokens({', '.join(self._keepers)})"

    def _keeper(self, name: TokenName, credentials: Credentials) -> Keeper:
        """The keeper; of a token whose stored pair cannot be read, one that is dead."""
        dead = None
        try:
            stored = self._store.read(name) if self._store else None
        except StorageError as error:
            stored, dead = None, str(error)
        pair, former = held(credentials, stored)
        serial = stored.serial if stored else 0
        equipped = credentials.client_secret is not None
        begun = Life(
            pair=pair,
            former=former,
            serial=serial,
            renewable=equipped and pair.refresh is not None,
            equipped=equipped,
            patience_s=self._patience_s,
            dead=dead,
        )
        return Keeper(name, credentials, begun)

    @asynccontextmanager
    async def turn(self, name: TokenName) -> AsyncIterator[Turn]:
        """Waits until something may be sent under a token: until it is renewed, or works, or another one's trial ends.

        The first request under a token goes alone, holding everybody else up: many with a bad token can get the
        machine's address banned (documented).

        Raises:
            TokenFault: It is dead.

        Cancellation: while waiting, nothing is lost; a rotation under way comes to its end: see `Renewer.renew`.
        """
        keeper = self._keepers[name]
        while not self._goes(keeper):
            async with keeper.turn:
                now = self._wall()
                match life.todo(keeper.life, now):
                    case Dead(why):
                        self._bury(keeper, why)
                        raise TokenFault(f"token {name} is dead: {keeper.life.said or why}")
                    case Use(alone=True):
                        async with self._alone(keeper) as turn:
                            yield turn
                        return
                    case Use():
                        pass
                    case Reread():
                        self._reread(keeper)
                    case Renew():
                        await self._renew(keeper)
                    case Wait(until, why):
                        await self._wait(keeper, until - now, why)
                    case never:
                        assert_never(never)
        yield Turn(keeper)

    def _goes(self, keeper: Keeper) -> bool:
        """Whether requests may go side by side."""
        todo = life.todo(keeper.life, self._wall())
        return isinstance(todo, Use) and not todo.alone and not keeper.renewing

    @asynccontextmanager
    async def _alone(self, keeper: Keeper) -> AsyncIterator[Turn]:
        await self._brake(keeper)
        keeper.alone = turn = Turn(keeper)
        try:
            yield turn
        finally:
            keeper.alone = None

    def lease(self, turn: Turn) -> Lease | None:
        """The access token to send in this moment; `None` when something happened to it since the turn was given."""
        keeper = turn.keeper
        todo = life.todo(keeper.life, self._wall())
        if not isinstance(todo, Use) or keeper.renewing:
            return None
        if todo.alone and (keeper.alone is not turn or self._brake_s()):
            return None
        return Lease(keeper, todo.pair, todo.serial, todo.alone)

    def worked(self, lease: Lease) -> None:
        """An answer came that had nothing to say against the token."""
        lease.keeper.life = life.worked(lease.keeper.life, lease.serial)

    def refused(self, lease: Lease, verdict: Verdict, fault: Fault) -> None:
        """An answer spoke against the token; several answers to one token count once.

        Args:
            lease: What was sent.
            verdict: One of `TOKEN_VERDICTS`.
            fault: The answer.
        """
        keeper, now = lease.keeper, self._wall()
        before = keeper.life
        match verdict:
            case Verdict.RENEW_TOKEN:
                keeper.life = life.expired(before, lease.serial, str(fault))
            case Verdict.REREAD_TOKEN:
                keeper.life = life.invalid(before, lease.serial, str(fault), now)
            case _:
                keeper.life = life.stopped(before, lease.serial, str(fault))
        if keeper.life is before:
            return
        if not before.proven:
            self._refused_at.append(anyio.current_time())
        log.info("token %s: %s", keeper.name, fault)

    def _bury(self, keeper: Keeper, why: str) -> None:
        """Says once that a token is dead."""
        if not keeper.buried:
            log.warning("token %s is dead: %s", keeper.name, why)
        keeper.buried, keeper.life = True, life.stopped(keeper.life, keeper.life.serial, why)

    def _reread(self, keeper: Keeper) -> None:
        try:
            self._renewer.reread(keeper)
        except StorageError as error:
            keeper.life = life.not_stored(keeper.life, str(error), self._wall())

    async def _renew(self, keeper: Keeper) -> None:
        """Renews it once nobody uses it; what comes of it is in the keeper's life."""
        if keeper.life.in_vain or keeper.life.failures:
            await self._brake(keeper)
        keeper.renewing = True
        try:
            while keeper.out:
                keeper.quiet = anyio.Event()
                await keeper.quiet.wait()
            if not await self._renewer.renew(keeper):
                self._refused_at.append(anyio.current_time())
        except StorageError as error:  # it stops this token's accounts, and no other's
            keeper.life = life.not_stored(keeper.life, str(error), self._wall())
        finally:
            keeper.renewing = False

    async def _brake(self, keeper: Keeper) -> None:
        while wait_s := self._brake_s():
            if len(self._refused_at) < brake.AT_ONCE:
                await anyio.sleep(wait_s)
            else:
                await self._wait(keeper, wait_s, "many tokens were refused, and more of that gets a machine banned")

    def _brake_s(self) -> float:
        trying = sum(one.trying for one in self._keepers.values())
        return brake.wait_s(self._refused_at, trying, anyio.current_time())

    async def _wait(self, keeper: Keeper, seconds: float, why: str) -> None:
        if not (keeper.life.failure and keeper.life.failure in why):  # which was told when the renewal failed
            log.warning("token %s waits: %s", keeper.name, why, extra=TOLD)
        until = datetime.fromtimestamp(round(self._wall() + max(0.0, seconds))).astimezone()
        keeper.waiting = Waiting(token=keeper.name, why=f"token {keeper.name}: {why}", until=until)
        try:
            await anyio.sleep(max(0.0, seconds))
        finally:
            keeper.waiting = None

    @property
    def dead(self) -> Mapping[TokenName, str]:
        """The reason each dead token died for."""
        return {one.name: f"token {one.name}: {one.life.dead}" for one in self._keepers.values() if one.life.dead}

    @property
    def given_up(self) -> set[TokenName]:
        """Those dead tokens whose renewals were only not answered for long: the next run tries again."""
        return {one.name for one in self._keepers.values() if one.life.dead and one.life.given_up}

    @property
    def waits(self) -> Sequence[Waiting]:
        """What is being waited for."""
        return [one.waiting for one in self._keepers.values() if one.waiting]

    @property
    def waiting(self) -> Sequence[str]:
        """The same, for a person."""
        return [one.why for one in self.waits]

    def notes(self) -> list[str]:
        """What a person should know of: which refresh tokens die soon, which renewals fail."""
        now = self._wall()
        return [note for one in self._keepers.values() if (note := note_of(one.name, one.life, now))]

    def states(self) -> Mapping[TokenName, Life]:
        """What is known of each token now."""
        return {one.name: one.life for one in self._keepers.values()}

    @property
    def renewed(self) -> Mapping[TokenName, int]:
        """How often each was renewed by this run, those that were not left out."""
        return {one.name: one.renewed for one in self._keepers.values() if one.renewed}

"""One logical call: permit → send → verdict → back off → again."""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

import anyio

from harvester.api.codes import Fault, Verdict, judge
from harvester.api.protocol import read_page, request_calls
from harvester.api.quota import NEXT_PAUSE_S, Quota
from harvester.api.tokens import Tokens
from harvester.api.transport import Transport
from harvester.errors import AccountFault, AttemptError, QuotaSpent, RefusedFault, SliceFault, TokenFault
from harvester.model import Account, AppName, Page, Query, Refusal

log = logging.getLogger(__name__)

_BASE_BACKOFF_S = 1.0
_WORTH_TELLING = 3
"""Attempts that failed before a person is told: the first few are daily bread."""
_MAX_WAITS = 12
"""A call is held back by its app's limits at most this often: an hour of five-minute pauses."""
_TOKEN_IS_DEAD = frozenset({Verdict.STOP_TOKEN, Verdict.RENEW_TOKEN, Verdict.REREAD_TOKEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often one call is tried, and how long it waits in between.

    Attributes:
        attempts: The first included.
        max_backoff_s: The longest wait, in seconds.
    """

    attempts: int = 6
    max_backoff_s: float = 60.0

    def backoff_s(self, attempt: int, chance: float) -> float:
        """Full jitter: a uniform share of 1 s · 2^(attempt-1), at most `max_backoff_s`.

        Args:
            attempt: The one that failed, from 1.
            chance: In [0, 1).
        """
        return chance * min(self.max_backoff_s, _BASE_BACKOFF_S * 2.0 ** (attempt - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time and chance, handed in so that tests own them.

    Attributes:
        wall: Unix seconds.
        chance: Uniform in [0, 1).
        nonce: A string never given before, at most 32 characters.
    """

    wall: Callable[[], float]
    chance: Callable[[], float]
    nonce: Callable[[], str] = lambda: secrets.token_hex(16)


class Client:
    """Asks for pages until there is an answer or nothing more can be done.

    Args:
        transport: Sends one request once.
        quotas: The permits, by app.
        tokens: The access tokens.
        retry: How often, how long.
        surroundings: Time and chance.
    """

    def __init__(
        self,
        transport: Transport,
        quotas: Mapping[AppName, Quota],
        tokens: Tokens,
        retry: Retry,
        surroundings: Surroundings,
    ) -> None:
        self._transport = transport
        self._quotas = quotas
        self._tokens = tokens
        self._retry = retry
        self._around = surroundings
        self._skew_s = 0.0
        self.attempts_failed = 0

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """The page, or that the API does not serve such a page.

        Raises:
            SliceFault: Nothing helped, or nothing can.
            AccountFault: The token may not or cannot read this account.
            TokenFault: The token is dead.
            QuotaSpent: The app's day or the run's budget is over.

        Cancellation: at any await; a permit taken is used up, nothing else is.
        """
        attempt, waits = 1, 0
        while True:
            permit_at, answer = await self._attempt(account, query)
            if isinstance(answer, Page):
                return answer
            verdict = judge(answer)
            refusal = _refusal(verdict, answer, query)
            if refusal:
                return refusal
            self.attempts_failed += 1
            if self._held_back(account, verdict, answer, permit_at):
                waits += 1
                if waits >= _MAX_WAITS:
                    raise SliceFault(f"held back {waits} times: {answer}")
                continue
            self._give_up(account, verdict, answer)
            if attempt >= self._retry.attempts:
                raise SliceFault(f"{attempt} attempts failed, the last one: {answer}")
            who = f"account {account.id} {query.window}"
            await self._back_off(who, attempt, verdict, answer)
            attempt += 1

    async def _attempt(self, account: Account, query: Query) -> tuple[float, Page | Fault]:
        """One attempt with a nonce and a timestamp of its own, and when its permit was given."""
        async with self._tokens.trial(account.token):
            self._tokens.access(account.token)  # a dead token does not wait for a permit
            async with self._quotas[account.app].permit() as permit_at:
                answer = await self._send(account, query)
            if isinstance(answer, Fault) and judge(answer) in _TOKEN_IS_DEAD:
                self._tokens.kill(account.token, f"{answer}; put a working access_token into the config")
            return permit_at, answer

    async def _send(self, account: Account, query: Query) -> Page | Fault:
        token = self._tokens.access(account.token)
        request = request_calls(
            query,
            access_token=token,
            nonce=self._around.nonce(),
            timestamp=int(self._around.wall() + self._skew_s),
        )
        try:
            answer = read_page(await self._transport.send(request))
        except AttemptError as error:
            return Fault(text=str(error))
        return answer.without(token) if isinstance(answer, Fault) else answer

    def _held_back(self, account: Account, verdict: Verdict, fault: Fault, permit_at: float) -> bool:
        """Whether the whole app has to wait; its next permit will see to it."""
        quota = self._quotas[account.app]
        match verdict:
            case Verdict.WAIT_A_SECOND:
                quota.pause(1.0, str(fault))
            case Verdict.PAUSE_APP:
                quota.minute_limit_hit(permit_at, str(fault))
            case Verdict.SLOW_APP:
                wait_s = fault.retry_after_s or self._retry.max_backoff_s / 2
                quota.pause(min(wait_s, NEXT_PAUSE_S), str(fault))
            case _:
                return False
        return True

    def _give_up(self, account: Account, verdict: Verdict, fault: Fault) -> None:
        """Raises when no repetition of this call can help."""
        match verdict:
            case Verdict.FAIL_SLICE | Verdict.SMALLER_PAGE | Verdict.LESS_DEEP:
                raise RefusedFault(str(fault))
            case Verdict.SKIP_ACCOUNT:
                raise AccountFault(str(fault))
            case Verdict.STOP_TOKEN | Verdict.RENEW_TOKEN | Verdict.REREAD_TOKEN:
                raise TokenFault(self._tokens.dead[account.token])
            case Verdict.END_APP_DAY:
                self._quotas[account.app].close(str(fault))
                raise QuotaSpent(f"app {account.app}: {fault}")
            case Verdict.RETRY | Verdict.RETRY_NOW | Verdict.FIX_CLOCK:
                return
            case Verdict.WAIT_A_SECOND | Verdict.PAUSE_APP | Verdict.SLOW_APP:
                return
            case _:
                assert_never(verdict)

    async def _back_off(self, who: str, attempt: int, verdict: Verdict, fault: Fault) -> None:
        if verdict is Verdict.FIX_CLOCK and fault.date is not None:
            self._skew_s = fault.date - self._around.wall()
            off = "behind" if self._skew_s > 0 else "ahead of"
            log.warning("this machine's clock is %.0f s %s the API's; corrected for this run", abs(self._skew_s), off)
            return
        if verdict is Verdict.RETRY_NOW:
            return
        wait_s = self._retry.backoff_s(attempt, self._around.chance())
        if fault.retry_after_s is not None:
            wait_s = max(wait_s, min(fault.retry_after_s, self._retry.max_backoff_s))
        level = logging.INFO if attempt >= _WORTH_TELLING else logging.DEBUG
        text = "%s: attempt %d of %d failed, again in %.1f s: %s"
        log.log(level, text, who, attempt, self._retry.attempts, wait_s, fault)
        await anyio.sleep(wait_s)


def _refusal(verdict: Verdict, fault: Fault, query: Query) -> Refusal | None:
    """Whether the API refuses this kind of page, rather than this call."""
    match verdict:
        case Verdict.SMALLER_PAGE:
            return Refusal.PAGE_SIZE
        case Verdict.LESS_DEEP:
            return Refusal.DEPTH
        case Verdict.FAIL_SLICE if query.exploratory and fault.code is not None:
            return Refusal.OTHER
        case _:
            return None

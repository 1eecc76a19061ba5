"""One logical call: permit → send → verdict → back off → again."""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from harvester.api.clock import TOLERATED_S, Clock
from harvester.api.codes import Fault, Verdict, judge
from harvester.api.protocol import read_figure, read_page, request_calls
from harvester.api.quota import Limit, Permit, Quota
from harvester.api.tokens import Tokens
from harvester.api.traffic.circuit import Failed
from harvester.api.transport import Transport
from harvester.errors import AccountFault, AttemptError, QuotaSpent, RefusedFault, SliceFault, TokenFault
from harvester.model import Account, AppName, Page, Query, Refusal

log = logging.getLogger(__name__)

_BASE_BACKOFF_S: Final = 1.0
_WORTH_TELLING: Final = 3
"""Attempts that failed before a person is told: the first few are daily bread."""
_MAX_WAITS: Final = 12
_MAX_WAITING_S: Final = 600.0
"""A call that its app's limits hold back so often, and for so long, fails its slice: it may be what they are about."""
_TOKEN_IS_DEAD: Final = frozenset({Verdict.STOP_TOKEN, Verdict.RENEW_TOKEN, Verdict.REREAD_TOKEN})
_LIMITS: Final = {
    Verdict.WAIT_A_SECOND: Limit.SECOND,
    Verdict.PAUSE_APP: Limit.MINUTE,
    Verdict.SLOW_APP: Limit.OTHER,
}
"""What the whole app waits for; its next permit sees to it."""


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


@dataclass(slots=True)
class _Effort:
    """What one logical call has taken so far, since Unix time `began`."""

    began: float
    attempt: int = 1
    waits: int = 0
    healed: frozenset[Verdict] = frozenset()


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
        self._clock = Clock()
        self.attempts_failed = 0

    def notes(self) -> list[str]:
        """What a person should know of afterwards."""
        skew_s = self._clock.skew_s
        if abs(skew_s) < TOLERATED_S:
            return []
        off = f"{abs(skew_s):,.0f} s {_side(skew_s)}"
        return [f"this machine's clock was {off} the API's, and said which days to read: mend it"]

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """The page, or that the API does not serve such a page.

        Raises:
            SliceFault: Nothing helped, or nothing can.
            AccountFault: The token may not or cannot read this account.
            TokenFault: The token is dead.
            QuotaSpent: The app's day or the run's budget is over, or the API is down for too long.

        Cancellation: at any await; a permit taken is used up, nothing else is.
        """
        effort = _Effort(self._around.wall())
        while True:
            answer = await self._attempt(account, query)
            if isinstance(answer, Page):
                return answer
            verdict = judge(answer)
            refusal = _refusal(verdict, answer, query)
            if refusal:
                return refusal
            self.attempts_failed += 1
            self._give_up(account, verdict, answer)
            await self._before_the_next(account, query, answer, effort)

    async def _attempt(self, account: Account, query: Query) -> Page | Fault:
        """One attempt with a permit, a nonce and a timestamp of its own."""
        quota = self._quotas[account.app]
        async with self._tokens.trial(account.token):
            self._tokens.access(account.token)  # a dead token does not wait for a permit
            async with quota.permit(ahead=query.page > 1 or query.after is not None) as permit:
                return await self._send(account, query, quota, permit)

    async def _send(self, account: Account, query: Query, quota: Quota, permit: Permit) -> Page | Fault:
        token = self._tokens.access(account.token)
        request = request_calls(
            query,
            access_token=token,
            nonce=self._around.nonce(),
            timestamp=self._clock.timestamp(self._around.wall()),
        )
        skew_s = self._clock.skew_s
        try:
            response = await self._transport.send(request)
        except AttemptError as error:
            fault = Fault(text=str(error), unreachable=error.unreachable)
            quota.failed(permit, _failed(account, permit, fault))
            return fault
        answer, figure = read_page(response), read_figure(response)
        if isinstance(answer, Page):
            quota.answered(permit, figure)
            return answer
        answer = answer.without(token)
        verdict = judge(answer)
        if verdict in _LIMITS:
            quota.refused(permit, _LIMITS[verdict], str(answer), answer.retry_after_s)
        elif verdict is Verdict.RETRY:
            quota.failed(permit, _failed(account, permit, answer))
        else:
            quota.answered(permit, figure)
        if verdict is Verdict.FIX_CLOCK:
            self._set_clock(answer.date, skew_s)
        if verdict in _TOKEN_IS_DEAD:
            self._tokens.kill(account.token, f"{answer}; put a working access_token into the config")
        return answer

    def _set_clock(self, date: float | None, sent_with_s: float) -> None:
        skew = self._clock.refused(date, self._around.wall(), sent_with_s)
        if skew is not None:
            text = "this machine's clock is %.0f s %s the API's; corrected for this run"
            log.warning(text, abs(skew), _side(skew))

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

    async def _before_the_next(self, account: Account, query: Query, fault: Fault, effort: _Effort) -> None:
        """What is done before a call is tried again: nothing where that is cured, or where its permit will wait.

        Raises:
            SliceFault: It was tried, or held back, often enough.
            QuotaSpent: The run's time would be over by then.
        """
        verdict, traffic = judge(fault), self._quotas[account.app].traffic
        if verdict in _LIMITS:
            effort.waits += 1
            if effort.waits >= _MAX_WAITS and self._around.wall() - effort.began >= _MAX_WAITING_S:
                raise SliceFault(f"held back {effort.waits} times: {fault}")
            return
        can_heal = verdict is Verdict.RETRY_NOW or (verdict is Verdict.FIX_CLOCK and fault.date is not None)
        if can_heal and verdict not in effort.healed:
            effort.healed |= {verdict}
            return
        if traffic.is_down:
            return  # the permit waits until it is up again, which is no fault of this call
        if effort.attempt >= self._retry.attempts:
            raise SliceFault(f"{effort.attempt} attempts failed, the last one: {fault}")
        wait_s = self._retry.backoff_s(effort.attempt, self._around.chance())
        if fault.retry_after_s is not None:
            wait_s = max(wait_s, min(fault.retry_after_s, self._retry.max_backoff_s))
        level = logging.INFO if effort.attempt >= _WORTH_TELLING else logging.DEBUG
        who, attempts = f"account {account.id} {query.window}", self._retry.attempts
        log.log(level, "%s: attempt %d of %d failed, again in %.1f s: %s", who, effort.attempt, attempts, wait_s, fault)
        await traffic.retry_turn(wait_s)
        effort.attempt += 1


def _side(skew_s: float) -> str:
    return "behind" if skew_s > 0 else "ahead of"


def _failed(account: Account, permit: Permit, fault: Fault) -> Failed:
    return Failed(account_id=account.id, permit_at=permit.at, unreachable=fault.unreachable, text=str(fault))


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

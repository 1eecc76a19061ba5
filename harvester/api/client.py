"""One logical call: permit → send → verdict → back off → again."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, assert_never

from harvester.api.ask import Answer, Ask
from harvester.api.clock import TOLERATED_S, Clock
from harvester.api.codes import Fault, Verdict, judge
from harvester.api.effort import Retry, Surroundings
from harvester.api.envelope import Passport
from harvester.api.protocol import read_figure, read_page, request_calls
from harvester.api.quota import Limit, Permit, Quota
from harvester.api.tokens import Tokens
from harvester.api.tokens.fleet import TOKEN_VERDICTS
from harvester.api.tokens.keeper import Lease
from harvester.api.traffic.circuit import Failed
from harvester.api.transport import Transport
from harvester.errors import AccountFault, AttemptError, QuotaSpent, RefusedFault, SliceFault
from harvester.model import Account, AccountId, AppName, Page, Query, Refusal

log = logging.getLogger(__name__)

_WORTH_TELLING: Final = 3
"""Attempts that failed before a person is told: the first few are daily bread."""
_MAX_WAITS: Final = 12
_MAX_WAITING_S: Final = 600.0
"""A call that its app's limits hold back so often, and for so long, fails its slice: it may be what they are about."""
_GOOD_FOR_THE_TOKEN: Final = frozenset({Verdict.SKIP_ACCOUNT, Verdict.SMALLER_PAGE, Verdict.LESS_DEEP})
"""What the API says only when it has looked at the token and found it good."""
_LIMITS: Final = {
    Verdict.WAIT_A_SECOND: Limit.SECOND,
    Verdict.PAUSE_APP: Limit.MINUTE,
    Verdict.SLOW_APP: Limit.OTHER,
}
"""What the whole app waits for; its next permit sees to it."""


@dataclass(slots=True)
class _Effort:
    """What one logical call has taken so far, since Unix time `began`; `attempts` is the most that it may."""

    began: float
    attempts: int
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
        self.tried: Callable[[str, str | None], None] | None = None
        """Is told of every attempt: what was asked for, and why it failed."""

    def notes(self) -> list[str]:
        """What a person should know of afterwards."""
        skew_s = self._clock.skew_s
        if abs(skew_s) < TOLERATED_S:
            return []
        off = f"{abs(skew_s):,.0f} s {_side(skew_s)}"
        return [f"this machine's clock was {off} the API's, and said which days to read: mend it"]

    def has_spare(self, app: AppName) -> bool:
        """Whether a request of the app could be sent right now, and none is waiting."""
        return self._quotas[app].has_spare

    def when_idle(self, tell: Callable[[AppName], None]) -> None:
        """Tells of each app that gives a permit while nobody waits for the next one."""
        for app, quota in self._quotas.items():
            quota.nobody_waits = partial(tell, app)

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """The page, or that the API does not serve such a page.

        Raises:
            SliceFault: Nothing helped, or nothing can, and fewer calls to a page may not either.
            AccountFault: The token may not or cannot read this account.
            TokenFault: The token is dead.
            QuotaSpent: The app's day or the run's budget is over, or the API is down for too long.
            StorageError: A renewed token cannot be stored.

        Cancellation: at any await; a permit taken is used up, nothing else is.
        """
        ask = Ask(
            what=f"account {account.id} {query.window}",
            app=account.app,
            token=account.token,
            account_id=account.id,
            request=partial(request_calls, query),
            read=read_page,
            ahead=query.left or (query.page > 1 or query.after is not None),
            attempts=query.attempts,
            patient=not query.fewer_may_do,
        )
        try:
            return await self._until_answered(ask, lambda verdict, fault: _refusal(verdict, fault, query))
        except SliceFault as fault:
            if not query.fewer_may_do:
                raise
            log.info("%s: no page of %d calls, fewer are asked for: %s", ask.what, query.page_size, fault)
            return Refusal.FAILED

    async def ask(self, ask: Ask[Answer]) -> Answer:
        """The answer of any endpoint. Raises and is cancelled as `fetch`."""
        answer = await self._until_answered(ask, _no_refusal)
        if isinstance(answer, Refusal):
            raise RuntimeError("nothing but a page is refused")  # noqa: TRY004 - a bug, not an argument
        return answer

    async def _until_answered(
        self, ask: Ask[Answer], refusal_of: Callable[[Verdict, Fault], Refusal | None]
    ) -> Answer | Refusal:
        attempts = self._retry.attempts
        effort = _Effort(self._around.wall(), min(ask.attempts or attempts, attempts))
        while True:
            answer = await self._attempt(ask)
            if answer is None:
                continue  # something happened to the token meanwhile: it is waited for
            if not isinstance(answer, Fault):
                return answer
            verdict = judge(answer)
            refusal = refusal_of(verdict, answer)
            if refusal:
                return refusal
            self.attempts_failed += 1
            self._give_up(ask, verdict, answer)
            await self._before_the_next(ask, answer, effort)

    async def _attempt(self, ask: Ask[Answer]) -> Answer | Fault | None:
        """One attempt with a permit, a nonce and a timestamp of its own; `None` when nothing could be sent."""
        quota = self._quotas[ask.app]
        async with self._tokens.turn(ask.token) as turn:
            if quota.traffic.is_down and not ask.patient:
                raise SliceFault("the API is down")
            async with quota.permit(ahead=ask.ahead) as permit:
                permit.account_id = ask.account_id
                lease = self._tokens.lease(turn)
                if lease is None:
                    return None
                with lease:
                    answer = await self._send(ask, quota, permit, lease)
                    if self.tried:
                        self.tried(ask.what, str(answer) if isinstance(answer, Fault) else None)
                    return answer

    async def _send(self, ask: Ask[Answer], quota: Quota, permit: Permit, lease: Lease) -> Answer | Fault:
        timestamp = self._clock.timestamp(self._around.wall())
        passport = Passport(access=lease.pair.access, nonce=self._around.nonce(), timestamp=timestamp)
        skew_s = self._clock.skew_s
        try:
            response = await self._transport.send(ask.request(passport))
        except AttemptError as error:
            fault = Fault(text=str(error), unreachable=error.unreachable)
            quota.failed(permit, _failed(ask, permit, fault))
            return fault
        answer, figure = ask.read(response), read_figure(response)
        if not isinstance(answer, Fault):
            quota.answered(permit, figure)
            self._tokens.worked(lease)
            return answer
        answer = answer.without(lease.pair.access.reveal())
        verdict = judge(answer)
        if verdict in _LIMITS:
            quota.refused(permit, _LIMITS[verdict], str(answer), answer.retry_after_s)
        elif verdict is Verdict.RETRY:
            quota.failed(permit, _failed(ask, permit, answer))
        else:
            quota.answered(permit, figure)
        if verdict is Verdict.FIX_CLOCK:
            self._set_clock(answer.date, skew_s)
        if verdict in TOKEN_VERDICTS:
            self._tokens.refused(lease, verdict, answer)
        elif verdict in _GOOD_FOR_THE_TOKEN:
            self._tokens.worked(lease)
        return answer

    def _set_clock(self, date: float | None, sent_with_s: float) -> None:
        skew = self._clock.refused(date, self._around.wall(), sent_with_s)
        if skew is not None:
            text = "this machine's clock is %.0f s %s the API's; corrected for this run"
            log.warning(text, abs(skew), _side(skew))

    def _give_up(self, ask: Ask[Answer], verdict: Verdict, fault: Fault) -> None:
        """Raises when no repetition of this call can help; whether a token can go on is seen at its next turn."""
        match verdict:
            case Verdict.FAIL_SLICE | Verdict.SMALLER_PAGE | Verdict.LESS_DEEP:
                raise RefusedFault(str(fault), fault.complaint)
            case Verdict.SKIP_ACCOUNT:
                raise AccountFault(str(fault), fault.complaint)
            case Verdict.END_APP_DAY:
                self._quotas[ask.app].close(str(fault))
                raise QuotaSpent(f"app {ask.app}: {fault}", fault.complaint)
            case Verdict.STOP_TOKEN | Verdict.RENEW_TOKEN | Verdict.REREAD_TOKEN:
                return
            case Verdict.RETRY | Verdict.RETRY_NOW | Verdict.FIX_CLOCK:
                return
            case Verdict.WAIT_A_SECOND | Verdict.PAUSE_APP | Verdict.SLOW_APP:
                return
            case _:
                assert_never(verdict)

    async def _before_the_next(self, ask: Ask[Answer], fault: Fault, effort: _Effort) -> None:
        """What is done before a call is tried again: nothing where that is cured, or where its permit will wait.

        Raises:
            SliceFault: It was tried, or held back, often enough.
            QuotaSpent: The run's time would be over by then.
        """
        verdict, traffic = judge(fault), self._quotas[ask.app].traffic
        if verdict in TOKEN_VERDICTS:
            return  # its next turn comes when there is a token that may work
        if verdict in _LIMITS:
            effort.waits += 1
            if effort.waits >= _MAX_WAITS and self._around.wall() - effort.began >= _MAX_WAITING_S:
                raise SliceFault(f"held back {effort.waits} times: {fault}")
            return
        can_heal = verdict is Verdict.RETRY_NOW or (verdict is Verdict.FIX_CLOCK and fault.date is not None)
        if can_heal and verdict not in effort.healed:
            effort.healed |= {verdict}
            return
        if traffic.is_down and ask.patient:
            return  # the permit waits until it is up again, which is no fault of this call
        if effort.attempt >= effort.attempts or traffic.is_down:
            many = "the only attempt" if effort.attempt == 1 else f"{effort.attempt} attempts"
            last = "" if effort.attempt == 1 else ", the last one"
            raise SliceFault(f"{many} failed{last}: {fault}", fault.complaint)
        wait_s = self._retry.backoff_s(effort.attempt, self._around.chance())
        if fault.retry_after_s is not None:
            wait_s = max(wait_s, min(fault.retry_after_s, self._retry.max_backoff_s))
        level = logging.INFO if effort.attempt >= _WORTH_TELLING else logging.DEBUG
        text = "%s: attempt %d of %d failed, again in %.1f s: %s"
        log.log(level, text, ask.what, effort.attempt, effort.attempts, wait_s, fault)
        await traffic.retry_turn(wait_s)
        effort.attempt += 1


def _side(skew_s: float) -> str:
    return "behind" if skew_s > 0 else "ahead of"


def _failed(ask: Ask[Answer], permit: Permit, fault: Fault) -> Failed:
    whose = ask.account_id or AccountId(0)
    return Failed(account_id=whose, permit_at=permit.at, unreachable=fault.unreachable, text=str(fault))


def _no_refusal(_verdict: Verdict, _fault: Fault) -> None:
    """Where nothing but an answer is an answer."""


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

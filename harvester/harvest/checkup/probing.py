"""The requests of `harvester doctor`: one under each token, and a handful that ask what no document says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import anyio

from harvester.api.accounts import ask_for_page
from harvester.api.client import Client
from harvester.api.quota.figures import Figure
from harvester.api.tokens import Tokens
from harvester.api.tokens.life import Life
from harvester.errors import AccountFault, CallError, QuotaSpent, RefusedFault, TokenFault
from harvester.harvest.checkup.ear import Ear
from harvester.harvest.checkup.unknowns import Unknowns
from harvester.health import Hint
from harvester.health.tokens import Came, Probe
from harvester.model import ONE_DAY, Account, AppName, Page, Query, TokenName, Window
from harvester.roll import Table
from harvester.triage import in_words_of

TOKEN_S: Final = 90.0
"""So long a token is waited for: longer than a minute's quota, or than a renewal that is tried again."""
UNKNOWNS_S: Final = 180.0
_ATTEMPTS: Final = 2
_ACCOUNTS: Final = 3
"""Accounts that are asked for under a token before it is believed that it reads none of them."""


class Prober:
    """Asks the API, a request at a time.

    Args:
        client: Asks.
        tokens: Under which.
        ear: Heard what was answered.
        waiting: What is being waited for, for a person.
        today: The Beijing day.

    Attributes:
        probes: What came of each token.
        figures: What the API said of each app's quota.
    """

    def __init__(
        self, client: Client, tokens: Tokens, ear: Ear, waiting: Callable[[], Sequence[str]], today: date
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._ear = ear
        self._waiting = waiting
        self._today = today
        self._waited: str | None = None
        self.probes: list[Probe] = []
        self.figures: dict[AppName, Figure] = {}

    @property
    def _is_silent(self) -> bool:
        """Whether more requests would most likely be in vain."""
        silent = [probe for probe in self.probes if probe.came is Came.NOTHING]
        unreachable = self._ear.last is not None and self._ear.last.unreachable
        return len(silent) > 1 or (bool(silent) and unreachable)

    async def try_token(self, name: TokenName, accounts: Sequence[Account], table: Table | None) -> Probe:
        """One request under a token; more only where the API refuses the account.

        Args:
            name: The token's.
            accounts: That it reads, in the order in which they are tried.
            table: Which lists its accounts, where none is known.

        Raises:
            StorageError: A renewed token cannot be stored.
        """
        probe = Probe(token=name, came=Came.NOT_ASKED)
        if not self._is_silent:
            self._ear.forget()
            async with anyio.create_task_group() as trial:
                trial.start_soon(self._give_up, trial.cancel_scope)
                self._waited = None
                probe = await self._try_token(name, accounts, table)
                trial.cancel_scope.cancel()
            if self._waited and _may_pass(self._tokens.states()[name]):
                probe = self._useless(probe, self._waited)
            elif self._waited:
                probe = replace(
                    probe, came=Came.WAITS, said=f"after {TOKEN_S:.0f} s it still waited for {self._waited}"
                )
        probe = replace(probe, renewed=name in self._tokens.renewed)
        self.probes.append(probe)
        return probe

    async def _try_token(self, name: TokenName, accounts: Sequence[Account], table: Table | None) -> Probe:
        probe = Probe(token=name, came=Came.NOT_ASKED)
        if table and not accounts:
            try:
                listed = await self._client.ask(replace(ask_for_page(table, None), attempts=_ATTEMPTS))
            except CallError as fault:
                return self._failed(replace(probe, table=str(table)), fault)
            accounts = [Account(id=one.id, token=name, app=table.app) for one in listed.accounts]
        for account in accounts[:_ACCOUNTS]:
            probe = await self._try_account(account)
            if probe.came is not Came.REFUSED:
                break
        return probe

    async def _try_account(self, account: Account) -> Probe:
        yesterday = self._today - ONE_DAY
        query = Query(account_id=account.id, window=Window(yesterday, yesterday), page=1, page_size=1, exploratory=True)
        try:
            answer = await self._client.fetch(account, replace(query, attempts=_ATTEMPTS))
        except CallError as fault:
            return self._failed(Probe(token=account.token, came=Came.NOTHING, account=account.id), fault)
        finally:
            if self._ear.figure:
                self.figures[account.app] = self._ear.figure
        calls = answer.total if isinstance(answer, Page) else None
        return Probe(token=account.token, came=Came.CALLS, account=account.id, calls=calls)

    def _failed(self, probe: Probe, fault: CallError) -> Probe:
        heard = self._ear.last
        complaint = heard.complaint if heard else None
        said = str(fault)
        match fault:
            case AccountFault():
                came = Came.REFUSED
            case TokenFault():
                return self._useless(probe, said)
            case RefusedFault():
                came = Came.ODD
            case QuotaSpent() if heard is None or heard.status == 200:
                came = Came.SPENT
            case _:
                came = Came.NOTHING
        if complaint and complaint.code is not None and came is Came.REFUSED:
            said = in_words_of(complaint)
        code, status = complaint.code if complaint else None, heard.status if heard else None
        return replace(probe, came=came, said=said, code=code, status=status)

    def _useless(self, probe: Probe, said: str) -> Probe:
        """A token that is dead to this process: by what the API said of it and of its renewal, and whether it said."""
        life, heard = self._tokens.states()[TokenName(probe.token)], self._ear.last
        asked, renewal = self._ear.calls, self._ear.renewal
        words = [in_words_of(asked)] if asked and asked.code is not None else []
        code = asked.code if asked else None
        if life.failure:
            refusal = renewal if renewal and renewal.code is not None else None
            words.append(f"renewing it: {in_words_of(refusal) if refusal else life.failure}")
            code = refusal.code if refusal else life.failure_code
        return replace(
            probe,
            came=Came.BUSY if _may_pass(life) else Came.DEAD,
            said="; ".join(words) or said,
            code=code,
            status=heard.status if heard else None,
            lacks_secret=not life.equipped and life.pair.refresh is not None,
        )

    async def _give_up(self, trial: anyio.CancelScope) -> None:
        """Ends a trial that takes too long; what was waited for is known as long as it is."""
        await anyio.sleep(TOKEN_S)
        self._waited = "; ".join([*self._waiting(), *self._tokens.waiting]) or "an answer"
        trial.cancel()

    async def find_out(self, account: Account, now: Callable[[], float]) -> tuple[list[Hint], str | None]:
        """What an account's calls show of the API's open questions.

        Returns:
            That, and why it was ended before its time; `None` if it was not.

        Raises:
            StorageError: A renewed token cannot be stored.
        """
        unknowns, ended = Unknowns(account.id, self._today), None
        query = unknowns.begin()
        with anyio.move_on_after(UNKNOWNS_S) as time:
            while query is not None:
                try:
                    answer = await self._client.fetch(account, replace(query, attempts=_ATTEMPTS))
                except CallError as fault:
                    ended = str(fault)
                    break
                query = unknowns.take(answer)
        if time.cancelled_caught:
            ended = f"it took longer than {UNKNOWNS_S:.0f} s"
        return unknowns.hints(now()), ended


def _may_pass(life: Life) -> bool:
    """Whether a renewal failed, and was not refused for good."""
    return bool(life.failure) and life.renewable

"""The stand-in API without a network: parameters in, the body of an answer out; it counts, and it remembers."""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from harvester.model import AccountId
from harvester.sandbox.authority import Authority
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.envelope import answer, refusal
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.gate import Gate
from harvester.sandbox.listing import entitled, listed, wish
from harvester.sandbox.mishaps import Mishaps
from harvester.sandbox.oauth import Oauth
from harvester.sandbox.pages import leaf, shelf
from harvester.sandbox.roll import Roll
from harvester.sandbox.sickness import Sickness
from harvester.sandbox.stats import Stats
from harvester.sandbox.switches import Switches
from harvester.sandbox.weather import Weather
from harvester.sandbox.wire import Rejected, ask, credentials
from harvester.sandbox.world import World


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a request was judged, before anything happens to its answer.

    Attributes:
        body: The answer's.
        renewed: The grant that has new tokens now; empty: none.
    """

    body: bytes
    renewed: str = ""


class Bureau:
    """What is answered, and what tests and people can change about it while it is.

    Attributes:
        world: What it holds.
        switches: How it behaves.
        stats: What it saw.
        authority: Which tokens are alive.
        sickness: What ails accounts.
    """

    def __init__(self, world: World, switches: Switches, clock: Callable[[], float]) -> None:
        self.world = world
        self.switches = switches
        self.stats = Stats()
        self._weather = Weather(switches, clock)
        self.authority = Authority(switches, self._weather.began_s)
        self.sickness = Sickness(switches)
        self._gate = Gate(switches, self._weather.began_s, self.authority)
        self._oauth = Oauth(self.authority, switches, self.stats)
        self._roll = Roll(world, switches.seed)
        self._served: Counter[AccountId] = Counter()
        self._calls = Mishaps(switches.faults, self.stats.faults)
        self._lists = Mishaps(switches.listing_faults, self.stats.faults, "list ")
        self._tokens = Mishaps(switches.oauth_faults, self.stats.faults, "token ")

    def script(self, *faults: Fault | str | None) -> None:
        """The next requests for calls meet these, one each, in this order, instead of chance; `None`: all is well.

        Raises:
            ValueError: There is no such fault.
        """
        self._calls.script(*faults)

    def script_oauth(self, *faults: Fault | str | None) -> None:
        """The same for requests for tokens; which of them come before anything is renewed: see `Oauth.renew`."""
        self._tokens.script(*faults)

    def script_lists(self, *faults: Fault | str | None) -> None:
        """The same for requests for lists of accounts."""
        self._lists.script(*faults)

    def outage(self, kind: Fault | str | None) -> None:
        """From now on every request for calls meets this fault, whatever was scripted; `None`: no longer.

        Raises:
            ValueError: There is no such fault.
        """
        self._weather.storm = Fault.parse(kind) if isinstance(kind, str) else kind

    def revoke(self, token: str) -> None:
        """This access or refresh token is dead from now on."""
        self.authority.revoke(token)

    def vanish(self, account_id: AccountId) -> None:
        """No list has this account any more; its calls can still be read, unless it is made sick with 12201."""
        self._roll.vanish(account_id)

    def appear(self, account_id: AccountId) -> None:
        """Lists have it again."""
        self._roll.appear(account_id)

    def sicken(self, account_id: AccountId, what: int | str, day: dt.date | None = None) -> None:
        """Requests about this account answer a code; given a day, only windows with it do, and any fault may be named.

        Raises:
            ValueError: There is no such fault, or it needs a day.
        """
        self.sickness.sicken(account_id, what, day)

    def cure(self, account_id: AccountId) -> None:
        """The account is well from now on."""
        self.sickness.cure(account_id)

    def meet(self, endpoint: Endpoint, given: dict[str, str], luck: int, *, looped: bool = False) -> Fault | None:
        """What happens to the answer of this request; `None`: nothing.

        Args:
            endpoint: Which is asked.
            given: The parameters.
            luck: 64 uniform bits.
            looped: Whether it follows a redirect to itself.
        """
        certain = Fault(FaultKind.LOOP) if looped else None
        if endpoint is Endpoint.CALLS:
            return self._calls.next(luck, certain or self._weather.outage() or self.sickness.strikes(given))
        return (self._tokens if endpoint.renews else self._lists).next(luck, certain)

    def judge(self, endpoint: Endpoint, given: dict[str, str], luck: int, fault: Fault | None = None) -> Verdict:
        """The answer as it would be if nothing went wrong on its way; the request is counted and takes its effect.

        Args:
            endpoint: Which is asked.
            given: The parameters.
            luck: 64 uniform bits.
            fault: What will happen to the answer.
        """
        code, now_s = 0, self._weather.now_s()
        try:
            if endpoint is Endpoint.CALLS:
                verdict = Verdict(self._page(given, now_s, luck, fault))
            elif endpoint.renews:
                verdict = Verdict(*self._oauth.renew(endpoint, given, now_s, fault))
            else:
                verdict = Verdict(self._list(endpoint, given, now_s, fault))
        except Rejected as rejected:
            code, verdict = rejected.code, Verdict(refusal(rejected, self.trace_id(luck)))
        self.stats.judged(endpoint, code)
        return verdict

    def trace_id(self, luck: int) -> str:
        """Of the request that came last."""
        return f"{luck:016x}{self.stats.requests:016x}"

    def remaining(self, endpoint: Endpoint, given: dict[str, str]) -> str | None:
        """What `X-RateLimit-Remaining` says; `None`: there is no such header."""
        if not self.switches.quota_header or (endpoint is not Endpoint.CALLS and endpoint.renews):
            return None
        return self._gate.remaining(given.get("access_token", ""), self._weather.now_s(), endpoint)

    def _page(self, given: dict[str, str], now_s: float, luck: int, fault: Fault | None) -> bytes:
        """A page of calls.

        Raises:
            Rejected: There is none.
        """
        self.stats.about(given.get("account_id", ""))
        grant = self._gate.admit(credentials(given), now_s, self.stats)
        wanted = ask(given, self.switches)
        account_id = wanted.account_id
        if account_id not in self.world.sizes or (grant.accounts is not None and account_id not in grant.accounts):
            raise Rejected(12201)
        if code := self.sickness.code(account_id):
            raise Rejected(code)
        if fault is not None and fault.kind is FaultKind.CODE:
            raise Rejected(fault.code)
        calls = shelf(self.world, self.switches, wanted, (self._served[account_id], luck))
        page = leaf(calls, self.switches, wanted)
        self._served[account_id] += 1
        self.stats.calls += len(page.entities)
        return answer(page, self.switches, str(UUID(int=luck << 64 | luck, version=4)), wanted.fields)

    def _list(self, endpoint: Endpoint, given: dict[str, str], now_s: float, fault: Fault | None) -> bytes:
        """A list of accounts.

        Raises:
            Rejected: There is none.
        """
        grant = self._gate.admit(credentials(given), now_s, self.stats, endpoint)
        entitled(endpoint, given, grant)
        wanted = wish(endpoint, given)
        accounts = self._roll.accounts(grant)
        if wanted.account_id is not None:
            if wanted.account_id not in accounts:
                raise Rejected(12201)
            accounts = [wanted.account_id]
        if fault is not None and fault.kind is FaultKind.CODE:
            raise Rejected(fault.code)
        return listed(wanted, accounts, self._roll, self.switches)

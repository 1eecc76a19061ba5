"""What a run is asked to do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from harvester.api.effort import Retry
from harvester.api.quota import Limits
from harvester.api.tokens import Credentials
from harvester.enrolment import Discovery
from harvester.harvest.pace import Pace
from harvester.model import Account, AccountId, AppName, PageSize, TokenName
from harvester.plan import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The config's values and the command line's, as the inner rooms want them.

    Attributes:
        base_url: Scheme, host and port of the API.
        timeout_s: For one attempt.
        page_size: Calls asked for at a time; `"largest"`: as many as the API turns out to serve.
        accounts: Whose calls.
        scope: Which days.
        in_flight: Requests awaiting an answer, all apps together.
        limits: Each app's quota.
        tokens: What the config gives to each token, never shown.
        discovery: Which accounts find themselves; `accounts` and `fleet` are without them until they are enrolled.
        tokens_dir: Where renewed tokens are kept; `None`: `tokens` in the state directory.
        retry: How often, how long.
        output_dir: The landing zone.
        state_dir: The ledger and its lock.
        compression: Of new files.
        fleet: Every enabled account, read tonight or not: who has to be complete before a day is marked so.
        named: Accounts that a person named: they are asked, whatever they answered today before.
        keep_missing: Whether calls stay that landed once and are not returned any more.
        pace: How often open slices are saved.
        resume_within: How long ago a slice may have been begun to go on with it; `None` for any time.
        give_up_after_s: How long the API may give no answer at all before the run ends, resumable; `None` for ever.
        max_requests: The run's budget; `None` for any number.
        max_duration_s: The run's time; `None` for any.
    """

    base_url: str
    timeout_s: float
    page_size: PageSize
    accounts: Sequence[Account]
    scope: Scope
    in_flight: int
    limits: Mapping[AppName, Limits]
    tokens: Mapping[TokenName, Credentials] = field(repr=False)
    retry: Retry
    output_dir: Path
    state_dir: Path
    compression: str
    fleet: Collection[AccountId]
    named: Collection[AccountId] = ()
    keep_missing: bool = True
    pace: Pace = field(default_factory=Pace)
    resume_within: timedelta | None = None
    tokens_dir: Path | None = None
    discovery: Discovery | None = None
    give_up_after_s: float | None = 1800.0
    max_requests: int | None = None
    max_duration_s: float | None = None

    @property
    def needed(self) -> set[TokenName]:
        """The tokens that accounts are read with, or listed with."""
        tables = self.discovery.tables if self.discovery else ()
        return {one.token for one in self.accounts} | {one.token for one in tables}

    @property
    def night(self) -> str:
        """What tells runs of one kind from others: an interrupted one is gone on with by the next of the same kind."""
        ids = sorted(account.id for account in self.accounts)
        whose = "all" if ids == sorted(self.fleet) else ",".join(map(str, ids))
        return f"{self.scope.window} {'again ' if self.scope.again else ''}{whose}"

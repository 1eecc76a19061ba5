"""Settings and command-line options → the assignment that a run does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import SecretStr

from harvester.api.effort import Retry
from harvester.api.quota import Limits
from harvester.api.tokens import Credentials, Renewal
from harvester.config import DayExpr, DiscoverSection, Settings, TokenSection
from harvester.enrolment import Discovery
from harvester.errors import ConfigError, Problem
from harvester.harvest.assignment import Assignment
from harvester.harvest.pace import Pace
from harvester.model import Account, AccountId, AppName, TokenName
from harvester.plan import Scope
from harvester.roll import Selection, Table, Via
from harvester.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line adds to the config; `None` leaves the config's value.

    Attributes:
        start: First day.
        end: Last day.
        accounts: Only these; empty for all.
        again: Read complete days too.
        max_requests: The run's budget.
        max_duration_s: The run's time.
    """

    start: DayExpr | None = None
    end: DayExpr | None = None
    accounts: Sequence[int] = ()
    again: bool = False
    max_requests: int | None = None
    max_duration_s: float | None = None


def assignment_of(settings: Settings, options: Options, today: date) -> Assignment:
    """The assignment.

    Args:
        settings: The config.
        options: What overrides it.
        today: The Beijing day.

    Raises:
        ConfigError: An account that the config does not know, or an impossible window.
    """
    window = settings.window.between(options.start, options.end).on(today)
    return Assignment(
        base_url=settings.api.base_url,
        timeout_s=settings.api.timeout_s,
        page_size=settings.api.page_size,
        accounts=_chosen(settings, options.accounts),
        scope=Scope(window=window, today=today, reread_days=settings.window.reread_days, again=options.again),
        in_flight=settings.limits.in_flight,
        limits={
            AppName(name): Limits(
                per_second=app.requests_per_second, per_minute=app.requests_per_minute, per_day=app.requests_per_day
            )
            for name, app in settings.apps.items()
        },
        tokens={TokenName(name): _credentials(settings, token) for name, token in settings.tokens.items()},
        tokens_dir=settings.state.tokens_dir,
        retry=Retry(attempts=settings.retry.attempts, max_backoff_s=settings.retry.max_backoff_s),
        output_dir=settings.output.dir,
        state_dir=settings.state.dir,
        compression=settings.output.compression,
        fleet=[account.id for account in settings.accounts],
        discovery=_discovery(settings, options.accounts),
        named=frozenset(map(AccountId, options.accounts)),
        keep_missing=settings.output.on_missing == "keep",
        pace=Pace(every_s=settings.state.checkpoint_every_s, every_bytes=settings.state.checkpoint_size_bytes),
        resume_within=_timedelta(settings.state.resume_within_s),
        give_up_after_s=settings.retry.give_up_after_s,
        max_requests=options.max_requests,
        max_duration_s=options.max_duration_s,
    )


def _credentials(settings: Settings, token: TokenSection) -> Credentials:
    app = settings.apps[token.app]
    return Credentials(
        app=AppName(token.app),
        access=Secret(token.access_token.get_secret_value()),
        refresh=_secret(token.refresh_token),
        client_id=app.client_id,
        client_secret=_secret(app.client_secret),
        renewal=Renewal(token.renewal),
    )


def _secret(value: SecretStr | None) -> Secret | None:
    return None if value is None else Secret(value.get_secret_value())


def _discovery(settings: Settings, only: Sequence[int]) -> Discovery | None:
    if not settings.discover:
        return None
    return Discovery(
        tables=tuple(_discover_table(settings, name, table) for name, table in settings.discover.items()),
        disabled=tuple(settings.disabled),
        only=tuple(map(AccountId, dict.fromkeys(only))),
    )


def _discover_table(settings: Settings, name: str, table: DiscoverSection) -> Table:
    return Table(
        name=name,
        token=table.token,
        app=AppName(settings.tokens[table.token].app),
        via=Via(table.via),
        agency_id=None if table.agency_id is None else AccountId(table.agency_id),
        every_s=table.every_s,
        selection=Selection(include=table.include, exclude=table.exclude),
    )


def _timedelta(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _chosen(settings: Settings, ids: Sequence[int]) -> list[Account]:
    if not ids or settings.discover:  # who is chosen of those that find themselves is known when they are
        return list(settings.accounts)
    by_id = {int(account.id): account for account in settings.accounts}
    unknown = [one for one in ids if one not in by_id]
    if unknown:
        message = "no enabled account of this id in the config"
        raise ConfigError([Problem(where=f"--account {one}", message=message) for one in unknown])
    return [by_id[one] for one in dict.fromkeys(ids)]

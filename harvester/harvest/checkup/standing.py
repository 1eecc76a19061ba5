"""What is known without asking: how long tokens live, what apps may send, which accounts cannot be read."""

from collections.abc import Container, Iterator, Mapping

from harvester.api.quota.figures import Figure
from harvester.api.tokens import Credentials
from harvester.api.tokens.life import Life
from harvester.harvest.assignment import Assignment
from harvester.harvest.enrolment import Roster
from harvester.health import Area, Check, failure, note, ok, warning
from harvester.health.accounts import Sickness, sick
from harvester.health.quota import QuotaFacts, quota
from harvester.health.tokens import TokenFacts, life
from harvester.landing.ledger import Ledger
from harvester.model import AppName, TokenName
from harvester.triage import ADVICE, State, in_words_of


def lives_of(
    tokens: Mapping[TokenName, Credentials], lives: Mapping[TokenName, Life], now: float, tried: Container[str]
) -> Iterator[Check]:
    """How long each token lives.

    Args:
        tokens: What the config gives.
        lives: What is known of them.
        now: Unix time.
        tried: The names of those that a request was sent under just now.
    """
    for name, one in lives.items():
        yield from life(_facts(name, tokens[name], one, tried=name in tried), now)


def _facts(name: TokenName, credentials: Credentials, one: Life, *, tried: bool) -> TokenFacts:
    pair = one.pair
    return TokenFacts(
        name=name,
        app=credentials.app,
        stored=pair.since is not None,
        access_until=pair.access_until,
        refresh_until=pair.refresh_until,
        has_refresh=pair.refresh is not None,
        has_secret=credentials.client_secret is not None,
        scopes=pair.scopes,
        failure=one.failure,
        failure_code=one.failure_code,
        refused=bool(one.failure) and not one.renewable,
        tried=tried,
        dead=one.dead,
    )


def quotas_of(
    assignment: Assignment, ledger: Ledger | None, figures: Mapping[AppName, Figure], now: float
) -> Iterator[Check]:
    """What each app may send, and what it has sent. Raises `StorageError`."""
    for app, limits in assignment.limits.items():
        sending, figure = ledger.sending(app, now) if ledger else None, figures.get(app)
        yield from quota(
            QuotaFacts(
                app=app,
                per_second=limits.per_second,
                per_minute=limits.per_minute,
                per_day=limits.per_day,
                learned=sending.learned_per_minute if sending else None,
                used=sum(sending.by_minute.values()) if sending else 0,
                day_left=figure.day if figure else None,
                minute_left=figure.minute if figure else None,
            )
        )


def accounts_of(roster: Roster, ledger: Ledger | None) -> Iterator[Check]:
    """Who is read under which token, and who cannot be read. Raises `StorageError`."""
    accounts = {account.id for account in roster.assignment.accounts}
    if accounts:
        yield ok(Area.ACCOUNTS, f"{len(accounts):,} enabled")
    for name in roster.assignment.tokens:
        if name not in roster.assignment.needed:
            advice = f"give it accounts in the accounts file, or take [tokens.{name}] out"
            yield warning(Area.ACCOUNTS, f"token {name} has no account", advice)
    for table in roster.enrolment.unknown:
        advice = "`harvester accounts refresh CONFIG` lists them now; the next run does, too"
        yield note(Area.ACCOUNTS, f"the accounts of {table} were never listed", advice)
    for problem in roster.mistakes:
        yield failure(Area.ACCOUNTS, str(problem), "mend the config, then `harvester accounts list CONFIG`")
    by_state: dict[State, list[tuple[int, str]]] = {}
    for account, one in sorted(ledger.conditions().items()) if ledger else ():
        if account in accounts and not one.well:
            by_state.setdefault(one.state, []).append((account, f"{in_words_of(one.complaint)}, since {one.since}"))
    for state, who in by_state.items():
        yield sick(Sickness(state=state, advice=ADVICE[state], accounts=who))

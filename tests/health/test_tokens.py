from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import ExitCode
from harvester.health import Area, Grade
from harvester.health.tokens import DAY_S, Came, Probe, TokenFacts, life, none_works, probed, silent
from harvester.model import AccountId

NOW = 1_790_000_000.0
RENEWED = TokenFacts(
    name="a", app="main", stored=True, access_until=NOW + 80_000, has_refresh=True, has_secret=True, scopes=("reports",)
)
BARE = TokenFacts(name="a", app="main")
PROBE = Probe(token="a", came=Came.CALLS, account=AccountId(5), calls=12)  # noqa: S106 - a name


@pytest.mark.parametrize(
    ("facts", "grade", "says", "advises"),
    [
        (RENEWED, Grade.OK, "how long its refresh token lives", ""),
        (replace(RENEWED, refresh_until=NOW + 30 * DAY_S), Grade.OK, "(30 days)", ""),
        (replace(RENEWED, refresh_until=NOW + 7 * DAY_S - 1), Grade.WARNING, "(7 days)", "authorise the app again"),
        (replace(RENEWED, refresh_until=NOW), Grade.FAILURE, "refresh token expired", "authorise the app again"),
        (replace(RENEWED, failure="HTTP 500"), Grade.WARNING, "its renewal failed: HTTP 500", "tries again"),
        (
            replace(RENEWED, failure="code 11007", failure_code=11007, refused=True),
            Grade.WARNING, "its renewal failed", "client_id and client_secret",
        ),
        (replace(RENEWED, failure="code 11012", refused=True), Grade.WARNING, "its renewal failed", "authorise"),
        (replace(RENEWED, access_until=None, tried=False), Grade.NOTE, "not tried", "run doctor"),
        (replace(RENEWED, access_until=None), Grade.OK, "nobody knows when, then renewed", ""),
        (replace(RENEWED, tried=False), Grade.OK, "then renewed by itself", ""),
        (BARE, Grade.NOTE, "nobody knows when, and nothing renews it", "refresh_token into [tokens.a]"),
        (replace(BARE, has_refresh=True), Grade.NOTE, "nothing renews it", "[apps.main] has no client_secret"),
        (replace(BARE, has_secret=True), Grade.NOTE, "nothing renews it", "put its refresh_token into [tokens.a]"),
        (replace(BARE, access_until=NOW + 3600), Grade.WARNING, "(60 min)", "fresh access_token"),
        (replace(BARE, access_until=NOW + 12 * 3600), Grade.NOTE, "(12 h)", "renewed by itself"),
        (replace(BARE, access_until=NOW - 1), Grade.FAILURE, "expired at", "put a working access_token"),
    ],
)  # fmt: skip
def test_how_long_it_lives(facts: TokenFacts, grade: Grade, says: str, advises: str) -> None:
    """Life left, who renews it, and what is to be done before it dies."""
    found = life(facts, NOW)[0]
    assert (found.grade, found.area) == (grade, Area.TOKENS)
    assert says in found.what
    assert advises in found.advice


def test_scopes_are_told_where_they_are_known() -> None:
    """What was granted is a line of its own."""
    assert "granted reports" in life(RENEWED, NOW)[1].what
    assert len(life(BARE, NOW)) == 1


@given(
    st.floats(NOW - 10**8, NOW + 10**8) | st.none(),
    st.floats(NOW - 10**8, NOW + 10**8) | st.none(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "HTTP 500"]),
)
def test_any_life_can_be_told(
    access: float | None, refresh: float | None, has_refresh: bool, has_secret: bool, failed: str
) -> None:
    """Whatever is known of a token, something is said, and advice is given where it is not good."""
    facts = replace(
        BARE, access_until=access, refresh_until=refresh, has_refresh=has_refresh, has_secret=has_secret, failure=failed
    )
    assert life(facts, NOW)


@pytest.mark.parametrize(
    ("probe", "area", "grade", "says", "advises"),
    [
        (PROBE, Area.TOKENS, Grade.OK, "account 5 answers, 12 calls yesterday", ""),
        (replace(PROBE, calls=None), Area.TOKENS, Grade.OK, "account 5 answers", ""),
        (
            replace(PROBE, came=Came.REFUSED, said="code 12201"),
            Area.ACCOUNTS, Grade.WARNING, "works, but account 5 is refused: code 12201", "enabled = false",
        ),
        (
            replace(PROBE, came=Came.DEAD, said="code 11014", code=11014),
            Area.TOKENS, Grade.FAILURE, "does not work: code 11014", "permission for leads_call_records/get",
        ),
        (
            replace(PROBE, came=Came.DEAD, said="code 11007", code=11007),
            Area.TOKENS, Grade.FAILURE, "does not work", "client_id and client_secret",
        ),
        (
            replace(PROBE, came=Came.DEAD, said="token a: gone", code=11012),
            Area.TOKENS, Grade.FAILURE, "does not work: gone", "authorise the app again",
        ),
        (
            replace(PROBE, came=Came.BUSY, said="renewing it: code 51001"),
            Area.API, Grade.FAILURE, "renewing it: code 51001", "later",
        ),
        (
            replace(PROBE, came=Came.DEAD, said="code 11000", code=11000, lacks_secret=True),
            Area.TOKENS, Grade.FAILURE, "does not work", "its client_secret",
        ),
        (
            replace(PROBE, came=Came.ODD, said="code 71003", code=71003, table="discover.x"),
            Area.ACCOUNTS, Grade.FAILURE, "cannot list discover.x", "change `via` of [discover.x]",
        ),
        (
            replace(PROBE, came=Came.REFUSED, said="code 60003", account=None, table="discover.x"),
            Area.ACCOUNTS, Grade.FAILURE, "may not list discover.x", "change `via` of [discover.x]",
        ),
        (replace(PROBE, came=Came.WAITS, said="x"), Area.TOKENS, Grade.WARNING, "not asked: x", "later"),
        (replace(PROBE, came=Came.ODD, said="x"), Area.API, Grade.FAILURE, "token a: x", "report it"),
        (replace(PROBE, came=Came.SPENT, said="x"), Area.QUOTA, Grade.FAILURE, "not asked: x", "wait"),
    ],
)  # fmt: skip
def test_what_a_request_showed(probe: Probe, area: Area, grade: Grade, says: str, advises: str) -> None:
    """Each outcome in words, with what to do about it."""
    (found,) = probed(probe)
    assert (found.area, found.grade) == (area, grade)
    assert says in found.what
    assert advises in found.advice


def test_a_renewal_is_told() -> None:
    """A token that was renewed for the request says so."""
    assert next(check.what for check in probed(replace(PROBE, renewed=True))).endswith("was renewed just now")


@pytest.mark.parametrize(
    ("said", "status", "advises"),
    [
        ("no connection (Connection refused)", None, "firewall"),
        ("the host name cannot be resolved", None, "DNS"),
        ("no trusted TLS connection (SSLCertVerificationError)", None, "certificates"),
        ("HTTP 503", 503, "it is down"),
        ("HTTP 403", 403, "bars this machine's address"),
    ],
)
def test_nobody_answers(said: str, status: int | None, advises: str) -> None:
    """An API that gives no answer is told once, with the setting to look at."""
    quiet = replace(PROBE, came=Came.NOTHING, said=said, status=status)
    (found,) = silent([quiet, quiet], "https://api")
    assert found.exit_code is ExitCode.BUDGET
    assert advises in found.advice
    assert probed(quiet) == []


def test_no_token_works() -> None:
    """Only when every token that was asked is dead."""
    dead, unasked = replace(PROBE, came=Came.DEAD), replace(PROBE, came=Came.NOT_ASKED)
    assert none_works([dead, unasked])[0].exit_code is ExitCode.NO_TOKEN
    assert none_works([dead, PROBE]) == none_works([unasked]) == none_works([]) == []

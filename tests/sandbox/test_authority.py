"""Tokens that are given, extended, rotated and revoked, by a clock that tests move."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox.authority import Authority, Claim, Renewal
from harvester.sandbox.gate import Gate
from harvester.sandbox.grants import ACCESS, CLIENT_ID, CLIENT_SECRET, REFRESH, Grant
from harvester.sandbox.stats import Stats
from harvester.sandbox.switches import FormerToken, Switches
from harvester.sandbox.wire import Credentials, Rejected
from tests.sandbox.helpers import NOW_S

CLAIM = Claim(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, refresh=REFRESH)


def claim(refresh: str | None) -> Claim:
    """One of the default app."""
    assert refresh is not None
    return Claim(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, refresh=refresh)


def alive(authority: Authority, access: str, now_s: float = NOW_S) -> int:
    """The code of a request under this token; 0: it works."""
    try:
        authority.vouch(access, now_s)
    except Rejected as rejected:
        return rejected.code
    return 0


def refused(authority: Authority, wanted: Claim, now_s: float = NOW_S, how: Renewal = Renewal.EXTEND) -> int:
    """The code of a renewal; 0: it was done."""
    try:
        authority.renew(how, wanted, now_s)
    except Rejected as rejected:
        return rejected.code
    return 0


def test_an_extension_gives_an_access_token_and_a_new_life() -> None:
    """The refresh token stays and lives from now on again; the access token before works until its own end."""
    authority = Authority(Switches(grants=(Grant(refresh=REFRESH, expires_at=NOW_S + 100),)), NOW_S)
    pair = authority.renew(Renewal.EXTEND, CLAIM, NOW_S + 50)
    assert (pair.refresh, pair.refresh_until_s) == (REFRESH, NOW_S + 50 + 2_592_000)
    assert (pair.access_from_s, pair.access_until_s) == (NOW_S + 50, NOW_S + 50 + 86_400)
    assert pair == authority.pair()
    codes = [(alive(authority, ACCESS, NOW_S + at), alive(authority, pair.access, NOW_S + at)) for at in (50, 99, 100)]
    assert codes == [(0, 0), (0, 0), (11000, 0)]
    assert [alive(authority, pair.access, NOW_S + 50 + at) for at in (86_399.9, 86_400)] == [0, 11000]


@pytest.mark.parametrize("code", [11000, 11002])
def test_a_rotation_ends_the_old_pair_at_once(code: int) -> None:
    """Every access token that the grant had dies, however it was got, and so does the refresh token."""
    authority = Authority(Switches(dead_access_code=code), NOW_S)
    extended = authority.renew(Renewal.EXTEND, CLAIM, NOW_S)
    rotated = authority.renew(Renewal.ROTATE, CLAIM, NOW_S)
    assert rotated.refresh not in {None, REFRESH}
    assert [alive(authority, access) for access in (ACCESS, extended.access, rotated.access)] == [code, code, 0]
    assert [refused(authority, CLAIM, how=how) for how in Renewal] == [11012, 11012]
    assert refused(authority, claim(rotated.refresh)) == 0


def test_an_extension_may_end_the_former_token() -> None:
    """That is a switch; the refresh token stays all the same."""
    authority = Authority(Switches(former_token=FormerToken.DIES), NOW_S)
    pair = authority.renew(Renewal.EXTEND, CLAIM, NOW_S)
    assert (alive(authority, ACCESS), alive(authority, pair.access), pair.refresh) == (11002, 0, REFRESH)


def test_a_new_token_may_need_ten_minutes() -> None:
    """Until then it is refused as unknown, which is no sign that it is dead; its life runs meanwhile."""
    authority = Authority(Switches(new_token_after_s=600), NOW_S)
    pair = authority.renew(Renewal.ROTATE, CLAIM, NOW_S)
    assert [alive(authority, pair.access, NOW_S + at) for at in (0, 599.9, 600)] == [11002, 11002, 0]
    assert not authority.dead(pair.access, NOW_S)
    assert pair.access_until_s == NOW_S + 86_400


def test_a_refresh_token_ends_unless_it_is_used() -> None:
    """Its life counts from the beginning, and from each extension again."""
    authority = Authority(Switches(grants=(Grant(refresh=REFRESH, refresh_life_s=100),)), NOW_S)
    assert [refused(authority, CLAIM, NOW_S + at) for at in (99.9, 199, 299)] == [0, 0, 11012]


def test_a_claim_is_refused_for_its_first_mistake() -> None:
    """The app, its secret, the refresh token, which may be another app's; nothing has changed then."""
    secret = REFRESH
    grants = (Grant(refresh=REFRESH), Grant(access="b", client_id="2", client_secret=secret, refresh="rb"))
    authority = Authority(Switches(grants=grants, wrong_secret_code=11004, dead_refresh_code=11010), NOW_S)
    wrong = [("3", CLIENT_SECRET, REFRESH), (CLIENT_ID, secret, REFRESH), (CLIENT_ID, CLIENT_SECRET, "rb")]
    before = authority.pair(), authority.pair("b")
    claims = [Claim(client_id=app, client_secret=given, refresh=refresh) for app, given, refresh in wrong]
    assert [refused(authority, one, how=how) for one in claims for how in Renewal] == [11007] * 2 + [11004] * 2 + [
        11010
    ] * 2
    assert (authority.pair(), authority.pair("b")) == before


def test_what_is_revoked_is_dead() -> None:
    """An access token, a refresh token, or nobody's, for which nothing happens."""
    authority = Authority(Switches(), NOW_S)
    authority.revoke(ACCESS)
    assert (alive(authority, ACCESS), authority.dead(ACCESS, NOW_S)) == (11002, True)
    assert refused(authority, CLAIM) == 0
    authority.revoke(REFRESH)
    authority.revoke("nobody's")
    assert refused(authority, CLAIM) == 11012


def test_grants_go_by_name_or_by_their_first_token() -> None:
    """The first one is meant when none is named; a grant may have no refresh token."""
    authority = Authority(Switches(grants=(Grant(name="north", refresh=REFRESH), Grant(access="b"))), NOW_S)
    assert authority.pair() == authority.pair("north")
    assert (authority.pair("b").refresh, authority.pair("b").access_until_s) == (None, math.inf)
    with pytest.raises(KeyError):
        authority.pair("south")


@pytest.mark.parametrize(
    "grants",
    [
        (Grant(), Grant()),
        (Grant(refresh="r"), Grant(access="b", refresh="r")),
        (Grant(name="n"), Grant(access="b", name="n")),
    ],
)
def test_grants_share_nothing(grants: tuple[Grant, ...]) -> None:
    """Tokens and names tell them apart."""
    with pytest.raises(ValueError, match="one grant each"):
        Switches(grants=grants)


@given(st.lists(st.sampled_from(Renewal), max_size=30))
def test_there_is_always_exactly_one_pair_that_renews(steps: list[Renewal]) -> None:
    """Whatever was renewed how often: the newest pair works, and no token that was rotated away ever does."""
    authority, ended = Authority(Switches(), NOW_S), set[str]()
    for step, how in enumerate(steps):
        before = authority.pair()
        pair = authority.renew(how, claim(before.refresh), NOW_S + step)
        if how is Renewal.ROTATE:
            ended |= {before.access, str(before.refresh)}
        assert alive(authority, pair.access, NOW_S + step) == 0
        assert {pair.access, pair.refresh}.isdisjoint(ended)
        assert all(alive(authority, token) for token in ended if authority.owner(token))
        assert all(refused(authority, claim(token)) for token in ended)


def test_tokens_come_from_the_seed() -> None:
    """The same in every run, others under another seed, 32 characters, none twice."""
    runs = []
    for seed in (1, 1, 2):
        authority = Authority(Switches(seed=seed), NOW_S)
        pairs = [authority.renew(Renewal.ROTATE, claim(authority.pair().refresh), NOW_S) for _ in range(20)]
        runs.append([token for pair in pairs for token in (pair.access, str(pair.refresh))])
    assert runs[0] == runs[1]
    assert len(set(runs[0] + runs[2])) == 80
    assert {len(token) for token in runs[0]} == {32}


def test_the_gate_counts_tokens_that_do_not_work() -> None:
    """All of them together, and by grant those that had worked once."""
    authority = Authority(Switches(new_token_after_s=600), NOW_S)
    gate, stats = Gate(Switches(), NOW_S, authority), Stats()
    pair = authority.renew(Renewal.ROTATE, CLAIM, NOW_S)
    for nonce, access in enumerate(("stranger", pair.access, ACCESS, ACCESS)):
        with pytest.raises(Rejected, match="11002"):
            gate.admit(Credentials(access=access, timestamp=int(NOW_S), nonce=str(nonce)), NOW_S, stats)
    assert (stats.bad_token, stats.dead_token) == (4, {ACCESS: 2})


def test_a_renewed_token_uses_its_apps_quota() -> None:
    """What the former token used is used."""
    switches = Switches(requests_per_minute=2)
    authority = Authority(switches, NOW_S)
    gate, codes = Gate(switches, NOW_S, authority), []
    for nonce in range(3):
        access = authority.renew(Renewal.EXTEND, CLAIM, NOW_S).access
        try:
            gate.admit(Credentials(access=access, timestamp=int(NOW_S), nonce=str(nonce)), NOW_S, Stats())
            codes.append(0)
        except Rejected as rejected:
            codes.append(rejected.code)
    assert codes == [0, 0, 11017]


@pytest.mark.parametrize(
    ("scopes", "code"), [((), 0), (("ads_insights",), 0), (("ads_insights", "x"), 0), (("audience_x",), 11014)]
)
def test_a_grant_covers_calls_or_does_not(scopes: tuple[str, ...], code: int) -> None:
    """Any documented scope will do, none at all means all of the app's."""
    gate, codes = Gate(Switches(grants=(Grant(scopes=scopes),))), [0]
    try:
        gate.admit(Credentials(access=ACCESS, timestamp=int(NOW_S), nonce="n"), NOW_S, Stats())
    except Rejected as rejected:
        codes.append(rejected.code)
    assert codes[-1] == code

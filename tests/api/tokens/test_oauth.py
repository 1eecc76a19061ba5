import math
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import harvester.api.tokens  # noqa: F401 - first, since it and oauth import each other
from harvester.api.codes import Fault
from harvester.api.envelope import Response
from harvester.api.tokens import Credentials, Pair, Renewal
from harvester.api.tokens.oauth import EXTEND_PATH, ROTATE_PATH, read_renewal, request_renewal
from harvester.model import AppName
from harvester.secret import Secret, masked
from tests.api.helpers import NOW_S, envelope

OLD, REFRESH, CLIENT_SECRET = "fake-access-old", "fake-refresh-old", "fake-client-secret"  # not one of them is real
NEW, NEW_REFRESH = "fake-access-new", "fake-refresh-new"
CREDENTIALS = Credentials(
    app=AppName("main"),
    access=Secret(OLD),
    refresh=Secret(REFRESH),
    client_id="1100000001",
    client_secret=Secret(CLIENT_SECRET),
)
BEFORE = Pair(
    access=Secret(OLD),
    access_until=NOW_S - 60,
    refresh=Secret(REFRESH),
    refresh_until=NOW_S + 86_400,
    since=NOW_S - 86_400,
    scopes=("ads_management",),
)
tokens = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=4096)
"""What the config lets through, and an answer."""


def answer(**data: Any) -> Response:
    """A good answer with this `data`."""
    return envelope({"code": 0, "message": "", "message_cn": "", "data": {"access_token": NEW, **data}})


def new_pair(response: Response) -> Pair:
    """The pair of an answer that must have one."""
    read = read_renewal(response, BEFORE, NOW_S)
    assert isinstance(read, Pair), read
    return read


def fault_of(response: Response) -> Fault:
    """The fault of an answer that must not have one."""
    read = read_renewal(response, BEFORE, NOW_S)
    assert isinstance(read, Fault), read
    return read


class TestRequest:
    """What travels."""

    @pytest.mark.parametrize(
        ("how", "path", "expected"),
        [
            (
                Renewal.EXTEND,
                "/oauth/token",
                {
                    "client_id": "1100000001",
                    "client_secret": CLIENT_SECRET,
                    "grant_type": "refresh_token",
                    "refresh_token": REFRESH,
                },
            ),
            (
                Renewal.ROTATE,
                "/oauth/refresh_token",
                {"client_id": "1100000001", "client_secret": CLIENT_SECRET, "refresh_token": REFRESH},
            ),
        ],
    )
    def test_it_carries_the_documented_parameters(self, how: Renewal, path: str, expected: dict[str, str]) -> None:
        """Each once, and nothing else: no access token, no timestamp, no nonce, no version in the path."""
        request = request_renewal(replace(CREDENTIALS, renewal=how), Secret(REFRESH))
        assert request.path == path == {Renewal.EXTEND: EXTEND_PATH, Renewal.ROTATE: ROTATE_PATH}[how]
        parameters = parse_qsl(request.query, strict_parsing=True)
        assert sorted(parameters) == sorted(expected.items())

    def test_the_refresh_token_is_the_one_that_is_held_now(self) -> None:
        """Not the config's, which may have been rotated since."""
        request = request_renewal(CREDENTIALS, Secret(NEW_REFRESH))
        assert dict(parse_qsl(request.query))["refresh_token"] == NEW_REFRESH

    @given(tokens, tokens, tokens, st.sampled_from(Renewal))
    def test_whatever_they_hold_they_come_out_as_they_went_in(
        self, client_id: str, client_secret: str, refresh: str, how: Renewal
    ) -> None:
        """Percent-encoded, so that each ends where the next parameter begins."""
        credentials = replace(
            CREDENTIALS, client_id=client_id, client_secret=Secret(client_secret), refresh=Secret(refresh), renewal=how
        )
        request = request_renewal(credentials, Secret(refresh))
        given = dict(parse_qsl(request.query, strict_parsing=True, keep_blank_values=True))
        assert given.pop("grant_type", None) == ("refresh_token" if how is Renewal.EXTEND else None)
        assert given == {"client_id": client_id, "client_secret": client_secret, "refresh_token": refresh}
        assert request.query.isascii()

    @pytest.mark.parametrize("how", Renewal)
    def test_it_shows_the_app_and_no_secret(self, how: Renewal) -> None:
        """However it is printed, alone or in something."""
        request = request_renewal(replace(CREDENTIALS, renewal=how), Secret(REFRESH))
        for text in (repr(request), str(request), f"{request}", repr([request])):
            assert "client_id=1100000001" in text
            assert not [secret for secret in (CLIENT_SECRET, REFRESH, OLD) if secret in text]
        assert masked(request.query).count("***") == 2  # should it be shown all the same


class TestAnswer:
    """A new pair."""

    def test_an_extension(self) -> None:
        """Its answer holds no refresh token: the one before stays, and its life starts again."""
        response = answer(access_token_expires_in=86_400, refresh_token_expires_in=2_592_000)
        assert new_pair(response) == Pair(
            access=Secret(NEW),
            access_until=NOW_S + 86_400,
            refresh=Secret(REFRESH),
            refresh_until=NOW_S + 2_592_000,
            since=NOW_S,
            scopes=("ads_management",),
        )

    def test_a_rotation(self) -> None:
        """Its answer holds a new one, which is taken."""
        response = answer(
            refresh_token=NEW_REFRESH,
            access_token_expires_in=86_400,
            refresh_token_expires_in=2_592_000,
            authorizer_info={"account_id": 1, "scope_list": ["ads_management", "ads_insights"]},
        )
        assert new_pair(response) == Pair(
            access=Secret(NEW),
            access_until=NOW_S + 86_400,
            refresh=Secret(NEW_REFRESH),
            refresh_until=NOW_S + 2_592_000,
            since=NOW_S,
            scopes=("ads_management", "ads_insights"),
        )

    @pytest.mark.parametrize("odd", ["", None, 7, True, [], {}, "two words", "line\nbreak", "ключ", "x" * 4097])
    def test_a_refresh_token_that_is_none_changes_nothing(self, odd: Any) -> None:
        """The one before stays: if it is dead, the next renewal will say so."""
        assert new_pair(answer(refresh_token=odd)).refresh == Secret(REFRESH)

    def test_without_any_refresh_token_there_is_none(self) -> None:
        """Nothing is made up."""
        read = read_renewal(answer(), Pair(access=Secret(OLD)), NOW_S)
        assert read == Pair(access=Secret(NEW), since=NOW_S)

    @pytest.mark.parametrize("which", ["access", "refresh"])
    @pytest.mark.parametrize(
        ("life", "expected"),
        [
            (86_400, 86_400),
            ("86400", 86_400),
            (" 86400 ", 86_400),
            (1, 1),
            (10**10 - 1, 10**10 - 1),
            (10**10, None),
            (2**63, None),
            (10**30, None),
            (0, None),
            (-1, None),
            ("-86400", None),
            ("", None),
            ("soon", None),
            (None, None),
            (True, None),
            (86_400.5, None),
            ([86_400], None),
            ({}, None),
        ],
    )
    def test_a_life_is_whole_seconds_or_their_digits(self, which: str, life: Any, expected: int | None) -> None:
        """Of anything else it is not known when it ends: the API will say."""
        raw = b'{"code":0,"data":{"access_token":"%s","%s_token_expires_in":%s}}'
        text = str(life).encode() if isinstance(life, int) and life is not True else orjson.dumps(life)
        pair = new_pair(Response(200, {}, raw % (NEW.encode(), which.encode(), text)))
        until = {"access": pair.access_until, "refresh": pair.refresh_until}
        assert until.pop(which) == (None if expected is None else NOW_S + expected)
        assert list(until.values()) == [None]

    def test_a_life_that_is_not_told_is_not_known(self) -> None:
        """Also when that of the pair before was."""
        pair = new_pair(answer())
        assert (pair.access_until, pair.refresh_until) == (None, None)

    @pytest.mark.parametrize("code", ["0", '"0"', "-0"])
    def test_a_code_of_zero_is_written_in_many_ways(self, code: str) -> None:
        """As everywhere in this API."""
        body = f'{{"code":{code},"data":{{"access_token":"{NEW}"}}}}'.encode()
        assert new_pair(Response(200, {}, body)).access == Secret(NEW)

    @pytest.mark.parametrize(
        ("info", "expected"),
        [
            ({"scope_list": ["ads_insights"]}, ("ads_insights",)),
            ({"scope_list": ["ads_insights", 7, None, "", "\x1b[31mads\n"]}, ("ads_insights", "[31mads")),
            ({"scope_list": [f"scope_{number}" for number in range(99)]}, None),
            ({"scope_list": []}, ("ads_management",)),
            ({"scope_list": "ads_insights"}, ("ads_management",)),
            ({"scope_list": {"a": 1}}, ("ads_management",)),
            ({"scope_list": None}, ("ads_management",)),
            ({}, ("ads_management",)),
            (None, ("ads_management",)),
            ([], ("ads_management",)),
            ("ads_insights", ("ads_management",)),
        ],
    )
    def test_scopes(self, info: Any, expected: tuple[str, ...] | None) -> None:
        """Cleaned, and not without end; without any, those that were known stay."""
        scopes = new_pair(answer(authorizer_info=info)).scopes
        if expected is None:
            assert scopes == tuple(f"scope_{number}" for number in range(64))
        else:
            assert scopes == expected

    @given(tokens, st.none() | tokens, st.integers(1, 10**10 - 1), st.floats(0, 4e9))
    def test_any_token_is_taken_to_the_letter(
        self, access: str, refresh: str | None, life_s: int, sent_at: float
    ) -> None:
        """Whatever printable ASCII it is made of."""
        response = answer(access_token=access, refresh_token=refresh, access_token_expires_in=life_s)
        read = read_renewal(response, BEFORE, sent_at)
        assert isinstance(read, Pair)
        assert read.access.reveal() == access
        assert read.refresh == Secret(refresh or REFRESH)
        assert read.access_until is not None
        assert math.isclose(read.access_until - sent_at, life_s, abs_tol=1e-5)

    def test_nothing_of_it_is_shown(self) -> None:
        """Neither by the pair nor by the answer itself, once it passes the net."""
        response = answer(refresh_token=NEW_REFRESH)
        assert NEW not in masked(repr(response))
        assert NEW_REFRESH not in masked(repr(response))
        assert NEW not in repr(new_pair(response))
        assert NEW_REFRESH not in repr(new_pair(response))


ODD_TOKENS = [
    "",
    " ",
    "two words",
    " fake-access-new",
    "fake\naccess",
    "fake\x00access",
    "fake-dostęp",
    "\x7f",
    "x" * 4097,
]
LEAK = "fakeleak0123456789abcdef0123"


class TestFault:
    """Everything else."""

    @pytest.mark.parametrize(
        "odd", [*ODD_TOKENS, None, 1234567890, True, 1.5, ["fake-access"], {"token": "fake-access"}]
    )
    def test_an_odd_access_token_is_refused_without_being_shown(self, odd: Any) -> None:
        """It could not travel, so it cannot be one."""
        fault = fault_of(answer(access_token=odd))
        assert (str(fault), fault.code, fault.status) == ("HTTP 200, no usable access_token in `data`", None, 200)

    @pytest.mark.parametrize("token", ["x" * 4096, "!", "~", "%&=+#?/\\\"'"])
    def test_the_oddest_that_is_taken(self, token: str) -> None:
        """At most 4096 characters, each printable ASCII."""
        assert new_pair(answer(access_token=token)).access == Secret(token)

    @pytest.mark.parametrize(
        ("status", "body", "text"),
        [
            (200, b"", "HTTP 200, a body that is no JSON or was cut short (0 bytes)"),
            (502, b"<html><h1>502 Bad Gateway</h1></html>", "HTTP 502"),
            (200, b"<html>hello</html>", "HTTP 200, a body that is no JSON or was cut short (18 bytes)"),
            (302, b"", "HTTP 302"),
            (500, b'{"code":0,"data":{"access_token":"%s"}}' % LEAK.encode(), "HTTP 500"),
            (200, b'{"code":0,"data":{"access_token":"%s"' % LEAK.encode(), None),
            (200, b'{"code":0,"data":["%s"]}' % LEAK.encode(), "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0,"data":"%s"}' % LEAK.encode(), "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0,"data":null}', "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0}', "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0,"data":{}}', "HTTP 200, no usable access_token in `data`"),
            (200, b'{"code":0,"data":{"refresh_token":"%s"}}' % LEAK.encode(), None),
            (200, b'{"code":"","data":{"access_token":"%s"}}' % LEAK.encode(), None),
            (200, b'{"data":{"access_token":"%s"}}' % LEAK.encode(), "HTTP 200, JSON that is no envelope"),
            (200, b'{"code":0,"data":{"access_token":"\\ud800"}}', None),
            (200, b'{"code":0,"data":{"access_token":"a","b":' + b"[" * 99_999, None),
        ],
    )
    def test_an_answer_without_a_pair_says_what_it_is(self, status: int, body: bytes, text: str | None) -> None:
        """In words that hold nothing of the body."""
        fault = fault_of(Response(status, {}, body))
        assert fault.code is None
        assert str(fault).startswith(f"HTTP {status}")
        assert text is None or str(fault) == text
        assert LEAK not in repr(fault)

    @pytest.mark.parametrize("code", [11004, 11005, 11012, 12000, 30001, 99999])
    def test_business_errors_come_with_http_200(self, code: int) -> None:
        """They keep their code, text and trace; a secret that the API repeats is not shown, nor is any `data`."""
        response = envelope(
            {
                "code": code,
                "message": f"refresh_token {LEAK} is invalid",
                "message_cn": "",
                "trace_id": "abc-123",
                "data": {"access_token": LEAK},
            }
        )
        fault = fault_of(response)
        assert (fault.code, fault.status, fault.trace_id) == (code, 200, "abc-123")
        assert fault.text == "refresh_token *** is invalid"
        assert LEAK not in repr(fault)

    def test_what_the_api_repeats_of_a_short_secret_is_masked(self) -> None:
        """What is too short to be told from a word by its form is known by heart."""
        fault = fault_of(envelope({"code": 11005, "message": f"client_secret {CLIENT_SECRET}, token {REFRESH}"}))
        assert fault.text == fault.message == "client_secret ***, token ***"

    @given(st.binary(max_size=200))
    def test_any_body_is_a_fault(self, body: bytes) -> None:
        """Nothing is raised."""
        assert isinstance(read_renewal(Response(200, {}, body), BEFORE, NOW_S), Fault)

    @given(
        st.dictionaries(
            st.sampled_from(["access_token", "refresh_token", "access_token_expires_in", "authorizer_info", "x"]),
            st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4),
        )
    )
    def test_any_data_is_a_pair_or_a_fault(self, data: dict[str, Any]) -> None:
        """A pair can travel and expires later than it was asked for; and nothing is raised."""
        try:
            body = orjson.dumps({"code": 0, "data": data})
        except TypeError:  # an integer of more than 64 bits
            return
        read = read_renewal(Response(200, {}, body), BEFORE, NOW_S)
        if isinstance(read, Pair):
            assert request_renewal(CREDENTIALS, read.access).query.isascii()
            assert read.access_until is None or read.access_until > NOW_S
        else:
            assert str(read) == "HTTP 200, no usable access_token in `data`"

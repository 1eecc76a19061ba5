from dataclasses import replace

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harvester.api.tokens.pair import Credentials, Pair
from harvester.api.tokens.stored import Stored, _digest, decode, encode, held, mark_of
from harvester.model import AppName
from harvester.secret import Secret, masked
from tests.api.helpers import NOW_S

moments = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
secrets = st.text(min_size=1, max_size=40).map(Secret)
pairs = st.builds(
    Pair,
    access=secrets,
    access_until=moments,
    refresh=st.none() | secrets,
    refresh_until=moments,
    since=moments,
    scopes=st.lists(st.text(max_size=9), max_size=3).map(tuple),
)
files = st.builds(
    Stored,
    token=st.text(max_size=9),
    serial=st.integers(0, 2**53),
    pair=pairs,
    former=st.none() | pairs,
    access_mark=st.text(max_size=9),
    refresh_mark=st.text(max_size=9),
    rotating_since=moments,
)

CONFIG = Credentials(app=AppName("main"), access=Secret("fake-config-access"), refresh=Secret("fake-config-refresh"))
FORMER = Pair(access=Secret("fake-former-access"), refresh=Secret("fake-former-refresh"))
PAIR = Pair(
    access=Secret("fake-stored-access"),
    access_until=NOW_S + 3_600,
    refresh=Secret("fake-stored-refresh"),
    refresh_until=NOW_S + 86_400,
    since=NOW_S,
    scopes=("ads_management",),
)
STORED = Stored(
    token="agency",  # noqa: S106 - the name of its table
    serial=3,
    pair=PAIR,
    former=FORMER,
    access_mark=mark_of(CONFIG.access),
    refresh_mark=mark_of(CONFIG.refresh),
    rotating_since=NOW_S,
)
FILE = encode(STORED)


class TestFile:
    """What the file of a token holds."""

    @given(files, st.binary(max_size=9).map(lambda some: b"\0" * len(some)))
    def test_what_was_written_is_read(self, stored: Stored, room: bytes) -> None:
        """Everything, whatever it is; the room that a process had no time to cut off does not matter."""
        read = decode(encode(stored) + room)
        assert read == stored
        assert read is not None
        assert [type(read.pair.access), type(read.pair.scopes)] == [Secret, tuple]

    def test_it_is_text_for_a_person(self) -> None:
        """Who has to see which token it is, and when it dies; not its order but its content is what counts."""
        content = orjson.loads(FILE)
        assert list(content) == ["version", "token", "serial", "pair", "former", "config", "rotating_since", "digest"]
        assert (content["version"], content["token"], content["serial"]) == (1, "agency", 3)
        assert content["pair"]["access_until"] == NOW_S + 3_600
        assert FILE.endswith(b"}\n")
        assert decode(orjson.dumps(dict(reversed(content.items())))) == STORED

    def test_the_configs_own_secrets_are_not_in_it(self) -> None:
        """Only marks of them, which tell nothing."""
        assert b"fake-config" not in FILE

    @given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
    @example(0, 1)
    @example(len(FILE) - 1, 1)
    def test_a_changed_byte_is_noticed_or_harmless(self, at: int, change: int) -> None:
        """Harmless is what stands between the words."""
        damaged = bytearray(FILE)
        damaged[at] ^= change
        assert decode(bytes(damaged)) in (None, STORED)

    def test_any_single_bit_that_is_flipped_is_noticed_or_harmless(self) -> None:
        """All of them."""
        for at in range(len(FILE)):
            for bit in range(8):
                damaged = bytearray(FILE)
                damaged[at] ^= 1 << bit
                read = decode(bytes(damaged))
                assert read is None or (read == STORED and chr(FILE[at]).isspace()), (at, bit)

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
    def test_a_file_that_was_cut_is_noticed(self, share: float) -> None:
        """Wherever; but for the line break at its end."""
        cut = FILE[: int((len(FILE) - 2) * share)]
        assert decode(cut) is None
        assert decode(cut + b"\0" * (len(FILE) - len(cut))) is None
        assert decode(FILE[:-1]) == STORED

    @given(st.binary(max_size=99))
    @example(b"")
    @example(b"\0" * 4096)
    @example(b"null")
    @example(b"[]")
    @example(b"7")
    @example(b'"text"')
    @example(b"{}")
    @example(b'{"digest":1}')
    @example(b'{"digest":null,"version":1}')
    @example(b"[" * 5_000)
    @example(FILE + FILE)
    @example(FILE + b"x")
    @example(b"\xff" + FILE)
    def test_anything_else_is_none(self, content: bytes) -> None:
        """And raises nothing."""
        assert decode(content) is None

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 2},
            {"version": "1"},
            {"version": None},
            {"pair": None},
            {"pair": []},
            {"pair": {"access_token": "fake"}},
            {"config": {}},
            {"config": None},
            {"former": {"access_token": "fake"}},
            {"former": 7},
        ],
    )
    def test_what_another_version_wrote_is_none(self, change: dict[str, object]) -> None:
        """Though its digest is right."""
        content = orjson.loads(FILE) | change
        del content["digest"]
        assert decode(orjson.dumps({**content, "digest": _digest(content)})) is None

    def test_a_missing_key_is_noticed(self) -> None:
        """Each of them."""
        content = orjson.loads(FILE)
        for name in content:
            assert decode(orjson.dumps({key: value for key, value in content.items() if key != name})) is None

    def test_it_does_not_show_itself(self) -> None:
        """Neither the value nor, under the net, the file's text shows a token."""
        values = [one.reveal() for one in (PAIR.access, PAIR.refresh, FORMER.access, FORMER.refresh) if one]
        text = repr(STORED) + repr(decode(FILE)) + masked(FILE.decode()) + masked(repr(FILE))
        assert [value for value in values if value in text] == []


class TestMark:
    """What tells a secret from another one."""

    @given(st.text(), st.text())
    def test_two_secrets_have_two_marks(self, one: str, other: str) -> None:
        """And one has one."""
        assert (mark_of(Secret(one)) == mark_of(Secret(other))) is (one == other)

    @given(st.text(min_size=1))
    def test_it_reveals_nothing(self, value: str) -> None:
        """It is as long for any secret, and is none of the usual digests of it."""
        mark = mark_of(Secret(value))
        assert len(mark) == 32
        assert set(mark) <= set("0123456789abcdef")
        assert value not in mark or len(value) < 8

    def test_it_is_the_same_in_every_process(self) -> None:
        """Of this and of any later version: else all tokens would be taken for changed."""
        assert mark_of(Secret("fake-config-access")) == EXPECTED_MARK

    def test_no_secret_has_no_mark(self) -> None:
        """Which is not the mark of an empty one."""
        assert mark_of(None) == ""
        assert mark_of(Secret("")) != ""


EXPECTED_MARK = "6e0d8b1e6d9e08a6fad6c3f3a9342ffd"
NEW_ACCESS, NEW_REFRESH = Secret("fake-new-access"), Secret("fake-new-refresh")
UNTOUCHED = STORED
WITHOUT = replace(STORED, refresh_mark="")
"""Stored when the config had no refresh token."""


class TestHeld:
    """What counts, the file or the config."""

    @pytest.mark.parametrize(
        ("config", "stored", "expected"),
        [
            (CONFIG, None, (Pair(access=CONFIG.access, refresh=CONFIG.refresh), None)),
            (replace(CONFIG, refresh=None), None, (Pair(access=CONFIG.access), None)),
            (CONFIG, UNTOUCHED, (PAIR, FORMER)),
            (CONFIG, replace(UNTOUCHED, former=None), (PAIR, None)),
            (replace(CONFIG, refresh=None), WITHOUT, (PAIR, FORMER)),
            # both were changed: a person has authorised the app again
            (
                replace(CONFIG, access=NEW_ACCESS, refresh=NEW_REFRESH),
                UNTOUCHED,
                (Pair(access=NEW_ACCESS, refresh=NEW_REFRESH), None),
            ),
            (replace(CONFIG, access=NEW_ACCESS, refresh=None), UNTOUCHED, (Pair(access=NEW_ACCESS), None)),
            (
                replace(CONFIG, access=NEW_ACCESS, refresh=NEW_REFRESH),
                WITHOUT,
                (Pair(access=NEW_ACCESS, refresh=NEW_REFRESH), None),
            ),
            # the access token was changed: nobody knows when it dies; what renews it is the stored one
            (
                replace(CONFIG, access=NEW_ACCESS),
                UNTOUCHED,
                (replace(PAIR, access=NEW_ACCESS, access_until=None, since=None, scopes=()), None),
            ),
            (
                replace(CONFIG, access=NEW_ACCESS, refresh=None),
                WITHOUT,
                (replace(PAIR, access=NEW_ACCESS, access_until=None, since=None, scopes=()), None),
            ),
            # the refresh token was changed, given or taken away: the stored access token goes on
            (
                replace(CONFIG, refresh=NEW_REFRESH),
                UNTOUCHED,
                (replace(PAIR, refresh=NEW_REFRESH, refresh_until=None), None),
            ),
            (CONFIG, WITHOUT, (replace(PAIR, refresh=CONFIG.refresh, refresh_until=None), None)),
            (replace(CONFIG, refresh=None), UNTOUCHED, (replace(PAIR, refresh=None, refresh_until=None), None)),
        ],
    )
    def test_the_table(self, config: Credentials, stored: Stored | None, expected: tuple[Pair, Pair | None]) -> None:
        """The file is newer than the config; what a person has changed in the config since is newer than the file."""
        assert held(config, stored) == expected

    @given(files, secrets, st.none() | secrets, st.booleans(), st.booleans())
    def test_whatever_was_changed(
        self, stored: Stored, access: Secret, refresh: Secret | None, same_access: bool, same_refresh: bool
    ) -> None:
        """Each token is the config's if it was changed there, else the stored one; any change ends the pair before."""
        marks = (mark_of(access) if same_access else "other", mark_of(refresh) if same_refresh else "other")
        stored = replace(stored, access_mark=marks[0], refresh_mark=marks[1])
        pair, former = held(replace(CONFIG, access=access, refresh=refresh), stored)
        assert pair.access == (stored.pair.access if same_access else access)
        assert pair.refresh == (stored.pair.refresh if same_refresh else refresh)
        assert former == (stored.former if same_access and same_refresh else None)
        if not same_access:
            assert (pair.access_until, pair.since) == (None, None)
        if not same_refresh:
            assert pair.refresh_until is None

    @given(files, secrets, st.none() | secrets)
    def test_what_is_stored_next_is_what_counts_next(
        self, stored: Stored, access: Secret, refresh: Secret | None
    ) -> None:
        """After a change in the config the next renewal's pair counts as long as nothing changes again."""
        config = replace(CONFIG, access=access, refresh=refresh)
        before, _ = held(config, stored)
        again = replace(stored, pair=PAIR, former=before, access_mark=mark_of(access), refresh_mark=mark_of(refresh))
        assert held(config, decode(encode(again))) == (PAIR, before)

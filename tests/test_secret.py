import copy
import dataclasses
import gc
import io
import json
import logging
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harvester import secret as room
from harvester.api.envelope import Passport
from harvester.api.tokens import Credentials, Pair
from harvester.model import AppName
from harvester.secret import MASK, Net, Secret, masked

VALUE = "fake/secret+0123=456'789"
"""With everything that a URL, JSON or `repr` writes in another way."""
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a query": lambda value: quote(value, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "in JSON": lambda value: json.dumps(value)[1:-1],
    "in orjson's JSON": lambda value: orjson.dumps(value).decode()[1:-1],
    "in a repr": lambda value: repr(value)[1:-1],
    "in a repr of a text with both kinds of quotes": lambda value: repr(value + "'\"")[1:-4],
    "in a repr of bytes": lambda value: repr(value.encode())[2:-1],
}
values = st.text(st.characters(codec="utf-8", exclude_characters="* \n,;"), min_size=8, max_size=40)
"""Without asterisks, of which the mask itself is made, and without what `around` is made of."""
tokens = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="*,;"), min_size=8)
"""What the config and an answer let through."""
around = st.text(" \n,;", max_size=9)


@dataclasses.dataclass
class Holder:
    """Something that has a secret."""

    token: Secret


SHOWN: dict[str, Callable[[Secret], object]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s} {secret!a} {secret:>40}",
    "%": lambda secret: "%s %r %a" % (secret, secret, secret),  # noqa: UP031 - some library still does
    "format": lambda secret: "{} {!r} {:^30}".format(secret, secret, secret),  # noqa: UP032 - so does another
    "in a dict": lambda secret: str({"token": secret, secret: [secret]}),
    "in a dataclass": lambda secret: repr(Holder(secret)),
    "in a pair": lambda secret: repr(Pair(access=secret, refresh=secret)),
    "in credentials": lambda secret: repr(Credentials(app=AppName("main"), access=secret, client_secret=secret)),
    "in a passport": lambda secret: repr(Passport(access=secret, nonce="n", timestamp=1)),
    "in an exception": lambda secret: traceback.format_exception(ValueError("no", secret)),
    "of its attributes": lambda secret: [repr(getattr(secret, "__dict__", None)), dir(secret)],
    "json with a default": lambda secret: json.dumps([secret], default=str),
    "orjson with a default": lambda secret: orjson.dumps([secret], default=str),
    "all that is known": lambda _: [repr(value) for value in vars(room).values()],
}
REFUSING: dict[str, Callable[[Secret], object]] = {
    "pickle": pickle.dumps,
    "pickle of a holder": lambda secret: pickle.dumps(Holder(secret)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": lambda secret: dataclasses.asdict(Holder(secret)),
    "json": json.dumps,
    "orjson": orjson.dumps,
    "msgspec": msgspec.json.encode,
    "+": lambda secret: "token " + secret,  # type: ignore[operator]  # that is what is tried
    "join": lambda secret: ", ".join({secret}),  # type: ignore[arg-type]  # that is what is tried
    "int": lambda secret: int(secret) + 1,  # type: ignore[call-overload]  # that is what is tried
    "iteration": lambda secret: [*secret],  # type: ignore[misc]  # that is what is tried
    "attribute": lambda secret: secret.value,  # type: ignore[attr-defined]  # that is what is tried
    "new attribute": lambda secret: setattr(secret, "other", 1),
}


class TestSecret:
    """A text that nobody sees by accident."""

    @pytest.mark.parametrize("way", SHOWN)
    def test_it_does_not_show_itself(self, way: str) -> None:
        """Whatever prints, formats or writes it gets asterisks."""
        text = str(SHOWN[way](Secret(VALUE)))
        assert not [name for name, form in FORMS.items() if form(VALUE) in text]

    @pytest.mark.parametrize("way", REFUSING)
    def test_it_cannot_be_carried_away(self, way: str) -> None:
        """What would need its text refuses, in words that do not hold it."""
        with pytest.raises((TypeError, AttributeError)) as caught:
            REFUSING[way](Secret(VALUE))
        assert VALUE not in "".join(traceback.format_exception(caught.value))

    def test_a_local_variable_of_a_traceback_does_not_show_it(self) -> None:
        """Also in a traceback that shows the variables of each frame."""

        def fail(token: Secret) -> None:
            held = {"token": token}
            raise ValueError(f"of {len(held)}")

        with pytest.raises(ValueError, match="of 1") as caught:
            fail(Secret(VALUE))
        whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        text = "".join(whole.format())
        assert "token = Secret(***)" in text
        assert VALUE not in text

    def test_only_reveal_gives_it_back(self) -> None:
        """To the letter."""
        assert Secret(VALUE).reveal() == VALUE

    @given(st.text(), st.text())
    def test_it_is_compared_by_its_text(self, one: str, other: str) -> None:
        """Two of one text are equal and hash alike; none equals its text; an empty one is false."""
        assert (Secret(one) == Secret(other)) is (one == other)
        assert hash(Secret(one)) == hash(Secret(one))
        assert len({Secret(one), Secret(one), Secret(other)}) == len({one, other})
        assert Secret(one) != one
        assert bool(Secret(one)) is bool(one)

    def test_its_hash_is_not_that_of_its_text(self) -> None:
        """A table of the hashes of texts finds nothing."""
        assert hash(Secret(VALUE)) != hash(VALUE)


class TestMasked:
    """The net under every text."""

    @pytest.mark.parametrize("form", FORMS)
    def test_it_knows_the_ways_in_which_a_secret_is_written(self, form: str) -> None:
        """All of it goes, what stands around it stays."""
        secret = Secret(VALUE)
        assert masked(f"before {FORMS[form](secret.reveal())}\nafter") == f"before {MASK}\nafter"

    @given(values, st.sampled_from(sorted(FORMS)), around, around)
    @example("密钥密钥密钥密钥", "in a query", "", "")
    @example('é"密钥密钥密钥', "in orjson's JSON", "", "")
    @example('it\'s "quoted"', "in a repr", "", "")
    def test_no_secret_survives(self, value: str, form: str, before: str, after: str) -> None:
        """Whatever it is and wherever it stands, neither it nor a part of it is left."""
        secret = Secret(value)
        assert masked(f"{before}{FORMS[form](secret.reveal())}{after}") == f"{before}{MASK}{after}"

    @given(tokens, st.sampled_from(sorted(FORMS)), st.text(), st.text())
    def test_no_secret_survives_in_any_text(self, value: str, form: str, before: str, after: str) -> None:
        """Also where its neighbours look like parts of it."""
        secret, written = Secret(value), FORMS[form](value)
        assert written not in masked(f"{before}{written}{after}{written}")
        assert secret.reveal() == value

    @given(st.lists(tokens, min_size=2, max_size=6), st.data())
    def test_no_secret_of_several_survives(self, some: list[str], data: st.DataObject) -> None:
        """However many there are, in one text."""
        alive = [Secret(value) for value in some]
        text = masked("".join(data.draw(st.lists(st.sampled_from(some), max_size=12))))
        assert not [one for one in alive if one.reveal() in text]

    @given(st.text())
    def test_it_is_harmless_to_mask_twice(self, text: str) -> None:
        """The second time changes nothing."""
        secret = Secret(VALUE)
        once = masked(f"{text}{secret.reveal()}&access_token={text}")
        assert masked(once) == once

    def test_of_secrets_that_overlap_the_longest_goes_first(self) -> None:
        """So that no end of it is left."""
        alive = [Secret("fake-secret"), Secret("fake-secret-and-its-end"), Secret("the-fake-secret")]
        assert masked("of fake-secret-and-its-end, the-fake-secret, fake-secret") == "of ***, ***, ***"
        assert len(alive) == 3

    def test_a_secret_is_known_for_as_long_as_one_of_its_kind_is_there(self) -> None:
        """The same text may be held twice: by the config and the store."""
        first, second = Secret("fake-secret-held-twice"), Secret("fake-secret-held-twice")
        del first
        gc.collect()
        assert masked("fake-secret-held-twice") == MASK
        del second
        gc.collect()
        assert masked("fake-secret-held-twice") == "fake-secret-held-twice"  # nobody has it any more

    @pytest.mark.parametrize("value", ["", "a", "calls", "1234567"])
    def test_short_ones_are_left_alone(self, value: str) -> None:
        """They may be any word."""
        secret = Secret(value)
        assert masked(f"the {value} calls") == f"the {value} calls"
        assert not (secret and not value)

    @pytest.mark.parametrize("name", ["access_token", "refresh_token", "client_secret", "authorization_code", "nonce"])
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("/oauth/token?NAME=unknown&x=1", "/oauth/token?NAME=***&x=1"),
            ("/oauth/token?x=1&NAME=un%2Fknown", "/oauth/token?x=1&NAME=***"),
            ("next=%2Foauth%3FNAME%3Dunknown", "next=%2Foauth%3FNAME%3D***"),
            ("{'NAME': 'unknown', 'x': 1}", "{'NAME': '***', 'x': 1}"),
            ('{"NAME":"unknown","x":1}', '{"NAME":"***","x":1}'),
            ('{"NAME" : "unknown"}', '{"NAME" : "***"}'),
            ('b\'{"NAME":"unknown"}\'', 'b\'{"NAME":"***"}\''),
            ('{"body":"{\\"NAME\\":\\"unknown\\",\\"x\\":1}"}', '{"body":"{\\"NAME\\":\\"***\\",\\"x\\":1}"}'),
            ("Pair(NAME='unknown', x=1)", "Pair(NAME='***', x=1)"),
            ("NAME = unknown", "NAME = ***"),
            ("NAME: unknown\n", "NAME: ***\n"),
            ("<a href='/?NAME=unknown'>", "<a href='/?NAME=***'>"),
        ],
    )
    def test_what_stands_after_a_telling_name_is_masked(self, name: str, text: str, expected: str) -> None:
        """Also when nobody knows it: in URLs, dictionaries, JSON, settings."""
        assert masked(text.replace("NAME", name)) == expected.replace("NAME", name)

    @pytest.mark.parametrize(
        "text",
        [
            "the access_token has expired",
            "put a refresh_token into the config",
            "no `client_secret`",
            "give its app a client_secret: then it is renewed",
            "",
        ],
    )
    def test_words_about_tokens_stay(self, text: str) -> None:
        """A person has to read them."""
        assert masked(text) == text

    @given(st.text(st.characters()))
    @example("\ud800 and \udcff")
    def test_no_text_and_no_secret_makes_it_fail(self, text: str) -> None:
        """Not even halves of surrogate pairs, as an undecodable environment gives them."""
        secret = Secret(f"fake-secret{text}")
        assert secret.reveal() not in masked(f"{text}{secret.reveal()}") or "*" in text

    def test_threads_that_make_secrets_do_not_disturb_it(self) -> None:
        """Secrets come and go while a text is masked."""
        stop, kept = threading.Event(), Secret("fake-secret-that-stays")

        def make() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                Secret(f"fake-secret-{number}")

        makers = [threading.Thread(target=make) for _ in range(2)]
        for maker in makers:
            maker.start()
        try:
            assert {masked(f"a {kept.reveal()}") for _ in range(200)} == {"a ***"}
        finally:
            stop.set()
            for maker in makers:
                maker.join()


class Unprintable:
    """A value that cannot be shown, and brings a secret along when one tries."""

    def __str__(self) -> str:
        raise ValueError(VALUE)


class _Plain(logging.Formatter):
    """Shows what is left of a record, whatever it is."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record) + repr(record.__dict__)


@pytest.fixture
def secret() -> Secret:
    """A secret that lives as long as the test."""
    return Secret(VALUE)


@pytest.fixture
def out() -> io.StringIO:
    """Where lines go."""
    return io.StringIO()


@pytest.fixture
def log(out: io.StringIO) -> Iterator[logging.Logger]:
    """A logger of its own, with the net."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(_Plain())
    handler.addFilter(Net())
    logger = logging.Logger("fake")  # noqa: LOG001 - nobody's child: pytest's own handlers keep records as they were
    logger.addHandler(handler)
    yield logger
    handler.close()


def shown_in(text: str) -> list[str]:
    """The ways in which a text shows the secret; there should be none."""
    return [name for name, form in FORMS.items() if form(VALUE) in text]


class TestNet:
    """No line leaves with a secret in it."""

    @pytest.mark.parametrize(
        ("message", "arguments", "expected"),
        [
            ("of %s", (VALUE,), "of ***"),
            ("of %r", (VALUE,), 'of "***"'),
            ("of %(what)s", ({"what": VALUE},), "of ***"),
            ("of %s", ([{"token": VALUE}],), "of [{'token': \"***\"}]"),
            ("of %s", ([VALUE.encode()],), 'of [b"***"]'),
            (f"of {VALUE} 100%", (), "of *** 100%"),
            (VALUE, (), "***"),
            ("%d %s", (7, "access_token=unknown&x=1"), "7 access_token=***&x=1"),
            ("of %d calls", (7,), "of 7 calls"),
        ],
    )
    def test_messages_and_their_arguments(  # noqa: PLR0917 - fixtures
        self, message: str, arguments: tuple[Any, ...], expected: str, secret: Secret, log: logging.Logger,
        out: io.StringIO,
    ) -> None:  # fmt: skip
        """The line is what it would be, with asterisks, and nothing else of the record holds the secret."""
        log.warning(message, *arguments)
        assert out.getvalue().startswith(f"{expected}{{")
        assert secret
        assert shown_in(out.getvalue()) == []

    def test_exceptions(self, secret: Secret, log: logging.Logger, out: io.StringIO) -> None:
        """Causes, contexts, notes, groups and their parts are told, without it."""
        try:
            try:
                try:
                    os.environ[VALUE]
                except KeyError as error:
                    raise ValueError(f"in a URL: {quote(VALUE, safe='')}") from error
            except ValueError as error:
                error.add_note(f"a note: {VALUE}")
                raise ExceptionGroup(f"of {VALUE}", [error, OSError(5, "broken", VALUE)]) from None
        except ExceptionGroup:
            log.exception("it failed")
        text = out.getvalue()
        assert secret
        assert shown_in(text) == []
        for told in ("it failed", "KeyError", "ValueError: in a URL: ***", "a note: ***", "broken", "direct cause"):
            assert told in text

    def test_an_exception_that_another_handler_has_formatted(
        self, secret: Secret, log: logging.Logger, out: io.StringIO
    ) -> None:
        """What a formatter without the net has kept in the record is masked, too."""
        log.handlers.insert(0, logging.StreamHandler(io.StringIO()))
        try:
            int(secret.reveal())
        except ValueError:
            log.exception("it failed")
        assert 'ValueError: invalid literal for int() with base 10: "***"' in out.getvalue()
        assert VALUE not in out.getvalue().partition("{")[0]

    @pytest.mark.parametrize("exc_info", [True, (None, None, None), False, None])
    def test_no_exception_is_no_exception(self, exc_info: Any, log: logging.Logger, out: io.StringIO) -> None:
        """A line outside of any handler of exceptions is a line."""
        log.warning("fine", exc_info=exc_info)
        assert out.getvalue().startswith("fine")

    def test_stacks(self, secret: Secret, log: logging.Logger, out: io.StringIO) -> None:
        """The lines of code that a stack shows are masked like any text."""
        log.warning("here, access_token=%s", "unknown", stack_info=len("fake/secret+0123=456'789") > 0)
        assert secret
        assert 'log.warning("here, access_token=***' in out.getvalue()
        assert shown_in(out.getvalue()) == []

    @pytest.mark.parametrize(
        ("message", "arguments"),
        [("%d", (VALUE,)), ("%s %s", (VALUE,)), ("none", (VALUE,)), ("%s", (Unprintable(),)), (Unprintable(), ())],
    )
    def test_lines_that_cannot_be_formatted(
        self, message: Any, arguments: tuple[Any, ...], log: logging.Logger, out: io.StringIO,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        """They say so, do not bring their arguments to light, and raise nothing."""
        log.warning(message, *arguments)
        assert out.getvalue().startswith("a log line of fake that cannot be formatted")
        assert shown_in(out.getvalue()) == []
        assert capsys.readouterr() == ("", "")

    def test_an_exception_that_cannot_be_shown(self, secret: Secret, log: logging.Logger, out: io.StringIO) -> None:
        """Its kind is told."""

        class Odd(Exception):
            def __str__(self) -> str:
                raise ValueError(secret.reveal())

        log.error("it failed", exc_info=Odd())
        assert "Odd" in out.getvalue()
        assert shown_in(out.getvalue()) == []

    def test_twice_is_harmless(self, secret: Secret, log: logging.Logger, out: io.StringIO) -> None:
        """Two nets in one handler, and a handler with a net after another, show the same line."""
        log.handlers[0].addFilter(Net())
        other = io.StringIO()
        second = logging.StreamHandler(other)
        second.setFormatter(_Plain())
        second.addFilter(Net())
        log.addHandler(second)
        try:
            int(secret.reveal())
        except ValueError:
            log.exception("100%% of %s", secret.reveal())
        assert out.getvalue() == other.getvalue()
        assert out.getvalue().startswith("100% of ***\nTraceback")

    def test_a_secret_itself_may_be_an_argument(self, secret: Secret, log: logging.Logger, out: io.StringIO) -> None:
        """It needs no net."""
        log.handlers[0].filters.clear()
        log.warning("of %s %r", secret, [secret])
        assert out.getvalue().startswith("of *** [Secret(***)]{")
        assert shown_in(out.getvalue()) == []

    def test_every_line_passes(self) -> None:
        """It hides, it does not swallow."""
        record = logging.LogRecord("fake", logging.DEBUG, __file__, 1, "x", None, sys.exc_info())
        assert Net().filter(record) is True

"""What each service is sent, and what its answers mean."""

import hashlib
import hmac
import json
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.notice import parse_template
from harvester.secret import Secret
from harvester.telling.services import Verdict, Webhook, letter, said, verdict

NOW_S = 1_800_000_000.25
SECRET = "SEC-of-a-robot"  # noqa: S105 - a test's


def webhook(service: str, *, secret: str | None = None, text: str = "{headline}", query: str = "") -> Webhook:
    """One to be told."""
    return Webhook(
        name=f"notify[0] ({service})",
        service=service,
        url=Secret(f"https://robot.example/send{query}"),
        secret=Secret(secret) if secret else None,
        template=parse_template(text),
    )


def sent(one: Webhook, **values: Any) -> Any:
    """The body, as the service reads it."""
    return json.loads(letter(one, values, NOW_S).body)


@pytest.mark.parametrize(
    ("service", "body"),
    [
        ("wecom", {"msgtype": "text", "text": {"content": "完"}}),
        ("dingtalk", {"msgtype": "text", "text": {"content": "完"}}),
        ("feishu", {"msg_type": "text", "content": {"text": "完"}}),
        ("slack", {"text": "完"}),
        ("json", {"text": "完", "headline": "完", "calls": 5, "took": None}),
    ],
)
def test_each_service_gets_what_it_understands(service: str, body: object) -> None:
    """JSON gets every field besides, numbers as numbers, what is not known as null."""
    values = {"headline": "完", **({"calls": 5, "took": None} if service == "json" else {})}
    assert sent(webhook(service), **values) == body
    assert letter(webhook(service), values, NOW_S).url.reveal() == "https://robot.example/send"


@pytest.mark.parametrize(("query", "rest"), [("?access_token=abc", {"access_token": ["abc"]}), ("", {})])
def test_dingtalk_is_signed_in_the_query(query: str, rest: dict[str, list[str]]) -> None:
    """Milliseconds, and the HMAC of both lines under the secret."""
    signed = letter(webhook("dingtalk", secret=SECRET, query=query), {"headline": "x"}, NOW_S)
    found = parse_qs(urlsplit(signed.url.reveal()).query)
    stamp, sign = found.pop("timestamp")[0], found.pop("sign")[0]
    assert found == rest
    assert stamp == "1800000000250"
    assert b64decode(sign) == hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256).digest()
    assert SECRET not in signed.body.decode()


def test_feishu_is_signed_in_the_body() -> None:
    """Seconds, and the HMAC of nothing under both lines."""
    body = sent(webhook("feishu", secret=SECRET), headline="x")
    assert body["timestamp"] == "1800000000"
    key = f"1800000000\n{SECRET}".encode()
    assert b64decode(body["sign"]) == hmac.new(key, b"", hashlib.sha256).digest()
    assert body["content"] == {"text": "x"}


def test_slack_takes_what_comes_from_a_field_as_text() -> None:
    """An account's name cannot call everybody; the template's own words can."""
    one = webhook("slack", text="<!channel> {headline}")
    assert said(one, {"headline": "<!here> & <https://x|y>"}) == ("<!channel> &lt;!here&gt; &amp; &lt;https://x|y&gt;")


@given(st.text(alphabet=st.sampled_from("a完\n😀"), max_size=3000))
def test_wecom_gets_what_it_takes(text: str) -> None:
    """At most 2,048 bytes, whole characters, whole lines if there are any; shorter ones are left as they are."""
    told = said(webhook("wecom"), {"headline": text})
    assert len(told.encode()) <= 2048
    if len(text.strip().encode()) <= 2048:
        assert told == text.strip()
    else:
        assert told.endswith("\n…")
        assert text.strip().startswith(told.removesuffix("\n…"))


def test_no_secret_and_no_phone_number_is_said() -> None:
    """The net is under these texts, too."""
    key = Secret("0123-a-token-4567")
    assert said(webhook("wecom"), {"headline": f"{key.reveal()} of 13912345678"}) == "*** of ***"


def test_a_webhook_does_not_show_its_address() -> None:
    """Neither printed nor formatted."""
    one = webhook("dingtalk", secret=SECRET, query="?access_token=0123456789")
    shown = f"{one} {one!r} {letter(one, {}, NOW_S)!r}"
    assert not [text for text in (SECRET, "0123456789", "robot.example") if text in shown]


GOOD = [
    ("wecom", 200, b'{"errcode":0,"errmsg":"ok"}'),
    ("dingtalk", 200, b'{"errcode":0,"errmsg":"ok"}'),
    ("feishu", 200, b'{"code":0,"msg":"success","data":{}}'),
    ("feishu", 200, b'{"StatusCode":0,"StatusMessage":"success"}'),
    ("slack", 200, b"ok"),
    ("slack", 200, b"ok\n"),
    ("json", 200, b""),
    ("json", 204, b""),
    ("json", 202, b"whatever"),
]
BAD = [
    ("wecom", 200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', "HTTP 200, but {", False),
    ("wecom", 200, b'{"errcode":-1,"errmsg":"busy"}', "HTTP 200, but {", True),
    ("wecom", 200, b"", "HTTP 200, but an empty answer", False),
    ("wecom", 200, b"[0]", "HTTP 200, but [0]", False),
    ("wecom", 200, b'{"errcode":false}', "HTTP 200, but", False),
    ("wecom", 200, b'{"code":0}', "HTTP 200, but", False),
    ("dingtalk", 200, b'{"errcode":310000,"errmsg":"sign not match"}', "security settings", False),
    ("feishu", 200, b'{"code":19021,"msg":"sign match fail"}', "sign match fail", False),
    ("feishu", 200, b'{"code":9499,"msg":"Bad Request","StatusCode":0}', "Bad Request", False),
    ("feishu", 200, b"<html>a login page", "HTTP 200, but <html>", False),
    ("slack", 200, b"<html>a login page", "HTTP 200, but not its", False),
    ("slack", 404, b"no_service", "HTTP 404: no_service", False),
    ("slack", 429, b"rate_limited", "HTTP 429", True),
    ("json", 500, b"", "HTTP 500", True),
    ("json", 301, b"", "redirects are not followed", False),
    ("json", 401, b"", "HTTP 401", False),
    ("slack", 204, b"", "HTTP 204", False),
]


@pytest.mark.parametrize(("service", "status", "body"), GOOD)
def test_what_was_taken(service: str, status: int, body: bytes) -> None:
    """Each service says so in its own way."""
    assert verdict(service, status, body, body.decode()) == Verdict()


@pytest.mark.parametrize(("service", "status", "body", "words", "again"), BAD)
def test_what_was_not_taken(service: str, status: int, body: bytes, words: str, again: bool) -> None:
    """The service's own words are told, also those that come with HTTP 200; only what may pass is tried again."""
    found = verdict(service, status, body, body.decode())
    assert found.refused is not None
    assert words in found.refused
    assert found.again is again


@given(st.sampled_from(["wecom", "dingtalk", "feishu", "slack"]), st.binary(max_size=60))
def test_no_answer_is_too_odd(service: str, body: bytes) -> None:
    """Whatever comes is taken or not taken."""
    assert isinstance(verdict(service, 200, body, "?"), Verdict)

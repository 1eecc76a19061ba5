r"""What each service understands, and what its answers mean. Pure.

Sources (D: the service's own documents, C: as quoted by others, ?: not confirmed):
  WeCom     `msgtype` text, at most 2,048 bytes; `errcode` 0 is good (C); 20 messages a minute (C)
  DingTalk  `msgtype` text; `errcode` 0 is good, 310000 is its security settings (C); `timestamp` in milliseconds, an
            hour off at most, and `sign` = base64(HMAC-SHA256(secret, timestamp + "\n" + secret)) in the query (C)
  Feishu    `msg_type` text, a body of at most 20 KB; `code` 0 is good, older robots say `StatusCode` (C); `timestamp`
            in seconds and `sign` = base64(HMAC-SHA256(timestamp + "\n" + secret, nothing)) in the body (C)
  Slack     `text`; HTTP 200 is good, 4xx and 410 say why in one word (D); its text is `ok` (C)
Whether -1 is always "busy, try again" of WeCom and DingTalk is ?; once more does no harm.
"""

import hmac
import json
from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus

from harvester.notice import Template, Value, shown
from harvester.secret import Secret, masked

_MOST_BYTES: Final = {"wecom": 2048}
_MANY_BYTES: Final = 4000
"""Longer than this nobody reads in a chat."""
_CUT: Final = "\n…"
_BUSY: Final = -1
_SETTINGS: Final = "look after the robot's security settings: keywords, signature ([[notify]] secret) or addresses"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where something is told.

    Attributes:
        name: For messages: `notify[0] (wecom)`.
        service: "json", "wecom", "feishu", "dingtalk" or "slack".
        url: Its address.
        template: What is said.
        on: When it is told.
        secret: Signs what is sent; `None`: it is not signed.
        keys: Parts of the address that nobody may see by themselves either: held, so that they are masked.
    """

    name: str
    service: str
    url: Secret
    template: Template
    on: Collection[str] = ("always",)
    secret: Secret | None = None
    keys: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One request, ready to be posted."""

    url: Secret
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an answer means.

    Attributes:
        refused: Why it was not taken, for a person; `None` when it was.
        again: Whether it may be tried again.
    """

    refused: str | None = None
    again: bool = False


def letter(webhook: Webhook, values: Mapping[str, Value], now_s: float) -> Letter:
    """What is posted.

    Args:
        webhook: Where to.
        values: The fields, without secrets.
        now_s: Unix seconds, for the signature.
    """
    text = said(webhook, values)
    url = webhook.url
    body: dict[str, Any]
    match webhook.service:
        case "wecom":
            body = {"msgtype": "text", "text": {"content": text}}
        case "dingtalk":
            body = {"msgtype": "text", "text": {"content": text}}
            if webhook.secret:
                stamp = str(round(now_s * 1000))
                sign = _sign(webhook.secret.reveal(), f"{stamp}\n{webhook.secret.reveal()}")
                joint = "&" if "?" in url.reveal() else "?"
                url = Secret(f"{url.reveal()}{joint}timestamp={stamp}&sign={quote_plus(sign)}")
        case "feishu":
            body = {"msg_type": "text", "content": {"text": text}}
            if webhook.secret:
                stamp = str(int(now_s))
                body = {"timestamp": stamp, "sign": _sign(f"{stamp}\n{webhook.secret.reveal()}", ""), **body}
        case "slack":
            body = {"text": text}
        case _:
            body = {"text": text, **values}
    return Letter(url=url, body=json.dumps(body, ensure_ascii=False).encode(errors="replace"))


def said(webhook: Webhook, values: Mapping[str, Value]) -> str:
    """The text, as long as the service takes it; what comes from a field has no meaning of its own in it."""
    if webhook.service == "slack":
        values = {name: _for_slack(shown(value)) for name, value in values.items()}
    text = masked(webhook.template.fill(values)).strip()
    return text if webhook.service == "json" else _cut(text, _MOST_BYTES.get(webhook.service, _MANY_BYTES))


def _for_slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, most_bytes: int) -> str:
    raw = text.encode(errors="replace")
    if len(raw) <= most_bytes:
        return text
    kept = raw[: most_bytes - len(_CUT.encode())].decode(errors="ignore")
    lines, _, _ = kept.rpartition("\n")
    return (lines or kept) + _CUT


def _sign(key: str, text: str) -> str:
    return b64encode(hmac.digest(key.encode(), text.encode(), "sha256")).decode()


def verdict(service: str, status: int, body: bytes, words: str) -> Verdict:
    """What an answer means.

    Args:
        service: Whose it is.
        status: HTTP.
        body: As it came; it may have been cut.
        words: The same as a person may read it, without secrets.
    """
    if status != 200 and not (service == "json" and 200 < status < 300):
        moved = "it is somewhere else, and redirects are not followed: mend its url" if 300 <= status < 400 else words
        return Verdict(refused=f"HTTP {status}{moved and f': {moved}'}", again=status == 429 or status >= 500)
    match service:
        case "wecom" | "dingtalk":
            return _by_code(_member(body, "errcode"), words, _SETTINGS if service == "dingtalk" else "")
        case "feishu":
            code = _member(body, "code")
            return _by_code(_member(body, "StatusCode") if code is None else code, words, _SETTINGS)
        case "slack" if body.strip() != b"ok":
            return Verdict(refused=f"HTTP 200, but not its “ok”: {words or 'nothing'}")
        case _:
            return Verdict()


def _by_code(code: object, words: str, hint: str) -> Verdict:
    if code == 0 and not isinstance(code, bool):
        return Verdict()
    told = f"HTTP 200, but {words or 'an empty answer'}"
    return Verdict(refused=f"{told}; {hint}" if hint else told, again=code == _BUSY)


def _member(body: bytes, name: str) -> object:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return values.get(name) if isinstance(values, dict) else None

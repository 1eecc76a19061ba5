"""The dialect of the two documented ways to a new access token. Pure.

They live beside the versioned API, carry no token, timestamp or nonce, and answer with the same envelope (documented).
"""

from typing import Any, Final
from urllib.parse import quote

import msgspec

from harvester.api.codes import Fault
from harvester.api.envelope import NotUnderstoodError, Request, Response, cleaned, number, read
from harvester.api.tokens.pair import Credentials, Pair, Renewal
from harvester.secret import Secret

EXTEND_PATH: Final = "/oauth/token"
ROTATE_PATH: Final = "/oauth/refresh_token"
_LONGEST: Final = 4096
_SCOPES_MOST: Final = 64


def request_renewal(credentials: Credentials, refresh: Secret) -> Request:
    """The request for a new access token.

    Args:
        credentials: Of the token; with its app's secret.
        refresh: The refresh token that is held now.
    """
    secret = credentials.client_secret.reveal() if credentials.client_secret else ""
    safe = f"client_id={quote(credentials.client_id, safe='')}"
    hidden = f"client_secret={quote(secret, safe='')}&refresh_token={quote(refresh.reveal(), safe='')}"
    if credentials.renewal is Renewal.ROTATE:
        return Request(ROTATE_PATH, f"{safe}&{hidden}", safe, fresh=True)
    return Request(EXTEND_PATH, f"{safe}&grant_type=refresh_token&{hidden}", safe, fresh=True)


class _Info(msgspec.Struct):
    scope_list: Any = None


class _Data(msgspec.Struct):
    access_token: Any = None
    refresh_token: Any = None
    access_token_expires_in: Any = None
    refresh_token_expires_in: Any = None
    authorizer_info: Any = None


_data = msgspec.json.Decoder(_Data).decode


def read_renewal(response: Response, before: Pair, sent_at: float) -> Pair | Fault:
    """The new pair of an answer, or what is wrong with it.

    An extension's answer holds no refresh token: the one before stays (documented). One that does hold a new one is
    taken at its word.

    Args:
        response: The answer.
        before: What was held when it was asked for.
        sent_at: Unix time at which it was asked for: lives count from then, rather too short than too long.
    """
    return read(response, lambda raw: _pair(raw, before, sent_at))


def _pair(raw: msgspec.Raw, before: Pair, sent_at: float) -> Pair:
    try:
        data = _data(raw)
    except msgspec.DecodeError:
        raise NotUnderstoodError("no usable `data` in the envelope") from None
    access = _token(data.access_token)
    if access is None:
        raise NotUnderstoodError("no usable access_token in `data`")
    return Pair(
        access=access,
        access_until=_until(data.access_token_expires_in, sent_at),
        refresh=_token(data.refresh_token) or before.refresh,
        refresh_until=_until(data.refresh_token_expires_in, sent_at),
        since=sent_at,
        scopes=_scopes(data.authorizer_info) or before.scopes,
    )


def _token(value: object) -> Secret | None:
    """A token as it may travel in a query string: printable ASCII without spaces."""
    usable = isinstance(value, str) and 0 < len(value) <= _LONGEST and all("!" <= one <= "~" for one in value)
    return Secret(value) if usable and isinstance(value, str) else None


def _until(life: object, sent_at: float) -> float | None:
    life_s = number(life)
    return sent_at + life_s if life_s is not None and 0 < life_s < 10**10 else None


def _scopes(info: object) -> tuple[str, ...]:
    scopes = info.get("scope_list") if isinstance(info, dict) else None
    if not isinstance(scopes, list):
        return ()
    return tuple(text for scope in scopes[:_SCOPES_MOST] if (text := cleaned(scope)))

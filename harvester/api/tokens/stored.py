"""A stored token as a value: what its file holds, and what counts, the file or the config. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from harvester.api.tokens.pair import Credentials, Pair
from harvester.secret import Secret

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a token's file holds.

    Attributes:
        token: The name of the `[tokens.NAME]` table.
        serial: One more with every pair.
        pair: What is held now.
        former: The pair before, while its access token may still do.
        access_mark: A digest of the config's access token when the pair was stored: another one there is newer.
        refresh_mark: The same of its refresh token; empty when there was none.
        rotating_since: Unix time at which a rotation was begun whose answer is not stored yet; `None` for none.
    """

    token: str
    serial: int
    pair: Pair
    former: Pair | None = None
    access_mark: str
    refresh_mark: str
    rotating_since: float | None = None


def mark_of(secret: Secret | None) -> str:
    """What tells a secret from another one, and nothing else about it."""
    if secret is None:
        return ""
    return hashlib.blake2b(secret.reveal().encode(), digest_size=16, person=b"harvester-token").hexdigest()


def held(credentials: Credentials, stored: Stored | None) -> tuple[Pair, Pair | None]:
    """The pair that counts, and the one before while it may still do.

    The store is newer than the config, but for what a person has changed in the config since: that is newer still.
    """
    config = Pair(access=credentials.access, refresh=credentials.refresh)
    if stored is None:
        return config, None
    changed_access = mark_of(credentials.access) != stored.access_mark
    changed_refresh = mark_of(credentials.refresh) != stored.refresh_mark
    if not (changed_access or changed_refresh):
        return stored.pair, stored.former
    if changed_access and changed_refresh:
        return config, None
    if changed_access:
        return replace(stored.pair, access=credentials.access, access_until=None, since=None, scopes=()), None
    return replace(stored.pair, refresh=credentials.refresh, refresh_until=None), None


def encode(stored: Stored) -> bytes:
    """The content of its file, with a digest of it."""
    content = {
        "version": _VERSION,
        "token": stored.token,
        "serial": stored.serial,
        "pair": _plain(stored.pair),
        "former": _plain(stored.former) if stored.former else None,
        "config": {"access": stored.access_mark, "refresh": stored.refresh_mark},
        "rotating_since": stored.rotating_since,
    }
    return orjson.dumps({**content, "digest": _digest(content)}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def decode(text: bytes) -> Stored | None:
    """What a file holds; `None` when it is not as it was written."""
    try:
        content = orjson.loads(text.rstrip(b"\0"))  # a process may have died before it cut off the room
        digest = content.pop("digest")
        if content["version"] != _VERSION or digest != _digest(content):
            return None
        return Stored(
            token=content["token"],
            serial=content["serial"],
            pair=_pair(content["pair"]),
            former=_pair(content["former"]) if content["former"] else None,
            access_mark=content["config"]["access"],
            refresh_mark=content["config"]["refresh"],
            rotating_since=content["rotating_since"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _plain(pair: Pair) -> dict[str, Any]:
    return {
        "access_token": pair.access.reveal(),
        "access_until": pair.access_until,
        "refresh_token": pair.refresh.reveal() if pair.refresh else None,
        "refresh_until": pair.refresh_until,
        "since": pair.since,
        "scopes": list(pair.scopes),
    }


def _pair(plain: Mapping[str, Any]) -> Pair:
    return Pair(
        access=Secret(plain["access_token"]),
        access_until=plain["access_until"],
        refresh=Secret(plain["refresh_token"]) if plain["refresh_token"] else None,
        refresh_until=plain["refresh_until"],
        since=plain["since"],
        scopes=tuple(plain["scopes"]),
    )

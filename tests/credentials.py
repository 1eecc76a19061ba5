"""Tokens for tests, as short as they can be written."""

from collections.abc import Callable, Mapping

from harvester.api.tokens import Credentials, Tokens
from harvester.api.transport import Transport
from harvester.model import AppName, TokenName
from harvester.secret import Secret


def credentials(access: str, app: str = "app") -> Credentials:
    """An access token that nothing renews."""
    return Credentials(app=AppName(app), access=Secret(access))


def fleet(access_tokens: Mapping[TokenName, str], transport: Transport, wall: Callable[[], float]) -> Tokens:
    """Tokens that nothing renews, and that nothing stores."""
    return Tokens({name: credentials(access) for name, access in access_tokens.items()}, transport, wall)

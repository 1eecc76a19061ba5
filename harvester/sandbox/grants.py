"""What a person granted an app: the tokens that stand for it at first, their lives, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from harvester.model import AccountId

CLIENT_ID: Final = "1100000"
CLIENT_SECRET: Final = "sandbox-client-secret"  # noqa: S105 - opens nothing but a sandbox on loopback
"""The app's secret, unless told otherwise."""
ACCESS: Final = "sandbox-access-token"
"""The access token that a sandbox accepts unless told otherwise."""
REFRESH: Final = "sandbox-refresh-token"
"""The refresh token of a sandbox that was not told otherwise."""
SCOPES: Final = ("ads_management", "ads_insights", "account_management", "audience_management", "user_actions")
"""Any one of them opens the calls and both lists of accounts (documented, by endpoint)."""


class Kind(StrEnum):
    """Whose token it is, and so which endpoint lists its accounts."""

    ANY = "any"
    """Both do: no token of the API is like this."""
    ADVERTISER = "advertiser"
    """An agency's or an advertiser's: `advertiser/get`."""
    ORGANIZATION = "organization"
    """An organisation's: `organization_account_relation/get`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One authorisation of an app.

    Attributes:
        access: The first access token.
        client_id: The app it was granted to; grants of one app share its quotas.
        accounts: What it may read; `None`: every account.
        expires_at: Unix seconds from which the first access token answers 11000; `None`: never.
        name: What statistics and hooks call it; empty: its first access token.
        refresh: The first refresh token, alive for `refresh_life_s` from the beginning; `None`: there is none.
        client_secret: The app's.
        access_life_s: Seconds that a new access token lives, from the answer that brings it (24 h documented).
        refresh_life_s: The same for a refresh token; an extension starts it again (30 days documented).
        scopes: What was granted; empty: all that the app may do (documented). Without any of `SCOPES`: 11014.
        kind: Which endpoint lists its accounts.
        agency_id: The agency that `advertiser/get` has to name, as a service provider's whole company must
            (documented); `None`: it need not.
    """

    access: str = ACCESS
    client_id: str = CLIENT_ID
    accounts: frozenset[AccountId] | None = None
    expires_at: float | None = None
    name: str = ""
    refresh: str | None = None
    client_secret: str = CLIENT_SECRET
    access_life_s: float = 86_400.0
    refresh_life_s: float = 2_592_000.0
    scopes: tuple[str, ...] = SCOPES
    kind: Kind = Kind.ANY
    agency_id: AccountId | None = None

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or self.access

    @property
    def may_read(self) -> bool:
        """Whether it covers the endpoints that there are."""
        return not self.scopes or any(scope in SCOPES for scope in self.scopes)

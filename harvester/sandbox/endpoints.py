"""What the sandbox answers: each endpoint by its path below the base URL (documented)."""

from enum import StrEnum


class Endpoint(StrEnum):
    """One endpoint; a quota is one app's at one endpoint (documented)."""

    CALLS = "/v3.0/leads_call_records/get"
    ADVERTISER = "/v3.0/advertiser/get"
    """The accounts of an agency's token."""
    ORGANIZATION = "/v3.0/organization_account_relation/get"
    """The accounts of an organisation's token."""
    EXTEND = "/oauth/token"
    """A new access token; the refresh token stays, and its life starts again. No version in the path."""
    ROTATE = "/oauth/refresh_token"
    """A new pair; the old one dies at once. No version in the path."""

    @property
    def noun(self) -> str:
        """What it gives, without version and verb, such as `advertiser`."""
        return self.split("/")[-2]

    @property
    def renews(self) -> bool:
        """Whether it gives tokens, and so asks for no token, timestamp or nonce."""
        return self in {Endpoint.EXTEND, Endpoint.ROTATE}

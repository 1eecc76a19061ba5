"""A token as values: what the config gives, and what is held now. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from harvester.model import AppName
from harvester.secret import Secret


class Renewal(StrEnum):
    """The two documented ways to a new access token."""

    EXTEND = "extend"
    """`oauth/token`: the refresh token stays, its life starts again."""
    ROTATE = "rotate"
    """`oauth/refresh_token`: both are new, the old pair dies at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An access token, and what renews it.

    Attributes:
        access: The access token.
        access_until: Unix time at which it expires; `None` when that is not known.
        refresh: The refresh token; `None` when there is none.
        refresh_until: Unix time at which it expires; `None` when that is not known.
        since: Unix time at which the access token was given to harvester; `None`: it is the config's.
        scopes: What was granted, as the API names it; empty when that is not known.
    """

    access: Secret
    access_until: float | None = None
    refresh: Secret | None = None
    refresh_until: float | None = None
    since: float | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A `[tokens.NAME]` table with its app's.

    Attributes:
        app: The app it belongs to.
        access: The access token.
        refresh: The refresh token; `None` when there is none.
        client_id: The app's id.
        client_secret: The app's secret; `None` when there is none.
        renewal: How the access token is renewed.
    """

    app: AppName
    access: Secret
    refresh: Secret | None = None
    client_id: str = ""
    client_secret: Secret | None = None
    renewal: Renewal = Renewal.EXTEND

    @property
    def can_renew(self) -> bool:
        """Whether there is all that a renewal takes."""
        return self.client_secret is not None and self.refresh is not None

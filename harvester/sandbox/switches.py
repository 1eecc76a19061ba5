"""Every unknown of the API as a switch, with the behaviour thought likeliest as the default."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from harvester.model import AccountId
from harvester.sandbox.faults import Fault
from harvester.sandbox.grants import ACCESS, CLIENT_ID, CLIENT_SECRET, REFRESH, Grant, Kind
from harvester.sandbox.world import chance

__all__ = [
    "ACCESS", "CLIENT_ID", "CLIENT_SECRET", "REFRESH", "Alignment", "CursorRule", "Empty", "EndDate", "FormerToken",
    "Grant", "Kind", "Listing", "Numbers", "Order", "Outage", "Oversize", "Poison", "Switches", "Ties", "Total",
]  # fmt: skip

_DEAD: Final = (12201, 32211, 60002, 60003)
"""Not readable by the token, inactive, unknown, of the wrong role."""


class Order(StrEnum):
    """By `call_start_time`; descending is likelier: a sibling endpoint documents it."""

    DESC = "desc"
    ASC = "asc"


class CursorRule(StrEnum):
    """Whether the second given as `search_after` is itself part of the answer."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"


class Ties(StrEnum):
    """How calls of one second are ordered."""

    STABLE = "stable"
    """By `call_id`, whatever the order of the seconds."""
    REVERSED = "reversed"
    """By `call_id`, the greatest first."""
    UNSTABLE = "unstable"
    """Shuffled anew for each request."""


class Oversize(StrEnum):
    """What happens to a `page_size` beyond the maximum."""

    REFUSE = "refuse"
    """Code 60013."""
    CLAMP = "clamp"
    """Fewer calls, and `page_info.page_size` says so."""
    CLAMP_SILENTLY = "clamp-silently"
    """Fewer calls, and `page_info.page_size` repeats what was asked for."""


class Total(StrEnum):
    """What `total_number` counts."""

    WINDOW = "window"
    REST = "rest"
    """What is left from the cursor on."""
    CAPPED = "capped"
    """The window, but never more than `total_cap`."""


class EndDate(StrEnum):
    """Whether calls of the `end_date` belong to the answer."""

    INCLUSIVE = "inclusive"
    EXCLUSIVE = "exclusive"


class Empty(StrEnum):
    """What `entities` is when there are none."""

    LIST = "list"
    NULL = "null"
    ABSENT = "absent"


class Numbers(StrEnum):
    """How the numbers of `page_info`, or of a token's life, are written."""

    INT = "int"
    STRING = "string"
    EMPTY_ZERO = "empty-zero"
    """As integers, but zero as an empty string."""


class Alignment(StrEnum):
    """Which seconds and minutes the limits hold in."""

    SLIDING = "sliding"
    """In any second and any 60 s."""
    FIXED = "fixed"
    """In each second and minute of the server's clock; at its end all is free again."""


class FormerToken(StrEnum):
    """What becomes of the access token before when an extension gives a new one; a rotation always ends it."""

    STAYS = "stays"
    """It works until its own end."""
    DIES = "dies"


class Listing(StrEnum):
    """How a list of accounts ends that is read by cursor."""

    HONEST = "honest"
    """`has_more` is false on the last page that holds an account, as documented."""
    BARE = "bare"
    """So it is, but by being absent, and the cursor with it: as on the official pages' examples."""
    EMPTY_TAIL = "empty-tail"
    """It is true there, and a page without accounts follows."""
    ENDLESS = "endless"
    """It is always true: pages without accounts follow for ever, each with another cursor."""
    REPEATS = "repeats"
    """It is always true, and every page after the first has the first one's cursor."""


Poison = tuple[AccountId, dt.date, int | str]
"""An account, a day, and what a window with this day meets: a return code, or a fault's name."""
Outage = tuple[float, float, str]
"""From when, until when, in seconds since serving began, and the fault's name: `(30, 90, "unavailable")`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """How this sandbox behaves.

    Attributes:
        seed: Of all chance that is not the world's: faults, jitter, shuffled ties, dead accounts.
        order: Of the calls by start.
        cursor: Whether `search_after` includes its own second.
        ties: The order within one second.
        max_page_size: Calls; beyond it, `oversize` decides.
        oversize: What happens beyond `max_page_size`.
        max_depth: Deepest call that `page` reaches, else 60022; `None`: any. Cursors go as deep as they like.
        total: What `total_number` counts.
        total_cap: For `Total.CAPPED`.
        end_date: Whether the last day of the window is in it.
        empty: What an answer without calls has as `entities`.
        numbers: How `page_info` writes its numbers.
        gzip: Whether answers are compressed for clients that accept it.
        pretty: Whether the JSON is indented, with line breaks inside of calls.
        extra_field: Whether calls and envelope carry fields that no document knows.
        late_calls: How many last calls of each day are not visible at first…
        late_after: …until this many pages of their account were served.
        vanish_calls: How many last calls of each day are gone…
        vanish_after: …once this many pages of their account were served.
        latency_s: Seconds before each answer, half of it to one and a half times of it, seeded.
        slow_latency_s: In place of `latency_s` during slow times; `None`: there are none.
        slow_from_s: When slow times begin, in seconds since serving began; `None`: with it.
        slow_until_s: When they end; `None`: never.
        requests_per_second: Of one app; beyond it, 11016. `None`: no such limit; so the next two.
        requests_per_minute: Of one app; beyond it, 11017.
        requests_per_day: Of one app, by Beijing day; beyond it, 11018.
        alignment: Which seconds and minutes those limits hold in.
        quota_header: Whether answers carry `X-RateLimit-Remaining`.
        penalty_s: Seconds of nothing but 11017 for an app that went beyond its minute.
        next_penalty_s: The same for an app that does so again, less than 15 minutes after the end of its last penalty;
            `None`: as `penalty_s`.
        neighbour_per_minute: Requests a minute, evenly spread, that another program sends under each app. They use its
            quotas and can get it barred, as anybody's; nothing else tells of them.
        neighbour_from_s: When the neighbour begins, in seconds since serving began; below 0: it was there before.
            `None`: with the serving.
        neighbour_until_s: When it ends; `None`: never.
        dead_account_share: Share, 0 to 1, of accounts that answer with a code of their own.
        account_codes: The same for named accounts, by account.
        poison: Days that spoil every window they are in, though their account is well otherwise.
        grants: Who may ask, and with which tokens at first.
        former_token: Whether an extension ends the access token before.
        repeat_refresh: Whether an extension's answer repeats the refresh token; documented: it does not.
        authorizer_info: Whether an extension's answer has it: the official page says no, its example has it.
        new_token_after_s: Seconds before a new access token works, 11002 until then; documented for private apps: 600.
        lives: How tokens' lives are written.
        dead_access_code: Of an access token that was ended: 11002 or 11000. One that came to its end answers 11000.
        dead_refresh_code: Of a refresh token that is unknown, ended or expired.
        wrong_secret_code: Of a `client_secret` that is not the app's; no document has a code for that.
        oauth_faults: Probability of each fault a request for tokens.
        listing: How lists of accounts end that are read by cursor.
        listing_faults: Probability of each fault a request for a list of accounts.
        faults: Probability of each fault a request for calls.
        outages: Times of nothing but one fault for requests for calls.
        fault_bytes: Size of the bodies that are far too large, after decompression.
        drip_s: Seconds between the sixteen pieces of a dripping body.
    """

    seed: int = 1
    order: Order = Order.DESC
    cursor: CursorRule = CursorRule.EXCLUSIVE
    ties: Ties = Ties.STABLE
    max_page_size: int = 200
    oversize: Oversize = Oversize.REFUSE
    max_depth: int | None = 5_000
    total: Total = Total.WINDOW
    total_cap: int = 10_000
    end_date: EndDate = EndDate.INCLUSIVE
    empty: Empty = Empty.LIST
    numbers: Numbers = Numbers.INT
    gzip: bool = False
    pretty: bool = False
    extra_field: bool = False
    late_calls: int = 0
    late_after: int = 0
    vanish_calls: int = 0
    vanish_after: int = 0
    latency_s: float = 0.0
    slow_latency_s: float | None = None
    slow_from_s: float | None = None
    slow_until_s: float | None = None
    requests_per_second: int | None = None
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    alignment: Alignment = Alignment.SLIDING
    quota_header: bool = True
    penalty_s: float = 60.0
    next_penalty_s: float | None = None
    neighbour_per_minute: int = 0
    neighbour_from_s: float | None = None
    neighbour_until_s: float | None = None
    dead_account_share: float = 0.0
    account_codes: Mapping[AccountId, int] = field(default_factory=dict)
    poison: tuple[Poison, ...] = ()
    grants: tuple[Grant, ...] = (Grant(refresh=REFRESH),)
    former_token: FormerToken = FormerToken.STAYS
    repeat_refresh: bool = False
    authorizer_info: bool = True
    new_token_after_s: float = 0.0
    lives: Numbers = Numbers.INT
    dead_access_code: int = 11002
    dead_refresh_code: int = 11012
    wrong_secret_code: int = 11007
    oauth_faults: Mapping[Fault, float] = field(default_factory=dict)
    listing: Listing = Listing.HONEST
    listing_faults: Mapping[Fault, float] = field(default_factory=dict)
    faults: Mapping[Fault, float] = field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    fault_bytes: int = 256 << 20
    drip_s: float = 0.5

    def __post_init__(self) -> None:
        if self.max_page_size < 1:
            raise ValueError("a page holds a call at least")
        if any(sum(faults.values()) > 1 for faults in (self.faults, self.oauth_faults, self.listing_faults)):
            raise ValueError("probabilities of faults add up to 1 at most")
        if self.neighbour_per_minute < 0:
            raise ValueError("a neighbour sends 0 requests a minute at least")
        for _from_s, _until_s, kind in self.outages:
            Fault.parse(kind)
        for _account_id, _day, what in self.poison:
            Fault.of(what)
        refreshes = [grant.refresh for grant in self.grants if grant.refresh is not None]
        for own in ([grant.called for grant in self.grants], [grant.access for grant in self.grants], refreshes):
            if len(own) > len(set(own)):
                raise ValueError("a name, an access token and a refresh token belong to one grant each")

    def hidden(self, served: int) -> int:
        """How many last calls of each day an account does not show after so many pages of it."""
        late = self.late_calls if served < self.late_after else 0
        return late + (self.vanish_calls if served >= self.vanish_after else 0)

    def code_of(self, account_id: AccountId) -> int:
        """The code that a dead account answers with; 0: the account is well."""
        if account_id in self.account_codes:
            return self.account_codes[account_id]
        luck = chance(self.seed, "dead", account_id)
        return _DEAD[luck & 3] if luck / 2**64 < self.dead_account_share else 0

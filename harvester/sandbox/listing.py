"""The two endpoints that list the accounts of a token: a query in, a list or the API's refusal out.

Parameters and fields are those of the official pages `advertiser/get` and `organization_account_relation/get`. Of
`filtering`, `advertiser_type`, `business_unit_id` and `agency_id` only the form is looked at.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harvester.model import AccountId
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.envelope import good, shown
from harvester.sandbox.grants import Grant, Kind
from harvester.sandbox.roll import Roll
from harvester.sandbox.switches import Empty, Listing, Switches
from harvester.sandbox.wire import Rejected, fields, integer, required

PAGE_SIZE_MAX: Final = 100
"""Documented for both."""
REACH: Final = 1_000
"""Accounts that the normal mode reaches (documented: the organisation's page says so, the advertiser's ends there)."""
PAGE_SIZE: Final = 10
"""Of an organisation's list when none is asked for; as elsewhere in this API."""
_MODES: Final = ("PAGINATION_MODE_NORMAL", "PAGINATION_MODE_CURSOR")
_TYPES: Final = ("DIRECT_ADVERTISER", "SUB_ADVERTISER")
_ADVERTISER: Final = (
    "account_id", "daily_budget", "registration_type", "corporation_name", "corporation_licence",
    "certification_image_id", "certification_image", "individual_qualification", "area_code", "mdm_id", "mdm_name",
    "system_industry_id", "customized_industry", "introduction_url", "corporate_brand_name", "memo", "system_status",
    "reject_message", "is_adx", "business_alias", "contact_person", "contact_person_email", "contact_person_telephone",
    "contact_person_mobile", "websites", "agency_account_id", "operators",
)  # fmt: skip
_ORGANIZATION: Final = ("account_id", "corporation_name", "is_bid", "is_mp", "is_adx", "comment_list")
_MISFITS: Final = {(Endpoint.ADVERTISER, Kind.ORGANIZATION): 60003, (Endpoint.ORGANIZATION, Kind.ADVERTISER): 71003}
"""71003 is the organisation endpoint's own code for other tokens (documented); the other way round it is a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request for a list, valid in itself.

    Attributes:
        by_cursor: Whether the cursor mode is asked for, rather than the normal one.
        cursor: The id of the last account that was listed; `None`: from the beginning.
        page: From 1; of the normal mode.
        page_size: 1 to 100.
        account_id: The only account wanted; `None`: all.
        fields: The names to answer with.
    """

    by_cursor: bool
    cursor: int | None
    page: int
    page_size: int
    account_id: AccountId | None
    fields: Sequence[str]


def wish(endpoint: Endpoint, given: Mapping[str, str]) -> Wish:
    """What is asked for.

    Raises:
        Rejected: 18001 missing, 18002 no integer, 18003 too large, 18004 too small, 18009 not one of the values,
            18012 no field at all, 12003, 12008, 12009 wrong fields.
    """
    advertiser = endpoint is Endpoint.ADVERTISER
    names = _names(given, required=advertiser)
    by_cursor = _among("pagination_mode", required(given, "pagination_mode"), _MODES) == _MODES[1]
    page_size = _between(given, "page_size", PAGE_SIZE_MAX)
    if page_size is None:
        page_size = integer(given, "page_size") if advertiser else PAGE_SIZE
    page = _between(given, "page", REACH if advertiser else PAGE_SIZE_MAX)
    if page is None:
        page = 1 if by_cursor or not advertiser else integer(given, "page")
    if not advertiser and not by_cursor and page * page_size > REACH:
        raise Rejected(18003, "page_size*page", REACH)
    account_id = _between(given, "account_id")
    for name in ("agency_id", "business_unit_id"):
        _between(given, name)
    if given.get("advertiser_type"):
        _among("advertiser_type", given["advertiser_type"], _TYPES)
    return Wish(
        by_cursor=by_cursor,
        cursor=_between(given, "cursor"),
        page=page,
        page_size=page_size,
        account_id=None if account_id is None else AccountId(account_id),
        fields=names,
    )


def listed(wanted: Wish, accounts: Sequence[AccountId], roll: Roll, switches: Switches) -> bytes:
    """The answer.

    Args:
        wanted: What is asked for.
        accounts: All that the token lists, ascending.
        roll: What is known of them.
        switches: How lists end, and how numbers are written.
    """
    size, total = wanted.page_size, len(accounts)
    first = (wanted.page - 1) * size
    if wanted.by_cursor:
        first = 0 if wanted.cursor is None else bisect_right(accounts, wanted.cursor)
    here = accounts[first : first + size if wanted.by_cursor else min(first + size, REACH)]
    entries = [
        {name: value for name, value in roll.entry(account_id).items() if name in wanted.fields} for account_id in here
    ]
    for entry in entries:
        if "account_id" in entry:
            entry["account_id"] = shown(int(str(entry["account_id"])), switches.numbers)
    data: dict[str, object] = {}
    if entries or switches.empty is not Empty.ABSENT:
        data["list"] = entries if entries or switches.empty is Empty.LIST else None
    info = {"page_size": size, "total_number": total}
    if wanted.by_cursor:
        end = _end(wanted, accounts, here, switches.listing)
        data["cursor_page_info"] = {name: shown(value, switches.numbers) for name, value in info.items()} | end
    else:
        info = {"page": wanted.page, **info, "total_page": -(-total // size)}
        data["page_info"] = {name: shown(value, switches.numbers) for name, value in info.items()}
    return good(data, switches)


def entitled(endpoint: Endpoint, given: Mapping[str, str], grant: Grant) -> None:
    """This grant may ask for this list.

    Raises:
        Rejected: Its token is of the other kind, or the agency is missing (18001) or another one (12201).
    """
    if code := _MISFITS.get((endpoint, grant.kind)):
        raise Rejected(code)
    if endpoint is Endpoint.ADVERTISER and grant.agency_id not in {None, _between(given, "agency_id")}:
        raise Rejected(12201) if given.get("agency_id") else Rejected(18001, "agency_id")


def _end(wanted: Wish, accounts: Sequence[AccountId], here: Sequence[AccountId], listing: Listing) -> dict[str, object]:
    """`has_more` and `cursor`, as the switch has them."""
    more = bool(here) and here[-1] != accounts[-1]
    cursor = here[-1] if here else (wanted.cursor or 0) + 1
    match listing:
        case Listing.BARE if not more:
            return {}
        case Listing.EMPTY_TAIL:
            more = bool(here)
        case Listing.ENDLESS:
            more = True
        case Listing.REPEATS:
            more = True
            cursor = accounts[min(wanted.page_size, len(accounts)) - 1] if accounts else 1
        case _:
            pass
    return {"has_more": more, "cursor": cursor}


def _names(given: Mapping[str, str], *, required: bool) -> Sequence[str]:
    known = _ADVERTISER if required else _ORGANIZATION
    if not given.get("fields") and not required:
        return known
    if "fields" not in given:
        raise Rejected(18001, "fields")
    names = fields(given["fields"], known)
    if not names and required:
        raise Rejected(18012, "fields", 1)
    return names or known


def _between(given: Mapping[str, str], name: str, most: int | None = None) -> int | None:
    """An integer from 1; `None`: it is not there, or empty, as some clients send what they leave out."""
    if not given.get(name):
        return None
    if (value := integer(given, name)) < 1:
        raise Rejected(18004, name, 1)
    if most is not None and value > most:
        raise Rejected(18003, name, most)
    return value


def _among(name: str, value: str, values: Sequence[str]) -> str:
    if value not in values:
        raise Rejected(18009, name, ", ".join(values))
    return value

"""The dialect of the two endpoints that list the accounts of a token, and how their pages make a list. Pure.

Facts are from the official v3.0 pages `advertiser/get` and `organization_account_relation/get` unless marked. Lists are
read by cursor: page numbers end at 1,000 accounts. One goes on while `has_more` is true and stops when it is false; the
examples of both pages leave it out, and the cursor with it, where nothing follows. How far that can be relied on is not
known, so a list counts as whole only when the API's own count (`total_number`) says so.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import msgspec

from harvester.api.ask import Ask
from harvester.api.codes import Fault
from harvester.api.envelope import NotUnderstoodError, Passport, Request, Response, cleaned, number, read
from harvester.model import AccountId
from harvester.roll import Listed, Table, Via

ADVERTISER_PATH: Final = "/v3.0/advertiser/get"
ORGANIZATION_PATH: Final = "/v3.0/organization_account_relation/get"
PER_SECOND: Final = 5
"""Requests a second for these endpoints: modest, since an app's quota for them is not documented."""
_PAGE_SIZE: Final = 100
"""The documented maximum."""
_FIELDS: Final = '["account_id","corporation_name","system_status"]'
"""What is asked for: nothing of the persons behind an account."""
_MOST_PAGES: Final = 10_000
_STATUS: Final = re.compile(r"[A-Z][A-Z_]{0,63}")
"""`CUSTOMER_STATUS_NORMAL` and its like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """One good answer.

    Attributes:
        accounts: In the API's order.
        total: `total_number`, from 0; `None` when the API gave no usable number.
        has_more: Whether a page follows; `None` when the API does not say.
        cursor: Of the page that follows, from 1; `None` when there is none.
    """

    accounts: Sequence[Listed]
    total: int | None = None
    has_more: bool | None = None
    cursor: int | None = None


class NotWholeError(ValueError):
    """The pages make no whole list; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The pages so far.

    Attributes:
        accounts: By id.
        total: The most that the API counted; `None` while it has not.
        cursor: Of the next page; `None` for the first one.
        cursors: Those that were followed.
        is_whole: Whether nothing more is to be asked for.
    """

    accounts: Mapping[AccountId, Listed] = field(default_factory=dict)
    total: int | None = None
    cursor: int | None = None
    cursors: frozenset[int] = frozenset()
    is_whole: bool = False

    def with_page(self, page: ListedPage) -> "Listing":
        """The list with one more page: it ends, goes on with a cursor that is new, or fails; never in a circle.

        Raises:
            NotWholeError: Accounts are missing, or nobody knows how to go on.
        """
        accounts = {**self.accounts, **{one.id: one for one in page.accounts}}
        brought = len(accounts) - len(self.accounts)
        counts = [total for total in (self.total, page.total) if total is not None]
        total = max(counts, default=None)
        listing = replace(self, accounts=accounts, total=total)
        has_more = page.has_more
        if has_more is None:
            has_more = total is not None and len(accounts) < total
        if not brought or not has_more:
            return _checked(listing, page)
        if page.cursor is None:
            raise NotWholeError(f"after {len(accounts):,} accounts the API says that more follow, and not where")
        if page.cursor in self.cursors:
            raise NotWholeError(f"after {len(accounts):,} accounts the API goes round in a circle: a cursor came twice")
        if len(self.cursors) >= _MOST_PAGES:
            raise NotWholeError(f"no end after {_MOST_PAGES:,} pages")
        return replace(listing, cursor=page.cursor, cursors=self.cursors | {page.cursor})


def _checked(listing: Listing, last: ListedPage) -> Listing:
    there = len(listing.accounts)
    if listing.total is None and last.has_more is not False:
        raise NotWholeError(f"{there:,} accounts, and the API neither counts them nor says that these are all")
    if listing.total is not None and there < listing.total:
        raise NotWholeError(f"{there:,} of the {listing.total:,} accounts that the API counts could be listed")
    if not there:
        raise NotWholeError("the API lists no account at all; is `via` the right one for this token?")
    return replace(listing, cursor=None, is_whole=True)


def ask_for_page(table: Table, cursor: int | None) -> Ask[ListedPage]:
    """The call for one page of a table's accounts.

    Args:
        table: Whose accounts.
        cursor: As the page before gave it; `None` for the first page.
    """
    return Ask(
        what=f"the accounts of {table}",
        app=table.app,
        token=table.token,
        request=partial(_request, table, cursor),
        read=read_accounts,
    )


def _request(table: Table, cursor: int | None, passport: Passport) -> Request:
    asked = {"pagination_mode": "PAGINATION_MODE_CURSOR", "page_size": str(_PAGE_SIZE)}
    if table.via is Via.ADVERTISER:
        asked["fields"] = _FIELDS
        if table.agency_id is not None:
            asked["agency_id"] = str(table.agency_id)
    if cursor is not None:
        asked["cursor"] = str(cursor)
    path = ADVERTISER_PATH if table.via is Via.ADVERTISER else ORGANIZATION_PATH
    safe = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items())
    return Request(path, f"{passport.in_query()}&{safe}", safe)


def read_accounts(response: Response) -> ListedPage | Fault:
    """The page of an answer of either endpoint, or what is wrong with it."""
    return read(response, _read_data)


def _read_data(raw: msgspec.Raw) -> ListedPage:
    try:
        data = msgspec.json.decode(raw)
    except msgspec.DecodeError:  # syntax was checked with the envelope; values such as 1e999 were not
        data = None
    if not isinstance(data, dict):
        raise NotUnderstoodError("no usable `data` in the envelope")
    entries = data.get("list") or []
    if not isinstance(entries, list):
        raise NotUnderstoodError("`list` is no list")
    info = data.get("cursor_page_info")
    if not isinstance(info, dict):
        info = {}
    total, cursor = number(info.get("total_number")), number(info.get("cursor"))
    if not entries and info.get("total_number") == "":
        total = 0  # an empty answer's empty number
    if total is None and not entries:
        raise NotUnderstoodError("neither accounts nor a count (cursor_page_info.total_number) in `data`")
    return ListedPage(
        accounts=[_listed(entry) for entry in entries],
        total=total if total is not None and total >= 0 else None,
        has_more=_truth(info.get("has_more")),
        cursor=cursor if cursor is not None and cursor > 0 else None,
    )


def _listed(entry: Any) -> Listed:
    account = number(entry.get("account_id")) if isinstance(entry, dict) else None
    if account is None or account < 1:  # left out, it would be missing without a word
        raise NotUnderstoodError("an account without a usable account_id")
    status = entry.get("system_status")
    if not isinstance(status, str) or not _STATUS.fullmatch(status):
        status = cleaned(status)
    return Listed(id=AccountId(account), name=cleaned(entry.get("corporation_name")) or None, status=status or None)


def _truth(value: object) -> bool | None:
    """A truth value, also as a number or a word; `None` for anything else."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return bool(value) if value in (0, 1) else None

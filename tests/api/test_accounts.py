from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.accounts import ListedPage, Listing, NotWholeError, ask_for_page, read_accounts
from harvester.api.codes import Fault
from harvester.api.envelope import Passport, Request, Response
from harvester.model import AccountId, AppName, TokenName
from harvester.roll import Listed, Table, Via
from harvester.secret import Secret

TABLE = Table(name="all", token=TokenName("agency-a"), app=AppName("main"), via=Via.ADVERTISER)
ORGANIZATION = Table(name="org", token=TokenName("org"), app=AppName("main"), via=Via.ORGANIZATION)
PASSPORT = Passport(access=Secret("top-secret-token"), nonce="n" * 32, timestamp=1_795_000_000)


def asked(table: Table, cursor: int | None = None) -> tuple[Request, dict[str, str]]:
    """The request for a page, and its parameters but for those of every call."""
    request = ask_for_page(table, cursor).request(PASSPORT)
    given_ = {name: values[0] for name, values in parse_qs(request.query, strict_parsing=True).items()}
    assert given_.pop("access_token") == "top-secret-token"
    assert (given_.pop("nonce"), given_.pop("timestamp")) == ("n" * 32, "1795000000")
    return request, given_


def answer(data: object, code: int = 0) -> ListedPage | Fault:
    """What is read out of an answer with this `data`."""
    body = orjson.dumps({"code": code, "message": "", "data": data})
    return read_accounts(Response(200, {}, body))


def page(*numbers: int, total: int | None = None, more: bool | None = None, cursor: int | None = None) -> ListedPage:
    """A page of these accounts."""
    accounts = [Listed(id=AccountId(number)) for number in numbers]
    return ListedPage(accounts=accounts, total=total, has_more=more, cursor=cursor)


def test_requests() -> None:
    """Both endpoints are asked by cursor, a hundred at a time; the first page without one."""
    request, given_ = asked(TABLE)
    assert request.path == "/v3.0/advertiser/get"
    assert given_ == {
        "pagination_mode": "PAGINATION_MODE_CURSOR",
        "page_size": "100",
        "fields": '["account_id","corporation_name","system_status"]',
    }
    request, given_ = asked(ORGANIZATION, 77)
    assert request.path == "/v3.0/organization_account_relation/get"
    assert given_ == {"pagination_mode": "PAGINATION_MODE_CURSOR", "page_size": "100", "cursor": "77"}
    agency = Table(name="x", token=TABLE.token, app=TABLE.app, via=Via.ADVERTISER, agency_id=AccountId(5))
    assert asked(agency)[1]["agency_id"] == "5"


def test_requests_show_no_secret() -> None:
    """What is printed of a request holds no token; whose accounts they are is said."""
    request, _ = asked(TABLE, 5)
    assert "secret" not in f"{request} {request!r} {request.safe}"
    ask = ask_for_page(TABLE, None)
    assert (ask.what, ask.app, ask.token) == ("the accounts of discover.all", "main", "agency-a")


def test_an_answer_is_read() -> None:
    """Ids, names, states, the count, whether more follow, and the cursor; every other field is left alone."""
    entry = {
        "account_id": 2045867,
        "corporation_name": "上海某某有限公司",
        "system_status": "CUSTOMER_STATUS_FROZEN_TEMPORARILY",
        "contact_person_mobile": "13900000000",
    }
    info = {"page_size": 100, "total_number": 250, "has_more": True, "cursor": 99}
    found = answer({"list": [entry], "cursor_page_info": info})
    expected = Listed(id=AccountId(2045867), name="上海某某有限公司", status="CUSTOMER_STATUS_FROZEN_TEMPORARILY")
    assert found == ListedPage(accounts=[expected], total=250, has_more=True, cursor=99)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"total_number": "250", "has_more": True, "cursor": "99"}, (250, True, 99)),
        ({"total_number": "", "has_more": "true", "cursor": ""}, (None, True, None)),
        ({"total_number": -1, "has_more": "False", "cursor": 0}, (None, False, None)),
        ({"total_number": 1.5, "has_more": 1, "cursor": -5}, (None, True, None)),
        ({"total_number": None, "has_more": 0, "cursor": "x"}, (None, False, None)),
        ({"total_number": 2, "has_more": "perhaps"}, (2, None, None)),
        ({}, (None, None, None)),
        (None, (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_odd_page_infos(info: object, expected: tuple[int | None, bool | None, int | None]) -> None:
    """Digit strings are numbers, empty and absurd ones are nothing; so are truth values."""
    found = answer({"list": [{"account_id": "7"}], "cursor_page_info": info})
    assert isinstance(found, ListedPage)
    assert (found.total, found.has_more, found.cursor) == expected
    assert found.accounts == [Listed(id=AccountId(7))]


@pytest.mark.parametrize("entries", [None, [], "", {}, 0])
@pytest.mark.parametrize("total", [0, "0", ""])
def test_empty_lists(entries: object, total: object) -> None:
    """An empty list may be anything that is empty, or absent; an empty count is none."""
    for data in ({"list": entries, "cursor_page_info": {"total_number": total}},
                 {"cursor_page_info": {"total_number": total}}):  # fmt: skip
        found = answer(data)
        assert isinstance(found, ListedPage)
        assert (found.accounts, found.total) == ([], 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "no usable `data`"),
        ([], "no usable `data`"),
        ({}, "neither accounts nor a count"),
        ({"list": "x"}, "`list` is no list"),
        ({"list": {"0": {"account_id": 5}}}, "`list` is no list"),
        ({"list": [5]}, "an account without a usable account_id"),
        ({"list": [{"account_id": 5}, {}]}, "an account without a usable account_id"),
        ({"list": [{"account_id": ""}]}, "an account without a usable account_id"),
        ({"list": [{"account_id": 0}]}, "an account without a usable account_id"),
        ({"list": [{"account_id": 2**63}]}, "an account without a usable account_id"),
        ({"list": [{"account_id": True}]}, "an account without a usable account_id"),
    ],
)
def test_answers_that_are_none(data: object, says: str) -> None:
    """What cannot be understood is a fault, so that it is asked again: no account is missing without a word."""
    found = answer(data)
    assert isinstance(found, Fault)
    assert says in found.text


def test_huge_numbers_are_no_bug() -> None:
    """A value that no reader takes is a fault."""
    found = read_accounts(Response(200, {}, b'{"code": 0, "data": {"list": [], "x": 1e999}}'))
    assert isinstance(found, Fault | ListedPage)


def test_refusals() -> None:
    """A code is a fault."""
    found = answer({}, 60003)
    assert isinstance(found, Fault)
    assert found.code == 60003


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("Cars\x1b[31m\u202e\n", "Cars[31m"),
        ("a 13800001234", "a ***"),
        ("x" * 30, "***"),
        ("", None),
        (None, None),
        (5, None),
        ("  上海  ", "上海"),
    ],
)
def test_names_are_cleaned(told: object, kept: str | None) -> None:
    """A name can neither steer a terminal nor hold a phone number or a token."""
    found = answer({"list": [{"account_id": 1, "corporation_name": told, "system_status": told}]})
    assert isinstance(found, ListedPage)
    assert [(one.name, one.status) for one in found.accounts] == [(kept, kept)]


def test_pages_make_a_list() -> None:
    """Cursors are followed until the API says that no page follows, and all are there."""
    listing = Listing()
    assert (listing.cursor, listing.is_whole) == (None, False)
    listing = listing.with_page(page(1, 2, total=5, more=True, cursor=2))
    assert (listing.cursor, listing.is_whole) == (2, False)
    listing = listing.with_page(page(3, 4, total=5, more=True, cursor=4))
    listing = listing.with_page(page(5, total=5, more=False, cursor=5))
    assert (listing.is_whole, sorted(listing.accounts)) == (True, [1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    "pages",
    [
        [page(1, 2, total=2)],
        [page(1, 2, total=2, more=False)],
        [page(1, 2, more=False)],
        [page(1, total=2, cursor=1), page(2, total=2)],
        [page(1, total=2, more=True, cursor=1), page(2, total=2, more=True, cursor=2), page(total=2, more=True)],
        [page(1, total=2, more=True, cursor=1), page(2, total=2, more=True, cursor=2), page(1, 2, total=2, more=True)],
        [page(1, total=2, more=True, cursor=9), page(2, total=1, more=False)],
        [page(1, total=1, more=True, cursor=9), page(2, total=2, more=False)],
        [page(1, 2, 3, total=2, more=False)],
    ],
)
def test_ways_to_end(pages: list[ListedPage]) -> None:
    """However the API says that nothing follows, or does not say it, the list is whole when all it counts are there."""
    listing = Listing()
    for number, one in enumerate(pages):
        assert not listing.is_whole, number
        listing = listing.with_page(one)
    assert listing.is_whole


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        ([page(1, total=2, more=False)], "1 of the 2 accounts that the API counts"),
        ([page(1, total=3, more=True, cursor=1), page(total=3, more=True, cursor=2)], "1 of the 3 accounts"),
        ([page(1, total=3, more=True, cursor=1), page(1, total=1, more=False)], "1 of the 3 accounts"),
        ([page(1, total=3, more=True)], "more follow, and not where"),
        ([page(1, total=3, more=True, cursor=1), page(2, total=3, more=True, cursor=1)], "in a circle"),
        ([page(1)], "neither counts them nor says that these are all"),
        ([page(total=0, more=False)], "no account at all; is `via` the right one"),
        ([page(1, more=True, cursor=1), page()], "neither counts them nor says"),
    ],
)
def test_lists_that_are_not_whole(pages: list[ListedPage], says: str) -> None:
    """A list that is short, has no way on, or is empty, is none."""
    listing = Listing()
    for one in pages[:-1]:
        listing = listing.with_page(one)
    with pytest.raises(NotWholeError, match=says):
        listing.with_page(pages[-1])


pages_of = st.builds(
    ListedPage,
    accounts=st.lists(st.integers(1, 40).map(lambda id_: Listed(id=AccountId(id_))), max_size=4),
    total=st.one_of(st.none(), st.integers(0, 60)),
    has_more=st.one_of(st.none(), st.booleans()),
    cursor=st.one_of(st.none(), st.integers(1, 5)),
)


@given(st.lists(pages_of, min_size=60, max_size=60))
def test_every_list_ends(pages: list[ListedPage]) -> None:
    """Whatever comes, after as many pages as accounts it has ended; and whole is never fewer than any count."""
    listing: Listing = Listing()
    counts: list[int] = []
    for one in pages:
        counts += [one.total] if one.total is not None else []
        try:
            listing = listing.with_page(one)
        except NotWholeError:
            return
        if listing.is_whole:
            assert len(listing.accounts) >= max(counts, default=1)
            return
    pytest.fail("no end")


@given(st.sets(st.integers(1, 10**6), min_size=1, max_size=60), st.integers(1, 9), st.sampled_from(["doc", "bare"]))
def test_an_honest_api_is_read_whole(numbers: set[int], size: int, style: str) -> None:
    """Of an API that does as its pages say every account is found, with one request a page."""
    everyone = sorted(numbers)
    listing, requests = Listing(), 0
    while not listing.is_whole:
        here = [one for one in everyone if one > (listing.cursor or 0)][:size]
        more = here[-1] != everyone[-1]
        info: dict[str, Any] = {"more": more, "cursor": here[-1]} if more or style == "doc" else {}
        listing = listing.with_page(page(*here, total=len(everyone), **info))
        requests += 1
    assert sorted(listing.accounts) == everyone
    assert requests == -(-len(everyone) // size)

"""The request line: what the official clients send is understood, what is wrong is refused with its code."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox.switches import Oversize, Switches
from harvester.sandbox.wire import Rejected, ask, credentials, parameters

GOOD = "account_id=20000562&page_size=100&page=1&start_date=2026-10-01&end_date=2026-10-31"


def refused(query: str, switches: Switches | None = None) -> int:
    """The code that a query is refused with; 0: it is not."""
    try:
        ask(parameters(query), switches or Switches())
    except Rejected as rejected:
        return rejected.code
    return 0


@pytest.mark.parametrize("space", ["%20", "+"])
def test_a_space_comes_either_way(space: str) -> None:
    """`%20` and `+` are the same space, and `%3A` the same colon."""
    wanted = ask(parameters(f"{GOOD}&search_after=2026-10-30{space}13%3A15:29"), Switches())
    assert wanted.after == dt.datetime.fromisoformat("2026-10-30 13:15:29")


@given(st.permutations(GOOD.split("&")))
def test_the_order_of_parameters_is_free(parts: list[str]) -> None:
    """Any order is the same request."""
    assert ask(parameters("&".join(parts)), Switches()) == ask(parameters(GOOD), Switches())


@pytest.mark.parametrize("name", ["account_id", "page_size", "page", "start_date", "end_date"])
def test_what_is_required_is_required(name: str) -> None:
    """Each parameter with an asterisk on the official page, `page` included, must be there."""
    assert refused("&".join(part for part in GOOD.split("&") if not part.startswith(f"{name}="))) == 18001


@pytest.mark.parametrize("name", ["account_id", "page_size", "page"])
@pytest.mark.parametrize(
    "value", ["", "x", "%22100%22", "1.0", "+1", "%201", "01", "1e2", "%D9%A1", "9223372036854775808"]
)
def test_integers_are_strict(name: str, value: str) -> None:
    """Quotes, fractions, exponents, leading zeros, other digits and more than 64 bits are no integer."""
    assert refused(f"{name}={value}&{GOOD}") == 18002


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ("page_size=0", 18004),
        ("page_size=-5", 18004),
        ("page_size=201", 60013),
        ("page=0", 60012),
        ("page=51", 60022),
        ("page=51&search_after=2026-10-30+13:15:29", 0),
        ("page=0&search_after=2026-10-30+13:15:29", 0),
        ("start_date=2026-09-30", 31002),
        ("start_date=2026-11-01", 31057),
        ("start_date=20261001", 60073),
        ("start_date=2026-10-1", 60073),
        ("start_date=2026-02-30", 60073),
        ("start_date=%222026-10-01%22", 60073),
        ("end_date=2026-10-31T00:00:00", 60073),
        ("search_after=2026-10-30T13:15:29", 60073),
        ("search_after=2026-10-30", 60073),
        ("search_after=1793404800", 60073),
        ("search_after=2026-10-30+24:00:00", 60073),
        ("fields=[%22call_id%22", 12003),
        ("fields=%22call_id%22", 12008),
        ("fields=[1]", 12008),
        ("fields=[%22nothing%22]", 12009),
        ("fields=[%22call_id%22,%22duration%22]", 0),
        ("fields=[]", 0),
        ("unknown=1", 0),
    ],
)
def test_each_mistake_has_its_code(changes: str, code: int) -> None:
    """The first of a repeated parameter counts, so each change comes in front of a good request."""
    assert refused(f"{changes}&{GOOD}") == code


def test_size_and_depth_go_by_the_switches() -> None:
    """Clamped sizes are not refused, and depth counts the clamped size."""
    assert refused(f"page_size=5000&{GOOD}", Switches(oversize=Oversize.CLAMP)) == 0
    assert refused(f"page_size=5000&page=26&{GOOD}", Switches(oversize=Oversize.CLAMP)) == 60022
    assert refused(f"page=1000000&{GOOD}", Switches(max_depth=None)) == 0


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("timestamp=1&nonce=a", 12000),
        ("access_token=t&nonce=a", 12000),
        ("access_token=t&timestamp=1", 12000),
        ("access_token=&timestamp=1&nonce=a", 11005),
        ("access_token=t&timestamp=1.5&nonce=a", 18002),
        ("access_token=t&timestamp=1&nonce=", 18004),
        (f"access_token=t&timestamp=1&nonce={'n' * 33}", 18003),
        (f"access_token=t&timestamp=1&nonce={'n' * 32}", 0),
    ],
)
def test_global_parameters_are_judged_first(query: str, code: int) -> None:
    """Token, timestamp and nonce must be there and have their shapes."""
    if not code:
        assert credentials(parameters(query)).nonce == "n" * 32
        return
    with pytest.raises(Rejected) as caught:
        credentials(parameters(query))
    assert caught.value.code == code


@given(st.text())
def test_no_query_breaks_the_parser(query: str) -> None:
    """Whatever comes is understood or refused, never an exception of another kind."""
    assert refused(query) >= 0

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.config import DayExpr, format_duration, parse_day, parse_duration
from harvester.config.values import MAX_INT64, parse_account_id, parse_base_url

TODAY = dt.date(2026, 11, 3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1.5s", 1.5), ("5m", 300), ("4h", 14_400), ("7d", 604_800), ("0.25h", 900)],
)
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: float) -> None:
    """A duration is read as seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "", "s", "30 s", "-1s", "1h30m", "30S", "30sec", "1e3s", ".5s", "٣s", "30s\n"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """Anything but one number with one unit is refused, and the message shows what is right."""
    with pytest.raises(ValueError, match=r'expected a duration with its unit .* such as "30s"'):
        parse_duration(text)


@pytest.mark.parametrize(("text", "complaint"), [("0s", "longer than zero"), ("0.5ms", "whole milliseconds")])
def test_a_duration_is_at_least_a_millisecond(text: str, complaint: str) -> None:
    """Zero and fractions of a millisecond are no durations."""
    with pytest.raises(ValueError, match=complaint):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=10**12))
def test_a_duration_survives_writing_and_reading(milliseconds: int) -> None:
    """Whatever is formatted reads as the same duration."""
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize("text", ["1ms", "500ms", "1s", "60s", "90s", "2m", "60m", "24h", "7d"])
def test_a_duration_is_formatted_as_people_write_it(text: str) -> None:
    """The everyday spellings are the ones that formatting gives back."""
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-10-31", dt.date(2026, 10, 31)),
        ("today", TODAY),
        ("yesterday", dt.date(2026, 11, 2)),
        ("today-0", TODAY),
        ("today-7", dt.date(2026, 10, 27)),
    ],
)
def test_a_day_is_fixed_or_counted_from_today(text: str, day: dt.date) -> None:
    """Each notation names its day."""
    assert parse_day(text).on(TODAY) == day


@pytest.mark.parametrize("text", ["", "tomorrow", "today+1", "today - 7", "2026-1-1", "20261031", "today-7d", "TODAY"])
def test_what_is_no_day_is_refused_with_the_notations(text: str) -> None:
    """Anything else is refused, and the message lists what is right."""
    with pytest.raises(ValueError, match='expected "YYYY-MM-DD", "today", "yesterday" or "today-N"'):
        parse_day(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("2026-02-30", "no such day"), ("1999-12-31", "from 2000-01-01 on"), ("yesterdya", "did you mean yesterday")],
)
def test_a_near_miss_of_a_day_is_explained(text: str, complaint: str) -> None:
    """Impossible, ancient and misspelt days are told apart."""
    with pytest.raises(ValueError, match=complaint):
        parse_day(text)


@given(
    st.one_of(
        st.dates(min_value=dt.date(2000, 1, 1)).map(DayExpr), st.integers(0, 9999).map(lambda n: DayExpr(days_ago=n))
    )
)
def test_a_day_survives_writing_and_reading(day: DayExpr) -> None:
    """A day's text reads as the same day."""
    assert parse_day(str(day)) == day


@given(st.text(max_size=12))
def test_any_other_text_is_a_value_error(text: str) -> None:
    """Whatever the text, the parsers give a value or a ValueError."""
    for parse in (parse_day, parse_duration, parse_base_url, parse_account_id):
        with contextlib.suppress(ValueError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.e.qq.com", "https://api.e.qq.com"),
        ("https://API.e.qq.com/", "https://api.e.qq.com"),
        ("https://proxy.example:8443", "https://proxy.example:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.8.9.10:1/", "http://127.8.9.10:1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_base_url_is_https_or_loopback(text: str, url: str) -> None:
    """Good base URLs lose the slash at their end and nothing else."""
    assert parse_base_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.e.qq.com",
        "ftp://api.e.qq.com",
        "https://",
        "https:///v3.0",
        "https://api.e.qq.com/v3.0",
        "https://api.e.qq.com?x=1",
        "https://api.e.qq.com#x",
        "https://api.e.qq.com:99999",
        "https://api.e.qq.com:0",
        "https://api .e.qq.com",
        "https://api.e.qq.com\n",
        "https://[::1",
        "http://api.e.qq.com",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1",
        "http://0.0.0.0:8080",
    ],
)
def test_every_other_base_url_is_refused(text: str) -> None:
    """Other schemes, paths, queries, broken hosts and http to other machines are refused."""
    with pytest.raises(ValueError, match="expected"):
        parse_base_url(text)


@pytest.mark.parametrize(
    "text", ["https://me:pa55word@api.e.qq.com", "https://me:pa55/word@host", "https://pa55word@host"]
)
def test_a_url_with_a_password_is_refused_without_showing_it(text: str) -> None:
    """Credentials in a URL are refused and stay hidden."""
    with pytest.raises(ValueError, match="found a URL with a user name") as caught:
        parse_base_url(text)
    assert "pa55" not in str(caught.value)


@given(st.integers(1, MAX_INT64))
def test_every_positive_int64_is_an_account_id(number: int) -> None:
    """An id reads the same from a number and from its digits."""
    assert parse_account_id(number) == parse_account_id(str(number)) == number


@pytest.mark.parametrize(
    "raw",
    [0, -1, MAX_INT64 + 1, True, 1.0, None, "", "0", "007", "-1", "+1", "x", "1 ", "٣", str(MAX_INT64 + 1), "9" * 20],
)
def test_what_is_no_account_id_is_refused(raw: object) -> None:
    """Anything but a positive int64 is refused with the bounds."""
    with pytest.raises(ValueError, match=f"expected an account id, a whole number from 1 to {MAX_INT64}"):
        parse_account_id(raw)


@pytest.mark.parametrize(
    ("cell", "damage"),
    [
        ("2.04587E+06", "rounded the number"),
        ("2,04587e6", "rounded the number"),
        ("2045867.0", "added decimals"),
        ("2,045,867", "added thousands separators"),
        ("2 045 867", "added thousands separators"),
    ],
)
def test_what_a_spreadsheet_did_to_an_id_is_said(cell: str, damage: str) -> None:
    """The message names the spreadsheet's way of spoiling the number."""
    with pytest.raises(ValueError, match=f"a spreadsheet {damage}"):
        parse_account_id(cell)

import datetime as dt
import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from harvester.api.codes import Fault, Verdict, judge
from harvester.api.envelope import Passport, Request, Response, cleaned, number
from harvester.api.protocol import CALLS_PATH, read_page, request_calls
from harvester.calls import Call, Calls, Stray
from harvester.model import AccountId, Page, Query, Window
from harvester.secret import Secret
from tests.api.helpers import PHONE, QUERY, TOKEN, call, envelope, good, refused

START = "2023-01-10 11:04:50"
EXAMPLE = """{
"code": 0,
"message": "",
"message_cn": "",
"data": {
"page_info": {
"page": 2,
"page_size": 10,
"total_number": 99,
"total_page": 10
},
"request_id": "223255a1-2d02-44d0-8c1b-7217302de746",
"entities": [
{
"call_id": "clouspstn_16-230110-7186854205522307833167331989018423960427189",
"account_id": 20458,
"leads_id": 218000154,
"caller": "10000000001",
"callee": "10000000002",
"call_direction": "CALL_OUT",
"duration": 14,
"call_start_time": "2023-01-10 11:04:50",
"call_end_time": "2023-01-10 11:05:14",
"ring_time": "2023-01-10 11:04:51",
"answer_time": "2023-01-10 11:05:00",
"end_status": 0,
"call_record_url": ""
}
]
}
}"""
"""The official page's own example of an answer, to the letter."""


def body(data: str, code: str = "0") -> Response:
    """An answer whose `data` is written exactly so."""
    return Response(200, {}, f'{{"code":{code},"message":"","data":{data}}}'.encode())


def page_of(response: Response) -> Page:
    """The page of an answer that must be one."""
    answer = read_page(response)
    assert isinstance(answer, Page), answer
    return answer


def fault_of(response: Response) -> Fault:
    """The fault of an answer that must not be a page."""
    answer = read_page(response)
    assert isinstance(answer, Fault), answer
    return answer


class TestRequest:
    """What travels."""

    def test_it_carries_the_documented_parameters(self) -> None:
        """Each once, ids and numbers as JSON text, dates as days."""
        request = request_calls(QUERY, Passport(access=Secret("t"), nonce="n", timestamp=1_793_404_800))
        assert request.path == CALLS_PATH == "/v3.0/leads_call_records/get"
        assert parse_qsl(request.query, strict_parsing=True) == [
            ("access_token", "t"),
            ("timestamp", "1793404800"),
            ("nonce", "n"),
            ("account_id", "2045867"),
            ("page", "1"),
            ("page_size", "50"),
            ("start_date", "2026-10-24"),
            ("end_date", "2026-10-30"),
        ]

    def test_a_cursor_travels_percent_encoded(self) -> None:
        """The space as `%20`, which no decoder can mistake."""
        query = Query(account_id=AccountId(1), window=QUERY.window, page=3, page_size=1, after="2026-10-24 10:00:59")
        request = request_calls(query, Passport(access=Secret("t"), nonce="n", timestamp=1))
        assert request.query.endswith("&search_after=2026-10-24%2010%3A00%3A59")

    @given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()), st.integers(0, 2**63 - 1))
    def test_any_token_and_id_come_out_as_they_went_in(self, token: str, account_id: int) -> None:
        """Whatever a token holds, it ends where the next parameter begins."""
        window = Window(dt.date(1, 1, 1), dt.date(9999, 12, 31))
        query = Query(account_id=AccountId(account_id), window=window, page=1, page_size=1)
        request = request_calls(query, Passport(access=Secret(token), nonce="n", timestamp=1))
        given = dict(parse_qsl(request.query, strict_parsing=True))
        assert (given["access_token"], given["account_id"]) == (token, str(account_id))
        assert (given["start_date"], given["end_date"]) == ("0001-01-01", "9999-12-31")
        assert request.query.isascii()

    def test_it_never_shows_its_query(self) -> None:
        """Neither `repr` nor `str` nor a format holds the secret."""
        request = Request(CALLS_PATH, f"access_token={TOKEN}")
        assert not [text for text in (repr(request), str(request), f"{request}", repr([request])) if TOKEN in text]


class TestPage:
    """Good answers, however they are written."""

    def test_the_official_example_is_read(self) -> None:
        """The page's own example: one call on one line, its count and its page size."""
        page = page_of(Response(200, {}, EXAMPLE.encode()))
        assert (page.total, page.page_size, page.size_bytes, page.strays) == (99, 10, len(EXAMPLE), ())
        (only,) = page.calls
        assert only.id == "clouspstn_16-230110-7186854205522307833167331989018423960427189"
        assert (only.start, only.day) == (START, "2023-01-10")
        assert b"\n" not in only.line
        assert json.loads(only.line) == json.loads(EXAMPLE)["data"]["entities"][0]

    @pytest.mark.parametrize(
        ("written", "total"),
        [
            ("7", 7),
            ('"7"', 7),
            ('" 7 "', 7),
            ('"007"', 7),
            ("0", 0),
            ("9223372036854775807", 2**63 - 1),
            ('"9223372036854775807"', 2**63 - 1),
            ("9223372036854775808", None),
            ('"9999999999999999999"', None),
            ("123456789012345678901234567890", None),
            ('""', None),
            ('"x"', None),
            ("null", None),
            ("true", None),
            ("7.5", None),
            ("[]", None),
            ("-1", None),
            ('"-1"', None),
        ],
    )
    def test_a_count_is_an_int64_or_its_digits(self, written: str, total: int | None) -> None:
        """Anything else is no count, and the calls are read nevertheless."""
        one = '{"call_id":"a","call_start_time":"2023-01-10 11:04:50"}'
        info = f'{{"total_number":{written},"page_size":{written}}}'
        page = page_of(body(f'{{"page_info":{info},"entities":[{one}]}}'))
        assert (len(page.calls), page.total) == (1, total)
        assert page.page_size == (total or None)

    @pytest.mark.parametrize("entities", ["[]", "null", "{}", '""', "0", "false", None])
    @pytest.mark.parametrize("total", ["0", '"0"', '""'])
    def test_an_empty_page_is_written_in_many_ways(self, entities: str | None, total: str) -> None:
        """No calls, and a count of none."""
        rest = "" if entities is None else f',"entities":{entities}'
        assert page_of(body(f'{{"page_info":{{"total_number":{total}}}{rest}}}')) == Page(
            calls=Calls.of([]),
            strays=(),
            total=0,
            page_size=None,
            size_bytes=len(body(f'{{"page_info":{{"total_number":{total}}}{rest}}}').body),
        )

    @pytest.mark.parametrize("info", ["{}", "null", "[]", '""', "7", '{"total_number":null}', '{"total_number":"x"}'])
    def test_calls_without_a_count_are_a_page(self, info: str) -> None:
        """The count is unknown, the calls are there."""
        page = page_of(body(f'{{"page_info":{info},"entities":[{{"call_id":1,"call_start_time":"{START}"}}]}}'))
        assert ([one.id for one in page.calls], page.total) == (["1"], None)

    def test_records_that_cannot_be_placed_stay_on_the_page(self) -> None:
        """In their order, whole, with the reason, whatever they are."""
        page = page_of(
            body(f'{{"entities":[null,{{}},7,{{"call_id":"a"}},{{"call_id":"b","call_start_time":"{START}"}}]}}')
        )
        assert [one.id for one in page.calls] == ["b"]
        assert [one.line for one in page.strays] == [b"null", b"{}", b"7", b'{"call_id":"a"}']
        assert page.rows == 5

    @pytest.mark.parametrize(
        "field",
        [
            '"leads_id":9223372036854775807',
            '"leads_id":18446744073709551615',
            '"leads_id":12345678901234567890123',
            '"ratio":2.50',
            '"ratio":1.0E+2',
            '"ratio":1e999',
            '"ratio":-0.0',
            '"text":"\\u7535\\u8bdd \\/ \\" \\u2028"',
            '"text":"电话 \u2028 😀"',
            '"caller":"01085170811"',
            '"call_record_url":null',
            '"nested":{"a":[1,{"b":null}], "a":2}',
            '"call_id_":1,"Call_ID":2',
        ],
    )
    def test_a_call_keeps_its_own_text(self, field: str) -> None:
        """Unknown fields, large integers, the text of floats and escapes: not a byte changes."""
        line = f'{{"call_id":"a",{field} ,"call_start_time":"{START}"}}'
        page = page_of(body(f'{{"page_info":{{"total_number":1}},"entities":[ {line} ]}}'))
        assert [one.line for one in page.calls] == [line.encode()]

    @pytest.mark.parametrize("status", ["0", '"0"', '" 0 "', "-0"])
    def test_a_code_of_zero_is_written_in_many_ways(self, status: str) -> None:
        """As an integer or as its digits."""
        assert page_of(body('{"page_info":{"total_number":0}}', code=status)).total == 0

    @given(
        st.lists(
            st.fixed_dictionaries(
                {"call_id": st.text(min_size=1, max_size=12), "call_start_time": st.just(START)},
                optional={
                    "leads_id": st.integers(),
                    "ratio": st.floats(allow_nan=False, allow_infinity=False),
                    "电话\n": st.text(max_size=8),
                    "deep": st.recursive(st.none() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)),
                },
            ),
            max_size=5,
        ),
        st.booleans(),
        st.sampled_from([None, 0, 2, "\t"]),
    )
    def test_calls_come_back_byte_for_byte(
        self, calls: list[dict[str, Any]], ascii_only: bool, indent: int | str | None
    ) -> None:
        """Any calls, compact or pretty-printed: the same bytes but for line breaks between tokens."""
        texts = [json.dumps(one, ensure_ascii=ascii_only, indent=indent) for one in calls]
        assume(all("\\ud" not in text for text in texts) or not ascii_only)
        page = page_of(body(f'{{"page_info":{{"total_number":{len(calls)}}},\r\n"entities":[{" ,".join(texts)}]}}'))
        assert [one.line.decode() for one in page.calls] == [text.replace("\n", " ") for text in texts]
        assert [(one.id, one.start) for one in page.calls] == [(one["call_id"], START) for one in calls]


class TestFault:
    """Everything else."""

    @pytest.mark.parametrize(
        ("status", "content", "text"),
        [
            (200, b"", "HTTP 200, a body that is no JSON or was cut short (0 bytes)"),
            (200, b"\xef\xbb\xbf", "HTTP 200, a body that is no JSON or was cut short (3 bytes)"),
            (200, EXAMPLE.encode()[:400], "HTTP 200, a body that is no JSON or was cut short (400 bytes)"),
            (200, EXAMPLE.encode() + b"}", "HTTP 200, a body that is no JSON or was cut short (630 bytes)"),
            (200, b'{"code":0,"message":"\xff"}', "HTTP 200, a body that is not UTF-8"),
            (200, "电话".encode("gbk"), "HTTP 200, a body that is not UTF-8"),
            (200, b"[]", "HTTP 200, JSON that is no envelope"),
            (200, b"null", "HTTP 200, JSON that is no envelope"),
            (200, b"{}", "HTTP 200, JSON that is no envelope"),
            (200, b'{"message":"ok","data":{}}', "HTTP 200, JSON that is no envelope"),
            (200, b'{"code":null}', "HTTP 200, no usable `code` in the envelope"),
            (200, b'{"code":""}', "HTTP 200, no usable `code` in the envelope"),
            (200, b'{"code":"ok"}', "HTTP 200, no usable `code` in the envelope"),
            (200, b'{"code":true}', "HTTP 200, no usable `code` in the envelope"),
            (200, b'{"code":0}', "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0,"data":null}', "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0,"data":""}', "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0,"data":[]}', "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0,"data":{"entities":{"a":1}}}', "HTTP 200, no usable `data` in the envelope"),
            (200, b'{"code":0,"data":{"page_info":{"page":1e999}}}', "HTTP 200, no usable `data` in the envelope"),
            (
                200,
                b'{"code":0,"data":{}}',
                "HTTP 200, neither calls nor a count (page_info.total_number) in `data`",
            ),
            (
                200,
                b'{"code":0,"data":{"page_info":{"total_number":-1},"entities":[]}}',
                "HTTP 200, neither calls nor a count (page_info.total_number) in `data`",
            ),
            (502, b"<html><h1>502 Bad Gateway</h1></html>", "HTTP 502"),
            (503, b"", "HTTP 503"),
            (302, b"", "HTTP 302"),
            (500, EXAMPLE.encode(), "HTTP 500"),
            (404, b'{"code":0}', "HTTP 404"),
        ],
    )
    def test_an_answer_that_is_no_page_says_what_it_is(self, status: int, content: bytes, text: str) -> None:
        """In words that hold nothing of the body."""
        fault = fault_of(Response(status, {}, content))
        assert (str(fault), fault.code, fault.status) == (text, None, status)

    @pytest.mark.parametrize(
        "where", ['{"code":0,"data":%s}', '{"code":1,"x":%s}', '{"code":0,"data":{"entities":[%s]}}']
    )
    def test_arrays_nested_without_end_are_a_fault(self, where: str) -> None:
        """They overflow no stack."""
        deep = "[" * 100_000 + "]" * 100_000
        assert fault_of(Response(200, {}, (where % deep).encode())).code is None

    def test_an_error_is_read_with_all_it_says(self) -> None:
        """Code, both messages, type, trace, the server's wish and its clock."""
        content = {
            "code": 51001,
            "message": "busy",
            "message_cn": "系统繁忙",
            "code_type": "SysException",
            "trace_id": "0a1b-2c",
            "errors": [{"type": "PARAM_EXCEPTION"}],
        }
        headers = {"retry_after": "7", "date": "Sat, 31 Oct 2026 00:00:00 GMT", "x_tsa_trace_id": "other"}
        assert read_page(envelope(content, **headers)) == Fault(
            text="系统繁忙",
            message="busy",
            message_cn="系统繁忙",
            code=51001,
            status=200,
            system=True,
            trace_id="0a1b-2c",
            retry_after_s=7.0,
            date=1_793_404_800.0,
        )

    def test_an_error_may_say_little(self) -> None:
        """The code alone is enough; the message stands in for the Chinese one, the header for the trace."""
        assert fault_of(envelope({"code": "11017"})) == Fault(text="", code=11017, status=200)
        answer = {"code": 60002, "message": "no such account", "message_cn": "", "code_type": None, "trace_id": 7}
        fault = fault_of(replace(envelope(answer, x_tsa_trace_id="t:1"), status=403))
        assert fault == Fault(text="no such account", message="no such account", code=60002, status=403, trace_id="t:1")

    @pytest.mark.parametrize("value", ["a b", "x" * 81, "\x1b[31m", "", "通", "a\nb"])
    def test_an_odd_trace_is_left_out(self, value: str) -> None:
        """A trace is a short label or nothing."""
        assert fault_of(refused(1, x_tsa_trace_id=value)).trace_id is None

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("", None), ("-7", None), ("1.5", None), ("9999999", None), ("x", None)],
    )
    def test_retry_after_is_whole_seconds(self, header: str, seconds: float | None) -> None:
        """Anything else is no wish."""
        assert fault_of(Response(503, {"retry-after": header}, b"")).retry_after_s == seconds

    @pytest.mark.parametrize(
        ("header", "at"),
        [
            ("Sat, 31 Oct 2026 00:00:00 GMT", 1_793_404_800.0),
            ("Sat, 31 Oct 2026 08:00:00 +0800", 1_793_404_800.0),
            ("Sat, 31 Oct 2026 00:00:00 -0000", 1_793_404_800.0),
            ("Sat, 31 Oct 2026 00:00:00", 1_793_404_800.0),
            ("Saturday, 31-Oct-26 00:00:00 GMT", 1_793_404_800.0),
            ("", None),
            ("today", None),
            ("Sat, 99999999999999999999 Oct 2026 00:00:00 GMT", None),
            ("Sat, 31 Oct 2026 00:00:00 +99999999999999999999", None),
            ("Sat, 32 Oct 2026 00:00:00 GMT", None),
        ],
    )
    def test_the_servers_clock_is_gmt(self, header: str, at: float | None) -> None:
        """Also when the header does not say so; what is no date tells nothing."""
        assert fault_of(Response(503, {"date": header}, b"")).date == at

    def test_the_machines_own_zone_does_not_matter(self) -> None:
        """A date without a zone is read the same in Tokyo."""
        code = (
            "from harvester.api.protocol import Response, read_page\n"
            "print(read_page(Response(503, {'date': 'Sat, 31 Oct 2026 00:00:00 -0000'}, b'')).date)"
        )
        shown = subprocess.run([sys.executable, "-c", code], env={"TZ": "Asia/Tokyo"}, capture_output=True, check=True)
        assert float(shown.stdout) == 1_793_404_800.0

    @given(st.text(max_size=40))
    @example("Mon, 01 Jan 0001 00:00:00 +2359")
    @example("1 1 1 1:1:1 -99999")
    def test_any_header_is_read_without_an_error(self, text: str) -> None:
        """Headers come from strangers too."""
        fault_of(Response(503, {"date": text, "retry-after": text, "x-tsa-trace-id": text}, b""))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["", "0", "-1", START, "SysException"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["page_info", "entities", "total_number", "page_size", "call_id", "call_start_time", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
envelopes = st.fixed_dictionaries(
    {"code": st.sampled_from([0, "0", 11017, -1]) | json_values},
    optional={
        "data": json_values,
        "message": json_values,
        "message_cn": json_values,
        "code_type": json_values,
        "trace_id": json_values,
    },
)
statuses = st.sampled_from([200, 200, 302, 404, 429, 502])


@given(st.binary(max_size=100), statuses)
def test_any_bytes_are_a_page_or_a_fault(content: bytes, status: int) -> None:
    """Nothing else is ever raised, and every fault has a verdict."""
    answer = read_page(Response(status, {}, content))
    assert isinstance(answer, Page) or isinstance(judge(answer), Verdict)


@given(envelopes | json_values, statuses)
def test_any_json_is_a_page_or_a_fault(content: object, status: int) -> None:
    """Every record is on the page once, on one line; numbers are usable or unknown."""
    answer = read_page(Response(status, {}, json.dumps(content).encode()))
    if isinstance(answer, Fault):
        assert isinstance(judge(answer), Verdict)
        return
    assert isinstance(content, dict)
    assert status == 200
    assert [type(one) for one in answer.calls] == [Call] * len(answer.calls)
    assert [type(one) for one in answer.strays] == [Stray] * len(answer.strays)
    assert answer.rows == len(content["data"].get("entities") or [])
    assert not [
        line for line in [*(one.line for one in answer.calls), *(one.line for one in answer.strays)] if b"\n" in line
    ]
    assert answer.total is None or 0 <= answer.total < 2**63
    assert answer.total is not None or answer.rows


@given(st.integers(0, len(EXAMPLE) - 1), st.integers(0, 255))
def test_a_broken_page_is_never_taken_for_a_whole_one(place: int, byte: int) -> None:
    """A page cut anywhere is a fault; one with a wrong byte is a page or a fault."""
    content = EXAMPLE.encode()
    fault_of(Response(200, {}, content[:place]))
    assert isinstance(
        read_page(Response(200, {}, content[:place] + bytes([byte]) + content[place + 1 :])), Page | Fault
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (-7, -7),
        ("-7", -7),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
        ("1_000", None),
        ("+7", None),
        ("0x7", None),
        (7.0, None),
        (False, None),
    ],
)
def test_numbers_are_integers_or_their_digits(value: object, expected: int | None) -> None:
    """No boolean, no float, no digits of other scripts."""
    assert number(value) == expected


printable = st.text(st.characters(categories=["L", "P", "Zs", "Sm"]), max_size=20)
hidden = st.text(st.sampled_from("\u200b\u200e\u202e\u2066\ufeff\x00\x07\x1b"), max_size=2)


class TestCleaned:
    """What an answer says, made fit for a log."""

    @given(printable, st.text("abcdefXYZ0189_-", min_size=24, max_size=64), printable, hidden, st.integers(1, 23))
    def test_no_long_token_comes_through(self, before: str, token: str, after: str, noise: str, place: int) -> None:
        """Not even one that is split by what cannot be seen."""
        assert token not in cleaned(before + token[:place] + noise + token[place:] + after)

    @given(printable, st.from_regex(r"1[3-9][0-9]{9}|0[0-9]{2,3}[1-9][0-9]{6,7}", fullmatch=True), printable, st.data())
    def test_no_phone_number_comes_through(self, before: str, phone: str, after: str, data: st.DataObject) -> None:
        """Not even one in groups: no seven digits of it stay together."""
        gaps = data.draw(
            st.lists(st.sampled_from(["", "", "-", " ", ".", ") ", "\u200b", "\u2013"]), min_size=len(phone))
        )
        shown = cleaned(before + "".join(digit + gap for digit, gap in zip(phone, gaps, strict=False)) + after)
        digits = re.sub(r"\D", "", shown)
        assert phone not in digits
        assert phone[-7:] not in digits

    @given(st.text())
    @example("\x1b[31mred\x1b[0m \x9b1m \u202eevil\u2066\u2028\x85\n\r\t\x00")
    @example("\ud800")
    def test_it_is_one_short_printable_line(self, text: str) -> None:
        """No control character, escape sequence or bidirectional mark gets to a terminal."""
        shown = cleaned(text)
        assert shown.isprintable()
        assert len(shown) <= 200
        assert cleaned(shown) == shown

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            (None, ""),
            (7, ""),
            ({"a": 1}, ""),
            ("  ok  ", "ok"),
            ("参数错误：start_date", "参数错误：start_date"),  # noqa: RUF001 - as the API writes
            ("page_size must be in [1, 200]", "page_size must be in [1, 200]"),
            ("2023-01-01 to 2023-03-03 is too long", "2023-01-01 to 2023-03-03 is too long"),
            (f"caller {PHONE} is barred", "caller *** is barred"),
            ("caller 100-0000-0001 is barred", "caller *** is barred"),
            ("caller (010) 8517 0811 is barred", "caller (*** is barred"),
            ("caller １３８１０４３３４０２", "caller ***"),  # noqa: RUF001 - full-width digits
            ("2023-01-10 10000000001", "2023-***"),
            (f"token {TOKEN}!", "token ***!"),
            (f"https://api.e.qq.com/v3.0/x?access_token={TOKEN}&nonce=1", "https://api.e.qq.com/v3.0/x?***&nonce=1"),
            ("a\nb\tc\x00d", "a b cd"),
            ("x " * 150, "x " * 99 + "x…"),
        ],
    )
    def test_some_texts(self, text: object, shown: str) -> None:
        """What is harmless stays readable."""
        assert cleaned(text) == shown


def test_a_fault_repeats_no_secret_of_the_answer() -> None:
    """A server that echoes the query and a phone number does not get them into an error."""
    fault = fault_of(refused(12000, f"wrong: access_token={TOKEN}&caller={PHONE}"))
    assert TOKEN not in str(fault) + repr(fault)
    assert PHONE not in str(fault) + repr(fault)


def test_a_page_of_helpers_reads_back() -> None:
    """The answers that other tests are made of are good ones."""
    page = page_of(good(call(1), call(2)))
    assert [one.line for one in page.calls] == [orjson.dumps(call(1)), orjson.dumps(call(2))]


@pytest.mark.parametrize(
    ("sent", "landed"),
    [
        (rb"\ud83d x", rb"\ufffd x"),
        (rb"\ude00\ud800", rb"\ufffd\ufffd"),
        (rb"\ud83d\ude00\ude00", rb"\ud83d\ude00\ufffd"),
        (rb"\\\ud800", rb"\\\ufffd"),
        (rb"\\ud800 \ud800", rb"\\ud800 \ufffd"),
    ],
)
def test_half_a_surrogate_pair_costs_a_character_not_the_page(sent: bytes, landed: bytes) -> None:
    """A lone surrogate, which no reader of JSON would take, becomes U+FFFD; whole pairs and escaped texts stay."""
    record = b'{"call_id":"a","call_start_time":"2026-01-01 00:00:00","name":"%b"}'
    body = b'{"code":0,"message":"","data":{"page_info":{"total_number":1},"entities":[' + record % sent + b"]}}"
    page = read_page(Response(200, {}, body))
    assert isinstance(page, Page)
    assert [call.line for call in page.calls] == [record % landed]

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harvester.calls import Call, Stray
from harvester.record import read_record, read_text

START = "2023-01-10 11:04:50"
NO_ID, NO_START, NO_OBJECT = "no usable call_id", "no usable call_start_time", "not a JSON object"


def line_of(**fields: Any) -> bytes:
    """A record of these fields."""
    return json.dumps(fields).encode()


def test_a_call_keeps_its_bytes() -> None:
    """Two fields are read, every byte stays."""
    line = (
        b'{ "x":1.50,"call_id" : "a-1", "call_start_time":"2023-01-10 11:04:50","\\u7535":[1e999,18446744073709551616]}'
    )
    assert read_record(line) == Call("a-1", START, line)
    assert Call("a-1", START, line).day == "2023-01-10"


@pytest.mark.parametrize(
    ("call_id", "expected"),
    [
        (7, "7"),
        (-5, "-5"),
        (2**63 - 1, "9223372036854775807"),
        (18446744073709551616, "18446744073709551616"),  # 20 digits, beyond any machine integer
        ("0", "0"),
        ("clouspstn_16-230110", "clouspstn_16-230110"),
        ("通话", "通话"),
    ],
)
def test_an_id_is_text_or_an_integer(call_id: object, expected: str) -> None:
    """Integers of any size are read exactly."""
    call = read_record(line_of(call_id=call_id, call_start_time=START))
    assert isinstance(call, Call)
    assert call.id == expected


@pytest.mark.parametrize("call_id", ["", None, True, False, 1.0, 1e30, [], {}, ["a"]])
def test_without_a_usable_id_a_record_is_a_stray(call_id: object) -> None:
    """Its key is a digest of its bytes, so that the same stray is known again."""
    line = line_of(call_id=call_id, call_start_time=START)
    stray = read_record(line)
    assert isinstance(stray, Stray)
    assert stray.line == line
    assert stray.reason == NO_ID
    assert stray.key.startswith("digest ")
    assert stray == read_record(line)
    assert stray.key != read_record(line + b" ").key  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "start",
    [
        "",
        None,
        0,
        1673319890,
        [],
        "2023-01-10",
        "2023-01-10T11:04:50",
        "2023-01-10 11:04",
        "2023-01-10 11:04:5",
        "2023-01-10 11:04:50 ",
        " 2023-01-10 11:04:50",
        "2023-01-10 11:04:50.5",
        "2023-01-10 11:04:50+08:00",
        "2023/01/10 11:04:50",
        "2023-01-10 11-04-50",
        "2023-13-10 11:04:50",
        "2023-02-29 11:04:50",
        "2023-01-10 24:00:00",
        "2023-01-10 23:59:60",
        "0000-00-00 00:00:00",
        "2023-01-1\N{ARABIC-INDIC DIGIT ONE} 11:04:50",
        "2023-01-10 11:04:5\N{FULLWIDTH DIGIT ONE}",
        "2023-W01-1 11:04:50",
        "\x00" * 19,
    ],
)
def test_without_a_usable_start_a_record_is_a_stray(start: object) -> None:
    """It goes by its id."""
    line = line_of(call_id="a-1", call_start_time=start)
    assert read_record(line) == Stray(key="a-1", reason=NO_START, line=line)


def test_a_record_without_fields_is_a_stray() -> None:
    """An absent field is as bad as an empty one."""
    assert read_record(b'{"call_id":"a"}') == Stray(key="a", reason=NO_START, line=b'{"call_id":"a"}')
    assert getattr(read_record(line_of(call_start_time=START)), "reason", None) == NO_ID
    assert getattr(read_record(b"{}"), "reason", None) == NO_ID


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"[]",
        b'"a"',
        b"1",
        b"",
        b"{",
        b'{"call_id":"\\ud800","call_start_time":"2023-01-10 11:04:50"}',
        pytest.param(b'{"call_id":' + b"1" * 5_000 + b"}", id="5,000 digits"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"x":' * 100_000 + b"1" + b"}" * 100_000, id="deep objects"),
    ],
)
def test_what_is_no_object_is_a_stray(line: bytes) -> None:
    """Whole, under its digest."""
    stray = read_record(line)
    assert isinstance(stray, Stray)
    assert (stray.reason, stray.line) == (NO_OBJECT, line)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n", b"\n\n"])
def test_line_breaks_between_tokens_become_spaces(end: bytes) -> None:
    """A pretty-printed record fits on one line, nothing else changes."""
    line = end.join([b"{", b'"call_id":', b'"a\\n\\u2028"', b',"call_start_time":"2023-01-10 11:04:50"', b"}"])
    call = read_record(line)
    assert isinstance(call, Call)
    assert call.line == line.replace(b"\n", b" ").replace(b"\r", b" ")
    assert call.id == "a\n\u2028"


@given(st.binary(max_size=60))
@example(b"\xff\xfe")
def test_any_bytes_are_a_call_or_a_stray(line: bytes) -> None:
    """Nothing is raised, nothing is lost, and it is one line."""
    record = read_record(line)
    assert record.line == line.replace(b"\n", b" ").replace(b"\r", b" ")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
starts = st.datetimes().map(lambda at: str(at.replace(microsecond=0)))


@given(
    st.dictionaries(st.text(max_size=8), values, max_size=4),
    st.none() | st.text(max_size=5) | values,
    starts | values,
    st.booleans(),
)
def test_a_record_is_a_call_exactly_when_both_keys_are_usable(
    others: dict[str, object], call_id: object, start: object, ascii_only: bool
) -> None:
    """Any JSON object is placed by its two keys, whatever else it holds."""
    fields = {**others, "call_id": call_id, "call_start_time": start}
    line = json.dumps(fields, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    record = read_record(line)
    usable_id = isinstance(call_id, str | int) and not isinstance(call_id, bool) and call_id != ""
    usable_start = isinstance(start, str) and len(start) == 19 and start[4] == "-" and start[10] == " "
    assert isinstance(record, Call) == (usable_id and usable_start)
    assert record.line == line


USUAL = (
    b'{"call_id":"7","call_start_time":"2024-02-29 00:00:00"}',
    b'{"call_start_time":"2024-02-28 23:59:59","call_id":"x"}',
)
ODD = (
    b"", b"[]", b"{}", b'{"call_id":7,"call_start_time":"2024-02-29 00:00:00"}', USUAL[0] * 2, USUAL[0] + b"\r",
    b" " + USUAL[0], b'{"a":[{}', b"{}]}", b'{"call_id":"9",', b'"call_start_time":"2024-02-29 00:00:00"}', b"\xff",
    b'{"call_id":"","call_start_time":"2024-02-29 00:00:00"}',
    b'{"call_id":"1","call_start_time":"2023-02-29 00:00:00"}',
    USUAL[0] + b"," + USUAL[1],
)  # fmt: skip


@example([USUAL[0] * 2, b'{"call_id":"9",', b'"call_start_time":"2024-02-29 00:00:00"}'])
@given(st.lists(st.sampled_from(USUAL) | st.sampled_from(ODD), min_size=1, max_size=6))
def test_text_is_read_as_its_lines_are(lines: list[bytes]) -> None:
    """NDJSON is read all at once only if each line by itself is a call, and then as they are."""
    found = [read_record(line) for line in lines]
    together = read_text(b"".join(line + b"\n" for line in lines))
    assert together is None or list(together) == found
    assert together is not None or any(line in ODD for line in lines)

"""The short way to a page says what the long one says."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api import protocol
from harvester.api.codes import Fault
from harvester.api.envelope import Response
from harvester.api.protocol import read_page, usual_page
from harvester.calls import Calls
from harvester.model import Page
from harvester.record import read_record, read_records

START = "2023-01-10 11:04:50"
STARTS = st.one_of(
    st.datetimes().map(lambda at: str(at.replace(microsecond=0))),
    st.sampled_from(
        [START, "2023-02-29 00:00:00", "2023-01-10T11:04:50", "2023-01-10 24:00:00", "0000-01-01 00:00:00"]
    ),
    st.sampled_from(["", None, 7, f"{START},{START}", f"{START} ", "\uff12023-01-10 11:04:50", "2023-01-10 11:04:5"]),
)
IDS = st.one_of(st.text(max_size=3), st.integers(-5, 2**70), st.sampled_from([None, True, 1.5, "a", "b", "a,b"]))
ENTITIES: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"call_id": IDS, "call_start_time": STARTS}, optional={"x": st.text(max_size=2)}),
    st.fixed_dictionaries({"call_id": st.sampled_from("abc"), "call_start_time": st.just(START)}),
    st.sampled_from([None, [], 7, {"call_id": "a"}]),
)
NUMBERS = st.sampled_from([0, 1, 2, -1, 2**63 - 1, 2**63, 2**64, "2", "", None, 1.0, True])


def body_of(entities: Any, **fields: Any) -> bytes:
    """An answer."""
    info = {"total_number": 2, "page_size": 100} | fields
    return json.dumps({"code": 0, "message": "", "data": {"page_info": info, "entities": entities}}).encode()


def long_way(response: Response) -> Page | Fault:
    """What is read of an answer when nothing is taken for usual."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "usual_page", lambda _: None)
        return read_page(response)


@settings(max_examples=400)
@given(st.lists(ENTITIES, max_size=4), NUMBERS, NUMBERS, st.sampled_from([None, "\n", "\r", " "]), st.booleans())
@example([{"call_id": "a", "call_start_time": f"{START},{START}"}], 1, 1, None, True)
@example([{"call_id": "通话", "call_start_time": START}] * 2, 2, 100, None, False)
def test_both_ways_end_at_the_same_page(
    entities: list[Any], total: object, size: object, between: str | None, ascii_only: bool
) -> None:
    """Whatever is in an answer: where the short way finds a page, the long one finds the same."""
    info = {"total_number": total, "page_size": size}
    text = json.dumps(
        {"code": 0, "data": {"page_info": info, "entities": entities}},
        ensure_ascii=ascii_only,
        separators=(f",{between or ''}", ":"),
    )
    response = Response(200, {}, text.encode("utf-8", "surrogatepass"))
    page = usual_page(response)
    assert page is None or page == long_way(response)


def test_most_pages_are_usual() -> None:
    """The short way is taken for what the API is documented to send."""
    entities = [{"call_id": f"{number}", "call_start_time": START, "电": "话"} for number in range(3)]
    response = Response(200, {}, body_of(entities))
    page = usual_page(response)
    assert page is not None
    assert page.calls.ids == ["0", "1", "2"]
    assert page == long_way(response) == read_page(response)


@pytest.mark.parametrize(
    "response",
    [
        Response(500, {}, body_of([])),
        Response(200, {}, body_of([]).replace(b'"code": 0', b'"code": 11017')),
        Response(200, {}, body_of([]).replace(b'"code": 0', b'"code": "0"')),
        Response(200, {}, b"\xef\xbb\xbf" + body_of([])),
        Response(200, {}, body_of([])[:-1]),
        Response(200, {}, body_of([{"call_id": "a", "call_start_time": START, "x": "x"}]).replace(b'"x"', b'"\xff"')),
        Response(200, {}, body_of([{"call_id": "a", "call_start_time": START, "x": 1}]).replace(b": 1}", b": \n1}")),
        Response(200, {}, body_of(None)),
        Response(200, {}, body_of([], total_number="")),
        Response(200, {}, body_of([], total_number=-1)),
        Response(200, {}, body_of([{"call_id": 7, "call_start_time": START}])),
        Response(200, {}, body_of([{"call_id": "a", "call_start_time": "2023-02-30 00:00:00"}])),
        Response(200, {}, b"[" * 100_000),
    ],
)
def test_whatever_is_odd_goes_the_long_way(response: Response) -> None:
    """The short way leaves it alone."""
    assert usual_page(response) is None


@given(st.lists(ENTITIES, max_size=4), st.sampled_from(["", "\n"]))
def test_lines_read_together_are_the_calls_read_one_by_one(entities: list[Any], between: str) -> None:
    """Lines that are all usual calls are read as one by one; no others are."""
    lines = [json.dumps(one, separators=(f",{between}", ":")).encode() for one in entities]
    together = read_records(lines)
    assert together is None or list(together) == [read_record(line) for line in lines]


def test_usual_lines_are_read_together() -> None:
    """As many as there are, none too."""
    lines = [b'{"call_id":"a","call_start_time":"2023-01-10 11:04:50"}'] * 2
    assert read_records(lines) == Calls(["a"] * 2, [START] * 2, lines)
    assert read_records([]) == Calls([], [], [])

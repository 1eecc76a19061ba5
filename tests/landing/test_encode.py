import orjson
from hypothesis import given
from hypothesis import strategies as st

from harvester.calls import Call, Stray
from harvester.landing.encode import in_order, to_lines, to_quarantine
from harvester.record import read_record
from tests.landing.helpers import call, calls

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(calls()))
def test_order(some: list[Call]) -> None:
    """Calls are ordered by start, then by id as text, and none is lost or made."""
    ordered = in_order(some)
    assert [(one.start, one.id) for one in ordered] == sorted((one.start, one.id) for one in some)
    assert sorted(one.line for one in ordered) == sorted(one.line for one in some)


def test_order_is_stable() -> None:
    """Of two versions of one call, the one that was given first stays first."""
    first, second = (call("1", "2024-03-01 00:00:00", version=number) for number in (1, 2))
    assert in_order([second, first]) == [second, first]


@given(st.lists(calls()))
def test_lines(some: list[Call]) -> None:
    """Each call is one line of the API's own bytes, ended by a line break, whatever its strings hold."""
    text = to_lines(some)
    assert text.split(b"\n") == [*(one.line for one in some), b""]
    assert [read_record(line) for line in text.splitlines() if line] == some


@given(JSON.map(lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2)), st.text())
def test_quarantine_line(record: bytes, reason: str) -> None:
    """A quarantined record is one line of JSON that holds the reason and the whole record, whatever the record is."""
    stray = read_record(record.replace(b'"call_id"', b'"id"'))
    assert isinstance(stray, Stray)
    line = to_quarantine(Stray(key=stray.key, reason=reason, line=stray.line))
    assert b"\n" not in line
    assert orjson.loads(line) == {"reason": reason, "record": orjson.loads(record)}

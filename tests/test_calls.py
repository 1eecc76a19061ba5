"""Calls in columns against calls one by one."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harvester.calls import Call, Calls

CALLS = st.lists(
    st.builds(
        Call,
        id=st.sampled_from("abcdef"),
        start=st.sampled_from(["2023-01-09 23:59:59", "2023-01-10 00:00:00", "2023-01-10 11:04:50"]),
        line=st.binary(max_size=2),
    ),
    max_size=6,
)


@given(CALLS)
def test_columns_are_a_sequence_of_calls(some: list[Call]) -> None:
    """In their order, by place and by slice."""
    calls = Calls.of(some)
    assert list(calls) == some
    assert [calls[place] for place in range(len(calls))] == some
    assert list(calls[1:3]) == some[1:3]
    assert calls == Calls.of(calls)
    assert Calls.of(some[:2]) + Calls.of(some[2:]) == calls


@given(CALLS)
def test_runs_of_a_day(some: list[Call]) -> None:
    """Put together again they are all the calls, each under its own day, and neighbours of one day are together."""
    runs = list(Calls.of(some).by_day())
    assert [call for _, run in runs for call in run] == some
    assert all(call.day == day for day, run in runs for call in run)
    assert all(one != other for (one, _), (other, _) in pairwise(runs))


@given(CALLS, st.sets(st.sampled_from("abcdef")))
def test_each_once(some: list[Call], known: set[str]) -> None:
    """No id that is known, none twice; the first place, the last reading."""
    last = {call.id: call for call in some}
    assert list(Calls.of(some).each_once(known=known)) == [last[one] for one in last if one not in known]


@given(CALLS)
def test_order(some: list[Call]) -> None:
    """By start, then id; of the readings of a call in one second the last one first."""
    last_first = some[::-1]
    assert list(Calls.of(some).in_order()) == sorted(last_first, key=lambda call: (call.start, call.id))


@given(CALLS, st.data())
def test_some_of_them(some: list[Call], data: st.DataObject) -> None:
    """Those that are chosen."""
    chosen = data.draw(st.lists(st.booleans(), min_size=len(some), max_size=len(some)))
    calls = Calls.of(some).where(chosen)
    assert list(calls) == [call for call, wanted in zip(some, chosen, strict=True) if wanted]


def test_nothing_of_what_is_in_them_is_shown() -> None:
    """A phone number is in every line."""
    assert repr(Calls.of([Call("1", "2023-01-10 11:04:50", b"10000000001")])) == "Calls(1)"

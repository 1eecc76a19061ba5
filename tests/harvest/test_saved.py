import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.harvest.findings import Findings
from harvester.harvest.walk import Walk
from harvester.model import ONE_DAY, AccountId, Page, Query, Window
from tests.harvest.model_api import End, Limit, ModelApi, Switches
from tests.harvest.test_walk import ACCOUNT, FIRST_DAY, PAGE, at, property_test, window_of

WINDOW = window_of(31)
MAPS = {"by_day", "starts", "weighed", "days"}
"""What is keyed by days, ids and windows; all else has fields."""


def drive_on(walk: Walk, api: ModelApi = ModelApi([], Switches())) -> list[bytes]:  # noqa: B008 - forgets nothing
    """Walks to the end; the states before each answer."""
    then, saved = walk.begin(), list[bytes]()
    while isinstance(then, Query):
        saved.append(walk.state())
        answer = api.answer(then)
        then = (walk.take(answer) if isinstance(answer, Page) else walk.refuse(answer)).then
    return saved


def much() -> ModelApi:
    """A month that is read whole, then in halves, of which days are mended; with strays.

    The end is exclusive, and no request can reach a day beyond its 31.
    """
    entries = [
        *at(0, "00:00:00", 2),
        *at(0, "10:00:00", 9),
        *at(1, "10:00:00", 3),
        *(replace(entry, stray=True) for entry in at(1, "11:00:00", 2)),
        *at(2, "10:00:00", 40),
        *at(20, "10:00:00", 9),
        *at(20, "10:00:01", 2),
        *at(30, "10:00:00", 3),
    ]
    switches = Switches(limit=Limit.REFUSE, largest=6, end=End.EXCLUSIVE, depth=60)
    return ModelApi(entries, switches)


STATES = drive_on(Walk(ACCOUNT, WINDOW, page_size=PAGE), much())
"""Of one walk, before each answer."""


def resumed(saved: bytes, account_id: AccountId = ACCOUNT, window: Window = WINDOW) -> Walk | None:
    """A walk that goes on from there."""
    return Walk.resume(saved, account_id, window, page_size=PAGE, findings=Findings())


def written(state: object) -> bytes:
    """As a walk writes it."""
    return json.dumps(state, separators=(",", ":")).encode()


def state_where(fits: Callable[[Any], object]) -> bytes:
    """The last state whose `progress` fits."""
    return next(saved for saved in reversed(STATES) if fits(json.loads(saved)["progress"]))


READING = state_where(
    lambda progress: (
        not (progress["settled"] or progress["reading"]["over"]) and progress["reading"]["course"]["stepped_over"]
    )
)
MENDING = state_where(lambda progress: progress["days"] and progress["reading"]["seen"]["starts"])


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Everything within a parsed state, with the way there."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(saved: bytes, path: Sequence[str | int], value: object) -> bytes:
    """A state with another value in one place, written as a walk would: what is keyed is in order."""
    state = holder = json.loads(saved)
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    if len(path) > 1 and path[-2] in MAPS:
        ordered = sorted(holder.items())
        holder.clear()
        holder.update(ordered)
    return written(state)


# ── what is saved ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_resumed_walk_saves_what_it_was_resumed_from() -> None:
    """Nothing is lost or added on the way to bytes and back, and bytes do not depend on the order of sets."""
    for saved in STATES:
        walk = resumed(saved)
        assert walk is not None
        assert walk.state() == saved
        assert written(json.loads(saved)) == saved


def test_what_a_stop_wasted_is_known_exactly() -> None:
    """Wherever it was stopped: the requests of all legs less the wasted ones are those of a walk without a stop."""
    known = Findings(page_size_served=6, page_size_refused=7)
    whole = drive_on(Walk(ACCOUNT, WINDOW, page_size=PAGE, findings=known), much())
    for saved in whole:
        walk = resumed(saved)
        assert walk is not None
        drive_on(walk, much())
        assert walk._desk.spent == len(whole)
        assert walk._desk.requests <= len(whole) + 8  # the most that one stop wastes here


def test_a_state_holds_no_content_of_calls() -> None:
    """Ids and times travel into a state, lines do not."""
    assert all(b"call_start_time" not in saved for saved in STATES)
    assert any(b"07919-0301-10:00:00" in saved for saved in STATES)


def test_a_state_stays_small() -> None:
    """Two or three kilobytes, wherever the walk is, unless many calls share a second."""
    assert max(map(len, STATES)) < 3_000


def test_a_state_from_before_slices_could_be_narrowed_is_read() -> None:
    """What is usual is not written: such a state is, byte by byte, as it was then; only a count that is due is told."""
    assert all(b"uncounted" not in saved for saved in STATES)
    due = changed(READING, ("uncounted",), True)
    walk = resumed(due)
    assert walk is not None
    assert walk.state() == due
    query = walk.begin()
    assert isinstance(query, Query)
    assert query.after is None, "the calls are counted first"


# ── what is not believed ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_state_of_another_slice_is_not_read() -> None:
    """Another account or other days: the walk starts anew."""
    assert resumed(READING) is not None
    assert resumed(READING, AccountId(ACCOUNT + 1)) is None
    assert resumed(READING, window=window_of(30)) is None
    assert resumed(READING, window=Window(WINDOW.start + ONE_DAY, WINDOW.end)) is None


@pytest.mark.parametrize("saved", [READING, MENDING], ids=["reading", "mending"])
def test_a_part_of_a_state_is_not_read(saved: bytes) -> None:
    """Whatever is cut off or comes on top, the walk starts anew."""
    assert all(resumed(saved[:length]) is None for length in range(len(saved)))
    assert all(resumed(saved + more) is None for more in (b" ", b"\n", b"0", b"}", saved))


@pytest.mark.parametrize(
    "garbage",
    [b"null", b"[]", b"{}", b"\xff", b"0" * 9_999, b"[" * 99_999, b'{"window":{"x":' + b"[" * 99_999, b"\0" * 9],
)
def test_garbage_is_not_read(garbage: bytes) -> None:
    """What never was a state starts nothing."""
    assert resumed(garbage) is None


@given(st.sampled_from(STATES), st.lists(st.tuples(st.integers(0, 9_999), st.integers(1, 255)), min_size=1, max_size=3))
@property_test(max_examples=1500)
def test_a_damaged_state_raises_nothing(saved: bytes, flips: list[tuple[int, int]]) -> None:
    """Flipped bits: the walk starts anew, or, if what they say could be, goes on and comes to an end."""
    damaged = bytearray(saved)
    for where, bits in flips:
        damaged[where % len(saved)] ^= bits
    walk = resumed(bytes(damaged))
    if walk is not None:
        drive_on(walk)


@pytest.mark.parametrize("saved", [READING, MENDING], ids=["reading", "mending"])
def test_a_field_more_or_less_is_not_overlooked(saved: bytes) -> None:
    """Each field must be there, and none that is not known."""
    for path, value in places(json.loads(saved)):
        if isinstance(value, dict):
            assert resumed(changed(saved, [*path, "more"], 1)) is None, path
            for key in value if not MAPS.intersection(path[-1:]) else ():
                state = holder = json.loads(saved)
                for step in path:
                    holder = holder[step]
                del holder[key]
                assert resumed(written(state)) is None, (path, key)


@pytest.mark.parametrize("saved", [READING, MENDING], ids=["reading", "mending"])
@pytest.mark.parametrize("wrong", ["x", 0.5, {"a": 1}, [[1]], -1])
def test_a_value_of_another_kind_is_not_read(saved: bytes, wrong: object) -> None:
    """A text for a number, a number for a truth, and so on: the walk starts anew."""
    for path, value in places(json.loads(saved)):
        free = {"strays", "reason", "unknown"}.intersection(map(str, path)) and isinstance(wrong, str)
        negative = path[-1:] == ("total",) or path[-1:] == ("direction",)  # a day's: foreign calls are deducted
        if path and value != wrong and not free and not (wrong == -1 and negative):
            assert resumed(changed(saved, path, wrong)) is None, (path, value)


WEIGHED = ("progress", "weighed")
DAYS = ("progress", "days")
COURSE = ("progress", "reading", "course")
PROOF: dict[str, object] = {"total": 1, "distinct": 1, "reason": None, "strays": 0, "short": []}
DAY = str(FIRST_DAY)
IMPOSSIBLE: dict[str, tuple[Sequence[str | int], object]] = {
    "a count that is due of nothing that is being read": (("uncounted",), True),
    "a count that is not due, in another dress": (("uncounted",), False),
    "another version": (("version",), 2),
    "more wasted than asked for": (("wasted",), 99),
    "a witness of other days": (("witness",), "2024-02-27"),
    "no reason but one": (("progress", "unknown"), ""),
    "a day is a half": ((*WEIGHED, f"{DAY}..{DAY}"), None),
    "a window that no halving gives": ((*WEIGHED, f"{DAY}..2024-03-02"), PROOF),
    "a day of another slice": ((*DAYS, "2024-02-27"), PROOF),
    "a day that there is not": ((*DAYS, "2024-02-30"), PROOF),
    "short without a reason": ((*DAYS, DAY), PROOF | {"short": [DAY]}),
    "a reason without a short day": ((*DAYS, DAY), PROOF | {"reason": "why"}),
    "an empty reason": ((*DAYS, DAY), PROOF | {"reason": "", "short": [DAY]}),
    "short on another day": ((*DAYS, DAY), PROOF | {"reason": "why", "short": ["2024-02-29"]}),
    "more strays than calls and strays": ((*DAYS, DAY), PROOF | {"strays": 2}),
    "a reading of a window that no halving gives": (("progress", "reading", "window", "end"), "2024-03-28"),
    "a reading that begins elsewhere": (("progress", "reading", "wire", "start"), "2024-03-15"),
    "a reading that ends too early": (("progress", "reading", "wire", "end"), "2024-03-28"),
    "a reading that ends too late": (("progress", "reading", "wire", "end"), "2024-03-31"),
    "a reading that begins later than now": (("progress", "reading", "since"), 99),
    "dates in the wrong order": (("progress", "reading", "wire", "end"), "2024-03-01"),
    "a cursor without seconds": ((*COURSE, "cursor"), "2024-03-19 10:00"),
    "a cursor of another dress": ((*COURSE, "cursor"), "2024-03-19T10:00:00"),
    "a cursor that there is not": ((*COURSE, "cursor"), "2024-02-30 10:00:00"),
    "an empty cursor": ((*COURSE, "cursor"), ""),
    "a cursor with a fraction": ((*COURSE, "cursor"), "2024-03-19 10:00:00.500000"),
    "a direction that there is not": ((*COURSE, "direction"), 2),
    "a page larger than any": ((*COURSE, "capacity"), 10_001),
    "a call at no time": (("progress", "reading", "seen", "starts", "c"), "2024-03-19 25:00:00"),
    "a call that was not counted": (("progress", "reading", "seen", "starts", "c"), "2024-03-28 10:00:00"),
    "a day in another dress": (("progress", "reading", "seen", "by_day", "20240319"), 1),
    "a day of no calls": (("progress", "reading", "seen", "by_day", "2024-03-18"), -1),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_is_not_read(name: str) -> None:
    """Each contradiction, by name: the walk starts anew."""
    path, value = IMPOSSIBLE[name]
    assert resumed(MENDING) is not None
    assert resumed(changed(MENDING, path, value)) is None


def test_an_unsound_reading_is_over() -> None:
    """A reading that contradicted itself does not go on."""
    assert resumed(changed(READING, ("progress", "reading", "sound"), False)) is None


def test_more_cannot_be_wasted_than_was_asked_for() -> None:
    """Whether a reading is open or not."""
    idle = changed(READING, ("progress", "reading"), None)
    assert resumed(idle) is not None
    assert resumed(changed(idle, ("wasted",), 99)) is None


def test_before_it_is_settled_the_whole_slice_is_read() -> None:
    """Mending, and a reading of a half, belong to a slice that was read as a whole before."""
    assert resumed(changed(READING, (*DAYS, DAY), PROOF)) is None
    half = changed(READING, ("progress", "reading", "window", "end"), "2024-03-13")
    assert resumed(changed(half, ("progress", "reading", "wire", "end"), "2024-03-13")) is None

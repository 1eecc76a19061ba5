"""A walk's state as bytes, and back: believed only if nothing in it contradicts itself. Pure.

Whatever cannot be read costs a slice that is read from its beginning; whatever were read wrongly could cost calls that
nobody would miss. So all that differs from what `save` writes is refused as a whole.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from harvester.harvest.desk import Desk
from harvester.harvest.findings import Count, Findings
from harvester.harvest.mend import Progress, Proof
from harvester.harvest.span import Reading
from harvester.model import ONE_DAY, Window

STATE_VERSION = 1
"""Raised with every change of what is saved or of what it means: older states are then read no more."""


class _State(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is saved: of the desk, all but what is handed on with each step; see `Desk` and `Progress`.

    `uncounted` came later: states that are without it are as they always were.
    """

    version: int
    account_id: int
    window: Window
    findings: Findings
    requests: Count
    wasted: Count
    read: Count
    witness: date | None
    strays: set[str]
    progress: Progress
    uncounted: bool = False


_ENCODER, _DECODER = Encoder(order="deterministic"), Decoder(_State)


def save(desk: Desk, progress: Progress) -> bytes:
    """A walk's state as JSON; the same state gives the same bytes.

    What was asked for since the present part began counts as wasted: that part will be begun again.
    """
    return _ENCODER.encode(
        _State(
            version=STATE_VERSION,
            account_id=desk.account_id,
            window=desk.window,
            findings=desk.findings,
            requests=desk.requests,
            wasted=desk.wasted + desk.requests - desk.began,
            read=desk.read,
            witness=desk.witness,
            strays=desk.strays,
            progress=progress,
            uncounted=desk.uncounted,
        )
    )


def restore(saved: bytes, desk: Desk) -> Progress | None:
    """Puts what was saved on a fresh desk.

    Returns:
        How far the walk had come; `None` when that cannot be read, is of another account or window, or cannot be: then
        the desk is as it was.
    """
    try:
        state = _DECODER.decode(saved)
        usable = (
            (state.account_id, state.window) == (desk.account_id, desk.window)
            and _ENCODER.encode(state) == saved  # else there are fields of no meaning, or values in another dress
            and _can_be(state)
        )
    except (ValueError, RecursionError):
        return None
    if not usable:
        return None
    desk.findings = desk.findings.merge(state.findings)
    desk.requests = desk.began = state.requests
    desk.wasted, desk.read, desk.witness, desk.strays = state.wasted, state.read, state.witness, state.strays
    desk.uncounted = state.uncounted
    return state.progress


def _can_be(state: _State) -> bool:
    """Whether the values fit each other. `ValueError` means no, too."""
    progress, window = state.progress, state.window
    parts = {str(part): part for part in _parts(window)}
    days = {str(day): Window(day, day) for day in window}
    untouched = not (progress.weighed or progress.days or progress.unknown)
    under_way = not progress.settled and progress.reading and not progress.reading.over and progress.reading.resumable
    return bool(
        state.version == STATE_VERSION
        and state.wasted <= state.requests
        and (state.witness is None or state.witness in window)
        and (progress.settled or untouched)
        and (under_way or not state.uncounted)
        and progress.unknown != ""
        and all(part in parts and _is_proof(proof, parts[part]) for part, proof in progress.weighed.items())
        and all(day in days and _is_proof(proof, days[day]) for day, proof in progress.days.items())
        and (progress.reading is None or _is_reading(progress.reading, state, parts.values()))
    )


def _parts(window: Window) -> Iterator[Window]:
    """A window, its halves, theirs, and so on down to the days."""
    yield window
    if len(window) > 1:
        for half in window.halves():
            yield from _parts(half)


def _is_proof(proof: Proof | None, window: Window) -> bool:
    if proof is None:
        return len(window) > 1
    gives_reason = proof.reason != "" and (proof.reason is None) is not bool(proof.short)
    return gives_reason and proof.short <= frozenset(window) and proof.strays <= proof.distinct


def _is_reading(reading: Reading, state: _State, parts: Iterable[Window]) -> bool:
    window, wire, course, seen = reading.window, reading.wire, reading.course, reading.seen
    starts = Counter(start[:10] for start in seen.starts.values())
    return (
        window in (parts if state.progress.settled else [state.window])
        and wire.start == window.start
        and wire.end - window.end in (0 * ONE_DAY, ONE_DAY)
        and reading.since <= state.requests - state.wasted
        and (reading.sound or reading.over)
        and (course.cursor is None or _is_second(course.cursor))
        and all(_is_second(start) for start in seen.starts.values())
        and all(str(date.fromisoformat(day)) == day for day in seen.by_day)
        and all(calls <= seen.by_day.get(day, 0) for day, calls in starts.items())
    )


def _is_second(text: str) -> bool:
    """Whether a text is a `YYYY-MM-DD HH:MM:SS` that exists."""
    return len(text) == 19 and str(datetime.fromisoformat(text)) == text

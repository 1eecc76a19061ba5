"""The books of a run: which slices are open, how each one ended, and what that says of the rest.

Whoever listens is told here; and people, by the log, of causes rather than of slices.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from harvester.enrolment import NOBODY
from harvester.events import TOLD, Audience, Checkpointed, Event, Problem, SliceDone
from harvester.foresight import Expected
from harvester.model import AppName, Outcome, Slice, Status
from harvester.report.summary import Report, fold
from harvester.report.troubles import cause_of
from harvester.standing import Cause

log = logging.getLogger(__name__)

_CAUSES_SHOWN: Final = 5
DROPPED: Final = "dropped while it was open; the next run goes on from its last checkpoint"


class Books:
    """What a run has opened, and how each slice ended.

    Args:
        report: Of the run, as it begins.
        expected: What a slice that is about to be read is expected to take.
        audience: Is told of every slice.

    Attributes:
        report: So far.
        open: Begun or gone on with, and not yet committed; with what each was expected to take.
        unfinished: Those that ended so.
        foreseen: By app, requests that the slices opened so far were expected to take.
        settled: By app, of these, those of slices whose walks came to their end.
        took: By app, what these took tonight.
        ended_by_app: Slices that ended, by app.
        is_blind: Whether a slice was opened of which nothing was known.
    """

    def __init__(self, report: Report, expected: Callable[[Slice], Expected], audience: Audience) -> None:
        self.report = report
        self.open: dict[Slice, Expected] = {}
        self.unfinished: list[Slice] = []
        self.foreseen: defaultdict[AppName, float] = defaultdict(float)
        self.settled: defaultdict[AppName, float] = defaultdict(float)
        self.took: defaultdict[AppName, float] = defaultdict(float)
        self.ended_by_app: Counter[AppName] = Counter()
        self.is_blind = False
        self._expected = expected
        self._tell = audience.tell
        self._trace = audience.trace
        self._causes: Counter[tuple[Status, str]] = Counter()
        self._reasons: dict[tuple[Status, str], str] = {}

    def tell(self, event: Event) -> None:
        """Tells whoever listens."""
        if self._tell:
            self._tell(event)

    def tell_last(self, event: Event) -> None:
        """Tells of the end; nothing is told after it."""
        self.tell(event)
        self._tell = None

    def opened(self, one: Slice) -> None:
        """A slice is begun, or gone on with."""
        if self._trace:
            self._trace.begun(one)
        self._expect(one)

    def _expect(self, one: Slice) -> None:
        self.open[one] = expected = self._expected(one)
        self.foreseen[one.account.app] += expected.requests
        self.is_blind = self.is_blind or expected.blind_days > 0

    def narrowed(self, before: Slice, after: Slice) -> None:
        """An open slice gave days away, which are expected anew when they are begun."""
        if was := self.open.pop(before, None):
            self.foreseen[before.account.app] -= was.requests
        if self._trace:
            self._trace.begun(after, instead_of=before)
        self._expect(after)

    def checkpointed(self, one: Slice, calls: int) -> None:
        """So many calls of an open slice are on the disk."""
        if self._tell:
            account, window = one.account, one.window
            self._tell(
                Checkpointed(
                    account_id=account.id, account_name=account.name, start=window.start, end=window.end, calls=calls
                )
            )

    def ended(self, outcome: Outcome) -> None:
        """A slice is committed, or given up."""
        expected, app = self.open.pop(outcome.slice, None), outcome.slice.account.app
        if outcome.status is Status.UNFINISHED:
            self.unfinished.append(outcome.slice)
        if expected:
            self.settled[app] += expected.requests
            self.took[app] += _taken(outcome, expected)
        self.ended_by_app[app] += outcome.status is not Status.DIVIDED
        self.report = fold(self.report, outcome, expected)
        if self._tell:
            self._tell(_slice_done(outcome))
        if outcome.status not in {Status.COMPLETE, Status.DIVIDED}:
            self._note_cause(outcome)

    def drop_open(self) -> None:
        """Whatever is still open was abandoned."""
        for one in tuple(self.open):
            self.ended(Outcome(slice=one, status=Status.UNFINISHED, reason=DROPPED))

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why slices are not complete, the most common first."""
        common = self._causes.most_common(_CAUSES_SHOWN)
        return tuple(
            Cause(status=str(status), reason=self._reasons[status, cause], slices=many)
            for (status, cause), many in common
        )

    def _note_cause(self, outcome: Outcome) -> None:
        """Tells of a cause at its 1st, 10th, 100th, … slice: hundreds of dead accounts are a line or three."""
        reason = outcome.reason or "no reason is known"
        cause = (outcome.status, cause_of(reason))
        self._causes[cause] += 1
        self._reasons.setdefault(cause, reason)
        many, account = self._causes[cause], outcome.slice.account.id
        if str(many).strip("0") != "1":
            return
        known = None if account == NOBODY else account
        self.tell(Problem(status=str(outcome.status), reason=reason, slices=many, account_id=known))
        if outcome.status is Status.UNFINISHED:
            return  # what ended the run is told where it ends it
        if many == 1:
            log.warning("%s %s: %s", outcome.slice, outcome.status, reason, extra=TOLD)
        else:
            log.warning("%s slices %s by now for one cause: %s", f"{many:,}", outcome.status, reason, extra=TOLD)

    def close(self, **values: object) -> None:
        """The report with these values."""
        self.report = replace(self.report, **values)  # type: ignore[arg-type]


def _taken(outcome: Outcome, expected: Expected) -> float:
    """Requests of tonight, as far as they are known: without a receipt, what was expected."""
    return max(0, outcome.receipt.requests - expected.spent) if outcome.receipt else expected.requests


def _slice_done(outcome: Outcome) -> SliceDone:
    account, window = outcome.slice.account, outcome.slice.window
    return SliceDone(
        account_id=None if account.id == NOBODY else account.id,
        account_name=account.name,
        start=window.start,
        end=window.end,
        status=str(outcome.status),
        reason=outcome.reason,
        calls=outcome.landed,
        new=outcome.new,
        changed=outcome.changed,
        missing=outcome.missing,
        requests=outcome.receipt.requests if outcome.receipt else None,
    )

"""How a run's books are closed: what was not begun, what was abandoned, and what the shell is told."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from harvester.api.tokens import Tokens
from harvester.disk import storage
from harvester.errors import HarvesterError, StorageError
from harvester.events import Ended, Started
from harvester.harvest.books import Books
from harvester.harvest.casebook import Casebook
from harvester.harvest.meter import Meter
from harvester.harvest.planning import Planning
from harvester.harvest.stopping import Stopping
from harvester.landing.files import replace_whole
from harvester.landing.partition import Zone
from harvester.model import Slice, TokenName
from harvester.report.left import Left
from harvester.report.quotas import QuotaUse
from harvester.report.summary import Report, as_json, exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What the last words are made of.

    Attributes:
        books: Of the run.
        planning: What it was to do.
        casebook: Of accounts that are not well.
        meter: Of its quotas; nothing is sent any more.
        tokens: Its tokens.
        needed: Those that it needed.
        stopping: What stopped it, if anything did.
    """

    books: Books
    planning: Planning
    casebook: Casebook
    meter: Meter
    tokens: Tokens
    needed: Collection[TokenName]
    stopping: Stopping

    def close(self, aside: Iterable[Slice], error: HarvesterError | None, took_s: float) -> Report:
        """The report of a run that has ended.

        Args:
            aside: What was not begun.
            error: What ended it early; `None` when nothing did.
            took_s: Seconds since it began.
        """
        self.books.drop_open()
        remainder = self._left(aside, error)
        none_works = set(self.needed) <= self.tokens.dead.keys()
        in_vain = none_works and set(self.needed) <= self.tokens.given_up
        before = self.books.report
        report = replace(
            before,
            ended=before.started + timedelta(seconds=took_s),
            not_begun=remainder.total - remainder.begun,
            left=remainder,
            sick=self.casebook.sick(before.troubles),
            dead_tokens=dict(self.tokens.dead),
            no_token_works=none_works and not in_vain,
            renewals_failed=in_vain,
            quotas=tuple(self._quota_use(took_s)),
            predicted_s=None if error or remainder.total else self._predicted_s(),
            ended_by=str(error) if error else None,
        )
        if not report.complete:
            report = replace(report, ended_by=self.stopping.in_words or report.ended_by)
        code = error.exit_code if error else exit_code(report, self.stopping.exit_code)
        return replace(report, exit_code=code)

    def _left(self, aside: Iterable[Slice], error: HarvesterError | None) -> Left:
        try:
            return self.planning.left(self.books.unfinished, aside)
        except StorageError:
            if error is None:
                raise
            return Left()  # what ended the run ends this, too

    def _quota_use(self, took_s: float) -> Iterable[QuotaUse]:
        for app, one in self.meter.readings.items():
            share = min(1.0, one.sent * one.spacing_s / took_s) if one.spacing_s and took_s else None
            yield QuotaUse(app=app, requests=one.sent, per_minute=one.per_minute, share=share, others=one.others)

    def _predicted_s(self) -> float | None:
        """What the slices that were begun were expected to take, at the quota; `None` when nobody could know."""
        if self.books.is_blind:
            return None
        times = [self.books.foreseen[app] * one.spacing_s for app, one in self.meter.readings.items() if one.spacing_s]
        return max(times) if times and len(times) == len(self.meter.readings) else None


def started(report: Report) -> Started:
    """What is told when a run begins to read."""
    return Started(
        run_id=report.run_id,
        start=report.window.start,
        end=report.window.end,
        accounts=report.accounts,
        completed_before=report.completed_before,
    )


def ended(report: Report, path: Path) -> Ended:
    """What is told when it is over, and its report is at `path`."""
    return Ended(
        run_id=report.run_id,
        complete=report.complete,
        exit_code=int(report.exit_code),
        ended_by=report.ended_by,
        slices=report.complete_slices,
        slices_left=report.lacking,
        calls=report.calls,
        requests=sum(report.requests.values()),
        elapsed_s=round(report.took_s, 1),
        report=str(path),
    )


def report_path(zone: Zone, report: Report) -> Path:
    """Where a report lies."""
    return zone.root / "runs" / f"{report.run_id}.json"


def save(zone: Zone, report: Report) -> None:
    """Puts the report where it lies. Raises `StorageError`."""
    path = report_path(zone, report)
    with storage(path, "write"):
        replace_whole(path, [as_json(report)], scratch=zone.scratch)

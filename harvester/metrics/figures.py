"""The figures of a run that has ended, under the names that alerts are written for. Pure.

Names follow Prometheus: base units, the unit last, no total where nothing grows; every one is a gauge of the last run.
Labels are bounded by the config: its file name, its apps, a few words; accounts only where that is asked for.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from harvester.errors import ExitCode
from harvester.model import Status
from harvester.report.summary import Report

METRICS: Final = MappingProxyType(
    {
        "harvester_last_run_timestamp_seconds": "when the last run ended, however",
        "harvester_last_success_timestamp_seconds": "when the last run ended that was complete (exit code 0)",
        "harvester_last_run_exit_code": "what the last run told the shell",
        "harvester_last_run_complete": "1 if every slice of the last run is complete, else 0",
        "harvester_last_run_duration_seconds": "how long it took",
        "harvester_accounts": "accounts that it covered",
        "harvester_accounts_sick": "accounts that are not well: denied, inactive, unknown, failing",
        "harvester_slices": "slices by `status`: complete, short, failed, skipped, unfinished, not_begun",
        "harvester_calls": "different calls that were read and are in the files",
        "harvester_calls_new": "of these, not there before",
        "harvester_calls_changed": "of these, different from what was there",
        "harvester_calls_late": "of the new ones, those of days that had been read before",
        "harvester_calls_missing": "calls that had landed before and that the API no longer returned",
        "harvester_records_quarantined": "records that cannot be placed",
        "harvester_requests": "requests that were sent, by `app`",
        "harvester_requests_failed": "of all of them, how many brought no page",
        "harvester_quota_used_ratio": "what of an `app`'s quota the run used while it went on, 0 to 1",
        "harvester_quota_others_ratio": "what of an `app`'s quota others were seen to use, 0 to 1",
        "harvester_tokens_dead": "tokens that do not work",
        "harvester_notes": "notes in the report",
        "harvester_waits": "how often something had to be waited for, such as a quota; OpenTelemetry only",
        "harvester_account_slices_lacking": "slices that are not complete, by `account_id`; with `per_account` only",
    }
)
"""Every name, and what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What figures are made of.

    Attributes:
        config: The config's file name: the label `config` of every figure.
        code: What the shell is told.
        ended_s: When, in Unix seconds.
        last_success_s: When the last run ended that was complete; `None` if none is known.
        report: What the run did; `None` when it ended before it could say so.
        waits: How often it waited; `None` when nobody counted.
        per_account: Whether accounts that lack something get figures of their own.
    """

    config: str
    code: ExitCode
    ended_s: float
    last_success_s: float | None = None
    report: Report | None = None
    waits: int | None = None
    per_account: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Attributes:
        name: One of `METRICS`.
        value: In the unit that its name ends in.
        labels: Besides `config`.
    """

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def figures(measured: Measured) -> Iterator[Figure]:
    """All that is known, names in the order of `METRICS`; those of one name have the same labels."""
    known = [*_of_the_ending(measured), *(_of_the_report(measured.report) if measured.report else ())]
    if measured.waits is not None:
        known.append(Figure("harvester_waits", measured.waits))
    if measured.per_account and measured.report:
        lacking = Counter(str(trouble.account_id) for trouble in measured.report.troubles)
        known += [
            Figure("harvester_account_slices_lacking", many, {"account_id": account})
            for account, many in lacking.items()
        ]
    order = {name: number for number, name in enumerate(METRICS)}
    return iter(sorted(known, key=lambda one: order[one.name]))


def _of_the_ending(measured: Measured) -> Iterator[Figure]:
    yield Figure("harvester_last_run_timestamp_seconds", measured.ended_s)
    if measured.last_success_s is not None:
        yield Figure("harvester_last_success_timestamp_seconds", measured.last_success_s)
    yield Figure("harvester_last_run_exit_code", int(measured.code))
    yield Figure("harvester_last_run_complete", int(measured.report is not None and measured.report.complete))


def _of_the_report(report: Report) -> Iterator[Figure]:
    yield Figure("harvester_last_run_duration_seconds", report.took_s)
    yield Figure("harvester_accounts", report.accounts)
    yield Figure("harvester_accounts_sick", len(report.sick.conditions))
    for status in Status:
        if status is not Status.DIVIDED:
            yield Figure("harvester_slices", report.slices.get(status, 0), {"status": str(status)})
    yield Figure("harvester_slices", report.not_begun, {"status": "not_begun"})
    yield Figure("harvester_calls", report.calls)
    yield Figure("harvester_calls_new", report.new)
    yield Figure("harvester_calls_changed", report.changed)
    yield Figure("harvester_calls_late", report.late)
    yield Figure("harvester_calls_missing", report.missing)
    yield Figure("harvester_records_quarantined", report.quarantined)
    for app, many in report.requests.items():
        yield Figure("harvester_requests", many, {"app": app})
    yield Figure("harvester_requests_failed", report.failed_attempts)
    for quota in report.quotas:
        if quota.share is not None:
            yield Figure("harvester_quota_used_ratio", quota.share, {"app": quota.app})
            yield Figure("harvester_quota_others_ratio", quota.others, {"app": quota.app})
    yield Figure("harvester_tokens_dead", len(report.dead_tokens))
    yield Figure("harvester_notes", len(report.notes))

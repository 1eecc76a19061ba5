"""The figures of a run."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import ExitCode
from harvester.metrics.figures import METRICS, Measured, figures
from harvester.metrics.wanted import Signal, wants
from harvester.model import AccountId, Status
from harvester.report.quotas import QuotaUse
from harvester.report.troubles import Trouble
from tests.telling.test_message import REPORT

TROUBLES = tuple(
    Trouble(
        account_id=AccountId(account), account_name=None, window=str(REPORT.window), status=Status.FAILED, reason="x"
    )
    for account in (5, 5, 6)
)
RICH = replace(
    REPORT,
    late=3,
    quarantined=4,
    troubles=TROUBLES,
    dead_tokens={"t": "dead"},  # type: ignore[dict-item]  # a name is a text
    notes=("a", "b"),
    quotas=(QuotaUse(app="a", requests=8, per_minute=100, share=0.5, others=0.25), QuotaUse(app="b", requests=9)),
)
MEASURED = Measured(
    config="nightly.toml",
    code=ExitCode.PARTIAL,
    ended_s=2000.0,
    last_success_s=1000.0,
    report=RICH,
    waits=2,
    per_account=True,
)


def found(measured: Measured) -> dict[tuple[str, ...], float]:
    """Values by name and labels' values."""
    return {(one.name.removeprefix("harvester_"), *one.labels.values()): one.value for one in figures(measured)}


def test_every_figure_is_what_the_report_says() -> None:
    """All names are known, each has its value."""
    assert {one.name for one in figures(MEASURED)} == set(METRICS)
    assert found(MEASURED) == {
        ("last_run_timestamp_seconds",): 2000.0,
        ("last_success_timestamp_seconds",): 1000.0,
        ("last_run_exit_code",): 3,
        ("last_run_complete",): 0,
        ("last_run_duration_seconds",): pytest.approx(3905.4),
        ("accounts",): 4,
        ("accounts_sick",): 0,
        ("slices", "complete"): 3,
        ("slices", "short"): 0,
        ("slices", "failed"): 1,
        ("slices", "skipped"): 0,
        ("slices", "unfinished"): 0,
        ("slices", "not_begun"): 2,
        ("calls",): 1234,
        ("calls_new",): 5,
        ("calls_changed",): 6,
        ("calls_late",): 3,
        ("calls_missing",): 7,
        ("records_quarantined",): 4,
        ("requests", "a"): 8,
        ("requests", "b"): 9,
        ("requests_failed",): 1,
        ("quota_used_ratio", "a"): 0.5,
        ("quota_others_ratio", "a"): 0.25,
        ("tokens_dead",): 1,
        ("notes",): 2,
        ("waits",): 2,
        ("account_slices_lacking", "5"): 2,
        ("account_slices_lacking", "6"): 1,
    }


def test_no_account_is_a_label_unless_asked_for() -> None:
    """Ten thousand accounts are no ten thousand series."""
    assert not [one for one in figures(replace(MEASURED, per_account=False)) if "account_id" in one.labels]


def test_without_a_report_the_ending_is_told() -> None:
    """A run that ended by an error is seen, and the last success stays."""
    assert found(replace(MEASURED, report=None, code=ExitCode.STORAGE, waits=None)) == {
        ("last_run_timestamp_seconds",): 2000.0,
        ("last_success_timestamp_seconds",): 1000.0,
        ("last_run_exit_code",): 4,
        ("last_run_complete",): 0,
    }


def test_a_name_has_one_set_of_labels() -> None:
    """As Prometheus wants it; and figures of one name stand together."""
    labels: dict[str, set[tuple[str, ...]]] = {}
    for one in figures(MEASURED):
        labels.setdefault(one.name, set()).add(tuple(one.labels))
    assert [name for name, kinds in labels.items() if len(kinds) != 1] == []
    assert list(labels) == list(METRICS)


@pytest.mark.parametrize(
    ("env", "traces", "metrics"),
    [
        ({}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x"}, False, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_METRICS_EXPORTER": "none"}, True, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, False, False),
        ({"OTEL_SERVICE_NAME": "x"}, False, False),
    ],
)
def test_opentelemetry_is_on_where_its_variables_say_so(env: dict[str, str], traces: bool, metrics: bool) -> None:
    """And off otherwise."""
    assert (wants("traces", env), wants("metrics", env)) == (traces, metrics)


@given(st.sampled_from(["traces", "metrics"]), st.dictionaries(st.text(), st.text()))
def test_other_variables_do_not_turn_it_on(signal: Signal, env: dict[str, str]) -> None:
    """Only the standard ones count."""
    assert wants(signal, {name: value for name, value in env.items() if not name.startswith("OTEL_")}) is False

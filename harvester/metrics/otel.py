"""Spans and figures for OpenTelemetry, by its own SDK; on only where the standard variables say so.

A span a run, in it one a slice; attempts, checkpoints and waits are events on them. Figures are gauges of its end.
Endpoints, headers, sampling and limits: as the SDK's documents say, by OTEL_* variables. It sends OTLP over HTTP.
"""

import os
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from harvester import __version__
from harvester.errors import ExitCode
from harvester.events import Checkpointed, Ended, Event, Problem, SliceDone, Started, Waiting
from harvester.metrics.figures import METRICS, Figure
from harvester.metrics.prometheus import NotTakenError, within
from harvester.model import Slice

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

EXPORT_S: Final = 10.0
"""A collector is not waited for any longer at a run's end."""
_SERVICE: Final = "harvester"
_Key = tuple[int | None, date, date]


class Spans:
    """Follows a run: `tell` hears its events, the rest is a `Trace`.

    Args:
        processor: What takes spans that have ended; by default what sends them where OTEL_* says.
    """

    def __init__(self, processor: "SpanProcessor | None" = None) -> None:
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra

        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(processor or _processor())
        self._tracer = self._provider.get_tracer(_SERVICE, __version__)
        self._run: Span | None = None
        self._open: dict[_Key, Span] = {}
        self._walked: ContextVar[Span | None] = ContextVar("the span of the slice that this task walks", default=None)
        self.waits = 0

    def tell(self, event: Event) -> None:
        """An event of the run."""
        match event:
            case Started():
                self._begin(event)
            case Waiting():
                self.waits += 1
                self._note("waiting", why=event.why, app=event.app, token=event.token)
            case Problem():
                self._note("problem", status=event.status, reason=event.reason, slices=event.slices)
            case Checkpointed():
                span = self._open.get((event.account_id, event.start, event.end))
                if span:
                    span.add_event("checkpoint", {"harvester.calls": event.calls})
            case SliceDone():
                self._end_slice(event)
            case Ended():
                self._end(event)
            case _:
                pass

    def begun(self, one: Slice, instead_of: Slice | None = None) -> None:
        """See `Trace.begun`."""
        if instead_of and (span := self._open.pop(_key(instead_of), None)):
            span.add_event("narrowed", {"harvester.end": str(one.window.end)})
            self._open[_key(one)] = span
            return
        attributes: dict[str, str | int] = {
            "harvester.account_id": one.account.id,
            "harvester.app": one.account.app,
            "harvester.start": str(one.window.start),
            "harvester.end": str(one.window.end),
        }
        span = self._tracer.start_span("slice", context=self._inside(), attributes=attributes)
        self._open[_key(one)] = span
        self._walked.set(span)

    def tried(self, what: str, failure: str | None) -> None:
        """See `Trace.tried`."""
        span = self._walked.get()
        if span and span.is_recording():
            span.add_event("attempt", _attributes(what=what, failure=failure, ok=failure is None))

    def close(self) -> str | None:
        """Ends what is open and sends what is left; gives what went wrong, for a person."""
        for span in (*self._open.values(), *([self._run] if self._run else ())):
            if span.is_recording():
                span.end()
        failure = within(EXPORT_S, self._provider.shutdown)
        return f"spans were not sent: {failure}" if failure else None

    def _begin(self, event: Started) -> None:
        attributes = _attributes(run_id=event.run_id, accounts=event.accounts, start=event.start, end=event.end)
        self._run = self._tracer.start_span("harvest", attributes=attributes)

    def _inside(self) -> Any:
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415 - an extra

        return set_span_in_context(self._run) if self._run else None

    def _note(self, name: str, **values: object) -> None:
        if self._run and self._run.is_recording():
            self._run.add_event(name, _attributes(**values))

    def _end_slice(self, event: SliceDone) -> None:
        span = self._open.pop((event.account_id, event.start, event.end), None)
        if span is None:
            return
        span.set_attributes(
            _attributes(
                status=event.status,
                reason=event.reason,
                calls=event.calls,
                new=event.new,
                changed=event.changed,
                missing=event.missing,
                requests=event.requests,
            )
        )
        _judge(span, well=event.status in {"complete", "divided"}, why=event.reason)
        span.end()

    def _end(self, event: Ended) -> None:
        if self._run is None:
            return
        values = _attributes(
            exit_code=event.exit_code, complete=event.complete, calls=event.calls, requests=event.requests
        )
        self._run.set_attributes(values)
        _judge(self._run, well=event.exit_code == ExitCode.COMPLETE, why=event.ended_by)
        self._run.end()


def send(config: str, figures: Sequence[Figure]) -> str | None:
    """Sends figures once, as gauges; gives what went wrong, for a person."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415 - an extra
        InMemoryMetricReader,
        MetricExportResult,
    )

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], resource=_resource(), shutdown_on_exit=False)
    meter = provider.get_meter(_SERVICE, __version__)
    gauges = {one.name: meter.create_gauge(one.name, description=METRICS[one.name]) for one in figures}
    for one in figures:
        gauges[one.name].set(one.value, {"config": config, **one.labels})

    def export() -> None:
        data = reader.get_metrics_data()
        exporter = OTLPMetricExporter()
        if data and exporter.export(data, timeout_millis=EXPORT_S * 1000) is not MetricExportResult.SUCCESS:
            raise NotTakenError("it did not take them")
        exporter.shutdown()

    failure = within(EXPORT_S, export)
    provider.shutdown()
    return f"metrics were not sent to the collector: {failure}" if failure else None


def _processor() -> "SpanProcessor":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

    return BatchSpanProcessor(OTLPSpanExporter())


def _resource() -> "Resource":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra

    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if named else {"service.name": _SERVICE, "service.version": __version__})


def _key(one: Slice) -> _Key:
    return one.account.id, one.window.start, one.window.end


def _attributes(**values: object) -> dict[str, Any]:
    """What is known, under the project's own prefix; days as text."""
    return {
        f"harvester.{name}": value if isinstance(value, bool | int | str) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _judge(span: "Span", *, well: bool, why: str | None) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - an extra

    span.set_status(Status(StatusCode.OK) if well else Status(StatusCode.ERROR, why))

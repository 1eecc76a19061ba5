"""Spans of a whole harvest, and figures as a collector gets them."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from harvester.events import Audience
from harvester.harvest.run import harvest
from harvester.metrics.figures import figures
from harvester.metrics.otel import Spans, send
from harvester.metrics.publishing import spans_if_wanted
from harvester.model import Status
from harvester.report.summary import Report
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from tests.flows import TODAY, assign, sandbox, surroundings
from tests.metrics.test_figures import MEASURED
from tests.test_cli import harvester
from tests.test_cli import sandbox as program


async def traced(folder: Path, world: World, switches: Switches | None = None) -> tuple[Report, list[ReadableSpan]]:
    """A run, and its spans in the order of their ends."""
    memory = InMemorySpanExporter()
    spans = Spans(SimpleSpanProcessor(memory))
    async with sandbox(world, switches) as served:
        audience = Audience(tell=spans.tell, trace=spans, signals=False)
        report = await harvest(assign(served, folder), around=surroundings(), audience=audience)
    assert spans.close() is None
    return report, list(memory.get_finished_spans())


@pytest.mark.anyio
async def test_a_span_a_slice_in_the_span_of_the_run(tmp_path: Path) -> None:
    """Each slice with its figures, each attempt an event on its own slice."""
    report, spans = await traced(tmp_path, World(today=TODAY, accounts=3, calls_per_day=30))
    *slices, run = spans
    assert run.name == "harvest"
    assert {one.name for one in slices} == {"slice"}
    assert len(slices) == sum(report.slices.values()) >= 3
    assert run.context
    assert all(one.parent and one.parent.span_id == run.context.span_id for one in slices)
    assert run.attributes
    assert run.attributes["harvester.run_id"] == report.run_id
    assert run.attributes["harvester.exit_code"] == 0
    assert sum(int(str((one.attributes or {})["harvester.calls"])) for one in slices) == report.calls
    events = [(one, event) for one in slices for event in one.events if event.name == "attempt"]
    assert len(events) == sum(report.requests.values())
    for one, event in events:
        assert event.attributes
        account = str((one.attributes or {})["harvester.account_id"])
        assert str(event.attributes["harvester.what"]).startswith(f"account {account} ")
    assert {one.status.status_code for one in spans} == {StatusCode.OK}


@pytest.mark.anyio
async def test_what_fails_is_seen(tmp_path: Path) -> None:
    """An attempt that failed says why; so do its slice and the run."""
    switches = Switches(faults={Fault(FaultKind.CODE, 60008): 1.0})
    report, spans = await traced(tmp_path, World(today=TODAY, accounts=2, calls_per_day=5), switches)
    *slices, run = spans
    assert (run.status.status_code, (run.attributes or {})["harvester.exit_code"]) == (StatusCode.ERROR, 3)
    ended = [one for one in slices if (one.attributes or {})["harvester.status"] == "failed"]
    assert len(ended) == report.slices[Status.FAILED] > 0
    assert all(one.status.status_code is StatusCode.ERROR and "60008" in str(one.status.description) for one in ended)
    attempts = [event.attributes or {} for one in slices for event in one.events if event.name == "attempt"]
    assert attempts
    assert all(not one["harvester.ok"] and "60008" in str(one["harvester.failure"]) for one in attempts)
    assert "problem" in {event.name for event in run.events}


@pytest.mark.anyio
async def test_a_narrowed_slice_stays_one_span(tmp_path: Path) -> None:
    """What it gave away has spans of its own; every span that is begun ends."""
    report, spans = await traced(tmp_path, World(today=TODAY, accounts=1, calls_per_day=2000))
    narrowed = [one for one in spans if "narrowed" in {event.name for event in one.events}]
    assert narrowed
    assert all((one.attributes or {})["harvester.status"] == "complete" for one in spans if one.name == "slice")
    assert len(spans) == 1 + sum(report.slices.values())


class Collector:
    """An OpenTelemetry collector's other end."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.status = 200
        self.url = ""

    def bodies(self, path: str) -> list[bytes]:
        """What was posted there."""
        return [body for where, body in self.got if where == path]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """On loopback, port 0."""
    here = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            here.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(here.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        here.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield here
        server.shutdown()
        thread.join()


def test_figures_are_sent_as_gauges(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, with their labels, from a service called harvester."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    found = list(figures(MEASURED))
    assert send("nightly.toml", found) is None
    (body,) = collector.bodies("/v1/metrics")
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    assert "harvester" in {one.value.string_value for one in resource.resource.attributes if one.key == "service.name"}
    points = {
        (metric.name, *sorted(one.value.string_value for one in point.attributes)): point.as_double or point.as_int
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    }
    assert points == {(one.name, *sorted(["nightly.toml", *one.labels.values()])): one.value for one in found}


def test_a_collector_that_refuses(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    collector.status = 400
    failure = send("nightly.toml", list(figures(MEASURED)))
    assert failure == "metrics were not sent to the collector: it did not take them"


def test_a_service_s_own_name_stays(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_SERVICE_NAME counts more than ours."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "calls-of-the-night")
    send("nightly.toml", list(figures(MEASURED)))
    assert b"calls-of-the-night" in collector.bodies("/v1/metrics")[0]


def test_off_it_loads_nothing(tmp_path: Path) -> None:
    """Without OTEL_* no module of it is imported in a run."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harvester.aftermath import followed\n"
        f"with followed(Path({str(tmp_path / 'x.toml')!r})): pass\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus_client'))])"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "COV"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "[]\n"


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Asked for and not installed: it is logged what to do, and the run goes on."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert spans_if_wanted() is None
    assert "pip install 'harvester[otel]'" in caplog.text


def test_a_night_of_the_program(tmp_path: Path, collector: Collector) -> None:
    """Spans, figures and the textfile, all of one run; the exit code is the run's."""
    with program(tmp_path) as served:
        with served.config.open("a") as config:
            config.write('\n[metrics]\ntextfile = "h.prom"\nper_account = true\n')
        done = harvester("run", served.config, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        assert done.returncode == 0, done.stderr
        first = (tmp_path / "h.prom").read_text()
        assert harvester("run", served.config, "--start", "2030-01-01").returncode == 2
    assert 'harvester_last_run_complete{config="nightly.toml"} 1.0' in first
    success = next(line for line in first.splitlines() if line.startswith("harvester_last_success_timestamp_seconds{"))
    second = (tmp_path / "h.prom").read_text()
    assert success in second
    assert 'harvester_last_run_exit_code{config="nightly.toml"} 2.0' in second
    (body,) = collector.bodies("/v1/traces")
    names = [
        span.name
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert names.count("harvest") == 1
    assert names.count("slice") == 4
    assert len(collector.bodies("/v1/metrics")) == 1

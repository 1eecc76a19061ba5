"""The textfile and the push, read back as Prometheus reads them."""

import http.server
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harvester.metrics import prometheus
from harvester.metrics.figures import METRICS, figures
from tests.metrics.test_figures import MEASURED

FIGURES = [one for one in figures(MEASURED) if one.name != "harvester_waits"]


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Values by name and labels."""
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}


EXPECTED = {
    (one.name, tuple(sorted({"config": "nightly.toml", **one.labels}.items()))): float(one.value) for one in FIGURES
}


def test_the_textfile_is_what_prometheus_reads(tmp_path: Path) -> None:
    """Every figure, each with its help; in the place of the one before, and nothing beside it."""
    path = tmp_path / "harvester.prom"
    path.write_text("old")
    assert prometheus.write(path, "nightly.toml", FIGURES) is None
    text = path.read_text()
    assert read(text) == EXPECTED
    for name in {one.name for one in FIGURES}:
        assert f"# HELP {name} {METRICS[name]}\n# TYPE {name} gauge\n" in text
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_of_a_config_cannot_break_the_file(tmp_path: Path) -> None:
    """It is quoted."""
    path = tmp_path / "harvester.prom"
    assert prometheus.write(path, 'a"\n\\b', FIGURES) is None
    assert {dict(labels)["config"] for _, labels in read(path.read_text())} == {'a"\n\\b'}


def test_the_old_textfile_stays_when_a_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and half a file is never seen."""

    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    path = tmp_path / "harvester.prom"
    path.write_text("old")
    monkeypatch.setattr("prometheus_client.exposition.generate_latest", full)
    failure = prometheus.write(path, "nightly.toml", FIGURES)
    assert failure == f"metrics were not written to {path}: No space left on device"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is told which."""
    failure = prometheus.write(tmp_path / "no" / "h.prom", "nightly.toml", FIGURES)
    assert failure == f"metrics were not written to {tmp_path}/no/h.prom: No such file or directory"


class Gateway:
    """A Pushgateway's other end."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str]] = []
        self.status = 200
        self.url = ""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """On loopback, port 0."""
    here = Gateway()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            here.got.append((self.command, self.path, body))
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


def test_what_is_pushed(gateway: Gateway) -> None:
    """All of it replaces what was there, under the job and the config's name."""
    assert prometheus.push(gateway.url, "nightly.toml", FIGURES) is None
    ((method, path, body),) = gateway.got
    assert (method, path) == ("PUT", "/metrics/job/harvester/config/nightly.toml")
    assert read(body) == EXPECTED


def test_a_push_that_is_refused(gateway: Gateway) -> None:
    """It is told, with its status."""
    gateway.status = 400
    assert prometheus.push(gateway.url, "nightly.toml", FIGURES) == "metrics were not pushed: HTTP 400"


def test_a_gateway_that_is_not_there() -> None:
    """It is told in words, without the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    failure = prometheus.push(f"http://127.0.0.1:{port}", "nightly.toml", FIGURES)
    assert failure == "metrics were not pushed: Connection refused"


def test_a_gateway_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for, neither then nor at the process's end."""
    release, threads = threading.Event(), list[threading.Thread]()

    def hang(*_: object, **__: object) -> None:
        threads.append(threading.current_thread())
        release.wait(60)

    monkeypatch.setattr("prometheus_client.push_to_gateway", hang)
    monkeypatch.setattr(prometheus, "PUSH_S", 0.01)
    try:
        failure = prometheus.push("http://127.0.0.1:1", "nightly.toml", FIGURES)
    finally:
        release.set()
    assert failure == "metrics were not pushed: no end within 0.01 s"
    assert [thread.daemon for thread in threads] == [True]
    threads[0].join()


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told what to install."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert prometheus.write(tmp_path / "x.prom", "c", FIGURES) == (
        "metrics were not written: prometheus_client is not installed: pip install 'harvester[metrics]'"
    )
    assert prometheus.push("http://127.0.0.1:1", "c", FIGURES) == (
        "metrics were not pushed: prometheus_client is not installed: pip install 'harvester[metrics]'"
    )

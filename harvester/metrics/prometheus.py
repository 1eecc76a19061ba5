"""Figures for Prometheus, by its own library: a textfile for node exporter's collector, or a push to a Pushgateway."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harvester.metrics.figures import METRICS, Figure

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PUSH_S: Final = 10.0
"""A Pushgateway is not waited for any longer."""
_SOCKET_S: Final = 5.0
_JOB: Final = "harvester"
MISSING: Final = "prometheus_client is not installed: pip install 'harvester[metrics]'"


class NotTakenError(Exception):
    """What was sent was refused; the message is for a person and holds no URL."""


def write(path: Path, config: str, figures: Sequence[Figure]) -> str | None:
    """Puts a textfile in place, whole and at once; gives what went wrong, for a person."""
    try:
        from prometheus_client import write_to_textfile  # noqa: PLC0415 - an extra

        write_to_textfile(str(path), _registry(config, figures))
    except ImportError:
        return f"metrics were not written: {MISSING}"
    except OSError as error:
        return f"metrics were not written to {path}: {error.strerror or type(error).__name__}"
    return None


def push(url: str, config: str, figures: Sequence[Figure]) -> str | None:
    """Replaces what a Pushgateway has of this config; gives what went wrong, for a person."""
    try:
        from prometheus_client import push_to_gateway  # noqa: PLC0415 - an extra
    except ImportError:
        return f"metrics were not pushed: {MISSING}"
    registry = _registry(config, figures)

    def post() -> None:
        push_to_gateway(url, job=_JOB, registry=registry, grouping_key={"config": config}, timeout=_SOCKET_S)

    failure = within(PUSH_S, post)
    return f"metrics were not pushed: {failure}" if failure else None


def within(bound_s: float, work: Callable[[], object]) -> str | None:
    """Does it in a thread that nobody waits for any longer; gives what went wrong, in words that hold no URL."""
    failures: list[str] = []

    def guarded() -> None:
        try:
            work()
        except NotTakenError as error:
            failures.append(str(error))
        except OSError as error:  # urllib's are, too
            reason = getattr(error, "reason", None)
            told = getattr(reason, "strerror", None) or error.strerror or type(error).__name__
            code = getattr(error, "code", None)
            failures.append(f"HTTP {code}" if isinstance(code, int) else str(told))
        except Exception as error:  # noqa: BLE001 - whatever it is, no run fails by it
            failures.append(type(error).__name__)

    thread = threading.Thread(target=guarded, daemon=True, name="metrics")
    thread.start()
    thread.join(bound_s)
    if thread.is_alive():
        return f"no end within {bound_s:g} s"
    return failures[0] if failures else None


def _registry(config: str, figures: Sequence[Figure]) -> "CollectorRegistry":
    from prometheus_client import CollectorRegistry, Gauge  # noqa: PLC0415 - an extra

    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for one in figures:
        if one.name not in gauges:
            gauges[one.name] = Gauge(one.name, METRICS[one.name], ["config", *one.labels], registry=registry)
        gauges[one.name].labels(config=config, **one.labels).set(one.value)
    return registry

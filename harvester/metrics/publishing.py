"""Where figures and spans go: what is wanted, and what becomes of it. An extra that is lacking is told, not raised."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harvester.metrics import prometheus
from harvester.metrics.figures import Measured, figures
from harvester.metrics.wanted import wants

if TYPE_CHECKING:
    from harvester.metrics.otel import Spans

log = logging.getLogger(__name__)

MISSING = "OTEL_* is set, but opentelemetry is not installed: pip install 'harvester[otel]', or unset it"


class Places(Protocol):
    """Where a config wants figures: its `[metrics]`."""

    @property
    def textfile(self) -> Path | None:
        """A file for node exporter."""

    @property
    def pushgateway(self) -> str | None:
        """A Pushgateway's address."""


def figures_wanted() -> bool:
    """Whether OTEL_* asks for figures."""
    return wants("metrics", os.environ)


def spans_if_wanted() -> "Spans | None":
    """What follows a run if OTEL_* asks for spans; `None` if not, or if the extra is not there, which is logged."""
    if not wants("traces", os.environ):
        return None
    try:
        from harvester.metrics.otel import Spans  # noqa: PLC0415 - an extra

        return Spans()
    except ImportError:
        log.warning("no spans: %s", MISSING)
    except Exception as error:  # noqa: BLE001 - an odd OTEL_* variable; no run fails by it
        log.warning("no spans: OTEL_* cannot be used (%s)", type(error).__name__)
    return None


def publish(places: Places, measured: Measured) -> list[str | None]:
    """Puts figures where they are wanted; gives what could not be done, for a person. Nothing is raised."""
    found = list(figures(measured))
    failures: list[str | None] = []
    plain = [one for one in found if one.name != "harvester_waits"]
    if places.textfile:
        failures.append(prometheus.write(places.textfile, measured.config, plain))
    if places.pushgateway:
        failures.append(prometheus.push(places.pushgateway, measured.config, plain))
    if figures_wanted():
        try:
            from harvester.metrics.otel import send  # noqa: PLC0415 - an extra

            failures.append(send(measured.config, found))
        except ImportError:
            failures.append(f"metrics were not sent to the collector: {MISSING}")
        except Exception as error:  # noqa: BLE001 - as above
            failures.append(f"metrics were not sent to the collector: {type(error).__name__}")
    return failures

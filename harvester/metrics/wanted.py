"""Whether OpenTelemetry is on: only where its standard variables say so. Pure."""

from collections.abc import Mapping
from typing import Final, Literal

Signal = Literal["traces", "metrics"]
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_{}_ENDPOINT")


def wants(signal: Signal, env: Mapping[str, str]) -> bool:
    """Whether spans ("traces") or figures ("metrics") are to be sent: an endpoint is named, or the exporter is.

    Args:
        signal: Which.
        env: The environment.
    """
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if exporter := env.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower():
        return exporter == "otlp"
    return any(env.get(name.format(signal.upper())) for name in _ENDPOINTS)

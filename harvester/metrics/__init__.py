"""What monitoring reads of a run: figures, for Prometheus and for OpenTelemetry; and spans. Each is an extra."""

"""Names, spans and metrics. Telemetry watches; it never changes an outcome."""

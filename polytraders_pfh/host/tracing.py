"""Spans: a provider of this host's own, whose ids put every span of one order into one trace.

It is handed to bots and never made the process's global one. Without an address spans are made and
dropped, so that trace ids in reports are the same everywhere.
"""

import asyncio
import logging
from typing import Final
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from polytraders_hookspecs.tracing import PolytradersIdGenerator

from polytraders_pfh.host.config import TelemetrySection

_log: Final = logging.getLogger(__name__)
_FLUSH_S: Final = 5.0
_EXPORT_S: Final = 3
_QUEUE: Final = 32_768
"""Spans that wait for the collector; those beyond are dropped."""


def tracer_provider(telemetry: TelemetrySection) -> TracerProvider:
    """Return a provider that sends spans to the configured OTLP address, if there is one."""
    provider = TracerProvider(
        resource=Resource.create({"service.name": telemetry.service_name}),
        id_generator=PolytradersIdGenerator(),
        shutdown_on_exit=False,
    )
    if telemetry.otlp_endpoint is not None:
        exporter = OTLPSpanExporter(endpoint=f"{telemetry.otlp_endpoint}/v1/traces", timeout=_EXPORT_S)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=_QUEUE))
    return provider


def otlp_fault(endpoint: str) -> str:
    """Return in one sentence why no spans can be sent to this address, or nothing when they can.

    Asks it once, with an empty export.
    """
    url = f"{endpoint}/v1/traces"
    if urlsplit(endpoint).scheme not in {"http", "https"}:
        return f"the address of the span collector was {endpoint!r}; use http://HOST:PORT"
    request = Request(url, b"", {"Content-Type": "application/x-protobuf"})  # noqa: S310 - the scheme is checked
    try:
        with urlopen(request, timeout=_EXPORT_S):  # noqa: S310 - the scheme is checked
            return ""
    except (OSError, ValueError) as e:
        why = getattr(e, "reason", None) or e
        return f"no span collector answered at {url} ({why}); start one there: Jaeger takes OTLP on port 4318"


async def close_provider(provider: TracerProvider) -> None:
    """Send what is left, and stop; a collector that does not answer costs a few seconds at most."""
    try:
        async with asyncio.timeout(_FLUSH_S):
            await asyncio.to_thread(provider.shutdown)
    except TimeoutError:
        _log.warning("the span collector took over %g s at the end; its last spans are lost", _FLUSH_S)

"""Spans of one bot, from the provider that the host gave. No global provider is read or set.

One event is one span; only what waits (book fetch, cancel, post) gets a span of its own, since a
recorded span costs about as much as a whole hold. Attributes are computed only when a span records.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NoOpTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
    format_trace_id,
    set_span_in_context,
)
from polytraders_hookspecs.trace_ids import order_trace, otel_trace_id

from polytraders_pfh.telemetry.names import ATTR_TRACE_ID

_INSTRUMENTATION: Final = "polytraders_pfh"


class Traces:
    """Starts spans that a Jaeger search for `polytraders.trace_id` finds, under any host's provider.

    Args:
        provider: The host's.
        version: This plugin's.
        monotonic_ns: The host's clock.
        waited: Told each step's span name, seconds and, when it is sampled, trace id (32 hex digits).
    """

    def __init__(
        self,
        provider: TracerProvider,
        version: str,
        monotonic_ns: Callable[[], int],
        waited: Callable[[str, float, str | None], None],
    ) -> None:
        self._tracer: Tracer = provider.get_tracer(_INSTRUMENTATION, version)
        self._monotonic_ns = monotonic_ns
        self._waited = waited
        self._silent = isinstance(provider, NoOpTracerProvider)

    def start(self, name: str, trace_id: str, parent: Span | None = None) -> Span:
        """Start a span of this order's story; the caller ends it.

        Under a provider built with `PolytradersIdGenerator` it joins the order's own trace. Under any
        other it is a child of the host's span, with a link to the derived trace.
        """
        if self._silent:
            return INVALID_SPAN
        context = None if parent is None else set_span_in_context(parent)
        with order_trace(trace_id):
            span = self._tracer.start_span(name, context, SpanKind.INTERNAL, {ATTR_TRACE_ID: trace_id})
        if parent is None and span.is_recording():
            _link_to_derived(span, trace_id)
        return span

    @contextmanager
    def step(self, name: str, trace_id: str, parent: Span | None) -> Iterator[Span]:
        """A span around one wait, which is timed. What is raised inside is recorded on it and goes on."""
        began_ns = self._monotonic_ns()
        span = self.start(name, trace_id, parent)
        token = otel_context.attach(set_span_in_context(span))
        try:
            yield span
        except BaseException as e:
            if span.is_recording():
                span.set_status(Status(StatusCode.ERROR, type(e).__name__))
            raise
        finally:
            otel_context.detach(token)
            self._waited(name, (self._monotonic_ns() - began_ns) / 1e9, sampled_trace(span))
            span.end()


def sampled_trace(span: Span) -> str | None:
    """Return the span's trace id as 32 hex digits when it is sampled, for an exemplar; else None."""
    context = span.get_span_context()
    return format_trace_id(context.trace_id) if context.trace_flags.sampled else None


def traceparent(span: Span) -> str | None:
    """Return the W3C traceparent of a span, or None when it has no valid context."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _link_to_derived(span: Span, trace_id: str) -> None:
    derived = otel_trace_id(trace_id)
    if span.get_span_context().trace_id != derived:
        target = SpanContext(derived, derived & (2**64 - 1) or 1, is_remote=True, trace_flags=TraceFlags(1))
        link = Link(target)
        span.add_link(link.context, link.attributes)

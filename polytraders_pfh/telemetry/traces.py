"""Spans of one bot, from the provider that the host gave. No global provider is read or set.

One event is one span; only what waits (book fetch, commit, cancel, post) gets a span of its own, since a
recorded span costs about as much as a whole hold. Attributes are computed only when a span records.

Every span carries `polytraders.trace_id`. Under a provider built with `PolytradersIdGenerator` all spans of
an order are in its own trace, whoever caused them. Under any other provider they are children of the
host's span, with a link to the derived trace.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
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
    get_current_span,
    set_span_in_context,
)
from polytraders_hookspecs.trace_ids import order_trace, otel_trace_id

from polytraders_pfh.telemetry.names import ATTR_ERROR_TYPE, ATTR_TRACE_ID
from polytraders_pfh.telemetry.traceparent import span_context

_INSTRUMENTATION: Final = "polytraders_pfh"
_PROBE: Final = "trc_0000000000000000"
_LOG: Final = logging.getLogger("polytraders_pfh.telemetry")


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
        self._derives = _derives(provider)
        self.silent = isinstance(provider, NoOpTracerProvider)

    def start(self, name: str, trace_id: str, parent: Span | None = None) -> Span:
        """Start a span of this order's story; the caller ends it. Without a parent it begins a part of it.

        What begins under a span of another trace (a kill signal's, another order's) is a root in this
        order's own trace, linked to its cause, where the provider derives ids.
        """
        if self.silent:
            return INVALID_SPAN
        if parent is not None:
            return self._start(name, trace_id, set_span_in_context(parent))
        links: list[Link] = []
        context: Context | None = None
        if self._derives:
            cause = get_current_span().get_span_context()
            if cause.is_valid and cause.trace_id != otel_trace_id(trace_id):
                context, links = Context(), [Link(cause)]
        span = self._start(name, trace_id, context, links)
        if not self._derives and span.is_recording():
            _link_to_derived(span, trace_id)
        return span

    def _start(
        self,
        name: str,
        trace_id: str,
        context: Context | None,
        links: list[Link] | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        try:
            with order_trace(trace_id):
                return self._tracer.start_span(name, context, kind, {ATTR_TRACE_ID: trace_id}, links)
        except Exception as e:  # a host's sampler or processor; what is watched goes on unwatched
            _LOG.warning("span %s could not be started: %s", name, type(e).__name__)
            return INVALID_SPAN

    @contextmanager
    def step(self, name: str, trace_id: str, parent: Span | None) -> Iterator[Span]:
        """A span around one wait, current inside and timed. What is raised in there is named on it."""
        began_ns = self._monotonic_ns()
        span = self.start(name, trace_id, parent)
        try:
            with self.current(span):
                yield span
        finally:
            self._waited(name, (self._monotonic_ns() - began_ns) / 1e9, sampled_trace(span))

    @contextmanager
    def shared_step(self, name: str, stories: Sequence[tuple[str, Span]]) -> Iterator[list[Span]]:
        """One wait of several orders, by `trace_id` and parent: a span in each one's trace, timed once."""
        began_ns = self._monotonic_ns()
        spans = [self.start(name, trace_id, parent) for trace_id, parent in stories]
        try:
            yield spans
        except BaseException as e:
            for span in spans:
                failed(span, e)
            raise
        finally:
            self._waited(name, (self._monotonic_ns() - began_ns) / 1e9, sampled_trace(spans[0]))
            for span in spans:
                ended(span)

    @contextmanager
    def publishing(self, name: str, trace_id: str, traceparent: str) -> Iterator[Span]:
        """A producer's span around one attempt, timed, in the trace that the message says it comes from.

        That may be an earlier run's. A message without `traceparent` begins a part of its order's story;
        one of no order has no story.
        """
        began_ns = self._monotonic_ns()
        begun: Span = INVALID_SPAN
        try:
            if self.silent or not trace_id:
                yield begun
                return
            begun = self._start(name, trace_id, _sent_from(traceparent), kind=SpanKind.PRODUCER)
            with order_trace(trace_id), self.current(begun) as span:
                yield span
        finally:
            self._waited(name, (self._monotonic_ns() - began_ns) / 1e9, sampled_trace(begun))

    @contextmanager
    def current(self, span: Span) -> Iterator[Span]:
        """Make a span the current one, and end it. What is raised inside is named on it and goes on."""
        if self.silent:
            yield span
            return
        token = otel_context.attach(set_span_in_context(span))
        try:
            yield span
        except BaseException as e:
            failed(span, e)
            raise
        finally:
            otel_context.detach(token)
            ended(span)


def _sent_from(traceparent: str) -> Context:
    parent = span_context(traceparent)
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())


def ended(span: Span) -> None:
    """End a span. A host's processor that fails at it changes nothing else."""
    try:
        span.end()
    except Exception as e:
        _LOG.warning("a span could not be ended: %s", type(e).__name__)


def failed(span: Span, e: BaseException) -> None:
    """Mark a span as failed, by the kind of failure alone: a message may quote what nobody should read."""
    if span.is_recording():
        span.set_status(Status(StatusCode.ERROR, type(e).__name__))
        span.set_attribute(ATTR_ERROR_TYPE, type(e).__name__)


def sampled_trace(span: Span) -> str | None:
    """Return the span's trace id as 32 hex digits when it is sampled, for an exemplar; else None."""
    context = span.get_span_context()
    return format_trace_id(context.trace_id) if context.trace_flags.sampled else None


def _derives(provider: TracerProvider) -> bool:
    """Return whether this provider's trace ids are those of the orders in work."""
    generate = getattr(getattr(provider, "id_generator", None), "generate_trace_id", None)
    if generate is None:
        return False
    with order_trace(_PROBE):
        return bool(generate() == otel_trace_id(_PROBE))


def _link_to_derived(span: Span, trace_id: str) -> None:
    derived = otel_trace_id(trace_id)
    if span.get_span_context().trace_id != derived:
        target = SpanContext(derived, derived & (2**64 - 1) or 1, is_remote=True, trace_flags=TraceFlags(1))
        span.add_link(target)

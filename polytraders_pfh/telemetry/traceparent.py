"""The W3C `traceparent`: how a report says which span it comes from, across processes and restarts."""

import re
from typing import Final

from opentelemetry.trace import Span, SpanContext, TraceFlags

_SHAPE: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)


def traceparent(span: Span) -> str | None:
    """Return the traceparent of a span, or None when it has no valid context."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def span_context(text: str) -> SpanContext | None:
    """Return the context that a traceparent names, as one of another process; None when it names none."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None

"""An OTel id generator that puts every span of one order into one trace, in any process, at any time.

Only this module needs the OpenTelemetry SDK: a host that builds its own `TracerProvider` passes
`PolytradersIdGenerator()` to it and enters `order_trace(trace_id)` around its work on an order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from polytraders_hookspecs.trace_ids import otel_trace_id

_current: Final[ContextVar[str | None]] = ContextVar("polytraders_trace_id", default=None)


@contextmanager
def order_trace(trace_id: str) -> Iterator[None]:
    """Make root spans started inside belong to this order's trace."""
    token = _current.set(trace_id)
    try:
        yield
    finally:
        _current.reset(token)


class PolytradersIdGenerator(IdGenerator):
    """Trace ids from the order in work, span ids at random; outside an order, all at random."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_span_id(self) -> int:
        return self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        trace_id = _current.get()
        return self._random.generate_trace_id() if trace_id is None else otel_trace_id(trace_id)

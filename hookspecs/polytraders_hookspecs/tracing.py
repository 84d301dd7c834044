"""An OTel id generator that puts every span of one order into one trace, in any process, at any time.

Only this module needs the OpenTelemetry SDK: a host that builds its own `TracerProvider` passes
`PolytradersIdGenerator()` to it; bots and hosts enter `order_trace(trace_id)` around their work.
"""

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from polytraders_hookspecs.trace_ids import current_order_trace, order_trace, otel_trace_id

__all__ = ["PolytradersIdGenerator", "order_trace"]


class PolytradersIdGenerator(IdGenerator):
    """Trace ids from the order in work, span ids at random; outside an order, all at random."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_span_id(self) -> int:
        return self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        trace_id = current_order_trace()
        return self._random.generate_trace_id() if trace_id is None else otel_trace_id(trace_id)

"""Events that came while too many were in work: the newest of each order, to be looked at again."""

from dataclasses import dataclass

from opentelemetry.trace import Span
from polytraders_hookspecs.events import SignedEvent
from polytraders_hookspecs.reports import ExecutionReport

from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.reporting import Fill


@dataclass(frozen=True, slots=True)
class ShedEvent:
    """One event, and the report that said it was shed; with the intent that it belongs to or would begin.

    The second look goes on under `span`, where the first one stood.
    """

    envelope: SignedEvent
    fill: Fill
    report: ExecutionReport
    draft: Intent
    span: Span


class Shed:
    """At most one event an order, so it is bounded by the number of live orders."""

    def __init__(self) -> None:
        self._events: dict[str, ShedEvent] = {}

    def __len__(self) -> int:
        return len(self._events)

    def put(self, shed: ShedEvent) -> ShedEvent | None:
        """Keep the newest event of an order; return the one that lost its place, if any."""
        kept = self._events.get(shed.fill.order_id)
        if kept is not None and kept.fill.event_ts_ms > shed.fill.event_ts_ms:
            return shed
        self._events[shed.fill.order_id] = shed
        return kept

    def take(self) -> ShedEvent:
        """Return the event that has waited longest, and forget it."""
        return self._events.pop(next(iter(self._events)))

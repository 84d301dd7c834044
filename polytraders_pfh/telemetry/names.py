"""Every metric, span and attribute name, in one place."""

from dataclasses import dataclass
from typing import Final

METRIC_PREFIX: Final = "polytraders_exec_partialfillhandler_"

SPAN_PARTIAL_FILL: Final = "pfh.partial_fill"
SPAN_SEQUENCE: Final = "pfh.sequence"
SPAN_BOOK_FETCH: Final = "pfh.book.fetch"
SPAN_CANCEL: Final = "pfh.cancel"
SPAN_READ_ORDER: Final = "pfh.order.read"
SPAN_SIGN: Final = "pfh.sign"
SPAN_POST: Final = "pfh.post"
SPAN_KILL: Final = "pfh.killswitch"

ATTR_TRACE_ID: Final = "polytraders.trace_id"
ATTR_ORDER_ID: Final = "polytraders.order_id"
ATTR_ROOT_ORDER_ID: Final = "polytraders.root_order_id"
ATTR_TOKEN_ID: Final = "polytraders.token_id"  # noqa: S105 - an outcome token, not a credential
ATTR_SIDE: Final = "polytraders.side"
ATTR_VERDICT: Final = "polytraders.verdict"
ATTR_POLICY: Final = "polytraders.policy"
ATTR_ROW: Final = "polytraders.decision_row"
ATTR_MODE: Final = "polytraders.mode"
ATTR_REMAINING_USD: Final = "polytraders.remaining_usd"
ATTR_DEPTH_USD: Final = "polytraders.book_depth_usd"
ATTR_TICKS: Final = "polytraders.ticks_to_fill"
ATTR_OUTCOME: Final = "polytraders.outcome"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name without prefix, kind, unit, labels, and what it counts."""

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def full_name(self) -> str:
        """The name as it is scraped."""
        return METRIC_PREFIX + self.name


DECISIONS: Final = Metric(
    "decisions_total", "counter", "count", ("verdict",), "Partial-fill decisions by verdict."
)
REMAINDER_USD: Final = Metric(
    "remainder_usd", "histogram", "pUSD", (), "Remainder size at the time of the decision."
)
CHASE_TICKS: Final = Metric(
    "chase_ticks",
    "histogram",
    "count",
    (),
    "Adverse ticks to the contra price on chase decisions; beyond chase_max_ticks they abort.",
)
IN_FLIGHT: Final = Metric("in_flight", "gauge", "count", (), "Partial fills in work now.")
ACTIVE_INTENTS: Final = Metric("active_intents", "gauge", "count", (), "Intents kept in memory now.")
DECIDE_SECONDS: Final = Metric(
    "decide_seconds", "histogram", "seconds", (), "From the event's bytes to its first report."
)
EVENT_AGE_SECONDS: Final = Metric(
    "event_age_seconds", "histogram", "seconds", (), "How old an event was when it arrived."
)
REJECTED_EVENTS: Final = Metric(
    "rejected_events_total", "counter", "count", ("why",), "Events refused: forged, malformed, unknown_order."
)
SHED: Final = Metric("shed_total", "counter", "count", (), "Events shed because too many were in flight.")
CANCELS_UNCONFIRMED: Final = Metric(
    "cancels_unconfirmed", "gauge", "count", (), "Cancels whose outcome is not known now."
)
POSTS_UNKNOWN: Final = Metric(
    "posts_unknown", "gauge", "count", (), "Chase orders whose fate is not known now."
)
INVARIANT_TRIPS: Final = Metric(
    "invariant_trips_total", "counter", "count", (), "Sends that the chain invariant held back."
)
PENDING_REPORTS: Final = Metric(
    "pending_reports", "gauge", "count", (), "Reports that the bus has not acknowledged."
)
KILL_SWITCH: Final = Metric(
    "kill_switch_active", "gauge", "0 or 1", (), "Whether the kill switch is latched."
)

METRICS: Final = (
    DECISIONS,
    REMAINDER_USD,
    CHASE_TICKS,
    IN_FLIGHT,
    ACTIVE_INTENTS,
    DECIDE_SECONDS,
    EVENT_AGE_SECONDS,
    REJECTED_EVENTS,
    SHED,
    CANCELS_UNCONFIRMED,
    POSTS_UNKNOWN,
    INVARIANT_TRIPS,
    PENDING_REPORTS,
    KILL_SWITCH,
)

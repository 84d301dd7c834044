"""Every metric, span and attribute name, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from polytraders_pfh.core.modes import Mode
from polytraders_pfh.core.outcomes import CancelVerdict, PostVerdict, RecordVerdict
from polytraders_pfh.core.reasons import Reason

METRIC_PREFIX: Final = "polytraders_exec_partialfillhandler_"

SPAN_PARTIAL_FILL: Final = "pfh.partial_fill"
SPAN_CANCEL_REPLACE: Final = "pfh.cancel_replace"
SPAN_LOCK: Final = "pfh.intent.lock"
SPAN_ORDER_FACTS: Final = "pfh.order.facts"
SPAN_BOOK_FETCH: Final = "pfh.book.fetch"
SPAN_COMMIT: Final = "pfh.journal.commit"
SPAN_CANCEL: Final = "pfh.cancel"
SPAN_READ_ORDER: Final = "pfh.order.read"
SPAN_READ_TRADES: Final = "pfh.trades.read"
SPAN_SIGN: Final = "pfh.sign"
SPAN_POST: Final = "pfh.post"
SPAN_KILL_READ: Final = "pfh.killswitch.read"
SPAN_DUST: Final = "pfh.dust"
SPAN_KILL: Final = "pfh.killswitch"
SPAN_COMMAND: Final = "pfh.command"
SPAN_SEND: Final = "send polytraders.reports.execution"

ATTR_TRACE_ID: Final = "polytraders.trace_id"
ATTR_ORDER_ID: Final = "polytraders.order_id"
ATTR_ROOT_ORDER_ID: Final = "polytraders.root_order_id"
ATTR_NEW_ORDER_ID: Final = "polytraders.new_order_id"
ATTR_REPORT_ID: Final = "polytraders.report_id"
ATTR_MARKET_ID: Final = "polytraders.market_id"
ATTR_TOKEN_ID: Final = "polytraders.token_id"  # noqa: S105 - an outcome token, not a credential
ATTR_SIDE: Final = "polytraders.side"
ATTR_EVENT_TS_MS: Final = "polytraders.event_ts_ms"
ATTR_VERDICT: Final = "polytraders.verdict"
ATTR_SEVERITY: Final = "polytraders.severity"
ATTR_DETAIL: Final = "polytraders.detail"
ATTR_POLICY: Final = "polytraders.policy"
ATTR_ROW: Final = "polytraders.decision_row"
ATTR_MODE: Final = "polytraders.mode"
ATTR_EXECUTED: Final = "polytraders.executed"
ATTR_PRICE: Final = "polytraders.original_price"
ATTR_ROOT_PRICE: Final = "polytraders.root_price"
ATTR_FILLED_USD: Final = "polytraders.filled_usd"
ATTR_REMAINING_USD: Final = "polytraders.remaining_usd"
ATTR_DEPTH_USD: Final = "polytraders.book_depth_usd"
ATTR_BEST_BID: Final = "polytraders.best_bid"
ATTR_BEST_ASK: Final = "polytraders.best_ask"
ATTR_BOOK_AGE_MS: Final = "polytraders.book_age_ms"
ATTR_TICKS: Final = "polytraders.ticks_to_fill"
ATTR_KILL: Final = "polytraders.kill_switch"
ATTR_MIN_REMAINDER_USD: Final = "polytraders.min_remainder_size"
ATTR_CHASE_MAX_TICKS: Final = "polytraders.chase_max_ticks"
ATTR_CANCEL_ON_BOOK_THIN: Final = "polytraders.cancel_on_book_thin"
ATTR_CHASE_PRICE: Final = "polytraders.chase_price"
ATTR_CHASE_SIZE: Final = "polytraders.chase_size_shares"
ATTR_OUTCOME: Final = "polytraders.outcome"
ATTR_ATTEMPT: Final = "polytraders.attempt"
ATTR_ERROR_TYPE: Final = "error.type"

MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_PARTITION: Final = "messaging.destination.partition.id"
MESSAGING_MESSAGE_ID: Final = "messaging.message.id"
MESSAGING_CONVERSATION_ID: Final = "messaging.message.conversation_id"
MESSAGING_BODY_SIZE: Final = "messaging.message.body.size"
"""The messaging semantic conventions, as far as a report's producer knows the answers."""


STEPS: Final = {
    SPAN_LOCK: "lock",
    SPAN_ORDER_FACTS: "order_facts",
    SPAN_BOOK_FETCH: "book",
    SPAN_COMMIT: "commit",
    SPAN_CANCEL_REPLACE: "cancel_replace",
    SPAN_CANCEL: "cancel",
    SPAN_READ_ORDER: "read_order",
    SPAN_READ_TRADES: "read_trades",
    SPAN_SIGN: "sign",
    SPAN_POST: "post",
    SPAN_KILL_READ: "kill_switch",
    SPAN_DUST: "dust",
    SPAN_SEND: "publish",
}
"""The waits that are timed, each by its span; a wait under another span is traced and not timed."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name without prefix, kind, unit, what it counts, and its label with all its values."""

    name: str
    kind: str
    unit: str
    meaning: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prefix: str = METRIC_PREFIX

    @property
    def full_name(self) -> str:
        """The name as it is scraped."""
        return self.prefix + self.name


def _of(kind: type[StrEnum]) -> tuple[str, ...]:
    return tuple(member.value for member in kind)


DECISIONS: Final = Metric(
    "decisions_total",
    "counter",
    "count",
    "Partial-fill decisions by verdict: one for each final report.",
    {"verdict": _of(Reason)},
)
REMAINDER_USD: Final = Metric(
    "remainder_usd", "histogram", "pUSD", "Remainder size at the time of the decision."
)
CHASE_TICKS: Final = Metric(
    "chase_ticks",
    "histogram",
    "count",
    "Adverse ticks to the contra price on chase decisions, 0 where it is no worse than the root price; "
    "beyond chase_max_ticks they abort.",
)
DECIDE_SECONDS: Final = Metric(
    "decide_seconds", "histogram", "seconds", "From the event's bytes to its final report."
)
STEP_SECONDS: Final = Metric(
    "step_seconds",
    "histogram",
    "seconds",
    "How long each wait of a sequence took, whatever came of it.",
    {"step": tuple(STEPS.values())},
)
EVENT_AGE_SECONDS: Final = Metric(
    "event_age_seconds", "histogram", "seconds", "How old an event was when it was looked at."
)
IN_FLIGHT: Final = Metric("in_flight", "gauge", "count", "Partial fills in work now.")
ACTIVE_INTENTS: Final = Metric("active_intents", "gauge", "count", "Intents kept in memory now.")
REJECTED_EVENTS: Final = Metric(
    "rejected_events_total",
    "counter",
    "count",
    "Events that were refused, by reason.",
    {"why": ("forged", "malformed", "unknown_order")},
)
SHED: Final = Metric("shed_total", "counter", "count", "Events shed because too many were in flight.")
DEFERRED: Final = Metric(
    "deferred_events", "gauge", "count", "Shed events that wait now to be looked at again."
)
CANCELS: Final = Metric(
    "cancels_total",
    "counter",
    "count",
    "Cancels sent, one for each order, by what the answer proved of it.",
    {"verdict": _of(CancelVerdict)},
)
CANCELS_UNCONFIRMED: Final = Metric(
    "cancels_unconfirmed", "gauge", "count", "Cancels whose outcome is not known now."
)
POSTS: Final = Metric(
    "posts_total",
    "counter",
    "count",
    "Chase orders sent, by what the answer proved.",
    {"verdict": _of(PostVerdict)},
)
POSTS_UNKNOWN: Final = Metric("posts_unknown", "gauge", "count", "Chase orders whose fate is not known now.")
RECONCILIATIONS: Final = Metric(
    "reconciliations_total",
    "counter",
    "count",
    "Reads of an order's record in place of a guess, by what they proved.",
    {"verdict": _of(RecordVerdict)},
)
INVARIANT_TRIPS: Final = Metric(
    "invariant_trips_total",
    "counter",
    "count",
    "Chase orders beyond their intent or their cap: held back, or another bot's found so.",
)
JOURNAL_COMMIT_SECONDS: Final = Metric(
    "journal_commit_seconds",
    "histogram",
    "seconds",
    "How long the disk took to make one batch of records durable.",
)
JOURNAL_BACKLOG: Final = Metric(
    "journal_backlog_records", "gauge", "count", "Records that wait for the disk now."
)
JOURNAL_FAILED: Final = Metric(
    "journal_failed", "gauge", "0 or 1", "Whether nothing can be recorded any more; then nothing is posted."
)
PENDING_REPORTS: Final = Metric(
    "pending_reports", "gauge", "count", "Reports that the bus has not acknowledged."
)
OLDEST_PENDING_REPORT: Final = Metric(
    "oldest_pending_report_seconds",
    "gauge",
    "seconds",
    "Age of the oldest report that the bus has not acknowledged; 0 when none waits.",
)
LOST_REPORTS: Final = Metric(
    "lost_reports",
    "gauge",
    "count",
    "Reports since the start that neither journal, memory nor bus could take.",
)
KILL_SWITCH: Final = Metric("kill_switch_active", "gauge", "0 or 1", "Whether the kill switch is latched.")
MODE: Final = Metric("mode", "gauge", "0 or 1", "1 at the mode that is in force.", {"mode": _of(Mode)})

METRICS: Final = (
    DECISIONS,
    REMAINDER_USD,
    CHASE_TICKS,
    DECIDE_SECONDS,
    STEP_SECONDS,
    EVENT_AGE_SECONDS,
    IN_FLIGHT,
    ACTIVE_INTENTS,
    REJECTED_EVENTS,
    SHED,
    DEFERRED,
    CANCELS,
    CANCELS_UNCONFIRMED,
    POSTS,
    POSTS_UNKNOWN,
    RECONCILIATIONS,
    INVARIANT_TRIPS,
    JOURNAL_COMMIT_SECONDS,
    JOURNAL_BACKLOG,
    JOURNAL_FAILED,
    PENDING_REPORTS,
    OLDEST_PENDING_REPORT,
    LOST_REPORTS,
    KILL_SWITCH,
    MODE,
)

"""After a restart: what was answered stays answered, and what was begun gets its final report."""

import logging
from typing import Final

from polytraders_hookspecs.errors import WireError
from polytraders_hookspecs.reports import ExecutionReport

from polytraders_pfh.core.lifecycle import State
from polytraders_pfh.core.reasons import TEXTS, Reason
from polytraders_pfh.engine.coordinator import Coordinator
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.journal import JournalFailed
from polytraders_pfh.engine.reporter import Reporter
from polytraders_pfh.engine.reporting import FINAL, report_id
from polytraders_pfh.engine.tools import Tools

_LOG: Final = logging.getLogger("polytraders_pfh.engine")
_LOOK_BACK_MS: Final = 24 * 3_600_000
_DETAIL: Final = "the host was restarted while this was under way"


async def recall(tools: Tools, coordinator: Coordinator) -> list[ExecutionReport]:
    """Recall the answers of the last day; return the interim ones, whose sequences an earlier run left open.

    Runs before anything outside is asked, so that an event which comes again meanwhile is known.
    """
    try:
        seen = await tools.journal.seen_events(max(tools.clock.now_ms() - _LOOK_BACK_MS, 0))
    except JournalFailed as e:
        _LOG.warning("answers of earlier events could not be read (%s)", e)
        return []
    left_open = []
    for order_id, event_ts_ms, payload in seen:
        if not payload or not coordinator.remember(order_id, event_ts_ms, payload):
            continue
        try:
            report = ExecutionReport.from_json(payload)
        except WireError as e:
            _LOG.warning("a report of order %s could not be read (%s)", order_id, e)
            continue
        if not report.final:
            left_open.append(report)
    return left_open


def finish(left_open: list[ExecutionReport], tools: Tools, reporter: Reporter) -> None:
    """Give each its final report. Runs once recovery has asked the exchange, and says what is true now."""
    for report in left_open:
        intent = tools.intents.get(report.order_id or "")
        reporter.publish(_finished(report, intent, tools.clock.now_ms()))


def _finished(interim: ExecutionReport, intent: Intent | None, now_ms: int) -> ExecutionReport:
    verdict = _verdict(interim, intent)
    text = TEXTS[verdict]
    changes = {
        "report_id": report_id(interim.order_id or "", interim.event_ts_ms or 0, FINAL),
        "verdict": verdict.value,
        "reason_code": verdict.value,
        "severity": text.severity.value,
        "user_message": text.user_message,
        "final": True,
        "supersedes": interim.report_id,
        "detail": _DETAIL,
        "evaluated_at_ms": now_ms,
    }
    if intent is not None and intent.working.order_id != interim.order_id:
        changes["new_order_id"] = intent.working.order_id
    return interim.model_copy(update=changes)


def _verdict(interim: ExecutionReport, intent: Intent | None) -> Reason:
    """Return what has become of an event's order, as far as the exchange has said."""
    if intent is None:
        return Reason.REMAINDER_CLOSED
    if intent.state is State.CANCEL_UNKNOWN:
        return Reason.CANCEL_UNCONFIRMED
    if intent.state is State.POST_UNKNOWN:
        return Reason.CHASE_UNCONFIRMED
    order = next((o for o in intent.orders if o.order_id == interim.order_id), intent.working)
    if order is not intent.working:
        return Reason.CHASE_ORDER_SUBMITTED
    if intent.state is State.RESTING:
        return Reason.HOLD_REMAINDER
    return Reason.CANCELLED_REMAINDER if order.filled_micro < order.size_micro else Reason.REMAINDER_CLOSED

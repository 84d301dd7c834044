"""Reports: what the event said, what was decided, what came of it, in the contract's own words."""

import hashlib
from decimal import Decimal
from typing import Any, Final, NamedTuple

from polytraders_hookspecs.events import PartialFill
from polytraders_hookspecs.reports import CancelReplaceResult, ExecutionReport
from polytraders_hookspecs.wire import flat_json, from_micro

from polytraders_pfh.config import BOT_ID, Mode
from polytraders_pfh.core.money import MICRO
from polytraders_pfh.core.policy import Decision
from polytraders_pfh.core.reasons import TEXTS, Reason
from polytraders_pfh.engine.intents import Intent

FIRST: Final = "first"
FINAL: Final = "final"
_TOLD: Final = {
    reason: {
        "verdict": reason.value,
        "reason_code": reason.value,
        "severity": text.severity.value,
        "user_message": text.user_message,
    }
    for reason, text in TEXTS.items()
}


class Fill(NamedTuple):
    """What a report says of the order: from an accepted event, or from the chain itself (kill, command)."""

    order_id: str
    event_ts_ms: int
    trace_id: str
    filled_usd: Decimal
    remaining_usd: Decimal
    price: Decimal
    filled_usd_micro: int
    remaining_usd_micro: int
    price_micro: int
    event: PartialFill | None = None


def report_id(order_id: str, event_ts_ms: int, step: str) -> str:
    """Return a report's id: a function of order, event time and step, so that a replay yields the same."""
    digest = hashlib.sha256(f"{order_id}|{event_ts_ms}|{step}".encode()).hexdigest()
    return f"rep_{digest[:16]}"


def rejection(reason: str, envelope_key: str, event_ts_ms: int, now_ms: int, mode: Mode) -> ExecutionReport:
    """Return the report of an event that was refused. Nothing of its body is repeated as fact."""
    text = TEXTS[Reason.EVENT_REJECTED]
    return ExecutionReport(
        report_id=report_id(envelope_key, event_ts_ms, "rejected"),
        bot_id=BOT_ID,
        verdict=Reason.EVENT_REJECTED.value,
        evaluated_at_ms=now_ms,
        reason_code=Reason.EVENT_REJECTED.value,
        severity=text.severity.value,
        user_message=text.user_message,
        detail=reason,
        mode=mode,
        executed=False,
        final=True,
    )


def execution_report(
    fill: Fill,
    intent: Intent,
    verdict: Reason,
    *,
    decision: Decision | None,
    warnings: tuple[Reason, ...],
    now_ms: int,
    mode: Mode,
    executed: bool,
    step: str = FIRST,
    final: bool = True,
    supersedes: str | None = None,
    result: CancelReplaceResult | None = None,
    detail: str = "",
    expected_fill_ms: int | None = None,
    traceparent: str | None = None,
) -> tuple[ExecutionReport, bytes]:
    """Return the report of one accepted event, and its JSON; what it says was validated where it came in."""
    facts: dict[str, Any] = {
        **_TOLD[verdict],
        "report_id": report_id(fill.order_id, fill.event_ts_ms, step),
        "trace_id": fill.trace_id,
        "bot_id": BOT_ID,
        "order_id": fill.order_id,
        "market_id": intent.market_id,
        "builder_code": intent.builder_code,
        "evaluated_at_ms": now_ms,
        "mode": mode,
        "executed": executed,
        "final": final,
        "event_ts_ms": fill.event_ts_ms,
        "side": intent.side.value,
        "token_id": intent.token_id,
        "root_order_id": intent.root_order_id,
    }
    numbers = {
        "filled_usd": fill.filled_usd,
        "remaining_usd": fill.remaining_usd,
        "original_price": fill.price,
        "original_size_usd": fill.filled_usd + fill.remaining_usd,
    }
    if warnings:
        facts["warnings"] = tuple([warning.value for warning in warnings])
    if detail:
        facts["detail"] = detail
    if supersedes is not None:
        facts["supersedes"] = supersedes
    if traceparent is not None:
        facts["traceparent"] = traceparent
    if expected_fill_ms is not None:
        numbers["expected_fill_seconds"] = Decimal(expected_fill_ms) / 1000
    if decision is not None:
        facts["policy_applied"] = decision.policy.value
        _add_figures(numbers, decision)
    if result is not None:
        if result.new_order_id is not None:
            facts["new_order_id"] = result.new_order_id
        _add_chase(numbers, result.price, result.size_shares)
    payload = flat_json(facts, numbers)
    facts.update(numbers)
    return ExecutionReport.from_checked(facts), payload


def ticks_to_fill(decision: Decision) -> Decimal | None:
    """Return how many adverse ticks the contra price is from the root, or None without one."""
    if decision.adverse_micro is None or not decision.tick_micro:
        return None
    whole, rest = divmod(decision.adverse_micro, decision.tick_micro)
    return Decimal(whole) if not rest else Decimal(decision.adverse_micro) / decision.tick_micro


def _add_figures(numbers: dict[str, Decimal], decision: Decision) -> None:
    if decision.depth_pico is not None:
        numbers["book_depth_usd"] = from_micro(decision.depth_pico // MICRO)
    ticks = ticks_to_fill(decision)
    if ticks is not None:
        numbers["ticks_to_fill"] = ticks
    if decision.price_micro is not None and decision.size_micro is not None:
        _add_chase(numbers, from_micro(decision.price_micro), from_micro(decision.size_micro))


def _add_chase(numbers: dict[str, Decimal], price: Decimal | None, size_shares: Decimal | None) -> None:
    """Say which chase was planned, or, once it is known, which one there is, if any."""
    for name, figure in (("chase_price", price), ("chase_size_shares", size_shares)):
        if figure is None:
            numbers.pop(name, None)
        else:
            numbers[name] = figure

"""What a span says of an event once it is answered: what came of it, and what was refused or warned of."""

from opentelemetry.trace import Span
from polytraders_hookspecs.reports import ExecutionReport

from polytraders_pfh.core.outcomes import PostVerdict
from polytraders_pfh.core.policy import Decision
from polytraders_pfh.core.reasons import TEXTS, Reason, Severity
from polytraders_pfh.telemetry import names


def describe(span: Span, report: ExecutionReport, decision: Decision | None) -> None:
    """Put a final report on its event's span. Computes nothing unless the span records."""
    if not span.is_recording():
        return
    attributes: dict[str, str | int | bool] = {
        names.ATTR_ORDER_ID: report.order_id or "",
        names.ATTR_ROOT_ORDER_ID: report.root_order_id or "",
        names.ATTR_MARKET_ID: report.market_id or "",
        names.ATTR_TOKEN_ID: report.token_id or "",
        names.ATTR_SIDE: report.side or "",
        names.ATTR_EVENT_TS_MS: report.event_ts_ms or 0,
        names.ATTR_REPORT_ID: report.report_id,
        names.ATTR_VERDICT: report.verdict,
        names.ATTR_MODE: report.mode or "",
        names.ATTR_EXECUTED: bool(report.executed),
        names.ATTR_REMAINING_USD: str(report.remaining_usd),
    }
    if decision is not None:
        attributes[names.ATTR_ROW] = decision.row
        attributes[names.ATTR_POLICY] = decision.policy.value
    for name, figure in (
        (names.ATTR_DEPTH_USD, report.book_depth_usd),
        (names.ATTR_TICKS, report.ticks_to_fill),
        (names.ATTR_CHASE_PRICE, report.chase_price),
        (names.ATTR_CHASE_SIZE, report.chase_size_shares),
        (names.ATTR_NEW_ORDER_ID, report.new_order_id),
        (names.ATTR_DETAIL, report.detail),
    ):
        if figure is not None:
            attributes[name] = str(figure)
    span.set_attributes(attributes)
    note(span, report)


def note(span: Span, report: ExecutionReport) -> None:
    """Add what a report warns of, and its verdict where that is more than information, as events."""
    if not span.is_recording():
        return
    for warning in report.warnings or ():
        span.add_event(warning, _why(Reason(warning), report))
    if report.severity != Severity.INFO.value:
        span.add_event(report.verdict, _why(Reason(report.verdict), report))


def answered(span: Span, order_id: str, verdict: str, attempt: int, words: str = "") -> None:
    """Put an answer of the exchange on its span; its own words stand there where it refused or failed."""
    if not span.is_recording():
        return
    span.set_attributes(
        {names.ATTR_ORDER_ID: order_id, names.ATTR_OUTCOME: verdict, names.ATTR_ATTEMPT: attempt + 1}
    )
    if words and verdict != PostVerdict.ACCEPTED.value:
        span.add_event(verdict, {names.ATTR_DETAIL: words})


def _why(reason: Reason, report: ExecutionReport) -> dict[str, str]:
    said = {names.ATTR_SEVERITY: TEXTS[reason].severity.value}
    if report.detail:
        said[names.ATTR_DETAIL] = report.detail
    return said

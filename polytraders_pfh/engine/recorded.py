"""What reports and accepted events leave in the log; a decision's inputs go with whichever comes first."""

from typing import NamedTuple

from polytraders_hookspecs.reports import ExecutionReport

from polytraders_pfh.core.basis import Basis, encode
from polytraders_pfh.core.policy import Decision
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.journal import Kind, Record
from polytraders_pfh.engine.journal.records import Facts
from polytraders_pfh.engine.reporting import Fill


class Kept(NamedTuple):
    """A report on its way to the log. `by` is who ordered it, where no event did."""

    report: ExecutionReport
    payload: bytes
    first: bool = False
    basis: Basis | None = None
    decision: Decision | None = None
    by: str = ""


def record_of(kept: Kept) -> Record:
    """Return the record of a report. Its inputs are put into words here, when nobody waits for it."""
    report = kept.report
    facts: dict[str, str | int | bool | None] = {
        "report_id": report.report_id,
        "verdict": report.verdict,
        "final": report.final,
        "event_ts_ms": report.event_ts_ms,
    }
    if kept.first:
        facts["first"] = True
    if kept.by:
        facts["by"] = kept.by
    if kept.basis is not None and kept.decision is not None:
        facts["decided"] = encode(kept.basis, kept.decision)
    return Record(
        Kind.REPORTED,
        report.evaluated_at_ms,
        report.trace_id or "",
        report.root_order_id or "",
        report.order_id or "",
        facts,
        payload=kept.payload,
        message_id=report.report_id,
        partition_key=report.trace_id or report.report_id,
        traceparent=report.traceparent or "",
    )


def accepted(
    at_ms: int, trace_id: str, order_id: str, event_ts_ms: int, payload: bytes = b"", decided: str = ""
) -> Record:
    """Return the record of an accepted event, with its decision once that is begun."""
    facts: dict[str, str | int | bool | None] = {"event_ts_ms": event_ts_ms}
    if decided:
        facts["decided"] = decided
    return Record(Kind.EVENT_ACCEPTED, at_ms, trace_id, "", order_id, facts, payload)


def begun_late(at_ms: int, fill: Fill, intent: Intent, decision: Decision, decided: str) -> Record:
    """Return the record of a decision whose event was accepted before, when it was shed."""
    facts: Facts = {
        "event_ts_ms": fill.event_ts_ms,
        "action": decision.action.value,
        "row": decision.row,
        "confirmed": True,
        "decided": decided,
    }
    return Record(Kind.DECIDED, at_ms, fill.trace_id, intent.root_order_id, fill.order_id, facts)

"""From an ending to a report: composed, recorded, offered to the bus, counted and traced, in that order."""

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import Span, get_current_span
from polytraders_hookspecs.events import SignedEvent
from polytraders_hookspecs.reports import ExecutionReport
from polytraders_hookspecs.wire import from_micro

from polytraders_pfh.config import BOT_ID
from polytraders_pfh.core.basis import Basis, encode
from polytraders_pfh.core.money import size_down, usd_down
from polytraders_pfh.core.policy import Decision, Policy
from polytraders_pfh.core.reasons import TEXTS, Reason, Severity
from polytraders_pfh.engine.endings import Ending
from polytraders_pfh.engine.intake import Rejected
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.outbox import Outbox
from polytraders_pfh.engine.recorded import Kept, accepted, begun_late, record_of
from polytraders_pfh.engine.reporting import (
    FINAL,
    FIRST,
    Fill,
    execution_report,
    rejection,
    report_id,
    ticks_to_fill,
)
from polytraders_pfh.engine.seen import Answer
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.engine.traced import describe, note
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.rates import Recent
from polytraders_pfh.telemetry.traceparent import traceparent
from polytraders_pfh.telemetry.traces import failed, sampled_trace

_DUST: Final = Reason.PARTIAL_FILL_DUST_AUTO_CANCEL.value
_ABORTED: Final = Reason.PARTIAL_FILL_CHASE_ABORTED.value
DECISIONS_LOG: Final = logging.getLogger("polytraders_pfh.decisions")


@dataclass(slots=True)
class Work:
    """One accepted event on its way to its report.

    Attributes:
        draft: The intent that it would begin, once known.
        basis: What its decision rested on, until that is on record.
    """

    fill: Fill
    answer: Answer
    span: Span
    began_ns: int
    warnings: tuple[Reason, ...] = ()
    interim: ExecutionReport | None = None
    draft: Intent | None = None
    basis: Basis | None = None


class Reporter:
    """Writes reports, and is the only one who does."""

    def __init__(self, tools: Tools, outbox: Outbox) -> None:
        self._t = tools
        self._outbox = outbox
        tools.metrics.show.choice(names.MODE, lambda: tools.mode.now.value)
        self._reports: list[Kept] = []
        self.dust = Recent()
        self.aborts = Recent()

    async def finish(
        self,
        work: Work,
        intent: Intent,
        decision: Decision | None,
        ending: Ending,
        *,
        final: bool = True,
        step: str | None = None,
    ) -> ExecutionReport:
        """Report an ending. After an interim report the final one names it."""
        interim = work.interim
        report, payload = self._composed(work, intent, decision, ending, final=final, step=step)
        first = step is None and interim is None and not work.answer.carried
        by = step if final and step is not None else ""
        self._keep(Kept(report, payload, first, work.basis, decision, by))
        work.basis = None
        if final:
            self._watch(work, decision, report)
        else:
            work.interim = report
            note(work.span, report)
        work.answer.give(report, payload)
        return report

    def _composed(
        self,
        work: Work,
        intent: Intent,
        decision: Decision | None,
        ending: Ending,
        *,
        final: bool,
        step: str | None = None,
    ) -> tuple[ExecutionReport, bytes]:
        interim, fill = work.interim, work.fill
        rest_micro = size_down(fill.remaining_usd_micro, fill.price_micro)
        return execution_report(
            fill,
            intent,
            ending.verdict,
            decision=decision,
            warnings=work.warnings + ending.warnings,
            now_ms=self._t.clock.now_ms(),
            mode=self._t.mode.now.value,
            executed=ending.executed,
            step=step or (FIRST if interim is None else FINAL),
            final=final,
            supersedes=None if interim is None else interim.report_id,
            result=ending.result,
            detail=ending.detail,
            expected_fill_ms=self._t.books.expected_fill_ms(intent.token_id, intent.side, rest_micro),
            traceparent=traceparent(work.span),
        )

    def publish(self, report: ExecutionReport) -> None:
        """Have a final report that was composed elsewhere counted, recorded and published."""
        self._t.metrics.decisions[report.verdict].inc()
        self._keep(Kept(report, report.to_json()))

    async def reject(self, envelope: SignedEvent, e: Rejected, span: Span | None = None) -> ExecutionReport:
        """Report an event that was refused; nothing of it was touched.

        It is an event on its own `span`, or on the host's when nothing it said could be believed.
        """
        self._t.metrics.rejected[e.why].inc()
        self._t.metrics.decisions[Reason.EVENT_REJECTED.value].inc()
        report = rejection(
            str(e), envelope.signature, envelope.event_ts_ms, self._t.clock.now_ms(), self._t.mode.now.value
        )
        note(get_current_span() if span is None else span, report)
        self._keep(Kept(report, report.to_json()))
        return report

    async def hold_unhandled(
        self, fill: Fill, e: Exception, span: Span, interim: ExecutionReport | None = None
    ) -> ExecutionReport:
        """Report an event that this bot failed to handle: the order rests as it was."""
        text = TEXTS[Reason.HOLD_REMAINDER]
        report = ExecutionReport(
            report_id=report_id(fill.order_id, fill.event_ts_ms, "unhandled"),
            trace_id=fill.trace_id,
            bot_id=BOT_ID,
            order_id=fill.order_id,
            filled_usd=fill.filled_usd,
            remaining_usd=fill.remaining_usd,
            verdict=Reason.HOLD_REMAINDER.value,
            evaluated_at_ms=self._t.clock.now_ms(),
            reason_code=Reason.HOLD_REMAINDER.value,
            severity=Severity.WARN.value,
            user_message=text.user_message,
            detail=f"the event was not handled: {type(e).__name__}",
            mode=self._t.mode.now.value,
            executed=False,
            final=True,
            supersedes=None if interim is None else interim.report_id,
            event_ts_ms=fill.event_ts_ms,
            traceparent=traceparent(span),
        )
        failed(span, e)
        describe(span, report, None)
        self.publish(report)
        return report

    def _keep(self, kept: Kept) -> None:
        """Have the report recorded, and published once that is durable, as soon as the loop turns."""
        self._reports.append(kept)
        if len(self._reports) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def begun(self, work: Work, intent: Intent, decision: Decision) -> None:
        """Record that an event was accepted whose report will come later.

        The record carries what is to be said should nothing more be heard of it: a restart ends it.
        """
        fill, pending = work.fill, Ending(Reason.PARTIAL_FILL_PENDING)
        _, payload = self._composed(work, intent, decision, pending, final=False)
        assert work.basis is not None  # what was just decided rests on one
        at_ms, decided = self._t.clock.now_ms(), encode(work.basis, decision)
        work.basis = None
        if work.interim is not None:  # its acceptance is on record since it was shed
            self._t.journal.append(begun_late(at_ms, fill, intent, decision, decided))
        moment = (at_ms, fill.trace_id, fill.order_id, fill.event_ts_ms)
        self._t.journal.append(accepted(*moment, payload, decided))

    def flush(self) -> None:
        """Hand what was reported since the last turn of the loop to journal and bus, in order."""
        reports, self._reports = self._reports, []
        for kept in reports:
            # The report first: an event that is on record as accepted is never without one.
            self._outbox.offer(record_of(kept))
            report = kept.report
            if kept.first and report.event_ts_ms is not None:
                order_id, trace_id = report.order_id or "", report.trace_id or ""
                moment = (report.evaluated_at_ms, trace_id, order_id, report.event_ts_ms)
                self._t.journal.append(accepted(*moment))

    def _watch(self, work: Work, decision: Decision | None, report: ExecutionReport) -> None:
        """Count and trace what was decided. Nothing here changes it."""
        metrics, span = self._t.metrics, work.span
        ticks = None
        if decision is not None and decision.policy is Policy.CHASE:
            ticks = ticks_to_fill(decision)
        metrics.decided(
            report.verdict,
            work.fill.remaining_usd_micro,
            None if ticks is None else float(ticks),
            (self._t.clock.monotonic_ns() - work.began_ns) / 1e9,
            sampled_trace(span),
        )
        if report.verdict == _DUST:
            self.dust.note(report.evaluated_at_ms)
        elif report.verdict == _ABORTED:
            self.aborts.note(report.evaluated_at_ms)
        describe(span, report, decision)
        if DECISIONS_LOG.isEnabledFor(logging.DEBUG):
            DECISIONS_LOG.debug("%s", developer_log(report))


def fill_of(intent: Intent, at_ms: int) -> Fill:
    """Return the working order as a report describes it, when no event did (kill switch, command)."""
    order = intent.working
    filled = usd_down(order.price_micro, order.filled_micro)
    rest = usd_down(order.price_micro, order.size_micro) - filled
    return Fill(
        order_id=order.order_id,
        event_ts_ms=at_ms,
        trace_id=intent.trace_id,
        filled_usd=from_micro(filled),
        remaining_usd=from_micro(rest),
        price=from_micro(order.price_micro),
        filled_usd_micro=filled,
        remaining_usd_micro=rest,
        price_micro=order.price_micro,
    )


def developer_log(report: ExecutionReport) -> str:
    """Return the card's developer-log line of a report, as JSON text."""
    line = {
        "order_id": report.order_id,
        "remaining_usd": str(report.remaining_usd),
        "book_depth_usd": str(report.book_depth_usd),
        "ticks_to_fill": str(report.ticks_to_fill),
        "policy_applied": report.policy_applied,
        "warnings": list(report.warnings or ()),
        "verdict": report.verdict,
    }
    return json.dumps(line)

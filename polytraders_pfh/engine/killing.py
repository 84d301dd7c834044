"""The kill switch went on: every known remainder is cancelled, in batches, now.

The latch is set before anything here runs. Remainders at rest are cancelled together; one that a
sequence is working on is cancelled by that sequence, or right after it, under the same lock.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from opentelemetry.trace import Span
from polytraders_hookspecs.events import KillSwitchSignal
from polytraders_hookspecs.reports import CancelReplaceResult, ExecutionReport

from polytraders_pfh.core.lifecycle import MAY_FILL, State, Step
from polytraders_pfh.core.outcomes import CancelVerdict
from polytraders_pfh.core.policy import Action, Decision, Policy
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.carrier import Carrier
from polytraders_pfh.engine.endings import Ending, cancel_ending
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.journal import Kind, Record
from polytraders_pfh.engine.reporter import Reporter, Work, fill_of
from polytraders_pfh.engine.seen import Answer
from polytraders_pfh.engine.sequencer import Sequencer
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.engine.traced import answered
from polytraders_pfh.engine.within import within
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.traces import ended

_KILL: Final = "kill"
_RECORD_DEADLINE_S: Final = 0.1
_LOG: Final = logging.getLogger("polytraders_pfh.engine")


class Killer:
    """Cancels what is known when the kill switch goes on, or one remainder when a person says so."""

    def __init__(self, tools: Tools, sequencer: Sequencer, carrier: Carrier, reporter: Reporter) -> None:
        self._t = tools
        self._sequencer = sequencer
        self._carrier = carrier
        self._reporter = reporter

    def sweep(self, signal: KillSwitchSignal) -> asyncio.Future[list[ExecutionReport]]:
        """Cancel every known remainder, and report each. The latch is already set.

        It has begun when this returns, and runs to its end, whether or not anybody waits for it.
        """
        return asyncio.shield(self._carrier.own(self._sweep(signal)))

    async def _sweep(self, signal: KillSwitchSignal) -> list[ExecutionReport]:
        at_rest: list[Intent] = []
        busy: list[Intent] = []
        for intent in [intent for intent in self._t.intents if intent.state in MAY_FILL]:
            (at_rest if await _held_at_rest(intent) else busy).append(intent)
        size = self._t.settings.cancel_batch
        batches = [at_rest[i : i + size] for i in range(0, len(at_rest), size)]
        work = [self._carrier.own(self._cancel_batch(batch, signal)) for batch in batches]
        work += [self._carrier.own(self._cancel_busy(intent, signal)) for intent in busy]
        reports: list[ExecutionReport] = []
        for done in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(done, BaseException):
                _LOG.error("a kill sweep broke off in part", exc_info=done)
            else:
                reports += done
        return reports

    async def cancel_one(self, intent: Intent, decision: Decision, at_ms: int, step: str) -> ExecutionReport:
        """Cancel one remainder and report it, for a command by hand; it runs on when nobody waits."""
        return await asyncio.shield(self._carrier.own(self._cancel_one(intent, decision, at_ms, step)))

    async def _cancel_one(self, intent: Intent, decision: Decision, at_ms: int, step: str) -> ExecutionReport:
        async with intent.lock:
            return await self._cancel_held(intent, decision, at_ms, step)

    async def _cancel_held(
        self, intent: Intent, decision: Decision, at_ms: int, step: str
    ) -> ExecutionReport:
        name = names.SPAN_KILL if step == _KILL else names.SPAN_COMMAND
        with self._t.traces.step(name, intent.trace_id, None) as span:
            if not self._acts(decision, intent):
                ending = Ending(decision.reason, executed=False)
                return await self._report(intent, decision, ending, at_ms, step, span)
            intent.unwanted = True
            result = await self._sequencer.cancel(intent, span)
            return await self._settled(intent, decision, result, at_ms, step, span)

    async def _cancel_busy(self, intent: Intent, signal: KillSwitchSignal) -> list[ExecutionReport]:
        async with intent.lock:
            if intent.state is State.CLOSED:
                return []
            return [await self._cancel_held(intent, _kill_decision(intent), signal.ts_ms, _KILL)]

    async def _cancel_batch(self, batch: Sequence[Intent], signal: KillSwitchSignal) -> list[ExecutionReport]:
        traces = self._t.traces
        spans = [traces.start(names.SPAN_KILL, intent.trace_id) for intent in batch]
        try:
            acting = [
                (intent, span)
                for intent, span in zip(batch, spans, strict=True)
                if self._acts(_kill_decision(intent), intent)
            ]
            verdicts = await self._send(acting)
            taking = [
                self._take(intent, verdicts.get(intent.root_order_id), signal, span)
                for intent, span in zip(batch, spans, strict=True)
            ]
            taken = await asyncio.gather(*taking, return_exceptions=True)
            for intent, report in zip(batch, taken, strict=True):
                if isinstance(report, BaseException):
                    _LOG.error("the kill of intent %s broke off", intent.root_order_id, exc_info=report)
                    self._carrier.ask_until_known(intent)
            return [report for report in taken if isinstance(report, ExecutionReport)]
        finally:
            for intent, span in zip(batch, spans, strict=True):
                ended(span)
                intent.lock.release()

    async def _send(self, acting: Sequence[tuple[Intent, Span]]) -> dict[str, CancelVerdict]:
        """Ask for all of them in one request; return the verdict by root order id."""
        if not acting:
            return {}
        t = self._t
        intents = [intent for intent, _ in acting]
        for intent in intents:
            intent.unwanted = True
            intent.step(Step.CANCEL_STARTED)
        stories = [(intent.trace_id, span) for intent, span in acting]
        with t.traces.shared_step(names.SPAN_COMMIT, stories):
            await self._record(intents)
        with t.traces.shared_step(names.SPAN_CANCEL, stories) as steps:
            by_order = await t.exchange.cancel(tuple([intent.working.order_id for intent in intents]))
            for intent, step in zip(intents, steps, strict=True):
                order_id = intent.working.order_id
                answered(step, order_id, by_order[order_id].value, attempt=0)
        return {intent.root_order_id: by_order[intent.working.order_id] for intent in intents}

    async def _take(
        self, intent: Intent, verdict: CancelVerdict | None, signal: KillSwitchSignal, span: Span
    ) -> ExecutionReport:
        decision = _kill_decision(intent)
        if verdict is None:
            ending = Ending(decision.reason, executed=False)
            return await self._report(intent, decision, ending, signal.ts_ms, _KILL, span)
        result = await self._sequencer.settle_cancel(intent, verdict, span)
        if result is None:
            result = await self._sequencer.cancel(intent, span)
        return await self._settled(intent, decision, result, signal.ts_ms, _KILL, span)

    async def _settled(
        self,
        intent: Intent,
        decision: Decision,
        result: CancelReplaceResult,
        at_ms: int,
        step: str,
        span: Span,
    ) -> ExecutionReport:
        self._sequencer.finish(intent)
        if result.outcome == "cancel_unconfirmed":
            self._carrier.ask_until_known(intent)
        if intent.state is State.CLOSED:
            self._t.intents.close(intent, self._t.clock.now_ms())
        return await self._report(intent, decision, cancel_ending(decision, result), at_ms, step, span)

    async def _report(
        self, intent: Intent, decision: Decision, ending: Ending, at_ms: int, step: str, span: Span
    ) -> ExecutionReport:
        work = Work(fill_of(intent, at_ms), Answer(), span, self._t.clock.monotonic_ns())
        return await self._reporter.finish(work, intent, decision, ending, step=step)

    async def _record(self, acting: Sequence[Intent]) -> None:
        """Record the cancels; when that fails or takes long they go out all the same."""
        commits = []
        for intent in acting:
            record = Record(
                Kind.CANCEL_STARTED,
                self._t.clock.now_ms(),
                intent.trace_id,
                intent.root_order_id,
                intent.working.order_id,
                {"why": Reason.KILL_SWITCH_ACTIVE.value},
            )
            commits.append(self._t.journal.append(record))
        with suppress(Exception):
            await within(_RECORD_DEADLINE_S, commits[-1])

    def _acts(self, decision: Decision, intent: Intent) -> bool:
        return self._t.mode.acts(decision, intent.market_id)


async def _held_at_rest(intent: Intent) -> bool:
    """Take the lock of a remainder at rest, unless somebody has it or waits for it."""
    if intent.lock.locked():
        return False
    try:
        await within(0, intent.lock.acquire())
    except TimeoutError:
        return False
    if intent.state is not State.RESTING:
        intent.lock.release()
        return False
    return True


def _kill_decision(intent: Intent) -> Decision:
    return Decision(Action.CANCEL, Reason.KILL_SWITCH_ACTIVE, 3, intent.policy or Policy.HOLD)

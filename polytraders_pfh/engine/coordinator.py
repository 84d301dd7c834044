"""One partial fill, door to door: known already? → room? → the intent's lock → decide → begin → report.

A hold on a live book runs straight through to its report. A cancel or a chase runs as a task of its own
under the intent's lock: it is never abandoned half-way, whoever stops waiting for it.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from opentelemetry.trace import Span
from polytraders_hookspecs.events import SignedEvent
from polytraders_hookspecs.reports import ExecutionReport
from polytraders_hookspecs.services import OrderBookkeeper

from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.policy import Action, Decision, Policy
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.carrier import Carrier
from polytraders_pfh.engine.decider import Decider
from polytraders_pfh.engine.endings import Ending
from polytraders_pfh.engine.intake import Rejected, lacks_facts, new_intent, read_fill
from polytraders_pfh.engine.intents import Intent
from polytraders_pfh.engine.reporter import Reporter, Work
from polytraders_pfh.engine.seen import Answer, SeenEvents
from polytraders_pfh.engine.shed import Shed, ShedEvent
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.engine.within import within
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.traces import ended

_LOG: Final = logging.getLogger("polytraders_pfh.engine")
_PENDING: Final = "pending"
"""The step of an interim report that follows another one, so that its id is not the final one's."""


class Coordinator:
    """Decides what becomes of remainders, and has it done."""

    def __init__(
        self,
        tools: Tools,
        decider: Decider,
        carrier: Carrier,
        reporter: Reporter,
        orders: OrderBookkeeper,
        event_keys: Mapping[str, bytes],
    ) -> None:
        self._t = tools
        self._decider = decider
        self._carrier = carrier
        self._reporter = reporter
        self._execution = tools.settings
        self._timeout_s = tools.settings.timeout_ms / 1000
        self._orders = orders
        self._event_keys = event_keys
        self._seen = SeenEvents(tools.settings.seen_events)
        self._shed = Shed()
        self.in_flight = 0
        show = tools.metrics.show
        show.shown(names.IN_FLIGHT, lambda: self.in_flight)
        show.shown(names.DEFERRED, lambda: len(self._shed))
        show.shown(names.ACTIVE_INTENTS, lambda: len(tools.intents))

    async def on_partial_fill(self, envelope: SignedEvent) -> ExecutionReport:
        """Handle one PARTIAL. A duplicate is answered with the first report."""
        began_ns = self._t.clock.monotonic_ns()
        try:
            fill = read_fill(envelope, self._event_keys)
        except Rejected as e:
            return await self._reporter.reject(envelope, e)
        key = (fill.order_id, fill.event_ts_ms)
        while (known := self._seen.find(key)) is not None:
            first = await known.get()
            if first is not None:
                return first
        answer = self._seen.open(key)
        span = self._t.traces.start(names.SPAN_PARTIAL_FILL, fill.trace_id)
        try:
            return await self._handle(Work(fill, answer, span, began_ns), envelope)
        except Rejected as e:
            self._seen.drop(key)
            return await self._reporter.reject(envelope, e, span)
        except asyncio.CancelledError:
            if not answer.carried:
                self._seen.drop(key)
            raise
        except Exception as e:
            _LOG.exception("event of order %s was not handled", fill.order_id)
            self._seen.drop(key)
            return await self._reporter.hold_unhandled(fill, e, span)
        finally:
            if not answer.carried:  # a sequence under way ends it with its own report
                ended(span)

    async def _handle(self, work: Work, envelope: SignedEvent) -> ExecutionReport:
        intent = self._t.intents.get(work.fill.order_id)
        crowded = self.in_flight >= self._execution.max_in_flight or (intent is None and self._t.intents.full)
        if crowded and not self._t.kill.latched:
            return await self._shed_event(work, intent, envelope)
        self.in_flight += 1
        try:
            if intent is None:
                intent = await self._adopt(work)
            try:
                decision, ending = await within(self._left_s(work), self._decide_under_lock(work, intent))
            except TimeoutError:
                return await self._too_late(work, intent)
            if ending is None:
                assert decision is not None
                return await self._begin(work, intent, decision)
            try:
                return await self._finish(work, intent, decision, ending)
            finally:
                intent.lock.release()
        finally:
            if not work.answer.carried:
                self._landed()

    async def _begin(self, work: Work, intent: Intent, decision: Decision) -> ExecutionReport:
        """Start the sequence; return the final report when it comes in time, else an interim one."""
        work.answer.carried = True
        self._reporter.begun(work, intent, decision)

        async def conclude(ending: Ending) -> ExecutionReport:
            return await self._finish(work, intent, decision, ending)

        task = self._carrier.start(work.fill, intent, decision, work.span, conclude)
        task.add_done_callback(lambda _: self._landed(work.span))
        try:
            return await self._in_time(work, intent, decision, task)
        except asyncio.CancelledError:
            if not task.done():  # a duplicate of this event may wait for its answer
                self._carrier.own(self._in_time(work, intent, decision, task))
            raise

    async def _in_time(
        self, work: Work, intent: Intent, decision: Decision, task: asyncio.Task[ExecutionReport]
    ) -> ExecutionReport:
        await asyncio.wait({task}, timeout=self._left_s(work))
        if task.done():
            return task.result()
        pending = Ending(Reason.PARTIAL_FILL_PENDING)
        step = None if work.interim is None else _PENDING
        return await self._reporter.finish(work, intent, decision, pending, final=False, step=step)

    def _left_s(self, work: Work) -> float:
        """Return how much of the time for an event is left: asking for its facts is part of it."""
        return max(self._timeout_s - (self._t.clock.monotonic_ns() - work.began_ns) / 1e9, 0)

    def remember(self, order_id: str, event_ts_ms: int, payload: bytes) -> bool:
        """Answer an earlier run's event with what it was answered with then; False for one of this run."""
        key = (order_id, event_ts_ms)
        if self._seen.find(key) is not None:
            return False
        self._seen.open(key).recall(payload)
        return True

    def _landed(self, span: Span | None = None) -> None:
        if span is not None:
            ended(span)
        self.in_flight -= 1
        self.look_again()

    def look_again(self) -> None:
        """Handle the next shed event when there is room."""
        if self._shed and self.in_flight < self._execution.resume_in_flight:
            self._carrier.own(self._look_again(self._shed.take()))

    async def _look_again(self, shed: ShedEvent) -> None:
        """Handle the newest event of an order that was shed, now that there is room."""
        span = self._t.traces.start(names.SPAN_PARTIAL_FILL, shed.fill.trace_id, shed.span)
        began_ns = self._t.clock.monotonic_ns()
        work = Work(shed.fill, Answer(), span, began_ns, interim=shed.report, draft=shed.draft)
        try:
            await self._handle(work, shed.envelope)
        except Exception as e:
            _LOG.exception("shed event of order %s was not handled", shed.fill.order_id)
            await self._reporter.hold_unhandled(shed.fill, e, span, shed.report)
        finally:
            if not work.answer.carried:
                ended(span)

    async def _shed_event(self, work: Work, intent: Intent | None, envelope: SignedEvent) -> ExecutionReport:
        """Too much at once: the order keeps resting, is reported, and is looked at again."""
        self._t.metrics.shed.inc()
        work.draft = intent = intent or await self._drawn(work)
        ending = Ending(Reason.PARTIAL_FILL_SHED)
        if work.interim is not None:
            report = work.interim
        else:
            report = await self._reporter.finish(work, intent, None, ending, final=False)
        replaced = self._shed.put(ShedEvent(envelope, work.fill, report, intent, work.span))
        if replaced is not None:
            older = Work(replaced.fill, Answer(), replaced.span, work.began_ns, interim=replaced.report)
            told = Ending(Reason.PARTIAL_FILL_SHED, detail="a newer event of this order took its place")
            await self._reporter.finish(older, intent, None, told)
        if not self._t.intents.full:
            self.look_again()  # room may have come while the facts were asked for, with nobody left to look
        return report

    async def _adopt(self, work: Work) -> Intent:
        """Take an order that was not known before, bounded by what its strategy declared."""
        intent = await self._drawn(work)
        known = self._t.intents.get(work.fill.order_id)
        if known is not None:
            return known
        if self._t.intents.has_ended(work.fill.order_id) or intent.state is State.CLOSED:
            if intent.state is State.RESTING:
                intent.step(Step.ORDER_CLOSED)
            return intent
        self._t.intents.add(intent)
        return intent

    async def _drawn(self, work: Work) -> Intent:
        """Return the intent that an event would begin. What was asked for it once is not asked again."""
        if work.draft is not None:
            return work.draft
        if not lacks_facts(work.fill):
            return await new_intent(work.fill, self._orders, self._timeout_s)
        with self._t.traces.step(names.SPAN_ORDER_FACTS, work.fill.trace_id, work.span):
            return await new_intent(work.fill, self._orders, self._timeout_s)

    async def _decide_under_lock(self, work: Work, intent: Intent) -> tuple[Decision | None, Ending | None]:
        """Decide with the intent's lock held; it stays held when this returns, and only then."""
        if intent.lock.locked():
            with self._t.traces.step(names.SPAN_LOCK, intent.trace_id, work.span):
                await intent.lock.acquire()
        else:
            await intent.lock.acquire()
        try:
            return await self._decider.decide(work, intent)
        except BaseException:
            intent.lock.release()
            raise

    async def _finish(
        self, work: Work, intent: Intent, decision: Decision | None, ending: Ending
    ) -> ExecutionReport:
        if intent.state is State.CLOSED:
            self._t.intents.close(intent, self._t.clock.now_ms())
        return await self._reporter.finish(work, intent, decision, ending)

    async def _too_late(self, work: Work, intent: Intent) -> ExecutionReport:
        """The deadline passed before anything was done: the order rests as it was.

        With the kill switch on that is no place to stay: it is cancelled in the background.
        """
        dying = Decision(Action.CANCEL, Reason.KILL_SWITCH_ACTIVE, 3, intent.policy or Policy.HOLD)
        if self._t.kill.latched and self._decider.may_cancel(dying, intent):
            self._carrier.ask_until_known(intent)
        ending = Ending(Reason.HOLD_REMAINDER, (Reason.DEADLINE_EXCEEDED,))
        return await self._reporter.finish(work, intent, None, ending)

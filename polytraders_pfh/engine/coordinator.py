"""One partial fill, door to door: known already? → room? → the intent's lock → decide → begin → report.

A hold on a live book runs straight through to its report. A cancel or a chase runs as a task of its own
under the intent's lock: it is never abandoned half-way, whoever stops waiting for it.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from polytraders_hookspecs.events import SignedEvent
from polytraders_hookspecs.orders import OrderFacts
from polytraders_hookspecs.reports import ExecutionReport
from polytraders_hookspecs.services import OrderBookkeeper
from polytraders_hookspecs.wire import from_micro, to_micro

from polytraders_pfh.config import Settings
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.modes import Mode, Reach, may_act
from polytraders_pfh.core.money import MICRO, size_down, usd_down
from polytraders_pfh.core.outcomes import RecordVerdict
from polytraders_pfh.core.policy import Action, Decision, Limits, Policy, Remainder, decide
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.carrier import Carrier
from polytraders_pfh.engine.declared import Declared
from polytraders_pfh.engine.endings import Ending
from polytraders_pfh.engine.intake import Rejected, new_intent, read_fill
from polytraders_pfh.engine.intents import ChainOrder, Intent
from polytraders_pfh.engine.reporter import Reporter, Work
from polytraders_pfh.engine.seen import Answer, SeenEvents
from polytraders_pfh.engine.shed import Shed, ShedEvent
from polytraders_pfh.engine.tools import Tools, obstacle
from polytraders_pfh.engine.within import within
from polytraders_pfh.telemetry import names

_LOG: Final = logging.getLogger("polytraders_pfh.engine")
_PENDING: Final = "pending"
"""The step of an interim report that follows another one, so that its id is not the final one's."""
_CLOSED: Final = Ending(Reason.REMAINDER_CLOSED)


class Coordinator:
    """Decides what becomes of remainders, and has it done."""

    def __init__(
        self,
        tools: Tools,
        carrier: Carrier,
        reporter: Reporter,
        declared: Declared,
        settings: Settings,
        orders: OrderBookkeeper,
        event_keys: Mapping[str, bytes],
    ) -> None:
        self._t = tools
        self._carrier = carrier
        self._reporter = reporter
        self._declared = declared
        self._settings = settings
        self._execution = settings.execution
        self._timeout_s = settings.execution.timeout_ms / 1000
        self._orders = orders
        self._event_keys = event_keys
        self._seen = SeenEvents(settings.execution.seen_events)
        self._shed = Shed()
        self._limits: dict[str | None, Limits] = {}
        self.mode = Mode(settings.mode)
        self._reach = Reach(
            frozenset(settings.limited_live.markets), to_micro(settings.limited_live.max_chase_usd)
        )
        self._started_ms = tools.clock.now_ms()
        self.in_flight = 0
        tools.metrics.in_flight.set_function(lambda: self.in_flight)
        tools.metrics.active_intents.set_function(lambda: len(tools.intents))

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
            return await self._reporter.reject(envelope, e)
        except asyncio.CancelledError:
            if not answer.carried:
                self._seen.drop(key)
            raise
        except Exception as e:
            _LOG.exception("event of order %s was not handled", fill.order_id)
            self._seen.drop(key)
            return await self._reporter.hold_unhandled(fill, e)
        finally:
            span.end()

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
                decision, ending = await within(self._timeout_s, self._decide_under_lock(work, intent))
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
        self._reporter.begun(work)

        async def conclude(ending: Ending) -> ExecutionReport:
            return await self._finish(work, intent, decision, ending)

        task = self._carrier.start(work.fill, intent, decision, work.span, conclude)
        task.add_done_callback(lambda _: self._landed())
        taken_s = (self._t.clock.monotonic_ns() - work.began_ns) / 1e9
        await asyncio.wait({task}, timeout=max(self._timeout_s - taken_s, 0))
        if task.done():
            return task.result()
        pending = Ending(Reason.PARTIAL_FILL_PENDING)
        step = None if work.interim is None else _PENDING
        return await self._reporter.finish(work, intent, decision, pending, final=False, step=step)

    def remember(self, order_id: str, event_ts_ms: int, payload: bytes) -> bool:
        """Answer an earlier run's event with what it was answered with then; False for one of this run."""
        key = (order_id, event_ts_ms)
        if self._seen.find(key) is not None:
            return False
        self._seen.open(key).recall(payload)
        return True

    def _landed(self) -> None:
        self.in_flight -= 1
        self.look_again()

    def look_again(self) -> None:
        """Handle the next shed event when there is room."""
        if self._shed and self.in_flight < self._execution.resume_in_flight:
            self._carrier.own(self._look_again(self._shed.take()))

    async def _look_again(self, shed: ShedEvent) -> None:
        """Handle the newest event of an order that was shed, now that there is room."""
        span = self._t.traces.start(names.SPAN_PARTIAL_FILL, shed.fill.trace_id)
        work = Work(shed.fill, Answer(), span, self._t.clock.monotonic_ns(), interim=shed.report)
        try:
            await self._handle(work, shed.envelope)
        except Rejected as e:
            await self._reporter.reject(shed.envelope, e)
        except Exception as e:
            _LOG.exception("shed event of order %s was not handled", shed.fill.order_id)
            await self._reporter.hold_unhandled(shed.fill, e)
        finally:
            span.end()

    async def _shed_event(self, work: Work, intent: Intent | None, envelope: SignedEvent) -> ExecutionReport:
        """Too much at once: the order keeps resting, is reported, and is looked at again."""
        self._t.metrics.shed.inc()
        if intent is None:
            intent = await new_intent(work.fill, self._orders, self._timeout_s)
        ending = Ending(Reason.PARTIAL_FILL_SHED)
        if work.interim is not None:
            report = work.interim
        else:
            report = await self._reporter.finish(work, intent, None, ending, final=False)
        replaced = self._shed.put(ShedEvent(envelope, work.fill, report))
        if replaced is not None:
            older = Work(replaced.fill, Answer(), work.span, work.began_ns, interim=replaced.report)
            told = Ending(Reason.PARTIAL_FILL_SHED, detail="a newer event of this order took its place")
            await self._reporter.finish(older, intent, None, told)
        return report

    async def _adopt(self, work: Work) -> Intent:
        """Take an order that was not known before, bounded by what its strategy declared."""
        intent = await new_intent(work.fill, self._orders, self._timeout_s)
        known = self._t.intents.get(work.fill.order_id)
        if known is not None:
            return known
        if self._t.intents.has_ended(work.fill.order_id):
            intent.step(Step.ORDER_CLOSED)
            return intent
        self._t.intents.add(intent)
        return intent

    async def _decide_under_lock(self, work: Work, intent: Intent) -> tuple[Decision | None, Ending | None]:
        """Decide with the intent's lock held; it stays held when this returns, and only then."""
        await intent.lock.acquire()
        try:
            self._declared.bound(intent)
            ending = await self._read_truth(work, intent) if self._is_stale(work) else None
            ending = ending or self._take_fill(work, intent)
            return (None, ending) if ending is not None else await self._decide(work, intent)
        except BaseException:
            intent.lock.release()
            raise

    async def _decide(self, work: Work, intent: Intent) -> tuple[Decision, Ending | None]:
        """Return the decision, and its ending when nothing has to be sent for it."""
        tools = self._t
        limits = self._limits_of(intent)
        if not intent.rooted and (intent.policy or limits.default_policy) is Policy.CHASE:
            await self._find_root(intent)
        now_ms = tools.clock.now_ms()
        remainder = remainder_of(work, intent, limits, now_ms)
        kill = await tools.kill.state()
        decision = decide(remainder, tools.books.view(intent.token_id), limits, kill, now_ms)
        if decision.on_book and (decision.action is not Action.HOLD or decision.row == 5):
            fresh = await self._fresh_book(work, intent)
            kill = await tools.kill.state()
            decision = decide(remainder, fresh, limits, kill, tools.clock.now_ms())
        if decision.action is Action.CHASE and (why := obstacle(tools, intent)):
            decision = held_instead(decision, why)
        acts = may_act(self.mode, decision, intent.market_id, self._reach)
        if decision.action is Action.HOLD or not acts:
            return decision, Ending(decision.reason, decision.warnings, acts, None, decision.note)
        return decision, None

    async def _find_root(self, intent: Intent) -> None:
        """Ask, before its first chase, whether this order is a chase itself, from before this bot's start."""
        try:
            facts = await within(self._timeout_s, self._orders.get(intent.root_order_id))
            root_id = facts.root_order_id if isinstance(facts, OrderFacts) else None
            if root_id is not None:
                root = await within(self._timeout_s, self._orders.get(root_id))
                intent.reposts, intent.chasing_since_ms = 1, self._t.clock.now_ms()
                if isinstance(root, OrderFacts):
                    intent.root_price_micro = to_micro(root.price)
                else:
                    intent.stopped = f"its root order {root_id} is not known, and so its cap is not"
            intent.rooted = True
        except Exception as e:
            _LOG.warning("the facts of order %s could not be read (%s)", intent.root_order_id, e)

    def _is_stale(self, work: Work) -> bool:
        """Return whether an event is outside the replay window or from before this start; note its age.

        One from before may have been acted on already, by a process whose memory is gone.
        """
        age_ms = self._t.clock.now_ms() - work.fill.event_ts_ms
        self._t.metrics.event_age_seconds.observe(max(age_ms, 0) / 1000)
        in_window = -self._execution.replay_future_ms <= age_ms <= self._execution.replay_past_ms
        if in_window and work.fill.event_ts_ms >= self._started_ms:
            return False
        work.warnings = (Reason.EVENT_STALE,)
        return True

    async def _fresh_book(self, work: Work, intent: Intent) -> BookView | None:
        with self._t.traces.step(names.SPAN_BOOK_FETCH, intent.trace_id, work.span):
            return await self._t.exchange.fresh_book(intent.token_id)

    def _limits_of(self, intent: Intent) -> Limits:
        strategy_id = intent.strategy_id if intent.strategy_id in self._settings.overrides else None
        limits = self._limits.get(strategy_id)
        if limits is None:
            limits = self._limits[strategy_id] = self._settings.limits(strategy_id)
        return limits

    def _take_fill(self, work: Work, intent: Intent) -> Ending | None:
        """Bring the chain up to what the event says; an ending when there is nothing to decide."""
        order = intent.working
        latest_ms = self._t.clock.now_ms() + self._execution.replay_future_ms
        if order.order_id != work.fill.order_id:
            for older in intent.orders:
                if older.order_id == work.fill.order_id:
                    take_cumulative(work, older, latest_ms)
            return Ending(Reason.REMAINDER_CLOSED, detail="a chase order has taken its place")
        newest = work.fill.event_ts_ms >= order.last_event_ms
        take_cumulative(work, order, latest_ms)
        if not newest:
            return Ending(Reason.HOLD_REMAINDER, detail="a newer event of this order was handled already")
        if intent.state is State.POST_UNKNOWN:
            intent.step(Step.FOUND_ALIVE)
        if intent.state is State.CANCEL_UNKNOWN:
            return Ending(Reason.CANCEL_UNCONFIRMED, detail="an earlier cancel is still in doubt")
        if intent.state is not State.RESTING or not work.fill.remaining_usd_micro:
            return _CLOSED
        return None

    async def _read_truth(self, work: Work, intent: Intent) -> Ending | None:
        """An event outside the replay window moves nothing: take the exchange's record in its place."""
        fill = work.fill
        verdict, record = await self._t.exchange.record(fill.order_id)
        if verdict is RecordVerdict.CLOSED:
            return _CLOSED
        if verdict is not RecordVerdict.ALIVE or record.matched_micro is None or record.size_micro is None:
            return Ending(Reason.HOLD_REMAINDER, detail="the order's record could not be read")
        filled = usd_down(fill.price_micro, record.matched_micro)
        rest = usd_down(fill.price_micro, record.size_micro) - filled
        work.fill = fill._replace(
            filled_usd=from_micro(filled),
            remaining_usd=from_micro(rest),
            filled_usd_micro=filled,
            remaining_usd_micro=rest,
        )
        return None

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
        if self._t.kill.latched and may_act(self.mode, dying, intent.market_id, self._reach):
            self._carrier.ask_until_known(intent)
        ending = Ending(Reason.HOLD_REMAINDER, (Reason.DEADLINE_EXCEEDED,))
        return await self._reporter.finish(work, intent, None, ending)


def held_instead(decision: Decision, why: str) -> Decision:
    """Return the hold that takes a chase's place: never cancel what cannot be placed again (row 10)."""
    return decision._replace(
        action=Action.HOLD,
        reason=Reason.HOLD_REMAINDER,
        row=10,
        warnings=(Reason.NOT_REPOSTABLE, *decision.warnings),
        price_micro=None,
        size_micro=None,
        cap_micro=None,
        note=why,
    )


def remainder_of(work: Work, intent: Intent, limits: Limits, now_ms: int) -> Remainder:
    """Return the unfilled part as the rules look at it; its chase figures only where a chase is looked at."""
    order, fill = intent.working, work.fill
    policy = intent.policy or limits.default_policy
    if policy is not Policy.CHASE:
        return Remainder(
            side=intent.side,
            price_micro=order.price_micro,
            root_price_micro=intent.root_price_micro,
            filled_usd_micro=fill.filled_usd_micro,
            remaining_usd_micro=fill.remaining_usd_micro,
            rest_size_micro=0,
            rest_usd_micro=0,
            policy=policy,
        )
    rest_size, rest_usd = intent.rest_without_working()
    since = intent.chasing_since_ms
    return Remainder(
        side=intent.side,
        price_micro=order.price_micro,
        root_price_micro=intent.root_price_micro,
        filled_usd_micro=fill.filled_usd_micro,
        remaining_usd_micro=fill.remaining_usd_micro,
        rest_size_micro=min(rest_size, order.size_micro - order.filled_micro),
        rest_usd_micro=rest_usd,
        policy=policy,
        allow_wide_chase=intent.allow_wide_chase,
        limit_price_micro=intent.limit_price_micro,
        reposts=intent.reposts,
        chasing_ms=now_ms - since if since else 0,
        extra_usd_micro=intent.extra_usd_micro() if intent.reposts else 0,
    )


def take_cumulative(work: Work, order: ChainOrder, latest_ms: int) -> None:
    """Take an event's cumulative fill; a newer event that takes a fill back says so.

    Amounts in pUSD round a size down by less than one micro-pUSD's worth of shares, so that much is
    not a reversal. Nor is an event that only lags behind what the exchange's record said meanwhile. An
    event from beyond `latest_ms` counts as one of that moment: it does not silence those that follow it.
    """
    fill = work.fill
    filled = min(size_down(fill.filled_usd_micro, order.price_micro), order.size_micro)
    rounding = MICRO // order.price_micro + 1
    if fill.event_ts_ms >= order.last_event_ms:
        if filled + rounding < order.told_micro:
            work.warnings += (Reason.FILL_REVERSED,)
            order.filled_micro = filled
        order.told_micro = filled
    order.filled_micro = max(order.filled_micro, filled)
    order.last_event_ms = max(order.last_event_ms, min(fill.event_ts_ms, latest_ms))

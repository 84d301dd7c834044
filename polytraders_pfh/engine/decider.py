"""From an event to a decision, under the intent's lock: what the chain knows, what the world says, the rules.

Nothing here sends anything but questions: the order's record for an event that is too old to be believed,
the order's root before its first chase, a fresh book before anything but a hold rests on one.
"""

import logging
from typing import Final

from polytraders_hookspecs.orders import OrderFacts
from polytraders_hookspecs.services import OrderBookkeeper
from polytraders_hookspecs.wire import from_micro, to_micro

from polytraders_pfh.config import Settings
from polytraders_pfh.core.basis import Basis, decide_on
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.money import usd_down
from polytraders_pfh.core.outcomes import OrderRecord, RecordVerdict
from polytraders_pfh.core.policy import Action, Decision, Limits, Policy
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.declared import Declared
from polytraders_pfh.engine.endings import Ending
from polytraders_pfh.engine.intents import Intent, take_record
from polytraders_pfh.engine.remainders import remainder_of, take_cumulative
from polytraders_pfh.engine.reporter import Work
from polytraders_pfh.engine.steplog import StepLog
from polytraders_pfh.engine.tools import Tools, obstacle
from polytraders_pfh.engine.trial import SignerTrial
from polytraders_pfh.engine.within import within
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.inputs import decision_inputs

_LOG: Final = logging.getLogger("polytraders_pfh.engine")
_CLOSED: Final = Ending(Reason.REMAINDER_CLOSED)


class Decider:
    """Asks what has to be known, and lets the core decide."""

    def __init__(self, tools: Tools, declared: Declared, settings: Settings, orders: OrderBookkeeper) -> None:
        self._t = tools
        self._log = StepLog(tools)
        self._trial = SignerTrial(tools)
        self._declared = declared
        self._settings = settings
        self._execution = settings.execution
        self._timeout_s = settings.execution.timeout_ms / 1000
        self._orders = orders
        self._started_ms = tools.clock.now_ms()
        self._limits: dict[str | None, Limits] = {}

    async def decide(self, work: Work, intent: Intent) -> tuple[Decision | None, Ending | None]:
        """Return the decision, and its ending when nothing has to be sent for it. Call with the lock held."""
        self._declared.bound(intent)
        ending = await self._read_truth(work, intent) if self._is_stale(work) else None
        ending = ending or self._take_fill(work, intent)
        return (None, ending) if ending is not None else await self._decide(work, intent)

    def may_cancel(self, decision: Decision, intent: Intent) -> bool:
        """Return whether the mode lets this cancel through."""
        return self._t.mode.acts(decision, intent.market_id)

    async def _decide(self, work: Work, intent: Intent) -> tuple[Decision, Ending | None]:
        """Return the decision, and its ending when nothing has to be sent for it."""
        tools = self._t
        limits = self._limits_of(intent)
        if not intent.rooted and (intent.policy or limits.default_policy) is Policy.CHASE:
            await self._find_root(work, intent)
        if any(order.unread for order in intent.orders[:-1]):
            await self._read_earlier(work, intent)
        now_ms = tools.clock.now_ms()
        remainder = remainder_of(work, intent, limits, now_ms)
        kill = await tools.kill.state()
        basis = Basis(remainder, tools.books.view(intent.token_id), limits, kill, now_ms)
        decision = _ruled(work, basis)
        if decision.on_book and (decision.action is not Action.HOLD or decision.row == 5):
            if decision.action is not Action.HOLD and self.may_cancel(decision, intent):
                self._log.mean(intent, basis, decision)
            fresh = await self._fresh_book(work, intent)
            kill = await tools.kill.state()
            basis = basis._replace(book=fresh, kill=kill, now_ms=tools.clock.now_ms())
            decision = _ruled(work, basis)
        if decision.action is Action.CHASE and (why := obstacle(tools, intent)):
            basis = basis._replace(obstacle=why)
            decision = decide_on(basis)
        acts = tools.mode.acts(decision, intent.market_id)
        if (
            decision.action is Action.CHASE
            and acts
            and (why := await self._trial.fault(intent, decision, work.span))
        ):
            basis = basis._replace(obstacle=why)
            decision = decide_on(basis)
        work.basis = basis
        if decision.action is Action.HOLD or not acts:
            intent.meant = None
            return decision, Ending(decision.reason, decision.warnings, acts, None, decision.note)
        return decision, None

    async def _find_root(self, work: Work, intent: Intent) -> None:
        """Ask, before its first chase, whether this order is a chase itself, from before this bot's start."""
        try:
            facts = await self._facts(intent.root_order_id, work)
            root_id = facts.root_order_id if isinstance(facts, OrderFacts) else None
            if root_id is not None:
                root = await self._facts(root_id, work)
                intent.reposts, intent.chasing_since_ms = 1, self._t.clock.now_ms()
                if isinstance(root, OrderFacts):
                    intent.root_price_micro = to_micro(root.price)
                else:
                    intent.stopped = f"its root order {root_id} is not known, and so its cap is not"
            intent.rooted = True
        except Exception as e:
            _LOG.warning("the facts of order %s could not be read (%s)", intent.root_order_id, e)

    async def _facts(self, order_id: str, work: Work) -> OrderFacts | None:
        with self._t.traces.step(names.SPAN_ORDER_FACTS, work.fill.trace_id, work.span):
            return await within(self._timeout_s, self._orders.get(order_id))

    async def _read_earlier(self, work: Work, intent: Intent) -> None:
        """Read what orders had filled that another bot ended, or that ended before this bot's start."""
        after_ms = max(self._t.clock.now_ms() - self._execution.trades_back_ms, 0)
        for order in intent.orders[:-1]:
            if order.unread:
                verdict, record = await self._record(order.order_id, work)
                with self._t.traces.step(names.SPAN_READ_TRADES, intent.trace_id, work.span):
                    traded = await self._t.exchange.traded(intent.market_id, order.order_id, after_ms)
                if verdict is RecordVerdict.CLOSED:
                    take_record(intent, order, record)
                    order.filled_micro = max(order.filled_micro, min(traded or 0, order.size_micro))
                    order.unread = False

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

    async def _record(self, order_id: str, work: Work) -> tuple[RecordVerdict, OrderRecord]:
        with self._t.traces.step(names.SPAN_READ_ORDER, work.fill.trace_id, work.span) as span:
            verdict, record = await self._t.exchange.record(order_id)
            span.set_attribute(names.ATTR_OUTCOME, verdict.value)
        return verdict, record

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
                    take_cumulative(work, older, latest_ms, replaced=True)
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
        verdict, record = await self._record(fill.order_id, work)
        if verdict is RecordVerdict.CLOSED:
            if intent.state is State.RESTING and intent.working.order_id == fill.order_id:
                take_record(intent, intent.working, record)
                intent.step(Step.FOUND_CLOSED)
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


def _ruled(work: Work, basis: Basis) -> Decision:
    """Decide, and show on the event's span what it was decided from."""
    if work.span.is_recording():
        work.span.set_attributes(decision_inputs(*basis[:5]))
    return decide_on(basis)

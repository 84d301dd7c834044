"""cancel → proof → reconcile → price → sign → record → post → acknowledge, for one intent at a time.

The caller holds the intent's lock for the whole sequence. Each step is recorded before it is taken.
Nothing is posted while the old order may still fill, while an earlier post is in doubt, after the kill
switch, or beyond the intent; those four checks stand directly before the send, with no await between.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from opentelemetry.trace import Span
from polytraders_hookspecs.events import CancelReplace
from polytraders_hookspecs.orders import SignedOrder
from polytraders_hookspecs.reports import CancelReplaceResult
from polytraders_hookspecs.services import Clock
from polytraders_hookspecs.wire import from_micro

from polytraders_pfh.config import Execution
from polytraders_pfh.core.chase import chain_fault, within_cap
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.outcomes import CancelVerdict, OrderRecord, PostVerdict, RecordVerdict
from polytraders_pfh.core.policy import Kill
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.books import Books
from polytraders_pfh.engine.exchange import Exchange
from polytraders_pfh.engine.intents import ChainOrder, Intent, IntentTable, take_record
from polytraders_pfh.engine.journal import Journal, Kind, Record
from polytraders_pfh.engine.kill import KillLatch
from polytraders_pfh.engine.orders import signed_digest, signed_fault, unsigned_chase
from polytraders_pfh.engine.plan import Plan, plan_on
from polytraders_pfh.engine.within import within
from polytraders_pfh.telemetry import names
from polytraders_pfh.telemetry.metrics import Metrics
from polytraders_pfh.telemetry.traces import Traces

Outcome = Literal["posted", "rejected", "unconfirmed", "cancelled", "closed", "cancel_unconfirmed"]
BELOW_MIN = Reason.BELOW_MIN_ORDER_SIZE.value
KILLED = Reason.KILL_SWITCH_ACTIVE.value


@dataclass(frozen=True, slots=True)
class Tools:
    """What the sequencer works with."""

    exchange: Exchange
    books: Books
    journal: Journal
    kill: KillLatch
    intents: IntentTable
    clock: Clock
    traces: Traces
    metrics: Metrics
    settings: Execution
    max_book_age_ms: int
    obstacle: Callable[[], str]


class Sequencer:
    """Carries out cancels and chases."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools

    async def cancel(self, intent: Intent, span: Span | None = None) -> CancelReplaceResult:
        """Cancel the working order and prove it, with the configured retries.

        Never two cancels in flight for one id: the next is sent only after the record was read.
        """
        t = self._t
        order = intent.working
        if intent.state is State.POST_UNKNOWN:
            await self.ask(intent, span)
        if intent.state is State.CLOSED:
            return CancelReplaceResult(outcome="closed")
        if intent.state is State.POST_UNKNOWN:
            return CancelReplaceResult(outcome="cancel_unconfirmed", detail="its post is still in doubt")
        ours = intent.state is State.CANCEL_UNKNOWN
        for attempt in range(t.settings.cancel_retries + 1):
            if attempt:
                await t.clock.sleep(t.settings.backoff_ms * 2 ** (attempt - 1) / 1000)
            intent.step(Step.CANCEL_STARTED)
            await self._record(Kind.CANCEL_STARTED, intent, order.order_id, attempt=attempt)
            with t.traces.step(names.SPAN_CANCEL, intent.trace_id, span) as child:
                verdict = (await t.exchange.cancel((order.order_id,)))[order.order_id]
                child.set_attribute(names.ATTR_OUTCOME, verdict.value)
            await self._record(Kind.CANCEL_ANSWERED, intent, order.order_id, verdict=verdict.value)
            result = await self.settle_cancel(intent, verdict, span, ours=ours)
            if result is not None:
                return result
            ours = ours or verdict is CancelVerdict.UNKNOWN
        if intent.state is State.RESTING:
            return CancelReplaceResult(outcome="cancel_unconfirmed", detail="the exchange refused the cancel")
        return CancelReplaceResult(outcome="cancel_unconfirmed", detail="no answer proved the cancel")

    async def settle_cancel(
        self, intent: Intent, verdict: CancelVerdict, span: Span | None, *, ours: bool = False
    ) -> CancelReplaceResult | None:
        """Take a cancel's answer. None means: not proven, and the record did not prove it either.

        `ours` says that an earlier cancel of this bot's may have landed. An order that somebody else
        ended is closed, filled or not: what its owner or the exchange took away is not posted again.
        """
        if verdict is CancelVerdict.DEAD:
            intent.step(Step.CANCEL_PROVEN)
            return CancelReplaceResult(outcome="cancelled")
        intent.step(Step.CANCEL_REFUSED if verdict is CancelVerdict.ALIVE else Step.CANCEL_DOUBTFUL)
        if verdict is CancelVerdict.ALIVE:
            return None
        found = await self.ask(intent, span)
        if found is RecordVerdict.CLOSED:
            ours = ours or verdict is CancelVerdict.UNKNOWN
            if ours and intent.working.filled_micro < intent.working.size_micro:
                return CancelReplaceResult(outcome="cancelled")
            self.finish(intent)
            return CancelReplaceResult(outcome="closed")
        return None

    async def ask(self, intent: Intent, span: Span | None = None) -> RecordVerdict:
        """Read the working order's record once and move the remainder by what it proves."""
        verdict, record = await self._read(intent, intent.working, span)
        if verdict is RecordVerdict.ALIVE:
            intent.step(Step.FOUND_ALIVE)
        elif verdict is RecordVerdict.CLOSED:
            intent.step(Step.FOUND_CLOSED)
        if verdict is not RecordVerdict.UNKNOWN and verdict is not RecordVerdict.ABSENT:
            take_record(intent, intent.working, record)
        await self._record(Kind.FOUND, intent, intent.working.order_id, verdict=verdict.value)
        return verdict

    async def chase(
        self, intent: Intent, instruction: CancelReplace, span: Span | None = None
    ) -> CancelReplaceResult:
        """Carry out one chase. Whatever happens, it ends in a recorded state."""
        cancelled = await self.cancel(intent, span)
        if cancelled.outcome != "cancelled":
            return cancelled
        plan = await self._plan(intent, instruction, span)
        if not isinstance(plan, Plan):
            return self._held_back(intent, plan)
        signed = await self._signed(intent, plan, span)
        if not isinstance(signed, SignedOrder):
            return self._held_back(intent, signed)
        return await self._post_first(intent, plan, signed, span)

    async def _plan(self, intent: Intent, instruction: CancelReplace, span: Span | None) -> Plan | str:
        """Read what really filled and where the market is now; return what to post, or why nothing."""
        t = self._t
        order = intent.working
        after_ms = max(t.clock.now_ms() - t.settings.trades_back_ms, 0)
        size_known, book, traded = await asyncio.gather(
            self._read_size(intent, order, span),
            self._fetch_book(intent, span),
            t.exchange.traded(intent.market_id, order.order_id, after_ms),
        )
        if not size_known:
            return "how much had filled could not be read"
        # A record may lag behind a trade and a trade behind the record (clob_v2 3.3): the larger counts.
        order.filled_micro = max(order.filled_micro, min(traded or 0, order.size_micro))
        intent.step(Step.SIZE_READ)
        await self._record(
            Kind.SIZE_READ,
            intent,
            order.order_id,
            filled_micro=order.filled_micro,
            size_micro=order.size_micro,
            traded_micro=traded,
        )
        if book is None:
            book = t.books.view(intent.token_id)
        neg_risk = t.books.neg_risk(intent.token_id) if intent.neg_risk is None else intent.neg_risk
        return plan_on(intent, instruction, book, neg_risk, t.clock.now_ms(), t.max_book_age_ms)

    async def _fetch_book(self, intent: Intent, span: Span | None) -> BookView | None:
        with self._t.traces.step(names.SPAN_BOOK_FETCH, intent.trace_id, span):
            return await self._t.exchange.fresh_book(intent.token_id)

    async def _read_size(self, intent: Intent, order: ChainOrder, span: Span | None) -> bool:
        """Read the dead order's matched size, with the configured retries; False when it stays unknown."""
        t = self._t
        for attempt in range(t.settings.read_retries + 1):
            if attempt:
                await t.clock.sleep(t.settings.backoff_ms * 2 ** (attempt - 1) / 1000)
            verdict, record = await self._read(intent, order, span)
            if verdict is RecordVerdict.CLOSED:
                take_record(intent, order, record)
                return True
        return False

    async def _signed(self, intent: Intent, plan: Plan, span: Span | None) -> SignedOrder | str:
        t = self._t
        asked = unsigned_chase(intent, plan.price_micro, plan.size_micro, plan.neg_risk)
        with t.traces.step(names.SPAN_SIGN, intent.trace_id, span):
            signed = await t.exchange.sign(asked)
        if not isinstance(signed, SignedOrder):
            return signed
        try:
            fault = signed_fault(asked, signed)
        except Exception as e:
            return f"the signed order could not be checked: {type(e).__name__}"
        return fault if fault is not None else signed

    async def _post_first(
        self, intent: Intent, plan: Plan, signed: SignedOrder, span: Span | None
    ) -> CancelReplaceResult:
        """Record the order that is about to be sent, check everything once more, and send it."""
        t = self._t
        intent.step(Step.POST_RECORDED)
        try:
            await self._record(
                Kind.POST_RECORDED,
                intent,
                signed.order_id,
                price_micro=plan.price_micro,
                size_micro=plan.size_micro,
                replaces=intent.working.order_id,
                digest=signed_digest(signed),
            )
        except Exception as e:
            return self._held_back(intent, f"the journal failed with {type(e).__name__}")
        kill = await t.kill.state()
        fault = self._last_checks(intent, plan, kill)
        if fault:
            await self._record(Kind.HELD_BACK, intent, signed.order_id, why=fault)
            return self._held_back(intent, fault)
        t.intents.extend(intent, ChainOrder(signed.order_id, plan.price_micro, plan.size_micro))
        intent.step(Step.POST_STARTED)
        intent.reposts += 1
        if not intent.chasing_since_ms:
            intent.chasing_since_ms = t.clock.now_ms()
        return await self._send(intent, plan, signed, span)

    def _last_checks(self, intent: Intent, plan: Plan, kill: Kill) -> str:
        """Return why the order must not be sent, or empty. Nothing is awaited between here and the send."""
        t = self._t
        if t.kill.latched or kill is not Kill.OFF:
            doubt = kill is Kill.UNKNOWN and not t.kill.latched
            return Reason.KILL_SWITCH_UNKNOWN.value if doubt else KILLED
        if why := obstacle(t, intent):
            return why
        fault = chain_fault(intent.bounds, intent.children(), plan.price_micro, plan.size_micro)
        if fault is None and not within_cap(intent.side, plan.price_micro, plan.cap_micro):
            fault = f"price_micro {plan.price_micro} is beyond the cap of {plan.cap_micro}"
        if fault is not None:
            t.metrics.invariant_trips.inc()
            intent.stopped = f"{Reason.INVARIANT_TRIPPED.value}: {fault}"
            return intent.stopped
        return ""

    async def _send(
        self, intent: Intent, plan: Plan, signed: SignedOrder, span: Span | None
    ) -> CancelReplaceResult:
        """Send these bytes; in doubt ask for their hash, and send the same bytes once more at most."""
        t = self._t
        detail = ""
        for attempt in range(2):
            with t.traces.step(names.SPAN_POST, intent.trace_id, span) as child:
                verdict, detail = await t.exchange.post(signed, attempted_before=attempt > 0)
                child.set_attribute(names.ATTR_OUTCOME, verdict.value)
            await self._record(
                Kind.POST_ANSWERED, intent, signed.order_id, verdict=verdict.value, words=detail
            )
            if verdict is PostVerdict.ACCEPTED:
                intent.step(Step.POST_ACCEPTED)
                return await self._accepted(intent, plan, span)
            if verdict is PostVerdict.REFUSED:
                intent.step(Step.POST_REFUSED)
                return _result("rejected", intent, plan, detail)
            intent.step(Step.POST_DOUBTFUL)
            found = await self._look_up(intent, span)
            if found is RecordVerdict.ALIVE or found is RecordVerdict.CLOSED:
                return await self._accepted(intent, plan, span)
            if attempt or found is not RecordVerdict.ABSENT or t.journal.failed:
                break
            if await t.kill.state() is not Kill.OFF:
                break
            intent.step(Step.POST_STARTED)
        return _result("unconfirmed", intent, plan, detail)

    async def _look_up(self, intent: Intent, span: Span | None) -> RecordVerdict:
        """Ask for the hash of a post in doubt until something is known, within the configured retries."""
        t = self._t
        verdict = RecordVerdict.UNKNOWN
        for attempt in range(t.settings.read_retries + 1):
            if attempt:
                await t.clock.sleep(t.settings.backoff_ms * 2 ** (attempt - 1) / 1000)
            verdict = await self.ask(intent, span)
            if verdict is RecordVerdict.ALIVE or verdict is RecordVerdict.CLOSED:
                return verdict
        return verdict

    async def _accepted(self, intent: Intent, plan: Plan, span: Span | None) -> CancelReplaceResult:
        """The order is on the exchange. A kill switch that came while it was in flight cancels it now."""
        if not self._t.kill.latched or intent.state is State.CLOSED:
            return _result("posted", intent, plan, "")
        cancelled = await self.cancel(intent, span)
        self.finish(intent)
        return CancelReplaceResult(
            outcome="cancelled" if cancelled.outcome == "closed" else cancelled.outcome,
            new_order_id=intent.working.order_id,
            reason=KILLED,
        )

    def finish(self, intent: Intent) -> None:
        """End a remainder whose order is proven dead and which is not posted again."""
        if intent.state is State.PROVEN_DEAD:
            intent.step(Step.NOTHING_LEFT)

    def _held_back(self, intent: Intent, reason: str) -> CancelReplaceResult:
        """Nothing is posted; the old order is dead. End the remainder here."""
        if intent.state is not State.CLOSED:
            intent.step(Step.NOTHING_LEFT if reason == BELOW_MIN else Step.HELD_BACK)
        return CancelReplaceResult(outcome="cancelled", reason=reason)

    async def _read(
        self, intent: Intent, order: ChainOrder, span: Span | None
    ) -> tuple[RecordVerdict, OrderRecord]:
        with self._t.traces.step(names.SPAN_READ_ORDER, intent.trace_id, span) as child:
            verdict, record = await self._t.exchange.record(order.order_id)
            child.set_attribute(names.ATTR_OUTCOME, verdict.value)
        return verdict, record

    async def _record(
        self, kind: Kind, intent: Intent, order_id: str, **facts: str | int | bool | None
    ) -> None:
        """Record one step. Cancels go on when the journal fails or hangs; posts never start then."""
        t = self._t
        record = Record(kind, t.clock.now_ms(), intent.trace_id, intent.root_order_id, order_id, facts)
        try:
            await within(t.settings.call_timeout_ms / 1000, t.journal.append(record))
        except Exception:
            if kind is Kind.POST_RECORDED:
                raise


def obstacle(tools: Tools, intent: Intent) -> str:
    """Return why no order may be posted for this intent now, whatever the market is like, or empty."""
    if intent.unwanted:
        return "it is being cancelled"
    if not intent.rooted:
        return "whether it is the first order of its intent is not known"
    return tools.journal.failed or tools.obstacle() or intent.stopped


def _result(outcome: Outcome, intent: Intent, plan: Plan, detail: str) -> CancelReplaceResult:
    return CancelReplaceResult(
        outcome=outcome,
        new_order_id=intent.working.order_id,
        price=from_micro(plan.price_micro),
        size_shares=from_micro(plan.size_micro),
        detail=detail,
    )

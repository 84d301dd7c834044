"""cancel → proof → reconcile → price → sign → record → post → acknowledge, for one intent at a time.

The caller holds the intent's lock for the whole sequence. Each step is recorded before it is taken.
Nothing is posted while the old order may still fill, while an earlier post is in doubt, after the kill
switch, beyond the intent, or under a lease that is no longer this host's; those five checks stand directly
before the send, with no await between.
"""

import asyncio
from contextlib import suppress
from typing import Literal

from opentelemetry.trace import Span
from polytraders_hookspecs.events import CancelReplace
from polytraders_hookspecs.orders import SignedOrder
from polytraders_hookspecs.reports import CancelReplaceResult
from polytraders_hookspecs.wire import from_micro

from polytraders_pfh.core.chase import chain_fault, within_cap
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.market import BookView
from polytraders_pfh.core.outcomes import CancelVerdict, PostVerdict, RecordVerdict
from polytraders_pfh.core.policy import Kill
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.fencing import NOT_OURS
from polytraders_pfh.engine.inquiry import Inquiry
from polytraders_pfh.engine.intents import ChainOrder, Intent
from polytraders_pfh.engine.journal import Kind
from polytraders_pfh.engine.orders import signed_digest, signed_fault, unsigned_chase
from polytraders_pfh.engine.plan import Plan, plan_on
from polytraders_pfh.engine.steplog import StepLog
from polytraders_pfh.engine.tools import Tools, obstacle
from polytraders_pfh.engine.traced import answered
from polytraders_pfh.telemetry import names

Outcome = Literal["posted", "rejected", "unconfirmed", "cancelled", "closed", "cancel_unconfirmed"]
BELOW_MIN = Reason.BELOW_MIN_ORDER_SIZE.value
KILLED = Reason.KILL_SWITCH_ACTIVE.value


class Sequencer:
    """Carries out cancels and chases."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools
        self._log = StepLog(tools)
        self._inquiry = Inquiry(tools, self._log)

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
            started = self._log.note(Kind.CANCEL_STARTED, intent, order.order_id, attempt=attempt)
            meant, intent.meant = intent.meant, None
            with suppress(Exception):  # cancels go on when the journal fails or hangs
                await self._log.durable(meant or started, intent, span)
            with t.traces.step(names.SPAN_CANCEL, intent.trace_id, span) as child:
                verdict = (await t.exchange.cancel((order.order_id,)))[order.order_id]
                answered(child, order.order_id, verdict.value, attempt)
            self._log.note(Kind.CANCEL_ANSWERED, intent, order.order_id, verdict=verdict.value)
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
        return await self._inquiry.ask(intent, span)

    async def chase(
        self, intent: Intent, instruction: CancelReplace, span: Span | None = None
    ) -> CancelReplaceResult:
        """Carry out one chase. Whatever happens, it ends in a recorded state."""
        cancelled = await self.cancel(intent, span)
        if cancelled.outcome != "cancelled":
            return cancelled
        prepared = await self._prepare(intent, instruction, span)
        if isinstance(prepared, str):
            return self._held_back(intent, prepared)
        plan, signed = prepared
        return await self._post_first(intent, plan, signed, span)

    async def _prepare(
        self, intent: Intent, instruction: CancelReplace, span: Span | None
    ) -> tuple[Plan, SignedOrder] | str:
        """Return what to post, signed, or why nothing is.

        What really filled and where the market is now are read together. Meanwhile the order is signed
        that the same readings as before would lead to; when they lead to another one that signature is
        thrown away, and nothing is recorded of it.
        """
        order = intent.working
        guess = self._plan(intent, instruction, None)
        size_known, book, traded, early = await asyncio.gather(
            self._inquiry.read_size(intent, order, span),
            self._fetch_book(intent, span),
            self._inquiry.read_trades(intent, order, span),
            self._sign_early(intent, guess, span),
        )
        if not size_known:
            return "how much had filled could not be read"
        # A record may lag behind a trade and a trade behind the record (clob_v2 3.3): the larger counts.
        order.filled_micro = max(order.filled_micro, min(traded or 0, order.size_micro))
        intent.step(Step.SIZE_READ)
        self._log.note(
            Kind.SIZE_READ,
            intent,
            order.order_id,
            filled_micro=order.filled_micro,
            size_micro=order.size_micro,
            traded_micro=traded,
        )
        plan = KILLED if self._t.kill.latched else self._plan(intent, instruction, book)
        if isinstance(plan, str):
            return plan
        signed = early if early is not None and plan == guess else await self._signed(intent, plan, span)
        return signed if isinstance(signed, str) else (plan, signed)

    def _plan(self, intent: Intent, instruction: CancelReplace, book: BookView | None) -> Plan | str:
        """Return what to post on this book, or on the live one without it, or why nothing."""
        t = self._t
        if book is None:
            book = t.books.view(intent.token_id)
        neg_risk = t.books.neg_risk(intent.token_id) if intent.neg_risk is None else intent.neg_risk
        return plan_on(intent, instruction, book, neg_risk, t.clock.now_ms(), t.max_book_age_ms)

    async def _sign_early(
        self, intent: Intent, guess: Plan | str, span: Span | None
    ) -> SignedOrder | str | None:
        """Sign what will most likely be posted; None when nothing will be, as far as is known now."""
        t = self._t
        if isinstance(guess, str) or t.kill.latched or obstacle(t, intent):
            return None
        return await self._signed(intent, guess, span)

    async def _fetch_book(self, intent: Intent, span: Span | None) -> BookView | None:
        with self._t.traces.step(names.SPAN_BOOK_FETCH, intent.trace_id, span):
            return await self._t.exchange.fresh_book(intent.token_id)

    async def _signed(self, intent: Intent, plan: Plan, span: Span | None) -> SignedOrder | str:
        """Return the order of this plan, signed and checked, or why there is none."""
        asked = unsigned_chase(intent, plan.price_micro, plan.size_micro, plan.neg_risk)
        with self._t.traces.step(names.SPAN_SIGN, intent.trace_id, span):
            signed = await self._t.exchange.sign(asked)
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
        token = t.fencing.token(intent.root_order_id)
        fenced = {} if token is None else {"token": token}
        intent.step(Step.POST_RECORDED)
        recorded = self._log.note(
            Kind.POST_RECORDED,
            intent,
            signed.order_id,
            price_micro=plan.price_micro,
            size_micro=plan.size_micro,
            replaces=intent.working.order_id,
            digest=signed_digest(signed),
            **fenced,
        )
        try:
            await self._log.durable(recorded, intent, span)
        except Exception as e:
            return self._held_back(intent, f"the journal failed with {type(e).__name__}")
        with t.traces.step(names.SPAN_KILL_READ, intent.trace_id, span):
            kill = await t.kill.state()
        fault = self._last_checks(intent, plan, kill, token)
        if fault:
            self._log.note(Kind.HELD_BACK, intent, signed.order_id, why=fault)
            return self._held_back(intent, fault)
        t.intents.extend(intent, ChainOrder(signed.order_id, plan.price_micro, plan.size_micro))
        intent.step(Step.POST_STARTED)
        intent.reposts += 1
        if not intent.chasing_since_ms:
            intent.chasing_since_ms = t.clock.now_ms()
        return await self._send(intent, plan, signed, token, span)

    def _last_checks(self, intent: Intent, plan: Plan, kill: Kill, token: int | None) -> str:
        """Return why the order must not be sent, or empty. Nothing is awaited between here and the send."""
        t = self._t
        if t.kill.latched or kill is not Kill.OFF:
            doubt = kill is Kill.UNKNOWN and not t.kill.latched
            return Reason.KILL_SWITCH_UNKNOWN.value if doubt else KILLED
        if why := obstacle(t, intent) or t.mode.holds_back(
            intent.market_id, plan.price_micro, plan.size_micro
        ):
            return why
        if not t.fencing.held(token):
            return NOT_OURS
        fault = chain_fault(intent.bounds, intent.children(), plan.price_micro, plan.size_micro)
        if fault is None and not within_cap(intent.side, plan.price_micro, plan.cap_micro):
            fault = f"price_micro {plan.price_micro} is beyond the cap of {plan.cap_micro}"
        if fault is not None:
            t.metrics.invariant_trips.inc()
            intent.stopped = f"{Reason.INVARIANT_TRIPPED.value}: {fault}"
            return intent.stopped
        return ""

    async def _send(
        self, intent: Intent, plan: Plan, signed: SignedOrder, token: int | None, span: Span | None
    ) -> CancelReplaceResult:
        """Send these bytes; in doubt ask for their hash, and send the same bytes once more at most."""
        t = self._t
        attempt = 0
        while True:
            with t.traces.step(names.SPAN_POST, intent.trace_id, span) as child:
                verdict, detail = await t.exchange.post(signed, attempted_before=attempt > 0)
                answered(child, signed.order_id, verdict.value, attempt, detail)
            self._log.note(Kind.POST_ANSWERED, intent, signed.order_id, verdict=verdict.value, words=detail)
            if verdict is PostVerdict.ACCEPTED:
                intent.step(Step.POST_ACCEPTED)
                return await self._accepted(intent, plan, span)
            if verdict is PostVerdict.REFUSED:
                intent.step(Step.POST_REFUSED)
                return _result("rejected", intent, plan, detail)
            intent.step(Step.POST_DOUBTFUL)
            found = await self._inquiry.look_up(intent, span)
            if found is RecordVerdict.ALIVE or found is RecordVerdict.CLOSED:
                return await self._accepted(intent, plan, span)
            if attempt or found is not RecordVerdict.ABSENT or t.journal.failed:
                break
            if await t.kill.state() is not Kill.OFF or not t.fencing.held(token):
                break
            if t.mode.holds_back(intent.market_id, plan.price_micro, plan.size_micro):
                break
            intent.step(Step.POST_STARTED)
            attempt += 1
        return _result("unconfirmed", intent, plan, detail)

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
        intent.step(Step.NOTHING_LEFT if reason == BELOW_MIN else Step.HELD_BACK)
        return CancelReplaceResult(outcome="cancelled", reason=reason)


def _result(outcome: Outcome, intent: Intent, plan: Plan, detail: str) -> CancelReplaceResult:
    return CancelReplaceResult(
        outcome=outcome,
        new_order_id=intent.working.order_id,
        price=from_micro(plan.price_micro),
        size_shares=from_micro(plan.size_micro),
        detail=detail,
    )

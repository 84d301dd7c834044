"""Carries decisions out, each as a task of its own under the intent's lock, and owns those tasks.

A chase goes to whoever answers `on_cancel_replace` first; this plugin's own sequencer is the last in
line. Whatever another bot answers is held to the same bounds. What stays in doubt is asked for in the
background until it is known.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pluggy
from opentelemetry.trace import Span
from polytraders_hookspecs.calling import HookResult, first_hook, gather_hook
from polytraders_hookspecs.errors import HookTimeout
from polytraders_hookspecs.events import CancelReplace, DustRemainder
from polytraders_hookspecs.reports import CancelReplaceResult, ExecutionReport
from polytraders_hookspecs.wire import from_micro, to_micro

from polytraders_pfh.core.chase import chain_fault, within_cap
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.outcomes import RecordVerdict
from polytraders_pfh.core.policy import Action, Decision
from polytraders_pfh.core.reasons import Reason
from polytraders_pfh.engine.endings import Ending, cancel_ending, chase_ending
from polytraders_pfh.engine.fold import history
from polytraders_pfh.engine.intents import ChainOrder, Intent
from polytraders_pfh.engine.reporting import Fill, report_id
from polytraders_pfh.engine.sequencer import Outcome, Sequencer
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.telemetry import names

_LOG: Final = logging.getLogger("polytraders_pfh.engine")
_DUST_DEADLINE_S: Final = 1.0
_NEIGHBOUR_DEADLINE_S: Final = 30.0
_NEVER_ARRIVED_MS: Final = 60_000
"""A post that the exchange has not heard of for so long is on its way no more."""
_IN_DOUBT: Final = frozenset({State.CANCEL_UNKNOWN, State.POST_UNKNOWN})
_BROKEN_OFF: Final = {
    State.RESTING: (Step.CANCEL_STARTED, Step.CANCEL_DOUBTFUL),
    State.CANCEL_SENT: (Step.CANCEL_DOUBTFUL,),
    State.PROVEN_DEAD: (Step.HELD_BACK,),
    State.RECONCILED: (Step.HELD_BACK,),
    State.POST_RECORDED: (Step.HELD_BACK,),
    State.POST_SENT: (Step.POST_DOUBTFUL,),
}
"""From wherever a sequence broke off to a state that asking leads out of."""
_FOREIGN_CANCEL: Final = (Step.CANCEL_STARTED, Step.CANCEL_PROVEN, Step.SIZE_READ)
_FOREIGN_POST: Final = (Step.POST_RECORDED, Step.POST_STARTED)

T = TypeVar("T")
Conclude = Callable[[Ending], Awaitable[ExecutionReport]]


@dataclass(slots=True)
class _Ordered:
    """A chase on its way through `on_cancel_replace`. `taken` once this bot's own sequencer has it."""

    intent: Intent
    instruction: CancelReplace
    span: Span | None
    taken: bool = False


class Carrier:
    """Runs sequences to their end."""

    def __init__(self, tools: Tools, sequencer: Sequencer, hooks: pluggy.HookRelay) -> None:
        self._t = tools
        self._sequencer = sequencer
        self._hooks = hooks
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ordered: dict[str, _Ordered] = {}
        self._asking: set[str] = set()
        show = tools.metrics.show
        show.shown(names.CANCELS_UNCONFIRMED, lambda: tools.intents.count(State.CANCEL_UNKNOWN))
        show.shown(names.POSTS_UNKNOWN, lambda: tools.intents.count(State.POST_UNKNOWN))

    def start(
        self, fill: Fill, intent: Intent, decision: Decision, span: Span, conclude: Conclude
    ) -> asyncio.Task[ExecutionReport]:
        """Begin carrying out a decision; the caller's hold on the intent's lock goes to the task."""
        return self.own(self._carry(fill, intent, decision, span, conclude))

    def own(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something to its end, whoever stops waiting for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, drain_s: float) -> None:
        """Let sequences end for at most `drain_s` seconds; stop asking in the background."""
        deadline = asyncio.get_running_loop().time() + drain_s
        while sequences := {t for t in self._tasks if t.get_name() != "pfh-ask"}:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await asyncio.wait(sequences, timeout=left)
        leftover = set(self._tasks)
        for task in leftover:
            task.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)

    async def on_cancel_replace(self, instruction: CancelReplace) -> CancelReplaceResult | None:
        """Carry out an instruction of this bot's own; None for anybody else's."""
        ordered = self._ordered.get(instruction.instruction_id)
        if ordered is None or ordered.taken:
            return None
        ordered.taken = True
        return await self._sequencer.chase(ordered.intent, ordered.instruction, ordered.span)

    def ask_until_known(self, intent: Intent) -> None:
        """Ask the exchange about an intent in doubt, in the background, until it is known."""
        if intent.root_order_id not in self._asking:
            self._asking.add(intent.root_order_id)
            self.own(self._ask_until_known(intent)).set_name("pfh-ask")

    async def _carry(
        self, fill: Fill, intent: Intent, decision: Decision, span: Span, conclude: Conclude
    ) -> ExecutionReport:
        try:
            try:
                ending = await self._act(fill, intent, decision, span)
            except Exception as e:
                _LOG.exception("a sequence of intent %s broke off", intent.root_order_id)
                doubt = self._in_doubt(intent, f"a sequence broke off with {type(e).__name__}")
                ending = chase_ending(decision, doubt)
            if intent.state in _IN_DOUBT or (intent.state is State.RESTING and self._unwanted(intent)):
                self.ask_until_known(intent)
            return await conclude(ending)
        finally:
            intent.lock.release()

    async def _act(self, fill: Fill, intent: Intent, decision: Decision, span: Span) -> Ending:
        if decision.action is Action.CHASE:
            return chase_ending(decision, await self._chase(fill, intent, decision, span))
        intent.unwanted = True
        result = await self._sequencer.cancel(intent, span)
        self._sequencer.finish(intent)
        if decision.reason is Reason.PARTIAL_FILL_DUST_AUTO_CANCEL and result.outcome != "closed":
            self.own(self._hand_over_dust(fill, intent, result.outcome == "cancelled", span))
        return cancel_ending(decision, result)

    async def _chase(self, fill: Fill, intent: Intent, decision: Decision, span: Span) -> CancelReplaceResult:
        instruction = _instruction(fill, intent, decision)
        with self._t.traces.step(names.SPAN_CANCEL_REPLACE, intent.trace_id, span) as child:
            result = await self._hand_out(intent, instruction, child)
            if child.is_recording():
                child.set_attribute(names.ATTR_OUTCOME, result.outcome)
        return result

    async def _hand_out(self, intent: Intent, instruction: CancelReplace, span: Span) -> CancelReplaceResult:
        ordered = self._ordered[instruction.instruction_id] = _Ordered(intent, instruction, span)
        try:
            answer = await self._first_answer(ordered)
            if answer is None:
                return await self._sequencer.chase(intent, instruction, span)
        finally:
            del self._ordered[instruction.instruction_id]
        if answer.error is not None or not isinstance(answer.value, CancelReplaceResult):
            return self._in_doubt(intent, f"bot {answer.plugin_name!r} failed in the middle of a chase")
        return answer.value if ordered.taken else self._take_foreign(intent, instruction, answer.value)

    async def _first_answer(self, ordered: _Ordered) -> HookResult | None:
        """Let whoever is first in line carry out the chase; only this bot's own sequencer takes its time."""
        asking = self.own(first_hook(self._hooks.on_cancel_replace, instruction=ordered.instruction))
        await asyncio.wait({asking}, timeout=_NEIGHBOUR_DEADLINE_S)
        if asking.done() or ordered.taken:
            return await asking
        asking.cancel()
        silence = HookTimeout(f"no answer within {_NEIGHBOUR_DEADLINE_S} s")
        return HookResult("(another)", error=silence)

    def _take_foreign(
        self, intent: Intent, instruction: CancelReplace, result: CancelReplaceResult
    ) -> CancelReplaceResult:
        """Take what another bot's optimiser did into the chain, held to the instruction's bounds."""
        named = None not in (result.new_order_id, result.price, result.size_shares)
        if result.outcome == "cancel_unconfirmed" or (result.outcome == "unconfirmed" and not named):
            doubt = self._in_doubt(intent, "another bot's chase is not confirmed")
            return doubt.model_copy(update={"outcome": result.outcome})
        if result.outcome not in {"posted", "unconfirmed"}:
            if result.outcome != "closed":
                intent.step(Step.CANCEL_STARTED)
                intent.step(Step.CANCEL_PROVEN)
                intent.step(Step.NOTHING_LEFT)
            else:
                intent.step(Step.FOUND_CLOSED)
            return result
        if result.new_order_id is None or result.price is None or result.size_shares is None:
            return self._in_doubt(intent, "another bot posted a chase without saying which")
        if self._t.intents.get(result.new_order_id) is not None:
            return self._in_doubt(intent, "another bot named an order that is known already as its chase")
        price, size = to_micro(result.price), to_micro(result.size_shares)
        for step in _FOREIGN_CANCEL:
            intent.step(step)
        fault = chain_fault(intent.bounds, intent.children(), price, size)
        if fault is None and not within_cap(intent.side, price, to_micro(instruction.cap_price)):
            fault = f"its price {result.price} is beyond the cap of {instruction.cap_price}"
        intent.working.unread = True
        self._t.intents.extend(intent, ChainOrder(result.new_order_id, price, size))
        self._t.journal.append(history(intent, self._t.clock.now_ms())[-1])
        for step in _FOREIGN_POST:
            intent.step(step)
        intent.step(Step.POST_ACCEPTED if result.outcome == "posted" else Step.POST_DOUBTFUL)
        intent.reposts += 1
        if fault is not None:
            self._t.metrics.invariant_trips.inc()
            intent.stopped = f"{Reason.INVARIANT_TRIPPED.value}: another bot's chase: {fault}"
        return result

    def _in_doubt(self, intent: Intent, why: str) -> CancelReplaceResult:
        """Stop an intent whose sequence broke off somewhere; what lives of it is found and cancelled."""
        intent.stopped = why
        intent.unwanted = True
        for step in _BROKEN_OFF.get(intent.state, ()):
            intent.step(step)
        outcome: Outcome = "cancelled" if intent.state is State.CLOSED else "unconfirmed"
        return CancelReplaceResult(outcome=outcome, detail=why)

    async def _hand_over_dust(self, fill: Fill, intent: Intent, cancelled: bool, span: Span) -> None:
        dust = DustRemainder(
            order_id=fill.order_id,
            trace_id=fill.trace_id,
            market_id=intent.market_id,
            token_id=intent.token_id,
            side=intent.side.value,
            remaining_usd=fill.remaining_usd,
            cancelled=cancelled,
        )
        with self._t.traces.step(names.SPAN_DUST, fill.trace_id, span):
            results = await gather_hook(self._hooks.on_dust_remainder, deadline_s=_DUST_DEADLINE_S, dust=dust)
        for result in results:
            if result.error is not None:
                _LOG.warning("bot %s refused a dust remainder: %r", result.plugin_name, result.error)

    async def _ask_until_known(self, intent: Intent) -> None:
        """Keep asking. What is found alive is cancelled when it is unwanted, and kept when it is not."""
        t = self._t
        missing_since_ms = t.clock.now_ms()
        try:
            while True:
                await t.clock.sleep(t.settings.reconcile_every_ms / 1000)
                async with intent.lock:
                    if intent.state in _IN_DOUBT:
                        found = await self._sequencer.ask(intent)
                        if found is not RecordVerdict.ABSENT:
                            missing_since_ms = t.clock.now_ms()
                        elif t.clock.now_ms() - missing_since_ms >= _NEVER_ARRIVED_MS:
                            self._give_up(intent)
                    if intent.state is State.RESTING and self._unwanted(intent):
                        await self._sequencer.cancel(intent)
                    self._sequencer.finish(intent)
                    if intent.state is State.CLOSED or (
                        intent.state is State.RESTING and not self._unwanted(intent)
                    ):
                        break
            if intent.state is State.CLOSED:
                t.intents.close(intent, t.clock.now_ms())
        finally:
            self._asking.discard(intent.root_order_id)

    def _unwanted(self, intent: Intent) -> bool:
        return intent.unwanted or self._t.kill.latched

    @staticmethod
    def _give_up(intent: Intent) -> None:
        """Take an order for never arrived. Nothing is posted in its place: the remainder ends here."""
        if intent.state is State.POST_UNKNOWN:
            intent.step(Step.FOUND_ABSENT)


def _instruction(fill: Fill, intent: Intent, decision: Decision) -> CancelReplace:
    assert decision.price_micro is not None
    assert decision.cap_micro is not None
    rest_size, rest_usd = intent.rest_without_working()
    return CancelReplace(
        instruction_id=report_id(fill.order_id, fill.event_ts_ms, "instruction"),
        order_id=fill.order_id,
        root_order_id=intent.root_order_id,
        trace_id=intent.trace_id,
        market_id=intent.market_id,
        token_id=intent.token_id,
        side=intent.side.value,
        price=from_micro(decision.price_micro),
        cap_price=from_micro(decision.cap_micro),
        max_size_shares=from_micro(rest_size),
        max_cost_usd=from_micro(rest_usd),
        builder_code=intent.builder_code,
    )

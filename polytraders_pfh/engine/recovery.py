"""Start-up: learn what is open, ask the exchange about it, and only then let anything be posted.

What was under way comes from the log (see `fold`), what is open from `orders.open_partials()`; the
exchange's own record is the truth for each. Orders of one root are one intent, measured from that root
even when it is long gone. An order that may have been sent and is not found keeps its part of the intent
reserved, and is asked for until it is. An order that an event brought in meanwhile is left to that event.
Running it again changes nothing, so an interrupted recovery is simply run again.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from polytraders_hookspecs.orders import OrderFacts
from polytraders_hookspecs.services import OrderBookkeeper
from polytraders_hookspecs.wire import to_micro

from polytraders_pfh.core.chase import Bounds
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.modes import Mode
from polytraders_pfh.core.outcomes import RecordVerdict
from polytraders_pfh.core.policy import Policy
from polytraders_pfh.engine.declared import Declared
from polytraders_pfh.engine.fold import fold
from polytraders_pfh.engine.intents import ChainOrder, Intent, take_record
from polytraders_pfh.engine.journal import JournalFailed, Record
from polytraders_pfh.engine.tools import Tools
from polytraders_pfh.engine.within import within
from polytraders_pfh.telemetry import names

_LOG: Final = logging.getLogger("polytraders_pfh.engine")
_RETRY_S: Final = 1.0


class Recovery:
    """Rebuilds the table of intents once per start.

    Attributes:
        done: Whether what is open is known. Nothing is posted before.
        unread: Why the log could not be read, or empty. Nothing is posted then either.
    """

    def __init__(
        self,
        orders: OrderBookkeeper,
        declared: Declared,
        tools: Tools,
        ask: Callable[[Intent], None],
        timeout_s: float,
    ) -> None:
        self._orders = orders
        self._declared = declared
        self._journal = tools.journal
        self._kill = tools.kill
        self._mode = tools.mode
        self._exchange = tools.exchange
        self._intents = tools.intents
        self._clock = tools.clock
        self._traces = tools.traces
        self._ask = ask
        self._timeout_s = timeout_s
        self.done = False
        self.unread = ""

    async def run(self) -> None:
        """Recover, trying again for as long as the order-lifecycle manager does not answer."""
        ended = await self._take_log()
        while not self.done:
            try:
                async with asyncio.timeout(self._timeout_s):
                    facts = await self._orders.open_partials()
            except Exception as e:
                _LOG.warning("open orders could not be read (%s); nothing is posted until they are", e)
                await self._clock.sleep(_RETRY_S)
                continue
            for root_order_id, chain in _chains(facts).items():
                await self._take(root_order_id, chain)
            self.done = True
        for order_id in ended:
            if self._intents.get(order_id) is None:
                self._intents.note_end(order_id)

    async def _take_log(self) -> Collection[str]:
        """Take what the log says was under way; return the orders that had ended.

        A log that cannot be read has failed: nothing is posted.
        """
        try:
            folded = await fold(self._journal)
        except (JournalFailed, TypeError, ValueError) as e:
            _LOG.warning("the journal could not be read (%s); nothing is posted for orders it may name", e)
            self.unread = f"the journal could not be read: {e}"
            return ()
        for declared in folded.declared.values():
            self._declared.restore(declared)
        if folded.killed is not None:
            self._kill.set(folded.killed or "it was on before the start")
        self._take_mode(folded.mode)
        for intent in folded.intents.values():
            doubtful = False
            for order in intent.orders:
                found = await self._read(intent, order)
                doubtful = found in {RecordVerdict.ABSENT, RecordVerdict.UNKNOWN}
            if self._enter(intent, logged=True) and doubtful and intent.working.may_fill:
                if intent.reposts:
                    intent.state = State.POST_UNKNOWN
                self._ask(intent)
        return folded.ended

    def _take_mode(self, command: Record | None) -> None:
        """Take up a mode that was set by hand. It is told anew, as old segments may be moved away."""
        if command is None or not command.facts.get("lowered") or self._mode.changes:
            return
        to = str(command.facts.get("to"))
        known = to in tuple(Mode)  # a mode of a newer version is one that sends nothing
        self._mode.set(Mode(to) if known else Mode.SHADOW_ONLY, str(command.facts.get("why")))
        if self._mode.lowered:
            self._journal.append(command._replace(at_ms=self._clock.now_ms()))

    async def _take(self, root_order_id: str, chain: list[OrderFacts]) -> None:
        """Take one intent: its root first, then its chase orders, the one that still lives last."""
        root = next((facts for facts in chain if facts.order_id == root_order_id), None)
        if root is None:
            root = await self._root(root_order_id)
            chain = chain if root is None else [root, *chain]
        chain.sort(key=lambda facts: facts.order_id != root_order_id)
        intent = _intent_of(chain[0])
        intent.rooted = True
        intent.orders = [_order_of(facts) for facts in chain]
        intent.reposts = len(chain) - (root is not None)
        intent.chasing_since_ms = self._clock.now_ms() if intent.reposts else 0
        if root is None:
            intent.stopped = f"its root order {root_order_id} is not known, and so its cap is not"
        self._declared.bound(intent)
        for order in intent.orders:
            await self._read(intent, order)
        self._enter(intent)

    def _enter(self, intent: Intent, *, logged: bool = False) -> bool:
        """Put an intent into the table; False when one of its orders is known there already."""
        living = [order for order in intent.orders if order.may_fill]
        for order in living or intent.orders:
            if self._intents.get(order.order_id) is not None or self._intents.has_ended(order.order_id):
                return False
        if len(living) > 1:
            intent.stopped = f"{len(living)} of its orders may still fill"
        intent.orders.sort(key=lambda order: order.may_fill)
        self._intents.add(intent, logged=logged)
        if not living:
            intent.step(Step.FOUND_CLOSED)
            self._intents.close(intent, self._clock.now_ms())
        return True

    async def _read(self, intent: Intent, order: ChainOrder) -> RecordVerdict:
        with self._traces.step(names.SPAN_READ_ORDER, intent.trace_id, None):
            verdict, record = await self._exchange.record(order.order_id)
        if verdict in {RecordVerdict.ALIVE, RecordVerdict.CLOSED}:
            take_record(intent, order, record)
            order.may_fill = verdict is RecordVerdict.ALIVE
        order.unread = True  # a record may lag: its trades are read too, before the next chase
        return verdict

    async def _root(self, order_id: str) -> OrderFacts | None:
        try:
            facts = await within(self._timeout_s, self._orders.get(order_id))
        except Exception as e:
            _LOG.warning("the root order %s could not be read (%s)", order_id, e)
            return None
        return facts if isinstance(facts, OrderFacts) else None


def _chains(facts: tuple[OrderFacts, ...]) -> dict[str, list[OrderFacts]]:
    """Return the orders by the root that they descend from."""
    chains: dict[str, list[OrderFacts]] = {}
    for order in facts:
        chains.setdefault(order.root_order_id or order.order_id, []).append(order)
    return chains


def _order_of(facts: OrderFacts) -> ChainOrder:
    return ChainOrder(
        facts.order_id,
        to_micro(facts.price),
        to_micro(facts.size_shares),
        to_micro(facts.filled_shares),
        may_fill=facts.status not in {"FILLED", "CANCELLED"},
    )


def _intent_of(facts: OrderFacts) -> Intent:
    side, wish, order = Side(facts.side), facts.strategy, _order_of(facts)
    policy = None if wish is None or wish.partial_fill_policy is None else Policy(wish.partial_fill_policy)
    return Intent(
        root_order_id=facts.order_id,
        trace_id=facts.trace_id,
        market_id=facts.market_id,
        token_id=facts.token_id,
        side=side,
        root_price_micro=order.price_micro,
        bounds=Bounds(side, order.size_micro, order.size_micro * order.price_micro),
        builder_code=facts.builder_code,
        orders=[order],
        policy=policy,
        allow_wide_chase=wish is not None and wish.allow_wide_chase,
        strategy_id=None if wish is None else wish.id,
        neg_risk=facts.neg_risk,
    )

"""Start-up: learn what is open, ask the exchange about it, and only then let anything be posted.

Facts come from `orders.open_partials()`; the exchange's own record is the truth for each. Running it
again changes nothing, so an interrupted recovery is simply run again.
"""

import asyncio
import logging
from typing import Final

from polytraders_hookspecs.orders import OrderFacts
from polytraders_hookspecs.services import Clock, OrderBookkeeper
from polytraders_hookspecs.wire import to_micro

from polytraders_pfh.core.chase import Bounds
from polytraders_pfh.core.lifecycle import State, Step
from polytraders_pfh.core.market import Side
from polytraders_pfh.core.outcomes import RecordVerdict
from polytraders_pfh.core.policy import Policy
from polytraders_pfh.engine.declared import Declared
from polytraders_pfh.engine.exchange import Exchange
from polytraders_pfh.engine.intents import ChainOrder, Intent, IntentTable, take_record

_LOG: Final = logging.getLogger("polytraders_pfh.engine")
_RETRY_S: Final = 1.0


class Recovery:
    """Rebuilds the table of intents once per start."""

    def __init__(
        self,
        orders: OrderBookkeeper,
        exchange: Exchange,
        intents: IntentTable,
        declared: Declared,
        clock: Clock,
        timeout_s: float,
    ) -> None:
        self._orders = orders
        self._exchange = exchange
        self._intents = intents
        self._declared = declared
        self._clock = clock
        self._timeout_s = timeout_s
        self.done = False

    async def run(self) -> None:
        """Recover, trying again for as long as the order-lifecycle manager does not answer."""
        while not self.done:
            try:
                async with asyncio.timeout(self._timeout_s):
                    facts = await self._orders.open_partials()
            except Exception as e:
                _LOG.warning("open orders could not be read (%s); nothing is posted until they are", e)
                await self._clock.sleep(_RETRY_S)
                continue
            for order in _roots_first(facts):
                await self._take(order)
            self.done = True

    async def _take(self, facts: OrderFacts) -> None:
        if self._intents.get(facts.order_id) is not None:
            return
        root = self._intents.get(facts.root_order_id) if facts.root_order_id is not None else None
        order = ChainOrder(
            facts.order_id,
            to_micro(facts.price),
            to_micro(facts.size_shares),
            to_micro(facts.filled_shares),
        )
        if root is not None:
            self._intents.extend(root, order)
            intent = root
        else:
            intent = _intent_of(facts, order)
            self._declared.bound(intent)
            self._intents.add(intent)
        verdict, record = await self._exchange.record(facts.order_id)
        if verdict in {RecordVerdict.ALIVE, RecordVerdict.CLOSED}:
            take_record(intent, order, record)
        if verdict is RecordVerdict.CLOSED and intent.state is State.RESTING:
            intent.step(Step.FOUND_CLOSED)
            self._intents.close(intent, self._clock.now_ms())


def _roots_first(facts: tuple[OrderFacts, ...]) -> list[OrderFacts]:
    return sorted(facts, key=lambda order: order.root_order_id is not None)


def _intent_of(facts: OrderFacts, order: ChainOrder) -> Intent:
    side, wish = Side(facts.side), facts.strategy
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

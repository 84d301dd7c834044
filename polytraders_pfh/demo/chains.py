"""Which orders belong to which intent, by the exchange's own records: the builder code that each carries."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from polytraders_pfh.demo.desk import Intent
from polytraders_pfh.paper.core.events import OrderEvent
from polytraders_pfh.paper.core.model import OrderRecord
from polytraders_pfh.paper.core.trades import Trade, TradeStatus


@dataclass(frozen=True, slots=True)
class Fill:
    """One SIMULATED fill of an order of ours, at the price at which it traded."""

    order_id: str
    size_micro: int
    price_micro: int


@dataclass(slots=True)
class Chain:
    """An intent's root order, every order that descends from it, and what they traded."""

    intent: Intent
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)

    @property
    def chases(self) -> list[OrderRecord]:
        """The chain's orders after the root, in the order in which they were posted."""
        return [order for order_id, order in self.orders.items() if order_id != self.intent.order_id]

    @property
    def filled_micro(self) -> int:
        """Shares traded."""
        return sum(fill.size_micro for fill in self.fills)

    @property
    def paid_pico(self) -> int:
        """Shares times price over all fills, in 10^-12 pUSD."""
        return sum(fill.size_micro * fill.price_micro for fill in self.fills)

    @property
    def left_micro(self) -> int:
        """Shares that were wanted and did not trade."""
        return self.intent.size_micro - self.filled_micro

    @property
    def cost_pico(self) -> int:
        """What the fills cost beyond the intent's price, adverse positive, in 10^-12 pUSD."""
        beyond = self.paid_pico - self.filled_micro * self.intent.price_micro
        return beyond if self.intent.side == "BUY" else -beyond

    def adverse_micro(self, price_micro: int) -> int:
        """How far a price is from the intent's, adverse positive."""
        beyond = price_micro - self.intent.price_micro
        return beyond if self.intent.side == "BUY" else -beyond


def chains_of(
    intents: Iterable[Intent], events: Iterable[object], trades: Iterable[Trade]
) -> tuple[dict[str, Chain], list[OrderRecord]]:
    """Return every intent's chain by builder code, and the orders that no intent asked for.

    Args:
        intents: What the strategies placed.
        events: The exchange's history; order events are read.
        trades: The exchange's trades, failed ones included.
    """
    chains = {intent.builder_code: Chain(intent) for intent in intents}
    strays: dict[str, OrderRecord] = {}
    owners: dict[str, Chain] = {}
    for event in events:
        if not isinstance(event, OrderEvent):
            continue
        record = event.record
        chain = chains.get(record.request.builder_code)
        if chain is None:
            strays[record.order_id] = record
        else:
            chain.orders[record.order_id] = record
            owners[record.order_id] = chain
    for trade in trades:
        if trade.status is not TradeStatus.FAILED:
            for fill in fills_of(trade):
                if fill.order_id in owners:
                    owners[fill.order_id].fills.append(fill)
    return chains, list(strays.values())


def fills_of(trade: Trade) -> list[Fill]:
    """Return a trade as fills of its orders, taker first; each at its own token's price."""
    taker = Fill(trade.taker_order_id, trade.size_micro, trade.price_micro)
    return [taker, *(Fill(m.order_id, m.matched_micro, m.price_micro) for m in trade.maker_fills)]

"""Orders and intents as they really are, whatever anybody believes. Sizes in micro-shares."""

from __future__ import annotations

from dataclasses import dataclass, field

from polytraders_hookspecs import OrderFacts
from polytraders_hookspecs.events import SignedEvent, Strategy
from polytraders_hookspecs.wire import from_micro
from support.fake_host import BUILDER, MARKET

MICRO = 1_000_000
_FACTS = {
    "COMING": "PARTIAL",
    "LIVE": "PARTIAL",
    "DELAYED": "PARTIAL",
    "CANCELED": "CANCELLED",
    "MATCHED": "FILLED",
}


@dataclass(slots=True, eq=False)
class Order:
    """One order on the exchange, or on its way there (`COMING`)."""

    order_id: str
    name: str
    wish: Wish
    size: int
    price: int
    status: str = "LIVE"
    matched: int = 0
    failed: int = 0
    lag: int = 0
    filled_at_s: float = 0.0
    told_to_life: int = 0
    taken_away: bool = False

    @property
    def open(self) -> int:
        """What may still fill."""
        return self.size - self.matched if self.status in {"COMING", "LIVE", "DELAYED"} else 0

    @property
    def filled(self) -> int:
        """What has filled and stayed so."""
        return self.matched - self.failed


@dataclass(slots=True, eq=False)
class Wish:
    """What a strategy asked for: its root order, and every chase that was sent for it."""

    root_id: str
    name: str
    side: str
    size: int
    price: int
    token: str
    trace: str
    strategy: Strategy
    bare: bool = False
    orders: list[Order] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    declared: int | None = None
    limit: int | None = None
    decision: SignedEvent | None = None
    died_at_step: int = 0

    @property
    def buying(self) -> bool:
        """Whether it is a BUY."""
        return self.side == "BUY"

    def next_name(self) -> str:
        """Return the name of its next chase."""
        return f"{self.name}{len(self.sent) + 1}"

    def facts(self, order: Order) -> OrderFacts:
        """Return what the order-lifecycle manager says of one of its orders."""
        return OrderFacts(
            order_id=order.order_id,
            market_id=MARKET,
            token_id=self.token,
            trace_id=self.trace,
            side=self.side,
            price=str(from_micro(order.price)),
            size_shares=str(from_micro(order.size)),
            filled_shares=str(from_micro(order.filled)),
            status=_FACTS[order.status],
            builder_code=BUILDER,
            neg_risk=False,
            strategy=self.strategy,
            root_order_id=None if order.order_id == self.root_id else self.root_id,
        )

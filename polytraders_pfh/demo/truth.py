"""The paper exchange with a memory: every change of an order, in order, for the oracle.

It also decides when the account hears of its own fills: books are told at once, orders and new trades when
`release` says so. On the real exchange the two channels race; here the books always win, so that one seed
gives one story.
"""

from dataclasses import dataclass

from polytraders_pfh.paper.core.events import Event, OrderEvent, TickSizeEvent, TradeEvent
from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import ExchangeConfig, OrderRecord
from polytraders_pfh.paper.core.trades import TradeStatus


@dataclass(frozen=True, slots=True)
class KillMark:
    """The kill switch was on from here; no order may be posted after it."""

    timestamp_ms: int


Fact = OrderEvent | TradeEvent | TickSizeEvent | KillMark
"""What the oracle reads, in the order in which it happened at the exchange."""


class WitnessedExchange(Exchange):
    """An exchange that writes down what happened to orders, and holds that news back until `release`.

    Attributes:
        facts: Everything so far.
    """

    def __init__(self, seed: str, config: ExchangeConfig | None = None) -> None:
        super().__init__(seed, config)
        self.facts: list[Fact] = []
        self._held: list[Event] = []
        self._released: list[Event] = []

    def drain(self) -> tuple[Event, ...]:
        """Events to tell now: everything public, and of the account's own what was released."""
        public: list[Event] = []
        for event in super().drain():
            if isinstance(event, OrderEvent | TradeEvent | TickSizeEvent):
                self.facts.append(event)
            waits = isinstance(event, OrderEvent) or _is_new_trade(event)
            (self._held if waits else public).append(event)
        told, self._released = (*public, *self._released), []
        return told

    def mark_kill(self, now_ms: int) -> None:
        """Note that the kill switch is on from now. What happened before stands before the mark."""
        self._released = [*self.drain(), *self._released]
        self.facts.append(KillMark(now_ms))

    def held_orders(self) -> dict[str, OrderRecord]:
        """The orders whose news wait, by id, as they were last."""
        return {e.record.order_id: e.record for e in self._held if isinstance(e, OrderEvent)}

    def release(self) -> None:
        """Tell, at the next drain, what waits now."""
        self._released += self._held
        self._held = []


def _is_new_trade(event: Event) -> bool:
    return isinstance(event, TradeEvent) and event.trade.status is TradeStatus.MATCHED

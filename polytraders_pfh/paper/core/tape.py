"""What the world gets to hear, in order: order and trade events at once, level changes per command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from polytraders_pfh.paper.core.events import (
    BookSnapshotEvent,
    Event,
    LastTradeEvent,
    LevelChange,
    OrderEvent,
    OrderEventKind,
    PriceChangeEvent,
)
from polytraders_pfh.paper.core.model import MICRO, ExchangeConfig, OrderStatus, Side
from polytraders_pfh.paper.core.orderbook import MarketBook, Order


class Tape:
    """Collects events until they are drained.

    A command's level changes are sent as one message when it is done: absolute sizes, both tokens, with
    the best prices that hold then. After trades, both tokens' books and the prints follow.
    """

    def __init__(self, config: ExchangeConfig) -> None:
        """`config` may silence the market channel."""
        self._config = config
        self._events: list[Event] = []
        self._levels: dict[MarketBook, dict[tuple[bool, int], None]] = {}
        self._prints: dict[MarketBook, list[LastTradeEvent]] = {}
        self._together = 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send what several commands do to the books as if they were one; the last `flush` sends it."""
        self._together += 1
        try:
            yield
        finally:
            self._together -= 1

    def say(self, event: Event) -> None:
        """Note an event."""
        self._events.append(event)

    def order(
        self, kind: OrderEventKind, order: Order, now_ms: int, status: OrderStatus | None = None
    ) -> None:
        """Note an order's present state; `status` shows a passing word that the order does not keep."""
        kept = order.status
        order.status = status or kept
        order.updated_ms = now_ms
        self._events.append(OrderEvent(kind, order.record(), now_ms))
        order.status = kept

    def touch(self, book: MarketBook, *, is_bid: bool, book_price: int) -> None:
        """Note that a level changed during this command."""
        if not self._config.market_events:
            return
        levels = self._levels.get(book)
        if levels is None:
            levels = self._levels[book] = {}
        levels[is_bid, book_price] = None

    def printed(self, book: MarketBook, event: LastTradeEvent) -> None:
        """Note a print; it is sent after the command's price changes."""
        if self._config.market_events:
            self._prints.setdefault(book, []).append(event)

    def snapshot(self, book: MarketBook, now_ms: int) -> None:
        """Send both tokens' books."""
        if self._config.market_events:
            self._events.append(BookSnapshotEvent(book.view(0, now_ms)))
            self._events.append(BookSnapshotEvent(book.view(1, now_ms)))

    def flush(self, now_ms: int) -> None:
        """End of a command: send what it did to the books."""
        if self._together:
            return
        if self._levels:
            for book, levels in self._levels.items():
                self._events.append(self._price_change(book, levels, now_ms))
            self._levels.clear()
        if self._prints:
            for book, prints in self._prints.items():
                if self._config.book_after_trade:
                    self.snapshot(book, now_ms)
                self._events.extend(prints)
            self._prints.clear()

    def drain(self) -> tuple[Event, ...]:
        """Hand over everything collected."""
        events = tuple(self._events)
        self._events.clear()
        return events

    @staticmethod
    def _price_change(
        book: MarketBook, levels: dict[tuple[bool, int], None], now_ms: int
    ) -> PriceChangeEvent:
        market = book.market
        first, second = market.outcomes[0].token_id, market.outcomes[1].token_id
        bid, ask = book.best_prices(0)
        no_bid, no_ask = book.best_prices(1)
        changes: list[LevelChange] = []
        for is_bid, price in levels:
            size = book.side(is_bid=is_bid).size_at(price)
            side, turned = (Side.BUY, Side.SELL) if is_bid else (Side.SELL, Side.BUY)
            changes.append(LevelChange(first, side, price, size, bid, ask))
            changes.append(LevelChange(second, turned, MICRO - price, size, no_bid, no_ask))
        return PriceChangeEvent(market.condition_id, tuple(changes), now_ms)

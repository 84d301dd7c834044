"""The trading floor: what posting, cancelling, settling and the crowd all work on."""

from __future__ import annotations

from polytraders_pfh.paper.core.agenda import Agenda
from polytraders_pfh.paper.core.events import OrderEventKind
from polytraders_pfh.paper.core.ids import Ids
from polytraders_pfh.paper.core.ledger import Holding, Ledger
from polytraders_pfh.paper.core.model import ExchangeConfig, OrderStatus
from polytraders_pfh.paper.core.orderbook import MarketBook, Order
from polytraders_pfh.paper.core.registry import Registry
from polytraders_pfh.paper.core.tape import Tape


class Floor:
    """Books, funds and orders, with the steps that several rooms need: hold, rest, withdraw."""

    def __init__(self, seed: str, config: ExchangeConfig) -> None:
        """An empty floor."""
        self.config = config
        self.ids = Ids(seed)
        self.ledger = Ledger()
        self.agenda = Agenda()
        self.registry = Registry()
        self.tape = Tape(config)
        self.books: dict[str, MarketBook] = {}
        self.tokens: dict[str, tuple[MarketBook, int]] = {}

    def funds_of(self, order: Order) -> Holding:
        """The holding that an order gives from."""
        return self.ledger.holding(order.request.owner, order.gives_asset)

    def hold(self, order: Order, amount: int) -> None:
        """Hold funds back for the order's open part."""
        self.funds_of(order).held += amount
        order.pot_micro += amount

    def release(self, order: Order) -> None:
        """Free what the order held."""
        self.funds_of(order).held -= order.pot_micro
        order.pot_micro = 0

    def rest(self, order: Order) -> None:
        """Put the order into the book, at the back of its queue."""
        book = self.books[order.condition_id]
        book.insert(order)
        self.tape.touch(book, is_bid=order.is_bid, book_price=order.book_price)

    def unrest(self, order: Order) -> None:
        """Take the order out of the book; its open size stays known."""
        book = self.books[order.condition_id]
        size = order.open_micro
        book.reduce(order, size)
        order.open_micro = size
        self.tape.touch(book, is_bid=order.is_bid, book_price=order.book_price)

    def withdraw(self, order: Order, status: OrderStatus, now_ms: int) -> None:
        """End an open order: out of the book, funds free, the owner told. What matched stays matched."""
        if order.status is OrderStatus.LIVE:
            self.unrest(order)
        self.release(order)
        self.end(order, status)
        self.tape.order(OrderEventKind.CANCELLATION, order, now_ms)

    def end(self, order: Order, status: OrderStatus) -> None:
        """Give the order its last status."""
        order.status = status
        self.registry.close(order)

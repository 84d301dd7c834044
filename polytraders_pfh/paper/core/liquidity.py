"""Anonymous liquidity: levels that a recording or a simulation sets, and takers that eat queues.

It signs nothing, pays no fees, knows no lot or minimum and never runs out of funds. It stands in the same
queues as everybody else.
"""

from __future__ import annotations

from polytraders_pfh.paper.core.execution import Execution
from polytraders_pfh.paper.core.floor import Floor
from polytraders_pfh.paper.core.matching import Taker, plan
from polytraders_pfh.paper.core.model import MICRO, OrderStatus, Side
from polytraders_pfh.paper.core.orderbook import Level, MarketBook, Resting, mirrored, stands_as_bid


class Liquidity:
    """The crowd's two moves, and where it stands."""

    def __init__(self, floor: Floor, execution: Execution) -> None:
        """Works on the exchange's floor."""
        self._floor, self._execution = floor, execution

    def set_level(
        self, token_id: str, side: Side, price_micro: int, size_micro: int, now_ms: int, *, replace: bool
    ) -> int:
        """See `Exchange.crowd_set_level`."""
        if size_micro < 0:
            raise ValueError(f"crowd size was {size_micro}; give the level's size in micro-shares, 0 or more")
        book, index, is_bid, price = self._place(token_id, side, price_micro)
        level = book.side(is_bid=is_bid).get(price)
        change = size_micro - (level.crowd_micro if level is not None else 0)
        if change < 0 and level is not None:
            self._shrink(book, level, -change, is_bid=is_bid, book_price=price)
        elif change > 0:
            if book.crosses(is_bid=is_bid, book_price=price):
                if replace:
                    self._step_aside(book, is_bid=is_bid, book_price=price)
                change -= self._take(book, Taker(index, side, price_micro, change, pays_fee=False), now_ms)
            if change:
                self._grow(book, index, side, price_micro, change)
        level = book.side(is_bid=is_bid).get(price)
        return level.crowd_micro if level is not None else 0

    def take(self, token_id: str, side: Side, size_micro: int, limit_price_micro: int, now_ms: int) -> int:
        """See `Exchange.crowd_take`."""
        if size_micro <= 0:
            raise ValueError(f"crowd size was {size_micro}; a taker needs micro-shares above 0")
        book, index, _, _ = self._place(token_id, side, limit_price_micro)
        return self._take(book, Taker(index, side, limit_price_micro, size_micro, pays_fee=False), now_ms)

    def level(self, token_id: str, side: Side, price_micro: int) -> int:
        """See `Exchange.crowd_level`."""
        book, _, is_bid, price = self._place(token_id, side, price_micro)
        level = book.side(is_bid=is_bid).get(price)
        return level.crowd_micro if level is not None else 0

    def queue_ahead(self, order_id: str) -> int:
        """See `Exchange.crowd_queue_ahead`."""
        order = self._floor.registry.get(order_id)
        level = None
        if order is not None and order.status is OrderStatus.LIVE:
            level = self._floor.books[order.condition_id].side(is_bid=order.is_bid).get(order.book_price)
        if order is None or level is None:
            raise KeyError(f"order {order_id} was not resting; only a LIVE order stands in a queue")
        return level.ahead_of(order)

    def leave(self, book: MarketBook) -> None:
        """Withdraw everything the crowd has in this market."""
        for is_bid in (True, False):
            for price, level in list(book.side(is_bid=is_bid).best_last()):
                if level.crowd_micro:
                    self._shrink(book, level, level.crowd_micro, is_bid=is_bid, book_price=price)

    def _place(self, token_id: str, side: Side, price_micro: int) -> tuple[MarketBook, int, bool, int]:
        if not 0 < price_micro < MICRO:
            raise ValueError(f"crowd price was {price_micro}; it must lie between 0 and {MICRO} micro")
        book, index = self._floor.tokens[token_id]
        return book, index, stands_as_bid(side, index), mirrored(price_micro, index)

    def _take(self, book: MarketBook, taker: Taker, now_ms: int) -> int:
        planned = plan(book, taker)
        if planned.trades:
            self._execution.carry_out(book, taker, None, planned, now_ms)
        return planned.size_micro

    def _grow(self, book: MarketBook, index: int, side: Side, price_micro: int, by_micro: int) -> None:
        """Join the back. Where the crowd's newest piece is at the back already, it just grows."""
        is_bid, price = stands_as_bid(side, index), mirrored(price_micro, index)
        level = book.side(is_bid=is_bid).open(price)
        newest = level.crowd[-1] if level.crowd else None
        if newest is not None and newest.token_index == index and next(reversed(level.queue)) is newest:
            level.reduce(newest, -by_micro)
        else:
            level.append(Resting(index, side, price_micro, by_micro))
        self._floor.tape.touch(book, is_bid=is_bid, book_price=price)

    def _shrink(
        self, book: MarketBook, level: Level, by_micro: int, *, is_bid: bool, book_price: int
    ) -> None:
        """Cancel the newest first."""
        while by_micro:
            newest = level.crowd[-1]
            cut = min(by_micro, newest.open_micro)
            level.reduce(newest, cut)
            by_micro -= cut
        if not level.queue:
            book.side(is_bid=is_bid).close_if_empty(book_price)
        self._floor.tape.touch(book, is_bid=is_bid, book_price=book_price)

    def _step_aside(self, book: MarketBook, *, is_bid: bool, book_price: int) -> None:
        """Withdraw the crowd's own levels that stand in the way of a recorded one."""
        other = book.side(is_bid=not is_bid)
        for price, level in list(other.from_best(book_price)):
            if level.crowd_micro:
                self._shrink(book, level, level.crowd_micro, is_bid=not is_bid, book_price=price)

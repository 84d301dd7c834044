"""One market's shared book: price-time queues in the first outcome's price space, read from either token.

Buying the second outcome at p is the same wish as selling the first at 1 - p, so both tokens' orders
stand in one book: a BUY of the first and a SELL of the second are *bids*, the other two are *asks*. Each
order keeps its own token, side and price; `book_price` is where it stands.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Iterator

from polytraders_pfh.paper.core.amounts import ceil_div
from polytraders_pfh.paper.core.model import (
    MICRO,
    BookView,
    Levels,
    Market,
    OrderRecord,
    OrderRequest,
    OrderStatus,
    Side,
)


def stands_as_bid(side: Side, token_index: int) -> bool:
    """True when an order of this side and outcome stands among the bids of the shared book."""
    return (side is Side.BUY) == (token_index == 0)


def mirrored(price_micro: int, token_index: int) -> int:
    """A token's price in the shared book's space, or back again: the turn is its own inverse."""
    return MICRO - price_micro if token_index else price_micro


class Resting:
    """A place in a queue. On its own it is a piece of the crowd; `Order` is an account's."""

    __slots__ = ("book_price", "is_bid", "open_micro", "order_id", "price_micro", "side", "token_index")

    def __init__(self, token_index: int, side: Side, price_micro: int, open_micro: int) -> None:
        """`price_micro` in the own token's space; the place in the shared book follows from it."""
        self.order_id = ""
        self.token_index = token_index
        self.side = side
        self.price_micro = price_micro
        self.open_micro = open_micro
        self.is_bid = stands_as_bid(side, token_index)
        self.book_price = mirrored(price_micro, token_index)

    def pays(self, size_micro: int) -> int:
        """What a BUY gives for `size_micro` of its open shares at its own price."""
        return self.price_micro * size_micro // MICRO


class Order(Resting):
    """An account's order through its whole life.

    While it is LIVE, `open_micro` is its size minus what matched, and `pot_micro` is held for that open
    part in the ledger: pUSD of a BUY, shares of a SELL.
    """

    __slots__ = (
        "condition_id",
        "created_ms",
        "matched_micro",
        "outcome",
        "pot_micro",
        "refusal",
        "request",
        "status",
        "trade_ids",
        "updated_ms",
        "usd_matched_micro",
        "was_delayed",
    )

    def __init__(
        self, request: OrderRequest, market: Market, token_index: int, price_micro: int, now_ms: int
    ) -> None:
        """`price_micro` is the limit on the grid, which a FOK or FAK's own amounts may only approach."""
        super().__init__(token_index, request.side, price_micro, request.size_micro)
        self.request = request
        self.order_id = request.order_id
        self.condition_id = market.condition_id
        self.outcome = market.outcomes[token_index].name
        self.status = OrderStatus.LIVE
        self.matched_micro = 0
        self.usd_matched_micro = 0
        self.pot_micro = 0
        self.trade_ids: list[str] = []
        self.refusal: str | None = None
        self.was_delayed = False
        self.created_ms = now_ms
        self.updated_ms = now_ms

    @property
    def budget_micro(self) -> int | None:
        """pUSD that a FOK or FAK BUY may spend; None when the order counts shares."""
        if self.side is Side.BUY and not self.request.order_type.rests:
            return self.request.maker_amount
        return None

    @property
    def gives_asset(self) -> str | None:
        """The asset its funds are held in: None is pUSD, else the token."""
        return None if self.side is Side.BUY else self.request.token_id

    def pays(self, size_micro: int) -> int:
        """The same, out of the pot, which keeps what the rest costs: odd fills round up or down by less
        than a micro-pUSD, never add up, and the last one empties the pot."""
        rest = ceil_div(self.price_micro * (self.open_micro - size_micro), MICRO)
        return self.pot_micro - min(self.pot_micro, rest)

    def record(self) -> OrderRecord:
        """The state at this moment as a frozen value."""
        return OrderRecord(
            request=self.request,
            condition_id=self.condition_id,
            outcome=self.outcome,
            price_micro=self.price_micro,
            size_matched_micro=self.matched_micro,
            status=self.status,
            associate_trades=tuple(self.trade_ids),
            created_ms=self.created_ms,
            updated_ms=self.updated_ms,
        )


class Level:
    """One price's queue, oldest first, with the crowd's pieces in it also at hand by themselves."""

    __slots__ = ("crowd", "crowd_micro", "queue", "size_micro")

    def __init__(self) -> None:
        """An empty level; it leaves the book when it is empty again."""
        self.queue: OrderedDict[Resting, None] = OrderedDict()
        self.crowd: deque[Resting] = deque()
        self.size_micro = 0
        self.crowd_micro = 0

    def append(self, resting: Resting) -> None:
        """Join the back of the queue."""
        self.queue[resting] = None
        self.size_micro += resting.open_micro
        if not isinstance(resting, Order):
            self.crowd.append(resting)
            self.crowd_micro += resting.open_micro

    def reduce(self, resting: Resting, by_micro: int) -> None:
        """Take shares off one order without moving it; it leaves when nothing is open."""
        resting.open_micro -= by_micro
        self.size_micro -= by_micro
        is_crowd = not isinstance(resting, Order)
        if is_crowd:
            self.crowd_micro -= by_micro
        if not resting.open_micro:
            del self.queue[resting]
            if is_crowd:
                self._forget(resting)

    def _forget(self, piece: Resting) -> None:
        # Fills take the oldest piece and shrinking takes the newest, so one end always has it.
        if self.crowd[0] is piece:
            self.crowd.popleft()
        else:
            self.crowd.pop()

    def ahead_of(self, resting: Resting) -> int:
        """Shares that stand before this order."""
        total = 0
        for other in self.queue:
            if other is resting:
                return total
            total += other.open_micro
        raise KeyError(f"order {resting.order_id} was not in this queue; ask only for resting orders")


class BookSide:
    """All levels of one side, best price last. Keys are prices of bids and negated prices of asks."""

    __slots__ = ("_keys", "_levels", "_sign")

    def __init__(self, *, is_bid: bool) -> None:
        """An empty side."""
        self._sign = 1 if is_bid else -1
        self._keys: list[int] = []
        self._levels: dict[int, Level] = {}

    def best(self) -> int | None:
        """The best price, or None when the side is empty."""
        return self._sign * self._keys[-1] if self._keys else None

    def get(self, book_price: int) -> Level | None:
        """The level at this price, if there is one."""
        return self._levels.get(book_price)

    def open(self, book_price: int) -> Level:
        """The level at this price, made when there is none."""
        level = self._levels.get(book_price)
        if level is None:
            level = self._levels[book_price] = Level()
            insort(self._keys, self._sign * book_price)
        return level

    def close_if_empty(self, book_price: int) -> None:
        """Drop the level once nobody stands there."""
        level = self._levels.get(book_price)
        if level is not None and not level.queue:
            del self._levels[book_price]
            key = self._sign * book_price
            if self._keys[-1] == key:
                self._keys.pop()
            else:
                del self._keys[bisect_left(self._keys, key)]

    def from_best(self, limit: int) -> Iterator[tuple[int, Level]]:
        """Levels from the best to `limit`, included. The side must not change meanwhile."""
        bound = self._sign * limit
        for key in reversed(self._keys):
            if key < bound:
                return
            price = self._sign * key
            yield price, self._levels[price]

    def best_last(self) -> Iterator[tuple[int, Level]]:
        """All levels, worst first."""
        for key in self._keys:
            price = self._sign * key
            yield price, self._levels[price]

    def sizes(self, *, mirror: bool) -> Levels:
        """(price, shares) of all levels, worst first; mirrored into the second outcome's space on request."""
        sign, levels = self._sign, self._levels
        if mirror:
            return tuple([(MICRO - sign * key, levels[sign * key].size_micro) for key in self._keys])
        return tuple([(sign * key, levels[sign * key].size_micro) for key in self._keys])

    def size_at(self, book_price: int) -> int:
        """Shares at this price, 0 when there is no level."""
        level = self._levels.get(book_price)
        return level.size_micro if level is not None else 0


class MarketBook:
    """The shared book of one market, and the price of its last trade."""

    __slots__ = ("_sides", "last_price", "market")

    def __init__(self, market: Market) -> None:
        """An empty book."""
        self.market = market
        self.last_price: int | None = None
        self._sides = (BookSide(is_bid=False), BookSide(is_bid=True))

    def side(self, *, is_bid: bool) -> BookSide:
        """The bids or the asks of the shared book."""
        return self._sides[is_bid]

    def crosses(self, *, is_bid: bool, book_price: int) -> bool:
        """True when an order at this price would trade at once."""
        best = self._sides[not is_bid].best()
        if best is None:
            return False
        return best <= book_price if is_bid else best >= book_price

    def insert(self, resting: Resting) -> None:
        """Rest at the back of its queue."""
        self._sides[resting.is_bid].open(resting.book_price).append(resting)

    def reduce(self, resting: Resting, by_micro: int) -> None:
        """Take shares off a resting order; the place in the queue is kept."""
        side = self._sides[resting.is_bid]
        level = side.get(resting.book_price)
        if level is None:
            raise KeyError(f"order {resting.order_id} was not in the book; only resting orders can shrink")
        level.reduce(resting, by_micro)
        if not level.queue:
            side.close_if_empty(resting.book_price)

    def orders(self) -> list[Order]:
        """Accounts' resting orders, crowd left out."""
        return [
            resting
            for side in self._sides
            for _, level in side.best_last()
            for resting in level.queue
            if isinstance(resting, Order)
        ]

    def best_prices(self, token_index: int) -> tuple[int | None, int | None]:
        """(best bid, best ask) of one token."""
        ask, bid = self._sides[0].best(), self._sides[1].best()
        if not token_index:
            return bid, ask
        return (None if ask is None else MICRO - ask, None if bid is None else MICRO - bid)

    def view(self, token_index: int, now_ms: int) -> BookView:
        """The book as one token's holder sees it."""
        return BookView(
            token_id=self.market.outcomes[token_index].token_id,
            condition_id=self.market.condition_id,
            bids=self._levels(token_index, is_bid=token_index == 0),
            asks=self._levels(token_index, is_bid=token_index == 1),
            tick_micro=self.market.tick_micro,
            min_size_micro=self.market.min_size_micro,
            neg_risk=self.market.neg_risk,
            last_trade_price_micro=(
                None if self.last_price is None else mirrored(self.last_price, token_index)
            ),
            timestamp_ms=now_ms,
        )

    def _levels(self, token_index: int, *, is_bid: bool) -> Levels:
        return self._sides[is_bid].sizes(mirror=token_index == 1)

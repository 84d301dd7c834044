"""One market with a recorded crowd, and one account of ours that trades in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from polytraders_pfh.paper.core.exchange import Exchange
from polytraders_pfh.paper.core.model import MICRO, OrderRecord, OrderRequest, OrderType, Side
from polytraders_pfh.paper.markets.crowd import RecordedCrowd, list_markets
from polytraders_pfh.paper.markets.frames import BookFrame, Levels, RecordedMarket, RecordedToken
from support.market_files import MARKET, NO, T0, YES

US, OUR_KEY = "0xus", "our-key"


def recorded_market(*, trades: int = 0, tick_micro: int = 10_000) -> RecordedMarket:
    """A market with both tokens recorded."""
    return RecordedMarket(
        condition_id=MARKET,
        slug="rain",
        question="Will it rain?",
        tokens=(RecordedToken(YES, "Yes", recorded=True), RecordedToken(NO, "No", recorded=True)),
        tick_micro=tick_micro,
        finest_tick_micro=tick_micro,
        min_size_micro=5 * MICRO,
        rows=0,
        first_ms=T0,
        last_ms=T0,
        trades=trades,
    )


def cents(levels: Sequence[tuple[int, int]], *, descending: bool = False) -> Levels:
    """Levels given in cents and whole shares, best last."""
    return tuple(sorted(((price * 10_000, size * MICRO) for price, size in levels), reverse=descending))


def snapshot(
    bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], at_ms: int = T0, token: str = YES
) -> BookFrame:
    """A book frame given in cents and whole shares."""
    return BookFrame(token, MARKET, at_ms, cents(bids), cents(asks, descending=True), None, "literal", 1)


@dataclass
class Stage:
    """The exchange, its crowd, and a clock that ticks one millisecond per frame."""

    crowd: RecordedCrowd
    exchange: Exchange = field(default_factory=Exchange)
    now_ms: int = T0
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def play(self, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]) -> None:
        """The recording's next book of YES, in cents and shares."""
        self.now_ms += 1
        self.crowd.apply(self.exchange, snapshot(bids, asks, self.now_ms), self.now_ms)

    def order(
        self,
        side: Side,
        price_cents: int,
        shares: int,
        order_type: OrderType = OrderType.GTC,
        token: str = YES,
    ) -> str:
        """Post an order of ours; its id."""
        usd = price_cents * 10_000 * shares
        amounts = (usd, shares * MICRO) if side is Side.BUY else (shares * MICRO, usd)
        order_id = f"ours {next(self._numbers)}"
        request = OrderRequest(order_id, US, OUR_KEY, US, US, token, side, *amounts, order_type)
        result = self.exchange.post(request, self.now_ms)
        assert result.accepted, result.error
        return order_id

    def ours(self, order_id: str) -> OrderRecord:
        """The order's state."""
        record = self.exchange.order(order_id)
        assert record is not None
        return record

    def filled(self, order_id: str) -> int:
        """Whole and broken shares filled so far, in micro-shares."""
        return self.ours(order_id).size_matched_micro

    def ahead(self, order_id: str) -> int:
        """Shares before the order, in micro-shares."""
        return self.exchange.crowd_queue_ahead(order_id)

    def crowd_at(self, side: Side, price_cents: int) -> int:
        """The crowd's size at a price of YES."""
        return self.exchange.crowd_level(YES, side, price_cents * 10_000)

    def levels(self, token: str = YES) -> tuple[Levels, Levels]:
        """The exchange's bids and asks of one token, ours included."""
        view = self.exchange.book(token, self.now_ms)
        return view.bids, view.asks


def stage(*, trade_share_ppm: int = MICRO, trades: int = 0, tick_micro: int = 10_000) -> Stage:
    """A listed market, and an account of ours with plenty of everything."""
    market = recorded_market(trades=trades, tick_micro=tick_micro)
    made = Stage(RecordedCrowd([market], trade_share_ppm=trade_share_ppm))
    list_markets(made.exchange, [market], T0)
    made.exchange.deposit(US, 1_000_000 * MICRO)
    made.exchange.mint(US, MARKET, 100_000 * MICRO)
    return made

"""Live books from the market channel, their freshness, and how fast a market has been filling.

There are no sequence numbers (clob_v2 5.2), so a kept book is checked against the exchange's own best
prices with every change, against its age, its grid and itself; a tick-size change is a new epoch that
voids it. A kept book may decide hold; everything else is confirmed by a fresh one.
"""

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from polytraders_hookspecs.events import (
    BookSnapshot,
    BookUpdate,
    LastTrade,
    Level,
    PriceChange,
    StreamGap,
    TickSizeChange,
)

from polytraders_pfh.core.market import (
    BookView,
    Side,
    Trading,
    crossed_fault,
    side_fault,
    tick_fault,
    view_of,
)

_MAX_LEVELS: Final = 10_000
"""A side with more prices than the finest grid has is no book, and would not be bounded by anything."""

_MAX_TRADES: Final = 10_000
_DIFFERS: Final = "its best prices differ from those the exchange sent with the last change"


@dataclass(slots=True)
class _Ladder:
    """One side of a book: prices sorted, size by price."""

    prices: list[int] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)

    def replace(self, levels: Iterable[Level]) -> None:
        self.sizes = dict(levels)
        self.prices = sorted(self.sizes)

    def set(self, price: int, size: int) -> None:
        if size:
            if price not in self.sizes:
                insort(self.prices, price)
            self.sizes[price] = size
        elif self.sizes.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]

    def highest(self, count: int) -> tuple[Level, ...]:
        return tuple([(price, self.sizes[price]) for price in self.prices[: -count - 1 : -1]])

    def lowest(self, count: int) -> tuple[Level, ...]:
        return tuple([(price, self.sizes[price]) for price in self.prices[:count]])


@dataclass(slots=True)
class _Kept:
    """What is known of one token."""

    bids: _Ladder = field(default_factory=_Ladder)
    asks: _Ladder = field(default_factory=_Ladder)
    known: bool = False
    tick_micro: int = 0
    min_size_micro: int = 0
    timestamp_ms: int = 0
    snapshot_ms: int = 0
    heard_at_ms: int = 0
    level_fault: str | None = None
    differs: bool = False
    trading: Trading = Trading.OPEN
    closes_at_ms: int | None = None
    neg_risk: bool | None = None
    trades: deque[tuple[int, str, int]] = field(default_factory=lambda: deque(maxlen=_MAX_TRADES))
    view: BookView | None = None


class Books:
    """The books of every token that the host follows."""

    def __init__(
        self,
        now_ms: Callable[[], int],
        *,
        levels: int,
        default_min_size_micro: int,
        fill_rate_window_ms: int,
        max_tokens: int,
    ) -> None:
        self._now_ms = now_ms
        self._levels = levels
        self._default_min_size = default_min_size_micro
        self._window_ms = fill_rate_window_ms
        self._max_tokens = max_tokens
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._apply: dict[type, Callable[[Any], None]] = {
            BookSnapshot: self._snapshot,
            PriceChange: self._price_change,
            LastTrade: self._last_trade,
            TickSizeChange: self._tick_size,
            StreamGap: self._gap,
        }

    def apply(self, update: BookUpdate) -> None:
        """Take one message of the market channel."""
        self._apply[type(update)](update)

    def view(self, token_id: str) -> BookView | None:
        """Return the kept book of a token, or None when there is none to look at."""
        kept = self._kept.get(token_id)
        if kept is None or not kept.known:
            return None
        if kept.view is None:
            kept.view = self._view_of(kept)
        return kept.view

    def _view_of(self, kept: _Kept) -> BookView:
        bids, asks = kept.bids.highest(self._levels), kept.asks.lowest(self._levels)
        fault = kept.level_fault or (_DIFFERS if kept.differs else None)
        if fault is None:
            fault = crossed_fault(bids[0][0] if bids else None, asks[0][0] if asks else None)
        return BookView(
            bids,
            asks,
            kept.tick_micro,
            kept.min_size_micro or self._default_min_size,
            kept.heard_at_ms,
            fault,
            False,
            kept.trading,
            kept.closes_at_ms,
        )

    def take_fresh(self, snapshot: BookSnapshot) -> BookView:
        """Take a book that was just read from the exchange, and return its view.

        A fresh answer that is older than what the stream already showed is a lagging replica
        (clob_v2 7, "stale REST book"): it is not taken, and its view says so.
        """
        known = self._kept.get(snapshot.token_id)
        lagging = known is not None and known.known and snapshot.timestamp_ms < known.timestamp_ms
        view = view_of(
            snapshot.bids,
            snapshot.asks,
            tick_micro=snapshot.tick_micro,
            min_size_micro=snapshot.min_size_micro or self._default_min_size,
            as_of_ms=self._now_ms(),
            fresh=True,
            trading=Trading(snapshot.trading),
            closes_at_ms=snapshot.closes_at_ms,
            levels=self._levels,
        )
        if not lagging:
            self._snapshot(snapshot)
            return view
        assert known is not None
        behind_ms = known.timestamp_ms - snapshot.timestamp_ms
        return BookView(
            view.bids,
            view.asks,
            view.tick_micro,
            view.min_size_micro,
            view.as_of_ms,
            view.fault or f"the exchange answered with a book {behind_ms} ms older than its own stream",
            True,
            view.trading,
            view.closes_at_ms,
        )

    def neg_risk(self, token_id: str) -> bool | None:
        """Return whether the token's market is a neg-risk one, or None when not known."""
        kept = self._kept.get(token_id)
        return None if kept is None else kept.neg_risk

    def expected_fill_ms(self, token_id: str, side: Side, size_micro: int) -> int | None:
        """Return how long a resting remainder would take at the recent fill rate, in ms, or None.

        The rate is what takers of the other side have traded in this token within the window.
        """
        kept = self._kept.get(token_id)
        if kept is None or not kept.trades:
            return None
        now = self._now_ms()
        self._forget_old_trades(kept, now)
        taker = "SELL" if side is Side.BUY else "BUY"
        traded = sum([size for _, trade_side, size in kept.trades if trade_side == taker])
        full = len(kept.trades) == _MAX_TRADES  # then it reaches back less far than the window
        window_ms = max(now - kept.trades[0][0], 1) if full else self._window_ms
        return size_micro * window_ms // traded if traded else None

    def _of(self, token_id: str) -> _Kept:
        kept = self._kept.get(token_id)
        if kept is None:
            kept = self._kept[token_id] = _Kept()
            if len(self._kept) > self._max_tokens:
                self._kept.popitem(last=False)
        return kept

    def _snapshot(self, update: BookSnapshot) -> None:
        kept = self._of(update.token_id)
        kept.bids.replace(update.bids)
        kept.asks.replace(update.asks)
        kept.tick_micro = update.tick_micro or kept.tick_micro
        kept.min_size_micro = update.min_size_micro or kept.min_size_micro
        kept.timestamp_ms = kept.snapshot_ms = update.timestamp_ms
        kept.heard_at_ms = self._now_ms()
        kept.known = True
        kept.differs = False
        kept.view = None
        kept.trading = Trading(update.trading)
        kept.closes_at_ms = update.closes_at_ms or kept.closes_at_ms
        if update.neg_risk is not None:
            kept.neg_risk = update.neg_risk
        self._check_levels(kept)
        self._void_beyond_bounds(kept)

    def _check_levels(self, kept: _Kept) -> None:
        tick = kept.tick_micro
        if not tick:
            kept.level_fault = "its tick size is not known"
            return
        kept.level_fault = (
            tick_fault(tick)
            or side_fault(kept.bids.sizes.items(), tick)
            or side_fault(kept.asks.sizes.items(), tick)
        )

    @staticmethod
    def _void_beyond_bounds(kept: _Kept) -> None:
        if max(len(kept.bids.prices), len(kept.asks.prices)) > _MAX_LEVELS:
            kept.bids, kept.asks, kept.known = _Ladder(), _Ladder(), False

    def _price_change(self, update: PriceChange) -> None:
        kept = self._kept.get(update.token_id)
        if kept is None or not kept.known or update.timestamp_ms < kept.snapshot_ms:
            return  # a late change from before the snapshot is in it already
        (kept.bids if update.bid else kept.asks).set(update.price_micro, update.size_micro)
        kept.view = None
        kept.timestamp_ms = max(kept.timestamp_ms, update.timestamp_ms)
        kept.heard_at_ms = self._now_ms()
        if kept.level_fault is not None or update.size_micro < 0:
            self._check_levels(kept)
        elif update.size_micro:
            kept.level_fault = side_fault(((update.price_micro, update.size_micro),), kept.tick_micro)
        kept.differs = _differs(kept.bids.prices[-1:], update.best_bid_micro) or _differs(
            kept.asks.prices[:1], update.best_ask_micro
        )
        self._void_beyond_bounds(kept)

    def _last_trade(self, update: LastTrade) -> None:
        kept = self._of(update.token_id)
        now = self._now_ms()
        kept.trades.append((now, update.side, update.size_micro))
        self._forget_old_trades(kept, now)

    def _forget_old_trades(self, kept: _Kept, now_ms: int) -> None:
        while kept.trades and kept.trades[0][0] < now_ms - self._window_ms:
            kept.trades.popleft()

    def _tick_size(self, update: TickSizeChange) -> None:
        kept = self._of(update.token_id)
        kept.tick_micro = update.new_tick_micro
        kept.known = False

    def _gap(self, update: StreamGap) -> None:
        for token_id in update.token_ids or tuple(self._kept):
            kept = self._kept.get(token_id)
            if kept is not None:
                kept.known = False


def _differs(best: list[int], told: int | None) -> bool:
    """Return whether a best price differs from what the exchange told; 0 and 1 stand for an empty side."""
    if told is None:
        return False
    return best[0] != told if best else told not in (0, 1_000_000)

"""What would happen if this order met the book now: a plan, exact to the micro, that changes nothing.

The same plan decides whether a FOK can be filled, what an order will cost, and, once carried out, what
moves: there is no second calculation that could disagree. Trades execute at the maker's price.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from polytraders_pfh.paper.core.amounts import ceil_div, taker_fee
from polytraders_pfh.paper.core.model import MICRO, Side
from polytraders_pfh.paper.core.orderbook import Level, MarketBook, Order, Resting, mirrored, stands_as_bid
from polytraders_pfh.paper.core.trades import MatchKind

_DUST_USD: Final = 10
"""A budget left below this is spent: rounding to whole micro-pUSD can leave one or two."""


@dataclass(frozen=True, slots=True)
class Taker:
    """The incoming side, bounded in shares by `size_micro`, or in pUSD by `budget_micro` when it is given."""

    token_index: int
    side: Side
    limit_micro: int
    size_micro: int
    budget_micro: int | None = None
    pays_fee: bool = True

    @property
    def is_bid(self) -> bool:
        """Where it would stand in the shared book."""
        return stands_as_bid(self.side, self.token_index)

    @property
    def book_limit(self) -> int:
        """Its limit in the shared book's space."""
        return mirrored(self.limit_micro, self.token_index)

    @classmethod
    def of(cls, order: Order) -> Taker:
        """An account's order as a taker, for what is still open of it."""
        return cls(order.token_index, order.side, order.price_micro, order.open_micro, order.budget_micro)


@dataclass(slots=True)
class Fill:
    """A maker's part: `maker_usd` is what it pays or gets, `taker_usd` what the taker pays or gets."""

    maker: Resting
    size_micro: int
    kind: MatchKind
    maker_usd: int
    taker_usd: int


@dataclass(slots=True)
class PlannedTrade:
    """All fills at one price, in the taker's space; the fee is for the whole of them."""

    price_micro: int
    fills: list[Fill] = field(default_factory=list)
    size_micro: int = 0
    taker_usd: int = 0
    fee_usd: int = 0

    def add(self, fill: Fill) -> None:
        """Count one fill in."""
        self.fills.append(fill)
        self.size_micro += fill.size_micro
        self.taker_usd += fill.taker_usd


@dataclass(slots=True)
class Plan:
    """The trades of one taker, best price first; `complete` when nothing of it would be left over."""

    trades: list[PlannedTrade] = field(default_factory=list)
    complete: bool = False

    @property
    def size_micro(self) -> int:
        """Shares that would trade."""
        return sum(trade.size_micro for trade in self.trades)

    @property
    def taker_usd(self) -> int:
        """pUSD that the taker would pay or get, fee aside."""
        return sum(trade.taker_usd for trade in self.trades)

    @property
    def fee_usd(self) -> int:
        """Fees on top."""
        return sum(trade.fee_usd for trade in self.trades)


def match_kind(taker: Taker, maker: Resting) -> MatchKind:
    """How the two orders' assets meet."""
    if taker.token_index == maker.token_index:
        return MatchKind.DIRECT
    return MatchKind.MINT if taker.side is Side.BUY else MatchKind.MERGE


def plan(book: MarketBook, taker: Taker) -> Plan:
    """Walk the other side in price-time order up to the taker's limit."""
    sweep = _Sweep(taker)
    for book_price, level in book.side(is_bid=not taker.is_bid).from_best(taker.book_limit):
        trade = sweep.level(mirrored(book_price, taker.token_index), level)
        if trade.size_micro:
            if taker.pays_fee:
                fee = taker_fee(book.market, trade.size_micro, trade.price_micro)
                trade.fee_usd = fee if taker.side is Side.BUY else min(fee, trade.taker_usd)
            sweep.plan.trades.append(trade)
        if sweep.plan.complete:
            break
    return sweep.plan


class _Sweep:
    """The taker's walk: what it may still take, in shares or in pUSD."""

    def __init__(self, taker: Taker) -> None:
        self.plan = Plan()
        self._taker = taker
        self._shares = taker.size_micro
        self._budget = taker.budget_micro

    def level(self, price_micro: int, level: Level) -> PlannedTrade:
        """Take what this level offers, oldest first."""
        trade = PlannedTrade(price_micro)
        for maker in level.queue:
            wanted = self._wanted(price_micro)
            if not wanted:
                self.plan.complete = True
                return trade
            trade.add(self._take(maker, min(wanted, maker.open_micro)))
        self.plan.complete = not self._wanted(price_micro)
        return trade

    def _wanted(self, price_micro: int) -> int:
        if self._budget is None:
            return self._shares
        return self._budget * MICRO // price_micro if self._budget >= _DUST_USD else 0

    def _take(self, maker: Resting, size_micro: int) -> Fill:
        fill = self._fill(maker, size_micro)
        if self._budget is None:
            self._shares -= size_micro
            return fill
        # A maker's pot is whole micro-pUSD, so the other half of a pair may cost one more than planned.
        while fill.taker_usd > self._budget:
            fill = self._fill(maker, fill.size_micro - 1)
        self._budget -= fill.taker_usd
        return fill

    def _fill(self, maker: Resting, size_micro: int) -> Fill:
        kind = match_kind(self._taker, maker)
        if maker.side is Side.BUY:
            maker_usd = maker.pays(size_micro)
        elif self._budget is None:
            maker_usd = maker.price_micro * size_micro // MICRO
        else:
            # Shares were rounded down to fit the budget, so rounding their cost up spends it to the micro.
            maker_usd = ceil_div(maker.price_micro * size_micro, MICRO)
        taker_usd = maker_usd if kind is MatchKind.DIRECT else size_micro - maker_usd
        return Fill(maker, size_micro, kind, maker_usd, taker_usd)

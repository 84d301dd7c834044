"""Carrying a plan out: book, funds, orders and trade records move together, one trade per price."""

from __future__ import annotations

from typing import Final

from polytraders_pfh.paper.core.amounts import ceil_div
from polytraders_pfh.paper.core.events import LastTradeEvent, OrderEventKind
from polytraders_pfh.paper.core.floor import Floor
from polytraders_pfh.paper.core.ledger import Asset
from polytraders_pfh.paper.core.matching import Fill, Plan, PlannedTrade, Taker
from polytraders_pfh.paper.core.model import CROWD, MICRO, OrderStatus, Side
from polytraders_pfh.paper.core.orderbook import MarketBook, Order, Resting, mirrored
from polytraders_pfh.paper.core.settlement import Leg, Settlement, Settling
from polytraders_pfh.paper.core.trades import MakerFill, MatchKind, Trade, TradeStatus

_ROUNDING_USD: Final = 1
"""A maker's fill may have cost a micro-pUSD less than the same size costs when it is open again."""


class Execution:
    """Turns plans into trades, and takes failed trades back.

    Crowd against crowd leaves no trade record and moves no funds: both sides of it are one purse.
    """

    def __init__(self, floor: Floor) -> None:
        """Owns the settlement of the trades that it makes."""
        self._floor = floor
        self.settlement = Settlement(
            floor.ledger, floor.tape, floor.agenda, floor.ids, floor.config, self._undo
        )

    def carry_out(self, book: MarketBook, taker: Taker, order: Order | None, plan: Plan, now_ms: int) -> None:
        """Do what was planned, in order, before anything else can happen; `order` None is the crowd."""
        taker_id = order.order_id if order is not None else ""
        for bucket, planned in enumerate(plan.trades):
            fills = [fill for fill in planned.fills if order is not None or isinstance(fill.maker, Order)]
            if fills and not taker_id:
                taker_id = self._floor.ids.hash32("crowd order")
            self._take_from_book(book, planned)
            if fills:
                self._trade(book, taker, order, taker_id, planned, fills, bucket, now_ms)
            if order is not None:
                self._tell_taker(order, planned, planned is plan.trades[-1], now_ms)
            self._print(book, taker, planned, now_ms)

    def _take_from_book(self, book: MarketBook, planned: PlannedTrade) -> None:
        """Lock what makers give. It was planned from the pot and the open size before this fill."""
        for fill in planned.fills:
            maker = fill.maker
            if isinstance(maker, Order):
                gives = fill.maker_usd if maker.side is Side.BUY else fill.size_micro
                funds = self._floor.funds_of(maker)
                funds.held -= gives
                funds.locked += gives
                maker.pot_micro -= gives
            book.reduce(maker, fill.size_micro)
            self._floor.tape.touch(book, is_bid=maker.is_bid, book_price=maker.book_price)

    def _trade(
        self,
        book: MarketBook,
        taker: Taker,
        order: Order | None,
        taker_id: str,
        planned: PlannedTrade,
        fills: list[Fill],
        bucket: int,
        now_ms: int,
    ) -> None:
        taker_leg = self._taker_leg(book, taker, order, planned, fills)
        maker_legs = tuple(self._maker_leg(book, fill) for fill in fills)
        trade = self._record(book, taker, order, taker_id, planned, fills, bucket, now_ms)
        settling = Settling(trade, book.market, taker_leg, maker_legs, _pairs(fills))
        for leg in settling.legs:
            if leg.order is not None:
                _count(leg.order, trade.id, leg.size_micro, leg.usd_micro)
        keys = {trade.api_key, *(fill.api_key for fill in trade.maker_fills)} - {CROWD}
        self.settlement.begin(settling, tuple(sorted(keys)), now_ms)
        for leg in maker_legs:
            self._tell_maker(leg, now_ms)

    def _tell_taker(self, order: Order, planned: PlannedTrade, is_last: bool, now_ms: int) -> None:
        if order.budget_micro is None:
            order.open_micro -= planned.size_micro
        if is_last and not (order.open_micro and order.request.order_type.rests):
            self._floor.end(order, OrderStatus.MATCHED)
        self._floor.tape.order(OrderEventKind.UPDATE, order, now_ms)

    def _tell_maker(self, leg: Leg, now_ms: int) -> None:
        if leg.order is None:
            return
        if not leg.order.open_micro:
            self._floor.end(leg.order, OrderStatus.MATCHED)
        self._floor.tape.order(OrderEventKind.UPDATE, leg.order, now_ms)

    def _taker_leg(
        self,
        book: MarketBook,
        taker: Taker,
        order: Order | None,
        planned: PlannedTrade,
        fills: list[Fill],
    ) -> Leg:
        size = sum(fill.size_micro for fill in fills)
        usd = sum(fill.taker_usd for fill in fills)
        token_id = book.market.token_ids[taker.token_index]
        owner = CROWD if order is None else order.request.owner
        if taker.side is Side.BUY:
            leg = Leg(owner, order, size, usd, None, usd + planned.fee_usd, token_id, size)
        else:
            leg = Leg(owner, order, size, usd, token_id, size, None, usd - planned.fee_usd)
        if order is None:
            self._floor.ledger.fund_crowd(book.market, leg.gives, leg.give_micro)
        self._floor.ledger.holding(owner, leg.gives).locked += leg.give_micro
        return leg

    def _maker_leg(self, book: MarketBook, fill: Fill) -> Leg:
        """A crowd maker's purse is refilled and locked here; an account's was moved from its pot already."""
        maker = fill.maker
        token: Asset = book.market.token_ids[maker.token_index]
        give, get = (fill.maker_usd, fill.size_micro), (fill.size_micro, fill.maker_usd)
        gives, gets = (None, token) if maker.side is Side.BUY else (token, None)
        give_micro, get_micro = give if maker.side is Side.BUY else get
        order = maker if isinstance(maker, Order) else None
        owner = CROWD if order is None else order.request.owner
        if order is None:
            self._floor.ledger.fund_crowd(book.market, gives, give_micro)
            self._floor.ledger.holding(owner, gives).locked += give_micro
        return Leg(owner, order, fill.size_micro, fill.maker_usd, gives, give_micro, gets, get_micro)

    def _record(
        self,
        book: MarketBook,
        taker: Taker,
        order: Order | None,
        taker_id: str,
        planned: PlannedTrade,
        fills: list[Fill],
        bucket: int,
        now_ms: int,
    ) -> Trade:
        outcome = book.market.outcomes[taker.token_index]
        return Trade(
            id=self._floor.ids.uuid("trade"),
            taker_order_id=taker_id,
            condition_id=book.market.condition_id,
            token_id=outcome.token_id,
            side=taker.side,
            size_micro=sum(fill.size_micro for fill in fills),
            price_micro=planned.price_micro,
            status=TradeStatus.MATCHED,
            match_ms=now_ms,
            last_update_ms=now_ms,
            owner=CROWD if order is None else order.request.owner,
            maker_fills=tuple(self._maker_fill(book, fill) for fill in fills),
            outcome=outcome.name,
            transaction_hash=None,
            bucket_index=bucket,
            api_key=CROWD if order is None else order.request.api_key,
            maker=CROWD if order is None else order.request.maker,
            fee_rate_bps=book.market.taker_fee_rate_bps,
            fee_usd_micro=planned.fee_usd,
        )

    def _maker_fill(self, book: MarketBook, fill: Fill) -> MakerFill:
        maker = fill.maker
        outcome = book.market.outcomes[maker.token_index]
        request = maker.request if isinstance(maker, Order) else None
        return MakerFill(
            order_id=self._id_of(maker),
            owner=CROWD if request is None else request.owner,
            maker=CROWD if request is None else request.maker,
            matched_micro=fill.size_micro,
            price_micro=maker.price_micro,
            fee_rate_bps=0,
            token_id=outcome.token_id,
            outcome=outcome.name,
            side=maker.side,
            api_key=CROWD if request is None else request.api_key,
            kind=fill.kind,
        )

    def _id_of(self, maker: Resting) -> str:
        # The crowd's pieces come and go by the million; only those that trade need a name.
        if not maker.order_id:
            maker.order_id = self._floor.ids.hash32("crowd order")
        return maker.order_id

    def _print(self, book: MarketBook, taker: Taker, planned: PlannedTrade, now_ms: int) -> None:
        market = book.market
        book.last_price = mirrored(planned.price_micro, taker.token_index)
        event = LastTradeEvent(
            condition_id=market.condition_id,
            token_id=market.token_ids[taker.token_index],
            side=taker.side,
            price_micro=planned.price_micro,
            size_micro=planned.size_micro,
            fee_rate_bps=market.taker_fee_rate_bps,
            timestamp_ms=now_ms,
        )
        self._floor.tape.printed(book, event)

    def _undo(self, leg: Leg, now_ms: int) -> None:
        """A failed trade's part of one order: its size is open again if the order still rests."""
        order = leg.order
        if order is None:
            return
        order.matched_micro -= leg.size_micro
        order.usd_matched_micro -= leg.usd_micro
        if order.status is not OrderStatus.LIVE:
            self._floor.tape.order(OrderEventKind.UPDATE, order, now_ms)
            return
        need, free = self._needs_again(order, leg.size_micro), self._floor.funds_of(order).free
        if need > free + _ROUNDING_USD:
            self._floor.withdraw(order, OrderStatus.CANCELED_NOT_ENOUGH_BALANCE, now_ms)
            return
        self._floor.unrest(order)
        order.open_micro += leg.size_micro
        self._floor.hold(order, min(need, free))
        self._floor.rest(order)
        self._floor.tape.order(OrderEventKind.UPDATE, order, now_ms)

    @staticmethod
    def _needs_again(order: Order, size_micro: int) -> int:
        """What the order must hold to have `size_micro` more open. A taker may have paid a better price
        than its limit, at which the size would rest."""
        if order.side is Side.SELL:
            return size_micro
        return ceil_div(order.price_micro * (order.open_micro + size_micro), MICRO) - order.pot_micro


def _count(order: Order, trade_id: str, size_micro: int, usd_micro: int) -> None:
    order.matched_micro += size_micro
    order.usd_matched_micro += usd_micro
    if not order.trade_ids or order.trade_ids[-1] != trade_id:
        order.trade_ids.append(trade_id)


def _pairs(fills: list[Fill]) -> int:
    """Pairs of outcome tokens that the fills bring into being, or, negative, dissolve."""
    sign = {MatchKind.DIRECT: 0, MatchKind.MINT: 1, MatchKind.MERGE: -1}
    return sum(sign[fill.kind] * fill.size_micro for fill in fills)

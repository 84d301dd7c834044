"""From a posted order to its place: refused, killed, delayed, matched or resting."""

from __future__ import annotations

from polytraders_pfh.paper.core import admission
from polytraders_pfh.paper.core.admission import Refusal
from polytraders_pfh.paper.core.amounts import ceil_div, limit_price
from polytraders_pfh.paper.core.events import OrderEventKind
from polytraders_pfh.paper.core.execution import Execution
from polytraders_pfh.paper.core.floor import Floor
from polytraders_pfh.paper.core.matching import Plan, Taker, plan
from polytraders_pfh.paper.core.model import MICRO, OrderRequest, OrderStatus, OrderType, PostResult, Side
from polytraders_pfh.paper.core.modes import ModeSwitch
from polytraders_pfh.paper.core.orderbook import MarketBook, Order


class Posting:
    """Takes orders in, and lets delayed ones go once their time has come."""

    def __init__(self, floor: Floor, execution: Execution, modes: ModeSwitch) -> None:
        """Works on the exchange's floor."""
        self._floor, self._execution, self._modes = floor, execution, modes

    def post(self, request: OrderRequest, now_ms: int) -> PostResult:
        """Answer as the exchange does. Only orders that were accepted, or killed in the book, are
        registered; any other refusal leaves the hash free."""
        book, index = self._floor.tokens.get(request.token_id, (None, 0))
        refusal = (
            self._modes.refuses_post(request, now_ms)
            or self._duplicated(request)
            or admission.refuses(request, book.market if book else None, now_ms)
        )
        if refusal is not None or book is None:
            return _refused(request.order_id, refusal or Refusal("Invalid order payload"))
        price = limit_price(request, book.market.tick_micro)
        assert price is not None, "admission let an order through that has no price on the grid"
        order = Order(request, book.market, index, price, now_ms)
        planned = plan(book, Taker.of(order))
        marketable = bool(planned.trades) or not request.order_type.rests
        funds = self._floor.funds_of(order)
        refusal = admission.refuses_in_book(order, book.market, planned, marketable, funds)
        if refusal is not None:
            return _refused(request.order_id, refusal)
        self._floor.registry.add(order)
        if marketable and book.market.delay_ms:
            self._delay(book, order, planned, now_ms)
        else:
            self._match(book, order, planned, OrderEventKind.PLACEMENT, now_ms)
        return self.result(order)

    def result(self, order: Order) -> PostResult:
        """What a post of this order answers as things stand now."""
        if order.refusal is not None:
            return _refused(order.order_id, Refusal(order.refusal))
        bought = order.side is Side.BUY
        return PostResult(
            accepted=True,
            http_status=200,
            error=None,
            order_id=order.order_id,
            status=_word(order),
            making_micro=order.usd_matched_micro if bought else order.matched_micro,
            taking_micro=order.matched_micro if bought else order.usd_matched_micro,
            trade_ids=tuple(order.trade_ids),
        )

    def _duplicated(self, request: OrderRequest) -> Refusal | None:
        if request.order_id in self._floor.registry:
            return Refusal(f"order {request.order_id} is invalid. Duplicated.")
        return None

    def _delay(self, book: MarketBook, order: Order, planned: Plan, now_ms: int) -> None:
        order.status = OrderStatus.DELAYED
        order.was_delayed = True
        self._floor.hold(order, admission.needed(order, planned))
        self._floor.tape.order(OrderEventKind.PLACEMENT, order, now_ms)
        self._floor.agenda.at(now_ms + book.market.delay_ms, lambda due: self._let_go(book, order, due))

    def _let_go(self, book: MarketBook, order: Order, now_ms: int) -> None:
        if order.status is not OrderStatus.DELAYED:
            return
        self._floor.release(order)
        planned = plan(book, Taker.of(order))
        if admission.needed(order, planned) > self._floor.funds_of(order).free:
            self._floor.withdraw(order, OrderStatus.CANCELED_NOT_ENOUGH_BALANCE, now_ms)
            return
        self._match(book, order, planned, OrderEventKind.UPDATE, now_ms)

    def _match(
        self, book: MarketBook, order: Order, planned: Plan, told_as: OrderEventKind, now_ms: int
    ) -> None:
        if self._kill(order, planned, now_ms):
            return
        order.status = OrderStatus.LIVE
        self._announce(order, planned, told_as, now_ms)
        self._execution.carry_out(book, Taker.of(order), order, planned, now_ms)
        if order.status is not OrderStatus.LIVE:
            return
        selling = order.side is Side.SELL
        pot = order.open_micro if selling else ceil_div(order.price_micro * order.open_micro, MICRO)
        self._floor.hold(order, pot)
        self._floor.rest(order)
        if order.request.order_type is OrderType.GTD:
            due = order.request.expiration_s * 1000 - admission.GTD_EARLY_MS
            self._floor.agenda.at(due, lambda at: self._expire(order, at))

    def _announce(self, order: Order, planned: Plan, told_as: OrderEventKind, now_ms: int) -> None:
        """A delayed order was announced when it came; now only that it found nobody is news."""
        if told_as is OrderEventKind.PLACEMENT:
            self._floor.tape.order(told_as, order, now_ms)
        elif not planned.trades:
            self._floor.tape.order(told_as, order, now_ms, status=OrderStatus.UNMATCHED)

    def _kill(self, order: Order, planned: Plan, now_ms: int) -> bool:
        kind = order.request.order_type
        if kind is OrderType.FOK and not planned.complete:
            order.refusal, status = admission.FOK_KILLED, OrderStatus.CANCELED_FOK_KILLED
        elif kind is OrderType.FAK and not planned.trades:
            order.refusal, status = admission.FAK_KILLED, OrderStatus.CANCELED_FAK_KILLED
        else:
            return False
        self._floor.end(order, status)
        self._floor.tape.order(OrderEventKind.CANCELLATION, order, now_ms)
        return True

    def _expire(self, order: Order, now_ms: int) -> None:
        if order.status is OrderStatus.LIVE:
            self._floor.withdraw(order, OrderStatus.CANCELED, now_ms)


def _refused(order_id: str, refusal: Refusal) -> PostResult:
    return PostResult(
        accepted=False,
        http_status=refusal.http_status,
        error=refusal.text,
        order_id=order_id,
        code=refusal.code,
        retry_after_s=refusal.retry_after_s,
    )


def _word(order: Order) -> str:
    if order.status is OrderStatus.DELAYED:
        return "delayed"
    if order.trade_ids:
        return "matched"
    return "unmatched" if order.was_delayed else "live"

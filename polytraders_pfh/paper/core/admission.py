"""May this order come in? Every "no" is a value with the exchange's own text (clob_v2 1.4-1.8, 2.2).

Two readings: `refuses` looks at the order alone, `refuses_in_book` at the order against the book and the
owner's funds. A refusal of either kind leaves no trace: the same order may be sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from polytraders_pfh.paper.core import amounts
from polytraders_pfh.paper.core.amounts import ceil_div, decimal_text
from polytraders_pfh.paper.core.ledger import Holding
from polytraders_pfh.paper.core.matching import Plan
from polytraders_pfh.paper.core.model import MICRO, Market, OrderRequest, OrderType, Side
from polytraders_pfh.paper.core.orderbook import Order

MIN_MARKETABLE_USD: Final = MICRO
GTD_LEAD_MS: Final = 180_000
GTD_EARLY_MS: Final = 60_000

FOK_KILLED: Final = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_KILLED: Final = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
CROSSES: Final = "invalid post-only order: order crosses book"
NOT_READY: Final = "the market is not yet ready to process new orders"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A "no" with its HTTP status; `code` and `retry_after_s` accompany some modes."""

    text: str
    http_status: int = 400
    code: str | None = None
    retry_after_s: int | None = None


def refuses(request: OrderRequest, market: Market | None, now_ms: int) -> Refusal | None:
    """What is wrong with the order as it stands, or None."""
    if market is None or market.resolved_token_id is not None:
        return Refusal(f"the orderbook {request.token_id} does not exist")
    if not market.ready:
        return Refusal(NOT_READY)
    if request.maker_amount <= 0 or request.taker_amount <= 0:
        return Refusal("Invalid order payload")
    return (
        _expiration(request, now_ms)
        or _post_only(request)
        or _precision(request, market)
        or _price(request, market)
    )


def refuses_in_book(
    order: Order, market: Market, plan: Plan, marketable: bool, funds: Holding
) -> Refusal | None:
    """What is wrong with the order in this book and with these funds, or None.

    `marketable`: a FOK, a FAK, or anything that crosses. Such an order is bound by 1 pUSD, any other by
    the market's minimum of shares (clob_v2 1.7).
    """
    request = order.request
    if request.post_only and plan.trades:
        return Refusal(CROSSES)
    return _least(request, market, marketable) or _funds(order, plan, funds)


def needed(order: Order, plan: Plan) -> int:
    """What the order commits of its giving asset: shares of a SELL; pUSD of a BUY with the fees of its
    taker part on top (clob_v2 4.4)."""
    if order.side is Side.SELL:
        return order.open_micro
    spends = order.budget_micro
    if spends is None:
        rest = order.price_micro * (order.open_micro - plan.size_micro)
        limit = ceil_div(order.price_micro * order.open_micro, MICRO)
        spends = max(limit, plan.taker_usd + ceil_div(rest, MICRO))
    return spends + plan.fee_usd


def _expiration(request: OrderRequest, now_ms: int) -> Refusal | None:
    if request.order_type is OrderType.GTD:
        fine = request.expiration_s * 1000 >= now_ms + GTD_LEAD_MS
    else:
        fine = request.expiration_s == 0
    return None if fine else Refusal("invalid expiration")


def _post_only(request: OrderRequest) -> Refusal | None:
    if request.post_only and not request.order_type.rests:
        return Refusal("invalid post-only order: only GTC and GTD orders can be post-only")
    return None


def _precision(request: OrderRequest, market: Market) -> Refusal | None:
    side = request.side.value.lower()
    if not request.order_type.rests:
        maker, taker = amounts.MARKET_MAKER_DECIMALS, amounts.MARKET_TAKER_DECIMALS
        side = f"market {side}" if request.side is Side.BUY else side
    elif request.side is Side.BUY:
        maker, taker = amounts.AMOUNT_DECIMALS[market.tick_micro], amounts.SIZE_DECIMALS
    else:
        maker, taker = amounts.SIZE_DECIMALS, amounts.AMOUNT_DECIMALS[market.tick_micro]
    if amounts.has_decimals(request.maker_amount, maker) and amounts.has_decimals(
        request.taker_amount, taker
    ):
        return None
    return Refusal(
        f"invalid amounts, the {side} orders maker amount supports a max accuracy of {maker} decimals, "
        f"taker amount a max of {taker} decimals"
    )


def _price(request: OrderRequest, market: Market) -> Refusal | None:
    if amounts.limit_price(request, market.tick_micro) is not None:
        return None
    price, tick = decimal_text(request.price_micro), decimal_text(market.tick_micro)
    return Refusal(
        f"order {request.order_id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}"
    )


def _least(request: OrderRequest, market: Market, marketable: bool) -> Refusal | None:
    if marketable:
        if request.usd_micro >= MIN_MARKETABLE_USD:
            return None
        cents = request.usd_micro // 10_000
        return Refusal(
            f"invalid amount for a marketable {request.side.value} order "
            f"(${cents // 100}.{cents % 100:02d}), min size: $1"
        )
    if request.size_micro >= market.min_size_micro:
        return None
    size, least = decimal_text(request.size_micro), decimal_text(market.min_size_micro)
    return Refusal(f"order {request.order_id} is invalid. Size ({size}) lower than the minimum: {least}")


def _funds(order: Order, plan: Plan, funds: Holding) -> Refusal | None:
    amount = needed(order, plan)
    if amount <= funds.free:
        return None
    parts = [f"balance: {funds.total}"]
    if funds.held:
        parts.append(f"sum of active orders: {funds.held}")
    if funds.locked:
        parts.append(f"sum of matched orders: {funds.locked}")
    label = "order amount (inc. fees)" if len(parts) > 1 or plan.fee_usd else "order amount"
    parts.append(f"{label}: {amount}")
    return Refusal(f"not enough balance / allowance: the balance is not enough -> {', '.join(parts)}")

"""An order as it comes in: from what was signed here, or from the first that the exchange says of it."""

from polytraders_hookspecs import Strategy, UnsignedOrder

from polytraders_pfh.host.orders import TrackedOrder
from polytraders_pfh.host.payloads import OrderNews


def order_from_signed(
    order_id: str,
    unsigned: UnsignedOrder,
    strategy: Strategy | None,
    root: TrackedOrder | None,
    declared: bytes = b"",
) -> TrackedOrder:
    """Return an order that was signed here. A chase order inherits its root's strategy and DecisionReport."""
    return TrackedOrder(
        order_id=order_id,
        market_id=unsigned.market_id,
        token_id=unsigned.token_id,
        trace_id=unsigned.trace_id,
        side=unsigned.side,
        price_micro=unsigned.price_micro,
        size_micro=unsigned.size_micro,
        builder_code=unsigned.builder_code,
        neg_risk=unsigned.neg_risk,
        strategy=strategy or (root.strategy if root else None),
        expires=unsigned.order_type == "GTD",
        ruled=strategy is None and root is not None and root.ruled,
        root_order_id=unsigned.root_order_id,
        declared=declared or (root.declared if root else b""),
    )


def order_from_news(news: OrderNews, size_micro: int) -> TrackedOrder:
    """Return an order that another tool posted. Its trace id is a function of its hash."""
    return TrackedOrder(
        order_id=news.order_id,
        market_id=news.market_id,
        token_id=news.token_id,
        trace_id=f"trc_{news.order_id[2:18]}",
        side=news.side,
        price_micro=news.price_micro,
        size_micro=size_micro,
        adopted=True,
        expires=bool(news.expiration_s),
        live=True,
    )

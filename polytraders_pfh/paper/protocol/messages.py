"""The exchange's events as WebSocket messages of the market and user channels.

All numbers are strings. Order times are milliseconds here, unlike REST; a trade's match time stays seconds.
"""

import hashlib
from collections.abc import Iterable, Mapping

from polytraders_pfh.paper.core.amounts import decimal_text
from polytraders_pfh.paper.core.events import (
    LastTradeEvent,
    LevelChange,
    MarketResolvedEvent,
    OrderEvent,
    PriceChangeEvent,
    TickSizeEvent,
    TradeEvent,
)
from polytraders_pfh.paper.core.model import BookView, Market, OrderStatus, OrderType, Side
from polytraders_pfh.paper.protocol import shapes
from polytraders_pfh.paper.protocol.shapes import Json

_KILLED = (OrderStatus.CANCELED_FOK_KILLED, OrderStatus.CANCELED_FAK_KILLED)
_ONLY_REST = ("min_order_size", "neg_risk")
_ONLY_FIRST = ("tick_size", "last_trade_price")


def book(view: BookView, *, first: bool) -> Json:
    """A full snapshot; only the `first` after subscribing carries tick size and last price."""
    left_out = _ONLY_REST if first else _ONLY_REST + _ONLY_FIRST
    fields = {name: value for name, value in shapes.book(view).items() if name not in left_out}
    return {**fields, "event_type": "book"}


def price_change(event: PriceChangeEvent) -> Json:
    """Absolute new sizes per level, "0" for a level that is gone, both tokens in one message."""
    return {
        "market": event.condition_id,
        "price_changes": [_level_change(change, event.timestamp_ms) for change in event.changes],
        "timestamp": str(event.timestamp_ms),
        "event_type": "price_change",
    }


def best_bid_ask(change: LevelChange, event: PriceChangeEvent) -> Json:
    """The best prices of one token; "0" and "1" stand for an empty side, as in `price_change`."""
    bid, ask = _best(change)
    return {
        "market": event.condition_id,
        "asset_id": change.token_id,
        "best_bid": decimal_text(bid),
        "best_ask": decimal_text(ask),
        "spread": decimal_text(ask - bid),
        "timestamp": str(event.timestamp_ms),
        "event_type": "best_bid_ask",
    }


def last_trade_price(event: LastTradeEvent) -> Json:
    """A print in the taker's token and side."""
    return {
        "market": event.condition_id,
        "asset_id": event.token_id,
        "price": decimal_text(event.price_micro),
        "size": decimal_text(event.size_micro),
        "side": str(event.side),
        "fee_rate_bps": str(event.fee_rate_bps),
        "timestamp": str(event.timestamp_ms),
        "event_type": "last_trade_price",
    }


def tick_size_change(event: TickSizeEvent, token_id: str) -> Json:
    """The new grid, told once per token."""
    return {
        "market": event.condition_id,
        "asset_id": token_id,
        "old_tick_size": decimal_text(event.old_tick_micro),
        "new_tick_size": decimal_text(event.new_tick_micro),
        "timestamp": str(event.timestamp_ms),
        "event_type": "tick_size_change",
    }


def market_resolved(event: MarketResolvedEvent, market: Market) -> Json:
    """The market is over; sent to connections with custom_feature_enabled."""
    return {
        "id": event.condition_id,
        "market": event.condition_id,
        "assets_ids": list(market.token_ids),
        "winning_asset_id": event.winning_token_id,
        "winning_outcome": event.winning_outcome,
        "timestamp": str(event.timestamp_ms),
        "tags": [],
        "event_type": "market_resolved",
    }


def order(event: OrderEvent) -> Json:
    """An order message of the user channel; `size_matched` is cumulative.

    A FOK or FAK BUY shows its pUSD budget as `original_size`; a killed one has empty size and creation time.
    """
    record, request = event.record, event.record.request
    killed = record.status in _KILLED and record.size_matched_micro == 0
    in_usd = request.side is Side.BUY and request.order_type in (OrderType.FOK, OrderType.FAK)
    size_micro = request.maker_amount if in_usd else record.original_size_micro
    return {
        "id": record.order_id,
        "owner": request.api_key,
        "market": record.condition_id,
        "asset_id": request.token_id,
        "side": str(request.side),
        "order_owner": request.api_key,
        "original_size": decimal_text(size_micro),
        "size_matched": "" if killed else decimal_text(record.size_matched_micro),
        "price": decimal_text(record.price_micro),
        "associate_trades": list(record.associate_trades),
        "outcome": "" if killed else record.outcome,
        "type": str(event.kind),
        "created_at": "" if killed else str(record.created_ms),
        "expiration": str(request.expiration_s),
        "order_type": str(request.order_type),
        "status": str(record.status),
        "maker_address": request.maker,
        "timestamp": str(event.timestamp_ms),
        "event_type": "order",
    }


def trades(event: TradeEvent) -> Iterable[tuple[str, Json]]:
    """Yield (api key, message) for everyone who took part: the taker once, every other maker key once.

    `owner` is the reader's own key, `trade_owner` the taker's.
    """
    value = event.trade
    for api_key in dict.fromkeys((value.api_key, *(fill.api_key for fill in value.maker_fills))):
        yield (
            api_key,
            {
                **shapes.trade(value, api_key),
                "owner": shapes.public_key(api_key),
                "trade_owner": shapes.public_key(value.api_key),
                "type": "TRADE",
                "timestamp": str(event.timestamp_ms),
                "event_type": "trade",
            },
        )


def _level_change(change: LevelChange, timestamp_ms: int) -> Json:
    bid, ask = _best(change)
    fields: Mapping[str, str] = {
        "asset_id": change.token_id,
        "price": decimal_text(change.price_micro),
        "size": decimal_text(change.size_micro),
        "side": str(change.side),
    }
    return {
        **fields,
        "hash": hashlib.sha1(
            f"{timestamp_ms}|{'|'.join(fields.values())}".encode(), usedforsecurity=False
        ).hexdigest(),
        "best_bid": decimal_text(bid),
        "best_ask": decimal_text(ask),
    }


def _best(change: LevelChange) -> tuple[int, int]:
    bid = 0 if change.best_bid_micro is None else change.best_bid_micro
    ask = 1_000_000 if change.best_ask_micro is None else change.best_ask_micro
    return bid, ask

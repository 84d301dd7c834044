"""The exchange's values as the JSON its REST endpoints answer with.

Numbers are decimal strings except where a comment says otherwise. Field by field these follow the exchange's
API reference and recorded answers; WebSocket messages are in `messages`.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from polytraders_pfh.paper.core.amounts import decimal_text
from polytraders_pfh.paper.core.model import (
    CROWD,
    MICRO,
    BookView,
    CancelResult,
    Levels,
    Market,
    OrderRecord,
    PostResult,
)
from polytraders_pfh.paper.core.trades import MakerFill, Trade

Json = dict[str, object]
MAX_ALLOWANCE: Final = 2**256 - 1
CROWD_KEY: Final = "00000000-0000-4000-8000-0000000c40d0"
CROWD_ADDRESS: Final = "0x00000000000000000000000000000000000c40d0"


def book(view: BookView) -> Json:
    """GET /book: bids ascending, asks descending, best last; `hash` as the SDK recomputes it."""
    answer: Json = {
        "market": view.condition_id,
        "asset_id": view.token_id,
        "timestamp": str(view.timestamp_ms),
        "hash": "",
        "bids": levels(view.bids),
        "asks": levels(view.asks),
        "min_order_size": decimal_text(view.min_size_micro),
        "tick_size": decimal_text(view.tick_micro),
        "neg_risk": view.neg_risk,
        "last_trade_price": last_price(view),
    }
    # The exchange hashes this very key order with an empty hash field.
    answer["hash"] = hashlib.sha1(compact(answer), usedforsecurity=False).hexdigest()
    return answer


def levels(pairs: Levels) -> list[Json]:
    """Price levels as the book lists them."""
    return [{"price": decimal_text(price), "size": decimal_text(size)} for price, size in pairs]


def last_price(view: BookView) -> str:
    """The last trade's price, or "" before the first trade."""
    return "" if view.last_trade_price_micro is None else decimal_text(view.last_trade_price_micro)


def clob_market(market: Market) -> Json:
    """GET /clob-markets/{condition_id}; numbers are JSON numbers, `nr` and `itode` left out when false."""
    answer: Json = {
        "gst": None if market.game_start_ms is None else _iso(market.game_start_ms),
        "t": [{"t": outcome.token_id, "o": outcome.name} for outcome in market.outcomes],
        "mos": json_number(market.min_size_micro),
        "mts": json_number(market.tick_micro),
        "mbf": 0,
        "tbf": market.taker_fee_rate_bps,
        "fd": {"r": json_number(market.taker_fee_rate_micro), "e": market.fee_exponent, "to": True},
        "oas": 0,
        "r": None,
    }
    flags = {"nr": market.neg_risk, "itode": market.taker_delay_ms > 0}
    return answer | {name: True for name, is_set in flags.items() if is_set}


def market_by_token(market: Market) -> Json:
    """GET /markets-by-token/{token_id}."""
    primary, secondary = market.token_ids
    return {
        "condition_id": market.condition_id,
        "primary_token_id": primary,
        "secondary_token_id": secondary,
    }


def posted(result: PostResult) -> Json:
    """POST /order when accepted. Amounts are human decimals, and hashes are no longer filled in line."""
    return {
        "errorMsg": result.error or "",
        "orderID": result.order_id if result.accepted else "",
        "takingAmount": _amount(result.taking_micro),
        "makingAmount": _amount(result.making_micro),
        "status": result.status,
        "transactionsHashes": [],
        "tradeIDs": list(result.trade_ids),
        "success": result.accepted,
    }


def posted_leg(result: PostResult) -> Json:
    """One leg of POST /orders. A refused leg still says success, with an empty id and its text."""
    return {**posted(result), "success": True}


def cancelled(result: CancelResult) -> Json:
    """The answer of every cancel endpoint."""
    return {"canceled": list(result.canceled), "not_canceled": dict(result.not_canceled)}


def order(record: OrderRecord) -> Json:
    """GET /data/order/{id}: sizes in shares, `created_at` an integer of unix seconds."""
    request = record.request
    return {
        "id": record.order_id,
        "status": str(record.status),
        "owner": request.api_key,
        "maker_address": request.maker,
        "market": record.condition_id,
        "asset_id": request.token_id,
        "side": str(request.side),
        "original_size": decimal_text(record.original_size_micro),
        "size_matched": decimal_text(record.size_matched_micro),
        "price": decimal_text(record.price_micro),
        "outcome": record.outcome,
        "expiration": str(request.expiration_s),
        "order_type": str(request.order_type),
        "associate_trades": list(record.associate_trades),
        "created_at": record.created_ms // 1_000,
    }


def trade(value: Trade, api_key: str) -> Json:
    """One row of GET /data/trades as `api_key` sees it: the top level is always the taker's side of it."""
    return {
        "id": value.id,
        "taker_order_id": value.taker_order_id,
        "market": value.condition_id,
        "asset_id": value.token_id,
        "side": str(value.side),
        "size": decimal_text(value.size_micro),
        "fee_rate_bps": str(value.fee_rate_bps),
        "price": decimal_text(value.price_micro),
        "status": str(value.status),
        "match_time": str(value.match_ms // 1_000),
        "last_update": str(value.last_update_ms // 1_000),
        "outcome": value.outcome,
        "bucket_index": value.bucket_index,
        "owner": public_key(value.api_key),
        "maker_address": public_address(value.maker),
        "transaction_hash": value.transaction_hash or "",
        "maker_orders": [maker_order(fill) for fill in value.maker_fills],
        "trader_side": "TAKER" if value.api_key == api_key else "MAKER",
    }


def maker_order(fill: MakerFill) -> Json:
    """One entry of a trade's `maker_orders`: the maker's own token, side and price."""
    return {
        "order_id": fill.order_id,
        "owner": public_key(fill.api_key),
        "maker_address": public_address(fill.maker),
        "matched_amount": decimal_text(fill.matched_micro),
        "price": decimal_text(fill.price_micro),
        "fee_rate_bps": str(fill.fee_rate_bps),
        "asset_id": fill.token_id,
        "outcome": fill.outcome,
        "side": str(fill.side),
    }


def page(rows: Sequence[Json], next_cursor: str, limit: int) -> Json:
    """The envelope of every list; `next_cursor` is LTE= on the last page."""
    return {"limit": limit, "count": len(rows), "next_cursor": next_cursor, "data": list(rows)}


def balance_allowance(balance_micro: int, spenders: Iterable[str]) -> Json:
    """GET /balance-allowance: 6-decimal integers as strings, open orders not subtracted."""
    return {
        "balance": str(balance_micro),
        "allowances": {spender: str(MAX_ALLOWANCE) for spender in spenders},
    }


def public_key(api_key: str) -> str:
    """The key uuid shown for an order's owner; anonymous liquidity has one of its own."""
    return CROWD_KEY if api_key == CROWD else api_key


def public_address(account: str) -> str:
    """The address shown for a maker; anonymous liquidity has one of its own."""
    return CROWD_ADDRESS if account == CROWD else account


def json_number(micro: int) -> int | float:
    """A 10^-6 integer as a JSON number, for the few fields that are not strings on the wire.

    The float only carries digits: grids and rates have at most six decimals, so it prints back exactly.
    """
    return micro // MICRO if micro % MICRO == 0 else float(decimal_text(micro))


def compact(message: object) -> bytes:
    """JSON the way the exchange writes it: no spaces, UTF-8."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def _amount(micro: int) -> str:
    # A resting order has moved nothing yet, and the exchange writes that as an empty string.
    return decimal_text(micro) if micro else ""


def _iso(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""The exchange's answers, read into values that the core can judge. What cannot be read is None there.

Answers are read as strictly as events: exact numbers, no duplicate keys. Sizes are decimal shares on
the wire, though the published schema says fixed-point (clob_v2 3.4).
"""

from typing import Any

from polytraders_hookspecs.errors import WireError
from polytraders_hookspecs.orders import ExchangeReply
from polytraders_hookspecs.wire import read_amount, read_json, to_micro

from polytraders_pfh.core.outcomes import CancelAnswer, OrderRecord, PostAnswer

_MAX_TRADES_BYTES = 8 * 1024 * 1024
_RATE_LIMIT_HEADERS = "poly-ratelimit-"


def read_cancel(reply: ExchangeReply) -> CancelAnswer:
    """Return a cancel's answer."""
    body = _object(reply)
    canceled, not_canceled = body.get("canceled"), body.get("not_canceled")
    return CancelAnswer(
        status=reply.status,
        canceled=frozenset(map(str, canceled)) if isinstance(canceled, list) else None,
        not_canceled={str(k): str(v) for k, v in not_canceled.items()}
        if isinstance(not_canceled, dict)
        else None,
        from_matching=_from_matching(reply),
        sent=reply.sent,
    )


def read_post(reply: ExchangeReply) -> PostAnswer:
    """Return a post's answer."""
    body = _object(reply)
    success = body.get("success")
    return PostAnswer(
        status=reply.status,
        success=success if isinstance(success, bool) else None,
        error=str(body.get("errorMsg") or body.get("error") or ""),
        order_id=str(body.get("orderID") or ""),
        order_status=str(body.get("status") or "").lower(),
        from_matching=_from_matching(reply),
        sent=reply.sent,
    )


def read_record(reply: ExchangeReply, order_id: str) -> OrderRecord:
    """Return an order's record; one of another order reads as no record at all."""
    body = _object(reply)
    if reply.status == 200 and str(body.get("id") or "").lower() != order_id:
        return OrderRecord(None)
    return OrderRecord(
        http_status=reply.status,
        order_status=str(body.get("status") or ""),
        size_micro=_micro(body.get("original_size")),
        matched_micro=_micro(body.get("size_matched")),
        price_micro=_micro(body.get("price")),
    )


def read_traded(reply: ExchangeReply, order_id: str) -> int | None:
    """Return how much of an order this account's trades add up to, in micro-shares; None when unreadable.

    As a taker the trade's own size is ours; as a maker ours stands in `maker_orders`, whatever token the
    taker bought (clob_v2 3.5). A failed trade is void.
    """
    if reply.status != 200:
        return None
    try:
        trades = read_json(reply.body, _MAX_TRADES_BYTES)
    except WireError:
        return None
    if not isinstance(trades, list):
        return None
    sizes = [_traded(trade, order_id) for trade in trades if isinstance(trade, dict)]
    return None if None in sizes or len(sizes) < len(trades) else sum(size for size in sizes if size)


def _traded(trade: dict[str, Any], order_id: str) -> int | None:
    if str(trade.get("status") or "").upper().removeprefix("TRADE_STATUS_") == "FAILED":
        return 0
    if str(trade.get("taker_order_id") or "").lower() == order_id:
        return _micro(trade.get("size"))
    makers = trade.get("maker_orders")
    if not isinstance(makers, list):
        return 0
    ours = [m for m in makers if isinstance(m, dict) and str(m.get("order_id") or "").lower() == order_id]
    sizes = [_micro(maker.get("matched_amount")) for maker in ours]
    return None if None in sizes else sum(size for size in sizes if size)


def refusal(reply: ExchangeReply) -> str:
    """Return the exchange's own words of why, for a report; short, and never secret."""
    body = _object(reply)
    words = str(body.get("errorMsg") or body.get("error") or reply.detail or "")
    return f"{words[:200]} (HTTP {reply.status})" if reply.status is not None else words[:200] or "no answer"


def _object(reply: ExchangeReply) -> dict[str, Any]:
    if reply.status is None or not reply.body:
        return {}
    try:
        body = read_json(reply.body)
    except WireError:
        return {}
    return body if isinstance(body, dict) else {}


def _micro(value: object) -> int | None:
    try:
        return to_micro(read_amount(value))
    except ValueError:
        return None


def _from_matching(reply: ExchangeReply) -> bool:
    return not any(name.startswith(_RATE_LIMIT_HEADERS) for name in reply.headers)

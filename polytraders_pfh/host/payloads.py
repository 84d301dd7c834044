"""The exchange's payloads as values: exact integers from text, whatever the order of things on the wire.

Sizes are decimal shares and prices decimal pUSD on the wire; empty text and null mean "not said".
Books come in any order of levels, ids may be prefixed, statuses carry free text (exchange docs).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, cast

from polytraders_hookspecs import BookSnapshot, Level
from polytraders_hookspecs.events import Side, TradingStatus
from polytraders_hookspecs.nesting import nests_too_deep
from polytraders_hookspecs.wire import shown

from polytraders_pfh.host.errors import PayloadError

Standing = Literal["unknown", "live", "matched", "cancelled"]
"""What a status word says: `matched` is the exchange's word, and does not mean filled to the last share."""

_LIVE: Final = frozenset({"LIVE", "DELAYED", "UNMATCHED"})
_MICRO_DIGITS: Final = 6
_MAX_WHOLE_DIGITS: Final = 12
_MS_DIGITS: Final = 13
_MAX_MS_DIGITS: Final = 18
_HASH: Final = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_TOKEN: Final = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OrderNews:
    """One sighting of an order: a record read by REST, or an event of the user channel.

    `matched_micro` is cumulative, None when not said; `ts_ms` is the exchange's time, None in a record.
    """

    order_id: str
    market_id: str
    token_id: str
    side: Side
    price_micro: int
    size_micro: int | None
    matched_micro: int | None
    standing: Standing
    order_type: str = ""
    expiration_s: int = 0
    maker: str = ""
    ts_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """One order's part in a trade. `ours` is False only where the payload names another owner."""

    order_id: str
    shares_micro: int
    ours: bool


@dataclass(frozen=True, slots=True)
class TradeNews:
    """One sighting of a trade. A failed trade is void: its fills are taken back."""

    trade_id: str
    market_id: str
    failed: bool
    fills: tuple[Fill, ...]


def decode(body: bytes | str) -> Any:
    """Return JSON with fractions as Decimal.

    Raises:
        PayloadError: Not JSON.
    """
    if nests_too_deep(body):
        raise PayloadError(f"an answer of {len(body)} bytes nested too deeply; treat it as no answer")
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, ArithmeticError) as e:  # the latter of a number that no Decimal holds
        raise PayloadError(
            f"an answer of {len(body)} bytes was not JSON ({e}); treat it as no answer"
        ) from None


def micro(value: object, name: str) -> int:
    """Return a decimal number, as text or a JSON number, in exact millionths.

    Raises:
        PayloadError: Not a plain non-negative decimal with at most 12 digits before and 6 behind the point.
    """
    whole, _, rest = str(value).partition(".")
    rest = rest.rstrip("0")
    digits = whole + rest
    if (
        not whole
        or not digits.isascii()
        or not digits.isdigit()
        or len(whole) > _MAX_WHOLE_DIGITS
        or len(rest) > _MICRO_DIGITS
        or isinstance(value, bool)
    ):
        raise PayloadError(f"{name} was {shown(value)}; a plain decimal with at most 6 places belongs there")
    return int(whole) * 1_000_000 + int(rest.ljust(_MICRO_DIGITS, "0"))


def maybe_micro(value: object, name: str) -> int | None:
    """Return `micro`, or None where the exchange said nothing (absent, null, empty text)."""
    return None if value is None or value == "" else micro(value, name)


def millis(value: object) -> int | None:
    """Return a time in Unix milliseconds from seconds, milliseconds or ISO 8601 text, or None.

    A time before 1970 or of more than 18 digits is none.
    """
    text = str(value).partition(".")[0] if not isinstance(value, str) else value
    if text.isascii() and text.isdigit():
        if len(text) > _MAX_MS_DIGITS:
            return None
        return int(text) if len(text) >= _MS_DIGITS else int(text) * 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return ms if ms >= 0 else None


def members_of(value: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        PayloadError: It is something else.
    """
    if not isinstance(value, dict):
        raise PayloadError(f"{what} was {shown(value)}; one JSON object belongs there")
    return cast(Mapping[str, Any], value)


def text_of(members: Mapping[str, Any], name: str) -> str:
    """Return a member that must be a text with something in it.

    Raises:
        PayloadError: It is absent, empty or something else.
    """
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise PayloadError(f"{name} was {shown(value)}; a text belongs there")
    return value


def hash_of(members: Mapping[str, Any], name: str) -> str:
    """Return an order or condition id, in lower case.

    Raises:
        PayloadError: Not 0x and 64 hex digits.
    """
    value = text_of(members, name).lower()
    if not _HASH.fullmatch(value):
        raise PayloadError(f"{name} was {shown(value)}; 0x and 64 hex digits belong there")
    return value


def token_of(members: Mapping[str, Any], name: str = "asset_id") -> str:
    """Return an outcome token's id.

    Raises:
        PayloadError: Not a decimal number as text.
    """
    value = text_of(members, name)
    if not _TOKEN.fullmatch(value):
        raise PayloadError(f"{name} was {shown(value)}; a decimal number as text belongs there")
    return value


def side_of(members: Mapping[str, Any]) -> Side:
    """Return `side`.

    Raises:
        PayloadError: Neither BUY nor SELL.
    """
    side = text_of(members, "side").upper()
    if side not in {"BUY", "SELL"}:
        raise PayloadError(f"side was {shown(side)}; BUY or SELL belongs there")
    return cast(Side, side)


def levels(value: object, name: str) -> tuple[Level, ...]:
    """Return `[{price, size}]` as exact levels, in the order they came."""
    if not isinstance(value, list):
        raise PayloadError(f"{name} was {shown(value)}; a list of levels belongs there")
    return tuple(
        (micro(level["price"], f"{name}.price"), micro(level["size"], f"{name}.size"))
        if isinstance(level, dict) and "price" in level and "size" in level
        else _no_level(name, level)
        for level in value
    )


def _no_level(name: str, level: object) -> Level:
    raise PayloadError(f"{name} held {shown(level)}; a level with price and size belongs there")


def book_snapshot(
    members: Mapping[str, Any],
    *,
    trading: TradingStatus = "open",
    closes_at_ms: int | None = None,
    now_ms: int,
) -> BookSnapshot:
    """Return a book, from GET /book or a `book` message. Nothing is sorted and nothing computed.

    Raises:
        PayloadError: A field is unreadable.
    """
    neg_risk = members.get("neg_risk")
    return BookSnapshot(
        token_id=token_of(members),
        market_id=hash_of(members, "market"),
        bids=levels(members.get("bids"), "bids"),
        asks=levels(members.get("asks"), "asks"),
        timestamp_ms=millis(members.get("timestamp")) or now_ms,
        tick_micro=maybe_micro(members.get("tick_size"), "tick_size"),
        min_size_micro=maybe_micro(members.get("min_order_size"), "min_order_size"),
        neg_risk=neg_risk if isinstance(neg_risk, bool) else None,
        trading=trading,
        closes_at_ms=closes_at_ms,
    )


def order_news(members: Mapping[str, Any]) -> OrderNews:
    """Return a sighting of an order, from /data/order(s) or an `order` message.

    Raises:
        PayloadError: A field is unreadable.
    """
    order_type = members.get("order_type")
    return OrderNews(
        order_id=hash_of(members, "id"),
        market_id=hash_of(members, "market"),
        token_id=token_of(members),
        side=side_of(members),
        price_micro=micro(members.get("price"), "price"),
        size_micro=maybe_micro(members.get("original_size"), "original_size"),
        matched_micro=maybe_micro(members.get("size_matched"), "size_matched"),
        standing=_standing(members),
        order_type=order_type if isinstance(order_type, str) else "",
        expiration_s=_expiration_s(members.get("expiration")),
        maker=str(members.get("maker_address") or "").lower(),
        ts_ms=millis(members.get("timestamp")),
    )


def _expiration_s(value: object) -> int:
    """Return Unix seconds, 0 where the order rests until it is cancelled (absent, null, empty or "0")."""
    return (millis(value) or 0) // 1_000 if value not in (None, "") else 0


def _standing(members: Mapping[str, Any]) -> Standing:
    status = str(members.get("status") or "").upper().removeprefix("ORDER_STATUS_")
    if members.get("type") == "CANCELLATION" or status.startswith("CANCEL") or status == "INVALID":
        return "cancelled"
    if status == "MATCHED":
        return "matched"
    return "live" if status in _LIVE else "unknown"


def trade_news(members: Mapping[str, Any], api_key: str) -> TradeNews:
    """Return a sighting of a trade, from /data/trades or a `trade` message.

    The top level tells the taker's side of it; a maker's own fill stands in `maker_orders` alone.

    Args:
        members: The trade.
        api_key: Whose fills are ours.

    Raises:
        PayloadError: A field is unreadable.
    """
    status = str(members.get("status") or "").upper().removeprefix("TRADE_STATUS_")
    taker = Fill(
        order_id=text_of(members, "taker_order_id").lower(),
        shares_micro=micro(members.get("size"), "size"),
        ours=members.get("trader_side") == "TAKER",
    )
    makers = members.get("maker_orders") or []
    if not isinstance(makers, Sequence) or isinstance(makers, str):
        raise PayloadError(f"maker_orders was {shown(makers)}; a list belongs there")
    return TradeNews(
        trade_id=text_of(members, "id"),
        market_id=hash_of(members, "market"),
        failed=status == "FAILED",
        fills=(taker, *(_maker_fill(members_of(maker, "a maker order"), api_key) for maker in makers)),
    )


def _maker_fill(members: Mapping[str, Any], api_key: str) -> Fill:
    return Fill(
        order_id=text_of(members, "order_id").lower(),
        shares_micro=micro(members.get("matched_amount"), "matched_amount"),
        ours=members.get("owner") == api_key,
    )

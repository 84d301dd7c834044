"""The market channel's messages as the contract's `BookUpdate` models. Types not listed here are ignored."""

from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, Final

from polytraders_hookspecs import BookUpdate, LastTrade, PriceChange, TickSizeChange
from polytraders_hookspecs.wire import shown

from polytraders_pfh.host.errors import PayloadError
from polytraders_pfh.host.payloads import (
    book_snapshot,
    maybe_micro,
    members_of,
    micro,
    millis,
    side_of,
    token_of,
)

_Reader = Callable[[Mapping[str, Any], Set[str], int], Iterator[BookUpdate]]


def book_updates(members: Mapping[str, Any], tokens: Set[str], now_ms: int) -> Iterator[BookUpdate]:
    """Yield what a message says about `tokens`; a message often carries the market's other token too.

    Raises:
        PayloadError: A field is unreadable.
    """
    reader = _READERS.get(str(members.get("event_type")))
    if reader is not None:
        yield from reader(members, tokens, millis(members.get("timestamp")) or now_ms)


def _of_ours(members: Mapping[str, Any], tokens: Set[str]) -> bool:
    token_id = members.get("asset_id")
    return isinstance(token_id, str) and token_id in tokens


def _book(members: Mapping[str, Any], tokens: Set[str], ts_ms: int) -> Iterator[BookUpdate]:
    if _of_ours(members, tokens):
        yield book_snapshot(members, now_ms=ts_ms)


def _price_change(members: Mapping[str, Any], tokens: Set[str], ts_ms: int) -> Iterator[BookUpdate]:
    changes = members.get("price_changes")
    if not isinstance(changes, list):
        raise PayloadError(f"price_changes was {shown(changes)}; a list belongs there")
    for change in changes:
        level = members_of(change, "a price change")
        if _of_ours(level, tokens):
            yield PriceChange(
                token_id=token_of(level),
                bid=side_of(level) == "BUY",
                price_micro=micro(level.get("price"), "price"),
                size_micro=micro(level.get("size"), "size"),
                timestamp_ms=ts_ms,
                best_bid_micro=maybe_micro(level.get("best_bid"), "best_bid"),
                best_ask_micro=maybe_micro(level.get("best_ask"), "best_ask"),
            )


def _last_trade(members: Mapping[str, Any], tokens: Set[str], ts_ms: int) -> Iterator[BookUpdate]:
    if _of_ours(members, tokens):
        yield LastTrade(
            token_id=token_of(members),
            side=side_of(members),
            price_micro=micro(members.get("price"), "price"),
            size_micro=micro(members.get("size"), "size"),
            timestamp_ms=ts_ms,
        )


def _tick_size(members: Mapping[str, Any], tokens: Set[str], ts_ms: int) -> Iterator[BookUpdate]:
    if _of_ours(members, tokens):
        yield TickSizeChange(
            token_id=token_of(members),
            old_tick_micro=micro(members.get("old_tick_size"), "old_tick_size"),
            new_tick_micro=micro(members.get("new_tick_size"), "new_tick_size"),
            timestamp_ms=ts_ms,
        )


_READERS: Final[dict[str, _Reader]] = {
    "book": _book,
    "price_change": _price_change,
    "last_trade_price": _last_trade,
    "tick_size_change": _tick_size,
}

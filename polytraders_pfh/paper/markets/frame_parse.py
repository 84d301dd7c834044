"""From one market-channel message to one frame, exactly.

The messages are those of the venue's market WebSocket (docs.polymarket.com, market channel): numbers are
decimal text. Text becomes integers without a float on the way; what has no exact place in micro units is
refused with its reason, never rounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from polytraders_hookspecs.nesting import nests_too_deep

from polytraders_pfh.paper.core.model import Side
from polytraders_pfh.paper.markets.frames import (
    PRICE_ONE_MICRO,
    TICKS_MICRO,
    BookFrame,
    Frame,
    LastTradeFrame,
    Levels,
    LevelSet,
    PriceChangeFrame,
    TickSizeFrame,
)
from polytraders_pfh.paper.markets.segments import ReadLog

Message: TypeAlias = dict[str, Any]

_DECIMAL = re.compile(r"([0-9]{0,15})(?:\.([0-9]{0,30}))?")
_FIRST_MS, _LAST_MS = 10**12, 10**13


class FrameFault(ValueError):
    """Why one message could not become a frame; the reader adds file and row."""


@lru_cache(maxsize=65_536)
def micro_of_text(text: str) -> int:
    """The decimal `text` in micro units. FrameFault unless it is plain and has at most six decimals."""
    match = _DECIMAL.fullmatch(text)
    if match is None or not text.strip("."):
        raise FrameFault(f"a number was {text!r}, which is not a plain decimal")
    whole, fraction = match[1] or "0", (match[2] or "").rstrip("0")
    if len(fraction) > 6:
        raise FrameFault(f"a number was {text!r}, which has more than six decimals")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0"))


def price_of_text(text: str) -> int:
    """A price in micro units; FrameFault unless it lies strictly between 0 and 1."""
    price = micro_of_text(text)
    if not 0 < price < PRICE_ONE_MICRO:
        raise FrameFault(f"a price was {text!r}, and prices lie between 0 and 1")
    return price


def decode(text: str | bytes) -> object:
    """The JSON in `text` with every number left as its text. Raises ValueError where it is not JSON."""
    if nests_too_deep(text):
        raise ValueError("it nests too deeply to be a message")
    return json.loads(text, parse_float=str, parse_int=str)


def parse_message(message: object, file: str, row: int) -> Frame | str:
    """The frame in one message, or the name of its event type where that is none of the four kept.

    Raises FrameFault with the reason when the message is one of the four and broken, or no message at all.
    """
    if not isinstance(message, dict):
        raise FrameFault(f"the message was a JSON {_json_kind(message)}, not an object")
    event = _text(message, "event_type")
    parse = _PARSERS.get(event)
    return event if parse is None else parse(message, file, row)


def frames_of_row(text: str | bytes | None, file: str, row: int, log: ReadLog) -> Iterator[Frame]:
    """The frames in one recorded row, one message or an array; faults and other events go to `log`."""
    log.rows_read += 1
    if text is None:
        log.fault(file, row, "the row was null")
        return
    try:
        decoded = decode(text)
    except (ValueError, RecursionError) as error:
        log.fault(file, row, f"the row was not whole JSON ({_first_line(error)})")
        return
    for message in decoded if isinstance(decoded, list) else (decoded,):
        try:
            parsed = parse_message(message, file, row)
        except FrameFault as fault:
            log.fault(file, row, str(fault))
            continue
        if isinstance(parsed, str):
            log.other_events[parsed] += 1
        else:
            yield parsed


def sorted_levels(levels: Iterable[tuple[int, int]], *, descending: bool) -> Levels:
    """Levels with the best last; empty ones left out. FrameFault when a price stands twice."""
    kept = tuple(sorted((level for level in levels if level[1]), reverse=descending))
    if len(dict(kept)) != len(kept):
        prices = [price for price, _ in kept]
        twice = next(price for price in prices if prices.count(price) > 1)
        raise FrameFault(f"two levels of one side stood at the price {twice} (micro)")
    return kept


def _book(message: Message, file: str, row: int) -> Frame:
    return BookFrame(
        token_id=_text(message, "asset_id"),
        condition_id=_text(message, "market"),
        timestamp_ms=_timestamp(message),
        bids=_levels(message, "bids", descending=False),
        asks=_levels(message, "asks", descending=True),
        tick_micro=_tick(message["tick_size"]) if message.get("tick_size") else None,
        file=file,
        row=row,
    )


def _price_change(message: Message, file: str, row: int) -> Frame:
    changes = message.get("price_changes")
    if changes is None and "asset_id" in message:
        # The shape before September 2025: one token per message, named at the top.
        changes = message.get("changes")
    if not isinstance(changes, list):
        raise FrameFault("price_changes was not a list")
    return PriceChangeFrame(
        condition_id=_text(message, "market"),
        timestamp_ms=_timestamp(message),
        changes=tuple(_change(change, message) for change in changes),
        file=file,
        row=row,
    )


def _change(change: object, message: Message) -> LevelSet:
    if not isinstance(change, dict):
        raise FrameFault(f"a price change was a JSON {_json_kind(change)}, not an object")
    return LevelSet(
        token_id=_text(change if "asset_id" in change else message, "asset_id"),
        side=_side(change),
        price_micro=price_of_text(_text(change, "price")),
        size_micro=micro_of_text(_text(change, "size")),
        best_bid_micro=micro_of_text(_text(change, "best_bid")) if change.get("best_bid") else None,
        best_ask_micro=micro_of_text(_text(change, "best_ask")) if change.get("best_ask") else None,
    )


def _last_trade(message: Message, file: str, row: int) -> Frame:
    size = micro_of_text(_text(message, "size"))
    if size == 0:
        raise FrameFault("the size of a trade was 0")
    return LastTradeFrame(
        token_id=_text(message, "asset_id"),
        condition_id=_text(message, "market"),
        timestamp_ms=_timestamp(message),
        side=_side(message),
        price_micro=price_of_text(_text(message, "price")),
        size_micro=size,
        transaction_hash=message.get("transaction_hash") or None,
        file=file,
        row=row,
    )


def _tick_change(message: Message, file: str, row: int) -> Frame:
    old = message.get("old_tick_size")
    return TickSizeFrame(
        token_id=_text(message, "asset_id"),
        condition_id=_text(message, "market"),
        timestamp_ms=_timestamp(message),
        old_tick_micro=_tick(old) if old else None,
        new_tick_micro=_tick(_text(message, "new_tick_size")),
        file=file,
        row=row,
    )


_PARSERS = {
    "book": _book,
    "price_change": _price_change,
    "last_trade_price": _last_trade,
    "tick_size_change": _tick_change,
}


@lru_cache(maxsize=65_536)
def _level(price: str, size: str) -> tuple[int, int]:
    return price_of_text(price), micro_of_text(size)


def _levels(message: Message, name: str, *, descending: bool) -> Levels:
    levels = message.get(name)
    if not isinstance(levels, list):
        raise FrameFault(f"{name} was not a list")
    try:
        parsed = [_level(level["price"], level["size"]) for level in levels]
    except (KeyError, TypeError) as error:
        raise FrameFault(f"a level of {name} was not an object with price and size as text") from error
    return sorted_levels(parsed, descending=descending)


def _text(message: Message, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value:
        raise FrameFault(f"{name} was {'missing' if value is None else repr(value)}")
    return value


def _timestamp(message: Message) -> int:
    text = _text(message, "timestamp")
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if not _FIRST_MS <= value < _LAST_MS:
        raise FrameFault(f"timestamp was {text!r}, which is not a time in milliseconds")
    return value


def _tick(value: object) -> int:
    tick = micro_of_text(str(value))
    if tick not in TICKS_MICRO:
        raise FrameFault(f"a tick size was {str(value)!r}, which the venue does not use")
    return tick


def _side(message: Message) -> Side:
    value = message.get("side")
    if value not in ("BUY", "SELL"):
        raise FrameFault(f"side was {value!r}, not BUY or SELL")
    return Side(value)


def _json_kind(value: object) -> str:
    kinds = {list: "array", str: "text", bool: "truth value", type(None): "null"}
    return kinds.get(type(value), "number")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]

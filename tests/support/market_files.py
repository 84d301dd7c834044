"""Small recordings written by the tests themselves, and where the real ones lie."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

BTC5M = Path(__file__).parents[3] / "shared" / "data" / "btc5m"
MARKET = "0x" + "ab" * 32
YES, NO = "1111", "2222"
T0 = 1_776_323_705_283


def book(
    at_ms: int = T0,
    bids: Sequence[tuple[str, str]] = (("0.44", "10"), ("0.45", "20")),
    asks: Sequence[tuple[str, str]] = (("0.48", "30"), ("0.47", "40.5")),
    *,
    token: str = YES,
    market: str = MARKET,
    **more: Any,
) -> dict[str, Any]:
    """A `book` message as the venue sends it."""
    return {
        "market": market,
        "asset_id": token,
        "timestamp": str(at_ms),
        "hash": "00",
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
        "event_type": "book",
    } | more


def price_change(at_ms: int, *changes: tuple[str, str, str, str], market: str = MARKET) -> dict[str, Any]:
    """A `price_change` message of (token, side, price, size) changes."""
    return {
        "market": market,
        "price_changes": [
            {"asset_id": token, "side": side, "price": price, "size": size, "hash": "00"}
            for token, side, price, size in changes
        ],
        "timestamp": str(at_ms),
        "event_type": "price_change",
    }


def last_trade(
    at_ms: int, side: str, price: str, size: str, *, token: str = YES, market: str = MARKET
) -> dict[str, Any]:
    """A `last_trade_price` message."""
    return {
        "market": market,
        "asset_id": token,
        "side": side,
        "price": price,
        "size": size,
        "fee_rate_bps": "0",
        "timestamp": str(at_ms),
        "event_type": "last_trade_price",
    }


def tick_change(at_ms: int, old: str, new: str, *, token: str = YES, market: str = MARKET) -> dict[str, Any]:
    """A `tick_size_change` message."""
    return {
        "market": market,
        "asset_id": token,
        "old_tick_size": old,
        "new_tick_size": new,
        "timestamp": str(at_ms),
        "event_type": "tick_size_change",
    }


def text_of(row: object) -> str:
    """A row as it stands in a file: text as it is, everything else as JSON."""
    return row if isinstance(row, str) else json.dumps(row)


def write_lines(path: Path, rows: Iterable[object], *, zipped: bool = False) -> Path:
    """JSON lines, plain or gzip."""
    data = "".join(text_of(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if zipped else data)
    return path


def write_raw(
    path: Path, rows: Iterable[object | None], *, rows_per_group: int = 1_000, **columns: list[Any]
) -> Path:
    """Parquet with the messages in `raw_data`, and whatever other columns are named."""
    raw = [None if row is None else text_of(row) for row in rows]
    table = pa.table({**columns, "raw_data": pa.array(raw, pa.large_string())})
    pq.write_table(table, path, row_group_size=rows_per_group, write_page_checksum=True)
    return path


def list_row(at_ms: int = T0, side: str = "UP", market: str = MARKET, **more: Any) -> dict[str, Any]:
    """One row of books as lists of doubles, best level first."""
    return {
        "market_id": market,
        "ts": at_ms,
        "side": side,
        "bid_px": [0.45, 0.44],
        "bid_sz": [20.0, 10.0],
        "ask_px": [0.47, 0.48],
        "ask_sz": [40.5, 30.0],
    } | more


def write_lists(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Parquet of books as lists of doubles."""
    doubles = pa.list_(pa.float64())
    schema = pa.schema(
        [("market_id", pa.string()), ("ts", pa.int64()), ("side", pa.string())]
        + [(name, doubles) for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")]
    )
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), path)
    return path

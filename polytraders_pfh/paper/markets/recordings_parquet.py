"""Parquet recordings whose column `raw_data` holds market-channel messages as the venue sent them.

The public BTC 5-minute database (CronosVirus00/polymarket-BTC5min-database, CC BY 4.0) is of this shape.
Only `raw_data` is read for frames: its own `timestamp` orders the rows, never the recorder's clock. Looking
the files over is left to Arrow's kernels, so that opening 36,000 books takes a moment, not a parse of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from polytraders_pfh.paper.markets.frame_parse import FrameFault, frames_of_row, micro_of_text
from polytraders_pfh.paper.markets.frames import TICKS_MICRO, Frame
from polytraders_pfh.paper.markets.market_facts import MarketFacts, gathered
from polytraders_pfh.paper.markets.parquet_files import RowGroup, row_groups, time_ordered
from polytraders_pfh.paper.markets.segments import Index, ReadLog, Segment, in_time_order

RAW_COLUMN = "raw_data"
_MARKET = r'"market":\s*"(?P<it>[^"]+)"'
_ASSET = r'"asset_id":\s*"(?P<it>[0-9]+)"'
_TIME = r'"timestamp":\s*"?(?P<it>[0-9]{13})\b'
_TRADE = r'"event_type":\s*"last_trade_price"'
_TICK = r'"tick_size":\s*"(?P<it>[0-9.]+)"'
_FINER_THAN_A_CENT = r'"price":\s*"0?\.([0-9]{2}[0-9]*[1-9])'


def raw_index(paths: Sequence[Path], log: ReadLog) -> Index:
    """Look the files over: rows, markets, and one segment per row group. Faults go to `log`."""
    facts: dict[str, MarketFacts] = {}
    segments: list[Segment] = []
    total = 0
    for group in row_groups(paths, log):
        # Arrow passes over a column that is not there.
        table = group.read([RAW_COLUMN, "slug"], log)
        if table is None or not table.num_rows:
            continue
        total += group.rows
        found = _facts_table(table)
        _gather(found, table, facts)
        first_ms = pc.min(found["time"]).as_py() or 0
        segments.append(Segment(first_ms, partial(_frames, group)))
    return Index(
        format="raw market-channel parquet",
        files=tuple(map(str, paths)),
        total_rows=total,
        markets=gathered(facts.values()),
        segments=tuple(segments),
    )


def _facts_table(table: pa.Table) -> pa.Table:
    raw = table[RAW_COLUMN]
    slug = table["slug"] if "slug" in table.column_names else pa.nulls(table.num_rows, pa.string())
    return pa.table(
        {
            "market": _extract(raw, _MARKET),
            "token": _extract(raw, _ASSET),
            "time": _extract(raw, _TIME).cast(pa.int64()),
            "tick": _extract(raw, _TICK),
            "slug": slug,
            "trade": pc.match_substring_regex(raw, _TRADE).cast(pa.int64()),
        }
    )


def _gather(found: pa.Table, table: pa.Table, facts: dict[str, MarketFacts]) -> None:
    whole = found.filter(
        pc.field("market").is_valid() & pc.field("token").is_valid() & pc.field("time").is_valid()
    )
    grouped = whole.group_by(["market", "token"], use_threads=False).aggregate(
        [("time", "count"), ("time", "min"), ("time", "max"), ("slug", "min"), ("trade", "sum")]
    )
    for row in grouped.to_pylist():
        market = facts.setdefault(row["market"], MarketFacts(row["market"]))
        market.slug = market.slug or row["slug_min"] or ""
        market.trades += row["trade_sum"] or 0
        market.token(row["token"]).add(row["time_count"], row["time_min"], row["time_max"])
    for row in whole.filter(pc.field("tick").is_valid()).select(["market", "time", "tick"]).to_pylist():
        _say_tick(facts[row["market"]], row["time"], row["tick"])
    _gather_fine_prices(found, table, facts)


def _say_tick(market: MarketFacts, at_ms: int, text: str) -> None:
    # A tick that is no tick is a fault of its row, and is told when the row is read.
    try:
        tick = micro_of_text(text)
    except FrameFault:
        return
    if tick in TICKS_MICRO:
        market.say_tick(at_ms, tick)


def _gather_fine_prices(found: pa.Table, table: pa.Table, facts: dict[str, MarketFacts]) -> None:
    fine = pc.match_substring_regex(table[RAW_COLUMN], _FINER_THAN_A_CENT)
    rows = pa.table({"market": found["market"], "raw": table[RAW_COLUMN]}).filter(pc.fill_null(fine, False))
    for market_id, raw in zip(rows["market"].to_pylist(), rows["raw"], strict=True):
        if market_id in facts:
            digits = set(re.findall(_FINER_THAN_A_CENT, raw.as_py()))
            facts[market_id].prices_micro.update(int(text[:6].ljust(6, "0")) for text in digits)


def _frames(group: RowGroup, log: ReadLog) -> Iterator[Frame]:
    table = group.read([RAW_COLUMN], log)
    if table is None:
        return
    # A row without a time is broken; it keeps its neighbour's, so that its fault is told in its place.
    times = pc.fill_null_forward(_extract(table[RAW_COLUMN], _TIME).cast(pa.int64()))
    yield from in_time_order(_row_frames(group, table, times, log), log)


def _row_frames(group: RowGroup, table: pa.Table, times: pa.ChunkedArray, log: ReadLog) -> Iterator[Frame]:
    for batch in time_ordered(table, times):
        for text, row in zip(batch[RAW_COLUMN], batch["row"], strict=True):
            yield from frames_of_row(text, str(group.path), group.first_row + row, log)


def _extract(column: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.struct_field(pc.extract_regex(column, pattern), "it")

"""Parquet recordings of books as lists of doubles: the layout of the resolvedkit package.

    books.parquet     market_id, ts (unix ms), side ("UP"/"DOWN"), bid_px, bid_sz, ask_px, ask_sz
    markets.parquet   market_id, slug, question, outcome_up, outcome_down, payout_up, payout_down   (optional)

The doubles were decimals once, so each one's shortest text is that decimal again, and becomes an integer
exactly. A few carry the residue of somebody's arithmetic (1.9300000000000002): within a thousandth of a micro
unit of a six-decimal number the residue is dropped and counted, beyond that the row is refused. Token ids are
not in the files: each market and side is given a derived one, the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from polytraders_pfh.paper.markets.frame_parse import FrameFault, sorted_levels
from polytraders_pfh.paper.markets.frames import (
    DEFAULT_MIN_SIZE_MICRO,
    DEFAULT_TICK_MICRO,
    PRICE_ONE_MICRO,
    BookFrame,
    Frame,
    Levels,
    RecordedMarket,
    RecordedToken,
    coarsest_tick,
    derived_token_id,
)
from polytraders_pfh.paper.markets.market_facts import MarketFacts
from polytraders_pfh.paper.markets.parquet_files import RowGroup, row_groups, time_ordered
from polytraders_pfh.paper.markets.segments import Index, ReadLog, Segment

BOOK_COLUMNS = ("market_id", "ts", "side", "bid_px", "bid_sz", "ask_px", "ask_sz")
SIDES = ("UP", "DOWN")
_RESIDUE = Decimal("0.001")


def token_id_of(market_id: str, side: str) -> str:
    """The derived token id of one side, "UP" or "DOWN", of one market."""
    return derived_token_id(f"{market_id} {side}")


def books_index(books: Sequence[Path], markets: Sequence[Path], log: ReadLog) -> Index:
    """Look the files over: rows, markets, one segment per row group. Faults go to `log`."""
    facts: dict[str, MarketFacts] = {}
    segments: list[Segment] = []
    total = residues = 0
    for group in row_groups(books, log):
        table = group.read(BOOK_COLUMNS, log)
        if table is None or not table.num_rows:
            continue
        total += group.rows
        _gather(table, facts)
        residues += _count_residues(table)
        segments.append(Segment(pc.min(table["ts"]).as_py() or 0, partial(_frames, group)))
    described = {row["market_id"]: row for path in markets for row in _market_rows(path, log)}
    found = sorted(facts.values(), key=lambda each: min(token.first_ms for token in each.tokens.values()))
    return Index(
        format="book lists parquet (resolvedkit layout)",
        files=tuple(map(str, (*books, *markets))),
        total_rows=total,
        markets=tuple(_market(each, described.get(each.condition_id, {})) for each in found),
        segments=tuple(segments),
        float_residues=residues,
    )


def _gather(table: pa.Table, facts: dict[str, MarketFacts]) -> None:
    whole = table.filter(pc.field("market_id").is_valid() & pc.field("ts").is_valid())
    grouped = whole.group_by("market_id", use_threads=False).aggregate(
        [("ts", "count"), ("ts", "min"), ("ts", "max")]
    )
    for row in grouped.to_pylist():
        market = facts.setdefault(row["market_id"], MarketFacts(row["market_id"]))
        market.token(row["market_id"]).add(row["ts_count"], row["ts_min"], row["ts_max"])
    names = whole["market_id"].combine_chunks()
    for column in ("bid_px", "ask_px"):
        lists = whole[column].combine_chunks()
        flat = pc.list_flatten(lists)
        fine = pc.not_equal(pc.round(flat, 2), flat)
        where = pc.list_parent_indices(lists).filter(fine)
        pairs = pa.table({"market": names.take(where), "price": flat.filter(fine)})
        for row in pairs.group_by(["market", "price"], use_threads=False).aggregate([]).to_pylist():
            facts[row["market"]].prices_micro.add(_micro_or_zero(row["price"]))


def _count_residues(table: pa.Table) -> int:
    flats = [pc.list_flatten(table[column]) for column in BOOK_COLUMNS[3:]]
    return sum(pc.sum(pc.not_equal(pc.round(flat, 6), flat)).as_py() or 0 for flat in flats)


def _market_rows(path: Path, log: ReadLog) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        log.fault(str(path), 0, f"the table of markets could not be read ({error})")
        return []
    return rows


def _market(facts: MarketFacts, row: dict[str, Any]) -> RecordedMarket:
    condition_id = facts.condition_id
    both = facts.token(condition_id)
    names = [row.get(f"outcome_{side.lower()}") or side.capitalize() for side in SIDES]
    up, down = (
        RecordedToken(token_id_of(condition_id, side), name, recorded=True)
        for side, name in zip(SIDES, names, strict=True)
    )
    payouts = [row.get(f"payout_{side.lower()}") for side in SIDES]
    return RecordedMarket(
        condition_id=condition_id,
        slug=row.get("slug") or "",
        question=row.get("question") or row.get("slug") or condition_id,
        tokens=(up, down),
        tick_micro=DEFAULT_TICK_MICRO,
        finest_tick_micro=coarsest_tick(facts.prices_micro),
        min_size_micro=DEFAULT_MIN_SIZE_MICRO,
        rows=both.rows,
        first_ms=both.first_ms,
        last_ms=both.last_ms,
        payout_micro=None if None in payouts else (_micro_or_zero(payouts[0]), _micro_or_zero(payouts[1])),
    )


def _frames(group: RowGroup, log: ReadLog) -> Iterator[Frame]:
    table = group.read(BOOK_COLUMNS, log)
    if table is None:
        return
    for batch in time_ordered(table, pc.fill_null_forward(table["ts"])):
        for values in zip(*(batch[name] for name in (*BOOK_COLUMNS, "row")), strict=True):
            row = group.first_row + values[-1]
            log.rows_read += 1
            if not log.wants(values[0]):
                continue
            try:
                yield _book(values, str(group.path), row)
            except FrameFault as fault:
                log.fault(str(group.path), row, str(fault))


def _book(values: tuple[Any, ...], file: str, row: int) -> BookFrame:
    market_id, at_ms, side, bid_px, bid_sz, ask_px, ask_sz, _ = values
    if not market_id or side not in SIDES:
        raise FrameFault(f"market_id was {market_id!r} and side was {side!r}, not a market and UP or DOWN")
    if not isinstance(at_ms, int) or not 10**12 <= at_ms < 10**13:
        raise FrameFault(f"ts was {at_ms!r}, which is not a time in milliseconds")
    return BookFrame(
        token_id=token_id_of(market_id, side),
        condition_id=market_id,
        timestamp_ms=at_ms,
        bids=_levels("bid", bid_px, bid_sz, descending=False),
        asks=_levels("ask", ask_px, ask_sz, descending=True),
        tick_micro=None,
        file=file,
        row=row,
    )


def _levels(name: str, prices: Any, sizes: Any, *, descending: bool) -> Levels:
    if prices is None or sizes is None or len(prices) != len(sizes):
        raise FrameFault(f"{name}_px and {name}_sz were not two lists of one length")
    return sorted_levels(map(_level, prices, sizes), descending=descending)


@lru_cache(maxsize=65_536)
def _level(price: object, size: object) -> tuple[int, int]:
    price_micro = micro_of_double(price)
    if not 0 < price_micro < PRICE_ONE_MICRO:
        raise FrameFault(f"a price was {price!r}, and prices lie between 0 and 1")
    return price_micro, micro_of_double(size)


def micro_of_double(number: object) -> int:
    """The decimal a double stands for, in micro units, by way of its shortest text.

    Raises FrameFault unless it is finite, not negative and within a thousandth of a micro of an integer.
    """
    if not isinstance(number, float) or not 0 <= number < 10**15:
        raise FrameFault(f"a number was {number!r}, which is no price and no size")
    exact = Decimal(repr(number)).scaleb(6)
    micro = exact.to_integral_value()
    if abs(exact - micro) > _RESIDUE:
        raise FrameFault(f"a number was {number!r}, which has more than six decimals")
    return int(micro)


def _micro_or_zero(number: object) -> int:
    # For the look over the files alone: the row itself is told as a fault when it is read.
    try:
        return micro_of_double(number)
    except FrameFault:
        return 0

"""Text recordings: one raw WebSocket frame per line, an object or an array of objects; plain or gzip.

Lines stand in the order in which they were received, which is nearly the order of their timestamps;
`segments.in_time_order` puts them right.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from polytraders_pfh.paper.markets.frame_parse import frames_of_row
from polytraders_pfh.paper.markets.frames import (
    BookFrame,
    Frame,
    LastTradeFrame,
    PriceChangeFrame,
    TickSizeFrame,
)
from polytraders_pfh.paper.markets.market_facts import MarketFacts, gathered
from polytraders_pfh.paper.markets.segments import Index, ReadLog, Segment, in_time_order

MAX_LINE_BYTES = 16 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
_HEARTBEATS = (b"PING", b"PONG")


def jsonl_index(paths: Sequence[Path], log: ReadLog) -> Index:
    """Read the files once from end to end, so that a broken line is told before any frame is played."""
    facts: dict[str, MarketFacts] = {}
    segments: list[Segment] = []
    # Its own log: with "skip", the faults of rows are told again when the rows are played.
    looked = ReadLog(log.on_error)
    for path in paths:
        first_ms = 0
        for frame in _received(path, looked):
            first_ms = min(first_ms or frame.timestamp_ms, frame.timestamp_ms)
            _gather(frame, facts.setdefault(frame.condition_id, MarketFacts(frame.condition_id)))
        segments.append(Segment(first_ms, partial(_frames, path)))
    return Index(
        format="raw market-channel JSON lines",
        files=tuple(map(str, paths)),
        total_rows=looked.rows_read,
        markets=gathered(facts.values()),
        segments=tuple(segments),
    )


def _gather(frame: Frame, market: MarketFacts) -> None:
    at_ms = frame.timestamp_ms
    if isinstance(frame, PriceChangeFrame):
        for token_id in dict.fromkeys(change.token_id for change in frame.changes):
            market.token(token_id).add(1, at_ms, at_ms)
        market.prices_micro.update(change.price_micro for change in frame.changes)
        return
    market.token(frame.token_id).add(1, at_ms, at_ms)
    if isinstance(frame, BookFrame):
        market.prices_micro.update(price for price, _ in (*frame.bids, *frame.asks))
        if frame.tick_micro is not None:
            market.say_tick(at_ms, frame.tick_micro)
    elif isinstance(frame, LastTradeFrame):
        market.trades += 1
    elif isinstance(frame, TickSizeFrame) and frame.old_tick_micro is not None:
        market.say_tick(at_ms, frame.old_tick_micro)


def _frames(path: Path, log: ReadLog) -> Iterator[Frame]:
    return in_time_order(_received(path, log), log)


def _received(path: Path, log: ReadLog) -> Iterator[Frame]:
    file = str(path)
    for row, line in enumerate(_lines(path, log), start=1):
        text = line.strip()
        if text in _HEARTBEATS or not text:
            log.rows_read += 1
            log.other_events[text.decode() or "blank line"] += 1
        elif len(line) > MAX_LINE_BYTES:
            log.rows_read += 1
            log.fault(file, row, f"the line is longer than {MAX_LINE_BYTES} bytes")
        else:
            yield from frames_of_row(text, file, row, log)


def _lines(path: Path, log: ReadLog) -> Iterator[bytes]:
    row = 0
    try:
        with _opened(path) as stream:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                row += 1
                yield line
                while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                    line = stream.readline(MAX_LINE_BYTES + 1)
                    if not line:
                        break
    except (OSError, EOFError, zlib.error) as error:
        log.fault(str(path), row + 1, f"the file ends or breaks off here ({error})")


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        zipped = stream.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]  # GzipFile reads as one
